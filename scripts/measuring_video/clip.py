"""Clips with a truth, a sensor's noise, and the JPEGs of a camera."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from measuring.pictures import Plane, encode
from numpy.typing import NDArray

Frames = NDArray[np.uint8]
"""RGB, uint8 `[frames, height, width, 3]`."""

Blocks = NDArray[np.bool_]
"""A flag for each block of luma, bool `[frames, high, wide]`."""

LUMA = np.array([0.299, 0.587, 0.114], np.float32)
"""Weights of R, G and B in BT.601 luma."""
MCU = 16
WIDEST = 640


@dataclass(frozen=True, slots=True)
class Clip:
    """A clip before it is compressed."""

    name: str
    """With the source: "still of live1/bikes"; a recording's is that of its file."""
    kind: str
    """What happens in it; clips of one kind share a row of a table."""
    truth: Frames
    """What restored frames are compared with, in whole MCUs."""
    noise: float | None = None
    """Standard deviation in luma of the noise that is added, in grey levels; None: the truth has noise of its own."""
    held_out: bool = True
    """False: `stream-video` was trained with it."""
    covered: Blocks | None = None
    """Blocks that an object in front of a still background covers, in part or whole; None where there is none."""
    rate: tuple[int, ...] = (0,)
    """What is added to the JPEG quality of successive frames, again and again: rate control."""

    def jpegs(self, quality: int) -> list[bytes]:
        """What the camera sends: noisy frames at 4:2:0, by an IJG quality."""
        qualities = np.clip(quality + np.resize(self.rate, len(self.truth)), 1, 100)
        seed = zlib.crc32(self.name.encode())
        seen = with_noise(self.truth, self.noise, seed) if self.noise else self.truth
        return [encode(frame, int(q)) for frame, q in zip(seen, qualities, strict=True)]


@dataclass(frozen=True, slots=True)
class Listed:
    """A clip that has not been made or read yet."""

    name: str
    kind: str
    clip: Callable[[], Clip]
    """Makes or reads it."""


def with_noise(truth: Frames, sigma: float, seed: int) -> Frames:
    """Frames as a sensor sees them: white Gaussian noise, independent in R, G and B.

    Args:
        truth: the scene.
        sigma: standard deviation in luma, in grey levels; that of each of R, G and B is 1.5 times as large.
        seed: of the noise.
    """
    rng = np.random.default_rng(seed)
    each = sigma / float(np.linalg.norm(LUMA))
    noisy = (frame + each * rng.standard_normal(frame.shape, np.float32) for frame in truth)
    return np.stack([np.rint(frame).clip(0, 255).astype(np.uint8) for frame in noisy])


def luma(rgb: Plane) -> Plane:
    """Full-range BT.601 luma, as JPEG has it: uint8, without the last axis."""
    return np.rint(rgb.astype(np.float32) @ LUMA).astype(np.uint8)


def whole_mcus(frames: Frames) -> Frames:
    """Frames, or a picture, without the cut MCUs at the right and bottom, and at most `WIDEST` wide."""
    height, width = frames.shape[-3:-1]
    return frames[..., : height // MCU * MCU, : min(width, WIDEST) // MCU * MCU, :]
