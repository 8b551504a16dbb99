from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from mjpeg_restore.sources.timestamps import LOOKAHEAD, RestartAlignment, TimestampCorrector, correction_remark

STEP, SECOND = 100, 1000


def run(stamps: Sequence[int | None], step: int = STEP) -> tuple[list[int], TimestampCorrector[int]]:
    """The corrected times, which are those of the items in order, and the corrector."""
    clock: TimestampCorrector[int] = TimestampCorrector(step, SECOND)
    found: list[tuple[int, int]] = []
    for number, stamp in enumerate(stamps):
        found += clock.feed(number, stamp)
        assert len(found) >= number - LOOKAHEAD
    found += clock.flush()
    assert [number for number, _ in found] == list(range(len(stamps)))
    return [time for _, time in found], clock


def even(first: int, count: int) -> list[int]:
    return [first + STEP * number for number in range(count)]


@given(st.lists(st.integers(0, 30 * 24 * 3600 * SECOND), unique=True, max_size=40).map(sorted))
def test_rising_stamps_are_kept(stamps: list[int]) -> None:
    times, clock = run(stamps)
    assert times == stamps
    assert correction_remark(clock, Fraction(1, SECOND)) is None


@given(st.lists(st.one_of(st.none(), st.integers(0, 2000), st.integers(-(10**12), 10**12)), max_size=40))
def test_times_always_rise(stamps: list[int | None]) -> None:
    times, clock = run(stamps)
    assert all(time < later for time, later in pairwise(times))
    changed = sum(time != stamp for time, stamp in zip(times, stamps, strict=True))
    assert changed <= clock.replaced + clock.shifted


@given(
    st.lists(st.integers(90, 110), min_size=8, max_size=30),
    st.integers(0, 10**12),
    st.data(),
    st.one_of(st.none(), st.integers(-(10**12), 10**12), st.integers(-300, 300)),
)
def test_one_wrong_stamp_does_not_change_the_others(
    steps: list[int], first: int, data: st.DataObject, error: int | None
) -> None:
    right = [first]
    for step in steps:
        right.append(right[-1] + step)
    place = data.draw(st.integers(0, len(steps)))
    # Which of the first two stamps is wrong cannot be told if they are so close to each other.
    assume(place or error is None or not 0 < error < 3 * STEP)
    stamps: list[int | None] = list(right)
    stamps[place] = None if error is None else right[place] + error
    times, _ = run(stamps)
    assert times[:place] + times[place + 1 :] == right[:place] + right[place + 1 :]


@given(st.integers(6, 20), st.integers(6, 20), st.integers(0, 10**12), st.integers(2, 10**6))
def test_a_clock_that_restarts_is_continued(before: int, after: int, first: int, back: int) -> None:
    stamps = even(first, before)
    stamps += even(stamps[-1] + STEP - back * STEP, after)
    times, clock = run(stamps)
    assert times == even(first, before + after)
    assert (clock.replaced, clock.shifted) == (0, after)


CASES = {
    "one ahead": ([*even(0, 8), 37_600_800, *even(900, 5)], even(0, 14), 1),
    "one behind": ([*even(370_000, 8), 0, *even(370_900, 5)], even(370_000, 14), 1),
    "the first is ahead": ([37_600_000, *even(100, 6)], even(0, 7), 1),
    "two ahead": ([*even(0, 8), 37_600_800, 37_600_900, *even(1000, 5)], even(0, 15), 2),
    "two at random": ([*even(0, 8), 37_600_800, 12_345, *even(1000, 5)], even(0, 15), 2),
    "some are 0": ([*even(0, 8), 0, 0, 0, *even(1100, 5)], even(0, 16), 3),
    "many are 0": ([*even(0, 8), *[0] * 30, *even(3800, 5)], even(0, 43), 30),
    "all are 0": ([0] * 12, even(0, 12), 11),
    "some are equal": ([0, 100, 200, 200, 400, 500, 500, 700], even(0, 8), 2),
    "some are missing": ([None, 100, None, None, 400, None], even(0, 6), 4),
    "the last is behind": ([*even(0, 8), 0], even(0, 9), 1),
    "restarts twice": ([*even(0, 6), *even(0, 6), *even(0, 6)], even(0, 18), 12),
    "steps back by half a second": ([*even(0, 12), *even(700, 8)], even(0, 20), 8),
    "steps back by half a step": ([*even(0, 12), *even(1050, 8)], even(0, 20), 8),
    "is set to the date": ([*even(0, 6), *even(1_760_000_000_000, 8)], even(0, 14), 8),
    "is set to the date at once": ([0, *even(1_760_000_000_000, 8)], even(0, 9), 8),
    "one at the date": ([*even(0, 6), 1_760_000_000_000, *even(700, 6)], even(0, 13), 1),
    "wrong before a pause": ([*even(0, 6), 0, *even(3_600_000, 6)], [*even(0, 7), *even(3_600_000, 6)], 1),
    "0 before it is set": ([0, 0, 0, *even(3_600_000, 6)], [*even(0, 3), *even(3_600_000, 6)], 2),
    "every other one is ahead": ([STEP * n + 100_000 * (n % 2) for n in range(12)], [0, *even(100_100, 11)], 5),
    "wrong after a restart": ([*even(0, 6), *even(0, 3), 9_999_999, *even(400, 5)], even(0, 15), 9),
}


@pytest.mark.parametrize("name", CASES)
def test_impossible_stamps_are_corrected_and_reported(name: str) -> None:
    stamps, right, changed = CASES[name]
    times, clock = run(stamps)
    assert times == right
    assert clock.replaced + clock.shifted == changed
    assert (correction_remark(clock, Fraction(1, SECOND)) or "").startswith(
        f"{changed} time stamp{'s' if changed > 1 else ''} changed: "
    )


def test_the_remark_on_changed_stamps() -> None:
    _, clock = run([*even(0, 8), 37_600_800, *even(900, 5), *even(0, 6)])
    assert correction_remark(clock, Fraction(1, SECOND)) == (
        "7 time stamps changed: 1 wrong or missing, interpolated between their neighbours; "
        "6 shifted, because the clock restarts once, at 1.400 s"
    )
    _, clock = run([*even(0, 6), *even(0, 6), *even(0, 6)])
    assert correction_remark(clock, Fraction(1, SECOND)) == (
        "12 time stamps changed: 12 shifted, because the clock restarts 2 times, first at 0.600 s"
    )


def test_a_slow_clock_is_continued_after_one_second() -> None:
    stamps = [5000 * number for number in range(8)]
    times, _ = run([*stamps, *stamps], step=5000)
    assert times == [*stamps, *(36_000 + stamp for stamp in stamps)]


def test_regular_pictures_are_not_delayed() -> None:
    clock: TimestampCorrector[int] = TimestampCorrector(STEP, SECOND)
    for number, stamp in enumerate([0, 100, 210, 290, 400]):
        assert list(clock.feed(number, stamp)) == [(number, stamp)]


def test_a_picture_after_a_small_gap_waits_for_one_more() -> None:
    clock: TimestampCorrector[int] = TimestampCorrector(STEP, SECOND)
    assert [list(clock.feed(number, stamp)) for number, stamp in enumerate([0, 100, 400, 500])] == [
        [(0, 0)],
        [(1, 100)],
        [],
        [(2, 400), (3, 500)],
    ]


def pictures_and_sound() -> tuple[TimestampCorrector[int], TimestampCorrector[int]]:
    """The correctors of a video track and of an audio track of 8 kHz that follows its restarts."""
    pictures: TimestampCorrector[int] = TimestampCorrector(STEP, SECOND)
    alignment = RestartAlignment(pictures, Fraction(1, SECOND), Fraction(1, 8000))
    return pictures, TimestampCorrector(160, 8000, alignment)


def test_sound_restarts_by_the_same_offset_as_the_pictures() -> None:
    pictures, sound = pictures_and_sound()
    heard: list[tuple[int, int]] = []
    # The sound ends 0.1 s before the pictures, and in the file its clock restarts before theirs.
    stamps = [160 * number for number in range(50)] + [160 * number for number in range(50)]
    for number, stamp in enumerate(stamps):
        heard += sound.feed(number, stamp)
    assert len(heard) == 50
    for number, stamp in enumerate([*even(0, 11), *even(0, 11)]):
        assert list(pictures.feed(number, stamp)) or number >= 11
    list(pictures.flush())
    heard += sound.feed(100, 8000)
    assert [time for _, time in heard[50:]] == [8800 + stamp for stamp in (*stamps[50:], 8000)]


def test_sound_that_restarts_alone_is_continued_by_itself() -> None:
    _, sound = pictures_and_sound()
    stamps = [160 * number for number in range(50)]
    heard = [found for number, stamp in enumerate([*stamps, *stamps]) for found in sound.feed(number, stamp)]
    heard += sound.flush()
    assert [time for _, time in heard] == [160 * number for number in range(100)]
