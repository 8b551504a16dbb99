"""Light that changes, in a scene that stands still: a lamp flickers, a cloud passes, the camera's exposure follows.

Each sample then becomes brighter or darker by the same factor. The means of a camera's frames would lag behind, and
what stands still would look as if it had moved. It shows in the DC coefficients of all blocks together, long before it
shows in one. So the DC coefficients of the means are brought into the light of each frame. AC coefficients change less,
and what noise tells of those rests on means that nothing but frames has moved (`state.restore_still`).
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf

import numpy as np
from numpy.typing import NDArray

from mjpeg_restore.runtime.cpu.state import UNIT, ComponentState

LEVEL = 1024.0
"""DC coefficient, grey levels, of a black block of luma, negative: JPEG shifts samples by 128."""
_DARK = 80.0
"""Blocks that are less above black, in grey levels of the DC coefficient, do not tell of the light."""
_FEWEST = 64
"""Blocks that do are needed."""
_MOST, _LEAST = 0.3, 1e-4
"""Changes that are followed, relative to the light."""
_CERTAIN = 5.0
"""Times the standard error of a change that make it certain."""
_STANDING = 0.5
"""Share of the blocks that have to stand still."""
_ROUNDS = 0.01, 0.0, 0.0
"""Rounds of least squares, each for the blocks that the one before has found to stand still; and by how much more they
may differ, as a share of their light: the median, with which it begins, is coarse."""


def change_of_light(
    coefficients: NDArray[np.int16], table: NDArray[np.uint16], state: ComponentState, noise: float
) -> float:
    """By how much a frame is brighter than the means, as a share of their light; 0 if that is not certain.

    Args:
        coefficients: of the frame's luma, quantised, `[blocks_high, blocks_wide, 64]`, natural order.
        table: its quantisation table, natural order.
        state: of luma before the frame.
        noise: variance of the sensor's noise, grey levels^2.
    """
    step = float(table[0])
    light = state.mean[..., 0].astype(np.float32) * np.float32(UNIT) + np.float32(LEVEL)
    tells = (state.evidence[..., 0] > 0) & (light > _DARK)
    if np.count_nonzero(tells) < _FEWEST:
        return 0.0
    light, seen = light[tells], coefficients[..., 0][tells].astype(np.float32)
    away = np.subtract(seen * np.float32(step) + np.float32(LEVEL), light)
    reach = step / 2 + 4 * noise**0.5  # of the quantiser and the noise
    change, error = float(np.median(away / light)), inf
    for more in _ROUNDS:
        stands = np.abs(away - np.float32(change) * light) < reach + np.float32(more) * light
        if np.count_nonzero(stands) < max(_FEWEST, _STANDING * len(light)):
            return 0.0
        change, error = _fit(light[stands], away[stands])
    return change if max(_LEAST, _CERTAIN * error) <= abs(change) <= _MOST else 0.0


def _fit(light: NDArray[np.float32], away: NDArray[np.float32]) -> tuple[float, float]:
    """The factor of numbers that is nearest to others, and its standard error."""
    power = float(np.square(light).sum())
    factor = float((light * away).sum()) / power
    return factor, (float(np.square(away - np.float32(factor) * light).mean()) / power) ** 0.5


def brightened(states: Sequence[ComponentState], change: float) -> list[ComponentState]:
    """The states of luma and chroma in light that has changed so much: with means of their own."""
    found: list[ComponentState] = []
    for index, state in enumerate(states):
        mean = state.mean.copy()
        brighten(mean, change, 0.0 if index else LEVEL)
        found.append(ComponentState(mean, state.evidence, state.correction))
    return found


def brighten(means: NDArray[np.int16], change: float, level: float) -> None:
    """Bring the DC coefficients of means `[blocks_high, blocks_wide, 64]` into other light, in place.

    Args:
        means: in the units of the state.
        change: as `change_of_light` finds it.
        level: `LEVEL` for luma, 0 for chroma.
    """
    coefficient = means[..., 0].astype(np.float32)
    coefficient += (coefficient + np.float32(level / UNIT)) * np.float32(change)
    means[..., 0] = np.rint(coefficient).clip(-32768, 32767)
