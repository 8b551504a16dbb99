"""Work in turns: in order at both ends, at the same time between, and nothing is lost."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import CancelledError, Executor, Future, ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mjpeg_restore.futures import INLINE
from mjpeg_restore.ordered import Halt, Workers
from mjpeg_restore.runtime.cpu.turns import Turns, Work


class Log:
    """What was done, and how much was under way.

    Attributes:
        first, last: the numbers of the work, in the order of their first and last steps.
        most: under way at the same time.
    """

    def __init__(self) -> None:
        self.first: list[int] = []
        self.last: list[int] = []
        self.most = self._under_way = 0
        self._busy = threading.Lock()
        self._count = threading.Lock()

    def work(self, number: int, between: Callable[[], object] = lambda: None, fails_in: int | None = None) -> Work[int]:
        with self._busy:
            self.first.append(number)
            with self._count:
                self._under_way += 1
                self.most = max(self.most, self._under_way)
            self._fail(fails_in, 0)
        yield
        between()
        self._fail(fails_in, 1)
        yield
        with self._busy:
            self.last.append(number)
            with self._count:
                self._under_way -= 1
            self._fail(fails_in, 2)
        return number

    def _fail(self, wanted: int | None, step: int) -> None:
        if wanted == step:
            with self._count:
                self._under_way -= step < 2
            raise ValueError(f"step {step}")


def results(futures: list[Future[int]]) -> list[int]:
    return [future.result(60) for future in futures]


@pytest.mark.parametrize("most", [1, 2, 3, 8])
@pytest.mark.parametrize("threads", [1, 2, 4])
def test_both_ends_are_in_order(most: int, threads: int) -> None:
    log = Log()
    with ThreadPoolExecutor(threads) as pool:
        turns: Turns[int] = Turns(pool, most)
        pauses = [(7 * number % 5) / 1000 for number in range(40)]
        futures = [turns.submit(log.work(number, lambda t=t: time.sleep(t))) for number, t in enumerate(pauses)]
        assert results(futures) == list(range(40))
    assert log.first == log.last == list(range(40))
    assert log.most <= most


@pytest.mark.parametrize("number", [2, 3])
def test_what_is_between_is_done_at_the_same_time(number: int) -> None:
    together = threading.Barrier(number, timeout=60)
    with ThreadPoolExecutor(number) as pool:
        turns: Turns[int] = Turns(pool, number)
        assert results([turns.submit(Log().work(one, together.wait)) for one in range(number)]) == list(range(number))


def test_the_ends_of_one_are_never_at_the_same_time_as_those_of_another_of_their_kind() -> None:
    begun, ended = threading.Lock(), threading.Lock()

    def work(number: int) -> Work[int]:
        assert begun.acquire(blocking=False)
        time.sleep(0.001)
        begun.release()
        yield
        yield
        assert ended.acquire(blocking=False)
        time.sleep(0.001)
        ended.release()
        return number

    with ThreadPoolExecutor(4) as pool:
        turns: Turns[int] = Turns(pool, 4)
        assert results([turns.submit(work(number)) for number in range(50)]) == list(range(50))


def test_one_thread_at_a_time_finishes() -> None:
    # The second one is computed while the first one is being finished: its thread leaves it to the other one.
    class Pool(ThreadPoolExecutor):
        def submit(self, *args: Any, **kwargs: Any) -> Future[Any]:
            handed.append(super().submit(*args, **kwargs))
            return handed[-1]

    handed: list[Future[Any]] = []
    finishing = threading.Event()

    def first() -> Work[int]:
        yield
        yield
        finishing.set()
        while len(handed) < 2:
            time.sleep(0.001)
        handed[1].exception(60)
        return 0

    def second() -> Work[int]:
        yield
        finishing.wait(60)
        yield
        return 1

    with Pool(2) as pool:
        turns: Turns[int] = Turns(pool, 2)
        assert results([turns.submit(first()), turns.submit(second())]) == [0, 1]
    assert [one.exception() for one in handed] == [None, None]


def test_a_thread_that_is_done_goes_on_with_the_next_one() -> None:
    # The first one's middle takes until the third one has begun: two threads are enough for that.
    third, log = threading.Event(), Log()
    with ThreadPoolExecutor(2) as pool:
        turns: Turns[int] = Turns(pool, 3)
        futures = [turns.submit(log.work(0, lambda: third.wait(60))), turns.submit(log.work(1))]
        futures.append(turns.submit(log.work(2, third.set)))
        assert results(futures) == [0, 1, 2]
    assert third.is_set()


@pytest.mark.parametrize("most", [1, 2, 3])
def test_one_that_waits_to_be_finished_leaves_its_place_to_another(most: int) -> None:
    # The first one's middle takes until the last one has begun: the others wait for it meanwhile, as far as they may.
    last, log, busy, count = threading.Event(), Log(), list[int](), threading.Lock()

    def middle(number: int) -> None:
        with count:
            busy.append(number)
            assert len(busy) <= most
        if number == most:
            last.set()
        if number == 0 and most > 1:
            assert last.wait(60)
        with count:
            busy.remove(number)

    with ThreadPoolExecutor(6) as pool:
        turns: Turns[int] = Turns(pool, most, computed=1)
        futures = [turns.submit(log.work(number, lambda n=number: middle(n))) for number in range(20)]
        assert results(futures) == list(range(20))
    assert log.first == log.last == list(range(20))
    assert log.most <= most + 1


def test_the_next_one_begins_while_others_are_finished() -> None:
    third, log = threading.Event(), Log()

    def second() -> Work[int]:
        yield
        together.wait()
        yield
        assert third.wait(60)
        return 1

    with ThreadPoolExecutor(2) as pool:
        turns: Turns[int] = Turns(pool, 2)
        together = threading.Barrier(2, timeout=60)
        futures = [turns.submit(log.work(0, together.wait)), turns.submit(second())]
        futures.append(turns.submit(log.work(2, third.set)))
        assert results(futures) == [0, 1, 2]


@pytest.mark.parametrize("step", [0, 1, 2])
@pytest.mark.parametrize("threads", [0, 1, 3])
def test_an_error_is_that_of_its_own_work_alone(step: int, threads: int) -> None:
    log = Log()
    pool: Executor = ThreadPoolExecutor(threads) if threads else INLINE
    with pool:
        turns: Turns[int] = Turns(pool, 3)
        futures = [turns.submit(log.work(number, fails_in=step if number % 3 == 1 else None)) for number in range(9)]
        for number, future in enumerate(futures):
            if number % 3 == 1:
                with pytest.raises(ValueError, match=f"^step {step}$"):
                    future.result(60)
            else:
                assert future.result(60) == number


@given(st.lists(st.sampled_from([None, None, None, 0, 1, 2]), max_size=12), st.integers(1, 4), st.integers(0, 3))
@settings(max_examples=40)
def test_every_future_is_done(failing: list[int | None], most: int, threads: int) -> None:
    log = Log()
    pool: Executor = ThreadPoolExecutor(threads) if threads else INLINE
    with pool:
        turns: Turns[int] = Turns(pool, most)
        futures = [turns.submit(log.work(number, fails_in=step)) for number, step in enumerate(failing)]
        for number, (future, step) in enumerate(zip(futures, failing, strict=True)):
            assert isinstance(future.exception(60), ValueError) if step is not None else future.result(60) == number
    assert log.first == sorted(log.first)
    assert log.last == sorted(log.last)
    assert log.most <= most


def test_what_is_cancelled_before_it_begins_is_left_out() -> None:
    go, log = threading.Event(), Log()
    with ThreadPoolExecutor(1) as pool:
        turns: Turns[int] = Turns(pool, 1)
        futures = [turns.submit(log.work(0, lambda: go.wait(60))), *(turns.submit(log.work(n)) for n in range(1, 4))]
        assert futures[2].cancel()
        go.set()
        assert results([futures[0], futures[1], futures[3]]) == [0, 1, 3]
    assert log.first == [0, 1, 3]
    assert not futures[1].cancel()


def test_work_that_waits_is_done_by_a_pool_that_takes_no_more() -> None:
    go, log = threading.Event(), Log()
    with ThreadPoolExecutor(1) as pool:
        turns: Turns[int] = Turns(pool, 2)
        futures = [turns.submit(log.work(0, lambda: go.wait(60))), *(turns.submit(log.work(n)) for n in range(1, 4))]
        while not log.first:
            time.sleep(0.001)
        pool.shutdown(wait=False)
        go.set()
        assert results(futures) == [0, 1, 2, 3]
    with pytest.raises(RuntimeError, match="shutdown"):
        turns.submit(log.work(4))


def test_work_that_its_pool_drops_is_cancelled() -> None:
    go, log = threading.Event(), Log()
    with ThreadPoolExecutor(1) as pool:
        pool.submit(go.wait, 60)
        turns: Turns[int] = Turns(pool, 2)
        futures = [turns.submit(log.work(number)) for number in range(3)]
        pool.shutdown(wait=False, cancel_futures=True)
        go.set()
    for future in futures:
        with pytest.raises(CancelledError):
            future.result(60)


def test_work_that_its_pool_does_not_do_as_it_is_halted_is_cancelled() -> None:
    halt = Halt()
    halt.request()
    pool = Workers(1, "halted", halt)
    turns: Turns[int] = Turns(pool, 2)
    futures = [turns.submit(Log().work(number)) for number in range(3)]
    pool.close()
    for future in futures:
        with pytest.raises(CancelledError):
            future.result(60)


@pytest.mark.parametrize("threads", [0, 2])
def test_what_runs_when_one_is_done_may_submit_another(threads: int) -> None:
    pool: Executor = ThreadPoolExecutor(threads) if threads else INLINE
    with pool:
        turns: Turns[int] = Turns(pool, 1)
        done: list[int] = []
        all_done = threading.Event()

        def submit(number: int) -> None:
            def go_on(future: Future[int]) -> None:
                done.append(future.result())
                submit(number + 1)

            if number == 20:
                all_done.set()
            else:
                turns.submit(Log().work(number)).add_done_callback(go_on)

        submit(0)
        assert all_done.wait(60)
        assert done == list(range(20))


def test_several_threads_may_submit() -> None:
    log = Log()
    turns: Turns[int] = Turns(INLINE, 3)
    futures: list[Future[int]] = []

    def submit(first: int) -> None:
        for number in range(first, first + 50):
            futures.append(turns.submit(log.work(number)))

    threads = [threading.Thread(target=submit, args=(100 * index,)) for index in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results(futures)) == sorted(n for first in range(0, 400, 100) for n in range(first, first + 50))
    assert log.first == log.last
    assert log.most <= 3


def test_whether_work_comes_alone() -> None:
    go, found = threading.Event(), list[bool]()

    def work() -> Work[int]:
        found.append(turns.is_alone)
        yield
        go.wait(60)
        yield
        return 0

    with ThreadPoolExecutor(2) as pool:
        turns: Turns[int] = Turns(pool, 2)
        futures = [turns.submit(work())]
        while not found:
            time.sleep(0.001)
        futures += [turns.submit(work()), turns.submit(work())]
        while len(found) < 2:
            time.sleep(0.001)
        go.set()
        results(futures)
    assert found[:2] == [True, False]


def test_work_does_not_come_alone_where_another_waits() -> None:
    submitted, found = threading.Event(), list[bool]()

    def work() -> Work[int]:
        submitted.wait(60)
        found.append(turns.is_alone)
        yield
        yield
        return 0

    with ThreadPoolExecutor(1) as pool:
        turns: Turns[int] = Turns(pool, 2)
        futures = [turns.submit(work()), turns.submit(work())]
        submitted.set()
        results(futures)
    assert found == [False, True]
