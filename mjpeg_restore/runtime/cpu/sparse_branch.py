"""A branch of the network of `stream-video` where it is wanted: luma's, or that of both components of chroma.

A trunk of blocks, as in `models/stream.py`, between a layer that a frame's tables change and one that makes a residual.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial

import numpy as np
from numpy.typing import NDArray

from mjpeg_restore.runtime.cpu.of_table import of_table
from mjpeg_restore.runtime.cpu.projection import PHASES
from mjpeg_restore.runtime.cpu.sparse import (
    BORDER,
    Cells,
    Computation,
    Grid,
    Layer,
    Plan,
    Rectify,
    Rounded,
    Weights,
    aligned,
)

ENTER = 2
"""Stride of the first and the last layer: samples of a feature, and features of a place of the residual."""


@dataclass(frozen=True, slots=True)
class Features:
    """Memory for the features of some blocks of the network, on one grid."""

    grid: Grid
    sums: NDArray[np.float32]
    rounded: NDArray[np.uint8]
    hidden: NDArray[np.uint8]

    @staticmethod
    def new(grid: Grid, channels: int, hidden: int) -> Features:
        """Zeros."""
        return Features(
            grid, grid.numbers(channels), grid.bytes(channels, signed=True), grid.bytes(hidden, signed=False)
        )

    def clear(self, plan: Plan, *, numbers: bool) -> None:
        """Set what is next to the places that will be computed to zero: bytes, and numbers if a layer sees them."""
        plan.clear(self.grid, self.rounded, self.hidden, *([self.sums] if numbers else []))


@dataclass(frozen=True, slots=True)
class Memory:
    """Memory for a branch of the network: what enters, its first features, and later ones."""

    planes: NDArray[np.float32]
    entered: NDArray[np.float32]
    fine: Features
    coarse: Features | None

    @property
    def nbytes(self) -> int:
        """Bytes of its arrays."""
        features = [self.fine, *([self.coarse] if self.coarse else [])]
        arrays = [array for one in features for array in (one.sums, one.rounded, one.hidden)]
        return sum(array.nbytes for array in (self.planes, self.entered, *arrays))


class _Residual:
    """A `ResidualBlock` of `models/stream.py`."""

    def __init__(self, named: Weights, name: str) -> None:
        self._first, self._second = named.layer(f"{name}.first", signed=True), named.layer(f"{name}.second")
        self.step, self.hidden = self._first.step, self._first.outputs
        if not self._second.step or not self._second.fills_vectors:  # its sums take the place of what is added
            raise ValueError("these are other layers than are known")
        self.sees_numbers = not self.step
        """Whether it takes numbers from around a place."""

    def layers(
        self,
        source: NDArray[np.float32],
        features: Features,
        cells: Cells,
        following: float,
        *,
        also: NDArray[np.float32] | None = None,
        rectify: Rectify = Rectify.NEVER,
    ) -> list[Computation]:
        """Layers by which features become the source and the block's residual.

        Args:
            source: features, which are rounded already, if the block takes bytes.
            features: the memory for them.
            cells: wanted ones.
            following: step of the bytes that the next layer takes; 0 if it takes numbers.
            also: is added, too.
            rectify: as in `Layer`.
        """
        rounded = features.rounded if self.step else source
        hidden = Rounded(features.hidden, self._second.step, signed=False)
        return [
            self._first(rounded, cells, features.grid, rounded=hidden, rectify=Rectify.LAST),
            self._second(
                *(features.hidden, cells, features.grid),
                added=source,
                also=also,
                sums=features.sums,
                rounded=_signed(features, following),
                rectify=rectify,
            ),
        ]


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
        self.inner = self._shrink.outputs
        if self._shrink.step or not all(layer.fills_vectors for _, layer in self._grow):
            raise ValueError("these are other layers than are known")

    def layers(
        self, source: NDArray[np.float32], fine: Features, coarse: Features, cells: Cells, following: float
    ) -> list[Computation]:
        """Layers by which the fine features become the source and the block's residual; see `_Residual.layers`."""
        inner, found = _signed(coarse, self.block.step), _signed(fine, following)
        return [
            self._shrink(source, cells, coarse.grid, sums=coarse.sums, rounded=inner),
            *self.block.layers(coarse.sums, coarse, cells, 0, rectify=Rectify.LAST),
            *(
                grow(coarse.sums, cells, coarse.grid, added=source, sums=fine.sums, rounded=found, spread=spread)
                for spread, grow in self._grow
            ),
        ]


class Branch:
    """The network of luma, or of both components of chroma."""

    def __init__(self, named: Weights, prefix: str, components: int, *, guided: bool = False) -> None:
        """Lay the weights out: all but those that a frame's tables change.

        Args:
            named: the weights.
            prefix: of their names.
            components: of the branch.
            guided: whether it takes luma's features as well.

        Raises:
            KeyError: some are missing.
            ValueError: it has other blocks than are known, or channels that do not fill vectors.
        """
        entering = named(f"{prefix}enter.weight"), named(f"{prefix}enter_state.weight")
        self._enter = np.concatenate(entering, axis=1), named(f"{prefix}enter.bias")
        layers = [f"{prefix}condition.layers.{index}" for index in (0, 2)]
        self._condition = [(named(f"{layer}.weight"), named(f"{layer}.bias")) for layer in layers]
        self._blocks: list[_Residual | _Coarse] = []
        while any(f"{prefix}trunk.{len(self._blocks)}.{part}.bias" in named for part in ("first", "shrink")):
            name = f"{prefix}trunk.{len(self._blocks)}"
            self._blocks.append((_Coarse if f"{name}.shrink.bias" in named else _Residual)(named, name))
        if not self._blocks or isinstance(self._blocks[-1], _Coarse):
            raise ValueError("the last block is no residual block")
        self._predict = named.layer(f"{prefix}predict.phases", signed=True, stride=(ENTER, ENTER))
        if len({block.hidden for block in self._blocks if isinstance(block, _Residual)}) > 1 or not self._predict.step:
            raise ValueError("these are other layers than are known")
        self._guide = (named("guide.weight"), named("guide.bias")) if guided else None
        self._components = components
        self._entering = cache(self._of_scale)

    def memory(self, grid: Grid) -> Memory:
        """Memory for pictures whose features lie on a grid."""
        channels, planes, *_ = self._enter[0].shape
        samples = ENTER * grid.high + 2 * BORDER, ENTER * grid.wide + 2 * BORDER
        hidden = next(block.hidden for block in self._blocks if isinstance(block, _Residual))
        coarse = next((block for block in self._blocks if isinstance(block, _Coarse)), None)
        return Memory(
            aligned((planes, *samples), np.float32),
            grid.numbers(channels),
            Features.new(grid, channels, hidden),
            coarse and Features.new(grid.coarser(2, 2), coarse.inner, coarse.block.hidden),
        )

    def phases(self, grid: Grid) -> NDArray[np.float16]:
        """Memory for the residual of such pictures, `[grid.high / ENTER, grid.wide / ENTER, components, PHASES**2]`."""
        return np.zeros((grid.high // ENTER, grid.wide // ENTER, self._components, PHASES**2), np.float16)

    def lay_out(self, plan: Plan, tables: NDArray[np.uint16], memory: Memory, guide: Guide | None = None) -> None:
        """Add the layers between what is in the memory's planes and what `predicted` takes.

        Args:
            plan: of the picture.
            tables: of the components, `[components, 64]`.
            memory: of the picture.
            guide: for chroma.
        """
        fine, coarse, cells = memory.fine, memory.coarse, plan.cells
        first, *others = self._blocks
        fine.clear(plan, numbers=any(block.sees_numbers for block in others))
        if first.sees_numbers:
            plan.clear(fine.grid, memory.entered)
        if coarse:
            numbers = any(block.block.sees_numbers for block in others if isinstance(block, _Coarse))
            coarse.clear(plan, numbers=numbers)
        entered, rounded = memory.entered, _signed(fine, first.step)
        enter, guiding = self._entering(guide and guide.scale)(tables.ravel())
        plan.add(enter(memory.planes, cells, fine.grid, sums=entered, rounded=None if guide else rounded))
        if guide and guiding:
            plan.add(guiding(guide.features, cells, fine.grid, added=entered, sums=entered, rounded=rounded))
        source, last = entered, self._blocks[-1]
        for block, following in zip(self._blocks, [*others, self._predict], strict=True):
            if isinstance(block, _Residual):
                also = entered if block is last else None
                plan.add(*block.layers(source, fine, cells, following.step, also=also))
            elif coarse:
                plan.add(*block.layers(source, fine, coarse, cells, following.step))
            source = fine.sums

    def predicted(self, memory: Memory, cells: Cells, phases: NDArray[np.float16]) -> Computation:
        """The last layer, that computes the residual of a picture.

        Args:
            memory: of the picture.
            cells: wanted ones.
            phases: filled there.
        """
        places = memory.fine.grid.coarser(ENTER, ENTER).within()
        return self._predict(memory.fine.rounded, cells, places, halves=phases)

    def _of_scale(self, scale: tuple[int, int] | None) -> Callable[[NDArray[np.uint16]], tuple[Layer, Layer | None]]:
        return of_table(partial(self._of_tables, scale))

    def _of_tables(self, scale: tuple[int, int] | None, tables: NDArray[np.uint16]) -> tuple[Layer, Layer | None]:
        """The first layer, and that of the guide, as the components' tables change them: `Condition` of
        `models/stream.py`.

        Args:
            scale: of the guide.
            tables: of the components, one after the other.
        """
        (first, first_bias), (last, last_bias) = self._condition
        entering = np.log2(tables.astype(np.float32)) / 4 - 1
        gain, shift = np.split(last @ np.maximum(first @ entering + first_bias, 0) + last_bias, 2)
        gain = 1 + gain
        (weight, bias), guide = self._enter, None
        if self._guide and scale:
            guide = Layer(_scaled(self._guide[0], gain), np.zeros_like(gain), stride=scale, padding=0)
            bias = bias + self._guide[1]
        # Samples have eight digits before the point, means of several frames some behind it: rounded to bfloat16 they
        # lost 0.01 dB at Q50, and 0.04 dB in smooth pictures.
        enter = Layer(_scaled(weight, gain), gain * bias + shift, stride=(ENTER, ENTER), planes=True, exact=True)
        return enter, guide


@dataclass(frozen=True, slots=True)
class Guide:
    """What chroma takes of luma: features, so many times as many down and across."""

    features: NDArray[np.float32]
    scale: tuple[int, int]


def _signed(features: Features, step: float) -> Rounded | None:
    """The bytes of features of a step; none if it is 0."""
    return Rounded(features.rounded, step, signed=True) if step else None


def _scaled(weight: NDArray[np.float32], gain: NDArray[np.float32]) -> NDArray[np.float32]:
    """The weights of a layer whose outputs are multiplied by a gain."""
    return weight * gain[:, None, None, None]
