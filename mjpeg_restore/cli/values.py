"""The words of the command line that become numbers, times, rates and sizes."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable
from fractions import Fraction

from mjpeg_restore.errors import MjpegRestoreError
from mjpeg_restore.sinks import SegmentLimit
from mjpeg_restore.sources import parse_rate

_PERIOD = re.compile(r"([0-9]+\.?[0-9]*|\.[0-9]+)(ms|s|m|h|d)?")
_SECONDS_OF = {"ms": Fraction(1, 1000), "s": Fraction(1), "m": Fraction(60), "h": Fraction(3600), "d": Fraction(86400)}

_BYTES = re.compile(r"([0-9]+\.?[0-9]*)(k|M|G|T)(i?)B", re.IGNORECASE)
_THOUSANDS = {"k": 1, "m": 2, "g": 3, "t": 4}

_SECONDS = re.compile(r"[0-9]+\.?[0-9]*|\.[0-9]+")
"""No exponent: the exact value of 1e999999999 is a gigabyte."""


def _argument(parse: Callable[[str], object], what: str, word: str) -> object:
    """The parsed word; an error of `parse` becomes "WORD is not WHAT"."""
    try:
        return parse(word)
    except (ValueError, ZeroDivisionError, MjpegRestoreError):
        raise argparse.ArgumentTypeError(f"{word!r} is not {what}") from None


def positive(word: str, most: int = 10**9) -> object:
    """A whole number from 1 to `most`."""
    number = _argument(int, "a whole number", word)
    if not isinstance(number, int) or not 1 <= number <= most:
        raise argparse.ArgumentTypeError(f"{word!r} is not between 1 and {most}")
    return number


def sound(word: str) -> object:
    """A number from 1, or "all"."""
    return word if word == "all" else positive(word)


def threads(word: str) -> object:
    """A number of threads."""
    return positive(word, 1024)


def seed(word: str) -> object:
    """A whole number from 0."""
    number = _argument(int, "a whole number", word)
    if not isinstance(number, int) or number < 0:
        raise argparse.ArgumentTypeError(f"{word!r} is not 0 or more")
    return number


def share(word: str) -> object:
    """A number from 0 to 1."""
    number = _argument(float, "a number", word)
    if not isinstance(number, float) or not 0 <= number <= 1:
        raise argparse.ArgumentTypeError(f"{word!r} is not between 0 and 1")
    return number


def rate(word: str) -> object:
    """Frames per second."""
    return _argument(parse_rate, "a frame rate such as 25 or 30000/1001", word)


def time(word: str) -> object:
    """Seconds, of a time such as 90, 1.5 or 1:30."""

    def seconds(text: str) -> Fraction:
        total = Fraction(0)
        for part in text.split(":"):
            if not _SECONDS.fullmatch(part):
                raise ValueError
            total = 60 * total + Fraction(part)
        if text.count(":") > 2:
            raise ValueError
        return total

    return _argument(seconds, "a time such as 90, 1.5 or 1:30", word)


def length(word: str) -> object:
    """Seconds, more than 0."""
    if not (length := time(word)):
        raise argparse.ArgumentTypeError(f"{word!r} is not more than 0 seconds")
    return length


def period(word: str) -> float:
    """Seconds, of a time such as 200ms, 10 or 5m."""
    return float(_exact_period(word))


def _exact_period(word: str) -> Fraction:
    found = _PERIOD.fullmatch(word)
    seconds = Fraction(found[1]) * _SECONDS_OF[found[2] or "s"] if found else Fraction(0)
    if not Fraction(1, 1000) <= seconds <= 10**9:
        raise argparse.ArgumentTypeError(f"{word!r} is not a time such as 200ms, 10s, 5m, 1h or 1d")
    return seconds


def segment(word: str) -> SegmentLimit:
    """When a recording goes on in a new file: a time, or a size such as 500MB."""
    if found := _BYTES.fullmatch(word):
        size = int(Fraction(found[1]) * (1024 if found[3] else 1000) ** _THOUSANDS[found[2].lower()])
        if size >= 1000:
            return SegmentLimit(size=size)
    elif _PERIOD.fullmatch(word) and (seconds := _exact_period(word)) >= 1:
        return SegmentLimit(seconds=seconds)
    raise argparse.ArgumentTypeError(f"{word!r} is not a length such as 10m or 1h, or a size such as 500MB or 1GB")


def size(word: str) -> tuple[int, int]:
    """Width and height in pixels."""
    found = re.fullmatch(r"([0-9]{1,5})x([0-9]{1,5})", word, re.IGNORECASE)
    size = (int(found[1]), int(found[2])) if found else (0, 0)
    if not all(0 < side <= 65535 for side in size):
        raise argparse.ArgumentTypeError(f"{word!r} is not a size such as 1280x720")
    return size


def capability(word: str) -> tuple[int, int]:
    """A GPU's compute capability."""
    found = re.fullmatch(r"([0-9]{1,2})\.([0-9])", word)
    if not found:
        raise argparse.ArgumentTypeError(f"{word!r} is not a compute capability such as 8.9")
    return int(found[1]), int(found[2])


def pair(word: str) -> tuple[str, str]:
    """A key and its value."""
    key, equals, value = word.partition("=")
    if not key or not equals:
        raise argparse.ArgumentTypeError(f"{word!r} is not KEY=VALUE")
    return key, value
