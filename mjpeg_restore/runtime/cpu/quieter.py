"""Frames that have far less noise than those before them: a camera's gain has fallen, or a lamp has come on.

Means of noisy frames keep some of the noise, and what was restored of them keeps more. A frame without it agrees with
all of that, as limits that were learnt from noise allow it, and where the quantiser makes 0 of what is smooth, nothing
corrects it. But that the noise has fallen shows at once: frames deviate from the means by less than those deviated that
the means are of. Then a block is new if its means show no more than noise where the frame says 0. Others, which tell of
what lies within the cells around 0, keep their past.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mjpeg_restore.runtime.cpu.cells import some_of
from mjpeg_restore.runtime.cpu.drift import lag_for
from mjpeg_restore.runtime.cpu.history import FORGOTTEN
from mjpeg_restore.runtime.cpu.state import LEAST, SEEN, SENSOR, UNIT, ComponentState, observation

_FALLEN = 0.25
"""The noise has fallen where its variance is less than this share of what is known of it."""
_ERRORS = 2.0
"""Standard errors of what a frame tells of its noise that are added before."""
_QUIET = 0.15
"""Where steps are too coarse to tell of noise for certain: share of what deviates beyond the means' cells in what is
expected of frames like those before it."""
_TELLING = 3.0
"""Such deviations, squared steps in all, that have to be expected: about twenty coefficients in another cell."""
_BLOCKS = 1024
"""Blocks, about, that they are summed over."""
_NOISE = 2.0
"""The squares of a block's means are taken for noise if they add up to less than so many times its variance."""
_FILLED = 1 / 16
"""A frame that is plain grey has lost what was there if more than this share of its blocks would show it."""


class Seen(NamedTuple):
    """What a frame tells of its noise: a variance, grey levels^2, and its standard error."""

    variance: float
    error: float


class Quieter:
    """Of one component of a camera's picture, frame by frame."""

    def __init__(self) -> None:
        """Begin with a picture of which nothing is known."""
        self._rests = 0
        """Frames to come until nothing of a fall is left in the means: coarse steps tell of no other one till then."""
        self._unlike = 0
        """Frames to come until nothing of other steps is: till then nothing is told, as means lie anywhere in cells."""
        self._table: NDArray[np.uint16] | None = None
        """Of the last frame."""

    def follow(
        self,
        coefficients: NDArray[np.int16],
        table: NDArray[np.uint16],
        state: ComponentState,
        agree: NDArray[np.bool_],
        known: float,
        seen: Seen | None,
    ) -> tuple[NDArray[np.bool_] | None, float]:
        """The blocks of a frame that are new, `[blocks_high, blocks_wide]`, or None if its noise has not fallen; and
        what is known of the noise with it, a variance in grey levels^2.

        Args:
            coefficients: int16 `[blocks_high, blocks_wide, 64]`, natural order.
            table: uint16 `[64]`, likewise.
            state: before the frame.
            agree: the blocks that noise may have carried so far.
            known: the noise of the frames before, a variance likewise.
            seen: that of this frame; None if too few coefficients tell of it.
        """
        alike = self._table is None or np.array_equal(self._table, table)
        self._table = table.copy()  # the caller's memory
        self._unlike = max(0, self._unlike - 1) if alike else FORGOTTEN
        self._rests = max(0, self._rests - 1)
        if self._unlike:
            return None, known
        if seen and max(seen.variance, SENSOR) + _ERRORS * seen.error < _FALLEN * known:
            return _shows_noise(coefficients, table, state, known), max(seen.variance, SENSOR)
        if lag_for(table) and not self._rests and _is_quiet(coefficients, table, state, agree):
            self._rests = FORGOTTEN
            return agree & _shows_noise(coefficients, table, state, None), known
        return None, known


def is_blank(coefficients: NDArray[np.int16], table: NDArray[np.uint16], state: ComponentState) -> bool:
    """Whether a component of a frame is plain grey, though its means are not, and its steps would show them: as colour
    is when a camera's filter swings away at night. The arguments are those of `Quieter.follow`."""
    if coefficients[..., 0].any() or coefficients.any():
        return False
    levels = np.abs(state.mean[..., 0].astype(np.float32)) * np.float32(UNIT)
    return bool(np.count_nonzero(levels > SEEN * table[0]) > _FILLED * levels.size)


def _is_quiet(
    coefficients: NDArray[np.int16], table: NDArray[np.uint16], state: ComponentState, agree: NDArray[np.bool_]
) -> bool:
    """Whether far fewer AC coefficients are in other cells than their means, or as far from these, as is usual. Where
    frames are as those before, that is as often the case as the means lie between two cells."""
    every = some_of(state.mean.shape[:2], _BLOCKS)
    some = agree[every]
    steps = _steps(state.mean[every][some], table)[:, 1:]
    away = np.abs(coefficients[every][some][:, 1:] - steps) - np.float32(0.5)
    between = np.abs(steps - np.rint(steps))
    expected = float((between * np.square(between - np.float32(0.5))).sum())
    return expected > _TELLING and float(np.square(away.clip(0, 1)).sum()) < _QUIET * expected


def _shows_noise(
    coefficients: NDArray[np.int16], table: NDArray[np.uint16], state: ComponentState, noise: float | None
) -> NDArray[np.bool_]:
    """The blocks whose means show no more than noise where the frame says 0: of this variance in each of their frames,
    or if it is not known, as many jumps into the next cell as they tell of."""
    steps, units = _steps(state.mean, table), table.astype(np.float32)
    frames = np.maximum(state.evidence.astype(np.float32), np.float32(LEAST)) / observation(table)
    of_frame = np.abs(steps) if noise is None else np.float32(noise) / np.square(units)
    says_nothing = (coefficients == 0) & (np.abs(steps) <= np.float32(0.5))
    says_nothing[..., 0] = False
    more = (np.square(steps) - np.float32(_NOISE) * of_frame / frames) * np.square(units)
    return np.where(says_nothing, more, np.float32(0)).sum(axis=2) < 0


def _steps(mean: NDArray[np.int16], table: NDArray[np.uint16]) -> NDArray[np.float32]:
    """Means in steps."""
    return mean.astype(np.float32) * (np.float32(UNIT) / table).astype(np.float32)
