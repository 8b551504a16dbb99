"""Pieces of a picture in one picture: every cell once, each with its margin, and back in its place."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from mjpeg_restore.runtime.cpu import rectangles
from mjpeg_restore.runtime.cpu.areas import MARGIN, Area, areas, lengths
from mjpeg_restore.runtime.cpu.cells import cell, cells_of
from mjpeg_restore.runtime.cpu.part_sizes import Grids, Size, rounded

EVERYTHING = 10**9
SCALES = {"gray": (), "4:4:4": ((1, 1),) * 2, "4:2:0": ((2, 2),) * 2, "4:2:2": ((1, 2),) * 2, "4:1:1": ((1, 4),) * 2}


def grids_of(high: int, wide: int, sampling: str) -> Grids:
    """Blocks of each component of a picture of whole MCUs."""
    scales = SCALES[sampling]
    down, across = scales[0] if scales else (1, 1)
    high, wide = -(-high // down) * down, -(-wide // across) * across
    return (high, wide), *((high // by, wide // over) for by, over in scales)


def some_cells(grids: Grids, share: float, seed: int) -> NDArray[np.bool_]:
    return np.random.default_rng(seed).random(cells_of(grids)) < share


def found(cells: NDArray[np.bool_], grids: Grids, most: int = EVERYTHING, *, few: bool = False) -> list[Area]:
    """The areas of some cells; `few`: at one of few sizes."""

    def fit(size: Size, holds: Callable[[Size], bool]) -> Size:
        assert holds(size)
        assert size == tuple(rounded(length, grids, axis) for axis, length in enumerate(size))
        return size

    return areas(rectangles.cover(cells, *lengths(grids)), grids, most, fit if few else None)


def numbered(grid: tuple[int, int]) -> NDArray[np.int32]:
    """Blocks of a component, from 1 on, each with its number."""
    return np.repeat(np.arange(1, grid[0] * grid[1] + 1, dtype=np.int32).reshape(*grid, 1), 64, axis=2)


cases = st.builds(
    lambda high, wide, sampling, share, seed: (
        (grids := grids_of(high, wide, sampling)),
        some_cells(grids, share, seed),
    ),
    *(st.integers(1, 40),) * 2,
    st.sampled_from([*SCALES]),
    st.sampled_from([0.01, 0.05, 0.3, 1.0]),
    st.integers(0, 10_000),
)


@given(cases, st.booleans(), st.sampled_from([1, 60, 300, EVERYTHING]))
@settings(max_examples=150)
def test_every_cell_is_computed_once_and_put_back(case: tuple[Grids, NDArray[np.bool_]], few: bool, most: int) -> None:
    grids, cells = case
    rows, columns = cell(grids)
    wanted = np.kron(cells, np.ones((rows, columns), np.bool_))[: grids[0][0], : grids[0][1]]
    for index, grid in enumerate(grids):
        picture, count = numbered(grid), np.zeros(grid, int)
        put, plane = np.zeros_like(picture), np.zeros((8 * grid[0], 8 * grid[1]), np.int32)
        for area in found(cells, grids, most, few=few):
            inside = area.gather(index, picture)
            assert inside.shape[:2] == tuple(
                size * blocks // whole for size, blocks, whole in zip(area.size, grid, grids[0], strict=True)
            )
            area.scatter(index, inside, put)
            area.scatter_samples(index, np.kron(inside[..., 0], np.ones((8, 8), np.int32)), plane)
            for place in area.inner[index]:
                count[place] += 1
        down, across = grids[0][0] // grid[0], grids[0][1] // grid[1]
        assert (count[wanted[::down, ::across]] == 1).all()
        assert count.max(initial=0) <= 1
        np.testing.assert_array_equal(put, np.where(count[..., None] > 0, picture, 0))
        np.testing.assert_array_equal(plane, np.kron(put[..., 0], np.ones((8, 8), np.int32)))


@given(cases, st.booleans())
@settings(max_examples=100)
def test_each_piece_has_its_margin_and_no_gap_lies_between(case: tuple[Grids, NDArray[np.bool_]], few: bool) -> None:
    grids, cells = case
    margin = [MARGIN * blocks for blocks in cell(grids)]
    assert min(margin) >= 2
    picture = numbered(grids[0])
    for area in found(cells, grids, few=few):
        inside = area.gather(0, picture)[..., 0]
        for rows, columns in area.inner[0]:
            wanted = [
                slice(max(one.start - around, 0), min(one.stop + around, whole))
                for one, around, whole in zip((rows, columns), margin, grids[0], strict=True)
            ]
            around = picture[wanted[0], wanted[1], 0]
            at = np.argwhere(inside == around[0, 0])
            high, wide = around.shape
            assert any(np.array_equal(inside[y : y + high, x : x + wide], around) for y, x in at)


def test_beside_the_pieces_there_is_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(np, "empty", lambda shape, kind: np.full(shape, -1, kind))  # pyright: ignore[reportUnknownLambdaType, reportUnknownArgumentType]
    grids = grids_of(60, 80, "4:2:0")
    gaps, picture = 0, numbered(grids[0])[..., 0]
    for seed in range(20):
        for area in found(some_cells(grids, 0.03, seed), grids, few=True):
            inside = area.gather(0, numbered(grids[0]))[..., 0]
            assert inside.min() >= 0
            assert sorted(inside[area.wanted(0)]) == sorted(
                np.concatenate([picture[one].ravel() for one in area.inner[0]])
            )
            gaps += (inside == 0).any()
    assert 0 < gaps < 20


def test_where_nothing_is_wanted_there_is_no_area() -> None:
    assert found(np.zeros((30, 40), np.bool_), grids_of(60, 80, "4:2:0")) == []


def test_what_lies_apart_shares_an_area() -> None:
    grids, cells = grids_of(60, 80, "4:2:0"), np.zeros((30, 40), np.bool_)
    cells[3, 5] = cells[3, 30] = cells[20, 4] = cells[25, 36] = True
    (area,) = found(cells, grids)
    assert len(area.inner[0]) == 4
    assert area.size[0] * area.size[1] == 4 * 6 * 6


def test_pieces_fill_the_room_that_they_have() -> None:
    grids, cells = grids_of(60, 80, "4:2:0"), np.zeros((30, 40), np.bool_)
    cells[3:9, 5:9] = cells[28, 38] = True
    (area,) = found(cells, grids, few=True)
    assert (area.gather(0, numbered(grids[0])) > 0).all()


def test_what_is_nearly_everything_is_everything() -> None:
    grids, cells = grids_of(60, 80, "4:2:0"), np.ones((30, 40), np.bool_)
    cells[12:18] = False
    assert len(rectangles.cover(cells, *lengths(grids))) > 1
    (area,) = found(cells, grids)
    assert area.size == (60, 80)
    assert area.inner[0] == [(slice(0, 60), slice(0, 80))]


@pytest.mark.parametrize("most", [100, 500, 2000])
def test_areas_have_no_more_blocks_than_allowed(most: int) -> None:
    grids = grids_of(60, 80, "4:2:0")
    for seed, share in enumerate((0.02, 0.2, 1.0)):
        for area in found(some_cells(grids, share, seed), grids, most):
            assert area.size[0] * area.size[1] <= most


def test_halves_are_about_the_same_work() -> None:
    grids = grids_of(60, 80, "4:2:0")
    sizes = [area.size[0] * area.size[1] for area in found(np.ones((30, 40), np.bool_), grids, 3000)]
    assert len(sizes) == 2
    assert max(sizes) < 1.2 * min(sizes)
