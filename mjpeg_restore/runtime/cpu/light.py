"""Light that changes, in a scene that stands still: a lamp flickers, a cloud passes, the camera's exposure follows.

Each sample then becomes brighter or darker by the same factor, and what a camera takes for white moves chroma by a
share of luma. The means of a camera's frames would lag behind, and what stands still would look as if it had moved. It
shows in the DC coefficients of all blocks together, long before it shows in one. So the DC coefficients of the means
are brought into the light of each frame. AC coefficients change less, and what noise tells of those rests on means that
nothing but frames has moved (`state.restore_still`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mjpeg_restore.runtime.cpu.cells import some_of
from mjpeg_restore.runtime.cpu.projection import as_native
from mjpeg_restore.runtime.cpu.state import LANES, UNIT, ComponentState, dithered, native

_LEVEL = 1024.0
"""Light of a block of luma is its DC coefficient and this, grey levels: JPEG shifts samples by 128. Where black is 16,
dark blocks seem lighter by up to 128 than they are."""
_DARK = 80.0
"""Blocks with less light do not tell of its change."""
_FEWEST = 64
"""So many blocks are needed that tell of it."""
_MOST, _LEAST = 0.3, 1e-4
"""Changes that are followed, relative to the light."""
_CERTAIN = 5.0
"""Times the standard error of a change that make it certain."""
_STANDING = 0.5
"""Share of the blocks that have to stand still."""
_BANDS, _AS_MUCH = 16, 0.5
"""Bands of the picture, one below the other, of which half have to show so much of a change: what moves in a part of it
does not."""
_MOST_BLOCKS = 2500
"""Of a component's blocks about so many are looked at."""
_ROUNDS = 0.01, 0.0
"""Rounds of least squares, each for the blocks that the one before has found to stand still; and by how much more they
may differ, as a share of their light: the median, with which it begins, is coarse."""


@dataclass(frozen=True, slots=True)
class Change:
    """By how much a frame is in another light than the means.

    Attributes:
        brighter: by how much it is brighter, as a share of the means' light; 0 if that is not certain.
        tints: what each component of chroma has gained besides, as a share of luma's light; 0 if that is not certain.
    """

    brighter: float
    tints: tuple[float, ...] = ()

    def __bool__(self) -> bool:
        """Whether there is any."""
        return self.brighter != 0 or any(self.tints)


def change_of_light(
    frame: Sequence[tuple[NDArray[np.int16], NDArray[np.uint16]]],
    states: Sequence[ComponentState],
    noise: Sequence[float],
) -> Change:
    """How the light has changed.

    Args:
        frame: of each component the quantised coefficients, `[blocks_high, blocks_wide, 64]`, and the table, natural
            order; luma's first.
        states: of each component before the frame.
        noise: variance of the sensor's noise in each component, grey levels^2.
    """
    if not states[0].evidence[0, 0, 0]:  # nothing is known of any block: it is the first frame
        return Change(0.0, (0.0,) * (len(frame) - 1))
    brighter, tints, light = 0.0, list[float](), np.empty((0, 0), np.float32)
    for index, ((coefficients, table), state, variance) in enumerate(zip(frame, states, noise, strict=True)):
        every = some_of(state.mean.shape[:2], _MOST_BLOCKS)
        mean, seen = _dc(state.mean[every], UNIT), _dc(coefficients[every], float(table[0]))
        if index == 0:
            light = mean + np.float32(_LEVEL)
        elif index == 1:  # the blocks of both components of chroma are in the same places
            light = _around(states[0].mean, state.mean.shape, every)
        away, bright = np.subtract(seen, np.float32(1 + brighter) * mean), light > _DARK
        factor = _factor(light[bright], away[bright], float(table[0]), _reach(table, variance))
        if index:
            tints.append(factor)
        else:
            brighter = factor
    return Change(brighter, tuple(tints))


def brightened(
    frame: Sequence[tuple[NDArray[np.int16], NDArray[np.uint16]]],
    states: Sequence[ComponentState],
    noise: Sequence[float],
    change: Change,
) -> list[ComponentState]:
    """The states of luma and chroma in light that has changed so: with means of their own where that changes any.

    What does not take part in it, as text, what is white, or another lamp, stays as it was: blocks that the frame shows
    so, and not in that light, wherever in their cells they are. The arguments are those of `change_of_light`, and its
    result.
    """
    found: list[ComponentState] = []
    for index, ((coefficients, table), state, variance) in enumerate(zip(frame, states, noise, strict=True)):
        share = change.tints[index - 1] if index else change.brighter
        if not (share or change.brighter):
            found.append(state)
            continue
        high, wide, _ = state.mean.shape
        light, mean = np.full((high, wide), _LEVEL, np.float32), np.empty_like(state.mean)
        if share and index:
            light = _around(states[0].mean, state.mean.shape)
        known = as_native(coefficients, np.int16), state.mean, light, mean
        numbers = float(table[0]), _reach(table, variance), _unknown(table, variance)
        assert native is not None
        native.brighten(*known, high, wide, LANES, change.brighter, share, *numbers)
        found.append(ComponentState(mean, state.evidence, state.correction))
    return found


def brighten(means: NDArray[np.int16], change: Change, wanted: NDArray[np.bool_]) -> None:
    """Bring DC coefficients of luma's means into other light, in place.

    Args:
        means: `[blocks_high, blocks_wide, 64]`, in units of the state.
        change: of the light.
        wanted: `[blocks_high, blocks_wide]`: those that are brought into it.
    """
    more = np.float32(change.brighter) * _around(means, means.shape)
    _add(means, np.where(wanted, more, np.float32(0)))


def _factor(light: NDArray[np.float32], away: NDArray[np.float32], step: float, reach: float) -> float:
    """The factor that makes of blocks' light what they differ by, to within a reach, for most of them; 0 if it is not
    certain, or brings them no nearer to the cells of the frame, whose width is the step: coarse steps change all blocks
    that are alike in the same way."""
    if len(light) < _FEWEST:
        return 0.0
    middle = len(light) // 2
    factor, error, standing = float(np.partition(away / light, middle)[middle]), inf, (light, away)
    for more in _ROUNDS:
        stands = np.abs(away - np.float32(factor) * light) < reach + np.float32(more) * light
        if np.count_nonzero(stands) < max(_FEWEST, _STANDING * len(light)):
            return 0.0
        standing = light[stands], away[stands]
        factor, error = _fit(*standing)
        if abs(factor) < max(_LEAST / 2, error):
            return 0.0  # as in most frames: another round would make no change of it
    if not max(_LEAST, _CERTAIN * error) <= abs(factor) <= _MOST:
        return 0.0
    if _outside(np.subtract(away, np.float32(factor) * light), step, reach) >= _outside(away, step, reach):
        return 0.0
    light, away = standing
    begin = np.linspace(0, len(light), _BANDS, endpoint=False, dtype=np.intp)
    bands = np.add.reduceat(light * away, begin) / np.add.reduceat(np.square(light), begin)
    return factor if np.median(bands) / factor >= _AS_MUCH else 0.0


def _outside(away: NDArray[np.float32], step: float, reach: float) -> float:
    """How far outside a frame's cells blocks are that differ so from it, squared, in all; beyond a step, and what noise
    may add, it counts no more."""
    return float(np.square(np.abs(away).clip(step / 2, step / 2 + reach) - np.float32(step / 2)).sum())


def _fit(light: NDArray[np.float32], away: NDArray[np.float32]) -> tuple[float, float]:
    """The factor of numbers that is nearest to others, and its standard error."""
    power = float(np.square(light).sum())
    factor = float((light * away).sum()) / power
    return factor, (float(np.square(away - np.float32(factor) * light).mean()) / power) ** 0.5


def _reach(table: NDArray[np.uint16], noise: float) -> float:
    """How far quantiser and noise carry a DC coefficient, grey levels."""
    return float(table[0]) / 2 + 4 * noise**0.5


def _unknown(table: NDArray[np.uint16], noise: float) -> float:
    """How far from a DC coefficient its mean may be, grey levels: what noise does not carry into the next cell now and
    then may be anywhere in its own."""
    return float(table[0]) / 2 * (1 - float(dithered(table[:1], noise)[0]))


def _dc(blocks: NDArray[np.int16], step: float) -> NDArray[np.float32]:
    """DC coefficients of blocks, in units of a step, as grey levels."""
    return blocks[..., 0].astype(np.float32) * np.float32(step)


def _around(means: NDArray[np.int16], shape: tuple[int, ...], every: Any = ...) -> NDArray[np.float32]:
    """The light of luma's means, grey levels: for each block of a component, of which there are so many high and wide,
    the average of the blocks of luma in its place. For all of them, or for `every` one of an index."""
    down, across = (length // blocks for length, blocks in zip(means.shape[:2], shape[:2], strict=True))
    places = [(row, column) for row in range(down) for column in range(across)]
    together = np.full_like(means[::down, ::across][every][..., 0], _LEVEL, np.float32)
    for row, column in places:
        together += _dc(means[row::down, column::across][every], UNIT / len(places))
    return together


def _add(means: NDArray[np.int16], more: NDArray[np.floating]) -> None:
    """Add grey levels to DC coefficients of means."""
    means[..., 0] = np.rint(means[..., 0] + more * np.float32(1 / UNIT)).clip(-32768, 32767)
