"""What is remembered of a camera's frames as a whole, for each component: the noise, and whether they were alike.

A graph with a state learns it by itself (`models/kept.py`), with this arithmetic. Where parts of frames are computed,
`activity.py` learns the noise, by medians over groups of blocks, which moving blocks change less than a mean.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mjpeg_restore.runtime.cpu.projection import as_native
from mjpeg_restore.runtime.cpu.state import (
    COARSER,
    LANES,
    LEAST,
    LONGEST,
    SENSOR,
    ComponentState,
    Telling,
    compare,
    native,
    observation,
    systematic,
)

FORGOTTEN: Final = int(8 * LONGEST)
"""Frames after which those before them have a share of less than 1/1000 in a mean."""
QUIETER: Final = 0.7
"""A noise's variance has fallen where it is less than this share of what it was."""
BELIEVED: Final = 0.9
"""Share of a block's past that the gate keeps where it takes the block for still."""
ADAPTATION: Final = 0.2
"""Share of a frame in what is learnt."""
LEAST_NOISE: Final = 0.05
MOST_NOISE: Final = 100.0
"""Variances, grey levels^2."""
FEWEST: Final = 64
"""Coefficients of still blocks by which a frame tells of the noise."""


FIRST: Final = (0, 1, 8)
"""Coefficients whose evidence tells what the gate believes of a block; `_state.c` has them as well."""


@dataclass(frozen=True, slots=True)
class History:
    """What is known of one component's frames so far."""

    table: NDArray[np.uint16] = field(default_factory=lambda: np.zeros(64, np.uint16))
    """Of the last frame, natural order; zeros before the first one."""
    noise: float = SENSOR
    """Variance of the sensor's noise, grey levels^2."""
    loudest: float = SENSOR
    """The same, where it was strongest among frames that are alike."""
    remaining: int = 0
    """Frames to come, alike, until those that were not have no share in the means; less than `FORGOTTEN`."""
    unlit: int = 0
    """Frames to come, in one light, until those in another have no share in them, likewise."""

    @property
    def mean_tells(self) -> Telling:
        """Of which coefficients the mean tells where they lie beside the bounds of cells (`state.restore_still`): of
        those of which all frames that have a share in it were alike, coded with one table, not with less and less
        noise, and in one light."""
        if self.remaining:
            return Telling.NONE
        return Telling.AC if self.unlit else Telling.ALL

    def following(self, table: NDArray[np.uint16], noise: float, *, lit: bool = False) -> History:
        """The same after a frame.

        Args:
            table: the frame's.
            noise: variance of the sensor's noise as it is known now.
            lit: whether means were brought into the frame's light, by more than a share of themselves.
        """
        audible = max(noise, SENSOR)  # what is weaker is taken for it
        same = not self.table.any() or np.array_equal(self.table, table)
        alike = same and audible >= QUIETER * self.loudest
        return History(
            table.copy(),  # the caller's memory
            noise,
            max(audible, self.loudest) if alike else audible,
            max(self.remaining - 1, 0) if alike else FORGOTTEN - 1,
            FORGOTTEN - 1 if lit else max(self.unlit - 1, 0),
        )

    def packed(self) -> NDArray[np.float32]:
        """As graphs take and give it, `[67]`: the table, by how much the noise and the loudest exceed `SENSOR`, and the
        remaining frames. All are zero before the first frame. A graph knows of no light: where it changed, frames were
        not alike."""
        numbers = self.noise - SENSOR, self.loudest - SENSOR, max(self.remaining, self.unlit)
        return np.concatenate([self.table, numbers]).astype(np.float32)

    @staticmethod
    def unpacked(array: NDArray[np.float32]) -> History:
        """From what a graph takes or gives."""
        noise, loudest, remaining = map(float, array[64:])
        return History(array[:64].astype(np.uint16), noise + SENSOR, loudest + SENSOR, int(remaining))


def adapted(noise: float, seen: float) -> float:
    """The noise that is known after a frame that tells of such noise: variances, grey levels^2."""
    return noise + ADAPTATION * (min(max(seen, LEAST_NOISE), MOST_NOISE) - noise)


def before_finer(state: ComponentState, history: History, table: NDArray[np.uint16]) -> ComponentState:
    """A state as a frame with far finer steps sees it: what coarse steps have told counts for less.

    In a still scene the error of coarse steps is the same in every frame, but for what noise changes in it. So a mean
    of many frames keeps an error (`systematic`), and its evidence is no more than the inverse of that error's variance.

    Args:
        state: before the frame.
        history: likewise.
        table: the frame's.
    """
    finer = history.table > COARSER * table
    if not finer.any():
        return state
    most = np.where(finer, 1 / np.maximum(systematic(np.maximum(history.table, 1), history.noise), LEAST), np.inf)
    return ComponentState(state.mean, np.minimum(state.evidence, most.astype(np.float16)), state.correction)


def believed(
    before: NDArray[np.float16],
    after: NDArray[np.float16],
    table: NDArray[np.uint16],
    wanted: NDArray[np.bool_] | None = None,
) -> NDArray[np.float32]:
    """The share of its past that the gate kept of each block, by the evidence of its first coefficients: 0, 1 and 8.

    It is 0 where there was no past, or one so small beside the frame that the sum's rounding to a float16 hides it.
    Needs the extension.

    Args:
        before, after: evidence before and after a frame, `[blocks_high, blocks_wide, 64]`.
        table: of the frame.
        wanted: `[blocks_high, blocks_wide]`, the blocks that it is told for, 0 for the others; None: all.
    """
    high, wide, _ = before.shape
    found = np.zeros((high, wide), np.float32)
    known = as_native(before, np.float16), as_native(after, np.float16), observation(table)
    assert native is not None
    native.believed(*known, None if wanted is None else wanted.view(np.uint8), found, high, wide, LANES)
    return found


def learnt(
    history: History,
    coefficients: NDArray[np.int16],
    table: NDArray[np.uint16],
    before: ComponentState,
    evidence: NDArray[np.float16],
) -> History:
    """The history after a frame that was computed whole: the noise as its still blocks tell it. Needs the extension.

    Args:
        history: before the frame.
        coefficients: as in `state.compare`, and so is `table`.
        before: the state before the frame.
        evidence: after it.
    """
    found = compare(coefficients, table, before, history.noise)
    still = believed(before.evidence, evidence, table) > BELIEVED
    number, noise = float(found.number[still].sum()), history.noise
    if number >= FEWEST:
        noise = adapted(noise, float(found.spread[still].sum()) / number)
    return history.following(table, noise)
