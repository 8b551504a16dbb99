"""Foreign bytes in a scan: runs of zeros and lines of text, which no encoder writes (S3, S9).

Transports and buffers put them in the place of lost bytes, or between the picture's own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

import numpy as np

from mjpeg_restore.jpeg.entropy import Scan, Walk
from mjpeg_restore.jpeg.seams import MARGIN

_ZEROS: Final = bytes(16)
"""The shortest foreign run of zeros: in the standard tables its bits are 42 coefficients of -1 in a row, which no
picture has."""
_ZERO_RUN: Final = re.compile(rb"\0{16,}")
_LINE_END: Final = b"\r\n"
_TEXT: Final = re.compile(rb"\r\n[\r\n\x20-\x7e]{14}")
"""The header of a multipart part or of an HTTP response; random bytes match once in 50 billion."""
_PRINTABLE: Final = re.compile(rb"[\r\n\x20-\x7e]*\Z")
_LINE_START: Final = re.compile(rb"(?:--|HTTP/|(?i:content-))[\r\n\x20-\x7e]*\Z")
"""A boundary, a status line or a header, up to the end of its line."""
_PIECE: Final = 1 << 16
"""Bytes that are searched for line ends at a time: if there are many, so are their offsets."""
_LONGEST_LINE: Final = 256
"""Bytes in front of the first line end that may belong to its line."""
_SHORTEST_REST: Final = 4
"""Fewer bytes than this behind the last block are harmless: sound scans may end with a few."""
_ZERO_END: Final = 4
"""Zero bytes that cannot end a sound scan, which ends with two or three of its own at most."""
_ROW_START: Final = 2
"""MCUs at the start of a row that code the DC change to a flat area of full width; zero bytes follow legitimately."""


def has_foreign_bytes(data: bytes, start: int, stop: int) -> bool:
    """Whether a scan may hold foreign bytes; fast, because every picture is searched."""
    return foreign_offset(data, start, stop) < stop


def foreign_offset(data: bytes, start: int, stop: int) -> int:
    """Offset of the first foreign bytes in a scan, or `stop`.

    Printable bytes in front of a line end may be the scan's own; they are foreign where a line of text begins in them.
    """
    zeros = data.find(_ZEROS, start, stop)
    end = _line_end(data, start, stop)
    line = _LINE_START.search(data, max(start, end - _LONGEST_LINE), end) if end < stop else None
    return min(line.start() if line else end, zeros if zeros >= 0 else stop)


def _text_offset(data: bytes, start: int, stop: int) -> int:
    """Offset of the first line of text, with all printable bytes in front of its end; or `stop`."""
    end = _line_end(data, start, stop)
    line = _PRINTABLE.search(data, max(start, end - _LONGEST_LINE), end) if end < stop else None
    return line.start() if line else end


def _line_end(data: bytes, start: int, stop: int) -> int:
    """Offset of the first line end that text follows, or `stop`."""
    ends = _line_ends(data, start, min(stop, len(data)))
    return next((at for at in ends if _TEXT.match(data, at, stop)), stop)


def _line_ends(data: bytes, start: int, stop: int) -> Iterator[int]:
    """Offsets of line ends, of which random bytes hold one in 65,000. `bytes.find` would take five times as long, and
    the expression alone ten times."""
    for first in range(start, stop, _PIECE):
        codes = np.frombuffer(data, np.uint8, min(_PIECE + 1, stop - first), first)
        returns = np.flatnonzero(codes[:-1] == _LINE_END[0])
        yield from (returns[codes[returns + 1] == _LINE_END[1]] + first).tolist()


def is_padding(rest: bytes) -> bool:
    """S1, S3: whether the bytes behind the last block are harmless: a padded buffer, or a boundary in place of EOI."""
    return len(rest) < _SHORTEST_REST or len({*rest[: _text_offset(rest, 0, len(rest))]}) <= 1


def foreign_mcu(data: bytes, scan: Scan, walk: Walk, first: int, expected: int) -> int | None:
    """The first MCU between two markers that holds foreign bytes; None without any.

    Args:
        data: the picture.
        scan: one of its scans.
        walk: the MCUs between the markers.
        first: number of the first of these MCUs within the scan.
        expected: how many MCUs of the picture lie between the markers.

    Returns:
        The number of the MCU, counted from `first`.
    """
    start = int(walk.starts[0])
    end = int(walk.starts[expected]) if walk.mcus >= expected else walk.stop
    text = _TEXT.search(data, start, walk.stop)
    stop = text.start() if text else walk.stop
    offsets: list[int] = []
    if stop < end:
        offsets.append(_text_offset(data, start, walk.stop))
    for run in _ZERO_RUN.finditer(data, start, stop):
        if _is_foreign(run.span(), scan, walk, first, expected, stop):
            offsets.append(run.start())
            break
    return int(np.searchsorted(walk.starts, min(offsets), "right")) - 1 if offsets else None


def _is_foreign(run: tuple[int, int], scan: Scan, walk: Walk, first: int, expected: int, stop: int) -> bool:
    """Whether a run of zero bytes replaces lost bytes, and is neither flat blocks nor the end of a padded buffer.

    If the first code of each AC table is the end of a block, zero bits are flat blocks. Then a run is foreign where it
    makes too many MCUs, where garbage follows it, or where it reaches the end from the middle of a row.
    """
    whole = walk.mcus >= expected
    end = int(walk.starts[expected]) if whole else stop
    if any(scan.tables[ac][16:17] != b"\0" for ac in scan.layout[1::2]):
        return min(run[1], end) - run[0] >= _ZERO_END
    begun, ended, decoded = (int(np.searchsorted(walk.starts, at)) for at in (*run, stop))
    if run[1] == stop:
        goes_on = not whole or min(end - run[0], run[1] - end) >= len(_ZEROS)
        return goes_on and (first + begun) % scan.wide > _ROW_START
    garbage = walk.end == "bad" and not whole and walk.mcus - ended <= MARGIN * scan.wide
    return garbage or (ended - begun) // 2 < decoded - expected <= ended - begun
