"""Finds the row from which on a picture is displaced, for scans that hold too few or too many MCUs (S2).

Behind bytes that are lost, doubled or foreign, the decoder makes some garbage and then resynchronises with the codes.
All MCUs behind are displaced by some places and have other DC levels. At one seam the picture is discontinuous: between
the last row of MCUs in place and the first displaced one. It is continuous once the displaced MCUs are moved back.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from mjpeg_restore.jpeg.dct import DCT_MATRIX
from mjpeg_restore.jpeg.entropy import Scan
from mjpeg_restore.jpeg.reader import Component

_COSINES: Final = (DCT_MATRIX[:8, :8] * np.sqrt(8)).astype(np.float32)
"""float32 `[8, 8]`: the one-dimensional DCT, frequency by sample."""

_TRIES: Final = 4
"""Positions per row of MCUs at which a seam is tried."""
_MAX_TRIES: Final = 2048
"""Positions at most: each takes 0.1 ms, and a picture of 64 million pixels may be 65,500 rows high."""
_MIN_GAIN: Final = 0.7
"""Minimum gain of a seam: the part of its border that vanishes once the MCUs are moved back, in median borders."""
_MAX_REMAINDER: Final = 0.9
"""Maximum share of a seam's border that may remain once the MCUs are moved back."""
_GARBAGE_RATIO: Final = 2.0
"""A border above the seam belongs to the garbage if it exceeds this multiple of the median."""
MARGIN: Final = 3
"""Rows of MCUs given up above the seam found: smooth areas show a seam late."""


def first_displaced(luma: Component, scan: Scan, decoded: int) -> int:
    """The first row of MCUs that may be displaced or garbage, in a scan that decodes to a wrong number of MCUs.

    Args:
        luma: the first component, as the library read it.
        scan: the picture's only scan.
        decoded: MCUs in the data of the scan.

    Returns:
        The row; 0 where no seam stands out from the picture's own edges.
    """
    found = _borders(luma, scan, scan.mcus - decoded, min(decoded, scan.mcus))
    if not len(found):
        return 0
    place, border, left = found.T
    usual = float(np.median(border)) + 0.5
    gain = border / usual * (1 - left)
    best = int(gain.argmax())
    if gain[best] < _MIN_GAIN or left[best] > _MAX_REMAINDER:
        return 0
    while best > 0 and border[best - 1] > _GARBAGE_RATIO * usual:
        best -= 1
    return max(0, int(place[best]) // scan.wide - MARGIN)


def _borders(luma: Component, scan: Scan, moved: int, decoded: int) -> NDArray[np.float32]:
    """The positions at which a seam is tried: float32 `[positions, 3]`.

    The columns are the MCU, its border to the row above, and the share of that border which remains once the MCUs from
    there on are moved back by `moved`; the share is 1 where too few MCUs can be compared. A border is the mean absolute
    difference between the adjacent lines, in levels, after their median is subtracted, because DC levels differ.
    """
    top, bottom = _lines(luma, scan)
    wide = scan.wide
    rows = max(0, moved) // wide + 1  # up to the nearest row whose MCUs are in place
    found: list[tuple[float, float, float]] = []
    step = max(1, wide // _TRIES, decoded // _MAX_TRIES)
    for first in range(wide, decoded - wide // 2, step):
        index = np.arange(first, min(first + wide, decoded))
        here = top[index] - bottom[index - wide]
        left = 1.0
        for up in (rows, rows + 1):
            above = index + moved - up * wide
            known = (above >= 0) & (above < first)
            if known.sum() >= max(1, wide // 3):
                there = top[index[known]] - bottom[above[known]]
                left = min(left, _spread(there) / (_spread(here[known]) + 0.5))
        found.append((first, _spread(here), left))
    return np.array(found, np.float32).reshape(-1, 3)


def _spread(difference: NDArray[np.float32]) -> float:
    """The mean absolute deviation from the median."""
    return float(np.abs(difference - np.median(difference)).mean())


def _lines(luma: Component, scan: Scan) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The first and the last line of each MCU's luma: float32 `[mcus, samples across]`."""
    high, wide, _ = luma.coefficients.shape
    down, across = -(-high // scan.high), -(-wide // scan.wide)
    steps = np.ones(64, np.float32) if luma.table is None else luma.table.astype(np.float32)
    ends: list[NDArray[np.float32]] = []
    for first, line in ((0, 0), (down - 1, 7)):
        weights = steps.reshape(8, 8) * _COSINES[:, line, None]
        lines = np.zeros((scan.high, scan.wide * across, 8), np.float32)
        for row in range(scan.high):  # one at a time: all blocks as float32 would take twice their memory
            blocks = luma.coefficients[min(row * down + first, high - 1)].reshape(-1, 8, 8)
            # No matrix product: where memory runs out, OpenBLAS ends the process.
            columns = np.einsum("nvu,vu->nu", blocks, weights)
            lines[row, :wide] = np.einsum("nu,ux->nx", columns, _COSINES)
        lines[:, wide:] = lines[:, wide - 1 : wide]
        ends.append(lines.reshape(scan.mcus, -1))
    return ends[0], ends[1]
