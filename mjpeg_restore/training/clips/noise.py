"""A sensor's noise."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from mjpeg_restore.training.clips.odds import Odds

STRONGEST = 5.0
"""Largest standard deviation, in grey levels; most are below 2."""
WIDTHS = (0.4, 1.0)
"""Narrowest and widest standard deviation of the smoothing that correlates noise, in pixels."""
REACH = 2
"""Radius of that smoothing, in pixels."""


def sensor_noise(scenes: Tensor, odds: Odds, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Draw Poisson-Gaussian noise: the variance is a linear function of the light, the same one throughout a clip.

    Args:
        scenes: float32 0..255 `[frames, clips, side, side, 3]`.
        odds: of noise that is none and that is correlated.
        rng: draws the noise, all of it: torch's generator is seeded by it.

    Returns:
        The noise, like `scenes`, and its standard deviation over a clip in grey levels, float32 `[clips]`.
    """
    device, clips = scenes.device, scenes.shape[1]
    generator = torch.Generator(device).manual_seed(int(rng.integers(2**63)))
    noise = torch.randn(scenes.shape, generator=generator, device=device)
    correlated = np.flatnonzero(rng.random(clips) < odds.correlated)
    if len(correlated):
        noise[:, correlated] = smoothed(noise[:, correlated], rng)
    sigma = STRONGEST * rng.random(clips) ** 1.5 * (rng.random(clips) >= odds.noiseless)
    poisson = rng.random(clips)  # the light's share of the variance
    means = scenes.mean(dim=(0, 2, 3, 4)).clamp_min(1)
    a, b, level = (
        torch.from_numpy(item.astype(np.float32)).to(device)
        for item in (sigma**2 * poisson, sigma**2 * (1 - poisson), sigma)
    )
    spread = (scenes * (a / means)[:, None, None, None] + b[:, None, None, None]).sqrt_()
    return noise.mul_(spread), level


def smoothed(noise: Tensor, rng: np.random.Generator) -> Tensor:
    """Noise that is correlated between neighbouring pixels, of the same variance.

    Args:
        noise: white, float32 `[frames, clips, side, side, 3]`.
        rng: draws the width of each clip's correlation.
    """
    offsets = np.arange(-REACH, REACH + 1)
    kernels = np.exp(-0.5 * (offsets / rng.uniform(*WIDTHS, (noise.shape[1], 1))) ** 2)
    kernels /= np.sqrt((kernels**2).sum(axis=1, keepdims=True))
    taps = torch.from_numpy(kernels.T.astype(np.float32)).to(noise.device)[..., None, None, None]
    for axis in (2, 3):
        # Shifted around the border: a border in white noise is like any other place.
        shifted = [noise.roll(int(offset), axis) * tap for offset, tap in zip(offsets, taps, strict=True)]
        noise = torch.stack(shifted).sum(dim=0)
    return noise
