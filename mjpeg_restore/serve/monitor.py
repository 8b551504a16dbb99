"""How a camera fares: its health now, and the last two minutes second by second."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from statistics import median
from typing import Any, Literal

from mjpeg_restore.serve.camera import ServedCamera

SPAN = 120
"""Samples that are kept, one for each second."""

_DUE = 2
"""A frame is overdue after that many intervals; before that, the rate of the frames before it holds."""

State = Literal["starting", "waiting", "live", "stalled", "ended"]
"""Of a camera. "starting": there may be a first picture yet; "waiting": there should have been one; "stalled": there
were pictures, and none comes any more."""


@dataclass(frozen=True, slots=True)
class Health:
    """The state of a camera, and what is wrong in words; empty where nothing is."""

    state: State
    reason: str = ""

    @property
    def ok(self) -> bool:
        """Whether pictures come, may still come for the first time, or need not come any more."""
        return not self.reason


@dataclass(frozen=True, slots=True)
class Sample:
    """One second of a camera."""

    fps: float = 0.0
    """Pictures that came in a second; those that are shown again do not count."""
    latency_ms: float | None = None
    """Median from a picture's arrival to its being ready to be served; None without pictures, and of recordings."""
    quality: int | None = None
    """Estimated IJG quality of the last coded picture, 1 to 100; None if unknown."""
    damaged: int = 0
    """Damaged pictures in this second."""
    dropped: int = 0
    """Dropped pictures in this second."""


class Monitor:
    """Watches one camera. All calls come from one thread."""

    def __init__(self, camera: ServedCamera, clock: Callable[[], float] = time.monotonic) -> None:
        """Begin.

        Args:
            camera: what is watched.
            clock: the one of its sink, seconds.
        """
        self.camera = camera
        self._clock = clock
        self._begun = clock()
        self._previous: float | None = None
        self._damaged, self._dropped = camera.report.damaged, camera.report.dropped
        self._samples: deque[Sample] = deque([Sample()], SPAN)
        self._number = 0

    @property
    def health(self) -> Health:
        """Whether pictures come."""
        health = self._seen()
        trouble = "" if health.state == "live" else self.camera.trouble()
        return Health("waiting", trouble) if trouble else health

    def _seen(self) -> Health:
        """What the camera's pictures tell."""
        camera, now = self.camera, self._clock()
        if camera.sink.ended:
            return Health("ended", "the run has ended" if camera.live else "")
        if camera.sink.last is None:
            waited = now - self._begun
            if waited <= camera.grace:
                return Health("starting")
            return Health("waiting", f"no picture has come in {waited:.0f} s")
        idle = now - camera.sink.last
        return Health("live") if idle <= camera.stall else Health("stalled", f"no picture for {idle:.0f} s")

    def sample(self) -> None:
        """Sum up what came since the last call; to be called each second."""
        camera, arrivals = self.camera, self.camera.sink.arrivals
        taken = [arrivals.popleft() for _ in range(len(arrivals))]
        report, latest = camera.report, camera.sink.latest
        damaged, dropped = report.damaged, report.dropped
        self._samples.append(
            Sample(
                fps=round(self._rate([when for when, _ in taken]), 2),
                latency_ms=round(1000 * median(delay for _, delay in taken), 1) if taken and camera.live else None,
                quality=(latest.picture.quality or None) if latest else None,
                damaged=damaged - self._damaged,
                dropped=dropped - self._dropped,
            )
        )
        self._number += 1
        self._damaged, self._dropped = damaged, dropped

    def state(self, since: int | None = None) -> dict[str, Any]:
        """The camera's state as JSON's types.

        Args:
            since: the number of the last sample that the reader has; it gets the later ones, at most two minutes. None:
                no samples.
        """
        camera, health = self.camera, self.health
        state = {
            "name": camera.name,
            "title": camera.title or camera.name,
            "source": camera.source,
            "live": camera.live,
            "state": health.state,
            "reason": health.reason,
            "now": asdict(self._samples[-1]),
            "report": camera.report.as_dict(),
        }
        if since is not None:
            state["samples"] = {"last": self._number, **self._columns(self._number - since)}
        return state

    def _columns(self, count: int) -> dict[str, list[Any]]:
        newest = [*self._samples][-count:] if count > 0 else []
        return {field.name: [getattr(sample, field.name) for sample in newest] for field in fields(Sample)}

    def _rate(self, times: list[float]) -> float:
        """Pictures in a second, from the times of those that came since the last call.

        It is taken between pictures, not between calls, so that a steady camera has a steady rate.
        """
        before = self._previous
        if times:
            self._previous = times[-1]
            first = times[0] if before is None else before
            count = len(times) - (before is None)
            return count / (times[-1] - first) if times[-1] > first else 0.0
        rate = self._samples[-1].fps
        overdue = before is None or self._clock() - before > _DUE / max(rate, 1e-9)
        return 0.0 if overdue else rate
