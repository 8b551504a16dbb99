"""A camera's state, block by block, on the CPU: what `models/stream_video.py` describes, without the network.

The state of a component is its `ComponentState`. The native extension behind this module

1. compares a frame with it (`compare`), it with what it was (`stray`), and successive frames (`innovate`); it brings it
   into a frame's light (`light.brightened`), and leaves a share of what is doubted (`doubted`);
2. takes blocks that agree into it (`take_still`), and all others as far as the gate believes the past: for a gate in a
   runtime `observe` computes what enters, and `take` applies the result; for the native one `sense` and `take_judged`;
3. restores blocks that are as they were as they were restored before, within the frame's cell (`restore_still`), and
   all others by the network: `enter` stands before it, and `restore` after it.

Mean and evidence depend on the coefficients alone, and the correction on the network too. So several frames may be on
their way: what is taken is in order, and so is what is restored, but a frame is taken while those before it are in the
network.

The exported graph does the same for all blocks by gate and network, where there is no native extension.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mjpeg_restore.runtime.cpu.of_table import of_table
from mjpeg_restore.runtime.cpu.projection import CELL, SAMPLE_SCALE, ConfidenceRamp, as_native

try:
    from mjpeg_restore.runtime.cpu import _state as native
except ImportError:  # no C compiler when the package was installed: the graph computes every frame whole
    native = None

SENSOR: Final = 1.0
"""Variance of the sensor's noise that an observation is assumed to have, in grey levels^2."""
LONGEST: Final = 32.0
"""Observations that a mean rests on at most: so it follows what changes too slowly to be seen by the gate."""
LEAST: Final = 2.0**-14
"""Least evidence of a frame: a float16 holds it. Steps of more than 443 have no less."""
REACH: Final = 2.5
"""How far noise carries a coefficient across a cell's bound, at most, in deviations of the noise."""
# `_state.c` has the next three as well; `tests/state_formulas.py` is what both are compared with.
FREE: Final = 0.15
"""Steps, divided by the frames in a mean, that leave open what it tells."""
SCATTERED: Final = 0.3
"""Steps: noise of this deviation makes the mean of rounded numbers that of the numbers."""
LEAST_CHANCE: Final = 2.0**-20
"""Of 4 p (1 - p), where p is the share of frames in the next cell."""
FARTHEST: Final = 4.0
"""Steps beyond which a deviation from the mean says no more."""
COARSEST: Final = 40
"""Steps up to which a coefficient's deviations tell of the noise."""
COARSER: Final = 3.0
"""How many times finer a frame's steps are, at least, than those before it that hid more than their evidence tells."""
DEVIATION_GAIN: Final = 4.0
"""Factor of the plane of deviations that enters the network: they are small beside the samples."""
UNIT: Final = 1 / 16
"""Unit of means and corrections in memory, grey levels."""
SEEN: Final = 0.75
"""Steps beyond which a mean is surely seen in each frame without noise; with noise,"""
SURE: Final = 3.0
"""its deviation so many times more."""
FAINT: Final = 0.2
"""Steps up to which a mean is nearly nothing, where"""
HIDES_FROM: Final = 25.0
"""these are larger than that: finer ones show more of what comes;"""
ABOVE_NOISE: Final = 12.0
"""and than so many deviations of the noise: it takes 3.6 of them to carry such a mean across its cell's bound."""
HOLD: Final = 0.15
"""Deviations of the noise beyond rounding up to which a sample stays what was shown of it before."""
MOST_HELD: Final = 0.25
"""Grey levels that this is at most: where coarse steps hide most of chroma, its noise is taken for far more than it is,
and what moves slowly would lag behind by more."""
UNKNOWN: Final = 1e30
"""Distance of a block from a state that there is not."""

_LEAST_POWER = -600.0
HARMONICS: Final = range(1, 9)
"""Of the quantiser's error. Those left out have 7 % of its variance without noise, and less than 0.1 % where the
noise's deviation is a thirtieth of a step or more."""
LANES: Final = 16
"""SIMD lanes of float32 that the extension uses if CPU and compiler have them: AVX-512, or else the 8 of AVX2."""

Mapped = tuple[NDArray[np.float32], NDArray[np.float32]]
"""A linear map from a block's 64 numbers to its samples, float32 `[65, 64]` with the bias as its last row; and the
plane that it fills."""


@dataclass(slots=True)
class ComponentState:
    """What is remembered of one component's coefficients: 6 bytes for each. A `History` has what concerns all of it."""

    mean: NDArray[np.int16]
    """`[blocks_high, blocks_wide, 64]`, natural order, in units of `UNIT`."""
    evidence: NDArray[np.float16]
    """Likewise, in 1/grey level^2; 0 where nothing is known."""
    correction: NDArray[np.int16]
    """Likewise, in units of `UNIT`: the restored coefficients, less the mean. They may lie outside of the last
    frame's cell: see `restore_still`."""
    changed: NDArray[np.bool_] | None = None
    """`[blocks_high, blocks_wide]`: blocks that showed something else not long ago, of which the gate may have kept a
    part in the mean; None if there are none."""

    @staticmethod
    def empty(high: int, wide: int) -> ComponentState:
        """The state before the first frame, of that many blocks."""
        shape = high, wide, 64
        return ComponentState(np.zeros(shape, np.int16), np.zeros(shape, np.float16), np.zeros(shape, np.int16))

    def following(self, unneeded: ComponentState | None = None) -> ComponentState:
        """A state after this one, whose mean and evidence are not filled yet; both share the correction.

        Their memory is that of a state of this size which nobody needs any more, if there is one: that saves the time
        for fresh memory.
        """
        if unneeded is None:
            return ComponentState(np.empty_like(self.mean), np.empty_like(self.evidence), self.correction)
        return ComponentState(unneeded.mean, unneeded.evidence, self.correction)


def dithered(steps: NDArray[np.uint16], noise: float) -> NDArray[np.floating]:
    """How well the mean of many frames tells where in their cells coefficients lie, 0..1: as well as can be where the
    deviation of the noise is `SCATTERED` of a step or more, and not at all without any.

    Args:
        steps: of the coefficients, grey levels.
        noise: variance of the sensor's noise, grey levels^2.
    """
    return np.minimum(1, noise**0.5 / (SCATTERED * steps))


@of_table
def observation(table: NDArray[np.uint16]) -> NDArray[np.float32]:
    """Evidence of one frame by its table `[64]`: the inverse variance of a dequantised coefficient."""
    steps = table.astype(np.float32)
    return np.maximum(1 / (steps * steps / 12 + SENSOR), LEAST, dtype=np.float32)


@of_table
def lasting(table: NDArray[np.uint16]) -> NDArray[np.float32]:
    """Weight of what was restored before, where the mean is the past's alone, by the frame's table `[64]`.

    What the network adds tells where in its cell a coefficient lies. That is a guess, and a better one of several
    frames, where the cell is much wider than the sensor's noise. Where it is not, the mean alone tells more: the weight
    is the quantiser's share in the variance of a frame. In a picture that moves slowly, coarse steps hide that from the
    gate, but little past gathers there: hence the power of the past's share, found on clips of still and moving scenes.
    """
    quantised = table.astype(np.float32) ** 2 / 12
    return np.divide(quantised, quantised + SENSOR, dtype=np.float32)


def systematic(table: NDArray[np.uint16], noise: float) -> NDArray[np.float64]:
    """Variance, over coefficients, of the error that is the same in all frames of a still scene, by the table `[64]`.

    The error of a quantiser is a sawtooth of what is quantised. Gaussian noise of variance s^2 smooths it: the k-th
    harmonic of its mean over many frames becomes exp(-2 pi^2 k^2 s^2 / q^2) times as large (Carbone and Petri 1994,
    "Effect of additive dither on the resolution of ideal quantizers"). The rest of q^2 / 12 differs between frames.

    Args:
        table: steps q.
        noise: s^2, grey levels^2.
    """
    steps, orders = table.astype(np.float64) ** 2, np.array(HARMONICS)[:, np.newaxis] ** 2
    # Powers below the least one that is a normal number would take a CPU ten times as long, and are nothing.
    powers = np.maximum(-4 * np.pi**2 * orders * noise / steps, _LEAST_POWER)
    return np.sum(steps / (2 * np.pi**2 * orders) * np.exp(powers), axis=0)


def doubted(
    state: ComponentState,
    share: NDArray[np.floating],
    memory: NDArray[np.float16] | None = None,
    *,
    lanes: int = LANES,
) -> ComponentState:
    """A state of whose evidence only a share holds, 0..1, `[blocks_high, blocks_wide]`; in this memory, if there is."""
    evidence, (high, wide) = np.empty_like(state.evidence) if memory is None else memory, share.shape
    assert native is not None
    native.doubt(state.evidence, np.ascontiguousarray(share, np.float32), evidence, high, wide, lanes)
    return ComponentState(state.mean, evidence, state.correction)


class Compared(NamedTuple):
    """A frame's blocks and their state, float32 `[blocks_high, blocks_wide]` each: sums over a block.

    Attributes:
        distance: squares of the deviations beyond half a step, in units of their variance, or `UNKNOWN`.
        spread: squares of those that tell of the noise, less the quantiser's share, in grey levels^2 of a frame.
        number: how many these are.
        of_means: the share of that which noise of the means made, and not the frame's: one less the past's share in a
            mean of past and frame, summed over them.
        common: products of the coefficients with their means, in steps^2: of those AC coefficients that a frame shows
            in spite of quantiser and noise, if it shows what the means of four frames or more show.
        energy: squares of these means, likewise.
        added: how many AC coefficients the frame has that are nearly nothing in the means, and no noise makes.
    """

    distance: NDArray[np.float32]
    spread: NDArray[np.float32]
    number: NDArray[np.float32]
    of_means: NDArray[np.float32]
    common: NDArray[np.float32]
    energy: NDArray[np.float32]
    added: NDArray[np.float32]


def compare(
    coefficients: NDArray[np.int16],
    table: NDArray[np.uint16],
    state: ComponentState,
    noise: float,
    *,
    lanes: int = LANES,
) -> Compared:
    """How far a frame's blocks are from their state.

    What the blocks tell of the noise, they tell by coefficients whose means are larger than a step, of up to
    `COARSEST`. Where these lie in their cells is anyone's guess, so that the quantiser's share in their deviations is
    known. Most others are near zero, and far from the bounds of their cells: noise hardly moves them.

    Args:
        coefficients: int16 `[blocks_high, blocks_wide, 64]`, natural order.
        table: uint16 `[64]`, natural order, values from 1.
        state: of the same size.
        noise: variance of the sensor's noise, grey levels^2.
        lanes: SIMD lanes of float32: 16 (AVX-512), 8 (AVX2) or 4; no more than CPU and compiler have.
    """
    high, wide, _ = coefficients.shape
    found = Compared(*(np.empty((high, wide), np.float32) for _ in Compared._fields))
    least = np.where(table <= COARSEST, table, np.inf).astype(np.float32)
    expected = (table.astype(np.float64) ** 2 / 12 - systematic(table, noise)).astype(np.float32)
    clear = (SEEN * table + SURE * noise**0.5).astype(np.float32)
    faint = np.where(table > max(HIDES_FROM, ABOVE_NOISE * noise**0.5), FAINT * table, 0).astype(np.float32)
    clear[0], faint[0] = np.inf, 0  # light changes the mean of a block
    known = state.mean, state.evidence
    assert native is not None
    native.compare(
        *_frame(coefficients, table), *known, least, expected, clear, faint, *found, high, wide, lanes, noise
    )
    return found


def stray(
    coefficients: NDArray[np.int16],
    table: NDArray[np.uint16],
    state: ComponentState,
    seen: NDArray[np.int16],
    wanted: NDArray[np.bool_],
    *,
    lanes: int = LANES,
) -> NDArray[np.float32]:
    """How far means have strayed from those that the network saw last.

    Args:
        coefficients: as in `compare`, and so are `table`, `state` and `lanes`.
        seen: means that were seen, in the units of the state; those of the wanted blocks become the state's.
        wanted: `[blocks_high, blocks_wide]`: blocks that the network has seen since.

    Returns:
        Float32 `[blocks_high, blocks_wide]`: the squares of the differences in steps, summed over a block; 0 where a
        block is wanted.
    """
    high, wide, _ = coefficients.shape
    distance = np.empty((high, wide), np.float32)
    known = state.mean, state.evidence, seen, wanted.view(np.uint8)
    assert native is not None
    native.stray(*_frame(coefficients, table), *known, distance, high, wide, lanes)
    return distance


def innovate(
    coefficients: NDArray[np.int16],
    table: NDArray[np.uint16],
    state: ComponentState,
    innovations: NDArray[np.int8],
    *,
    lanes: int = LANES,
) -> NDArray[np.float32]:
    """How a frame's deviations from its state go with those of the frame before.

    What counts is how far AC coefficients are from their means beyond half a step, up to one step more: the quantiser
    by itself makes no such deviation. DC coefficients are left out, since light changes them all.

    Args:
        coefficients: as in `compare`, and so are `table`, `state` and `lanes`.
        innovations: int8 `[blocks_high, blocks_wide, 64]`: such deviations of the frame before, in steps / 127, which
            become those of this one.

    Returns:
        Float32 `[3, blocks_high, blocks_wide]`, in steps^2, sums over a block: of the products of the deviations in
        both frames, of the squares in this one, and of the squares in the one before.
    """
    high, wide, _ = coefficients.shape
    products = np.empty((3, high, wide), np.float32)
    assert native is not None
    native.innovate(*_frame(coefficients, table), state.mean, state.evidence, innovations, products, high, wide, lanes)
    return products


def take_still(
    coefficients: NDArray[np.int16],
    table: NDArray[np.uint16],
    before: ComponentState,
    agrees: NDArray[np.bool_],
    after: ComponentState,
    frame: int,
    *,
    lanes: int = LANES,
) -> None:
    """Take the blocks that agree with the state into the one after the frame.

    A frame among many moves means, and what is kept (`restore_still`), by less than half a `UNIT`. So they are rounded
    with dither, which makes the rounding right on average over frames: the frame's number times the golden ratio, and
    another place for each coefficient of a block. Without it both would stray in a still scene.

    Args:
        coefficients: as in `compare`, and so are `table` and `lanes`.
        before: the state that they agree with.
        agrees: `[blocks_high, blocks_wide]`, the blocks.
        after: its mean and evidence are filled where blocks agree.
        frame: its number.
    """
    high, wide, _ = coefficients.shape
    known, found = (before.mean, before.evidence), (after.mean, after.evidence)
    assert native is not None
    native.take_still(*_frame(coefficients, table), *known, agrees.view(np.uint8), *found, high, wide, lanes, frame)


class Telling(IntEnum):
    """Of which coefficients the mean of frames tells more than that they lie in each frame's cell."""

    NONE = 0
    ALL = 1
    AC = 2
    """Means of DC coefficients were brought into another light (`light.py`), and tell no more than to a step."""


def restore_still(
    coefficients: NDArray[np.int16],
    table: NDArray[np.uint16],
    before: ComponentState,
    after: ComponentState,
    wanted: NDArray[np.bool_],
    plane: NDArray[np.uint8],
    noise: float,
    mean_tells: Telling,
    frame: int,
    plane_before: NDArray[np.uint8] | None = None,
    *,
    lanes: int = LANES,
) -> None:
    """Restore blocks that are as they were: they agree with the state, or the gate does not doubt it.

    What is kept is what was kept before, moved by what the frames tell. What is shown is that, within the frame's cell.

    **The mean tells**, as long as all frames in it have this table, this noise and this light (`History.mean_tells`).
    After a change of light the DC coefficient alone is left open, by a step to either side. Noise carries
    a coefficient into one cell in some frames, and into the next one in others. With the share p of the latter, the
    mean is p steps beyond the middle of the former, and the coefficient without noise lies beyond the bound between
    both by the quantile of p in the noise's distribution. That is `sqrt(2 pi) (p - 1/2) / (4 p (1 - p))^(1/4)`
    deviations, to a hundredth for p from 0.1 on; it is a fifth too long for 0.01 and more beyond. Noise of 0.3 steps or
    more reaches further cells, and the mean of what is rounded is that of the numbers (Carbone and Petri 1994, as in
    `systematic`): with 0.3 steps in its place the formula says so to a tenth of a step. Noise of less than `SENSOR` is
    taken for that. A mean of n frames leaves `0.15 / n` steps open to either side, and what is kept is moved to what
    they allow. So where no frame left the cell, all of it is allowed but its edges. Both constants were found on still
    scenes. Of a block that showed something else before, the gate may have kept a part of a frame in the mean. Where
    steps are far coarser than the noise, that would pass for a coefficient beside a bound, and what is kept would go
    there: so up to `2 / n` steps more are left open, the less the nearer the noise's deviation is to 0.1 steps. The
    mean of few frames tells by a part only, the eighth power of the past's share: the rest is what the cell tells.

    **The cell tells** for the rest, and where other frames had a share in the mean. Before it was quantised, a
    coefficient with noise was distributed like the part of a Gaussian that lies in its cell, around what is kept, with
    the noise's variance. The mean of that part is what the frame tells, and what is kept moves a part of the way there.
    So expectation-maximisation, here a step for each frame, finds the mean of data that are only known to lie in
    intervals (Dempster, Laird and Rubin 1977, section 4.2). Moved into each frame's cell instead, what is kept would
    stray with those that noise took out of the truth's cell.

    How far that mean lies from what is kept is approximated by a parabola for each bound. It begins r inside of the
    bound, r being `REACH` deviations of the noise: t beyond its beginning it is t^2 / 4r, and from t = 2r on t - r. Far
    outside of the cell that leads to the bound, and to the cell's middle where noise is much larger than the step. Of
    the way, a frame moves what is kept by `1 / (1 + n / 2 * s)`, where n frames are in the mean, and s is the noise's
    share in the variance of a dequantised coefficient, `noise / (noise + step^2 / 12)`. Coarse cells seldom tell more
    than is known, but what they tell is certain. Both constants were found on still scenes of 200 frames.

    **What was shown stays**, as far as it may. Where noise carries a coefficient across a bound and back, samples
    change by fractions of a grey level, and each that is near the middle of two whole numbers would change by a whole
    one: that would be most of the flicker that is left. So a sample is shown as it was in the frame before if that is
    no farther from it than rounding to the nearest may take it, and `HOLD` deviations of the noise, `MOST_HELD` at
    most, beyond that. Where that would take a coefficient of a block farther out of the frame's cell than rounding to
    the nearest may, all samples of the block are rounded so.

    Args:
        coefficients: as in `compare`, and so are `table` and `lanes`.
        before: the state before the frame.
        after: the one after it, whose correction is changed.
        wanted: `[blocks_high, blocks_wide]`, the blocks.
        plane: uint8 `[8 blocks_high, 8 blocks_wide]`, filled where blocks are wanted.
        noise: variance of the sensor's noise, grey levels^2.
        mean_tells: of which coefficients all frames in the mean had this table, this light, and no more noise.
        frame: its number.
        plane_before: what was shown of the frame before, like the plane; None if it has nothing to do with this one.
    """
    high, wide, _ = coefficients.shape
    known = after.mean, after.evidence, before.mean
    found = after.correction, wanted.view(np.uint8), _bytes(after.changed), plane, plane_before
    numbers = noise, CELL, mean_tells, frame, min(HOLD * noise**0.5, MOST_HELD)
    assert native is not None
    native.restore_still(*_frame(coefficients, table), *known, *found, high, wide, lanes, *numbers)


def observe(
    coefficients: NDArray[np.int16],
    table: NDArray[np.uint16],
    state: ComponentState,
    deviation: NDArray[np.float16],
    share: NDArray[np.float16],
    *,
    lanes: int = LANES,
) -> None:
    """Compute what the gate sees.

    Args:
        coefficients: as in `compare`, and so are `table`, `state` and `lanes`.
        deviation: filled with the deviation from the mean in steps, within +-`FARTHEST`; 0 where there is no past.
        share: filled with the past's share in a mean of past and frame, 0..1.
    """
    high, wide, _ = coefficients.shape
    assert native is not None
    native.observe(*_frame(coefficients, table), state.mean, state.evidence, deviation, share, high, wide, lanes)


def take(
    coefficients: NDArray[np.int16],
    table: NDArray[np.uint16],
    before: ComponentState,
    believed: NDArray[np.float16],
    *,
    lanes: int = LANES,
) -> tuple[NDArray[np.int16], NDArray[np.float16]]:
    """Take a frame into the state, as far as the gate believes the past.

    Args:
        coefficients: as in `compare`, and so are `table` and `lanes`.
        before: the state before the frame.
        believed: the gate's decision: the share of the past's evidence that is still true, `[high, wide, 64]`.

    Returns:
        Mean and evidence after the frame.
    """
    high, wide, _ = coefficients.shape
    after = np.empty_like(before.mean), np.empty_like(before.evidence)
    known = before.mean, before.evidence, as_native(believed, np.float16)
    assert native is not None
    native.take(*_frame(coefficients, table), *known, *after, high, wide, lanes)
    return after


def sense(
    coefficients: NDArray[np.int16],
    table: NDArray[np.uint16],
    state: ComponentState,
    wanted: NDArray[np.bool_],
    features: NDArray[np.float32],
    groups: int,
    group: int,
    *,
    lanes: int = LANES,
) -> None:
    """Compute what the gate's first layer takes.

    Args:
        coefficients: as in `compare`, and so are `table`, `state` and `lanes`.
        wanted: `[high, wide]`, the blocks.
        features: float32 `[high + 2, wide + 2, groups, 4, 64]`, with a border of one block, of which one group is
            filled where blocks are wanted: the deviation from the mean in steps, within +-`FARTHEST`; its square, in
            units of that; what of it is beyond half a step; and the past's share in a mean of past and frame, 0..1.
        groups: components that the gate judges together.
        group: which of them this is.
    """
    high, wide, _ = coefficients.shape
    known = state.mean, state.evidence, wanted.view(np.uint8)
    assert native is not None
    native.sense(*_frame(coefficients, table), *known, features, high, wide, lanes, groups, group)


def take_judged(
    coefficients: NDArray[np.int16],
    table: NDArray[np.uint16],
    before: ComponentState,
    wanted: NDArray[np.bool_],
    own: NDArray[np.float32],
    logits: NDArray[np.float32],
    groups: int,
    group: int,
    after: ComponentState,
    *,
    lanes: int = LANES,
) -> None:
    """Take blocks into the state, as far as the gate believes the past.

    Args:
        coefficients: as in `compare`, and so are `table` and `lanes`.
        before: the state before the frame.
        wanted: `[high, wide]`, the blocks.
        own: what a coefficient's own deviation beyond half a step counts against its past, `[64]`.
        logits: of the shares of the past that are still true, but for that: float32 `[high + 2, wide + 2, groups, 64]`,
            with a border of one block.
        groups: as in `sense`, and so is `group`.
        after: its mean and evidence are filled where blocks are wanted.
    """
    high, wide, _ = coefficients.shape
    known, found = (before.mean, before.evidence), (after.mean, after.evidence)
    assert native is not None
    native.take_judged(
        *(*_frame(coefficients, table), *known, wanted.view(np.uint8), own, logits, *found),
        *(high, wide, lanes, groups, group),
    )


def enter(
    coefficients: NDArray[np.int16],
    table: NDArray[np.uint16],
    mean: NDArray[np.int16],
    evidence: NDArray[np.float16],
    samples: NDArray[np.float32],
    left: NDArray[np.float32],
    *,
    share: NDArray[np.float16] | None = None,
    level: NDArray[np.float16] | None = None,
    past: Mapped | None = None,
    significance: Mapped | None = None,
    wanted: NDArray[np.bool_] | None = None,
    border: int = 0,
    lanes: int = LANES,
) -> None:
    """Compute what the network sees of a frame that has been taken into the state.

    Args:
        coefficients: as in `compare`, and so are `table` and `lanes`.
        mean: of the state after the frame, and so is `evidence`.
        samples: filled with the picture of means, float32 `[8 high + 2 border, 8 wide + 2 border]`, in units of
            `SAMPLE_SCALE`; what is in the border is left alone.
        left: filled with the frame's deviation from it, likewise, in units of `SAMPLE_SCALE / DEVIATION_GAIN`.
        share: filled with the past's share in the mean, 0..1, `[high, wide, 64]`.
        level: filled with the mean in steps, within +-1, likewise, for a network with a significance map.
        past: filled with a map of the share.
        significance: filled with a map of the sizes of `level`.
        wanted: `[high, wide]`, the blocks for which all of this is filled; None: all.
        border: samples around the planes.
    """
    high, wide, _ = coefficients.shape
    past_map, past_plane = past or (None, None)
    significance_map, significance_plane = significance or (None, None)
    assert native is not None
    native.enter(
        *_frame(coefficients, table),
        *(mean, evidence, None if wanted is None else wanted.view(np.uint8), share, level),
        *(past_map, significance_map, samples, left, past_plane, significance_plane),
        *(high, wide, lanes),
        *(1 / SAMPLE_SCALE, DEVIATION_GAIN / SAMPLE_SCALE, border),
    )


def restore(
    phases: NDArray[np.float16],
    coefficients: NDArray[np.int16],
    table: NDArray[np.uint16],
    mean_before: NDArray[np.int16],
    state: ComponentState,
    wanted: NDArray[np.bool_],
    confidence: ConfidenceRamp,
    noise: float = 0.0,
    mean_tells: Telling = Telling.NONE,
    plane: NDArray[np.uint8] | None = None,
    *,
    groups: int = 0,
    group: int = 0,
    lanes: int = LANES,
) -> NDArray[np.uint8]:
    """Restore a component that has been taken into the state.

    The network's result is taken no further from the frame's cell than `REACH`, and moved by what the mean tells
    (`restore_still`): a part of the way, the eighth power of the past's share in the mean, as coarse steps hide slow
    motion from the gate, but little past gathers there. What the network adds to the mean differs from frame to frame,
    as their noise does. So the result is mixed with what was restored of the frame before: by the sixth power, times
    `lasting`. What is shown lies in the cell; what is kept is moved by what the cell tells for the rest.

    Args:
        phases: the network's residual, as in `projection.project`, and so is `confidence`. With `groups`, it is that of
            so many components, `[2 blocks_high, 2 blocks_wide, groups, 16]`, and this one's is the `group`.
        coefficients: as in `compare`, and so are `table` and `lanes`.
        mean_before: of the state before the frame.
        state: after it; its correction is changed.
        wanted: `[blocks_high, blocks_wide]`, the blocks to restore.
        noise: variance of the sensor's noise, grey levels^2.
        mean_tells: as in `restore_still`. Without it and without noise, what is shown is kept.
        plane: filled where blocks are wanted, uint8 `[8 blocks_high, 8 blocks_wide]`; None: a new one.

    Returns:
        The plane; whatever it was where no block is wanted.
    """
    high, wide, _ = coefficients.shape
    plane = np.empty((8 * high, 8 * wide), np.uint8) if plane is None else plane
    assert native is not None
    native.restore(
        *_frame(coefficients, table),
        *(state.mean, state.evidence, mean_before, as_native(phases, np.float16), lasting(table)),
        *(state.correction, wanted.view(np.uint8), _bytes(state.changed), plane),
        *(high, wide, lanes),
        *(SAMPLE_SCALE * confidence(table), CELL, noise, mean_tells, groups, group),
    )
    return plane


def _bytes(blocks: NDArray[np.bool_] | None) -> NDArray[np.uint8] | None:
    """Blocks as the extension takes them."""
    return None if blocks is None else blocks.view(np.uint8)


def _frame(
    coefficients: NDArray[np.int16], table: NDArray[np.uint16]
) -> tuple[NDArray[np.int16], NDArray[np.float32], NDArray[np.float32]]:
    """Coefficients, table and evidence of one frame, as the extension needs them."""
    return as_native(coefficients, np.int16), _steps(table), observation(table)


@of_table
def _steps(table: NDArray[np.uint16]) -> NDArray[np.float32]:
    """The table as the extension needs it."""
    return table.astype(np.float32)
