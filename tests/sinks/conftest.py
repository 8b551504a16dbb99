"""Pictures to write, and a file read back by PyAV."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from mjpeg_restore.frames import Picture, Sampling
from tests.sources.clips import time_of

ORANGE = (150, 90, 200)
"""Y, Cb, Cr, full range: far from grey, so that a wrong matrix or range shows."""


@pytest.fixture
def output(tmp_path: Path) -> Path:
    """A folder of its own, so that whatever is left behind can be listed."""
    folder = tmp_path / "out"
    folder.mkdir()
    return folder


def plane_sizes(width: int, height: int, sampling: Sampling) -> list[tuple[int, int]]:
    if sampling.value is None:
        return [(height, width)]
    across, down = sampling.value
    return [(height, width)] + [(-(-height // down), -(-width // across))] * 2


def flat(
    width: int = 128,
    height: int = 96,
    sampling: Sampling = Sampling.YUV420,
    sample: tuple[int, ...] = ORANGE,
    *,
    index: int = 0,
    pts: int | None = None,
    time_base: Fraction = Fraction(1, 25),
) -> Picture:
    sizes = plane_sizes(width, height, sampling)
    planes = tuple(np.full(size, value, np.uint8) for size, value in zip(sizes, sample, strict=False))
    return Picture(planes, sampling, index=index, pts=index if pts is None else pts, time_base=time_base)


def noise(
    width: int = 64, height: int = 48, sampling: Sampling = Sampling.YUV420, seed: int = 0, index: int = 0
) -> Picture:
    random = np.random.default_rng(seed)
    sizes = plane_sizes(width, height, sampling)
    return Picture(tuple(random.integers(0, 256, size, np.uint8) for size in sizes), sampling, index=index, pts=index)


def read(path: Path) -> list[av.VideoFrame]:
    with av.open(str(path)) as container:
        return list(container.decode(video=0))


def times(frames: Iterable[av.VideoFrame]) -> list[Fraction]:
    return [time_of(frame) for frame in frames]


def planes_of(frame: av.VideoFrame) -> list[NDArray[np.uint8]]:
    """The decoded samples, no conversion."""
    planes: list[NDArray[np.uint8]] = []
    for plane in frame.planes:
        whole = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
        planes.append(whole[: plane.height, : plane.width].copy())
    return planes
