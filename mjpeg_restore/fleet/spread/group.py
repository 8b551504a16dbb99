"""The cameras of one process on a node. It knows the cluster only by the calls of its driver."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from mjpeg_restore.errors import SourceError
from mjpeg_restore.fleet.camera import Camera, Opener, Status, open_camera
from mjpeg_restore.fleet.fleet import Fleet
from mjpeg_restore.fleet.settings import CameraSettings, FleetSettings
from mjpeg_restore.frames import Frame
from mjpeg_restore.outlets import Outlet
from mjpeg_restore.report import Report
from mjpeg_restore.serve import WebSink
from mjpeg_restore.sources import Source

LEASE = 10.0
"""Seconds without a call of the driver after which a group stops its cameras. The cluster may have lost contact, taken
the group for dead and started its cameras elsewhere, which would then record everything twice."""

_Item = TypeVar("_Item")

_MOST_LINES = 512
"""Lines of the log that wait to be fetched."""


@dataclass(frozen=True, slots=True)
class LogLine:
    """A line of the log, for the driver's."""

    logger: str
    level: int
    message: str
    event: str
    source: str


@dataclass(frozen=True, slots=True)
class Seen:
    """A camera as its group saw it. Times are ages in seconds: the nodes' clocks are not the driver's."""

    name: str
    status: Status
    address: str
    live: bool
    report: Report
    arrivals: tuple[tuple[float, float], ...] = ()
    """Of the frames since the last look: the age and the latency."""
    frame: Frame | None = None
    """The newest one, if the camera is watched and it is another than at the last look; `arrived` is its age."""


@dataclass(frozen=True, slots=True)
class Sight:
    """A group at a moment."""

    node: str
    """Where it runs."""
    cameras: tuple[Seen, ...] | None
    """None: it has none, because it has just been started or its lease is over."""
    log: tuple[LogLine, ...] = ()
    begun: Mapping[str, int] = field(default_factory=dict[str, int])
    """See `Fleet.begun`: for the next process, if this one dies, and for one that takes over an output."""


class Group:
    """Runs cameras for as long as somebody asks after them. All calls come from one thread."""

    def __init__(self, where: Callable[[], str] = str, lease: float = LEASE, open: Opener = open_camera) -> None:
        """Wait for settings.

        Args:
            where: tells the node.
            lease: see `LEASE`.
            open: opens the sources of cameras.
        """
        self._where, self._lease, self._opener = where, lease, open
        self._audience = _Audience()
        self._fleet: Fleet | None = None
        self._begun: Mapping[str, int] = {}
        """Of the last fleet, whose lease is over."""
        self._busy = self._expired = False
        self._asked = time.monotonic()
        self._sent: dict[str, Frame | None] = {}
        self._log = _Collector()
        logging.getLogger("mjpeg_restore").addHandler(self._log)
        logging.getLogger("mjpeg_restore").setLevel(logging.INFO)
        threading.Thread(target=self._watch_lease, name="lease", daemon=True).start()

    def run(self, settings: FleetSettings, begun: Mapping[str, int]) -> None:
        """Run these cameras from now on: those that are new begin, those that are gone end, the rest do not notice.

        Args:
            settings: of the cameras.
            begun: what other processes have told in `Sight.begun`: the cameras go on in what was written there.

        Raises:
            MjpegRestoreError: a network cannot be loaded here.
        """
        self._busy = True  # a network may have to be made ready, which takes longer than any lease
        try:
            self._drop_expired()
            if self._fleet is None:
                # Nobody may have looked since the last fleet opened an output.
                known = {place: max(begun.get(place, -1), last) for place, last in self._begun.items()}
                self._fleet = Fleet(settings, audience=self._audience, open=self._open, begun={**begun, **known})
            else:
                self._fleet.apply(settings, begun)
        finally:
            self._asked, self._busy = time.monotonic(), False

    def look(self, watched: Mapping[str, bool]) -> Sight:
        """State of the cameras.

        Args:
            watched: the names of those whose pictures are wanted; True: their plain decode, too.
        """
        self._asked = time.monotonic()
        self._drop_expired()
        fleet = self._fleet
        seen = None if fleet is None else tuple(self._seen(camera, watched) for camera in fleet.cameras.values())
        return Sight(self._where(), seen, self._log.take(), self._begun if fleet is None else fleet.begun)

    def close(self) -> Sight:
        """Stop the cameras, and wait until their outputs are finished; how they fared."""
        self._busy = True
        if self._fleet:
            self._fleet.close()
        sight = self.look({})
        self._fleet = None
        logging.getLogger("mjpeg_restore").removeHandler(self._log)
        return sight

    def _seen(self, camera: Camera, watched: Mapping[str, bool]) -> Seen:
        sink, now = self._audience.sinks[camera.name], time.monotonic()
        arrivals = tuple((now - when, latency) for when, latency in _taken(sink.arrivals))
        original, latest = watched.get(camera.name), sink.latest
        sink.original = bool(original)
        frame = None
        if original is None:
            self._sent.pop(camera.name, None)
        elif latest is not None and latest is not self._sent.get(camera.name):
            self._sent[camera.name] = latest
            frame = replace(latest, arrived=None if latest.arrived is None else now - latest.arrived)
        return Seen(camera.name, camera.status, camera.address, camera.live, camera.report.snapshot(), arrivals, frame)

    def _open(self, settings: CameraSettings) -> Source:
        """Open a camera's source.

        Raises:
            SourceError: it is a recording, which would be restored once more on the next node.
        """
        source = self._opener(settings)
        if not source.info.live:
            source.close()
            raise SourceError(f"{source.info.name} is a recording: mjpeg-restore archive restores those")
        return source

    def _drop_expired(self) -> None:
        if self._expired and self._fleet:
            self._fleet.close()
            self._begun, self._fleet = self._fleet.begun, None
        self._expired = False

    def _watch_lease(self) -> None:
        while True:
            time.sleep(self._lease / 20)
            over = time.monotonic() - self._asked > self._lease
            if (fleet := self._fleet) and over and not self._busy and not self._expired:
                self._expired = True
                logging.getLogger(__name__).error("nobody asks after these cameras: they end")
                fleet.stop()


class _Audience:
    """Keeps the newest frame of each camera."""

    def __init__(self) -> None:
        self.sinks: dict[str, WebSink] = {}
        self._cameras: dict[str, Camera] = {}
        self._lock = threading.Lock()
        """So that a camera's own thread replaces no sink but the camera's."""

    def add(self, camera: Camera) -> None:
        with self._lock:
            self._cameras[camera.name], self.sinks[camera.name] = camera, WebSink()

    def outlets(self, camera: Camera) -> Sequence[Outlet]:
        with self._lock:
            if self._cameras.get(camera.name) is not camera:
                return []
            original = self.sinks[camera.name].original
            self.sinks[camera.name] = sink = WebSink()
            sink.original = original
        return [Outlet(sink, "the page")]

    def remove(self, name: str) -> None:
        with self._lock:
            self._cameras.pop(name, None)
            self.sinks.pop(name, None)


class _Collector(logging.Handler):
    """Keeps lines of the log until they are fetched."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self._lines: deque[LogLine] = deque(maxlen=_MOST_LINES)

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a line."""
        event, source = (str(getattr(record, name, "")) for name in ("event", "source"))
        self._lines.append(LogLine(record.name, record.levelno, record.getMessage(), event, source))

    def take(self) -> tuple[LogLine, ...]:
        """Fetch all lines."""
        return tuple(_taken(self._lines))


def _taken(queue: deque[_Item]) -> list[_Item]:
    """Take all items out of a queue that another thread fills."""
    return [queue.popleft() for _ in range(len(queue))]
