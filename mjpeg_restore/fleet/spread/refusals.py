"""Which cameras cannot run on another machine."""

from __future__ import annotations

from mjpeg_restore.address import DEFAULT_PORTS
from mjpeg_restore.errors import SettingsError
from mjpeg_restore.fleet.settings import CameraSettings, FleetSettings


def refuse_local(settings: FleetSettings, file: str, *, here: bool = False) -> None:
    """Check that no camera is bound to one machine, and that none is a recording.

    Args:
        settings: of a file.
        file: its name in messages.
        here: they run on this machine alone.

    Raises:
        SettingsError: some are: all of them.
    """
    found = [f"{file}: cameras.{one.name}.source: {why}" for one in settings.cameras if (why := _refusal(one, here))]
    if found:
        raise SettingsError(found)


def _refusal(camera: CameraSettings, here: bool) -> str:
    scheme, found, _ = camera.source.partition("://")
    if found and scheme.lower() in DEFAULT_PORTS:
        return ""
    if camera.live or camera.source.startswith(("v4l2:", "/dev/video")):
        return "" if here else "a device or pipe belongs to one machine: run it there, with mjpeg-restore run"
    return "is a recording: mjpeg-restore archive restores those"
