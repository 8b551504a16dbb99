"""Rectangles that cover the cells of a picture which need a network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

try:
    from mjpeg_restore.runtime.cpu import _pieces as native
except ImportError:  # no C compiler when the package was installed: nor is there a state, and every frame is whole
    native = None

_START = 150.0
"""Cost of a rectangle beside its blocks, in blocks."""
_NEAR = 60.0
"""The same in `filled`: two groups of cells share a rectangle where that adds fewer blocks."""
_MOST = 0.7
"""Share of a picture's blocks, in these rectangles and their margins, from which on `filled` returns all cells: a
moving camera shows in few of the blocks of a scene that is plain, or out of focus."""


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


def cover(
    cells: NDArray[np.bool_], down: Sequence[int], across: Sequence[int], *, start: float = _START
) -> list[Rectangle]:
    """Few rectangles that have all of the cells, and little else. They do not overlap.

    The smallest rectangle that has all cells is cut in two where that is least work, each part likewise, and so on. The
    parts of a rectangle that are more work than itself are not kept. Without the extension there is one rectangle.

    Args:
        cells: `[cells_high, cells_wide]`.
        down: blocks of luma that are computed for a rectangle of so many cells in height: of 0, 1, 2...
        across: likewise in width.
        start: cost of a rectangle beside these blocks, in blocks.
    """
    if native is None:
        rows, columns = (np.flatnonzero(cells.any(axis=axis)) for axis in (1, 0))
        return [Rectangle(int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1)] if rows.size else []
    work_down, work_across = (np.asarray(lengths, np.float64) for lengths in (down, across))
    return [Rectangle(*one) for one in native.cover(np.ascontiguousarray(cells), work_down, work_across, start)]


def filled(cells: NDArray[np.bool_], down: Sequence[int], across: Sequence[int]) -> NDArray[np.bool_]:
    """Cells that moved, and cells between them, which most likely moved too.

    Args:
        cells: that are known to have moved, `[cells_high, cells_wide]`.
        down: as in `cover`, and so is `across`.

    Returns:
        Likewise, the cells of few rectangles; all cells, where these make most of the picture.
    """
    found, blocks = np.zeros_like(cells), 0
    for one in cover(cells, down, across, start=_NEAR):
        found[one.top : one.bottom, one.left : one.right] = True
        blocks += down[one.bottom - one.top] * across[one.right - one.left]
    return found if blocks < _MOST * down[-1] * across[-1] else np.ones_like(cells)
