from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mjpeg_restore.errors import SourceError
from mjpeg_restore.sources.timing import TimeWindow, check_cut, kept_duration, parse_rate

times = st.fractions(0, 100, max_denominator=1000)


@pytest.mark.parametrize(
    ("value", "rate"),
    [
        (15, Fraction(15)),
        ("15", Fraction(15)),
        (" 12.5 ", Fraction(25, 2)),
        (Fraction(50, 3), Fraction(50, 3)),
        ("30000/1001", Fraction(30000, 1001)),
        ("29.97", Fraction(30000, 1001)),
        (29.97, Fraction(30000, 1001)),
        (23.976, Fraction(24000, 1001)),
        ("59.94", Fraction(60000, 1001)),
        (0.1, Fraction(1, 10)),
    ],
)
def test_rates_are_exact(value: str | float | Fraction, rate: Fraction) -> None:
    assert parse_rate(value) == rate


@pytest.mark.parametrize("value", ["fast", "", "25/0", float("nan"), float("inf"), 0, -25, "1e9"])
def test_invalid_rates_are_refused(value: str | float) -> None:
    with pytest.raises(SourceError, match=r"frame rate|out of range"):
        parse_rate(value)


@pytest.mark.parametrize(("start", "duration"), [(Fraction(-1), None), (None, Fraction(0)), (None, Fraction(-2))])
def test_invalid_cuts_are_refused(start: Fraction | None, duration: Fraction | None) -> None:
    with pytest.raises(SourceError, match="give"):
        check_cut(start, duration)


def test_without_a_start_no_time_stamp_changes() -> None:
    window = TimeWindow.from_seconds(Fraction(1, 25), None, Fraction(1), origin=7)
    assert window.shift == 0
    assert window.contains(-3)
    assert window.contains(31)
    assert window.is_past(32)


@given(st.integers(0, 5000), times, times.filter(bool))
def test_kept_ticks_lie_in_the_cut_and_start_at_zero(pts: int, start: Fraction, duration: Fraction) -> None:
    base = Fraction(1, 50)
    window = TimeWindow.from_seconds(base, start, duration)
    if window.contains(pts):
        assert start <= pts * base < start + duration + base
        assert start == 0 or pts - window.shift >= 0


@given(st.integers(0, 10**6), times)
def test_tracks_stay_in_sync(tick: int, start: Fraction) -> None:
    video, sound = Fraction(1001, 30000), Fraction(1, 48000)
    window = TimeWindow.from_seconds(video, start, None)
    other = window.rescaled(video, sound)
    distance = (tick - other.shift) * sound - (tick * sound - window.shift * video)
    assert abs(distance) <= sound / 2


def test_kept_duration() -> None:
    assert kept_duration(None, None, Fraction(3)) == 3
    assert kept_duration(Fraction(5), Fraction(2), None) == 3
    assert kept_duration(Fraction(5), Fraction(2), Fraction(9)) == 3
    assert kept_duration(Fraction(5), Fraction(7), None) == 0


@pytest.mark.parametrize("value", ["1e400", "1e-999999999", "1e+0999999999"])
def test_a_huge_exponent_is_refused(value: str) -> None:
    with pytest.raises(SourceError, match="frame rate"):
        parse_rate(value)


def test_a_rate_has_no_more_digits_than_ffmpeg_holds() -> None:
    rate = parse_rate("25.123456789")
    assert abs(rate - Fraction("25.123456789")) < Fraction(1, 10**6)
    assert rate.numerator < 2**31


@pytest.mark.parametrize("cut", [(Fraction(10**400), None), (None, Fraction(10**400)), (Fraction(-(10**400)), None)])
def test_a_cut_of_decades_is_refused(cut: tuple[Fraction | None, Fraction | None]) -> None:
    with pytest.raises(SourceError, match="more than 1000000000 s"):
        check_cut(*cut)
