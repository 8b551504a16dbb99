"""The headers of a part: what stands between two pictures of a stream, read tolerantly."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from typing import Final, Self

_LINE_BEFORE_HEADERS = re.compile(rb"^(?:--|HTTP/)[^\n]*\n", re.MULTILINE)
"""A boundary (M1, M7) or a status line (M8): earlier headers do not concern the picture."""
_END = re.compile(rb"\n\r?\n")
_HEADER = re.compile(
    rb"^[ \t]*(content-length|x-timestamp)[ \t]*:[ \t]*\"?([0-9]{1,20}(?:\.[0-9]{1,9})?)", re.MULTILINE | re.IGNORECASE
)
_HEADER_LINE = re.compile(rb"[A-Za-z][A-Za-z0-9_-]*[ \t]*:[^\n]*\n|\r?\n")
_FIRST_LINE = re.compile(rb"(?:--|HTTP/)[^\n]*\n")

_UNITS: Final = ((10**17, 10**9), (10**14, 10**6), (10**11, 10**3))
"""(least value, units a second): seconds since 1970 are a number of ten digits; a longer one is of a smaller unit."""


@dataclass(frozen=True, slots=True)
class PartHeaders:
    """The headers of one part, as far as they matter; its Content-Type does not (M5)."""

    length: int | None
    """Content-Length; None if it is missing (M4) or no number."""
    stamp: Fraction | None
    """X-Timestamp in seconds."""
    end: int
    """Offset at which the body begins: behind the empty line."""

    @classmethod
    def parse(cls, gap: bytes) -> Self:
        """Read the headers in the bytes between two pictures. Lines may end without a CR."""
        begin = max((found.end() for found in _LINE_BEFORE_HEADERS.finditer(gap)), default=0)
        values: dict[bytes, bytes] = {}
        last = begin
        for found in _HEADER.finditer(gap, begin):
            values[found[1].lower()] = found[2]
            last = found.end()
        end = _END.search(gap, last)
        # Behind empty lines and nothing else, servers count from the picture on.
        body = end.end() if end and gap[end.end() :].strip() else len(gap)
        length, stamp = values.get(b"content-length", b""), values.get(b"x-timestamp")
        return cls(int(length) if length.isdigit() else None, None if stamp is None else _seconds(stamp), body)


def header_start(data: bytes | bytearray, end: int, reach: int) -> int:
    """Offset at which the boundary and the headers begin that end at `end`; `end` if there are none.

    Args:
        data: holds them.
        end: where a picture begins.
        reach: bytes before `end` that are searched.
    """
    start = end
    first = max(0, end - reach)
    while start > first:
        line = data.rfind(b"\n", first, start - 1) + 1
        if line == 0:
            break
        if _FIRST_LINE.fullmatch(data, line, start):
            start = line
            break
        if not _HEADER_LINE.fullmatch(data, line, start):
            break
        start = line
    # The line break in front of a boundary belongs to it.
    if start < end and data[start - 1 : start] == b"\n":
        start -= 1 + (data[start - 2 : start - 1] == b"\r")
    return start


def _seconds(stamp: bytes) -> Fraction:
    """A time in seconds; ESP32 and mjpg-streamer write them with a fraction, others milliseconds since 1970."""
    value = Fraction(stamp.decode())
    return next((value / units for least, units in _UNITS if value >= least), value)
