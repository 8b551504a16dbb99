"""Figures of frames over time."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from measuring.metrics import PEAK, psnr
from measuring.pictures import Plane
from numpy.typing import NDArray

from measuring_video.clip import Blocks

STILL = 1.0
"""Largest temporal deviation of a block that counts as static, root mean square of its pixels, grey levels."""
FEWEST = 4
"""Frames of a clip whose second half can flicker."""
LARGEST = 80.0
"""PSNR of identical pictures, dB: differences to it stay finite."""


def levels(pictures: Sequence[Plane], truth: Sequence[Plane]) -> NDArray[np.float64]:
    """PSNR in dB, frame by frame, at most `LARGEST`."""
    return np.array([min(psnr(one, right), LARGEST) for one, right in zip(pictures, truth, strict=True)])


def static(luma: Sequence[Plane]) -> NDArray[np.bool_]:
    """Pixels of blocks in which luma hardly changes in a clip's second half: bool `[height, width]`, whole blocks."""
    deviation = _deviations(luma)
    height, width = deviation.shape
    blocks = (deviation**2).reshape(height // 8, 8, width // 8, 8).mean(axis=(1, 3))
    return (blocks <= STILL**2).repeat(8, axis=0).repeat(8, axis=1)


def flicker(luma: Sequence[Plane], where: NDArray[np.bool_]) -> float:
    """Temporal standard deviation of a clip's second half, root mean square over some of its pixels, grey levels."""
    return float(np.sqrt(np.mean(_deviations(luma)[where] ** 2)))


def unrest(luma: Sequence[Plane], where: NDArray[np.bool_]) -> float:
    """What of `flicker` is new in each frame: the root mean square of how much pixels differ from those of the frame
    before, over the square root of 2. Where frames have nothing in common it is the same as `flicker`; a picture that
    becomes better and stays so has next to none."""
    frames = np.stack(luma[len(luma) // 2 :])[:, where].astype(np.float32)
    return float(np.sqrt(np.mean(np.diff(frames, axis=0) ** 2) / 2))


def _deviations(luma: Sequence[Plane]) -> NDArray[np.float32]:
    return np.std(luma[len(luma) // 2 :], axis=0, dtype=np.float32)


def uncovered(covered: Blocks) -> Blocks:
    """Blocks of each frame that are free and were covered, in part or whole, in one of the two frames before."""
    before = np.zeros_like(covered)
    before[1:] |= covered[:-1]
    before[2:] |= covered[:-2]
    return before & ~covered


def pooled_gain(where: Blocks, pictures: Sequence[Plane], others: Sequence[Plane], truth: Sequence[Plane]) -> float:
    """Gain in PSNR over other pictures, in dB, of all samples in some blocks of all frames; one block or more."""
    ours, theirs = (
        sum(_squared_error(one, right, blocks) for one, right, blocks in zip(planes, truth, where, strict=True))
        for planes in (pictures, others)
    )
    least = int(where.sum()) * 64 * PEAK**2 * 10 ** (-LARGEST / 10)
    return 10 * math.log10(max(theirs, least) / max(ours, least))


def _squared_error(picture: Plane, truth: Plane, blocks: NDArray[np.bool_]) -> float:
    """Sum over the samples of some blocks of luma planes, whole blocks `[height, width]`."""
    error = (picture.astype(np.float64) - truth) ** 2
    high, wide = blocks.shape
    return float(error.reshape(high, 8, wide, 8).sum(axis=(1, 3))[blocks].sum())
