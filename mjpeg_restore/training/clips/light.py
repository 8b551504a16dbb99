"""Light that changes while nothing moves."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mjpeg_restore.training.clips.motion import log_uniform
from mjpeg_restore.training.clips.odds import Odds

DRIFTS = (0.01, 0.2)
"""Smallest and largest amplitude of slow changes, in natural logarithms; all amplitudes here are."""
DRIFT_CYCLES = (0.002, 0.04)
"""Slowest and fastest drift, in cycles a frame."""
FLICKERS = (0.005, 0.08)
"""Amplitudes of mains flicker. Its frequency, sampled by the camera, may be any."""
ROLLING = 0.01
"""Largest number of flicker's cycles a row: with a rolling shutter, bands pass over the picture."""
EXPOSURES = (0.05, 0.5)
"""Corrections of the exposure."""
LONGEST_CORRECTION = 4
"""Frames that one takes at most."""


def gains(times: NDArray[np.int64], side: int, odds: Odds, rng: np.random.Generator) -> NDArray[np.float32]:
    """Draw the factors of the light for each row: float32 `[frames, clips, side]`; exactly 1 where nothing changes.

    Args:
        times: of the frames, `[frames, clips]`.
        side: number of rows.
        odds: of drift, flicker and corrections of the exposure.
        rng: draws them.
    """
    clips = times.shape[1]
    time = times[..., None]

    def amplitude(share: float, limits: tuple[float, float]) -> NDArray[np.float64]:
        return ((rng.random(clips) < share) * log_uniform(limits, clips, rng))[:, None]

    def wave(cycles: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.sin(2 * np.pi * (cycles + rng.random((clips, 1))))

    drift = amplitude(odds.drift, DRIFTS) * wave(time * rng.uniform(*DRIFT_CYCLES, (clips, 1)))
    rows = np.arange(side) * (rng.uniform(0, ROLLING, (clips, 1)) * (rng.random((clips, 1)) < 0.5))
    flicker = amplitude(odds.flicker, FLICKERS) * wave(time * rng.uniform(0, 0.5, (clips, 1)) + rows)
    step = amplitude(odds.exposure, EXPOSURES) * rng.choice((-1, 1), (clips, 1))
    moment, lasting = rng.uniform(0, times[-1])[:, None], rng.uniform(1, LONGEST_CORRECTION, (clips, 1))
    correction = step * np.clip((time - moment) / lasting, 0, 1)
    return np.exp(drift + flicker + correction).astype(np.float32)
