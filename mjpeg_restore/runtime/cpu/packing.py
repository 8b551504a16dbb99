"""Where pieces of pictures lie side by side in one picture: close to each other, and none over another."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import NamedTuple

import numpy as np

from mjpeg_restore.runtime.cpu.part_sizes import Grids, Size, rounded, unit
from mjpeg_restore.runtime.cpu.rectangles import native

_WIDTHS = 16
"""Widths of pictures that are tried."""
_NEAR = 1.05
"""A picture is small enough if it is larger by this factor than the pieces need at least."""


class Box(NamedTuple):
    """Where a piece lies, in blocks of luma."""

    row: int
    column: int
    high: int
    wide: int


def packed(pieces: Sequence[Size], size: Size) -> list[Box] | None:
    """Where pieces lie in a picture of a size, in their order; None if they do not all go into it.

    The tallest piece comes first. Each comes where its lower edge is highest, below all that came before it in its
    columns: the rule of the skyline. Without the extension, each comes below the one before.

    Args:
        pieces: their sizes.
        size: the picture's.
    """
    if native is None:
        return _stacked(pieces, size)
    places = np.empty((len(pieces), 2), np.int32)
    if not native.pack(np.array(pieces, np.int32), places, size[0], size[1]):
        return None
    return [Box(row, column, *piece) for (row, column), piece in zip(places.tolist(), pieces, strict=True)]


def _stacked(pieces: Sequence[Size], size: Size) -> list[Box] | None:
    """The same with each piece below the one before."""
    rows = [0, *accumulate(high for high, _ in pieces)]
    if rows[-1] > size[0] or any(wide > size[1] for _, wide in pieces):
        return None
    return [Box(row, 0, *piece) for row, piece in zip(rows, pieces, strict=False)]


def smallest(pieces: Sequence[Size], grids: Grids, *, exact: bool) -> Size | None:
    """The smallest picture into which pieces go, or nearly; None if they do not go into the one that they are of.

    Args:
        pieces: their sizes, in blocks of luma.
        grids: blocks of each component of the picture that they are of.
        exact: whether the result may have any size of whole blocks, and not only lengths that are `rounded`.
    """

    def whole(length: int, axis: int) -> int:
        step = unit(grids, axis)
        return min(-(-length // step) * step, grids[0][axis]) if exact else rounded(length, grids, axis)

    tallest, widest = (max(lengths) for lengths in zip(*pieces, strict=True))
    together = sum(high * wide for high, wide in pieces)
    widths = {whole(width, 1) for width in np.linspace(widest, grids[0][1], _WIDTHS, dtype=int).tolist()}
    # Widths in the order of what the pieces need in them at least.
    least = sorted((wide * whole(max(tallest, -(-together // wide)), 0), wide) for wide in widths)
    best: Size | None = None
    for blocks, wide in least:
        if best and blocks * _NEAR >= best[0] * best[1]:
            break
        most = grids[0][0] if best is None else min(grids[0][0], (best[0] * best[1] - 1) // wide)
        if boxes := packed(pieces, (most, wide)):
            high = whole(max(box.row + box.high for box in boxes), 0)
            if best is None or high * wide < best[0] * best[1]:
                best = high, wide
    return best


def spread(boxes: Sequence[Box], size: Size) -> list[Box]:
    """Boxes that reach to the right and downwards up to the next one, or to the end of the picture.

    Args:
        boxes: none of which lies over another.
        size: of the picture.
    """
    row, column, high, wide = np.array(boxes, np.intp).reshape(-1, 4).T
    for one in range(len(boxes)):
        in_its_rows = (row < row[one] + high[one]) & (row[one] < row + high)
        beside = column[in_its_rows & (column >= column[one] + wide[one])]
        wide[one] = beside.min(initial=size[1]) - column[one]
        in_its_columns = (column < column[one] + wide[one]) & (column[one] < column + wide)
        below = row[in_its_columns & (row >= row[one] + high[one])]
        high[one] = below.min(initial=size[0]) - row[one]
    return [Box(*one) for one in np.stack([row, column, high, wide], axis=1).tolist()]
