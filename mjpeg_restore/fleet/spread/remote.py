"""A camera that runs on a node, as the driver knows it."""

from __future__ import annotations

import time
from dataclasses import replace

from mjpeg_restore.fleet.camera import Status
from mjpeg_restore.fleet.settings import CameraSettings
from mjpeg_restore.fleet.spread.group import Seen
from mjpeg_restore.report import Report
from mjpeg_restore.serve import WebSink


class RemoteCamera:
    """State of a camera at the last look, with the read-only members of `Camera`.

    Attributes:
        settings: of the camera.
        report: of its present run; replaced in its place at each look.
        address: of the source for messages; empty before it has been opened.
        live: True: only those are run on nodes.
        sink: has its frames while somebody watches.
        trouble: why nobody runs it at present; empty if somebody does.
    """

    def __init__(self, settings: CameraSettings) -> None:
        self.settings = settings
        self.report = Report()
        self.address = ""
        self.live = True
        self.sink = WebSink(on_demand=True)
        self.trouble = ""
        self._status = Status("starting")

    @property
    def name(self) -> str:
        """The camera's name."""
        return self.settings.name

    @property
    def status(self) -> Status:
        """How it fared at the last look."""
        return replace(self._status, state="failed", reason=self.trouble) if self.trouble else self._status

    def take(self, seen: Seen, moves: int = 0) -> None:
        """Note what was seen.

        Args:
            seen: by the camera's group.
            moves: times that the whole group began anew.
        """
        now = time.monotonic()
        self.trouble = ""
        self._status = replace(seen.status, restarts=seen.status.restarts + moves)
        self.address, self.live = seen.address, seen.live
        self.report.replace(seen.report)
        for age, latency in seen.arrivals:
            self.sink.arrivals.append((now - age, latency))
            self.sink.last = now - age
        if seen.frame is not None:
            age = seen.frame.arrived
            self.sink.show(replace(seen.frame, arrived=None if age is None else now - age))
        elif not self.sink.watched:
            self.sink.latest = None  # it would be an old one by the time that somebody watches
