"""Finds the first damaged row of a picture from the structure of its entropy-coded data (S2, S9, S11).

A sound scan holds as many MCUs as the picture has, ends with an MCU, and only padding follows. Anything else tells what
happened:

    the data end within an MCU                     cut off; everything above is exact
    they end with an MCU, and MCUs are missing     bytes are lost: somewhere above, decoding ran on into garbage
    MCUs are left over                             bytes stand twice, or foreign ones were put in
    an MCU that no encoder writes                  garbage, which begins a little above
    long runs of zero bytes, lines of text         they stand in the place of lost bytes

Where the place is uncertain, `seams.py` looks for it in the picture. It is better to give up a row too many than to
keep one of garbage.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np

from mjpeg_restore.jpeg.entropy import Scan, Walk
from mjpeg_restore.jpeg.reader import Component
from mjpeg_restore.jpeg.seams import MARGIN, first_displaced

_ZEROS: Final = bytes(16)
"""In the standard tables these bits are 42 coefficients of -1 in a row, which no picture has."""
_ZERO_RUN: Final = re.compile(rb"\0{16,}")
_LINE_END: Final = b"\r\n"
_TEXT: Final = re.compile(rb"\r\n[\r\n\x20-\x7e]{14}")
"""The header of a part, or of a response, in the middle of a picture; by chance once in 50 billion bytes."""
_PRINTABLE: Final = re.compile(rb"[\r\n\x20-\x7e]*\Z")
_LONGEST_LINE: Final = 256

_ZERO_END: Final = 4
"""So many zero bytes are not the end of a sound scan: its own last ones are at most two or three."""
_ROW_START: Final = 2
"""A flat area as wide as the picture begins behind so many MCUs of its first row: they code the change of DC."""

_LEFT_OVER: Final = (4, 16)
"""So many bytes behind the last MCU, before EOI, are foreign: the first if they can be decoded, the second always."""
_LEFT_OVER_INSIDE: Final = (16, 64)
"""The same before a restart marker: some cameras leave a few bytes there in every picture (S9)."""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What is wrong with a scan."""

    row: int
    """First row of the scan's MCUs that is not to be trusted."""
    reason: str
    """In words, for the report."""


def has_foreign_bytes(data: bytes, start: int, stop: int) -> bool:
    """Whether a scan may hold bytes that no encoder writes; quick, for every picture is searched."""
    return foreign_bytes(data, start, stop) < stop


def foreign_bytes(data: bytes, start: int, stop: int) -> int:
    """Offset of the first bytes in a scan that no encoder writes, or `stop`."""
    zeros = data.find(_ZEROS, start, stop)
    return min(_text_offset(data, start, stop), zeros if zeros >= 0 else stop)


def _text_offset(data: bytes, start: int, stop: int) -> int:
    """Offset of the first line of text, or `stop`."""
    found, at = None, data.find(_LINE_END, start, stop)
    while at >= 0 and found is None:  # one in 65,000 bytes by chance; the expression alone is three times as slow
        found, at = _TEXT.match(data, at, stop), data.find(_LINE_END, at + 1, stop)
    if found is None:
        return stop
    line = _PRINTABLE.search(data, max(start, found.start() - _LONGEST_LINE), found.start())
    return line.start() if line else found.start()


def is_padding(rest: bytes) -> bool:
    """S1, S3: whether bytes behind the last block are harmless: a padded buffer, or a boundary instead of EOI."""
    return len(rest) < _LEFT_OVER[0] or len({*rest[: _text_offset(rest, 0, len(rest))]}) <= 1


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
    for index, found in enumerate(walks):
        first = index * interval
        expected = min(interval, scan.mcus - first)
        if expected <= 0:  # a restart marker behind the last interval
            return None
        foreign = _foreign_mcu(data, scan, found, first, expected)
        if foreign is not None:
            return Diagnosis((first + foreign) // scan.wide, "foreign bytes in the scan")
        last = index == len(walks) - 1
        # A restart marker that does not belong to any interval is a flipped bit like other false markers.
        false_marker = broken if last else not scan.restart_interval
        what = _judge(data, found, expected, last=last, broken=false_marker)
        if what is not None:
            return Diagnosis(_row(scan, found, first, what, luma), what)
        if not last and data[found.stop + 1] & 7 != index % 8:
            # Where the numbers do not count up they do not say either which interval it is.
            row = (first + interval) // scan.wide if _count_up(data, scan) else 0
            return Diagnosis(row, "a restart interval is missing")
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
    few, many = _LEFT_OVER if last else _LEFT_OVER_INSIDE
    if len(rest) < few or is_padding(rest):
        return None
    # What was pushed back by other bytes goes on to be decoded; what a camera left there does not.
    goes_on = found.end == "clean" and found.mcus > expected
    return _DOUBLED if goes_on or len(rest) >= many else None


def _row(scan: Scan, found: Walk, first: int, what: str, luma: Component) -> int:
    """The first row that may be damaged, by what is wrong with data that begin with MCU `first`."""
    if what == _CUT:
        return (first + found.mcus) // scan.wide
    if scan.restart_interval:
        return first // scan.wide
    if what == _BROKEN:  # a flipped bit: longer garbage would have ended with an impossible code
        return max(0, found.mcus // scan.wide - 2)
    if what == _GARBAGE:  # it betrays itself within two rows, seldom later
        return max(0, found.mcus // scan.wide - MARGIN)
    return first_displaced(luma, scan, found.mcus)


def _count_up(data: bytes, scan: Scan) -> bool:
    """Whether the numbers of the restart markers rise by one, with few gaps."""
    steps = [(data[after + 1] - data[before + 1]) % 8 for before, after in pairwise(scan.restarts)]
    return 0 not in steps and 2 * steps.count(1) >= len(steps) - 1


def _foreign_mcu(data: bytes, scan: Scan, found: Walk, first: int, expected: int) -> int | None:
    """The first MCU, of those between two markers, that holds bytes which stand for lost ones; None where none does.

    `first` is the MCU of the scan with which the data begin, `expected` how many of them belong to the picture.
    """
    start = int(found.starts[0])
    end = int(found.starts[expected]) if found.mcus >= expected else found.stop
    text = _TEXT.search(data, start, found.stop)
    stop = text.start() if text else found.stop
    offsets: list[int] = []
    if stop < end:
        offsets.append(_text_offset(data, start, found.stop))
    for run in _ZERO_RUN.finditer(data, start, stop):
        if _is_foreign(run.span(), scan, found, first, expected, stop):
            offsets.append(run.start())
            break
    return int(np.searchsorted(found.starts, min(offsets), "right")) - 1 if offsets else None


def _is_foreign(run: tuple[int, int], scan: Scan, found: Walk, first: int, expected: int, stop: int) -> bool:
    """Whether a run of zero bytes stands in the place of lost ones, and does not just fill a buffer.

    Where the first code of each AC table is the end of a block, zero bits are flat blocks. Then a run is foreign if it
    makes too many MCUs, if garbage follows it, or if it goes on to the end from the middle of a row.
    """
    whole = found.mcus >= expected
    end = int(found.starts[expected]) if whole else stop
    if any(scan.tables[ac][16:17] != b"\0" for ac in scan.layout[1::2]):
        return min(run[1], end) - run[0] >= _ZERO_END
    begun, ended, decoded = (int(np.searchsorted(found.starts, at)) for at in (*run, stop))
    if run[1] == stop:
        goes_on = not whole or min(end - run[0], run[1] - end) >= len(_ZEROS)
        return goes_on and (first + begun) % scan.wide > _ROW_START
    garbage = found.end == "bad" and not whole and found.mcus - ended <= MARGIN * scan.wide
    return garbage or (ended - begun) // 2 < decoded - expected <= ended - begun
