"""Times, rates, sizes, limits and secrets as users write them, on the command line and in settings files.

Each function takes the words, and raises `ValueError` with a sentence that can be shown.
"""

from __future__ import annotations

import io
import os
import re
from fractions import Fraction
from pathlib import Path

from mjpeg_restore.errors import MjpegRestoreError, reason_of
from mjpeg_restore.sinks import SegmentLimit
from mjpeg_restore.sources import parse_rate

_PERIOD = re.compile(r"([0-9]+\.?[0-9]*|\.[0-9]+)(ms|s|m|h|d)?")
_SECONDS_OF = {"ms": Fraction(1, 1000), "s": Fraction(1), "m": Fraction(60), "h": Fraction(3600), "d": Fraction(86400)}

_BYTES = re.compile(r"([0-9]+\.?[0-9]*)(k|M|G|T)(i?)B", re.IGNORECASE)
_THOUSANDS = {"k": 1, "m": 2, "g": 3, "t": 4}

_MOST = 1 << 16
"""Bytes of a secret's file that are read: it may be a device without an end."""


def rate(word: str) -> Fraction:
    """Frames per second: "25", "29.97", "30000/1001"."""
    try:
        return parse_rate(word)
    except (ValueError, ZeroDivisionError, MjpegRestoreError):
        raise ValueError(f"{word!r} is not a frame rate such as 25 or 30000/1001") from None


def period(word: str) -> float:
    """Seconds, of a time such as "200ms", "10" or "5m"."""
    return float(_exact_period(word))


def _exact_period(word: str) -> Fraction:
    found = _PERIOD.fullmatch(word)
    seconds = Fraction(found[1]) * _SECONDS_OF[found[2] or "s"] if found else Fraction(0)
    if not Fraction(1, 1000) <= seconds <= 10**9:
        raise ValueError(f"{word!r} is not a time such as 200ms, 10s, 5m, 1h or 1d")
    return seconds


def segment(word: str) -> SegmentLimit:
    """When a recording goes on in a new file: a time, or a size such as "500MB"."""
    if found := _BYTES.fullmatch(word):
        size = int(Fraction(found[1]) * (1024 if found[3] else 1000) ** _THOUSANDS[found[2].lower()])
        if size >= 1000:
            return SegmentLimit(size=size)
    elif _PERIOD.fullmatch(word) and (seconds := _exact_period(word)) >= 1:
        return SegmentLimit(seconds=seconds)
    raise ValueError(f"{word!r} is not a length such as 10m or 1h, or a size such as 500MB or 1GB")


def size(word: str) -> tuple[int, int]:
    """Width and height in pixels: "1280x720"."""
    found = re.fullmatch(r"([0-9]{1,5})x([0-9]{1,5})", word, re.IGNORECASE)
    size = (int(found[1]), int(found[2])) if found else (0, 0)
    if not all(0 < side <= 65535 for side in size):
        raise ValueError(f"{word!r} is not a size such as 1280x720")
    return size


def threads(word: str) -> int:
    """A number of threads."""
    return positive(word, 1024)


def positive(word: str, most: int = 10**9, least: int = 1) -> int:
    """A whole number from `least`, 1 or 0, to `most`."""
    try:
        number = int(word)
    except ValueError:
        raise ValueError(f"{word!r} is not a whole number") from None
    if not least <= number <= most:
        raise ValueError(f"{word!r} is not between {least} and {most}")
    return number


def secret_in(path: Path) -> str:
    """The text of a file, such as a password, without the line end behind it. Messages do not show it.

    It may be a pipe such as `<(pass show door)`. One that nobody writes to is an error: a writer might never come, and
    a command that waits for it hears no signal.
    """
    try:
        data = _read_pipe(path) if path.is_fifo() else _read_file(path)
        content = data.decode("utf-8-sig")  # editors of Windows begin with a mark
    except UnicodeDecodeError:
        raise ValueError(f"{path} is no text in UTF-8") from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise ValueError(f"{path} cannot be read ({reason_of(error)})") from None
    return content.removesuffix("\n").removesuffix("\r")


def _read_file(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_MOST)


def _read_pipe(path: Path) -> bytes:
    """Read a pipe to its end.

    Raises:
        OSError: nobody has it open for writing, and nothing is left in it; or it cannot be read.
    """
    number = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    with open(number, "rb", buffering=0) as pipe:
        first = pipe.read(_MOST)  # None: there is a writer, which has not written yet
        if first == b"":
            raise OSError("nobody writes to this pipe")
        os.set_blocking(number, True)
        with io.BufferedReader(pipe) as rest:
            return (first or b"") + rest.read(_MOST)
