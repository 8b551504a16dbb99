"""The sink of a camera that is served: it keeps the newest frame, and the times of the last ones."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

from mjpeg_restore.frames import Frame
from mjpeg_restore.sinks import BaseSink

_MOST_ARRIVALS = 1024
"""Arrivals kept for the next sample, which is taken each second."""


class WebSink(BaseSink):
    """Keeps the newest frame for a server. `write` never waits, whoever watches.

    Attributes:
        instant: so it needs no thread.
        original: True while somebody watches originals.
        watched: True while somebody watches.
        on_demand: whether frames come only while somebody watches; `latest` is None in between.
        latest: the newest frame; None before the first.
        last: when the newest frame that was not shown again was written, by the clock; None before the first.
        ended: True once the run is over.
        arrivals: for each frame that was not shown again, when it was written and its latency, both in seconds. The
            reader takes them out; the oldest are dropped.
        on_change: called, on the run's thread, after each frame and at the end.
    """

    instant = True

    def __init__(self, clock: Callable[[], float] = time.monotonic, *, on_demand: bool = False) -> None:
        """Prepare.

        Args:
            clock: the one of `Frame.arrived`, seconds.
            on_demand: see above.
        """
        self._clock = clock
        self.watched, self.on_demand = False, on_demand
        self.latest: Frame | None = None
        self.last: float | None = None
        self.ended = False
        self.arrivals: deque[tuple[float, float]] = deque(maxlen=_MOST_ARRIVALS)
        self.on_change: Callable[[], None] | None = None

    def write(self, frame: Frame) -> None:
        """Keep the frame."""
        if frame.arrived is not None:
            self.last = self._clock()
            self.arrivals.append((self.last, self.last - frame.arrived))
        self.show(frame)

    def show(self, frame: Frame) -> None:
        """Keep the frame, whose arrival has been noted already."""
        self.latest = frame
        self._tell()

    def close(self) -> None:
        """Note the end; the last frame stays."""
        self.ended = True
        self._tell()

    def discard(self) -> None:
        """Note the end."""
        self.close()

    def _tell(self) -> None:
        if self.on_change:
            self.on_change()
