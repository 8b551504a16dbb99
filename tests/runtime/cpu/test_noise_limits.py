"""How far noise carries blocks; with what else decides which cells are computed in `test_activity.py`."""

from __future__ import annotations

import numpy as np
import pytest

from mjpeg_restore.runtime.cpu import noise_limits


@pytest.mark.parametrize("count", [1, 2, 3, 8, 9])
def test_a_median_is_that_of_numpy(count: int) -> None:
    for seed in range(5):
        values = np.random.default_rng(seed).normal(0, 1, count).astype(np.float32)
        assert noise_limits._median(values) == np.median(values)  # pyright: ignore[reportPrivateUsage]
