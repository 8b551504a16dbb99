"""Which parts of a camera's picture need the network: those that changed, and those whose state has become better.

A picture is divided into cells of 4x4 blocks of luma. In most cells of a camera that stands still every block agrees
with its state: nothing but the sensor's noise tells the frame from it. How far noise carries a block is learnt from the
stream itself, from blocks that the network's gate believes to be still. In a picture that moves there are none, and
nothing agrees.

A cell that agrees is computed all the same each time its state rests on twice as many frames as when it was computed
last: what the network adds to a mean depends on how good the mean is. So a cell that stays still is computed at most
six times, and then once in `REFRESH` frames.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mjpeg_restore.runtime.cpu.state import LONGEST, SENSOR, ComponentState, compare

CELL_BLOCKS = 4
"""Blocks of luma each way in a cell."""
REFRESH = 256
"""Frames after which a cell that stays still is computed again."""
FINEST = 8
"""Steps up to which a coefficient's deviations tell of the noise."""
BELIEVED = 0.9
"""Share of a block's past that the gate keeps where it takes the block for still."""

_LEAST_NOISE, _MOST_NOISE = 0.05, 100.0
"""Variances, grey levels^2."""
_ADAPTATION = 0.2
"""Share of a frame in what is learnt."""
_FEWEST = 32
"""Still blocks from which something is learnt."""
_NINTHS = (7.0, 5.0)
"""Noise carries hardly a block, nor the mean of 3x3 blocks, farther than so many times the way from the median to the
ninth decile."""
_LEAST, _MOST = (8.0, 1.5), (100.0, 50.0)
"""Distances up to which a block, and the mean of 3x3 blocks, agree in any case, and at most. Noise that moves a single
coefficient into the next cell makes a distance of up to 3."""
_EVERY = 8
"""Frames from one to the next in which cells that agree are computed: few large parts of a picture take less time than
many small ones. At the start of a stream, when all of it becomes better, they follow each other faster."""


class Activity:
    """Decides for one camera, frame by frame."""

    def __init__(self, grids: Sequence[tuple[int, int]]) -> None:
        """Begin with a picture of which nothing is known.

        Args:
            grids: blocks of each component, high and wide; luma's first.
        """
        high, wide = (-(-length // CELL_BLOCKS) for length in grids[0])
        rows, columns = grids[0]
        self._sides = [(CELL_BLOCKS * down // rows, CELL_BLOCKS * across // columns) for down, across in grids]
        self._limits = [_Limits() for _ in grids]
        self._frames = np.zeros((high, wide), np.int32)
        """Frames that each cell has agreed for."""
        self._computed = np.zeros((high, wide), np.int32)
        """The same when it was computed last."""
        self._number = 0

    def choose(
        self,
        frame: Sequence[tuple[NDArray[np.int16], NDArray[np.uint16]]],
        states: Sequence[ComponentState],
    ) -> NDArray[np.bool_]:
        """The cells of a frame that need the network, `[cells_high, cells_wide]`.

        Args:
            frame: coefficients and table of each component.
            states: of each component before the frame.
        """
        changed = np.zeros(self._frames.shape, np.bool_)
        for (coefficients, table), state, side, limits in zip(frame, states, self._sides, self._limits, strict=True):
            changed |= _cells(limits.moved(coefficients, table, state), side, changed.shape)
        self._frames[changed] = 0
        self._frames += 1
        computed = changed | self._due(changed)
        self._computed[computed] = self._frames[computed]
        return computed

    def learn(self, believed: Sequence[NDArray[np.float32]]) -> None:
        """Learn how far noise carries blocks.

        Args:
            believed: of each component, `[blocks_high, blocks_wide]`: the share of each block's past that the gate kept
                in the frame; 0 where the network has not computed it.
        """
        for limits, shares in zip(self._limits, believed, strict=True):
            limits.learn(shares > BELIEVED)

    def _due(self, changed: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Cells that agree, and whose states have become better than they were."""
        known = np.maximum(self._computed, 1)
        growth = np.where(known < LONGEST, self._frames / (2 * known), (self._frames - known) / REFRESH)
        growth[changed] = 0
        self._number += 1
        in_turn = self._number % _EVERY == 0 or self._number.bit_count() == 1
        return (growth >= 1) & in_turn


@dataclass(slots=True)
class _Limits:
    """How far noise carries the blocks of one component from their state."""

    noise: float = SENSOR
    """Variance of the sensor's noise, grey levels^2."""
    alone: float = _LEAST[0]
    """Distance of a block that noise explains."""
    together: float = _LEAST[1]
    """Mean distance of 3x3 blocks that noise explains: for neighbours it is not the same noise."""
    _distance: NDArray[np.float32] = field(default_factory=lambda: np.zeros((0, 0), np.float32))
    _around: NDArray[np.floating] = field(default_factory=lambda: np.zeros((0, 0), np.float32))
    _spread: NDArray[np.float32] = field(default_factory=lambda: np.zeros((0, 0), np.float32))
    _table: NDArray[np.uint16] = field(default_factory=lambda: np.ones(64, np.uint16))

    def moved(
        self, coefficients: NDArray[np.int16], table: NDArray[np.uint16], state: ComponentState
    ) -> NDArray[np.bool_]:
        """The blocks that noise alone cannot have carried so far, and those beside them."""
        self._table = table
        self._distance, self._spread = compare(coefficients, table, state, self.noise, table <= FINEST)
        self._around = _around(self._distance)
        return _widened(self._distance > self.alone) | (self._around > self.together)

    def learn(self, still: NDArray[np.bool_]) -> None:
        """Learn from the blocks of the frame that are still."""
        if still.sum() < _FEWEST:
            return
        both = (self._distance, self._around)
        for name, distances, ninths, least, most in zip(
            ("alone", "together"), both, _NINTHS, _LEAST, _MOST, strict=True
        ):
            median, ninth = np.quantile(distances[still], (0.5, 0.9))
            far = min(max(float(median + ninths * (ninth - median)), least), most)
            setattr(self, name, getattr(self, name) + _ADAPTATION * (far - getattr(self, name)))
        fine = self._table <= FINEST
        if fine.any():
            seen = float(np.median(self._spread[still])) / fine.sum() - float((self._table[fine] ** 2.0).mean()) / 12
            self.noise += _ADAPTATION * (min(max(seen, _LEAST_NOISE), _MOST_NOISE) - self.noise)


def _widened(blocks: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Blocks and their eight neighbours: what changes there is seen by the network from here."""
    padded = np.pad(blocks, 1)
    rows = padded[:-2] | padded[1:-1] | padded[2:]
    return rows[:, :-2] | rows[:, 1:-1] | rows[:, 2:]


def _around(values: NDArray[np.float32]) -> NDArray[np.floating]:
    """The means of 3x3 blocks, of which those at the edge count twice."""
    padded = np.pad(values, 1, mode="edge")
    rows = padded[:-2] + padded[1:-1] + padded[2:]
    return (rows[:, :-2] + rows[:, 1:-1] + rows[:, 2:]) / 9


def _cells(blocks: NDArray[np.bool_], side: tuple[int, int], shape: tuple[int, int]) -> NDArray[np.bool_]:
    """The cells, so many high and wide, that have one of the blocks; `side` are a cell's blocks down and across."""
    missing = [cells * length - have for cells, length, have in zip(shape, side, blocks.shape, strict=True)]
    padded = np.pad(blocks, [(0, max(0, more)) for more in missing])
    found: NDArray[np.bool_] = np.any(padded.reshape(shape[0], side[0], shape[1], side[1]), axis=(1, 3))
    return found
