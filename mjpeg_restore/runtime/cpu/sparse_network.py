"""The network of `stream-video` on the CPU, at wanted cells and half a cell around them, layer by layer (`sparse.py`).

It is what `models/stream_video.py` computes between means and residual, for both sizes of the network.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mjpeg_restore.runtime.cpu import state
from mjpeg_restore.runtime.cpu.activity import blocks_of, cell, widened
from mjpeg_restore.runtime.cpu.lent import Lent
from mjpeg_restore.runtime.cpu.part_sizes import Grids
from mjpeg_restore.runtime.cpu.projection import PHASES
from mjpeg_restore.runtime.cpu.sparse import BORDER, Cells, Grid, Layer, Rectify, Rounded, Weights, aligned

REACH = 4
"""Features of luma around wanted cells that are computed as well: 8 samples. The network's reach is larger, but what
lies beyond changes little."""
_FEATURES = 4
"""Features of a block, down and across."""
_ENTER = 2
"""Stride of the first and the last layer: samples of a feature, and features of a place of the residual."""

Component = tuple[NDArray[np.int16], NDArray[np.uint16], NDArray[np.int16], NDArray[np.float16]]
"""Coefficients and table of a frame, mean and evidence after it: of one component."""
Phases = tuple[NDArray[np.float16], int, int]
"""A residual `[2 blocks_high, 2 blocks_wide, components, 16]`, the number of components, and which of them it is."""


class SparseNetwork:
    """The network. Safe from several threads."""

    def __init__(self, named: Weights) -> None:
        """Lay the weights out for this CPU.

        Raises:
            KeyError: one is missing.
            ValueError: channels do not fill a vector, or blocks come in another order.
        """
        self._luma = _Branch(named, "", 1)
        self._chroma = _Branch(named, "chroma_", 2) if "chroma_enter.weight" in named else None
        self._past = [_map(named(f"past.{index}.weight")) for index in range(3 if self._chroma else 1)]
        self._significance = None
        if "significance.shares.weight" in named:
            self._significance = _map(named("significance.shares.weight"), named("significance.shares.bias"))
        self._guide = (named("guide.weight"), named("guide.bias")) if self._chroma else None
        self._memory = Lent(self._new)

    @contextmanager
    def run(self, components: Sequence[Component], cells: Cells) -> Generator[list[Phases]]:
        """Lend the residual of each component, at the wanted cells; elsewhere it is whatever it was.

        Args:
            components: of a picture.
            cells: the wanted ones.
        """
        grids = tuple(coefficients.shape[:2] for coefficients, *_ in components)
        tables = [table for _, table, *_ in components]
        with self._memory(grids) as (luma, *chroma):
            near = blocks_of(widened(cells), grids)
            self._enter(components[:1], near, luma, 0)
            self._luma.run(tables[:1], cells, luma)
            found: list[Phases] = [(luma.phases, 1, 0)]
            if self._chroma and self._guide:
                (memory,) = chroma
                self._enter(components[1:], near, memory, 1)
                scale = grids[0][0] // grids[1][0], grids[0][1] // grids[1][1]
                self._chroma.run(tables[1:], cells, memory, _Guide(*self._guide, luma.fine.sums, scale))
                found += [(memory.phases, 2, 0), (memory.phases, 2, 1)]
            yield found

    def _enter(
        self, components: Sequence[Component], near: Sequence[NDArray[np.bool_]], memory: _Memory, first: int
    ) -> None:
        """Fill the planes, in the order of the weights: samples, luma's significance map, deviations, the past.

        Args:
            components: of luma, or of chroma.
            near: blocks of all components for which they are filled.
            memory: has the planes.
            first: the first component's number.
        """
        count, planes = len(components), iter(memory.planes)
        samples = [next(planes) for _ in range(count)]
        significance = (self._significance, next(planes)) if self._significance is not None and first == 0 else None
        left, past = [[next(planes) for _ in range(count)] for _ in range(2)]
        for index, component in enumerate(components):
            state.enter(
                *(*component, samples[index], left[index]),
                past=(self._past[first + index], past[index]),
                significance=significance,
                wanted=near[first + index],
                border=BORDER,
            )

    def _new(self, grids: Grids) -> list[_Memory]:
        down, across = (_FEATURES * length for length in cell(grids))
        luma = Grid(_FEATURES * grids[0][0], _FEATURES * grids[0][1], down, across, REACH)
        found = [self._luma.memory(luma)]
        if self._chroma:
            high, wide = (luma_length // length for luma_length, length in zip(grids[0], grids[1], strict=True))
            found.append(self._chroma.memory(luma.coarser(high, wide)))
        return found


@dataclass(frozen=True, slots=True)
class _Features:
    """Memory for the features of some blocks of the network, on one grid."""

    grid: Grid
    sums: NDArray[np.float32]
    rounded: NDArray[np.uint8]
    hidden: NDArray[np.uint8]

    @staticmethod
    def new(grid: Grid, channels: int, hidden: int) -> _Features:
        """Zeros."""
        return _Features(
            grid, grid.numbers(channels), grid.bytes(channels, signed=True), grid.bytes(hidden, signed=False)
        )

    def clear(self, cells: Cells, *, numbers: bool) -> None:
        """Set what is next to the places that will be computed to zero: bytes, and numbers if a layer sees them."""
        self.grid.clear(cells, self.rounded, self.hidden, *([self.sums] if numbers else []))


@dataclass(frozen=True, slots=True)
class _Memory:
    """Memory for a branch of the network: what enters, its first features, later ones, and the residual."""

    planes: NDArray[np.float32]
    entered: NDArray[np.float32]
    fine: _Features
    coarse: _Features | None
    phases: NDArray[np.float16]

    @property
    def nbytes(self) -> int:
        """Bytes of its arrays."""
        features = [self.fine, *([self.coarse] if self.coarse else [])]
        arrays = [array for one in features for array in (one.sums, one.rounded, one.hidden)]
        return sum(array.nbytes for array in (self.planes, self.entered, self.phases, *arrays))


class _Residual:
    """A `ResidualBlock` of `models/stream.py`."""

    def __init__(self, named: Weights, name: str) -> None:
        self._first, self._second = named.layer(f"{name}.first", signed=True), named.layer(f"{name}.second")
        self.step, self.hidden = self._first.step, self._first.outputs
        self.sees_numbers = not self.step
        """Whether it takes numbers from around a place."""

    def run(
        self,
        source: NDArray[np.float32],
        features: _Features,
        cells: Cells,
        following: float,
        *,
        also: NDArray[np.float32] | None = None,
        rectify: Rectify = Rectify.NEVER,
    ) -> None:
        """Features become the source and the block's residual.

        Args:
            source: features, which are rounded already, if the block takes bytes.
            features: the memory for them.
            cells: wanted ones.
            following: step of the bytes that the next layer takes; 0 if it takes numbers.
            also: is added, too.
            rectify: as in `Layer.run`.
        """
        rounded = features.rounded if self.step else source
        hidden = Rounded(features.hidden, self._second.step, signed=False)
        self._first.run(rounded, cells, features.grid, rounded=hidden, rectify=Rectify.LAST)
        self._second.run(
            *(features.hidden, cells, features.grid),
            added=source,
            also=also,
            sums=features.sums,
            rounded=_signed(features, following),
            rectify=rectify,
        )


class _Coarse:
    """A `CoarseBlock` of `models/stream.py`."""

    step = 0.0
    sees_numbers = False
    """It takes those of the places alone that become one."""

    def __init__(self, named: Weights, name: str) -> None:
        self._shrink = named.layer(f"{name}.shrink", stride=(2, 2), padding=0)
        self.block = _Residual(named, f"{name}.block")
        weight, bias = named(f"{name}.grow.weight"), named(f"{name}.grow.bias")
        places = [(row, column) for row in range(2) for column in range(2)]
        self._grow = [
            ((2, row, column), Layer(weight[:, :, row : row + 1, column : column + 1].swapaxes(0, 1), bias, padding=0))
            for row, column in places
        ]
        self.channels = self._shrink.outputs

    def run(
        self, source: NDArray[np.float32], fine: _Features, coarse: _Features, cells: Cells, following: float
    ) -> None:
        """The fine features become the source and the block's residual; see `_Residual.run`."""
        rounded = _signed(coarse, self.block.step)
        self._shrink.run(source, cells, coarse.grid, sums=coarse.sums, rounded=rounded)
        self.block.run(coarse.sums, coarse, cells, 0, rectify=Rectify.LAST)
        for spread, layer in self._grow:
            rounded = _signed(fine, following)
            layer.run(coarse.sums, cells, coarse.grid, added=source, sums=fine.sums, rounded=rounded, spread=spread)


class _Branch:
    """The network of luma, or of both components of chroma."""

    def __init__(self, named: Weights, prefix: str, components: int) -> None:
        """Lay the weights out: all but those that a frame's tables change."""
        entering = named(f"{prefix}enter.weight"), named(f"{prefix}enter_state.weight")
        self._enter = np.concatenate(entering, axis=1), named(f"{prefix}enter.bias")
        layers = [f"{prefix}condition.layers.{index}" for index in (0, 2)]
        self._condition = [(named(f"{layer}.weight"), named(f"{layer}.bias")) for layer in layers]
        self._blocks: list[_Residual | _Coarse] = []
        while any(f"{prefix}trunk.{len(self._blocks)}.{part}.bias" in named for part in ("first", "shrink")):
            name = f"{prefix}trunk.{len(self._blocks)}"
            self._blocks.append((_Coarse if f"{name}.shrink.bias" in named else _Residual)(named, name))
        if isinstance(self._blocks[-1], _Coarse):
            raise ValueError("the last block is no residual block")
        self._predict = named.layer(f"{prefix}predict.phases", signed=True, stride=(_ENTER, _ENTER))
        self._components = components

    def memory(self, grid: Grid) -> _Memory:
        """Memory for pictures whose features lie on a grid."""
        channels, planes, *_ = self._enter[0].shape
        samples = _ENTER * grid.high + 2 * BORDER, _ENTER * grid.wide + 2 * BORDER
        hidden = max(block.hidden for block in self._blocks if isinstance(block, _Residual))
        coarse = next((block for block in self._blocks if isinstance(block, _Coarse)), None)
        places = grid.high // _ENTER, grid.wide // _ENTER
        return _Memory(
            aligned((planes, *samples), np.float32),
            grid.numbers(channels),
            _Features.new(grid, channels, hidden),
            coarse and _Features.new(grid.coarser(2, 2), coarse.channels, coarse.block.hidden),
            np.zeros((*places, self._components, PHASES**2), np.float16),
        )

    def run(
        self, tables: Sequence[NDArray[np.uint16]], cells: Cells, memory: _Memory, guide: _Guide | None = None
    ) -> None:
        """Compute the residual of what is in the memory's planes.

        Args:
            tables: of the components.
            cells: wanted ones.
            memory: of the picture.
            guide: for chroma.
        """
        fine, coarse = memory.fine, memory.coarse
        first, *others = self._blocks
        fine.clear(cells, numbers=any(block.sees_numbers for block in others))
        if first.sees_numbers:
            fine.grid.clear(cells, memory.entered)
        if coarse:
            numbers = any(block.block.sees_numbers for block in others if isinstance(block, _Coarse))
            coarse.clear(cells, numbers=numbers)
        gain, shift = self._conditioned(tables)
        weight, bias = self._enter
        rounded = _signed(fine, first.step)
        bias = gain * (bias + (guide.bias if guide else 0)) + shift
        enter = Layer(_scaled(weight, gain), bias, stride=(_ENTER, _ENTER), planes=True)
        enter.run(memory.planes, cells, fine.grid, sums=memory.entered, rounded=None if guide else rounded)
        if guide:
            layer = Layer(_scaled(guide.weight, gain), np.zeros_like(gain), stride=guide.scale, padding=0)
            layer.run(guide.features, cells, fine.grid, added=memory.entered, sums=memory.entered, rounded=rounded)
        source, last = memory.entered, self._blocks[-1]
        for block, following in zip(self._blocks, [*self._blocks[1:], self._predict], strict=True):
            if isinstance(block, _Residual):
                also = memory.entered if block is last else None
                block.run(source, fine, cells, following.step, also=also)
            elif coarse:
                block.run(source, fine, coarse, cells, following.step)
            source = fine.sums
        places = fine.grid.coarser(_ENTER, _ENTER).within()
        self._predict.run(fine.rounded, cells, places, halves=memory.phases)

    def _conditioned(self, tables: Sequence[NDArray[np.uint16]]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """What the first layer's features are multiplied by, and what is added: `Condition` of `models/stream.py`."""
        (first, first_bias), (last, last_bias) = self._condition
        entering = np.log2(np.concatenate(tables).astype(np.float32)) / 4 - 1
        gain, shift = np.split(last @ np.maximum(first @ entering + first_bias, 0) + last_bias, 2)
        return 1 + gain, shift


@dataclass(frozen=True, slots=True)
class _Guide:
    """What chroma takes of luma: a layer of one place, and luma's features, so many times as many down and across."""

    weight: NDArray[np.float32]
    bias: NDArray[np.float32]
    features: NDArray[np.float32]
    scale: tuple[int, int]


def _signed(features: _Features, step: float) -> Rounded | None:
    """The bytes of features of a step; none if it is 0."""
    return Rounded(features.rounded, step, signed=True) if step else None


def _scaled(weight: NDArray[np.float32], gain: NDArray[np.float32]) -> NDArray[np.float32]:
    """The weights of a layer whose outputs are multiplied by a gain."""
    return weight * gain[:, None, None, None]


def _map(weight: NDArray[np.float32], bias: NDArray[np.float32] | None = None) -> NDArray[np.float32]:
    """A linear layer as `state.enter` takes it."""
    return np.ascontiguousarray(np.vstack([weight.T, np.zeros(len(weight)) if bias is None else bias]), np.float32)
