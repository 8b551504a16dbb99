"""Frame rates as exact fractions, and the time window that `start` and `duration` select."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from math import ceil

from mjpeg_restore.errors import SourceError

Rate = Fraction | int | float | str

DEFAULT_FPS = Fraction(25)
"""Frames per second of sources without time stamps (quirk T1)."""

_MAX_DENOMINATOR = 100_000
"""Largest denominator of a rate: FFmpeg stores numerator and denominator in 31 bits each."""
_HUGE_EXPONENT = re.compile(r"e[+-]?0*[1-9]\d\d", re.IGNORECASE)
"""Three digits or more: the exact value of such a number could take gigabytes."""
_MAX_SECONDS = 10**9
"""Longer times would not fit FFmpeg's 64 bits in every time base."""

_NTSC = {
    Fraction(text): Fraction(round(Fraction(text)) * 1000, 1001)
    for text in ("23.976", "23.98", "29.97", "47.952", "47.95", "59.94", "119.88")
}


def parse_rate(value: Rate) -> Fraction:
    """Frames per second as an exact fraction.

    Args:
        value: 15, "15", "30000/1001", 12.5, ... The usual decimals of NTSC rates stand for the exact rates: "29.97" is
            30000/1001. Other values are rounded to a denominator of at most 100,000, which video files can hold.

    Raises:
        SourceError: not a number, or outside 1/1000 to 1000.
    """
    try:
        # By its decimal digits: 29.97, not the nearest binary fraction.
        rate = _exact(str(value)) if isinstance(value, float | str) else Fraction(value)
    except (ValueError, ZeroDivisionError):
        raise SourceError(f"{value!r} is no frame rate: give frames per second: 25, 30000/1001") from None
    if not Fraction(1, 1000) <= rate <= 1000:
        raise SourceError(f"{value} frames per second is out of range: give 0.001 to 1000")
    return _NTSC.get(rate, rate.limit_denominator(_MAX_DENOMINATOR))


def _exact(number: str) -> Fraction:
    if _HUGE_EXPONENT.search(number):
        raise ValueError(number)
    return Fraction(number.strip())


@dataclass(frozen=True, slots=True)
class TimeWindow:
    """The part of a timeline to keep, in ticks of one time base."""

    first: int | None = None
    """First tick to keep; None: keep from the beginning."""
    end: int | None = None
    """First tick after the window; None: keep to the end."""
    shift: int = 0
    """Ticks subtracted from every time stamp, so that the window starts at 0."""

    @classmethod
    def from_seconds(
        cls, time_base: Fraction, start: Fraction | None, duration: Fraction | None, origin: int = 0
    ) -> TimeWindow:
        """The window of `duration` seconds from `start` on, in seconds after tick `origin`.

        Both ends are rounded up to a tick: the first picture of a constant frame rate gets time 0, and sound and
        pictures stay in sync. Without `start` no time stamp changes.
        """
        first = origin + ceil(start / time_base) if start else None
        end = None if duration is None else (origin if first is None else first) + ceil(duration / time_base)
        return cls(first, end, first or 0)

    def rescaled(self, old: Fraction, new: Fraction) -> TimeWindow:
        """The same window in ticks of `new` seconds instead of `old`."""
        ratio = old / new
        return TimeWindow(
            None if self.first is None else ceil(self.first * ratio),
            None if self.end is None else ceil(self.end * ratio),
            round(self.shift * ratio),
        )

    def contains(self, pts: int) -> bool:
        """Whether a tick lies within the window."""
        return (self.first is None or pts >= self.first) and not self.is_past(pts)

    def is_past(self, pts: int) -> bool:
        """Whether a tick, and with it all later ones, lies after the window."""
        return self.end is not None and pts >= self.end

    def clip_duration(self, pts: int, duration: int) -> int:
        """Limit a duration in ticks, from `pts` on, to the end of the window."""
        return duration if self.end is None else min(duration, self.end - pts)

    def count(self, total: int) -> int:
        """How many of the ticks 0 to `total` - 1 lie within the window."""
        return max(0, (total if self.end is None else min(total, self.end)) - (self.first or 0))


def check_cut(start: Fraction | None, duration: Fraction | None) -> None:
    """Check `start` and `duration`, in seconds.

    Raises:
        SourceError: the start is negative, the duration is not positive, or one of them exceeds 10^9 seconds.
    """
    if start is not None and not 0 <= start <= _MAX_SECONDS:  # False for NaN, too
        raise SourceError(f"a start at {_seconds(start)} lies outside of any recording: give 0 or more seconds")
    if duration is not None and not 0 < duration <= _MAX_SECONDS:
        raise SourceError(f"a duration of {_seconds(duration)} makes no sense: give more than 0 seconds")


def _seconds(value: Fraction) -> str:
    return f"{float(value):g} s" if abs(value) <= _MAX_SECONDS else f"more than {_MAX_SECONDS} s"


def kept_duration(total: Fraction | None, start: Fraction | None, duration: Fraction | None) -> Fraction | None:
    """Length in seconds of the window of a recording of `total` seconds; None if unknown."""
    if total is None:
        return duration
    rest = max(Fraction(0), total - (start or 0))
    return rest if duration is None else min(rest, duration)


def start_after_end(name: str, length: Fraction | None) -> SourceError:
    """The error for a start after the last picture; `length` in seconds, None if unknown."""
    lasts = "" if length is None else f", which lasts {float(length):g} s"
    return SourceError(f"the start lies after the last picture of {name}{lasts}: give an earlier one")
