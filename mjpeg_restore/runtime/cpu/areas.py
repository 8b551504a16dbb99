"""Pieces of a camera's picture, side by side with what lies around them, as pictures for the network.

What moves is seldom one rectangle. Several rectangles in one picture cost little more than their blocks: a run of the
network takes time of its own, and few sizes of pictures are prepared for. Each piece has its margin, so that its
neighbours there do not change it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mjpeg_restore.runtime.cpu.cells import cell, cells_of
from mjpeg_restore.runtime.cpu.packing import Box, packed, smallest, spread
from mjpeg_restore.runtime.cpu.part_sizes import Grids, Size
from mjpeg_restore.runtime.cpu.rectangles import Rectangle

MARGIN = 1
"""Cells around a rectangle that are computed and not kept, at least, as far as the picture goes. The network's reach is
larger; but what lies beyond changes one sample in thousands, by one grey level. At an edge of the picture there is no
margin: another piece may lie beside it, and change the samples there by up to 9 levels, in chroma 20."""

_WHOLE = 0.8
"""Share of a picture's blocks from which on all of it is computed, without margins."""

Place = tuple[slice, slice]
"""Rows and columns of blocks."""

Fit = Callable[[Size, Callable[[Size], bool]], Size]
"""Chooses a size; see `areas`."""


@dataclass(frozen=True, slots=True)
class _Piece:
    """Some cells: places of luma's blocks."""

    inner: Place
    """In the picture."""
    outer: Place
    """With what lies around them, the margin at least, as far as the picture goes."""
    row: int
    """Of the area, where `outer` begins."""
    column: int


class Area:
    """Pieces of a picture that gate or network compute together.

    Attributes:
        inner: for each component the places in the picture that it is made for, without margins.
        size: blocks of luma.
    """

    def __init__(self, pieces: Sequence[_Piece], size: Size, grids: Grids) -> None:
        """Put pieces of a picture together whose components have so many blocks."""
        self.size = size
        scales = [(grids[0][0] // high, grids[0][1] // wide) for high, wide in grids]
        self._shapes = [(size[0] // down, size[1] // across) for down, across in scales]
        self.inner = [[_scaled(piece.inner, scale) for piece in pieces] for scale in scales]
        self._is_picture = [piece.inner for piece in pieces] == [tuple(slice(0, length) for length in grids[0])]
        self._outer = [[_scaled(piece.outer, scale) for piece in pieces] for scale in scales]
        covered = sum(_blocks(piece.outer) for piece in pieces) == size[0] * size[1]
        self._new = np.empty if covered else np.zeros
        at = [_moved(piece.outer, piece.row, piece.column, piece.outer) for piece in pieces]
        self._at = [[_scaled(place, scale) for place in at] for scale in scales]
        cuts = [_moved(piece.inner, piece.row, piece.column, piece.outer) for piece in pieces]
        self._cuts = [[_scaled(place, scale) for place in cuts] for scale in scales]

    def gather(self, component: int, blocks: NDArray[Any]) -> NDArray[Any]:
        """Blocks of a component's picture `[high, wide, 64]`, copied into the area's; zeros where there is no piece.

        If the area is the picture, they are the picture's, and no copies.
        """
        if self._is_picture:
            return blocks
        found = self._new((*self._shapes[component], *blocks.shape[2:]), blocks.dtype)
        for place, at in zip(self._outer[component], self._at[component], strict=True):
            found[at] = blocks[place]
        return found

    def wanted(self, component: int) -> NDArray[np.bool_]:
        """The area's blocks of a component that are in no margin, `[high, wide]`."""
        found = np.zeros(self._shapes[component], np.bool_)
        for cut in self._cuts[component]:
            found[cut] = True
        return found

    def scatter(self, component: int, found: NDArray[Any], blocks: NDArray[Any]) -> None:
        """Put the area's blocks into a component's picture, but those in the margins."""
        for cut, place in zip(self._cuts[component], self.inner[component], strict=True):
            blocks[place] = found[cut]

    def scatter_samples(self, component: int, found: NDArray[Any], plane: NDArray[Any]) -> None:
        """Put the area's samples into a component's plane, likewise."""
        for cut, place in zip(self._cuts[component], self.inner[component], strict=True):
            plane[_samples(place)] = found[_samples(cut)]


def areas(rectangles: Sequence[Rectangle], grids: Grids, most: int, fit: Fit | None = None) -> list[Area]:
    """Areas that have some rectangles of cells: one, or as few as have so many blocks.

    Args:
        rectangles: that do not overlap.
        grids: blocks of each component of the picture.
        most: blocks of luma of an area, at most, unless it is a single cell.
        fit: chooses an area's size, given the smallest of few sizes, and what tells whether another one will do; None:
            an area is as small as can be.
    """
    if not rectangles:
        return []
    pieces = [_size(one, grids) for one in rectangles]
    nearly_all = _WHOLE * grids[0][0] * grids[0][1] if len(pieces) > 1 else float("inf")
    size = smallest(pieces, grids, exact=fit is None) if sum(map(prod, pieces)) < nearly_all else None
    if size is None or prod(size) >= nearly_all:
        high, wide = cells_of(grids)
        return areas([Rectangle(0, high, 0, wide)], grids, most, fit)
    if size[0] * size[1] > most and (halves := _halved(rectangles)):
        return [area for half in halves for area in areas(half, grids, most, fit)]
    if fit:
        size = fit(size, lambda other: packed(pieces, other) is not None)
    boxes = spread(packed(pieces, size) or [], size)
    return [Area([_piece(one, box, grids) for one, box in zip(rectangles, boxes, strict=True)], size, grids)]


@lru_cache(16)
def lengths(grids: Grids) -> tuple[list[int], list[int]]:
    """Blocks of luma, down and across, that are computed for 0, 1, 2... cells with their margins."""
    down, across = (
        [min((number + 2 * MARGIN) * blocks, whole) for number in range(count + 1)]
        for count, blocks, whole in zip(cells_of(grids), cell(grids), grids[0], strict=True)
    )
    return down, across


def _place(cells: Rectangle, grids: Grids, margin: int) -> Place:
    """Luma's blocks of some cells with a margin of cells, as far as the picture goes."""
    ends = ((cells.top, cells.bottom), (cells.left, cells.right))
    rows, columns = (
        slice(max(first - margin, 0) * blocks, min((last + margin) * blocks, whole))
        for (first, last), blocks, whole in zip(ends, cell(grids), grids[0], strict=True)
    )
    return rows, columns


def _size(cells: Rectangle, grids: Grids) -> Size:
    """Blocks of luma of some cells with their margin."""
    rows, columns = _place(cells, grids, MARGIN)
    return rows.stop - rows.start, columns.stop - columns.start


def _piece(cells: Rectangle, box: Box, grids: Grids) -> _Piece:
    """A piece that fills its box in an area: no edge that is not the picture's is nearer than it must be."""
    least, room = _place(cells, grids, MARGIN), (box.high, box.wide)
    starts = [min(one.start, max(whole - length, 0)) for one, whole, length in zip(least, grids[0], room, strict=True)]
    rows, columns = (
        slice(start, min(start + length, whole)) for start, length, whole in zip(starts, room, grids[0], strict=True)
    )
    return _Piece(_place(cells, grids, 0), (rows, columns), box.row, box.column)


def _halved(rectangles: Sequence[Rectangle]) -> tuple[list[Rectangle], list[Rectangle]] | None:
    """The rectangles in two parts of about the same work; None for a single cell."""
    if len(rectangles) == 1:
        (one,) = rectangles
        high, wide = one.bottom - one.top, one.right - one.left
        if high == wide == 1:
            return None
        tall = high >= wide
        first, second = one.cut_across(one.top + (high + 1) // 2) if tall else one.cut_down(one.left + (wide + 1) // 2)
        return [first], [second]
    halves: tuple[list[Rectangle], list[Rectangle]] = ([], [])
    work = [0, 0]
    for one in sorted(rectangles, key=_cells, reverse=True):
        less = int(work[1] < work[0])
        halves[less].append(one)
        work[less] += _cells(one)
    return halves


def _cells(one: Rectangle) -> int:
    return (one.bottom - one.top) * (one.right - one.left)


def _scaled(place: Place, scale: tuple[int, int]) -> Place:
    """A place of a component whose blocks are so many of luma's, down and across."""
    rows, columns = (slice(one.start // by, one.stop // by) for one, by in zip(place, scale, strict=True))
    return rows, columns


def _moved(place: Place, row: int, column: int, origin: Place) -> Place:
    """A place, with the beginning of another one moved to a row and a column."""
    rows, columns = (
        slice(one.start - other.start + to, one.stop - other.start + to)
        for one, other, to in zip(place, origin, (row, column), strict=True)
    )
    return rows, columns


def _blocks(place: Place) -> int:
    """How many blocks are in a place."""
    rows, columns = place
    return (rows.stop - rows.start) * (columns.stop - columns.start)


def _samples(place: Place) -> Place:
    """The samples of blocks."""
    rows, columns = (slice(8 * one.start, 8 * one.stop) for one in place)
    return rows, columns
