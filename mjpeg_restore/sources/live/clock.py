"""Time stamps of live pictures: the arrival on our own monotonic clock, smoothed by the camera's where it has one."""

from __future__ import annotations

from fractions import Fraction

TIME_BASE = Fraction(1, 90_000)
"""T2: FFmpeg's wall-clock stamps are rounded to its guess of the frame rate; RTP's clock is fine enough for any."""

_MAX_SKEW = 0.5
"""Seconds by which the two clocks may differ, in one step or by and by. A camera that was restarted, that states whole
seconds only, or whose clock runs at another rate exceeds it, and its stamps are then not used."""
_GAIN = 1 / 64
"""Share of the difference between the clocks that is corrected with each picture: the camera's may run fast or slow."""


class ArrivalClock:
    """Assigns rising time stamps from 0 on, in ticks of `TIME_BASE`, within half a second of the arrival.

    Gaps between pictures are kept.
    """

    def __init__(self) -> None:
        self._origin: float | None = None
        self._last = -1
        self._arrived = 0.0
        self._stamp: Fraction | None = None
        self._drift = 0.0
        """Seconds that the camera's clock is ahead of ours, corrected by `_GAIN`: where it runs at another rate, this
        grows up to 63 times the difference between two pictures."""
        self._offset = 0.0
        """Seconds that our stamps are ahead of the arrival: the same, of the steps in which the camera was believed."""

    def stamp(self, arrived: float, stamp: Fraction | None = None) -> int:
        """The time stamp of a picture.

        Args:
            arrived: `time.monotonic()` when its last byte arrived.
            stamp: seconds on the camera's own clock, if it states them (`X-Timestamp`). Its steps are steadier than
                those of the arrival, which the network delays.
        """
        if self._origin is None:
            self._origin = arrived
        time = self._smoothed(arrived, stamp)
        self._arrived, self._stamp = arrived, stamp
        return self._rising(time)

    def tick(self, now: float) -> int:
        """A time stamp for `time.monotonic()` `now`, at which no picture arrived."""
        self._stamp = None  # these stamps follow our clock: the next picture would come before them by the camera's
        return self._rising(now - (now if self._origin is None else self._origin) + self._offset)

    def _rising(self, time: float) -> int:
        self._last = max(round(time / TIME_BASE), self._last + 1)
        return self._last

    def _smoothed(self, arrived: float, stamp: Fraction | None) -> float:
        """Seconds from the first picture on, by the steps of the camera's clock where it agrees with ours."""
        assert self._origin is not None
        step = 0.0 if stamp is None or self._stamp is None else float(stamp - self._stamp)
        ahead = step - (arrived - self._arrived)
        if step <= 0 or abs(ahead) > _MAX_SKEW:
            ahead = 0.0
        self._drift = (self._drift + ahead) * (1 - _GAIN)
        if abs(self._drift) > _MAX_SKEW:
            ahead = 0.0
        # An offset fades even where the camera is no longer believed: pictures would jump, or be squeezed together.
        offset = (self._offset + ahead) * (1 - _GAIN)
        self._offset = min(max(offset, -_MAX_SKEW), _MAX_SKEW)
        return arrived - self._origin + self._offset
