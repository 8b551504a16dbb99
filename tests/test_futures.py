"""Futures of work that is done in parts."""

from __future__ import annotations

import gc
import threading
import weakref
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor

import pytest

from mjpeg_restore.futures import INLINE, done, gather, while_wanted


def test_parts_come_together_in_their_order() -> None:
    parts = [Future[int]() for _ in range(3)]
    whole = gather(parts, lambda results: results)
    for number in (2, 0, 1):
        assert not whole.done()
        parts[number].set_result(number)
    assert whole.result() == [0, 1, 2]


def test_the_thread_that_finishes_the_last_part_computes() -> None:
    with ThreadPoolExecutor(1) as pool:
        go = threading.Event()
        part = pool.submit(go.wait, 30)
        whole = gather([done(True), part], lambda _: threading.get_ident())
        go.set()
        assert whole.result(30) == pool.submit(threading.get_ident).result(30)


def test_the_first_failure_in_order_is_that_of_the_whole() -> None:
    parts = [Future[int]() for _ in range(3)]
    whole = gather(parts, sum)
    parts[2].set_exception(ValueError("last"))
    parts[1].set_exception(KeyError("middle"))
    parts[0].set_result(1)
    with pytest.raises(KeyError, match="middle"):
        whole.result()


def test_the_functions_failure_is_that_of_the_whole() -> None:
    whole = gather([done(0)], lambda results: 1 // results[0])
    with pytest.raises(ZeroDivisionError):
        whole.result()


def test_the_whole_cannot_be_cancelled_and_is_not_disturbed() -> None:
    part = Future[int]()
    whole = gather([part], sum)
    assert not whole.cancel()
    part.set_result(1)
    assert whole.result(0) == 1


def test_a_part_that_is_cancelled_is_a_failure_of_the_whole() -> None:
    parts = [Future[int](), done(1)]
    whole = gather(parts, sum)
    assert parts[0].cancel()
    with pytest.raises(CancelledError):
        whole.result(0)


def test_nothing_is_kept_but_the_result() -> None:
    class Large:
        """Something that can be referred to weakly."""

    large = Large()
    kept, part = weakref.ref(large), done(large)
    whole = gather([part], len)
    del large, part
    gc.disable()
    try:
        assert kept() is None
    finally:
        gc.enable()
    assert whole.result() == 1


def test_inline_work_is_done_at_once_and_its_failure_kept() -> None:
    assert INLINE.submit(threading.get_ident).result() == threading.get_ident()
    failed = INLINE.submit(divmod, 1, 0)
    with pytest.raises(ZeroDivisionError):
        failed.result()


def test_what_is_wanted_is_waited_for() -> None:
    released: list[str] = []
    assert while_wanted(lambda: "found", lambda: True, released.append) == "found"
    with pytest.raises(KeyError, match="missing"):
        while_wanted(lambda: {}["missing"], lambda: True, released.append)
    assert released == []


def test_what_is_not_wanted_any_more_is_released_when_it_comes() -> None:
    asked, go, released = threading.Event(), threading.Event(), threading.Event()

    def call() -> str:
        asked.set()
        go.wait(30)
        return "late"

    assert while_wanted(call, lambda: not asked.is_set(), lambda late: released.set()) is None
    assert not released.is_set()
    go.set()
    assert released.wait(30)


def test_what_ends_the_wait_releases_what_comes_late() -> None:
    go, released = threading.Event(), threading.Event()

    def interrupted() -> bool:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        while_wanted(lambda: go.wait(30), interrupted, lambda late: released.set())
    go.set()
    assert released.wait(30)
