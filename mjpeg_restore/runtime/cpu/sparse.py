"""Convolutions of a picture's features where they are wanted: at some of its cells, and around them.

The native extension behind this module computes a layer, with all channels of a place side by side: of bytes, if the
layer was trained for that, or of numbers. It multiplies tiles (AMX) if the CPU has them, else vectors of 16 numbers, if
the CPU has these and products of bytes (VNNI), else AVX2; layers of bytes give the same sums with all three. Numbers
are float32, and are multiplied as bfloat16 where the CPU does that faster, as a runtime does there; where that is too
coarse, as two bfloat16 each, which have 16 digits (Henry, Tang and Heinecke 2019, "Leveraging the bfloat16 artificial
intelligence datatype for higher-precision computations"). Without tiles, 3x3 kernels of numbers are computed as
float32 for squares of 4x4 places at once (`Products.SQUARES`), where the picture consists of such. Features have a
border of zeros around the picture. What lies around the places that are computed is set to zero before, so that a layer
sees there what it sees beyond an edge.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from functools import partial
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mjpeg_restore.runtime.cpu.team import ALONE, Team

try:
    from mjpeg_restore.runtime.cpu import _sparse as native
except ImportError:  # no C compiler when the package was installed: a runtime computes rectangles
    native = None

LANES: Final = native.lanes if native else 0
"""Numbers in a vector of this CPU; 0 if there are no kernels for it."""
FOURS: Final = native.fours if native else False
"""Whether it multiplies bytes by four with vectors of 8 numbers (AVX-VNNI), three times as fast as by two."""
INTEL: Final = native.intel if native else False
"""Whether Intel made it."""
FAST_PAIRS: Final = native.pairs and not INTEL if native else False
"""Whether it multiplies more pairs of bfloat16 than float32: AMD's do, up to twice as many. Intel's multiply half as
many (seen on Emerald Rapids): there tiles are for them, which a hypervisor may hide."""
TILES: Final = native.tiles if native else False
"""Whether it multiplies tiles of bytes and of bfloat16 (AMX), ten times as many. Layers ask the system for them."""
_ROW = 64
"""Bytes of taps in a row of a tile."""
_LINE = 64
"""Bytes of a cache line."""
_AT_ONCE = 64
"""Layers that the extension takes together, at most."""
_SQUARE, _SQUARED_SIDE = 4, 3
"""Places of a side of a square that is computed at once, and side of the kernel that it is computed with."""
BORDER = 1
"""Places around a picture's features: so far a kernel reaches beyond it."""
_MIDDLE = 128
"""The byte of a signed feature that is 0."""

Cells = NDArray[np.bool_]
"""Cells of a picture, `[cells_high, cells_wide]`, that are wanted."""


@dataclass(frozen=True, slots=True)
class Grid:
    """Where features lie.

    Attributes:
        high, wide: places of the picture.
        down, across: places of a cell.
        reach: places around wanted cells that are computed, down and across.
    """

    high: int
    wide: int
    down: int
    across: int
    reach: tuple[int, int]

    def region(self, cells: Cells) -> tuple[int, ...]:
        """The wanted cells' places, as the extension takes them."""
        return *cells.shape, self.down, self.across, *self.reach, self.high, self.wide

    def coarser(self, *by: int) -> Grid:
        """A grid of so many times fewer places, down and across."""
        down, across = by
        reach = self.reach[0] // down, self.reach[1] // across
        return Grid(self.high // down, self.wide // across, self.down // down, self.across // across, reach)

    @property
    def is_of_squares(self) -> bool:
        """Whether what is computed consists of squares of 4x4 places, whatever is wanted."""
        return not any(length % _SQUARE for length in (self.high, self.wide, self.down, self.across, *self.reach))

    def within(self) -> Grid:
        """The same without places around cells."""
        return replace(self, reach=(0, 0))

    def numbers(self, channels: int) -> NDArray[np.float32]:
        """Float32 features `[high + 2, wide + 2, channels]`: zeros."""
        return aligned((self.high + 2 * BORDER, self.wide + 2 * BORDER, channels), np.float32)

    def bytes(self, channels: int, *, signed: bool) -> NDArray[np.uint8]:
        """The same as bytes; of signed ones the border alone stands for zeros."""
        found = aligned((self.high + 2 * BORDER, self.wide + 2 * BORDER, channels), np.uint8)
        if signed:  # what is within the border is written before it is read
            found[:BORDER] = found[-BORDER:] = found[:, :BORDER] = found[:, -BORDER:] = _MIDDLE
        return found


@dataclass(frozen=True, slots=True)
class Rounded:
    """What a layer is rounded to, for the next one: bytes `[high + 2, wide + 2, channels]` of a step each."""

    buffer: NDArray[np.uint8]
    step: float
    signed: bool


class Rectify(IntEnum):
    """When numbers below 0 become 0."""

    NEVER = 0
    LAST = 1
    """After all is added."""
    FIRST = 2
    """Before anything is added."""


class Products(IntEnum):
    """How a layer's products are made."""

    SINGLES = 0
    """Of bytes, or of float32."""
    PAIRS = 1
    """Of two bfloat16 at a time."""
    TILES = 2
    """Of sixteen places and outputs at a time, of bytes or of bfloat16."""
    HALVED_TILES = 3
    """Likewise, of numbers and weights that are two bfloat16 each, which have 16 digits together."""
    FOURS = 4
    """Of bytes by four, with vectors of 8 numbers; those of 16 always are."""
    SQUARES = 5
    """Of float32 for squares of 4x4 places at once, a quarter as many: see `_of_squares`."""


class Layer:
    """A convolution: of bytes, if the network was trained with steps for them, else of float32.

    Attributes:
        step: of the input's bytes; 0 for a layer of float32.
        inputs, outputs: channels.
        fills_vectors: whether the outputs are a whole number of vectors.
    """

    def __init__(
        self,
        weight: NDArray[np.floating],
        bias: NDArray[np.floating],
        *,
        steps: tuple[float, NDArray[np.floating]] | None = None,
        signed: bool = False,
        stride: tuple[int, int] = (1, 1),
        padding: int = 1,
        planes: bool = False,
        exact: bool = False,
    ) -> None:
        """Lay the weights out for this CPU.

        Args:
            weight: `[outputs, inputs, side, side]`.
            bias: `[outputs]`.
            steps: of the input, and of the weights, `[outputs]`; None: neither is rounded.
            signed: whether the input's bytes are.
            stride: down and across.
            padding: places that the kernel reaches beyond the first one.
            planes: whether each input channel is a plane of its own.
            exact: whether numbers are multiplied as float32, or with 16 digits, whatever the CPU has.

        Raises:
            ValueError: the outputs do not fill a vector, or bytes are no whole number of four.
        """
        self.outputs, self.inputs, self._side, _ = weight.shape
        if steps and self.inputs % 4:
            raise ValueError(f"{self.inputs} inputs are no whole number of four bytes")
        if self.outputs < LANES:
            raise ValueError(f"{self.outputs} outputs do not fill a vector of {LANES} numbers")
        self.fills_vectors = self.outputs % LANES == 0
        # The last group has the last outputs, also where the one before has some of them.
        firsts = [min(first, self.outputs - LANES) for first in range(0, self.outputs, LANES)]
        self.step = steps[0] if steps else 0.0
        self._stride, self._padding, self._planes = stride, padding, planes
        self._scale: NDArray[np.float32] | None = None
        if steps:
            weight = np.rint(weight / steps[1][:, None, None, None])
            self._scale = (steps[0] * steps[1]).astype(np.float32)
            if signed:
                bias = bias - self._scale * _MIDDLE * weight.sum((1, 2, 3))
        order = (0, 2, 3, 4, 1) if planes else (0, 3, 4, 2, 1)
        rows = 1 if planes or self.inputs == 1 else self._side
        groups = np.stack([weight[first : first + LANES] for first in firsts]).transpose(order)
        taps = groups.reshape(len(firsts), rows, -1, LANES)  # rows of them, of each group
        self._products = Products.SINGLES
        tiles = TILES and native is not None and native.ask_for_tiles()
        if exact:
            if tiles and planes and stride == (2, 2) and self._side % 2 == 0:
                self._products = Products.HALVED_TILES
                taps = _halved(taps.reshape(len(firsts), self.inputs, self._side, self._side, LANES))
        elif LANES == 16:
            if tiles:
                self._products = Products.TILES
            elif FAST_PAIRS and steps is None and self._side * (1 if planes else self.inputs) % 2 == 0:
                self._products = Products.PAIRS
        elif FOURS and steps:
            self._products = Products.FOURS
        if steps:
            taps, together = taps.astype(np.int8), 4
        elif self._products is Products.SINGLES:
            taps, together = taps.astype(np.float32), 1
        else:
            taps, together = _bfloat16(np.ascontiguousarray(taps, np.float32)), 2
        are_tiles = self._products in (Products.TILES, Products.HALVED_TILES)
        whole = _ROW // taps.itemsize if are_tiles else together  # zeros fill a row's last tile
        taps = np.pad(taps, ((0, 0), (0, 0), (0, -taps.shape[2] % whole), (0, 0)))
        several = taps.reshape(len(firsts), rows, -1, together, LANES).swapaxes(-2, -1)
        self._weight = aligned(several.shape, several.dtype)
        self._weight[:] = several
        self._bias = np.ascontiguousarray(bias, np.float32)
        self._squares: NDArray[np.float32] | None = None
        can_be = (self._side, *stride, padding) == (_SQUARED_SIDE, 1, 1, 1) and self.inputs % LANES == 0
        if can_be and not (steps or planes or tiles):
            self._squares = _of_squares(groups.reshape(len(firsts), self._side, self._side, self.inputs, LANES))

    def __call__(
        self,
        source: NDArray[Any],
        cells: Cells,
        grid: Grid,
        *,
        added: NDArray[np.float32] | None = None,
        also: NDArray[np.float32] | None = None,
        sums: NDArray[np.float32] | None = None,
        rounded: Rounded | None = None,
        halves: NDArray[np.float16] | None = None,
        rectify: Rectify = Rectify.NEVER,
        spread: tuple[int, int, int] = (1, 0, 0),
    ) -> Computation:
        """What `compute` computes at wanted cells, and around them.

        Args:
            source: uint8 or float32 `[input_high + 2, input_wide + 2, inputs]`, or if they are planes
                `[inputs, input_high + 2, input_wide + 2]`.
            cells: the cells.
            grid: of the output.
            added, also: are added to the output, float32 `[high + 2, wide + 2, outputs]`.
            sums: becomes the output, likewise. It may be one of these, if the outputs are a whole number of vectors.
            rounded: becomes the output, rounded.
            halves: becomes the output, float16 `[high, wide, outputs]`.
            rectify: when what is less than 0 becomes 0.
            spread: a place becomes a square of this side, of which a row and a column are computed here.
        """
        weight, products = self._weight, self._products
        if self._squares is not None and grid.is_of_squares and spread[0] == 1:
            weight, products = self._squares, Products.SQUARES
        planes, channels = (self.inputs, 1) if self._planes else (1, self.inputs)
        high, wide = (length - 2 * BORDER for length in (source.shape[1:] if self._planes else source.shape[:2]))
        sides = self._side, *self._stride, self._padding
        shape = planes, high, wide, channels, *sides, self.outputs, *spread, rectify, products
        target = rounded or Rounded(np.empty(0, np.uint8), 1.0, signed=False)
        return (
            *(source, weight, self._scale, self._bias, added, also, sums),
            *(rounded and rounded.buffer, halves, cells.view(np.uint8), grid.region(cells), shape),
            *(1 / target.step, float(_MIDDLE if target.signed else 0), LANES),
        )


Computation = tuple[Any, ...]
"""A layer with its arguments."""


class Plan:
    """Layers that are computed at some cells of one picture after the other, in the same memory. What changes are the
    cells alone: so all else is laid out once.

    Attributes:
        cells: of the picture, for `Layer`; they are set when layers are computed.
    """

    def __init__(self, cells: tuple[int, int]) -> None:
        """Begin without layers, for pictures of so many cells down and across."""
        self.cells: Cells = np.zeros(cells, np.bool_)
        self._cleared: list[tuple[Any, ...]] = []
        self._layers: list[Computation] = []

    def clear(self, grid: Grid, *buffers: NDArray[Any]) -> None:
        """Have features of a grid set to zero next to the places that will be computed, before the first layer is."""
        for buffer in buffers:  # whose border has the number that stands for nothing: of signed bytes it is 128
            nothing, size = int(buffer.view(np.uint8)[0, 0, 0]), buffer[0, 0].nbytes
            self._cleared.append((buffer, nothing, size, self.cells.view(np.uint8), grid.region(self.cells)))

    def add(self, *layers: Computation) -> None:
        """Have layers computed after those before, at the plan's cells."""
        self._layers += layers

    def compute(self, cells: Cells, team: Team = ALONE, last: Sequence[Computation] = ()) -> None:
        """Compute all layers at these cells; the result does not depend on the team.

        Args:
            cells: the wanted ones.
            team: computes.
            last: layers of this picture alone, which follow the others.
        """
        assert native is not None
        np.copyto(self.cells, cells)
        for one in self._cleared:
            native.fill(*one)
        compute([*self._layers, *last], team)


def compute(layers: Sequence[Computation], team: Team = ALONE) -> None:
    """Compute layers: each row as if those before were complete.

    One thread does so from the top of the picture down, all at once; a team computes one layer after the other, and
    divides each.
    """
    assert native is not None
    for first in range(0, len(layers), _AT_ONCE):
        some = layers[first : first + _AT_ONCE]
        if team.size == 1:
            native.convolve(some)
        else:
            team([partial(native.join, native.share(some, team.size))] * team.size)


def aligned(shape: Sequence[int], kind: np.dtype[Any] | type[np.generic]) -> NDArray[Any]:
    """Zeros that begin with a cache line: tiles, and vectors, are read much faster if no row of them lies in two."""
    size = int(np.prod(shape)) * np.dtype(kind).itemsize
    room = np.zeros(size + _LINE, np.uint8)
    start = -room.ctypes.data % _LINE
    return room[start : start + size].view(kind).reshape(shape)


class Weights:
    """A network's weights by the names of their layers, float32."""

    def __init__(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Begin with arrays of any type."""
        self._arrays = arrays
        self._read: set[str] = set()

    def __call__(self, name: str) -> NDArray[np.float32]:
        """The weights of that name.

        Raises:
            KeyError: there are none.
        """
        array = self._arrays[name].astype(np.float32)
        self._read.add(name)
        return array

    @property
    def unread(self) -> set[str]:
        """The names that nothing has asked for."""
        return self._arrays.keys() - self._read

    def __contains__(self, name: str) -> bool:
        """Whether there are weights of that name."""
        return name in self._arrays

    def layer(self, name: str, *, signed: bool = False, stride: tuple[int, int] = (1, 1), padding: int = 1) -> Layer:
        """A layer: of bytes, if it was trained for that; see `Layer`."""
        steps = (float(self(f"{name}.step")), self(f"{name}.weight_step")) if f"{name}.step" in self else None
        weight, bias = self(f"{name}.weight"), self(f"{name}.bias")
        return Layer(weight, bias, steps=steps, signed=signed, stride=stride, padding=padding)

    def of_place(self, name: str) -> Layer:
        """A layer of numbers at single places: its weights are `[outputs, inputs]`."""
        return Layer(self(f"{name}.weight")[:, :, np.newaxis, np.newaxis], self(f"{name}.bias"), padding=0)


def _bfloat16(numbers: NDArray[np.float32]) -> NDArray[np.uint16]:
    """Numbers as bfloat16, to the nearest, ties to even; none of them is infinite."""
    bits = numbers.view(np.uint32)
    return (bits + 0x7FFF + (bits >> 16 & 1) >> 16).astype(np.uint16)


def _of_squares(taps: NDArray[np.floating]) -> NDArray[np.float32]:
    """Taps as `Products.SQUARES` takes them: transformed for F(4x4, 3x3) of Lavin and Gray 2016, "Fast algorithms for
    convolutional neural networks", section 4.3.

    Args:
        taps: `[groups, 3, 3, inputs, lanes]`.

    Returns:
        `[groups, 6, 6, inputs, lanes]`.
    """
    transform = np.array([[6, 0, 0], [-4, -4, -4], [-4, 4, -4], [1, 2, 4], [1, -2, 4], [0, 0, 24]]) / 24  # their G
    exact = np.einsum("ur,grcil,vc->guvil", transform, taps, transform)
    found = aligned(exact.shape, np.float32)
    found[:] = exact
    return found


def _halved(taps: NDArray[np.floating]) -> NDArray[np.floating]:
    """Taps as `Products.HALVED_TILES` takes them: bfloat16 and what they leave.

    Args:
        taps: of planes, `[groups, planes, side, side, lanes]`.

    Returns:
        `[groups, side, taps of a row, lanes]`. Squares of two by two samples of all planes become a place, with zeros
        up to a whole number of 16. First come the upper halves, for both halves of a place's numbers, then the lower
        ones, for the upper half: what is left out, the product of two lower halves, has no digit of the sixteen.
    """
    groups, planes, side, _, lanes = taps.shape
    squares = taps.reshape(groups, planes, side // 2, 2, side // 2, 2, lanes).transpose(0, 2, 4, 1, 3, 5, 6)
    places = squares.reshape(groups, side // 2, side // 2, 4 * planes, lanes)
    places = np.pad(places, ((0, 0), (0, 0), (0, 0), (0, -4 * planes % 16), (0, 0)))
    upper = (_bfloat16(np.ascontiguousarray(places, np.float32)).astype(np.uint32) << 16).view(np.float32)
    lower = places - upper
    rows = [np.concatenate(one, axis=3) for one in ((upper, upper), (lower, np.zeros_like(lower)))]
    return np.stack(rows, axis=1).reshape(groups, side, -1, lanes)
