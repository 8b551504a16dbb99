"""Finds the first damaged row of a scan by the structure of its entropy-coded data (S2, S9, S11).

A sound scan holds as many MCUs as the picture, ends with an MCU, and only padding follows. Each deviation has a
typical cause:

    the data end within an MCU                       the picture is cut off; all rows above are exact
    the data end with an MCU, and MCUs are missing   bytes are lost; some rows above are garbage
    MCUs are left over                               bytes are doubled or foreign
    an MCU that no encoder writes                    garbage, which begins a few rows above
    long runs of zero bytes, lines of text           foreign bytes replace lost ones (`foreign_bytes.py`)

If the structure does not show the row, `seams.py` searches the picture for it. In doubt the row is chosen too high: a
sound row that is given up does less harm than a row of garbage that is kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from mjpeg_restore.jpeg.entropy import Scan, Walk
from mjpeg_restore.jpeg.foreign_bytes import foreign_mcu, is_padding
from mjpeg_restore.jpeg.reader import Component
from mjpeg_restore.jpeg.seams import MARGIN, first_displaced

_LEFT_OVER: Final = (4, 16)
"""Bytes behind the last MCU and before EOI that are foreign: the first number if they decode to MCUs, the second in any
case."""
_LEFT_OVER_INSIDE: Final = (16, 64)
"""The same before a restart marker: some cameras leave a few bytes there in every picture (S9)."""

_CUT: Final = "the picture is cut off"
_LOST: Final = "bytes are missing in the scan"
_DOUBLED: Final = "bytes stand in the scan that do not belong there"
_GARBAGE: Final = "an impossible code in the scan"
_FALSE_MARKER: Final = "a marker in the scan that has no place there"


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """The damage of a scan, or of a picture."""

    row: int
    """First damaged row of MCUs."""
    reason: str
    """The cause in words, for the report."""


def diagnose(
    data: bytes, scan: Scan, walks: Sequence[Walk], components: Sequence[Component], *, broken: bool
) -> Diagnosis | None:
    """Find the first damage of a scan.

    Args:
        data: the picture.
        scan: one of its scans.
        walks: the MCUs of each restart interval, in order.
        components: all of the picture, as the library read them.
        broken: true where a false marker ends the scan (S11).

    Returns:
        The topmost damage, by the scan's own rows; None for a sound scan.
    """
    interval = scan.restart_interval or scan.mcus
    for index, walk in enumerate(walks):
        first = index * interval
        expected = min(interval, scan.mcus - first)
        if expected <= 0:  # a restart marker behind the last interval
            return None
        foreign = foreign_mcu(data, scan, walk, first, expected)
        if foreign is not None:
            return Diagnosis((first + foreign) // scan.wide, "foreign bytes in the scan")
        last = index == len(walks) - 1
        # Without restart intervals a restart marker is a flipped bit, like other false markers.
        false_marker = broken if last else not scan.restart_interval
        reason = _reason(data, walk, expected, last=last, false_marker=false_marker)
        if reason is not None:
            return Diagnosis(_row(scan, walk, first, reason, components), reason)
        if not last and data[walk.stop + 1] & 7 != index % 8:
            # If the numbers of the markers do not count up, they do not show which interval is missing.
            row = (first + interval) // scan.wide if _count_up(data, scan) else 0
            return Diagnosis(row, "a restart interval is missing")
    missing = len(walks) * interval
    if missing < scan.mcus:
        return Diagnosis(missing // scan.wide, _CUT)
    return None


def _reason(data: bytes, walk: Walk, expected: int, *, last: bool, false_marker: bool) -> str | None:
    """The damage of the data between two markers, in words; None where they are sound.

    Args:
        data: the picture.
        walk: the MCUs between the markers.
        expected: number of MCUs of the picture between the markers.
        last: true for the last data of the scan.
        false_marker: true where the marker behind the data is a flipped bit.
    """
    if walk.mcus < expected:
        if walk.end == "bad":
            return _GARBAGE
        if false_marker:
            return _FALSE_MARKER
        # One cut in twenty lies between two MCUs by chance; without an end marker a cut is likelier than a loss.
        return _CUT if last and (walk.end == "short" or walk.stop == len(data)) else _LOST
    rest = data[int(walk.starts[expected]) : walk.stop]
    few, many = _LEFT_OVER if last else _LEFT_OVER_INSIDE
    if len(rest) < few or is_padding(rest):
        return None
    # The picture's own bytes, displaced by others, decode to more MCUs; the bytes that cameras leave do not.
    more_mcus = walk.end == "clean" and walk.mcus > expected
    return _DOUBLED if more_mcus or len(rest) >= many else None


def _row(scan: Scan, walk: Walk, first: int, reason: str, components: Sequence[Component]) -> int:
    """The first row that may be damaged, by the reason, in data that begin with MCU `first`."""
    if reason == _CUT:
        return (first + walk.mcus) // scan.wide
    if scan.restart_interval:
        return first // scan.wide
    if len(scan.components) < len(components):  # its rows hold too few blocks for the margins below
        return 0
    if reason == _FALSE_MARKER:  # a flipped bit: longer garbage would have ended with an impossible code
        return max(0, walk.mcus // scan.wide - 2)
    if reason == _GARBAGE:  # an impossible code comes within two rows of garbage, seldom later
        return max(0, walk.mcus // scan.wide - MARGIN)
    return first_displaced(components[0], scan, walk.mcus)


def _count_up(data: bytes, scan: Scan) -> bool:
    """Whether the numbers of the restart markers rise by one, with few gaps."""
    steps = [(data[after + 1] - data[before + 1]) % 8 for before, after in pairwise(scan.restarts)]
    return 0 not in steps and 2 * steps.count(1) >= len(steps) - 1
