"""Corrects restart markers: wrong numbers, markers without a DRI, and a DRI without markers (D1).

libjpeg takes an unexpected number of a marker for the loss of intervals. Other decoders only count the markers, so
pictures of encoders that number them wrongly look right elsewhere.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from mjpeg_restore.jpeg.entropy import Scan, Walk

_RST0: Final = 0xD0
_LARGEST: Final = 0xFFFF
"""DRI has 16 bits."""


def correct(data: bytes, scan: Scan, walks: Sequence[Walk]) -> bytes | None:
    """Correct the DRI and the numbers of the restart markers by the MCUs of the intervals.

    Args:
        data: the picture.
        scan: its only scan.
        walks: the MCUs of each interval.

    Returns:
        The corrected picture; None where nothing is wrong, or where the intervals prove nothing.
    """
    interval = _interval(scan, walks)
    numbers = [data[at + 1] - _RST0 for at in scan.restarts]
    wanted = [index % 8 for index in range(len(numbers))]
    # If an interval is lost, only the numbers tell which; so they stay, unless the picture is merely cut off.
    complete = interval > 0 and _fits(scan, walks, interval)
    steps = {(after - before) % 8 for before, after in pairwise(numbers)}
    cut_off = scan.stop == len(data) and steps in ({0}, {1}) and walks[0].mcus == interval
    misnumbered = numbers != wanted and (complete or cut_off)
    if interval == scan.restart_interval and not misnumbered:
        return None
    corrected = bytearray(data)
    if misnumbered:
        _renumber(corrected, scan)
    if interval != scan.restart_interval:
        _insert_dri(corrected, scan, interval)
    return bytes(corrected)


def correct_by_count(data: bytes, scans: Sequence[Scan]) -> bytes | None:
    """Correct scans that cannot be walked, by the count of their restart markers.

    Args:
        data: the picture.
        scans: all of its scans.

    Returns:
        The corrected picture; None where nothing is wrong, or where the counts prove nothing.
    """
    corrected = bytearray(data)
    for scan in reversed(scans):  # a DRI that is inserted moves only the scans behind it
        interval = scan.restart_interval or _likely_interval(scan)
        if interval and len(scan.restarts) - _has_final_marker(scan) == _markers_needed(scan, interval):
            _renumber(corrected, scan)
            if not scan.restart_interval:
                _insert_dri(corrected, scan, interval)
    result = bytes(corrected)
    return None if result == data else result


def _likely_interval(scan: Scan) -> int:
    """The restart interval of a scan without DRI: whole rows, or the only interval that fits the count; 0: neither."""
    count = len(scan.restarts) - _has_final_marker(scan)
    if count < 2:  # a flipped bit may look like a marker
        return 0
    least, most = -(-scan.mcus // (count + 1)), -(-scan.mcus // count) - 1
    rows = most // scan.wide * scan.wide
    return rows if rows >= least else least if least == most else 0


def _has_final_marker(scan: Scan) -> bool:
    """Whether a restart marker stands behind the last interval; some encoders write one."""
    return scan.restarts[-1:] == (scan.stop - 2,)


def _renumber(data: bytearray, scan: Scan) -> None:
    """Number the restart markers from 0 to 7, over and over (T.81, B.2.1)."""
    for index, at in enumerate(scan.restarts):
        data[at + 1] = _RST0 + index % 8


def _insert_dri(data: bytearray, scan: Scan, interval: int) -> None:
    """Define the restart interval in front of the scan."""
    data[scan.offset : scan.offset] = b"\xff\xdd\x00\x04" + interval.to_bytes(2, "big")


def _markers_needed(scan: Scan, interval: int) -> int:
    return -(-scan.mcus // interval) - 1


def _fits(scan: Scan, walks: Sequence[Walk], interval: int) -> bool:
    """Whether the count of restart markers fits an interval; encoders may add one behind the last interval."""
    return len(scan.restarts) == _markers_needed(scan, interval) + (walks[-1].mcus == 0)


def _interval(scan: Scan, walks: Sequence[Walk]) -> int:
    """MCUs between two restart markers: by DRI, unless the MCUs of the intervals prove another number."""
    stated = scan.restart_interval
    if not scan.restarts:
        # DRI announces markers, but the data go on without any.
        return 0 if 0 < stated < walks[0].mcus else stated
    counts = Counter(walk.mcus for walk in walks[:-1] if walk.mcus)
    if not counts or counts[stated]:
        return stated
    # S9: extraneous bytes make an interval end as if it were damaged, but its MCUs are there.
    count, times = counts.most_common(1)[0]
    if count > _LARGEST:
        return stated
    # A flipped bit may look like a marker. So one interval proves nothing, unless all MCUs add up to the picture; three
    # intervals of one length are proof, even if others are lost.
    adds_up = sum(walk.mcus for walk in walks) == scan.mcus and all(walk.end == "clean" for walk in walks)
    fits = _fits(scan, walks, count) and (adds_up or (times > 1 and 2 * times >= len(walks)))
    return count if fits or (times > 2 and 2 * times > len(walks)) else stated
