"""Time stamps of live pictures: the arrival on our own monotonic clock, smoothed by the camera's where it has one."""

from __future__ import annotations

from fractions import Fraction

TIME_BASE = Fraction(1, 90_000)
"""T2: FFmpeg's wall-clock stamps are rounded to its guess of the frame rate; RTP's clock is fine enough for any."""

_MAX_SKEW = 0.5
"""Seconds by which the steps of the two clocks may differ. A camera that was restarted, or that states whole seconds
only, exceeds it, and its stamp is then not used."""
_GAIN = 1 / 64
"""Share of the difference between the clocks that is corrected with each picture: the camera's may run fast or slow."""


class ArrivalClock:
    """Assigns rising time stamps from 0 on, in ticks of `TIME_BASE`. Gaps between pictures are kept."""

    def __init__(self) -> None:
        self._origin: float | None = None
        self._last = -1
        self._arrived = 0.0
        self._stamp: Fraction | None = None
        self._offset = 0.0
        """Seconds from the camera's latest stamp to our time of that picture, as a running average."""

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
        return self._rising(now - (now if self._origin is None else self._origin))

    def _rising(self, time: float) -> int:
        self._last = max(round(time / TIME_BASE), self._last + 1)
        return self._last

    def _smoothed(self, arrived: float, stamp: Fraction | None) -> float:
        """Seconds from the first picture on, by the camera's clock where its step agrees with ours."""
        assert self._origin is not None
        time = arrived - self._origin
        if stamp is None or self._stamp is None:
            self._offset = 0.0
            return time
        step = float(stamp - self._stamp)
        if step <= 0 or abs(step - (arrived - self._arrived)) > _MAX_SKEW:
            self._offset = 0.0
            return time
        # The offset is that of our stamps against the arrival: it keeps what the picture before was moved by.
        self._offset += step - (arrived - self._arrived)
        self._offset *= 1 - _GAIN
        return time + self._offset
