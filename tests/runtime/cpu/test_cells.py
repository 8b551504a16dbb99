"""The cells of a picture, and its blocks."""

from __future__ import annotations

import numpy as np
import pytest

from mjpeg_restore.runtime.cpu.cells import around, blocks_of, cell, cells_of, widened


@pytest.mark.parametrize("shape", [(1, 1), (1, 4), (4, 1), (2, 2), (5, 7)])
def test_what_is_beside_a_block(shape: tuple[int, int]) -> None:
    values = np.random.default_rng(6).uniform(0, 9, shape).astype(np.float32)
    blocks = values > 7
    near, beside = (
        np.lib.stride_tricks.sliding_window_view(padded, (3, 3))
        for padded in (np.pad(values, 1, mode="edge"), np.pad(blocks, 1))
    )
    means = around(values)
    np.testing.assert_allclose(means, near.mean(axis=(2, 3)), rtol=1e-6)
    np.testing.assert_array_equal(widened(blocks), beside.any(axis=(2, 3)))


@pytest.mark.parametrize(
    "grids", [[(5, 7)], [(6, 8), (3, 4), (3, 4)], [(5, 6), (5, 3), (5, 3)], [(3, 8), (3, 2), (3, 2)], [(3, 5)] * 3]
)
def test_the_blocks_of_cells(grids: list[tuple[int, int]]) -> None:
    cells = np.random.default_rng(3).random(cells_of(grids)) < 0.5
    down, across = cell(grids)
    found = blocks_of(cells, grids)
    assert [blocks.shape for blocks in found] == grids
    for blocks, (high, wide) in zip(found, grids, strict=True):
        for row, column in np.ndindex(high, wide):
            luma = row * grids[0][0] // high, column * grids[0][1] // wide
            assert blocks[row, column] == cells[luma[0] // down, luma[1] // across]
