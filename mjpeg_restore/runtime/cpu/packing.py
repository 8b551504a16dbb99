"""Where pieces of pictures lie side by side in one picture: close to each other, and none over another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from mjpeg_restore.runtime.cpu.part_sizes import Grids, Size, rounded, unit

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
    columns: the rule of the skyline.

    Args:
        pieces: their sizes.
        size: the picture's.
    """
    high, wide = size
    if any(one[0] > high or one[1] > wide for one in pieces) or sum(one[0] * one[1] for one in pieces) > high * wide:
        return None
    skyline = [(0, 0)]  # column and first free row of each step
    boxes = [Box(0, 0, 0, 0)] * len(pieces)
    for index in sorted(range(len(pieces)), key=lambda index: pieces[index], reverse=True):
        own_high, own_wide = pieces[index]
        row, column = min((_row(skyline, begin, own_wide), begin) for begin, _ in skyline if begin + own_wide <= wide)
        if row + own_high > high:
            return None
        end = column + own_wide
        after = max(step for step in skyline if step[0] <= end)[1]
        beyond = [step for step in skyline if step[0] > end]
        before = [step for step in skyline if step[0] < column]
        skyline = [*before, (column, row + own_high), *([(end, after)] if end < wide else []), *beyond]
        boxes[index] = Box(row, column, own_high, own_wide)
    return boxes


def _row(skyline: Sequence[tuple[int, int]], begin: int, wide: int) -> int:
    """The first row below all that came before, from one of a skyline's columns on."""
    ends = [column for column, _ in skyline[1:]]
    ends.append(begin + wide)
    return max(row for (column, row), end in zip(skyline, ends, strict=True) if column < begin + wide and end > begin)


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
    found = list(boxes)
    for index, (row, column, high, wide) in enumerate(boxes):
        others = found[:index] + found[index + 1 :]
        beside = (one.column for one in others if one.column >= column + wide and _meet(one.row, one.high, row, high))
        wide = min(beside, default=size[1]) - column
        below = (one.row for one in others if one.row >= row + high and _meet(one.column, one.wide, column, wide))
        found[index] = Box(row, column, min(below, default=size[0]) - row, wide)
    return found


def _meet(first: int, length: int, other: int, other_length: int) -> bool:
    """Whether two lengths have something in common."""
    return first < other + other_length and other < first + length
