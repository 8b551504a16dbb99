"""Corrects restart markers: wrong numbers, markers without a DRI, and a DRI without markers (D1).

libjpeg trusts the number of a marker: where it expects another one, it assumes that intervals are lost. Other decoders
only count the markers, so that encoders can number them as they like.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

from mjpeg_restore.jpeg.entropy import Scan, Walk

_RST0 = 0xD0
_LARGEST = 0xFFFF


def put_right(data: bytes, scan: Scan, walks: Sequence[Walk]) -> bytes | None:
    """Correct the DRI and the numbers of the restart markers, as the intervals themselves tell.

    Args:
        data: the picture.
        scan: its only scan.
        walks: what stands between its restart markers.

    Returns:
        The corrected picture; None where nothing is wrong, or where the intervals do not tell.
    """
    interval = _interval(scan, walks)
    numbers = [data[at + 1] - _RST0 for at in scan.restarts]
    wanted = [index % 8 for index in range(len(numbers))]
    # Where an interval is lost the numbers alone say which: then they stay, unless the picture is only cut off.
    complete = interval > 0 and _fits(scan, walks, interval)
    steps = {(after - before) % 8 for before, after in pairwise(numbers)}
    cut_off = scan.stop == len(data) and steps in ({0}, {1}) and walks[0].mcus == interval
    misnumbered = numbers != wanted and (complete or cut_off)
    if interval == scan.restart_interval and not misnumbered:
        return None
    mended = bytearray(data)
    if misnumbered:
        _number(mended, scan)
    if interval != scan.restart_interval:
        _announce(mended, scan, interval)
    return bytes(mended)


def put_right_by_count(data: bytes, scans: Sequence[Scan]) -> bytes | None:
    """The same for scans that cannot be walked through: the number of their markers tells.

    Args:
        data: the picture.
        scans: all of its scans.
    """
    mended = bytearray(data)
    for scan in reversed(scans):  # so that offsets stay as they are
        interval = scan.restart_interval or _likely_interval(scan)
        if interval and len(scan.restarts) - _idle(scan) == _needed(scan, interval):
            _number(mended, scan)
            if not scan.restart_interval:
                _announce(mended, scan, interval)
    result = bytes(mended)
    return None if result == data else result


def _likely_interval(scan: Scan) -> int:
    """MCUs between markers that no DRI announces: whole rows, or the only number that needs so many; 0: neither."""
    count = len(scan.restarts) - _idle(scan)
    if count < 2:  # a flipped bit may look like a marker
        return 0
    least, most = -(-scan.mcus // (count + 1)), -(-scan.mcus // count) - 1
    rows = most // scan.wide * scan.wide
    return rows if rows >= least else least if least == most else 0


def _idle(scan: Scan) -> bool:
    """Whether a marker stands behind the last interval, as some encoders have it."""
    return scan.restarts[-1:] == (scan.stop - 2,)


def _number(data: bytearray, scan: Scan) -> None:
    for index, at in enumerate(scan.restarts):
        data[at + 1] = _RST0 + index % 8


def _announce(data: bytearray, scan: Scan, interval: int) -> None:
    data[scan.offset : scan.offset] = b"\xff\xdd\x00\x04" + interval.to_bytes(2, "big")


def _needed(scan: Scan, interval: int) -> int:
    return -(-scan.mcus // interval) - 1


def _fits(scan: Scan, walks: Sequence[Walk], interval: int) -> bool:
    """Whether there are as many restart markers as such intervals need; encoders may add one behind the last."""
    return len(scan.restarts) == _needed(scan, interval) + (walks[-1].mcus == 0)


def _interval(scan: Scan, walks: Sequence[Walk]) -> int:
    """MCUs between two restart markers: as DRI says, unless the intervals themselves say otherwise."""
    stated = scan.restart_interval
    if not scan.restarts:
        # Markers are announced and do not come, though the data go on without them.
        return 0 if 0 < stated < walks[0].mcus else stated
    counts = Counter(found.mcus for found in walks[:-1] if found.mcus)
    if not counts or counts[stated]:
        return stated
    # S9: with a few bytes too many an interval ends as if it were damaged, but its MCUs are there.
    count, times = counts.most_common(1)[0]
    if count > _LARGEST:
        return stated
    # A flipped bit may look like a marker. So one interval proves nothing unless all of them together make the picture;
    # three of the same length do, even if others are lost.
    adds_up = sum(found.mcus for found in walks) == scan.mcus and all(found.end == "clean" for found in walks)
    fits = _fits(scan, walks, count) and (adds_up or (times > 1 and 2 * times >= len(walks)))
    return count if fits or (times > 2 and 2 * times > len(walks)) else stated
