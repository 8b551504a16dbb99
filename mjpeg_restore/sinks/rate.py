"""The frame rate of an output, where nobody states it."""

from __future__ import annotations

from fractions import Fraction

_HIGHEST = 240
"""A time base finer than this many units a second counts time, not pictures."""
_USUAL = Fraction(25)


def plausible_rate(time_base: Fraction) -> Fraction:
    """Pictures a second, where nothing but the time base is known."""
    return 1 / time_base if 1 <= 1 / time_base <= _HIGHEST else _USUAL
