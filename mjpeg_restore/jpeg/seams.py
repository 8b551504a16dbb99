"""Finds where the contents of a picture begin to be displaced, for scans that hold too few or too many MCUs.

Where bytes are lost, doubled or foreign, the decoder makes some garbage and then falls into step with the codes again.
Everything behind is displaced by some MCUs and has other DC levels. A single border shows it: the picture does not
continue from the last row of MCUs in its place to the first displaced one, and it does once that is moved back.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from mjpeg_restore.jpeg.dct import DCT_MATRIX
from mjpeg_restore.jpeg.entropy import Scan
from mjpeg_restore.jpeg.reader import Component

_COSINES: Final = (DCT_MATRIX[:8, :8] * np.sqrt(8)).astype(np.float32)
"""float32 `[8, 8]`: the DCT of one dimension, frequency by place."""

_TRIES: Final = 4
"""Places per row of MCUs at which a seam is tried."""
_CLEARER: Final = 0.7
"""Smallest gain of a seam: what vanishes of its border once the row is moved back, in units of the median border."""
_BETTER: Final = 0.9
"""Largest share of the border that may remain."""
_UNUSUAL: Final = 2.0
"""A border of so many times the median belongs to the garbage above the displaced row."""
MARGIN: Final = 3
"""Rows of MCUs that are given up above the place that is found: smooth parts show a seam late."""


def first_displaced(luma: Component, scan: Scan, decoded: int) -> int:
    """The first row of MCUs that may be displaced or garbage, in a scan that decodes into another number of MCUs.

    Args:
        luma: of the picture, as the library reads it.
        scan: the picture's only one.
        decoded: MCUs that its data hold.

    Returns:
        The row; 0 where no seam can be told apart from the picture's own edges.
    """
    found = _borders(luma, scan, scan.mcus - decoded, min(decoded, scan.mcus))
    if not len(found):
        return 0
    place, border, left = found.T
    usual = float(np.median(border)) + 0.5
    gain = border / usual * (1 - left)
    best = int(gain.argmax())
    if gain[best] < _CLEARER or left[best] > _BETTER:
        return 0
    while best > 0 and border[best - 1] > _UNUSUAL * usual:
        best -= 1
    return max(0, int(place[best]) // scan.wide - MARGIN)


def _borders(luma: Component, scan: Scan, moved: int, decoded: int) -> NDArray[np.float32]:
    """The places at which a seam may be: float32 `[places, 3]`.

    Each has its MCU, its border to the row above, and the share of the border that remains once the MCUs from there on
    are moved back by `moved`; 1 where that cannot be told. A border is the mean absolute difference between the lines
    on both sides, in levels; their median is subtracted first, since DC levels differ.
    """
    top, bottom = _lines(luma, scan)
    wide = scan.wide
    rows = max(0, moved) // wide + 1  # to the nearest row above whose MCUs are in their places
    found: list[tuple[float, float, float]] = []
    for first in range(wide, decoded - wide // 2, max(1, wide // _TRIES)):
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
        for row in range(scan.high):  # one at a time: as float32 all blocks take twice their memory
            blocks = luma.coefficients[min(row * down + first, high - 1)].reshape(-1, 8, 8)
            # No matrix product: where memory runs out, OpenBLAS ends the process.
            columns = np.einsum("nvu,vu->nu", blocks, weights)
            lines[row, :wide] = np.einsum("nu,ux->nx", columns, _COSINES)
        lines[:, wide:] = lines[:, wide - 1 : wide]
        ends.append(lines.reshape(scan.mcus, -1))
    return ends[0], ends[1]
