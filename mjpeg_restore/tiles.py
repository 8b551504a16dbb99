"""Pictures too large for memory, restored tile by tile.

A tile is cut on MCUs, so that every component is cut on its blocks, and is larger than what is kept of it by the
network's margin: how far an output can look. So what is kept is what the whole picture would have given, without seams.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of MCUs along one axis."""

    start: int
    stop: int
    """What the network is given."""
    first: int
    last: int
    """What is kept of it."""


@dataclass(frozen=True, slots=True)
class Tile:
    """A part of a picture."""

    rows: Span
    columns: Span

    def cut(self, array: NDArray[np.generic], down: int, across: int) -> NDArray[np.generic]:
        """What the network is given of an array with `down` by `across` entries to an MCU: a view."""
        rows, columns = self.rows, self.columns
        return array[rows.start * down : rows.stop * down, columns.start * across : columns.stop * across]

    def paste(self, plane: NDArray[np.uint8], onto: NDArray[np.uint8], down: int, across: int) -> None:
        """Put what is kept of a restored tile where it belongs; `down` by `across` samples to an MCU."""
        rows, columns = self.rows, self.columns
        top, left = (rows.first - rows.start) * down, (columns.first - columns.start) * across
        height, width = (rows.last - rows.first) * down, (columns.last - columns.first) * across
        target = onto[rows.first * down : rows.last * down, columns.first * across : columns.last * across]
        target[:] = plane[top : top + height, left : left + width]


def tiles(high: int, wide: int, margin: int, most: int) -> list[Tile]:
    """Divide a picture.

    All tiles have the same size: a runtime prepares for a size once.

    Args:
        high, wide: of the picture, in MCUs.
        margin: MCUs on each side that the network has to see of what is not kept.
        most: MCUs that a tile may have; where the margin alone takes more, the smallest tiles that make headway.

    Returns:
        One tile, the whole picture, where that is within `most`; row by row otherwise.
    """
    if high * wide <= most:
        return [Tile(Span(0, high, 0, high), Span(0, wide, 0, wide))]
    side = max(math.isqrt(most), 3 * margin, 1)
    return [Tile(rows, columns) for rows in _spans(high, side, margin) for columns in _spans(wide, side, margin)]


def _spans(length: int, side: int, margin: int) -> Iterator[Span]:
    """Stretches of one size, `side` or the whole length, whose kept parts cover the length."""
    if length <= side:
        yield Span(0, length, 0, length)
        return
    steps = math.ceil((length - side) / (side - 2 * margin))
    starts = [round(index * (length - side) / steps) for index in range(steps + 1)]
    seams = [0, *((one + side + other) // 2 for one, other in pairwise(starts)), length]
    for start, (first, last) in zip(starts, pairwise(seams), strict=True):
        yield Span(start, start + side, first, last)
