"""Frame rates as exact fractions, and the part of a source that `start` and `duration` keep."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from math import ceil

from mjpeg_restore.errors import SourceError

Rate = Fraction | int | float | str

DEFAULT_FPS = Fraction(25)
"""Frames per second where nothing states them (quirk T1)."""

_FINEST = 100_000
"""Denominator of a rate: numerator and denominator have 31 bits each in FFmpeg."""
_HUGE = re.compile(r"e[+-]?0*[1-9]\d\d", re.IGNORECASE)
"""An exponent that is not worth the time and memory that its exact value would take."""
_LONGEST = 10**9
"""Seconds; times beyond would not fit FFmpeg's 64 bits in every unit."""

_NTSC = {
    Fraction(text): Fraction(round(Fraction(text)) * 1000, 1001)
    for text in ("23.976", "23.98", "29.97", "47.952", "47.95", "59.94", "119.88")
}


def parse_rate(value: Rate) -> Fraction:
    """Frames per second as an exact fraction.

    Args:
        value: 15, "15", "30000/1001", 12.5, ... The customary decimals of NTSC's rates mean those rates:
            "29.97" is 30000/1001. Others are kept to five digits, which is all that video files hold.

    Raises:
        SourceError: not a number, or not within 1/1000 to 1000.
    """
    try:
        # A float's own digits are what was typed: 29.97, not the nearest binary fraction.
        rate = _typed(str(value)) if isinstance(value, float | str) else Fraction(value)
    except (ValueError, ZeroDivisionError):
        raise SourceError(f"{value!r} is no frame rate: give frames per second: 25, 30000/1001") from None
    if not Fraction(1, 1000) <= rate <= 1000:
        raise SourceError(f"{value} frames per second is out of range: give 0.001 to 1000")
    return _NTSC.get(rate, rate.limit_denominator(_FINEST))


def _typed(word: str) -> Fraction:
    if _HUGE.search(word):
        raise ValueError(word)
    return Fraction(word.strip())


@dataclass(frozen=True, slots=True)
class Window:
    """The part of a time line that is kept, in ticks of one time base."""

    first: int | None = None
    """First tick that is kept; None for everything from the beginning."""
    end: int | None = None
    """First tick that is not kept any more, or None."""
    shift: int = 0
    """What is taken off every time stamp, so that the cut becomes time 0."""

    @classmethod
    def cut(cls, time_base: Fraction, start: Fraction | None, duration: Fraction | None, origin: int = 0) -> Window:
        """The window from `start` for `duration` seconds, counted from tick `origin`.

        The cut moves up to the next tick, for every track alike: the first picture of a constant frame
        rate lands on 0, and sound and pictures keep their distance. Without `start` no time stamp changes.
        """
        first = origin + ceil(start / time_base) if start else None
        end = None if duration is None else (origin if first is None else first) + ceil(duration / time_base)
        return cls(first, end, first or 0)

    def rescaled(self, old: Fraction, new: Fraction) -> Window:
        """The same window in ticks of `new` seconds instead of `old`."""
        ratio = old / new
        return Window(
            None if self.first is None else ceil(self.first * ratio),
            None if self.end is None else ceil(self.end * ratio),
            round(self.shift * ratio),
        )

    def holds(self, pts: int) -> bool:
        """Whether that tick is kept."""
        return (self.first is None or pts >= self.first) and not self.over(pts)

    def over(self, pts: int) -> bool:
        """Whether that tick and all later ones are beyond the end."""
        return self.end is not None and pts >= self.end

    def clipped(self, pts: int, length: int) -> int:
        """How much of a time of `length` ticks from `pts` on is kept."""
        return length if self.end is None else min(length, self.end - pts)

    def count(self, total: int) -> int:
        """How many of the ticks 0 to `total` - 1 are kept."""
        return max(0, (total if self.end is None else min(total, self.end)) - (self.first or 0))


def check_cut(start: Fraction | None, duration: Fraction | None) -> None:
    """Refuse a cut that cannot be meant.

    Raises:
        SourceError: a negative start, a duration that is not positive, or more than any recording lasts.
    """
    if start is not None and not 0 <= start <= _LONGEST:  # not so of NaN either
        raise SourceError(f"a start at {_seconds(start)} lies outside of any recording: give 0 or more seconds")
    if duration is not None and not 0 < duration <= _LONGEST:
        raise SourceError(f"a duration of {_seconds(duration)} makes no sense: give more than 0 seconds")


def _seconds(value: Fraction) -> str:
    return f"{float(value):g} s" if abs(value) <= _LONGEST else f"more than {_LONGEST} s"


def kept_duration(total: Fraction | None, start: Fraction | None, duration: Fraction | None) -> Fraction | None:
    """Seconds that a cut leaves of `total`; None where that is not known."""
    if total is None:
        return duration
    rest = max(Fraction(0), total - (start or 0))
    return rest if duration is None else min(rest, duration)


def nothing_left(name: str, length: Fraction | None) -> SourceError:
    """The error for a start that lies behind the last picture; `length` in seconds where it is known."""
    lasts = "" if length is None else f", which lasts {float(length):g} s"
    return SourceError(f"the start lies behind the last picture of {name}{lasts}: give an earlier one")
