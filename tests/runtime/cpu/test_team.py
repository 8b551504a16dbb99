"""Steps that threads do together."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st
from numpy.typing import NDArray

from mjpeg_restore.futures import INLINE
from mjpeg_restore.runtime.cpu.team import ALONE, Team, shares_of


def test_steps_are_done_at_the_same_time() -> None:
    together = threading.Barrier(3, timeout=60)
    with ThreadPoolExecutor(2) as pool:
        Team(pool, 3)([together.wait] * 3)


@pytest.mark.parametrize("team", [ALONE, Team(INLINE, 3)])
def test_a_thread_alone_does_all_steps(team: Team) -> None:
    done: list[int] = []
    team([partial(done.append, number) for number in range(5)])
    assert sorted(done) == [0, 1, 2, 3, 4]


def test_what_no_thread_has_begun_is_done_by_the_one_that_asks() -> None:
    done: list[int] = []
    with ThreadPoolExecutor(1) as pool:
        go = threading.Event()
        pool.submit(go.wait, 60)
        Team(pool, 3)([partial(done.append, number) for number in range(3)])
        go.set()
    assert done == [0, 1, 2]


def test_a_pool_that_takes_no_more_work_is_done_without() -> None:
    pool, done = ThreadPoolExecutor(1), list[int]()
    pool.shutdown()
    Team(pool, 2)([partial(done.append, number) for number in range(3)])
    assert done == [0, 1, 2]


def test_an_error_is_raised_once_nothing_is_under_way() -> None:
    begun, failed, late = threading.Event(), threading.Event(), list[bool]()

    def fail() -> None:
        begun.wait(60)
        raise ValueError("lost")

    def go_on() -> None:
        begun.set()
        late.append(failed.wait(0.1))

    with ThreadPoolExecutor(1) as pool:
        with pytest.raises(ValueError, match="lost"):
            Team(pool, 2)([fail, go_on])
        failed.set()
    assert late == [False]


# ---- shares of a picture's blocks ----

masks = st.builds(
    lambda high, wide, share, seed: np.random.default_rng(seed).random((high, wide)) < share,
    *(st.integers(1, 40), st.integers(1, 12), st.sampled_from([0.0, 0.02, 0.3, 1.0]), st.integers(0, 10_000)),
)


@hypothesis.given(masks, st.integers(1, 9))
def test_shares_have_every_block_once(wanted: NDArray[np.bool_], number: int) -> None:
    shares = shares_of(wanted, number)
    assert len(shares) <= number
    np.testing.assert_array_equal(np.sum([np.zeros(wanted.shape, int), *shares], axis=0), wanted)
    last = -1
    for share in shares:
        rows = np.flatnonzero(share.any(axis=1))
        assert rows[0] > last
        last = rows[-1]
        # As many blocks as each has on average, and one row more, for rows are not divided.
        assert share.sum() <= wanted.sum() / number + wanted.sum(axis=1).max()


@pytest.mark.parametrize(("rows", "number"), [(1, 1), (6, 2), (6, 3), (7, 7), (49, 25), (34, 16)])
def test_there_are_as_many_shares_as_threads(rows: int, number: int) -> None:
    assert len(shares_of(np.ones((rows, 5), np.bool_), number)) == number


def test_each_share_is_done_by_a_thread_of_its_own() -> None:
    together, seen = threading.Barrier(2, timeout=60), np.zeros((6, 5), int)

    def step(share: NDArray[np.bool_]) -> None:
        together.wait()
        seen[share] += 1

    with ThreadPoolExecutor(1) as pool:
        Team(pool, 2).divide(step, np.ones((6, 5), np.bool_))
    assert (seen == 1).all()


def test_where_no_block_is_wanted_nothing_is_done() -> None:
    for team in (ALONE, Team(INLINE, 2)):
        team.divide(lambda _: pytest.fail("there is nothing to do"), np.zeros((3, 4), np.bool_))
