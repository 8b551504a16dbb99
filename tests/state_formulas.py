"""What is done with a camera's state, in double precision: the reference for the native extension and for sessions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mjpeg_restore.jpeg.dct import DCT_MATRIX
from mjpeg_restore.runtime import Inputs
from mjpeg_restore.runtime.cpu.history import ADAPTATION, BELIEVED, FEWEST, FIRST, LEAST_NOISE, MOST_NOISE, History
from mjpeg_restore.runtime.cpu.projection import CELL, SAMPLE_SCALE, ConfidenceRamp
from mjpeg_restore.runtime.cpu.state import (
    DEVIATION_GAIN,
    FARTHEST,
    LEAST,
    LONGEST,
    REACH,
    SENSOR,
    UNIT,
    UNKNOWN,
    ComponentState,
    Telling,
)

Blocks = NDArray[np.float64]
"""`[blocks_high, blocks_wide, 64]`."""


def observation(table: NDArray[np.uint16]) -> Blocks:
    """Evidence of one frame, `[64]`."""
    return np.maximum(1 / (table.astype(float) ** 2 / 12 + SENSOR), LEAST)


def plane_of(blocks: Blocks) -> NDArray[np.float64]:
    """The samples of dequantised coefficients, centred, `[8 high, 8 wide]`."""
    return rearranged(blocks @ DCT_MATRIX)


def rearranged(samples: Blocks) -> NDArray[np.float64]:
    """The picture of blocks' samples, `[8 high, 8 wide]`."""
    high, wide, _ = samples.shape
    return samples.reshape(high, wide, 8, 8).swapaxes(1, 2).reshape(8 * high, 8 * wide)


def blocks_of(plane: NDArray[np.float64]) -> Blocks:
    """The coefficients of centred samples."""
    high, wide = plane.shape[0] // 8, plane.shape[1] // 8
    return plane.reshape(high, 8, wide, 8).swapaxes(1, 2).reshape(high, wide, 64) @ DCT_MATRIX.T


def interleaved(phases: NDArray[np.float16]) -> NDArray[np.float64]:
    """The plane of a network's phases, `[16, 2 high, 2 wide]`."""
    plane = np.empty((4 * phases.shape[1], 4 * phases.shape[2]))
    for phase, samples in enumerate(phases):
        plane[phase // 4 :: 4, phase % 4 :: 4] = samples
    return plane


def means(state: ComponentState) -> Blocks:
    """In grey levels."""
    return state.mean.astype(float) * UNIT


def observed(
    coefficients: NDArray[np.int16], table: NDArray[np.uint16], state: ComponentState
) -> tuple[Blocks, Blocks]:
    """Deviation and share, as of `state.observe`."""
    known = state.evidence.astype(float)
    deviation = (coefficients - means(state) / table).clip(-FARTHEST, FARTHEST)
    return np.where(known > 0, deviation, 0), known / (known + observation(table))


def remembered(
    coefficients: NDArray[np.int16], table: NDArray[np.uint16], state: ComponentState, believed: Blocks | float
) -> tuple[Blocks, Blocks, Blocks]:
    """The mean in grey levels, the evidence, and the past's share, after a frame."""
    one = observation(table)
    kept = np.minimum(believed * state.evidence.astype(float), (LONGEST - 1) * one)
    share = kept / (kept + one)
    seen = coefficients * table.astype(float)
    return seen + share * (means(state) - seen), kept + one, share


def share(table: NDArray[np.uint16], evidence: NDArray[np.float16]) -> Blocks:
    """The past's share in a mean that rests on so much evidence, which is a float16 for one frame as well."""
    own = observation(table).astype(np.float32).astype(np.float16).astype(float)
    return (1 - own / np.maximum(evidence.astype(float), LEAST)).clip(0, 1)


def in_memory(levels: Blocks) -> Blocks:
    """Grey levels in units of memory, not rounded."""
    return (levels / UNIT).clip(-(2**15), 2**15 - 1)


def in_cell(coefficients: NDArray[np.int16], levels: Blocks, half: Blocks | float = CELL) -> Blocks:
    """Coefficients in steps, clamped to the frame's cell, or one of another size."""
    middle = coefficients.astype(float)
    return middle + (levels - middle).clip(-half, half)


def residual(phases: NDArray[np.float16], table: NDArray[np.uint16], confidence: ConfidenceRamp) -> Blocks:
    """What the network adds, in steps."""
    return (blocks_of(SAMPLE_SCALE * confidence(table) * interleaved(phases)) / table).clip(-CELL, CELL)


def corrections(state: ComponentState) -> Blocks:
    """In grey levels."""
    return state.correction.astype(float) * UNIT


def lasting(table: NDArray[np.uint16]) -> Blocks:
    """Weight of what was added before: the quantiser's share in a frame's variance."""
    return 1 / (1 + 12 / table.astype(float) ** 2)


@dataclass(frozen=True)
class Known:
    """What is known beside the blocks of a component: `restore` and `restore_still` have the same arguments.

    Attributes:
        table: of the frame.
        evidence: after it.
        noise: variance, grey levels^2.
        mean_tells: of what is kept, and not the cell alone; of DC coefficients to a step, if it is of AC.
        changed: blocks whose means leave more open, where steps are coarse; None if there are none.
    """

    table: NDArray[np.uint16]
    evidence: NDArray[np.float16]
    noise: float
    mean_tells: Telling = Telling.NONE
    changed: NDArray[np.bool_] | None = None

    @property
    def frames(self) -> Blocks:
        """In the mean."""
        return self.evidence.astype(float) / observation(self.table)

    def told(self, kept: Blocks, level: Blocks) -> Blocks:
        """What is kept, moved to what the mean, `level`, allows: in steps."""
        open_frames = np.full(kept.shape, 0.15)
        if self.changed is not None:
            deviation = max(self.noise, SENSOR) ** 0.5 / self.table.astype(float)
            open_frames[self.changed] += 2 * np.maximum(0, 1 - deviation / 0.1)
        free = np.minimum(open_frames / np.maximum(self.frames, LEAST), 1)
        if self.mean_tells == Telling.AC:
            free[..., 0] = 1
        return np.clip(kept, self._unrounded(level - free), self._unrounded(level + free))

    def _unrounded(self, mean: Blocks) -> Blocks:
        """The number that has a mean when it is rounded with noise."""
        bound = np.floor(mean) + 0.5
        beyond = mean - bound
        quantile = (2 * np.pi) ** 0.5 * beyond / np.maximum(1 - 4 * beyond**2, 2.0**-20) ** 0.25
        scatter = np.minimum(max(self.noise, SENSOR) ** 0.5 / self.table.astype(float), 0.3)
        return bound + np.clip(scatter * quantile, -0.5, 0.5)


def mixed(
    coefficients: NDArray[np.int16],
    known: Known,
    level: Blocks,
    added: Blocks,
    before: Blocks,
    share: Blocks,
    shift: float = 0.0,
) -> Blocks:
    """The level, what the network adds, and a part of what was added before, by the past's share.

    Level and network are no further from the frame's cell than noise reaches, and are moved by what the mean tells. All
    are steps but the share. With a `shift` the mean is taken for so much more, relative to its size.
    """
    near = in_cell(coefficients, level + added, CELL + REACH * known.noise**0.5 / known.table)
    far = known.told(near, level + shift * (1 + np.abs(level)))
    if known.mean_tells:
        near = near + share**8 * (far - near)
    return near + lasting(known.table) * share**6 * (level + before - near)


def likelier(coefficients: NDArray[np.int16], known: Known, kept: Blocks) -> Blocks:
    """What is kept, in steps, moved by what the frame's cell tells of it (`state.restore_still`)."""
    steps, away = known.table.astype(float), kept - coefficients
    reach = REACH * known.noise**0.5 / steps
    beyond = [np.maximum(side * away - (CELL - reach), 0) for side in (1, -1)]
    parabola = [np.minimum(one, 2 * reach) ** 2 / (4 * reach) if known.noise else 0 for one in beyond]
    above, below = (bent + np.maximum(one - 2 * reach, 0) for bent, one in zip(parabola, beyond, strict=True))
    return kept + (below - above) / (1 + known.frames / 2 * known.noise / (known.noise + steps**2 / 12))


def kept(coefficients: NDArray[np.int16], known: Known, mixed: Blocks, share: Blocks) -> Blocks:
    """What is kept of blocks that are computed, in steps."""
    rest = 1 - share**8 if known.mean_tells else 1
    return mixed + rest * (likelier(coefficients, known, mixed) - mixed)


def dither(frame: int) -> NDArray[np.float64]:
    """What is added to a block of corrections before they are rounded, in units of memory, `[64]`."""
    places = np.modf(frame * 0.618033988749894848 + np.arange(64) * 0.754877666246692760)[0]
    return (places - 0.5) * 0.9375


def held(
    coefficients: NDArray[np.int16],
    before: ComponentState,
    after: ComponentState,
    known: Known,
    shift: float = 0.0,
) -> Blocks:
    """What is kept of blocks that agree with their state, in steps (`state.restore_still`); `shift` as in `mixed`."""
    last, level = (means(before) + corrections(before)) / known.table, means(after) / known.table
    kept = likelier(coefficients, known, last)
    if known.mean_tells:
        past = np.maximum(1 - 1 / np.maximum(known.frames, LEAST), 0)
        kept = kept + past**8 * (known.told(last, level + shift * (1 + np.abs(level))) - kept)
    return kept


def shown(steps: Blocks, table: NDArray[np.uint16]) -> NDArray[np.float64]:
    """A plane of samples, clipped and not rounded."""
    return (plane_of(steps * table) + 128).clip(0, 255)


def compared(
    coefficients: NDArray[np.int16],
    table: NDArray[np.uint16],
    state: ComponentState,
    noise: float,
) -> tuple[NDArray[np.float64], Blocks, NDArray[np.bool_], Blocks]:
    """Distance, and each coefficient's spread, whether it counts, and what of that is the means', as of
    `state.compare`."""
    steps, known = table.astype(float), state.evidence.astype(float)
    away = np.abs(coefficients * steps - means(state))
    growth = 1 + observation(table) / np.maximum(known, 2.0**-20)
    distance = np.maximum(away - steps / 2, 0) ** 2 / (noise * growth + steps**2 / 12)
    spread = away**2 / growth - (steps**2 / 12 - systematic(table, noise))
    counts = (np.abs(means(state)) > steps) & (table <= 40)
    return np.where(known[..., 0] > 0, distance.sum(axis=2), UNKNOWN), spread, counts, counts * (1 - 1 / growth)


def in_common(
    coefficients: NDArray[np.int16], table: NDArray[np.uint16], state: ComponentState, noise: float
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
    """Common and energy, as of `state.compare`, and the coefficients that they are sums over."""
    level = means(state) / table
    clear = np.abs(means(state)) > 0.75 * table + 3 * noise**0.5
    clear &= state.evidence > 3.5 * observation(table)
    clear[..., 0] = False
    return (level * coefficients * clear).sum(axis=2), (level**2 * clear).sum(axis=2), clear


def learnt(
    history: History,
    coefficients: NDArray[np.int16],
    table: NDArray[np.uint16],
    before: ComponentState,
    after: NDArray[np.float16],
) -> History:
    """The history after a frame that was computed whole, by the evidence after it."""
    _, spread, counts, _ = compared(coefficients, table, before, history.noise)
    known, now, one = before.evidence.astype(float), after.astype(float), observation(table)
    shares = np.where(known > one / 16, (now - one) / np.maximum(known, LEAST), 0)[..., FIRST]
    tells = counts & (shares.mean(axis=2, keepdims=True) > BELIEVED)
    noise = history.noise
    if tells.sum() >= FEWEST:
        noise += ADAPTATION * (float(np.clip(spread[tells].mean(), LEAST_NOISE, MOST_NOISE)) - noise)
    return history.following(table, noise)


def no_past(frame: Inputs) -> list[NDArray[np.generic]]:
    """The state before the first frame, as a graph takes it."""
    known = [ComponentState.empty(*coefficients.shape[:2]) for coefficients in frame[::2]]
    return [array for one in known for array in (one.mean, one.evidence, one.correction, History().packed())]


def innovations(
    coefficients: NDArray[np.int16], table: NDArray[np.uint16], state: ComponentState
) -> NDArray[np.float64]:
    """What a frame tells beyond its state, in steps, as of `state.innovate`."""
    away = coefficients - means(state) / table
    beyond = (away - away.clip(-0.5, 0.5)).clip(-1, 1)
    beyond[..., 0] = 0
    return np.where(state.evidence > 0, beyond, 0)


def systematic(table: NDArray[np.uint16], noise: float) -> NDArray[np.float64]:
    """The variance of the error that all frames have in common: of a sawtooth, smoothed by noise."""
    squares = table.astype(float) ** 2
    parts = [squares / (2 * (np.pi * k) ** 2) * np.exp(-((2 * np.pi * k) ** 2) * noise / squares) for k in range(1, 9)]
    return np.sum(parts, axis=0)


def network_input(levels: Blocks) -> NDArray[np.float64]:
    """A picture of means, as it enters the network."""
    return plane_of(levels) / SAMPLE_SCALE


def network_left(left: Blocks) -> NDArray[np.float64]:
    """A frame's deviation from it, likewise."""
    return plane_of(left) * DEVIATION_GAIN / SAMPLE_SCALE


def mapped(
    numbers: Blocks, weight: NDArray[np.floating], bias: NDArray[np.floating] | float = 0
) -> NDArray[np.float64]:
    """The picture of a linear map of each block's numbers, which has a weight `[64, 64]` and a bias `[64]`."""
    return rearranged(numbers @ weight.T.astype(float) + bias)
