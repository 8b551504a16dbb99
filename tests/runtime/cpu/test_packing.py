"""Pieces side by side in one picture: all of them, none over another, and little beside them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mjpeg_restore.runtime.cpu import packing
from mjpeg_restore.runtime.cpu.packing import Box, packed, smallest, spread
from mjpeg_restore.runtime.cpu.part_sizes import Grids, Size, rounded
from tests.lacking import needs_native_pieces

pieces = st.lists(st.tuples(st.integers(1, 12), st.integers(1, 12)), min_size=1, max_size=8)


def count(boxes: list[Box], size: Size) -> np.ndarray:
    """In how many boxes each block of a picture is."""
    found = np.zeros(size, int)
    for box in boxes:
        assert box.row + box.high <= size[0] and box.column + box.wide <= size[1]
        found[box.row : box.row + box.high, box.column : box.column + box.wide] += 1
    return found


@given(pieces, st.integers(1, 40), st.integers(1, 40))
def test_each_piece_has_a_place_of_its_own(sizes: list[Size], high: int, wide: int) -> None:
    boxes = packed(sizes, (high, wide))
    if boxes is not None:
        assert [(box.high, box.wide) for box in boxes] == sizes
        assert count(boxes, (high, wide)).max() == 1


@given(pieces)
def test_in_a_column_each_goes_below_the_last(sizes: list[Size]) -> None:
    widest, together = max(wide for _, wide in sizes), sum(high for high, _ in sizes)
    assert packed(sizes, (together, widest)) is not None
    assert packed(sizes, (together, widest - 1)) is None


def test_without_the_extension_each_goes_below_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packing, "native", None)
    assert packed([(2, 3), (4, 5)], (6, 5)) == [Box(0, 0, 2, 3), Box(2, 0, 4, 5)]
    assert packed([(2, 3), (4, 5)], (5, 9)) is None
    assert packed([(2, 3), (4, 5)], (6, 4)) is None


@needs_native_pieces
def test_what_goes_beside_another_goes_there() -> None:
    assert packed([(2, 3), (4, 5), (2, 3)], (4, 8)) == [Box(0, 5, 2, 3), Box(0, 0, 4, 5), Box(2, 5, 2, 3)]
    assert packed([(2, 3), (4, 5), (3, 3)], (4, 8)) is None


@needs_native_pieces
@given(pieces, st.integers(12, 60), st.integers(12, 60), st.booleans())
def test_the_smallest_picture_holds_all(sizes: list[Size], high: int, wide: int, exact: bool) -> None:
    grids: Grids = ((2 * high, 2 * wide), (high, wide), (high, wide))
    sizes = [(2 * own_high, 2 * own_wide) for own_high, own_wide in sizes]
    best = smallest(sizes, grids, exact=exact)
    if best is None:
        assert sum(own_high * own_wide for own_high, own_wide in sizes) > high * wide
        return
    assert packed(sizes, best) is not None
    assert best[0] <= 2 * high and best[1] <= 2 * wide
    if not exact:
        assert best == tuple(rounded(length, grids, axis) for axis, length in enumerate(best))
    for other in range(2, 2 * wide + 1, 2):
        most = (best[0] * best[1] - 1) // other
        if exact and other in {int(width) // 2 * 2 for width in np.linspace(2, 2 * wide, 16)} and most >= 2:
            assert len(sizes) > 1 or packed(sizes, (min(most, 2 * high), other)) is None


@needs_native_pieces
def test_tall_and_wide_pieces_share_a_small_picture() -> None:
    grids: Grids = ((80, 80), (40, 40), (40, 40))
    assert smallest([(20, 60), (60, 20)], grids, exact=True) == (80, 60)
    assert smallest([(10, 10)] * 4, grids, exact=True) == (40, 10)


@given(pieces, st.integers(1, 40), st.integers(1, 40))
def test_boxes_spread_into_what_is_free(sizes: list[Size], high: int, wide: int) -> None:
    boxes = packed(sizes, (high, wide))
    if boxes is None:
        return
    wider = spread(boxes, (high, wide))
    assert count(wider, (high, wide)).max() == 1
    for box, more in zip(boxes, wider, strict=True):
        assert (more.row, more.column) == (box.row, box.column)
        assert more.high >= box.high and more.wide >= box.wide
    assert spread(wider, (high, wide)) == wider


def test_one_box_spreads_over_all() -> None:
    assert spread([Box(0, 0, 4, 5)], (16, 24)) == [Box(0, 0, 16, 24)]
