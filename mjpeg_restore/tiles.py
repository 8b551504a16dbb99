"""Pictures too large for memory, restored tile by tile.

A tile is cut on MCUs, so that every component is cut on its blocks, and is larger than what is kept of it by the
network's margin: how far an output can look. So what is kept is what the whole picture would have given, without seams.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise, product

import numpy as np
from numpy.typing import NDArray

FEWEST = 8
"""MCUs each way that a tile should at least keep, beside its margins."""


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


@lru_cache(maxsize=64)
def tiles(high: int, wide: int, margin: int, most: int) -> tuple[Tile, ...]:
    """Divide a picture, with as little work in all as there can be.

    All tiles have the same size: a runtime prepares for a size once.

    Args:
        high, wide: of the picture, in MCUs.
        margin: MCUs on each side that the network has to see of what is not kept.
        most: MCUs that a tile may have; where the margin alone takes more, the smallest tiles that make headway.

    Returns:
        One tile, the whole picture, where that is within `most`; row by row otherwise.
    """

    def work(counts: tuple[int, int]) -> tuple[int, int]:
        one = _side(high, counts[0], margin) * _side(wide, counts[1], margin)
        return max(one, most), one * counts[0] * counts[1]

    rows, columns = min(product(_counts(high, margin), _counts(wide, margin)), key=work)
    across = list(_spans(wide, columns, margin))
    return tuple(Tile(*spans) for spans in product(_spans(high, rows, margin), across))


def _counts(length: int, margin: int) -> range:
    """Into how many stretches a length may be divided: of each, at least a margin is kept, and `FEWEST`."""
    return range(1, 1 + max(1, (length - 2 * margin) // max(FEWEST, margin)))


def _side(length: int, count: int, margin: int) -> int:
    """How long the stretches are that divide a length and overlap by two margins."""
    return math.ceil((length + 2 * margin * (count - 1)) / count)


def _spans(length: int, count: int, margin: int) -> Iterator[Span]:
    """Stretches of one size whose kept parts cover the length."""
    side = _side(length, count, margin)
    starts = [round(index * (length - side) / max(1, count - 1)) for index in range(count)]
    seams = [0, *((one + side + other) // 2 for one, other in pairwise(starts)), length]
    for start, (first, last) in zip(starts, pairwise(seams), strict=True):
        yield Span(start, start + side, first, last)
