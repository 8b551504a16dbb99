"""Time stamps of live pictures: arrival, the camera's own clock, and its restarts (T1, T2)."""

from __future__ import annotations

import random
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mjpeg_restore.sources.live.clock import TIME_BASE, ArrivalClock

times = st.lists(st.tuples(st.floats(0, 5), st.none() | st.fractions(-(10**10), 10**10)), min_size=1, max_size=40)


@given(times)
def test_stamps_rise_whatever_the_clocks_say(steps: list[tuple[float, Fraction | None]]) -> None:
    clock, now, stamps = ArrivalClock(), 1000.0, list[int]()
    for step, stamp in steps:
        now += step
        stamps += [clock.stamp(now, stamp), clock.tick(now)]
    assert stamps[0] == 0
    assert stamps == sorted(set(stamps))


def test_t1_arrival_times_are_kept_and_gaps_with_them() -> None:
    clock = ArrivalClock()
    arrivals = [50.0, 50.04, 50.08, 3650.0, 3650.04]
    assert [float(clock.stamp(arrived) * TIME_BASE) for arrived in arrivals] == [0, 0.04, 0.08, 3600, 3600.04]


def test_a_steady_camera_clock_smooths_the_arrival() -> None:
    jitter, clock = random.Random(1), ArrivalClock()
    pts = [clock.stamp(0.04 * n + 0.03 * jitter.random(), Fraction(4 * n, 100)) for n in range(500)]
    arrived = np.array([0.04 * n for n in range(500)])
    steps = np.diff(pts) * float(TIME_BASE)
    assert np.abs(steps - 0.04).max() < 0.002  # the arrival's steps vary by 0.03
    assert np.abs(np.array(pts) * float(TIME_BASE) - arrived).max() < 0.06


def test_a_camera_clock_that_runs_fast_does_not_run_away() -> None:
    clock = ArrivalClock()
    for n in range(5000):
        pts = clock.stamp(0.04 * n, Fraction(44 * n, 1000))  # 10 % fast
    assert abs(pts * float(TIME_BASE) - 0.04 * 4999) < 0.3


def test_a_camera_that_restarts_is_not_believed() -> None:
    clock = ArrivalClock()
    for n in range(100):
        clock.stamp(0.04 * n, 1_700_000_000 + Fraction(4 * n, 100))
    assert abs(clock.stamp(24.0, Fraction(0)) * float(TIME_BASE) - 24) < 0.01
    assert abs(clock.stamp(24.04, Fraction(4, 100)) * float(TIME_BASE) - 24.04) < 0.01


def test_whole_seconds_are_no_clock() -> None:
    clock = ArrivalClock()
    for n in range(100):
        pts = clock.stamp(0.04 * n, Fraction(n // 25))
        assert abs(pts * float(TIME_BASE) - 0.04 * n) < 1e-4


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=200))
def test_stamps_are_never_far_from_the_arrival(steps: list[tuple[float, float]]) -> None:
    clock, arrived, stamp = ArrivalClock(), 0.0, Fraction(0)
    for ours, cameras in [(0.0, 0.0), *steps]:
        arrived, stamp = arrived + ours, stamp + Fraction(cameras)
        ahead = float(clock.stamp(arrived, stamp) * TIME_BASE) - arrived
        assert abs(ahead) < 0.5 + 200 * TIME_BASE  # stamps rise by a tick at least


@pytest.mark.parametrize("rate", [0.4, 1.5])
def test_a_camera_clock_of_another_rate_is_not_believed(rate: float) -> None:
    clock, step = ArrivalClock(), Fraction(1, 10)
    times = [float(clock.stamp(0.1 * n, 1000 + n * step * Fraction(rate)) * TIME_BASE) for n in range(1000)]
    assert max(abs(time - 0.1 * n) for n, time in enumerate(times)) < 0.5
    assert abs(times[-1] - 99.9) < 1e-4
    assert np.diff(times).min() > 0.03  # none are squeezed together when it is found out


def test_a_camera_clock_that_is_set_right_is_believed_again() -> None:
    jitter, clock, stamp, times = random.Random(1), ArrivalClock(), Fraction(0), list[float]()
    for n in range(2000):
        stamp += Fraction(4 if n > 500 else 10, 100)
        times.append(float(clock.stamp(0.04 * n + 0.03 * jitter.random(), stamp) * TIME_BASE))
    assert np.abs(np.diff(times[1500:]) - 0.04).max() < 0.002


@pytest.mark.parametrize("rate", [0.7, 0.9, 1.1])
def test_pictures_after_a_silence_keep_their_steps(rate: float) -> None:
    clock = ArrivalClock()

    def stamped(arrived: float) -> float:
        return float(clock.stamp(arrived, Fraction(1000 + arrived * rate)) * TIME_BASE)

    for n in range(1000):
        stamped(0.04 * n)
    for n in range(20):
        silent = clock.tick(40 + 0.1 * n) * float(TIME_BASE)
    after = [silent, *(stamped(42 + 0.04 * n) for n in range(50))]
    assert np.diff(after).min() > 0.03
