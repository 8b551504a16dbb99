from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mjpeg_restore.tiles import tiles

sides = st.integers(1, 60)
margins = st.integers(0, 6)


@given(sides, sides, margins, st.integers(1, 900))
def test_what_is_kept_covers_the_picture_once(high: int, wide: int, margin: int, most: int) -> None:
    kept = np.zeros((high, wide), int)
    for tile in tiles(high, wide, margin, most):
        kept[tile.rows.kept_start : tile.rows.kept_stop, tile.columns.kept_start : tile.columns.kept_stop] += 1
    assert (kept == 1).all()


@given(sides, sides, margins, st.integers(1, 900))
def test_a_tile_sees_its_margin_or_the_pictures_edge(high: int, wide: int, margin: int, most: int) -> None:
    for tile in tiles(high, wide, margin, most):
        for span, length in ((tile.rows, high), (tile.columns, wide)):
            assert 0 <= span.start <= span.kept_start < span.kept_stop <= span.stop <= length
            assert span.kept_start - span.start >= min(margin, span.kept_start)
            assert span.stop - span.kept_stop >= min(margin, length - span.kept_stop)


@given(sides, sides, margins, st.integers(1, 900))
def test_all_tiles_have_one_size(high: int, wide: int, margin: int, most: int) -> None:
    found = tiles(high, wide, margin, most)
    assert len({(t.rows.stop - t.rows.start, t.columns.stop - t.columns.start) for t in found}) == 1


def test_what_fits_is_one_tile() -> None:
    (tile,) = tiles(30, 40, 5, 1200)
    assert (tile.rows.start, tile.rows.stop, tile.columns.start, tile.columns.stop) == (0, 30, 0, 40)


def test_tiles_are_within_their_bound() -> None:
    for tile in tiles(300, 400, 5, 1000):
        assert (tile.rows.stop - tile.rows.start) * (tile.columns.stop - tile.columns.start) <= 1000


def test_the_tiles_are_those_of_least_work() -> None:
    """Two halves of a 1080p picture at 4:2:0, side by side; squares of that size would be half as much again."""
    found = tiles(68, 120, 7, 5000)
    assert [(t.rows.stop - t.rows.start, t.columns.stop - t.columns.start) for t in found] == [(68, 67)] * 2


@given(sides, sides, margins, st.sampled_from([(1, 1), (2, 2), (2, 1)]))
def test_cut_and_paste_make_the_picture_again(high: int, wide: int, margin: int, step: tuple[int, int]) -> None:
    whole = np.random.default_rng(0).integers(0, 255, (high * step[0], wide * step[1])).astype(np.uint8)
    again = np.zeros_like(whole)
    for tile in tiles(high, wide, margin, 50):
        tile.paste(np.asarray(tile.cut(whole, *step), np.uint8), again, *step)
    np.testing.assert_array_equal(again, whole)
