"""The cells of a camera's picture, and their blocks: 2x2 of luma, or as many as an MCU has where these are more."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mjpeg_restore.runtime.cpu.part_sizes import unit


def cell(grids: Sequence[tuple[int, int]]) -> tuple[int, int]:
    """Blocks of luma in a cell, down and across, of a picture whose components have so many blocks; luma's first."""
    return unit(grids, 0), unit(grids, 1)


def cells_of(grids: Sequence[tuple[int, int]]) -> tuple[int, int]:
    """Cells of such a picture, down and across; the last ones may be smaller."""
    high, wide = (-(-length // blocks) for length, blocks in zip(grids[0], cell(grids), strict=True))
    return high, wide


def subsampling(grids: Sequence[tuple[int, int]]) -> tuple[int, int]:
    """Blocks of luma to one of chroma, down and across."""
    (high, wide), (chroma_high, chroma_wide) = grids[0], grids[-1]
    return high // chroma_high, wide // chroma_wide


def blocks_of(cells: NDArray[np.bool_], grids: Sequence[tuple[int, int]]) -> list[NDArray[np.bool_]]:
    """The blocks of cells, of each component of such a picture."""
    (down, across), (high, wide) = cell(grids), grids[0]
    sides = [(down * rows // high, across * columns // wide) for rows, columns in grids]
    return [np.ascontiguousarray(to_blocks(cells, side, grid)) for side, grid in zip(sides, grids, strict=True)]


def some_of(grid: tuple[int, int], most: int) -> tuple[slice, slice]:
    """An index of columns of a component's blocks, of which there are so many high and wide: about `most` blocks."""
    return np.s_[:, :: -(-grid[0] * grid[1] // most)]


def widened(blocks: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Blocks and their eight neighbours."""
    rows = blocks.copy()
    rows[1:] |= blocks[:-1]
    rows[:-1] |= blocks[1:]
    found = rows.copy()
    found[:, 1:] |= rows[:, :-1]
    found[:, :-1] |= rows[:, 1:]
    return found


def around(values: NDArray[np.float32]) -> NDArray[np.floating]:
    """The means of 3x3 blocks, of which those at the edge count twice."""
    for _ in range(2):  # down, then across
        together = values.copy()
        together[1:] += values[:-1]
        together[:-1] += values[1:]
        together[0] += values[0]
        together[-1] += values[-1]
        values = together.T
    return values / 9


def to_blocks(cells: NDArray[Any], side: tuple[int, int], shape: tuple[int, ...]) -> NDArray[Any]:
    """The numbers of cells, for each of so many blocks, high and wide; `side` are a cell's blocks down and across."""
    (high, wide), (down, across) = cells.shape, side
    spread = np.empty((high, down, wide, across), cells.dtype)
    for column in range(across):  # to broadcast both and reshape takes five times as long: it copies `across` at a time
        spread[:, 0, :, column] = cells
    for row in range(1, down):
        spread[:, row] = spread[:, 0]
    return spread.reshape(high * down, wide * across)[: shape[0], : shape[1]]


def to_cells(blocks: NDArray[np.bool_], side: tuple[int, int], shape: tuple[int, int]) -> NDArray[np.bool_]:
    """The cells, so many high and wide, that have one of the blocks; `side` are a cell's blocks down and across."""
    missing = [max(0, cells * length - have) for cells, length, have in zip(shape, side, blocks.shape, strict=True)]
    padded = np.pad(blocks, [(0, more) for more in missing]) if any(missing) else blocks
    rows = reduce(np.logical_or, (padded[place :: side[0]] for place in range(side[0])))
    return reduce(np.logical_or, (rows[:, place :: side[1]] for place in range(side[1])))
