"""Pictures drawn at random, and how far two arrays of samples are apart."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mjpeg_restore.frames import FieldLayout, Picture, Sampling
from mjpeg_restore.interlace import weave


def random_picture(width: int, height: int, sampling: Sampling, seed: int = 0) -> Picture:
    random = np.random.default_rng(seed)
    across, down = sampling.value or (1, 1)
    sizes = [(height, width)]
    if sampling is not Sampling.GRAY:
        sizes += [(-(-height // down), -(-width // across))] * 2
    return Picture(tuple(random.integers(0, 256, size, np.uint8) for size in sizes), sampling)


def apart(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> int:
    return int(np.abs(one.astype(int) - other.astype(int)).max())


def two_fields(height: int, sampling: Sampling, *, width: int = 163) -> tuple[Picture, Picture, Picture]:
    """The upper field, the lower one, and their frame."""
    upper, lower = (random_picture(width, height, sampling, seed) for seed in (1, 2))
    return upper, lower, weave(upper, lower, FieldLayout())
