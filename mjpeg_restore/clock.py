"""When a picture of a recording is due, in a window, on a page or at a server."""

from __future__ import annotations

from fractions import Fraction

MAX_LAG = 0.5
"""Seconds. A picture that is later restarts the clock, so that a stall is not followed by a rush."""


class PlaybackClock:
    """Plays time stamps on the wall clock, whose times are seconds of `time.monotonic()`."""

    def __init__(self) -> None:
        self._origin: float | None = None
        """When the time stamp 0 is due."""

    def restart(self) -> None:
        """Let the next picture be due at once, whatever its time stamp."""
        self._origin = None

    def left(self, time: Fraction, now: float) -> float:
        """Seconds until a picture is due; negative where it is late.

        The clock starts with the first picture, and anew with one that is later than `MAX_LAG`.

        Args:
            time: its time stamp, seconds.
            now: the wall clock.
        """
        if self._origin is None or now - self._origin - float(time) > MAX_LAG:
            self._origin = now - float(time)
        return self._origin + float(time) - now
