"""Rectangles that cover cells: all of them, none twice, and not much else."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from mjpeg_restore.runtime.cpu.rectangles import SIDES, Rectangle, cover, side

masks = st.builds(
    lambda high, wide, share, seed: np.random.default_rng(seed).random((high, wide)) < share,
    st.integers(1, 12),
    st.integers(1, 12),
    st.sampled_from([0.02, 0.1, 0.5, 1.0]),
    st.integers(0, 10_000),
)


def painted(rectangles: list[Rectangle], shape: tuple[int, int]) -> NDArray[np.int64]:
    """How many of the rectangles have each cell."""
    count = np.zeros(shape, np.int64)
    for one in rectangles:
        assert 0 <= one.top < one.bottom <= shape[0]
        assert 0 <= one.left < one.right <= shape[1]
        count[one.top : one.bottom, one.left : one.right] += 1
    return count


@given(masks, st.sampled_from([0.0, 0.5, 1.0, 4.0]))
def test_every_cell_is_covered_and_none_twice(cells: NDArray[np.bool_], margin: float) -> None:
    rectangles = cover(cells, margin)
    count = painted(rectangles, cells.shape)
    assert (count[cells] == 1).all()
    assert count.max(initial=0) <= 1
    for one in rectangles:
        part = cells[one.top : one.bottom, one.left : one.right]
        assert part[0].any() and part[-1].any() and part[:, 0].any() and part[:, -1].any()


def test_where_there_are_no_cells_there_are_no_rectangles() -> None:
    assert cover(np.zeros((5, 7), np.bool_), 0.5) == []


def test_all_cells_are_one_rectangle() -> None:
    assert cover(np.ones((17, 30), np.bool_), 0.5) == [Rectangle(0, 17, 0, 30)]


def test_what_lies_far_apart_is_not_joined() -> None:
    cells = np.zeros((34, 60), np.bool_)
    cells[2:4, 3:5] = cells[30:32, 50:54] = True
    assert {*cover(cells, 0.5)} == {Rectangle(2, 4, 3, 5), Rectangle(30, 32, 50, 54)}


def test_what_lies_side_by_side_is_joined() -> None:
    cells = np.zeros((34, 60), np.bool_)
    cells[2, 3] = cells[3, 5] = True
    assert cover(cells, 0.5) == [Rectangle(2, 4, 3, 6)]


@given(st.integers(1, 300), st.integers(1, 300))
def test_a_rectangle_is_computed_at_one_of_a_few_lengths(length: int, whole: int) -> None:
    length = min(length, whole)
    found = side(length, whole)
    assert length <= found <= whole
    assert found in {*SIDES, whole}
