"""The choices for a camera are checked when they are made."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from mjpeg_restore.sources.live.settings import LiveSettings


@pytest.mark.parametrize("seconds", [0, -1.0, math.nan, math.inf, 1e12])
def test_times_that_no_timer_takes_are_refused(seconds: float) -> None:
    with pytest.raises(ValueError, match=r"^stall_timeout .*: more than 0 seconds, 1000000000 at most$"):
        LiveSettings(stall_timeout=seconds)


@pytest.mark.parametrize("seconds", [0, -1.0, math.nan])
def test_times_to_give_up_after_are_positive(seconds: float) -> None:
    with pytest.raises(ValueError, match=r"^give_up .*: more than 0 seconds, or None$"):
        LiveSettings(give_up=seconds)


@pytest.mark.parametrize("size", [(0, 480), (640, 65536), (640,), (1, 2, 3), (1.5, 2), "640x480"])
def test_what_is_no_size_is_refused(size: Any) -> None:
    with pytest.raises(ValueError, match=r"^size .*: width and height of 1 to 65535 pixels each$"):
        LiveSettings(size=size)


def test_possible_times_and_sizes_are_taken() -> None:
    assert LiveSettings(give_up=math.inf).give_up == math.inf
    settings = LiveSettings(stall_timeout=10**9, give_up=0.001, size=(65535, 1))
    assert settings.size == (65535, 1)
    assert LiveSettings(size=tuple(np.array([640, 480]))).size == (640, 480)
