"""A fleet in a browser. Only who imports this module needs the extra `serve`."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from types import TracebackType
from typing import Protocol, Self

from mjpeg_restore.address import redact
from mjpeg_restore.fleet.camera import Camera, Status
from mjpeg_restore.fleet.settings import CameraSettings
from mjpeg_restore.outlets import Outlet
from mjpeg_restore.report import Report
from mjpeg_restore.serve import Access, ServedCamera, WebSink, stall_of, without_folders
from mjpeg_restore.serve.server import Server


class Shown(Protocol):
    """What is shown of a camera, which may run elsewhere."""

    settings: CameraSettings
    report: Report
    address: str
    live: bool

    @property
    def name(self) -> str:
        """The camera's name."""
        ...

    @property
    def status(self) -> Status:
        """How it fares now."""
        ...


class Serving:
    """The audience of a fleet: a server that shows all cameras.

    Attributes:
        url: of the page.
        remark: what the user should know: that others can watch; None if there is nothing.
    """

    def __init__(self, host: str, port: int, access: Access | None = None) -> None:
        """Listen, and begin to serve; see `Server`.

        Raises:
            SinkError: nothing can listen there.
        """
        self._server = Server((), host, port, access)
        self.url, self.remark = self._server.url, self._server.remark
        self._cameras: dict[str, Camera] = {}
        self._lock = threading.Lock()
        """So that no camera is shown again after its removal, by its own thread."""

    def add(self, camera: Camera) -> None:
        """Show a camera that is still to begin."""
        with self._lock:
            self._cameras[camera.name] = camera
            self._server.add(_served(camera, Report(), WebSink()))

    def outlets(self, camera: Camera) -> Sequence[Outlet]:
        """Show the run of a camera that begins, unless it has been removed, or replaced, meanwhile."""
        served = _served(camera, camera.report, WebSink())
        with self._lock:
            if self._cameras.get(camera.name) is not camera:
                return []
            self._server.add(served)
        return [Outlet(served.sink, "the page")]

    def show(self, camera: Shown, sink: WebSink) -> None:
        """Show a camera that runs elsewhere, for as long as it is not removed.

        Args:
            camera: its `report` stays the same object.
            sink: has its pictures.
        """
        self._server.add(_served(camera, camera.report, sink))

    def remove(self, name: str) -> None:
        """Show a camera no more."""
        with self._lock:
            self._cameras.pop(name, None)
            self._server.remove(name)

    def close(self) -> None:
        """Stop."""
        self._server.close()

    def __enter__(self) -> Self:
        """Return the audience itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop."""
        self.close()


def _served(camera: Shown, report: Report, sink: WebSink) -> ServedCamera:
    settings = camera.settings
    stall = stall_of(settings.connection.stall_timeout, settings.fps)
    source = redact(settings.source) if "://" in settings.source else without_folders(settings.source)

    def trouble() -> str:
        status = camera.status
        if status.retry_in is None:
            return status.reason if status.state == "failed" else ""
        return f"{status.reason}; trying again in {status.retry_in:.0f} s"

    return ServedCamera(camera.name, report, sink, source=source, live=camera.live, stall=stall, trouble=trouble)
