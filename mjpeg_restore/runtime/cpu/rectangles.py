"""Rectangles that cover the cells of a picture which need a network."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SIDES = (2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 14, 16, 18, 20, 22, 24, 28, 32, 36, 40, 48, 56, 64, 80, 96, 128)
"""Lengths in cells that are computed: a runtime prepares for each size of a picture anew."""
_START = 20.0
"""Cost of one run of a network, in cells."""


def side(length: int, whole: int) -> int:
    """The cells that are computed for a rectangle of some length, along an axis with so many."""
    return min(next((one for one in SIDES if one >= length), whole), whole)


@dataclass(frozen=True, slots=True)
class Rectangle:
    """Cells from `top` up to but without `bottom`, and from `left` up to but without `right`."""

    top: int
    bottom: int
    left: int
    right: int

    def cut_across(self, row: int) -> tuple[Rectangle, Rectangle]:
        """Its parts above a row, and from there on."""
        return Rectangle(self.top, row, self.left, self.right), Rectangle(row, self.bottom, self.left, self.right)

    def cut_down(self, column: int) -> tuple[Rectangle, Rectangle]:
        """Its parts left of a column, and from there on."""
        return Rectangle(self.top, self.bottom, self.left, column), Rectangle(self.top, self.bottom, column, self.right)

    def cuts(self) -> Iterator[tuple[Rectangle, Rectangle]]:
        """All ways to cut it in two."""
        yield from map(self.cut_across, range(self.top + 1, self.bottom))
        yield from map(self.cut_down, range(self.left + 1, self.right))


def cover(cells: NDArray[np.bool_], margin: float) -> list[Rectangle]:
    """Few rectangles that have all of the cells, and little else. They do not overlap.

    The smallest rectangle that has all cells is cut in two, where that is less work, and so on.

    Args:
        cells: `[cells_high, cells_wide]`.
        margin: cells around each rectangle that are computed as well, as far as the picture goes.
    """
    high, wide = cells.shape

    def cost(one: Rectangle) -> float:
        down, across = side(one.bottom - one.top, high), side(one.right - one.left, wide)
        return min(down + 2 * margin, high) * min(across + 2 * margin, wide) + _START

    def divided(one: Rectangle) -> list[Rectangle]:
        best, parts = cost(one), [one]
        for cut in one.cuts():
            smaller = [left for part in cut if (left := _shrunk(cells, part))]
            if (work := sum(map(cost, smaller))) < best:
                best, parts = work, smaller
        return parts if parts == [one] else [found for part in parts for found in divided(part)]

    whole = _shrunk(cells, Rectangle(0, high, 0, wide))
    return divided(whole) if whole else []


def _shrunk(cells: NDArray[np.bool_], area: Rectangle) -> Rectangle | None:
    """The smallest rectangle that has all cells of an area; None if there are none."""
    part = cells[area.top : area.bottom, area.left : area.right]
    rows, columns = (np.flatnonzero(part.any(axis=axis)) for axis in (1, 0))
    if not rows.size:
        return None
    (top, bottom), (left, right) = ((int(found[0]), int(found[-1]) + 1) for found in (rows, columns))
    return Rectangle(area.top + top, area.top + bottom, area.left + left, area.left + right)
