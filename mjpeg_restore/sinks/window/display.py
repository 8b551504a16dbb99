"""Whether a window can be opened, and whether its display is still there.

The Qt in OpenCV's wheels for Linux ends or blocks the process where it cannot open one, and ends it where the display
is gone.
"""

from __future__ import annotations

import ctypes
import os
import weakref
from importlib.util import find_spec
from pathlib import Path

from mjpeg_restore import libxcb


class XServer:
    """The X server that DISPLAY names, over a connection of its own, which tells when the server is gone.

    Attributes:
        answered: whether it did so at the beginning; also True where that cannot be found out.
    """

    def __init__(self) -> None:
        self.answered = True
        try:
            self._xcb = ctypes.CDLL("libxcb.so.1")
        except OSError:
            self._xcb = None
            return
        self._xcb.xcb_connect.restype = self._xcb.xcb_poll_for_event.restype = ctypes.c_void_p
        for function in ("xcb_connection_has_error", "xcb_poll_for_event", "xcb_disconnect"):
            getattr(self._xcb, function).argtypes = [ctypes.c_void_p]
        self._connection = self._xcb.xcb_connect(None, None)
        weakref.finalize(self, self._xcb.xcb_disconnect, self._connection)
        self.answered = not self._xcb.xcb_connection_has_error(self._connection)

    @property
    def gone(self) -> bool:
        """Whether it answered once and does no more. OpenCV must not be called then: its Qt would end the process."""
        if self._xcb is None or not self.answered:
            return False
        # Only who reads is told of the end. Of events, few are sent to those who want none.
        while event := self._xcb.xcb_poll_for_event(self._connection):
            ctypes.CDLL(None).free(ctypes.c_void_p(event))
        return bool(self._xcb.xcb_connection_has_error(self._connection))


def why_none(package: Path) -> str | None:
    """Why no window can be opened, in words; None where one probably can.

    Only an OpenCV with a Qt of its own is judged, as in the wheels for Linux: others raise errors that can be caught.

    Args:
        package: the folder of OpenCV's package.
    """
    plugins = {path.stem.removeprefix("libq") for path in package.glob("qt/plugins/platforms/libq*.so")}
    if not plugins:
        return None
    wanted = [name.partition(":")[0] for name in (os.environ.get("QT_QPA_PLATFORM") or "xcb").split(";")]
    if plugins.isdisjoint(wanted):
        return f"OpenCV's Qt knows no platform {', '.join(wanted)}, but {', '.join(plugins)}: unset QT_QPA_PLATFORM"
    if "xcb" in wanted and not _connects():
        display = os.environ.get("DISPLAY")
        return f"the display {display} does not answer" if display else "there is no display (DISPLAY is not set)"
    if not libxcb.in_time and _clashes(package):
        return "PyAV was imported before mjpeg_restore, and OpenCV's Qt would block: import cv2 or mjpeg_restore first"
    return None


def _connects() -> bool:
    """Whether the X server that DISPLAY names answers; also True where that cannot be found out."""
    return XServer().answered


def _clashes(package: Path) -> bool:
    """Whether OpenCV's wheel brings libraries around libxcb that have the same names in PyAV's."""
    av = find_spec("av")
    own = {path.name for path in package.parent.glob("opencv*.libs/libxcb-*")}
    return bool(av and av.origin and own & {path.name for path in Path(av.origin).parents[1].glob("av.libs/libxcb-*")})
