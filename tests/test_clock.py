from __future__ import annotations

from fractions import Fraction

import pytest

from mjpeg_restore.clock import MAX_LAG, PlaybackClock


def test_pictures_are_due_as_far_apart_as_their_stamps() -> None:
    clock = PlaybackClock()
    assert clock.left(Fraction(7), 1000.0) == 0
    assert clock.left(Fraction(15, 2), 1000.2) == pytest.approx(0.3)
    assert clock.left(Fraction(15, 2), 1000.6) == pytest.approx(-0.1)
    assert clock.left(Fraction(3607), 1000.6) == pytest.approx(3599.4)


def test_a_lag_that_is_too_long_restarts_it() -> None:
    clock = PlaybackClock()
    clock.left(Fraction(0), 50.0)
    late = 51.01 + MAX_LAG
    assert clock.left(Fraction(1), late) == 0
    assert clock.left(Fraction(2), late) == pytest.approx(1)


def test_once_restarted_the_next_picture_is_due_at_once() -> None:
    clock = PlaybackClock()
    clock.left(Fraction(0), 50.0)
    clock.restart()
    assert clock.left(Fraction(100), 51.0) == 0
    assert clock.left(Fraction(101), 51.0) == pytest.approx(1)
