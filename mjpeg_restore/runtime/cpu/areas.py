"""Parts of a camera's picture that are computed, and what lies around them."""

from __future__ import annotations

from functools import lru_cache

from mjpeg_restore.runtime.cpu.activity import cell
from mjpeg_restore.runtime.cpu.part_sizes import Grids, Size, rounded, unit
from mjpeg_restore.runtime.cpu.rectangles import Rectangle

MARGIN = 2
"""Blocks of luma around a rectangle that are computed and not kept, at least, or an MCU if that is more. The network's
reach is larger; but what lies beyond changes one sample in thousands, by one grey level."""

Place = tuple[slice, slice]
"""Rows and columns of a component's blocks."""


class Area:
    """Some cells of a picture.

    Attributes:
        inner: their blocks, of each component.
        outer: their blocks and the margin around them, as far as the picture goes.
        cut: the place of `inner` in `outer`.
    """

    def __init__(self, cells: Rectangle, grids: Grids, size: Size) -> None:
        """Find the blocks of each component, which has so many, for a part of that size with its margin."""
        ends = ((cells.top, cells.bottom), (cells.left, cells.right))
        spans = [_spans(*pair, grids, axis, size[axis]) for axis, pair in enumerate(ends)]
        self.inner, self.outer, self.cut = (
            [(down[part], across[part]) for down, across in zip(*spans, strict=True)] for part in range(3)
        )


def _margin(grids: Grids) -> tuple[int, int]:
    """Blocks of luma around a part that are computed as well, down and across."""
    return max(MARGIN, unit(grids, 0)), max(MARGIN, unit(grids, 1))


@lru_cache(16)
def lengths(grids: Grids) -> tuple[list[int], list[int]]:
    """Blocks of luma, down and across, that are computed for parts of 0, 1, 2... cells with their margins."""
    down, across = (
        [rounded(number * blocks + 2 * margin, grids, axis) for number in range(-(-grids[0][axis] // blocks) + 1)]
        for axis, (blocks, margin) in enumerate(zip(cell(grids), _margin(grids), strict=True))
    )
    return down, across


def size_of(cells: Rectangle, grids: Grids) -> Size:
    """Blocks of luma of some cells with their margin, as far as the picture goes."""
    ends = ((cells.top, cells.bottom), (cells.left, cells.right))
    high, wide = (
        min(last * blocks + margin, grid) - max(first * blocks - margin, 0)
        for (first, last), blocks, margin, grid in zip(ends, cell(grids), _margin(grids), grids[0], strict=True)
    )
    return high, wide


def _spans(first: int, last: int, grids: Grids, axis: int, size: int) -> list[tuple[slice, slice, slice]]:
    """`inner`, `outer` and `cut` of `Area` along an axis, for each component."""
    luma, blocks = grids[0][axis], cell(grids)[axis]
    start, stop = first * blocks, min(last * blocks, luma)
    # Near an edge it reaches farther on the other side, to be of the same size as elsewhere.
    begin = min(max(start - _margin(grids)[axis], 0), luma - size)
    found: list[tuple[slice, slice, slice]] = []
    for grid in grids:
        inner, outer = (
            slice(a * grid[axis] // luma, b * grid[axis] // luma) for a, b in ((start, stop), (begin, begin + size))
        )
        found.append((inner, outer, slice(inner.start - outer.start, inner.stop - outer.start)))
    return found


def samples(place: Place) -> Place:
    """The samples of blocks."""
    rows, columns = (slice(8 * one.start, 8 * one.stop) for one in place)
    return rows, columns
