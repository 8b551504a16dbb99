"""From which row on a picture is damaged, told by the structure of its entropy-coded data (S2, S9, S11).

A sound scan holds as many MCUs as the picture has, ends with an MCU, and nothing but padding follows. Anything else
says what happened:

    the data end within an MCU                     cut off; everything above is exact
    they end with an MCU, and MCUs are missing     bytes are lost: somewhere above, decoding ran on into garbage
    MCUs are left over                             bytes stand twice, or foreign ones were put in
    an MCU that no encoder makes                   garbage, which begins a little above
    long runs of zero bytes, lines of text         what stands for lost bytes, and where

Where the place is not certain it is looked for in the picture (`seams.py`). Rather a row too many is given up than one
of garbage kept.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from mjpeg_restore.jpeg.entropy import Scan, Walk
from mjpeg_restore.jpeg.reader import Component
from mjpeg_restore.jpeg.seams import MARGIN, first_displaced

_ZEROS: Final = bytes(16)
"""So many zero bits are 42 coefficients of -1 in a row, if they do not code an end of block."""
_TEXT: Final = re.compile(rb"\r\n[\x20-\x7e]{14}")
"""The header of a part, or of a response, in the middle of a picture; by chance once in 60 billion bytes."""
_ZERO_RUN: Final = re.compile(rb"\0{16,}")

_LEFT_OVER: Final = 4
"""Bytes that may follow the last MCU before EOI, whatever they are."""
_LEFT_OVER_INSIDE: Final = 16
"""And before a restart marker: some cameras leave a few there in every picture (S9)."""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What is wrong with a scan."""

    row: int
    """First row of the scan's MCUs that is not to be trusted."""
    reason: str
    """In words, for the report."""


def has_foreign_bytes(data: bytes, start: int, stop: int) -> bool:
    """Whether the data of a scan may hold what no encoder writes: quick, and asked of every picture."""
    return data.find(_ZEROS, start, stop) >= 0 or _TEXT.search(data, start, stop) is not None


def diagnose(data: bytes, scan: Scan, walks: Sequence[Walk], luma: Component, *, broken: bool) -> Diagnosis | None:
    """Find the first damage of a picture.

    Args:
        data: the picture.
        scan: its only scan, which holds all components.
        walks: what stands between its restart markers.
        luma: as the library reads it.
        broken: a marker that has no place there ends the scan.

    Returns:
        The topmost damage, or None where the picture is whole.
    """
    interval = scan.restart_interval or scan.mcus
    foreign = _foreign_offset(data, scan)
    for index, found in enumerate(walks):
        first = index * interval
        expected = min(interval, scan.mcus - first)
        if expected <= 0:  # a restart marker behind the last interval
            return None
        last = index == len(walks) - 1
        if foreign is not None and foreign < found.stop:
            inside = int(np.searchsorted(found.starts, foreign, "right")) - 1
            if inside < expected:
                return Diagnosis((first + inside) // scan.wide, "foreign bytes in the scan")
        what = _judge(data, found, expected, last=last, broken=broken and last)
        if what is not None:
            return Diagnosis(_row(scan, found, first, what, luma), what)
        if not last and data[found.stop + 1] & 7 != index % 8:
            return Diagnosis((first + interval) // scan.wide, "a restart interval is missing")
    missing = len(walks) * interval
    if missing < scan.mcus:
        return Diagnosis(missing // scan.wide, _CUT)
    return None


_CUT = "the picture is cut off"
_LOST = "bytes are missing in the scan"
_DOUBLED = "bytes stand in the scan that do not belong there"
_GARBAGE = "an impossible code in the scan"
_BROKEN = "a marker in the scan that has no place there"


def _judge(data: bytes, found: Walk, expected: int, *, last: bool, broken: bool) -> str | None:
    """What is wrong with the data between two markers, in words; None where nothing is."""
    if found.mcus < expected:
        if found.end == "bad":
            return _GARBAGE
        if broken:
            return _BROKEN
        # By chance, one cut in twenty lies between two MCUs; without an end marker it is a cut rather than a loss.
        return _CUT if last and (found.end == "short" or found.stop == len(data)) else _LOST
    rest = data[int(found.starts[expected]) : found.stop]
    allowed = _LEFT_OVER if last else _LEFT_OVER_INSIDE
    if len(rest) < allowed or len({*rest}) == 1:  # S1, S3: a buffer that was padded is no damage
        return None
    # What was pushed back by other bytes goes on to be decoded; what a camera left there does not.
    goes_on = found.end == "clean" and found.mcus > expected
    return _DOUBLED if goes_on or (last and len(rest) >= _LEFT_OVER_INSIDE) else None


def _row(scan: Scan, found: Walk, first: int, what: str, luma: Component) -> int:
    """The row from which on `what` may have done harm, of data that begin with MCU `first`."""
    if what == _CUT:
        return (first + found.mcus) // scan.wide
    if scan.restart_interval:
        return first // scan.wide
    if what == _BROKEN:  # a flipped bit; longer garbage would have met an impossible code before
        return max(0, found.mcus // scan.wide - 1)
    if what == _GARBAGE:  # it betrays itself within two rows, seldom later
        return max(0, found.mcus // scan.wide - MARGIN)
    return first_displaced(luma, scan, found.mcus)


def _foreign_offset(data: bytes, scan: Scan) -> int | None:
    """Offset of the first bytes that stand for lost ones.

    Zero bits may be flat blocks, where a table's first code says so; then they are only foreign if nothing follows.
    """
    text = _TEXT.search(data, scan.start, scan.stop)
    at = [text.start()] if text else []
    flat = all(scan.tables[ac][16:17] == b"\0" for ac in scan.layout[1::2])
    for run in _ZERO_RUN.finditer(data, scan.start, scan.stop):
        if not flat or run.end() == len(data):
            at.append(run.start())
            break
    return min(at, default=None)
