"""Division of pictures that are too large for memory into overlapping tiles.

A tile is cut between MCUs, so that every component is cut between its blocks. Around the part that is kept it has a
margin, the network's receptive field. The kept parts are therefore equal to the whole picture's restoration, without
seams.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise, product

import numpy as np
from numpy.typing import NDArray

MIN_KEPT_MCUS = 8
"""Least MCUs each way of the part that is kept."""


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of MCUs along one axis."""

    start: int
    stop: int
    """The network restores the MCUs from `start` up to but without `stop`."""
    kept_start: int
    kept_stop: int
    """The restored MCUs from `kept_start` up to but without `kept_stop` are kept."""


@dataclass(frozen=True, slots=True)
class Tile:
    """A part of a picture."""

    rows: Span
    columns: Span

    def cut(self, array: NDArray[np.generic], down: int, across: int) -> NDArray[np.generic]:
        """The tile's part of an array with `down` by `across` entries to an MCU: a view."""
        rows, columns = self.rows, self.columns
        return array[rows.start * down : rows.stop * down, columns.start * across : columns.stop * across]

    def paste(self, plane: NDArray[np.uint8], onto: NDArray[np.uint8], down: int, across: int) -> None:
        """Copy the kept part of a restored tile into the whole plane; `down` by `across` samples to an MCU."""
        rows, columns = self.rows, self.columns
        top, left = (rows.kept_start - rows.start) * down, (columns.kept_start - columns.start) * across
        height, width = (rows.kept_stop - rows.kept_start) * down, (columns.kept_stop - columns.kept_start) * across
        target = onto[
            rows.kept_start * down : rows.kept_stop * down, columns.kept_start * across : columns.kept_stop * across
        ]
        target[:] = plane[top : top + height, left : left + width]


@lru_cache(maxsize=64)
def tiles(high: int, wide: int, margin: int, most: int, largest: tuple[int, int] | None = None) -> tuple[Tile, ...]:
    """Divide a picture into tiles of one size, with the least work in all; a runtime compiles once for a size.

    Args:
        high, wide: size of the picture, in MCUs.
        margin: MCUs on each side that are restored and not kept.
        most: MCUs that a tile may have; if the margins alone have more, the smallest possible tiles are taken.
        largest: MCUs that a tile may have down and across; None: any number.

    Returns:
        One tile if the whole picture is within the limits; otherwise tiles row by row.
    """
    limits = largest or (high, wide)

    def work(counts: tuple[int, int]) -> tuple[int, int, int]:
        sides = _side(high, counts[0], margin), _side(wide, counts[1], margin)
        beyond = sum(max(side - limit, 0) for side, limit in zip(sides, limits, strict=True))
        one = sides[0] * sides[1]
        return beyond, max(one, most), one * counts[0] * counts[1]

    rows, columns = min(product(_counts(high, margin, limits[0]), _counts(wide, margin, limits[1])), key=work)
    across = list(_spans(wide, columns, margin))
    return tuple(Tile(*spans) for spans in product(_spans(high, rows, margin), across))


def _counts(length: int, margin: int, limit: int) -> range:
    """Possible numbers of spans along an axis: each keeps at least the margin and at least `MIN_KEPT_MCUS`.

    There are more if otherwise no span would be within the limit.
    """
    most = (length - 2 * margin) // max(MIN_KEPT_MCUS, margin)
    if limit > 2 * margin:
        most = max(most, math.ceil((length - 2 * margin) / (limit - 2 * margin)))
    return range(1, 1 + max(1, most))


def _side(length: int, count: int, margin: int) -> int:
    """Length of the spans that divide an axis and overlap by two margins."""
    return math.ceil((length + 2 * margin * (count - 1)) / count)


def _spans(length: int, count: int, margin: int) -> Iterator[Span]:
    """Spans of one size whose kept parts cover the axis."""
    side = _side(length, count, margin)
    starts = [round(index * (length - side) / max(1, count - 1)) for index in range(count)]
    seams = [0, *((one + side + other) // 2 for one, other in pairwise(starts)), length]
    for start, (first, last) in zip(starts, pairwise(seams), strict=True):
        yield Span(start, start + side, first, last)
