"""Rectangles that cover the cells of a picture which need a network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_START = 100.0
"""Cost of a rectangle beside its blocks, in blocks."""


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


def cover(cells: NDArray[np.bool_], down: Sequence[int], across: Sequence[int]) -> list[Rectangle]:
    """Few rectangles that have all of the cells, and little else. They do not overlap.

    The smallest rectangle that has all cells is cut in two, where that is less work, and so on.

    Args:
        cells: `[cells_high, cells_wide]`.
        down: blocks of luma that are computed for a rectangle of so many cells in height: of 0, 1, 2...
        across: likewise in width.
    """
    costs = _Costs(np.asarray(down, np.float64), np.asarray(across, np.float64))

    def divided(area: Rectangle) -> list[Rectangle]:
        part = cells[area.top : area.bottom, area.left : area.right]
        if not part.any():
            return []
        rows, columns = (np.flatnonzero(part.any(axis=axis)) for axis in (1, 0))
        (top, bottom), (left, right) = ((int(found[0]), int(found[-1]) + 1) for found in (rows, columns))
        one = Rectangle(area.top + top, area.top + bottom, area.left + left, area.left + right)
        part = part[top:bottom, left:right]
        (row, by_row), (column, by_column) = costs.best_cut(part), costs.turned().best_cut(part.T)
        if min(by_row, by_column) >= costs.of(bottom - top, right - left):
            return [one]
        parts = one.cut_across(one.top + row) if by_row <= by_column else one.cut_down(one.left + column)
        return [found for part in parts for found in divided(part)]

    return divided(Rectangle(0, cells.shape[0], 0, cells.shape[1]))


@dataclass(frozen=True, slots=True)
class _Costs:
    """The work that rectangles are, by their cells down and across."""

    down: NDArray[np.float64]
    across: NDArray[np.float64]

    def turned(self) -> _Costs:
        """The same with rows and columns exchanged."""
        return _Costs(self.across, self.down)

    def of(self, high: NDArray[np.intp] | int, wide: NDArray[np.intp] | int) -> NDArray[np.float64]:
        """Work of rectangles of so many cells."""
        return self.down[high] * self.across[wide] + _START

    def best_cut(self, cells: NDArray[np.bool_]) -> tuple[int, float]:
        """The row above which to cut, and the work of what is needed of both parts; infinite if there is one row.

        Args:
            cells: `[high, wide]`, with a cell in the first and the last row.
        """
        high, wide = cells.shape
        if high == 1:
            return 0, np.inf
        some: NDArray[np.bool_] = np.any(cells, axis=1)
        first: NDArray[np.intp] = np.asarray(np.where(some, np.argmax(cells, axis=1), wide), np.intp)
        last: NDArray[np.intp] = np.where(some, wide - np.argmax(cells[:, ::-1], axis=1), 0)
        number = np.arange(high, dtype=np.intp)
        upper_end = np.maximum.accumulate(np.where(some, number + 1, 0))[:-1]
        lower_begin = np.minimum.accumulate(np.where(some, number, high)[::-1])[::-1][1:]
        upper = np.maximum.accumulate(last)[:-1] - np.minimum.accumulate(first)[:-1]
        lower = (np.maximum.accumulate(last[::-1]) - np.minimum.accumulate(first[::-1]))[::-1][1:]
        work = self.of(upper_end, upper) + self.of(high - lower_begin, lower)
        best = int(work.argmin())
        return best + 1, float(work[best])
