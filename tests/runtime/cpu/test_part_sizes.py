"""Sizes of parts: few, ready, and large enough."""

from __future__ import annotations

from concurrent.futures import Executor, Future
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mjpeg_restore.futures import INLINE
from mjpeg_restore.runtime.cpu.part_sizes import (
    COMPILATION,
    FORGET,
    MEMORY,
    MOST,
    SLOWER,
    STEPS,
    Grids,
    PartSizes,
    Size,
    rounded,
    unit,
)

GRIDS: Grids = ((60, 80), (30, 40), (30, 40))
WANTED = -(-COMPILATION // (60 * 80 - 48 * 72))
"""Parts of 48x72 blocks, computed in pictures of 60x80, that take as much time as it takes to compile their size."""
lengths = st.integers(1, 300)


class Sizes:
    """Sizes whose preparation is remembered."""

    def __init__(self, pool: Executor = INLINE) -> None:
        self.prepared: list[Size] = []
        self.sizes = PartSizes(lambda size, _: self.prepared.append(size), pool)

    def fit(self, high: int, wide: int, grids: Grids = GRIDS, times: int = 1) -> Size:
        found = 0, 0
        for _ in range(times):
            wanted = rounded(high, grids, 0), rounded(wide, grids, 1)
            found = self.sizes.fit(wanted, lambda size: size[0] >= high and size[1] >= wide, grids)
        return found


class Later(Executor):
    """Keeps what is submitted until it is done."""

    def __init__(self) -> None:
        self.waiting: list[Any] = []

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        self.waiting.append(lambda: fn(*args, **kwargs))
        return Future()

    def do(self) -> None:
        waiting, self.waiting = self.waiting, []
        for call in waiting:
            call()


@given(lengths, lengths, st.sampled_from([1, 2, 4]))
def test_a_length_is_one_of_a_few_and_whole_blocks_of_each_component(length: int, whole: int, span: int) -> None:
    whole *= span
    length = min(length, whole)
    grids = ((whole, span), (whole // span, 1))
    every = {rounded(one, grids, 0) for one in range(1, whole + 1)}
    assert length <= rounded(length, grids, 0) <= whole
    assert len(every) <= STEPS
    assert all(one % unit(grids, 0) == 0 for one in every - {whole})


def test_a_size_of_another_shape_will_do_if_the_part_goes_into_it() -> None:
    sizes = Sizes()
    sizes.fit(32, 80)
    assert sizes.sizes.fit((48, 48), lambda size: size == (32, 80), GRIDS) == (32, 80)
    assert sizes.sizes.fit((48, 48), lambda size: False, GRIDS) == (48, 48)


def test_nothing_but_the_first_size_is_prepared_for_what_takes_little_time() -> None:
    sizes = Sizes()
    for _ in range(2 * WANTED):
        assert sizes.sizes.near((60, 80), lambda size: True, GRIDS) == (60, 80)
        assert sizes.sizes.near((48, 72), lambda size: True, GRIDS) == (60, 80)
        assert sizes.sizes.near((48, 72), lambda size: False, GRIDS) == (48, 72)
        assert sizes.sizes.near((12, 12), lambda size: True, GRIDS) == (12, 12)  # far smaller
    assert sizes.prepared == [(60, 80)]


def test_the_first_part_is_prepared_at_once() -> None:
    sizes = Sizes()
    assert sizes.fit(32, 80) == (32, 80)
    assert sizes.prepared == [(32, 80)]


def test_parts_are_computed_at_a_size_that_holds_them_or_at_their_own() -> None:
    sizes = Sizes()
    sizes.fit(32, 80)
    assert sizes.fit(30, 60) == (32, 80)
    assert sizes.fit(12, 12) == (12, 12)  # far smaller
    assert sizes.fit(40, 12) == (40, 12)
    assert sizes.prepared == [(32, 80)]


def test_what_is_wanted_often_is_prepared_while_others_serve() -> None:
    later = Later()
    sizes = Sizes(later)
    sizes.fit(60, 80)
    assert sizes.fit(47, 70, times=WANTED - 1) == (60, 80)
    assert not later.waiting
    assert sizes.fit(47, 70, times=5) == (60, 80)
    assert len(later.waiting) == 1
    later.do()
    assert sizes.prepared == [(60, 80), (48, 72)]
    assert sizes.fit(47, 70) == (48, 72)
    assert sizes.fit(49, 70) == (60, 80)


def test_a_size_that_is_nearly_the_same_will_do() -> None:
    sizes = Sizes()
    sizes.fit(60, 80)
    assert sizes.fit(60, 70, times=2 * WANTED) == (60, 80)
    assert sizes.prepared == [(60, 80)]


def test_what_is_wanted_seldom_is_forgotten() -> None:
    sizes = Sizes()
    sizes.fit(60, 80)
    for _ in range(int(COMPILATION / (SLOWER * 12 * 24)) + 1):
        sizes.fit(12, 20)
        sizes.fit(60, 70, times=FORGET)
    assert (12, 24) not in sizes.prepared


def test_a_size_that_only_the_graph_for_any_serves_is_prepared_in_time() -> None:
    sizes = Sizes()
    sizes.fit(60, 80)
    most = int(COMPILATION / (SLOWER * 40 * 42)) + 1
    assert sizes.fit(40, 40, times=most) == (40, 42)
    assert sizes.prepared == [(60, 80), (40, 42)]


def test_there_are_few_sizes_and_those_that_are_used_stay() -> None:
    sizes = Sizes()
    sizes.fit(60, 80)
    for high in range(4, 60, 4):
        for wide in range(5, 80, 15):
            sizes.fit(high, wide, times=int(COMPILATION / (SLOWER * high * wide)) + 1)
            sizes.fit(60, 80)
    ready = sizes.sizes._ready
    assert 2 <= len(ready) <= MOST
    assert sum(high * wide for high, wide in ready) <= MEMORY * 60 * 80
    assert (60, 80) in ready


def test_another_picture_begins_anew() -> None:
    sizes = Sizes()
    sizes.fit(60, 80)
    other: Grids = ((30, 40), (30, 40), (30, 40))
    assert sizes.fit(30, 40, other) == (30, 40)
    assert sizes.fit(60, 80) == (60, 80)
    assert sizes.prepared == [(60, 80), (30, 40), (60, 80)]


def test_a_pool_that_takes_no_more_work_ends_nothing() -> None:
    class Closed(Executor):
        def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
            raise RuntimeError("closed")

    sizes = Sizes(Closed())
    sizes.fit(60, 80)
    assert sizes.fit(47, 70, times=2 * WANTED) == (60, 80)


@pytest.mark.parametrize("grids", [((1, 1),), ((2, 3), (1, 3), (1, 3)), ((4, 8), (4, 2), (4, 2))])
def test_pictures_of_a_few_blocks(grids: Grids) -> None:
    sizes = Sizes()
    for size in [(1, 1), grids[0]]:
        found = sizes.fit(*size, grids)
        assert all(least <= one <= most for least, one, most in zip(size, found, grids[0], strict=True))
