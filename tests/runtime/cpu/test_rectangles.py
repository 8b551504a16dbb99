"""Rectangles that cover cells: all of them, none twice, and not much else."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from mjpeg_restore.runtime.cpu import rectangles
from mjpeg_restore.runtime.cpu.rectangles import Rectangle
from tests.lacking import needs_native_pieces

masks = st.builds(
    lambda high, wide, share, seed: np.random.default_rng(seed).random((high, wide)) < share,
    st.integers(1, 12),
    st.integers(1, 12),
    st.sampled_from([0.02, 0.1, 0.5, 1.0]),
    st.integers(0, 10_000),
)


def lengths(count: int, margin: int) -> list[int]:
    """Blocks that are computed for so many cells of four blocks."""
    return [4 * number + 2 * margin for number in range(count + 1)]


def cover(cells: NDArray[np.bool_], margin: int) -> list[Rectangle]:
    return rectangles.cover(cells, *(lengths(count, margin) for count in cells.shape))


def painted(found: list[Rectangle], shape: tuple[int, int]) -> NDArray[np.int64]:
    """How many of the rectangles have each cell."""
    count = np.zeros(shape, np.int64)
    for one in found:
        assert 0 <= one.top < one.bottom <= shape[0]
        assert 0 <= one.left < one.right <= shape[1]
        count[one.top : one.bottom, one.left : one.right] += 1
    return count


@given(masks, st.sampled_from([0, 2, 4, 16]))
def test_every_cell_is_covered_and_none_twice(cells: NDArray[np.bool_], margin: int) -> None:
    found = cover(cells, margin)
    count = painted(found, cells.shape)
    assert (count[cells] == 1).all()
    assert count.max(initial=0) <= 1
    for one in found:
        part = cells[one.top : one.bottom, one.left : one.right]
        assert part[0].any() and part[-1].any() and part[:, 0].any() and part[:, -1].any()


def test_where_there_are_no_cells_there_are_no_rectangles() -> None:
    assert cover(np.zeros((5, 7), np.bool_), 2) == []


def test_all_cells_are_one_rectangle() -> None:
    assert cover(np.ones((17, 30), np.bool_), 2) == [Rectangle(0, 17, 0, 30)]


@needs_native_pieces
def test_what_lies_far_apart_is_not_joined() -> None:
    cells = np.zeros((34, 60), np.bool_)
    cells[2:4, 3:5] = cells[30:32, 50:54] = True
    assert {*cover(cells, 2)} == {Rectangle(2, 4, 3, 5), Rectangle(30, 32, 50, 54)}


def test_what_lies_side_by_side_is_joined() -> None:
    cells = np.zeros((34, 60), np.bool_)
    cells[2, 3] = cells[3, 4] = True
    assert cover(cells, 2) == [Rectangle(2, 4, 3, 5)]


@needs_native_pieces
def test_single_cells_all_over_a_picture_are_not_joined() -> None:
    """No single cut makes any of it less work."""
    cells = np.zeros((68, 120), np.bool_)
    places = [(6 + 14 * row, 6 + 12 * column) for row in range(5) for column in range(10)]
    for place in places:
        cells[place] = True
    assert {(one.top, one.left) for one in cover(cells, 2)} == {*places}


@pytest.mark.parametrize("cells", [np.eye(9, 12, dtype=np.bool_), np.zeros((3, 4), np.bool_)])
def test_without_the_extension_there_is_one_rectangle(
    cells: NDArray[np.bool_], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rectangles, "native", None)
    assert cover(cells, 2) == [Rectangle(0, 9, 0, 9)] * bool(cells.any())


@needs_native_pieces
@given(masks, st.sampled_from([0, 2, 4]))
def test_it_is_less_work_than_one_rectangle_and_no_single_cut_makes_it_less(
    cells: NDArray[np.bool_], margin: int
) -> None:
    down, across = (lengths(count, margin) for count in cells.shape)

    def work(found: list[Rectangle]) -> float:
        return sum(down[one.bottom - one.top] * across[one.right - one.left] + rectangles._START for one in found)

    def around(part: NDArray[np.bool_]) -> list[Rectangle]:
        rows, columns = (np.flatnonzero(part.any(axis=axis)) for axis in (1, 0))
        return [Rectangle(rows[0], rows[-1] + 1, columns[0], columns[-1] + 1)] if rows.size else []

    found = cover(cells, margin)
    assert work(found) <= work(around(cells))
    for one in found:
        part = cells[one.top : one.bottom, one.left : one.right]
        cuts = [(part[:at], part[at:]) for at in range(1, len(part))]
        cuts += [(part[:, :at], part[:, at:]) for at in range(1, part.shape[1])]
        for first, second in cuts:
            assert work([one]) <= work(around(first) + around(second))


@needs_native_pieces
@given(masks, st.sampled_from([0, 2, 4]))
def test_cells_are_filled_up_to_rectangles_or_to_all(cells: NDArray[np.bool_], margin: int) -> None:
    down, across = (lengths(count, margin) for count in cells.shape)
    found = rectangles.filled(cells, down, across)
    assert found[cells].all()
    parts = rectangles.cover(cells, down, across, start=rectangles._NEAR)  # pyright: ignore[reportPrivateUsage]
    blocks = sum(down[one.bottom - one.top] * across[one.right - one.left] for one in parts)
    if blocks < 0.7 * down[-1] * across[-1]:
        np.testing.assert_array_equal(found, painted(parts, cells.shape) > 0)
    else:
        assert found.all()


@needs_native_pieces
def test_what_is_between_two_cells_is_filled_if_they_are_near() -> None:
    cells = np.zeros((34, 60), np.bool_)
    cells[2, 3] = cells[2, 5] = cells[20, 50] = True
    wanted = cells.copy()
    wanted[2, 4] = True
    np.testing.assert_array_equal(rectangles.filled(cells, lengths(34, 2), lengths(60, 2)), wanted)


@needs_native_pieces
def test_most_of_a_picture_becomes_all_of_it() -> None:
    cells = np.zeros((34, 60), np.bool_)
    cells[:20] = True
    assert not rectangles.filled(cells, lengths(34, 0), lengths(60, 0)).all()
    cells[:24] = True
    assert rectangles.filled(cells, lengths(34, 0), lengths(60, 0)).all()
