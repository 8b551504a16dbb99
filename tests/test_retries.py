"""What failed is tried again: soon, then less and less, and the log stays short."""

from __future__ import annotations

import pytest

from mjpeg_restore.retries import Delays, Retries

EXACT = Delays(shortest=1.0, longest=10.0, share=0.5, steady=5.0, chance=0.0)


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.mark.parametrize(
    ("absence", "longest"), [(0, 0.25), (0.5, 0.25), (3, 1.0), (12, 4.0), (30, 10.0), (10**6, 10.0)]
)
def test_a_delay_is_a_share_of_the_absence_and_left_to_chance(absence: float, longest: float, clock: Clock) -> None:
    found: set[float] = set()
    for _ in range(50):
        retries = Retries(clock=clock)
        retries.failed("refused")
        clock.now += absence
        retries.failed("refused")
        found.add(retries.delay)
    assert len(found) > 1
    assert longest / 2 <= min(found) <= max(found) <= longest


def test_the_first_attempt_is_at_once_and_the_next_after_the_delay(clock: Clock) -> None:
    retries = Retries(EXACT, clock)
    assert retries.wait == 0
    retries.failed("refused")
    assert retries.wait == retries.delay == 1
    clock.now += 0.75
    assert retries.wait == 0.25
    clock.now += 1
    assert retries.wait == 0


def test_delays_begin_anew_after_a_success_that_lasts(clock: Clock) -> None:
    retries = Retries(EXACT, clock)
    delays: list[float] = []
    for succeeds, lasting in [(False, 0), (False, 10), (True, 4), (True, 6), (False, 0), (False, 4)]:
        if succeeds:
            retries.succeeded()
        clock.now += lasting
        retries.failed("refused")
        delays.append(retries.delay)
    assert delays == [1, 5, 7, 1, 1, 2]


def test_how_long_all_was_well_may_be_known_better(clock: Clock) -> None:
    retries = Retries(EXACT, clock)
    retries.failed("refused")
    retries.succeeded()
    clock.now += 20  # of which all but a second were silence
    retries.failed("silent", lasted=1)
    assert retries.delay == 10


def test_the_reason_is_that_of_the_latest_failure(clock: Clock) -> None:
    retries = Retries(EXACT, clock)
    assert (retries.reason, retries.ever_succeeded) == ("", False)
    retries.failed("refused")
    retries.failed("no route")
    assert (retries.reason, retries.ever_succeeded) == ("no route", False)
    retries.succeeded()
    assert (retries.reason, retries.ever_succeeded) == ("", True)


def test_each_reason_is_told_once(clock: Clock) -> None:
    retries = Retries(EXACT, clock)
    assert [retries.failed(reason) for reason in ("a", "b", "a", "c", "b")] == [True, True, False, True, False]
    assert [retries.succeeded(), retries.failed("a"), retries.succeeded(), retries.failed("d")] == [
        True,
        False,
        False,  # the log's last line says that it had succeeded
        True,
    ]


def test_a_reason_is_told_again_after_a_success_that_lasts(clock: Clock) -> None:
    retries = Retries(EXACT, clock)
    assert retries.failed("a")
    retries.succeeded()
    clock.now += 11
    assert retries.failed("a")


def test_an_absence_that_lasts_is_told_although_its_reason_was(clock: Clock) -> None:
    retries = Retries(EXACT, clock)
    retries.failed("a")
    assert retries.succeeded()
    clock.now += 6
    assert not retries.failed("a")
    clock.now += 9
    assert not retries.failed("a")
    clock.now += 2
    assert [retries.failed("a"), retries.failed("a")] == [True, False]


def test_reasons_without_end_are_not_told_for_ever(clock: Clock) -> None:
    retries = Retries(EXACT, clock)
    assert [retries.failed(f"500 {number}") for number in range(30)] == [True] * 8 + [False] * 22
