from __future__ import annotations

import itertools
import random
import threading
import time
from collections.abc import Iterator

import pytest

from mjpeg_restore.futures import done
from mjpeg_restore.ordered import Feeder, Halt, in_order, ordered_map


def feeders(name: str) -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == f"{name}-feeder"]


def test_results_come_in_the_order_of_the_items() -> None:
    delays = random.Random(1)

    def late(item: int) -> int:
        time.sleep(delays.random() * 0.003)
        return item * item

    found = list(ordered_map(late, range(200), workers=8, in_flight=16, name="late"))
    assert found == [item * item for item in range(200)]


def test_nothing_in_nothing_out() -> None:
    assert list(ordered_map(str, [], workers=2, in_flight=2, name="none")) == []


@pytest.mark.parametrize("in_flight", [1, 3, 8])
def test_no_more_items_are_in_flight_than_allowed(in_flight: int) -> None:
    taken = 0

    def items() -> Iterator[int]:
        nonlocal taken
        while True:
            taken += 1
            yield taken - 1

    results = ordered_map(str, items(), workers=4, in_flight=in_flight, name="bounded")
    for number in range(50):
        assert next(results) == str(number)
        until = time.monotonic() + 30
        while taken - (number + 1) < in_flight and time.monotonic() < until:
            time.sleep(0.001)  # let the feeder run as far as it may
        time.sleep(0.001)
        assert taken - (number + 1) == in_flight
    results.close()


def test_an_exception_of_the_function_comes_in_its_place() -> None:
    def divide(item: int) -> float:
        time.sleep(0.002 * (item < 3))
        return 6 / (item - 3)

    results = ordered_map(divide, range(9), workers=4, in_flight=8, name="divide")
    assert [next(results) for _ in range(3)] == [-2, -3, -6]
    with pytest.raises(ZeroDivisionError):
        next(results)
    assert list(results) == []
    assert not feeders("divide")


def test_an_exception_of_the_items_comes_behind_what_they_gave() -> None:
    def items() -> Iterator[int]:
        yield 1
        yield 2
        raise LookupError("no more")

    results = ordered_map(str, items(), workers=2, in_flight=4, name="items")
    assert [next(results), next(results)] == ["1", "2"]
    with pytest.raises(LookupError, match="no more"):
        next(results)


def test_closing_early_ends_the_feeder_and_closes_the_items_on_its_thread() -> None:
    closed: list[str] = []

    def items() -> Iterator[int]:
        try:
            yield from itertools.count()
        finally:
            closed.append(threading.current_thread().name)

    results = ordered_map(str, items(), workers=2, in_flight=2, name="early")
    assert next(results) == "0"
    results.close()
    assert closed == ["early-feeder"]
    assert not feeders("early")


class Closing:
    """Items that fail when they are closed."""

    def __iter__(self) -> Iterator[int]:
        return iter(range(3))

    def close(self) -> None:
        raise OSError("cannot be closed")


def test_an_exception_of_closing_comes_last_and_everything_is_closed() -> None:
    closed = threading.Event()
    results = in_order(done, Closing(), in_flight=2, name="closing", close=closed.set)
    assert list(itertools.islice(results, 3)) == [0, 1, 2]
    with pytest.raises(OSError, match="cannot be closed"):
        next(results)
    assert closed.is_set()
    assert not feeders("closing")


def test_an_exception_of_the_close_function_comes_last() -> None:
    def close() -> None:
        raise OSError("cannot be closed")

    results = in_order(done, range(3), in_flight=2, name="end", close=close)
    assert list(itertools.islice(results, 3)) == [0, 1, 2]
    with pytest.raises(OSError, match="cannot be closed"):
        next(results)


def test_closing_before_the_first_result_starts_nothing() -> None:
    results = ordered_map(str, itertools.count(), workers=2, in_flight=2, name="never")
    results.close()
    assert not feeders("never")


def test_a_slow_source_holds_back_nothing_that_is_done() -> None:
    more = threading.Event()

    def items() -> Iterator[int]:
        yield 1
        yield 2
        assert more.wait(30)
        yield 3

    results = ordered_map(str, items(), workers=1, in_flight=4, name="slow")
    assert [next(results), next(results)] == ["1", "2"]  # the source gives its third item only after these
    more.set()
    assert list(results) == ["3"]


def test_the_function_runs_on_several_threads() -> None:
    meeting = threading.Barrier(3, timeout=30)

    def meet(item: int) -> int:
        meeting.wait()
        return item

    assert list(ordered_map(meet, range(6), workers=3, in_flight=3, name="meet")) == list(range(6))


def test_a_halt_ends_a_map_over_a_map_from_another_thread() -> None:
    silent = threading.Event()

    def items() -> Iterator[int]:
        yield 1
        assert silent.wait(60)

    halt = Halt(silent.set)
    within = ordered_map(abs, items(), workers=1, in_flight=1, name="within")
    results = ordered_map(str, within, workers=1, in_flight=1, name="around", halt=halt)
    assert halt.wait()  # nothing has begun
    assert next(results) == "1"
    asking = threading.Timer(0.05, halt.request)
    asking.start()
    assert list(results) == []
    assert halt.wait(30)
    assert not feeders("within")
    assert not feeders("around")


def test_what_a_halt_finds_waiting_is_not_begun() -> None:
    begun: list[int] = []
    works, woken = threading.Event(), threading.Event()

    def slow(item: int) -> None:
        begun.append(item)
        works.set()
        assert woken.wait(60)

    halt = Halt()
    results = ordered_map(slow, range(9), workers=1, in_flight=4, name="slow", halt=halt)
    threading.Thread(target=lambda: works.wait(60) and halt.request()).start()
    assert list(results) == []  # and does not wait for the one that is being made
    woken.set()
    assert begun == [0]


def test_a_feeder_does_not_wait_for_itself() -> None:
    """The garbage collector may close an iterator on any thread, also on those that the iterator would wait for."""
    found: list[bool] = []
    halt = Halt()

    def items() -> Iterator[int]:
        yield 1
        halt.request()
        found.append(halt.wait())

    within = ordered_map(abs, items(), workers=1, in_flight=1, name="within")
    list(ordered_map(str, within, workers=1, in_flight=1, name="around", halt=halt))
    assert halt.wait(30)
    assert found == [False]


def test_a_feeder_that_is_about_to_start_is_not_waited_for() -> None:
    found: list[bool] = []
    halt = Halt()

    class Asked(Feeder):
        def start(self) -> None:
            found.append(halt.wait())  # as another thread may
            super().start()

    halt.start(Asked(lambda: None, "asked"))
    assert found == [True]
    assert halt.wait(30)
