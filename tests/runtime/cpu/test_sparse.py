"""Convolutions where they are wanted: their numbers, their places, and sizes that do not go together."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from textwrap import dedent
from typing import Any

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st
from numpy.typing import NDArray

from mjpeg_restore.runtime.cpu import sparse
from mjpeg_restore.runtime.cpu.sparse import BORDER, Cells, Grid, Layer, Plan, Products, Rectify, Rounded
from mjpeg_restore.runtime.cpu.team import Team
from tests.lacking import needs_native_sparse

pytestmark = needs_native_sparse
native: Any = sparse.native

ROUNDOFF = 2.0**-24
"""How far a float32 result is from the exact one, at most, relative to it."""
MORE = 1.001
"""Factor of a bound on errors, for the products of such errors."""
MIDDLE = 128
"""The byte of a signed feature that is 0."""
Numbers = NDArray[np.float64]
Source = NDArray[np.uint8] | NDArray[np.float32]


@pytest.fixture(
    params=[(8, ""), (8, "FOURS"), (16, ""), (16, "FAST_PAIRS"), (16, "TILES")],
    ids=["8", "fours", "16", "pairs", "tiles"],
)
def lanes(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """Layers are computed with vectors of so many numbers, which are multiplied as float32, as pairs of bfloat16, or as
    tiles, and bytes by two or by four."""
    lanes, products = request.param
    has = {"FOURS": sparse.FOURS, "FAST_PAIRS": sparse.native.pairs, "TILES": sparse.TILES, "": True}
    if lanes > sparse.LANES or not has[products]:
        pytest.skip("needs a CPU that has AVX-VNNI, AVX-512 with VNNI, or products of bfloat16, or of tiles")
    monkeypatch.setattr(sparse, "LANES", lanes)
    for name in ("FOURS", "FAST_PAIRS", "TILES"):
        monkeypatch.setattr(sparse, name, name == products)
    return lanes


same_lanes = hypothesis.settings(suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture])
"""The fixture above is the same for all examples."""


# ---- layers and their exact numbers ----


@dataclass(frozen=True)
class Case:
    """What a layer is made of."""

    inputs: int = 8
    outputs: int = 16
    side: int = 3
    stride: tuple[int, int] = (1, 1)
    padding: int = 1
    planes: bool = False
    signed: bool | None = None
    """Whether the input's bytes are; None: numbers enter."""


@dataclass(frozen=True)
class Example:
    """A layer, what enters it, and what leaves it.

    Attributes:
        layer, source, grid: a `Layer`, and its arguments.
        exact: the numbers of the whole picture, `[high, wide, outputs]`, in double precision.
        tolerance: bound on the error of the computed ones.
    """

    layer: Layer
    source: Source
    grid: Grid
    exact: Numbers
    tolerance: Numbers

    @property
    def everywhere(self) -> Cells:
        """All cells."""
        return np.ones((-(-self.grid.high // self.grid.down), -(-self.grid.wide // self.grid.across)), np.bool_)

    def run(self, **options: Any) -> None:
        """Compute all of it."""
        sparse.compute([self.layer(self.source, self.everywhere, self.grid, **options)])


GRID = Grid(high=9, wide=15, down=4, across=4, reach=(1, 1))
"""Rows of eight places, four, two and one, as vectors take them; tiles take eight and single ones."""
SQUARES = Grid(high=20, wide=60, down=4, across=8, reach=(4, 4))
"""Rows of eight squares, four, two and one."""


def narrowed(numbers: NDArray[np.floating]) -> NDArray[np.float32]:
    """Numbers that bfloat16 holds: those that are nearest, of which the even one counts as nearer."""
    fractions, exponents = np.frexp(numbers)
    return np.ldexp(np.rint(fractions * 2**8), exponents - 8).astype(np.float32)


def example(case: Case, grid: Grid = GRID, seed: int = 0) -> Example:
    """A random layer, and an input of which it sees all: the border too, which is no zeros here."""
    random = np.random.default_rng(seed)
    high, wide = (
        (length - 1) * stride + case.side + BORDER - case.padding
        for length, stride in zip((grid.high, grid.wide), case.stride, strict=True)
    )
    shape = max(high, 1 + 2 * BORDER), max(wide, 1 + 2 * BORDER), case.inputs
    bias = random.normal(0, 5, case.outputs).astype(np.float32)
    size = case.outputs, case.inputs, case.side, case.side
    options: dict[str, Any] = {"stride": case.stride, "padding": case.padding, "planes": case.planes}
    if case.signed is None:
        weight, source = (narrowed(random.normal(0, 1, sizes)) for sizes in (size, shape))
        exact = convolved(source.astype(np.float64), weight.astype(np.float64), case, grid) + bias.astype(np.float64)
        if case in SQUARED and grid.is_of_squares and not sparse.TILES:
            tolerance = error_of_squares(source, weight, bias)
            return Example(Layer(weight, bias, **options), source, grid, exact, tolerance)
        # Each product is added with one rounding, of a sum that is no larger than that of all sizes.
        sizes = convolved(np.abs(source.astype(np.float64)), np.abs(weight.astype(np.float64)), case, grid)
        tolerance = MORE * ROUNDOFF * weight[0].size * (sizes + np.abs(bias.astype(np.float64)))
        layer = Layer(weight, bias, **options)
        entering: Source = np.ascontiguousarray(source.transpose(2, 0, 1)) if case.planes else source
        return Example(layer, entering, grid, exact, tolerance)
    # Two neighbouring weights are 128 together, at most: what fits into 16 bits with two bytes.
    whole = random.integers(-64, 65, size)
    whole[0, ..., 0, 0], whole[1, ..., 0, 0] = 64, -64
    step, steps = 0.037, random.uniform(1e-3, 1e-2, case.outputs).astype(np.float32)
    entering = random.integers(0, 256, shape).astype(np.uint8)
    entering[:5, :5] = 255
    scale = (step * steps).astype(np.float32).astype(np.float64)
    zero = MIDDLE if case.signed else 0
    exact = scale * convolved(entering.astype(np.int64) - zero, whole, case, grid) + bias.astype(np.float64)
    layer = Layer(whole * steps[:, None, None, None], bias, steps=(step, steps), signed=bool(case.signed), **options)
    # Sums of bytes are less than 2^24, and so float32 holds them. Rounded are the numbers that stand for the zero,
    # the bias less these, and the result.
    zeros = scale * zero * whole.sum((1, 2, 3))
    return Example(
        layer, entering, grid, exact, MORE * ROUNDOFF * (np.abs(zeros) + np.abs(bias - zeros) + np.abs(exact))
    )


def convolved(source: NDArray[Any], weight: NDArray[Any], case: Case, grid: Grid) -> NDArray[Any]:
    """The exact sums, `[high, wide, outputs]`, of what has a border."""
    first, sides = BORDER - case.padding, (case.side, case.side)
    windows = np.lib.stride_tricks.sliding_window_view(source[first:, first:], sides, axis=(0, 1))
    windows = windows[:: case.stride[0], :: case.stride[1]][: grid.high, : grid.wide]
    return np.tensordot(windows, weight, axes=((2, 3, 4), (1, 2, 3)))


TRANSFORMS = (
    np.array([[4, 0, 5, 0, 1, 0], *[[0, 4, 4, 1, 1, 0]] * 2, *[[0, 2, 1, 2, 1, 0]] * 2, [0, 4, 0, 5, 0, 1]]),
    np.array([[6, 0, 0], [4, 4, 4], [4, 4, 4], [1, 2, 4], [1, 2, 4], [0, 0, 24]]) / 24,
    np.array([[1, 1, 1, 1, 1, 0], *[[0, 1, 1, 2, 2, 0]], *[[0, 1, 1, 4, 4, 0]], *[[0, 1, 1, 8, 8, 1]]]),
)
"""Absolute values of the matrices B, transposed, G, and A, transposed, of Lavin and Gray 2016, section 4.3."""


def error_of_squares(
    source: NDArray[np.float32], weight: NDArray[np.float32], bias: NDArray[np.float32]
) -> NDArray[np.float64]:
    """A bound on the error of a layer that is computed by squares, `[high, wide, outputs]`.

    Entering numbers are rounded at most three times for each of two directions, weights once, products when each is
    added, and what leaves at most three times for each direction, and with the bias: all sums of no more than that of
    all sizes.
    """
    enter, weigh, leave = TRANSFORMS
    windows = np.lib.stride_tricks.sliding_window_view(np.abs(source.astype(np.float64)), (6, 6), axis=(0, 1))
    entering = np.einsum("ui,yxcij,vj->yxuvc", enter, windows[::4, ::4], enter)
    weights = np.einsum("ur,ocrs,vs->uvoc", weigh, np.abs(weight.astype(np.float64)), weigh)
    products = np.einsum("yxuvc,uvoc->yxuvo", entering, weights, optimize=True)
    sizes = np.einsum("au,yxuvo,bv->yaxbo", leave, products, leave)
    whole = sizes.reshape(4 * sizes.shape[0], 4 * sizes.shape[2], -1) + np.abs(bias)
    return MORE * ROUNDOFF * (2 * 3 + 1 + weight.shape[1] + 2 * 3 + 1) * whole


def inner(buffer: NDArray[Any]) -> NDArray[Any]:
    """Features without the border."""
    return buffer[BORDER:-BORDER, BORDER:-BORDER]


def noise(like: NDArray[Any], seed: int = 1) -> NDArray[Any]:
    """Such an array, with numbers that no layer computes."""
    random = np.random.default_rng(seed)
    return (
        random.uniform(1e3, 2e3, like.shape).astype(like.dtype)
        if like.dtype.kind == "f"
        else (random.integers(0, 256, like.shape).astype(like.dtype))
    )


def assert_near(found: NDArray[np.float32], exact: Numbers, tolerance: Numbers) -> None:
    assert (np.abs(found - exact) <= tolerance).all()


def assert_rounded(found: Rounded, exact: Numbers, tolerance: Numbers) -> None:
    """The bytes are those of the exact numbers, but for such as lie so near to a half."""
    inverse = float(np.float32(1 / found.step))
    place = exact * inverse + (MIDDLE if found.signed else 0)
    doubtful = np.abs(place - np.floor(place) - 0.5) <= tolerance * inverse + MORE * ROUNDOFF * np.abs(place)
    wanted, given = np.rint(place.clip(0, 255)), inner(found.buffer)
    assert (given == wanted)[~doubtful].all()
    assert np.abs(given - wanted).max() <= 1
    assert doubtful.mean() < 1e-2
    assert ((given > 0) & (given < 255)).mean() > 0.3


BYTES = [
    Case(inputs, outputs, side, stride, padding, signed=signed)
    for inputs, outputs, side, stride, padding in [
        (16, 32, 3, (1, 1), 1),
        (32, 16, 3, (1, 1), 1),
        (4, 16, 1, (1, 1), 0),
        (8, 16, 2, (2, 2), 0),
        (16, 16, 4, (2, 2), 1),
        (8, 16, 3, (2, 1), 0),
        (8, 16, 1, (1, 2), 1),
        (24, 24, 3, (1, 1), 1),
        (8, 40, 3, (1, 1), 1),
        (4, 48, 2, (1, 1), 0),
    ]
    for signed in (False, True)
]
NUMBERS = [
    Case(16, 32, 2, (2, 2), 0),
    Case(5, 16, 3),
    Case(3, 16, 4, (2, 2), 1, planes=True),
    Case(6, 32, 4, (2, 2), 1, planes=True),
    Case(2, 16, 3, (1, 2), 0, planes=True),
    Case(8, 20, 2, (2, 2), 0, planes=True),
    Case(1, 16, 6, (2, 2), 1, planes=True),
    Case(16, 16, 1, (1, 4), 0),
    Case(16, 16, 1, (2, 1), 0),
    Case(1, 16, 2, (1, 1), 1),
    Case(20, 44, 3),
    Case(4, 48, 3),
]
SQUARED = [Case(16, 32), Case(32, 20), Case(16, 48), Case(48, 16)]
"""Layers of numbers that may be computed by squares."""


@pytest.mark.parametrize("case", [*BYTES, *NUMBERS], ids=str)
@pytest.mark.usefixtures("lanes")
def test_a_layer_computes_a_convolution(case: Case) -> None:
    one = example(case)
    sums = one.grid.numbers(case.outputs)
    one.run(sums=sums)
    assert_near(inner(sums), one.exact, one.tolerance)


@pytest.mark.parametrize("case", SQUARED, ids=str)
@pytest.mark.usefixtures("lanes")
def test_squares_are_computed_at_once(case: Case) -> None:
    for length in range(4, 64, 4):
        one = example(case, replace(SQUARES, wide=length))
        sums = one.grid.numbers(case.outputs)
        one.run(sums=sums)
        assert_near(inner(sums), one.exact, one.tolerance)
        products = one.layer(one.source, one.everywhere, one.grid)[11][-1]
        assert (products == Products.SQUARES) != sparse.TILES


@pytest.mark.parametrize("length", ["high", "wide", "down", "across"])
@pytest.mark.usefixtures("lanes")
def test_what_does_not_consist_of_squares_is_computed_one_by_one(length: str) -> None:
    sizes = {"high": 18, "wide": 58, "down": 5, "across": 6}
    one = example(SQUARED[0], replace(SQUARES, **{length: sizes[length]}))
    sums = one.grid.numbers(one.layer.outputs)
    one.run(sums=sums)
    assert_near(inner(sums), one.exact, one.tolerance)
    assert one.layer(one.source, one.everywhere, one.grid)[11][-1] != Products.SQUARES


@pytest.mark.parametrize("case", NUMBERS, ids=str)
@pytest.mark.parametrize("tiles", [False, True])
def test_numbers_become_the_nearest_of_bfloat16(case: Case, tiles: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if tiles > sparse.TILES or not sparse.native.pairs:
        pytest.skip("needs a CPU that has AVX-512 with VNNI, or products of bfloat16, or of tiles")
    if not tiles and case.side * (1 if case.planes else case.inputs) % 2:
        return  # such numbers do not become pairs
    monkeypatch.setattr(sparse, "FAST_PAIRS", True)
    monkeypatch.setattr(sparse, "TILES", tiles)
    one, random = example(case), np.random.default_rng(9)
    weight = random.normal(0, 1, (case.outputs, case.inputs, case.side, case.side)).astype(np.float32)
    source = random.normal(0, 1, one.source.shape).astype(np.float32)
    weight[0, 0, 0, :2], source[0, 0, :2] = 1 + 2.0**-8, 1 + 3 * 2.0**-8  # half way
    found: list[NDArray[np.float32]] = []
    for numbers, weights in ((source, weight), (narrowed(source), narrowed(weight))):
        sums = one.grid.numbers(case.outputs)
        options: dict[str, Any] = {"stride": case.stride, "padding": case.padding, "planes": case.planes}
        layer = Layer(weights, np.zeros(case.outputs), **options)
        sparse.compute([layer(numbers, one.everywhere, one.grid, sums=sums)])
        found.append(sums)
    np.testing.assert_array_equal(found[0], found[1])


@pytest.mark.parametrize("case", [case for case in NUMBERS if case.planes], ids=str)
@pytest.mark.usefixtures("lanes")
def test_an_exact_layer_is_of_float32_or_of_halves(case: Case) -> None:
    one, random = example(case), np.random.default_rng(9)
    weight = random.normal(0, 1, (case.outputs, case.inputs, case.side, case.side)).astype(np.float32)
    source = random.normal(0, 1, one.source.shape).astype(np.float32)
    places = np.ascontiguousarray(source.transpose(1, 2, 0)).astype(np.float64)
    exact, sizes = (
        convolved(numbers, weights, case, one.grid)
        for numbers, weights in (
            (places, weight.astype(np.float64)),
            (np.abs(places), np.abs(weight.astype(np.float64))),
        )
    )
    options: dict[str, Any] = {"stride": case.stride, "padding": case.padding, "planes": True, "exact": True}
    sums = one.grid.numbers(case.outputs)
    sparse.compute([Layer(weight, np.zeros(case.outputs), **options)(source, one.everywhere, one.grid, sums=sums)])
    halved = sparse.TILES and case.stride == (2, 2) and case.side % 2 == 0
    # Halves leave a number and a weight 2^-18 of it each, and a product of lower halves is as small, which is left out.
    single = MORE * (3 * 2.0**-18 + 3 * ROUNDOFF * weight[0].size) if halved else MORE * ROUNDOFF * weight[0].size
    assert_near(inner(sums), exact, single * sizes)


@pytest.mark.parametrize("case", [BYTES[0], BYTES[1], NUMBERS[1]], ids=str)
@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.usefixtures("lanes")
def test_what_it_computes_is_rounded(case: Case, signed: bool) -> None:
    one = example(case)
    step = float(one.exact.std()) / 50
    rounded = Rounded(one.grid.bytes(case.outputs, signed=signed), step, signed)
    one.run(rounded=rounded)
    assert_rounded(rounded, one.exact, one.tolerance)


@pytest.mark.usefixtures("lanes")
def test_numbers_that_are_half_way_become_even_bytes_and_those_beyond_the_last_one() -> None:
    given, outputs = GRID.numbers(4), 16
    numbers = GRID.numbers(outputs)
    inner(numbers)[:] = (np.arange(inner(numbers).size).reshape(inner(numbers).shape) % 600 - 299.5) / 4
    inner(numbers)[0, :4, 3] = 1e9, -1e9, np.inf, -np.inf
    layer = Layer(np.zeros((outputs, 4, 1, 1)), np.zeros(outputs), padding=0)
    rounded = Rounded(GRID.bytes(outputs, signed=True), 0.25, signed=True)
    sparse.compute([layer(given, np.ones((3, 4), np.bool_), GRID, added=numbers, rounded=rounded)])
    np.testing.assert_array_equal(inner(rounded.buffer), np.rint(4 * inner(numbers) + MIDDLE).clip(0, 255))


@pytest.mark.parametrize("case", [BYTES[0], BYTES[4], NUMBERS[1], NUMBERS[3]], ids=str)
@pytest.mark.usefixtures("lanes")
def test_what_it_computes_may_be_halves(case: Case) -> None:
    one = example(case)
    sums = one.grid.numbers(case.outputs)
    halves = np.full(one.exact.shape, np.nan, np.float16)
    one.run(sums=sums, halves=halves)
    np.testing.assert_array_equal(halves, inner(sums).astype(np.float16))


@pytest.mark.parametrize("case", [BYTES[0], BYTES[1], NUMBERS[1], NUMBERS[3]], ids=str)
@pytest.mark.parametrize("rectify", list(Rectify))
@pytest.mark.parametrize("arrays", [("added",), ("also",), ("added", "also"), ("added", "also", "in place")])
@pytest.mark.usefixtures("lanes")
def test_what_is_added(case: Case, rectify: Rectify, arrays: tuple[str, ...]) -> None:
    one = example(case)
    size = float(one.exact.std())
    random = np.random.default_rng(5)
    given = {name: random.normal(0, size, one.grid.numbers(case.outputs).shape).astype(np.float32) for name in arrays}
    exact, tolerance = one.exact, one.tolerance
    if rectify is Rectify.FIRST:
        exact = exact.clip(0)
    for name in ("added", "also"):
        if name in given:
            exact = exact + inner(given[name])
            tolerance = tolerance + MORE * ROUNDOFF * np.abs(exact)
    signed = rectify is not Rectify.LAST
    if not signed:
        exact = exact.clip(0)
    kept = {name: array.copy() for name, array in given.items()}
    sums = given["added"] if given.pop("in place", None) is not None else one.grid.numbers(case.outputs)
    rounded = Rounded(one.grid.bytes(case.outputs, signed=signed), size / 30, signed)
    one.run(**given, sums=sums, rounded=rounded, rectify=rectify)
    assert_near(inner(sums), exact, tolerance)
    assert_rounded(rounded, exact, tolerance)
    for name, array in given.items():
        if array is not sums:
            np.testing.assert_array_equal(array, kept[name])


@pytest.mark.parametrize("outputs", [16, 32])
@pytest.mark.parametrize("signed", [None, True], ids=["numbers", "bytes"])
@pytest.mark.parametrize("spread", [(2, 0, 0), (2, 0, 1), (2, 1, 0), (2, 1, 1), (3, 2, 1)])
@pytest.mark.usefixtures("lanes")
def test_a_place_becomes_one_of_a_square(outputs: int, signed: bool | None, spread: tuple[int, int, int]) -> None:
    case = Case(8, outputs, 1, padding=0, signed=signed)
    one = example(case)
    side, row, column = spread
    fine = Grid(side * one.grid.high, side * one.grid.wide, 4 * side, 4 * side, (side, side))
    sums, added = noise(fine.numbers(case.outputs)), noise(fine.numbers(case.outputs), 2)
    rounded = Rounded(noise(fine.bytes(case.outputs, signed=True)), 20.0, signed=True)
    before = sums.copy(), rounded.buffer.copy()
    one.run(added=added, sums=sums, rounded=rounded, spread=spread)
    places = np.s_[row::side, column::side]
    exact = one.exact + inner(added)[places]
    assert_near(inner(sums)[places], exact, one.tolerance + MORE * ROUNDOFF * np.abs(exact))
    for found, was in zip((sums, rounded.buffer), before, strict=True):
        assert (inner(found)[places] != inner(was)[places]).any()
        inner(found)[places] = inner(was)[places]
        np.testing.assert_array_equal(found, was)


@pytest.mark.parametrize("case", [BYTES[0], BYTES[1], BYTES[9], NUMBERS[1], NUMBERS[3], *SQUARED[:2]], ids=str)
def test_vectors_of_another_length_give_the_same(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    # Sums of bytes are exact; each other number of an output is made by the same operations in the same order, and a
    # product is always added with one rounding. How many outputs a vector has does not enter.
    ways = [(8, False), *([(8, True)] if sparse.FOURS else []), *([(16, False)] if sparse.LANES == 16 else [])]
    if len(ways) < 2:
        pytest.skip("needs a CPU that has AVX-512 with VNNI, or AVX-VNNI")
    found: list[list[NDArray[Any]]] = []
    monkeypatch.setattr(sparse, "FAST_PAIRS", False)
    monkeypatch.setattr(sparse, "TILES", False)
    for lanes, fours in ways:
        monkeypatch.setattr(sparse, "LANES", lanes)
        monkeypatch.setattr(sparse, "FOURS", fours)
        one = example(case, SQUARES if case in SQUARED else GRID)
        sums, rounded = one.grid.numbers(case.outputs), one.grid.bytes(case.outputs, signed=True)
        halves = np.zeros(one.exact.shape, np.float16)
        one.run(sums=sums, rounded=Rounded(rounded, 0.3, signed=True), halves=halves)
        found.append([sums, rounded, halves])
    for others in found[1:]:
        for ours, theirs in zip(found[0], others, strict=True):
            np.testing.assert_array_equal(ours, theirs)


# ---- places ----


@st.composite
def regions(draw: st.DrawFn, of: int = 1) -> tuple[Grid, Cells]:
    """A picture that need not be a multiple of its cells, and those that are wanted; all lengths are multiples."""
    high, wide, down, across = (of * draw(st.integers(1, most)) for most in (14, 30, 6, 9))
    grid = Grid(high, wide, down, across, (of * draw(st.integers(0, 7)), of * draw(st.integers(0, 7))))
    share, seed = draw(st.sampled_from([0.0, 0.05, 0.2, 0.6])), draw(st.integers(0, 10_000))
    shape = -(-high // down), -(-wide // across)
    return grid, np.random.default_rng(seed).random(shape) < share


def within(cells: Cells, grid: Grid) -> NDArray[np.bool_]:
    """The places of wanted cells, and those in reach of them."""
    found = np.zeros((grid.high, grid.wide), np.bool_)
    for row, column in np.argwhere(cells):
        (above, beside), top, left = grid.reach, row * grid.down, column * grid.across
        bottom, right = top + grid.down + above, left + grid.across + beside
        found[max(0, top - above) : bottom, max(0, left - beside) : right] = True
    return found


GAP = Grid(high=2, wide=7, down=1, across=3, reach=(1, 1)), np.array([[False, False, True], [True, False, False]])
"""What is in reach of one cell ends in the cell between, and so does that of the other, with a place between both."""


@pytest.mark.parametrize("case", [Case(4, 16, signed=True), Case(2, 32, planes=True), Case(4, 48)], ids=str)
@hypothesis.given(regions())
@hypothesis.example(GAP)
@same_lanes
@pytest.mark.usefixtures("lanes")
def test_what_is_in_reach_is_computed_whatever_else_is_wanted(case: Case, region: tuple[Grid, Cells]) -> None:
    grid, cells = region
    one = example(case, grid)
    before = noise(grid.numbers(16)), noise(grid.bytes(16, signed=True)), noise(np.empty(one.exact.shape, np.float16))
    before = tuple(np.repeat(array, case.outputs // array.shape[2], axis=2) for array in before)

    def computed(cells: Cells) -> list[NDArray[Any]]:
        sums, buffer, halves = (array.copy() for array in before)
        rounded = Rounded(buffer, 0.1, signed=True)
        sparse.compute([one.layer(one.source, cells, grid, sums=sums, rounded=rounded, halves=halves)])
        return [sums, buffer, halves]

    places = within(cells, grid)
    for some, everything, was in zip(computed(cells), computed(one.everywhere), before, strict=True):
        wanted = places if was.dtype == np.float16 else np.pad(places, BORDER)
        np.testing.assert_array_equal(some, np.where(wanted[..., None], everything, was))


@hypothesis.given(regions(of=4))
@same_lanes
@pytest.mark.usefixtures("lanes")
def test_squares_in_reach_are_computed_whatever_else_is_wanted(region: tuple[Grid, Cells]) -> None:
    grid, cells = region
    one, found = example(SQUARED[0], grid), [noise(grid.numbers(32)) for _ in range(2)]
    for wanted, sums in zip((cells, one.everywhere), found, strict=True):
        sparse.compute([one.layer(one.source, wanted, grid, sums=sums)])
    places = np.pad(within(cells, grid), BORDER)[..., None]
    np.testing.assert_array_equal(found[0], np.where(places, found[1], noise(found[0])))


@pytest.mark.skipif(not sparse.TILES, reason="needs a CPU that has products of tiles")
@hypothesis.given(regions())
def test_an_exact_layer_is_computed_at_some_cells_as_at_all(region: tuple[Grid, Cells]) -> None:
    grid, cells = region
    case, random = Case(3, 16, 4, (2, 2), 1, planes=True), np.random.default_rng(9)
    weight = random.normal(0, 1, (case.outputs, case.inputs, case.side, case.side)).astype(np.float32)
    layer = Layer(weight, np.zeros(case.outputs), stride=case.stride, planes=True, exact=True)
    source = random.normal(0, 1, (case.inputs, *(2 * length + 2 * BORDER for length in (grid.high, grid.wide))))
    found = [grid.numbers(case.outputs) for _ in range(2)]
    for wanted, sums in zip((cells, np.ones_like(cells)), found, strict=True):
        sparse.compute([layer(source.astype(np.float32), wanted, grid, sums=sums)])
    places = within(cells, grid)[..., None]
    np.testing.assert_array_equal(inner(found[0]), np.where(places, inner(found[1]), 0))


@hypothesis.given(regions())
@hypothesis.example((replace(GAP[0], reach=(0, 0)), GAP[1]))
def test_features_next_to_what_will_be_computed_become_zero(region: tuple[Grid, Cells]) -> None:
    grid, cells = region
    buffers = grid.numbers(5), grid.bytes(3, signed=True), grid.bytes(4, signed=False)
    zeros = [np.full_like(buffer, buffer[0, 0, 0]) for buffer in buffers]
    for buffer in buffers:
        inner(buffer)[:] = noise(inner(buffer))
    before = [buffer.copy() for buffer in buffers]
    plan = Plan((cells.shape[0], cells.shape[1]))
    plan.clear(grid, *buffers)
    plan.compute(cells)
    places = np.pad(
        within(cells, replace(grid, reach=(grid.reach[0] + 1, grid.reach[1] + 1))) & ~within(cells, grid), BORDER
    )
    for buffer, was, zero in zip(buffers, before, zeros, strict=True):
        np.testing.assert_array_equal(buffer, np.where(places[..., None], zero, was))


def test_features_begin_as_zeros_with_a_border() -> None:
    grid = Grid(high=3, wide=5, down=2, across=2, reach=(1, 1))
    assert grid.numbers(7).shape == grid.bytes(7, signed=False).shape == (3 + 2 * BORDER, 5 + 2 * BORDER, 7)
    assert (grid.numbers(7).dtype, grid.bytes(7, signed=True).dtype) == (np.float32, np.uint8)
    assert not grid.numbers(7).any() and not grid.bytes(7, signed=False).any()
    signed = grid.bytes(7, signed=True)
    inner(signed)[:] = MIDDLE  # is written before it is read
    assert (signed == MIDDLE).all()


def test_a_coarser_grid_has_fewer_places_and_less_reach() -> None:
    grid = Grid(high=24, wide=48, down=8, across=16, reach=(4, 4))
    assert grid.coarser(2, 2) == Grid(12, 24, 4, 8, (2, 2))
    assert grid.coarser(1, 4) == Grid(24, 12, 8, 4, (4, 1))
    assert grid.coarser(2, 1) == Grid(12, 48, 4, 16, (2, 4))
    assert grid.within() == replace(grid, reach=(0, 0))


# ---- several layers ----

FINE = Grid(high=22, wide=38, down=4, across=4, reach=(2, 2))
OF_SQUARES = Grid(high=20, wide=40, down=4, across=4, reach=(4, 4))


class Network:
    """Random layers between a few buffers, fine and coarse, of numbers and of bytes, that several of them use."""

    def __init__(self, seed: int, count: int, fine: Grid = FINE) -> None:
        self._random, self._fine, self._coarse = np.random.default_rng(seed), fine, fine.coarser(2, 2)
        self.fine = [(noise(fine.numbers(16), seed) / 1e3).astype(np.float32) for seed in range(2)]
        self.fine_bytes = [noise(fine.bytes(16, signed=True), seed) for seed in range(2)]
        self.coarse, self.coarse_bytes = (
            (noise(self._coarse.numbers(16)) / 1e3).astype(np.float32),
            noise(self._coarse.bytes(16, signed=True)),
        )
        self.halves = np.zeros((fine.high, fine.wide, 16), np.float16)
        high, wide = (int(self._random.integers(1, most)) for most in (6, 10))
        self.cells = np.zeros((-(-fine.high // fine.down), 10), np.bool_)
        some = self._random.random((high, wide)) < self._random.choice([0.2, 0.7, 1.0])
        self.cells[:high, :wide] = some[: len(self.cells)]
        kinds = [self._numbers, self._bytes, self._shrink, self._inner, self._grow, self._last]
        self.layers = [kinds[self._random.integers(len(kinds))]() for _ in range(count)]

    @property
    def buffers(self) -> list[NDArray[Any]]:
        return [*self.fine, *self.fine_bytes, self.coarse, self.coarse_bytes, self.halves]

    def _layer(self, side: int, *, signed: bool | None = None, stride: int = 1) -> Layer:
        weight = self._random.normal(0, 0.1, (16, 16, side, side))
        steps = None if signed is None else (0.1, np.full(16, 0.01))
        padding = 1 if side == 3 else 0
        return Layer(weight, np.zeros(16), steps=steps, signed=bool(signed), stride=(stride, stride), padding=padding)

    def _pick(self, buffers: list[NDArray[Any]]) -> NDArray[Any]:
        return buffers[self._random.integers(len(buffers))]

    def _maybe(self, buffers: list[NDArray[Any]]) -> NDArray[Any] | None:
        return self._pick(buffers) if self._random.random() < 0.5 else None

    def _rounded(self, buffers: list[NDArray[Any]]) -> Rounded | None:
        buffer = self._maybe(buffers)
        return None if buffer is None else Rounded(buffer, 0.05, signed=True)

    def _numbers(self) -> sparse.Computation:
        source, sums = self.fine[:: self._random.choice([-1, 1])]
        added = self._maybe([sums])
        return self._layer(3)(
            source, self.cells, self._fine, added=added, sums=sums, rounded=self._rounded(self.fine_bytes)
        )

    def _bytes(self) -> sparse.Computation:
        source, found = self.fine_bytes[:: self._random.choice([-1, 1])]
        added, also, rounded = self._maybe(self.fine), self._maybe(self.fine), self._rounded([found])
        layer = self._layer(3, signed=True)
        return layer(
            source, self.cells, self._fine, added=added, also=also, sums=self._pick(self.fine), rounded=rounded
        )

    def _shrink(self) -> sparse.Computation:
        rounded = self._rounded([self.coarse_bytes])
        layer = self._layer(2, stride=2)
        return layer(self._pick(self.fine), self.cells, self._coarse, sums=self.coarse, rounded=rounded)

    def _inner(self) -> sparse.Computation:
        layer = self._layer(3, signed=True)
        return layer(self.coarse_bytes, self.cells, self._coarse, added=self._maybe([self.coarse]), sums=self.coarse)

    def _grow(self) -> sparse.Computation:
        row, column = (int(number) for number in self._random.integers(0, 2, 2))
        added, sums, rounded = self._maybe(self.fine), self._pick(self.fine), self._rounded(self.fine_bytes)
        layer, spread = self._layer(1), (2, row, column)
        return layer(self.coarse, self.cells, self._coarse, added=added, sums=sums, rounded=rounded, spread=spread)

    def _last(self) -> sparse.Computation:
        return self._layer(1)(self._pick(self.fine), self.cells, self._fine.within(), halves=self.halves)


@hypothesis.given(st.integers(0, 100_000), st.integers(1, 14), st.sampled_from([FINE, OF_SQUARES]))
@same_lanes
@pytest.mark.usefixtures("lanes")
def test_layers_are_what_they_are_one_after_the_other(seed: int, count: int, fine: Grid) -> None:
    together, alone = Network(seed, count, fine), Network(seed, count, fine)
    sparse.compute(together.layers)
    for layer in alone.layers:
        sparse.compute([layer])
    for ours, theirs in zip(together.buffers, alone.buffers, strict=True):
        np.testing.assert_array_equal(ours, theirs)


@hypothesis.given(st.integers(0, 100_000), st.integers(1, 14), st.integers(2, 5), st.sampled_from([FINE, OF_SQUARES]))
@same_lanes
@pytest.mark.usefixtures("lanes")
def test_layers_are_what_they_are_if_threads_share_them(seed: int, count: int, threads: int, fine: Grid) -> None:
    shared, alone = Network(seed, count, fine), Network(seed, count, fine)
    with ThreadPoolExecutor(threads - 1) as pool:
        sparse.compute(shared.layers, Team(pool, threads))
    for layer in alone.layers:
        sparse.compute([layer])
    for ours, theirs in zip(shared.buffers, alone.buffers, strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.usefixtures("lanes")
@pytest.mark.parametrize("joined", [1, 3])
def test_as_many_threads_share_layers_as_come(joined: int) -> None:
    shared, alone = Network(7, 12), Network(7, 12)
    work = native.share(shared.layers, 2)
    with ThreadPoolExecutor(joined) as pool:
        for one in [pool.submit(native.join, work) for _ in range(joined)]:
            one.result(60)
    sparse.compute(alone.layers)
    for ours, theirs in zip(shared.buffers, alone.buffers, strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.usefixtures("lanes")
def test_memory_that_is_read_in_another_shape_is_complete_before() -> None:
    found: list[NDArray[np.float32]] = []
    for together in (False, True):
        one = example(Case(16, 16), FINE)
        written, sums = FINE.numbers(16), FINE.numbers(16)
        planes = written.reshape(-1)[-8 * 24 * 40 :].reshape(8, 24, 40)
        second = example(Case(8, 16, planes=True), FINE).layer
        layers = [
            one.layer(one.source, one.everywhere, FINE, sums=written),
            second(planes, one.everywhere, FINE, sums=sums),
        ]
        for part in [layers] if together else [[layer] for layer in layers]:
            sparse.compute(part)
        found.append(sums)
    np.testing.assert_array_equal(found[0], found[1])


@pytest.mark.usefixtures("lanes")
def test_more_layers_than_the_extension_takes_together_are_computed() -> None:
    one = example(NUMBERS[1])
    sums = [one.grid.numbers(one.layer.outputs) for _ in range(130)]
    sparse.compute([one.layer(one.source, one.everywhere, one.grid, sums=found) for found in sums])
    assert sums[0].any()
    for found in sums[1:]:
        np.testing.assert_array_equal(found, sums[0])


@pytest.mark.parametrize("count", [0, 65])
def test_so_many_layers_are_no_network(count: int) -> None:
    with pytest.raises(ValueError, match=f"{count} layers make no network"):
        native.convolve([()] * count)


@pytest.mark.parametrize("layers", [None, 7, [None], [[1]], [()]])
def test_what_is_no_layer_is_refused(layers: Any) -> None:
    with pytest.raises(TypeError):
        native.convolve(layers)
    with pytest.raises(TypeError):
        native.share(layers, 2)


@pytest.mark.parametrize("threads", [-1, 0, 257])
def test_so_many_threads_cannot_share_layers(threads: int) -> None:
    with pytest.raises(ValueError, match=f"^{threads} threads cannot share layers$"):
        native.share(Network(1, 2).layers, threads)


@pytest.mark.parametrize("work", [None, 7, ()])
def test_what_nobody_shares_cannot_be_joined(work: Any) -> None:
    with pytest.raises(ValueError, match="PyCapsule"):
        native.join(work)


def test_shared_layers_hold_their_buffers_until_nobody_refers_to_them() -> None:
    given = buffers()
    work = native.share([(*given.values(), SIZES, SHAPE, 1.0, 128.0, 8)], 3)
    with pytest.raises(BufferError):
        given["sums"].append(0)
    native.join(work)
    del work
    for one in given.values():
        one.append(0)


def test_of_layers_of_which_one_does_not_fit_none_is_computed() -> None:
    given, wrong = buffers(), buffers() | {"bias": bytearray(63)}
    before = [bytes(given[name]) for name in ("sums", "rounded", "halves")]
    layers = [(*one.values(), SIZES, SHAPE, 1.0, 128.0, 8) for one in (given, wrong)]
    with pytest.raises(ValueError, match=r"^bias: "):
        native.convolve(layers)
    assert [bytes(given[name]) for name in ("sums", "rounded", "halves")] == before
    del layers
    for one in (given, wrong):
        one["sums"].append(0)  # nothing is lent any more


@pytest.mark.skipif(not (sparse.LANES and Path("/proc/cpuinfo").exists()), reason="needs Linux, and AVX2")
def test_who_made_the_cpu() -> None:
    made_by_intel = "GenuineIntel" in Path("/proc/cpuinfo").read_text()
    assert made_by_intel == sparse.INTEL
    if made_by_intel:
        assert not sparse.FAST_PAIRS
    else:
        assert native.pairs == sparse.FAST_PAIRS


# ---- sizes that do not go together ----

SIZES = (2, 3, 4, 4, 1, 1, 7, 9)
"""Cells, places of one, reach, and places of the picture."""
SHAPE = (1, 7, 9, 4, 3, 1, 1, 1, 16, 1, 0, 0, 0, 0)
"""A layer of such bytes: 4 channels become 16."""


def buffers(*, halved: bool = True) -> dict[str, Any]:
    """Fitting ones of such a layer, by name."""
    out = (7 + 2) * (9 + 2) * 16
    return {
        "input": bytearray((7 + 2) * (9 + 2) * 4),
        "weights": bytearray(16 * 3 * 3 * 4),
        "scale": bytearray(4 * 16),
        "bias": bytearray(4 * 16),
        "added": bytearray(4 * out),
        "also": bytearray(4 * out),
        "sums": bytearray(4 * out),
        "rounded": bytearray(out),
        "halves": bytearray(2 * 7 * 9 * 16) if halved else None,
        "cells": bytearray(b"\1" * 6),
    }


def call(
    given: dict[str, Any], region: tuple[int, ...] = SIZES, shape: tuple[int, ...] = SHAPE, lanes: int = 8
) -> None:
    native.convolve([(*given.values(), region, shape, 1.0, 128.0, lanes)])


def refuse(attempt: Callable[[], None], given: dict[str, Any], match: str) -> None:
    """Check that it raises ValueError, changes no buffer, and keeps none: a bytearray that is lent cannot grow."""
    before = {name: bytes(buffer) for name, buffer in given.items() if isinstance(buffer, bytearray)}
    with pytest.raises(ValueError, match=match):
        attempt()
    for name, was in before.items():
        assert given[name] == was
        given[name].append(0)


def test_fitting_buffers_are_accepted() -> None:
    given = buffers()
    call(given)
    call(given | dict.fromkeys(("added", "also", "sums", "rounded", "halves")))
    for buffer in given.values():
        buffer.append(0)


@pytest.mark.parametrize("wrong", buffers())
@pytest.mark.parametrize("more", [-1, 1])
def test_buffers_of_another_size_are_refused(wrong: str, more: int) -> None:
    given = buffers()
    size = len(given[wrong])
    given[wrong] = bytearray(size + more)
    refuse(lambda: call(given), given, f"^{wrong}: {size + more} bytes, not {size}$")


def test_outputs_that_two_groups_share_are_not_added_to_themselves() -> None:
    out = 9 * 11 * 20
    given = buffers() | {"weights": bytearray(4 * 24 * 3 * 3), "scale": bytearray(80), "bias": bytearray(80)}
    given |= {"added": bytearray(4 * out), "also": None, "rounded": None, "halves": None}
    call(given | {"sums": bytearray(4 * out)}, shape=(*SHAPE[:8], 20, *SHAPE[9:]))
    for name, other in (("added", "also"), ("also", "added")):
        both = given | {name: given["sums"], other: None}
        both["sums"] = both[name] = bytearray(4 * out)
        with pytest.raises(ValueError, match=r"^outputs that two groups share cannot"):
            call(both, shape=(*SHAPE[:8], 20, *SHAPE[9:]))


@pytest.mark.parametrize("wrong", ["input", "weights", "added", "sums"])
def test_a_layer_of_numbers_wants_larger_buffers(wrong: str) -> None:
    given = buffers() | {"scale": None, "input": bytearray(4 * 9 * 11 * 4), "weights": bytearray(4 * 16 * 3 * 3 * 4)}
    call(given)
    given[wrong] = bytearray(len(given[wrong]) - 1)
    refuse(lambda: call(given), given, f"^{wrong}: ")


def pairs(**others: bytearray) -> dict[str, Any]:
    """Fitting buffers of such a layer of numbers, with weights for pairs."""
    given = {"scale": None, "input": bytearray(4 * 9 * 11 * 4), "weights": bytearray(2 * 16 * 3 * 3 * 4)}
    return buffers() | given | others


@pytest.mark.parametrize("products", [-1, 1, 2, 6])
@pytest.mark.parametrize("lanes", [8, 16])
def test_products_that_this_cpu_lacks_are_refused(lanes: int, products: int) -> None:
    given = pairs()
    if lanes == 16 and ((products == 1 and sparse.native.pairs) or (products == 2 and sparse.TILES)):
        given |= {"weights": bytearray(16 * 3 * 64)} if products == 2 else {}
        call(given, shape=(*SHAPE[:-1], products), lanes=lanes)
    else:
        refuse(lambda: call(given, shape=(*SHAPE[:-1], products), lanes=lanes), given, "^this CPU has no ")


@pytest.mark.parametrize("of_bytes", [True, False], ids=["bytes", "numbers"])
@pytest.mark.parametrize("lanes", [8, 16])
def test_fours_are_of_bytes_in_vectors_of_8(lanes: int, of_bytes: bool) -> None:
    given = buffers() if of_bytes else pairs(weights=bytearray(4 * 16 * 3 * 3 * 4))
    if lanes == 8 and sparse.FOURS and of_bytes:
        call(given, shape=(*SHAPE[:-1], 4), lanes=lanes)
    else:
        match = "^these sizes make no layer" if lanes == 8 and sparse.FOURS else "^this CPU has no "
        refuse(lambda: call(given, shape=(*SHAPE[:-1], 4), lanes=lanes), given, match)


@pytest.mark.skipif(not sparse.TILES, reason="needs a CPU that has products of tiles")
@pytest.mark.parametrize("of_bytes", [True, False], ids=["bytes", "numbers"])
def test_weights_of_tiles_are_rows_of_64_bytes(of_bytes: bool) -> None:
    size, tiles = 16 * 3 * 64, (*SHAPE[:-1], 2)
    call((buffers() if of_bytes else pairs()) | {"weights": bytearray(size)}, shape=tiles, lanes=16)
    for wrong in (size - 1, size + 1):
        given = (buffers() if of_bytes else pairs()) | {"weights": bytearray(wrong)}
        refuse(lambda: call(given, shape=tiles, lanes=16), given, "^weights: ")  # noqa: B023


@pytest.mark.skipif(not sparse.TILES or sys.platform != "linux", reason="needs a CPU that has products of tiles")
def test_tiles_read_nothing_beyond_their_input() -> None:
    # Behind the input lies a page that nothing may read: who does is killed.
    code = dedent("""
        import ctypes, itertools, mmap
        from mjpeg_restore.runtime.cpu.sparse import native
        high, page = 5, mmap.PAGESIZE
        for wide, channels in itertools.product((1, 9, 15, 16, 17, 32, 33, 70), (4, 16, 32, 48, 64)):
            size, row = (high + 2) * (wide + 2) * channels, -(-3 * channels // 64) * 64
            pages = -(-size // page)
            room = mmap.mmap(-1, (pages + 1) * page)
            behind = ctypes.addressof(ctypes.c_char.from_buffer(room)) + pages * page
            assert ctypes.CDLL(None).mprotect(ctypes.c_void_p(behind), page, 0) == 0
            source = memoryview(room)[pages * page - size : pages * page]
            sums, numbers = bytearray(4 * (high + 2) * (wide + 2) * 16), bytearray(64)
            shape = 1, high, wide, channels, 3, 1, 1, 1, 16, 1, 0, 0, 0, 2
            layer = (
                *(source, bytearray(16 * 3 * row), numbers, numbers, None, None, sums, None, None),
                *(b"\\1", (1, 1, high, wide, 0, 0, high, wide), shape, 1.0, 0.0, 16),
            )
            native.convolve([layer])
            print(wide, channels)
    """)
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert len(ran.stdout.splitlines()) == 8 * 5, ran.stderr


@pytest.mark.skipif(not sparse.TILES, reason="needs a CPU that has products of tiles")
@pytest.mark.parametrize(("stack", "found"), [(0, "0 1 tiles"), (8192, "0 0 singles")], ids=["granted", "refused"])
def test_the_system_is_asked_for_tiles_when_a_layer_is_laid_out(stack: int, found: str) -> None:
    code = dedent("""
        import ctypes, sys
        import numpy as np
        from mjpeg_restore.runtime.cpu import sparse
        system, size = ctypes.CDLL(None), int(sys.argv[1])
        def has_tiles():
            features = ctypes.c_ulong()
            system.syscall(158, 0x1022, ctypes.byref(features))  # arch_prctl, ARCH_GET_XCOMP_PERM
            return features.value >> 18 & 1
        def products():
            return sparse.Layer(np.ones((16, 4, 3, 3)), np.zeros(16))._products.name.lower()
        if size:  # a stack for signals without room for the registers of tiles
            room = ctypes.create_string_buffer(size)
            words = (ctypes.c_size_t * 3)(ctypes.addressof(room), 0, size)
            assert system.sigaltstack(words, None) == 0
        before, kind = has_tiles(), products()
        print(before, has_tiles(), kind)
    """)
    ran = subprocess.run([sys.executable, "-c", code, str(stack)], capture_output=True, text=True, check=False)
    assert ran.stdout.strip() == found, ran.stderr


def halved(**others: bytearray) -> dict[str, Any]:
    """Fitting buffers of a layer of three planes that are halved, and of a kernel of 4."""
    given = {"scale": None, "input": bytearray(4 * 3 * 16 * 20), "weights": bytearray(2 * 16 * 4 * 64)}
    return buffers() | given | others


@pytest.mark.parametrize(
    ("kernel", "down", "across", "channels", "match"),
    [
        (3, 2, 2, 1, "^these sizes make no layer"),
        (4, 1, 2, 1, "^these sizes make no layer"),
        (4, 2, 1, 1, "^these sizes make no layer"),
        (4, 2, 2, 2, "^these sizes make no layer"),
        (2, 2, 2, 1, "^weights: "),
    ],
)
def test_halved_tiles_are_of_planes_in_squares(kernel: int, down: int, across: int, channels: int, match: str) -> None:
    fitting = 3, 2 * SIZES[6], 2 * SIZES[7], 1, 4, 2, 2, 1, *SHAPE[8:-1], 3
    if not sparse.TILES:
        refuse(lambda: call(halved(), shape=fitting, lanes=16), halved(), "^this CPU has no ")
        return
    call(halved(), shape=fitting, lanes=16)
    shape = *fitting[:3], channels, kernel, down, across, *fitting[7:]
    given = halved()
    refuse(lambda: call(given, shape=shape, lanes=16), given, match)
    for wrong in (2 * 16 * 4 * 64 - 2, 2 * 16 * 4 * 64 + 2):
        given = halved(weights=bytearray(wrong))
        refuse(lambda: call(given, shape=fitting, lanes=16), given, "^weights: ")  # noqa: B023


SQUARED_SIZES, SQUARED_SHAPE = (2, 3, 4, 4, 4, 0, 8, 12), (1, 8, 12, 16, 3, 1, 1, 1, 16, 1, 0, 0, 0, 5)
"""A layer of numbers that is computed by squares: 16 channels become 16."""


def squared(**others: Any) -> dict[str, Any]:
    """Fitting buffers of that layer."""
    given = {"scale": None, "input": bytearray(4 * 10 * 14 * 16), "weights": bytearray(4 * 16 * 6 * 6 * 16)}
    given |= {name: bytearray(4 * 10 * 14 * 16) for name in ("added", "also", "sums")}
    return buffers() | given | {"rounded": None, "halves": None} | others


@pytest.mark.parametrize("lanes", [8, 16])
@pytest.mark.parametrize(
    ("place", "number"), [(0, 2), (3, 12), (4, 2), (5, 2), (6, 2), (7, 0), (9, 2)], ids=lambda number: str(number)
)
def test_squares_are_of_one_kernel_and_whole_vectors(lanes: int, place: int, number: int) -> None:
    if lanes > sparse.LANES:
        refuse(lambda: call(squared(), SQUARED_SIZES, SQUARED_SHAPE, lanes), squared(), "^this CPU has no ")
        return
    call(squared(), SQUARED_SIZES, SQUARED_SHAPE, lanes)
    shape = *SQUARED_SHAPE[:place], number, *SQUARED_SHAPE[place + 1 :]
    given = squared()
    refuse(lambda: call(given, SQUARED_SIZES, shape, lanes), given, "^these sizes make no layer")
    given = squared(scale=bytearray(4 * 16))
    refuse(lambda: call(given, SQUARED_SIZES, SQUARED_SHAPE, lanes), given, "^these sizes make no layer")


@pytest.mark.parametrize(("place", "number"), [(2, 5), (3, 5), (4, 2), (5, 1), (6, 7), (7, 11)])
def test_places_of_squares_consist_of_them(place: int, number: int) -> None:
    sizes, given = (*SQUARED_SIZES[:place], number, *SQUARED_SIZES[place + 1 :]), squared()
    refuse(lambda: call(given, sizes, SQUARED_SHAPE), given, "^these ")


@pytest.mark.parametrize("more", [-4, 4])
def test_squares_want_transformed_weights(more: int) -> None:
    given = squared(weights=bytearray(4 * 16 * 6 * 6 * 16 + more))
    refuse(lambda: call(given, SQUARED_SIZES, SQUARED_SHAPE), given, "^weights: ")


@pytest.mark.skipif(not sparse.native.pairs, reason="needs a CPU that has products of bfloat16")
@pytest.mark.parametrize(
    ("given", "channels", "match"),
    [
        (buffers(), 4, "^these sizes make no layer"),  # of bytes
        (
            pairs(input=bytearray(4 * 9 * 11 * 3), weights=bytearray(2 * 16 * 3 * 3 * 3)),
            3,
            "^these sizes make no layer",
        ),
        (pairs(weights=bytearray(4 * 16 * 3 * 3 * 4)), 4, "^weights: "),
    ],
    ids=["bytes", "odd", "weights"],
)
def test_pairs_are_of_numbers(given: dict[str, Any], channels: int, match: str) -> None:
    call(pairs(), shape=(*SHAPE[:-1], 1), lanes=16)
    refuse(lambda: call(given, shape=(*SHAPE[:3], channels, *SHAPE[4:-1], 1), lanes=16), given, match)


@pytest.mark.parametrize("wrong", ["scale", "bias", "added", "also", "sums", "halves"])
def test_misaligned_memory_is_refused(wrong: str) -> None:
    given = buffers()
    room = np.empty(len(given[wrong]) + 1, np.uint8)
    given[wrong] = room[1 - room.ctypes.data % 2 :][: len(given[wrong])]
    assert given[wrong].ctypes.data % 2
    refuse(lambda: call(given), given, f"^{wrong}: memory that is not aligned to [24] bytes$")


@pytest.mark.parametrize("wrong", ["input", "weights", "bias", "cells"])
def test_what_is_no_buffer_is_refused(wrong: str) -> None:
    for nothing in (None, 7, "text"):
        with pytest.raises(TypeError):
            call(buffers() | {wrong: nothing})


@pytest.mark.parametrize("place", range(len(SIZES)))
@pytest.mark.parametrize("number", [-1, 1 << 40, 2**63 - 1, -(2**63)])
def test_impossible_regions_are_refused(place: int, number: int) -> None:
    region = (*SIZES[:place], number, *SIZES[place + 1 :])
    given = buffers()
    refuse(lambda: call(given, region), given, "^(these cells make no region|these sizes make no layer)")
    buffer = {"buffer": bytearray(9 * 11 * 4)}
    refuse(lambda: native.fill(buffer["buffer"], 0, 4, bytes(6), region), buffer, "^these cells make no region")


@pytest.mark.parametrize(
    "region",
    [
        *[
            (2, 3, 3, 4, 1, 1, 7, 9),
            (2, 3, 4, 2, 1, 1, 7, 9),
            (1, 6, 4, 4, 1, 1, 7, 9),
        ],  # a picture larger than its cells
        *[(2, 3, 7, 4, 0, 0, 7, 9), (2, 3, 4, 5, 0, 0, 7, 9), (1, 6, 8, 2, 0, 0, 7, 9)],  # a cell beyond the picture
    ],
)
def test_cells_of_another_picture_are_refused(region: tuple[int, ...]) -> None:
    given = buffers()
    refuse(lambda: call(given, region), given, "^these cells make no region")
    buffer = {"buffer": bytearray(9 * 11 * 4)}
    refuse(lambda: native.fill(buffer["buffer"], 0, 4, bytes(6), region), buffer, "^these cells make no region")


@pytest.mark.parametrize(
    ("place", "number"),
    [
        *((place, number) for place in range(7) for number in (0, -1, 1 << 20, 2**63 - 1)),
        *((place, number) for place in (7, 9, 10, 11) for number in (-1, 9, 2**63 - 1)),
        *((8, number) for number in (0, -16, 4, 7, 1040, 2**62)),
        (0, 2),  # planes are of numbers
        (1, 6),  # the kernel reaches beyond the input
        (2, 8),
        (3, 6),  # channels by fours
        (4, 4),
        (5, 2),
        (6, 2),
        (7, 2),  # beyond the border
        (9, 2),  # halves that are spread
        (10, 1),
        (11, 1),
        (12, -1),
        (12, 3),
    ],
)
def test_impossible_layers_are_refused(place: int, number: int) -> None:
    given = buffers()
    shape = (*SHAPE[:place], number, *SHAPE[place + 1 :])
    refuse(lambda: call(given, shape=shape), given, "^these sizes make no layer")


@pytest.mark.parametrize("count", [0, 1, 4, 7, 12, 32, 64, -8, -16])
def test_vectors_that_no_cpu_has_are_refused(count: int) -> None:
    given = buffers()
    refuse(lambda: call(given, lanes=count), given, f"^this CPU has no vectors of {count} numbers$")


def test_vectors_that_this_cpu_lacks_are_refused() -> None:
    given = buffers()
    if sparse.LANES < 16:
        refuse(lambda: call(given, lanes=16), given, "^this CPU has no vectors of 16 numbers$")
    else:
        call(given, lanes=16)


@pytest.mark.parametrize(("size", "length"), [(4, -1), (4, 1), (3, 0), (0, 0), (-4, 0), (5000, 0), (2**62, 0)])
def test_what_is_cleared_has_to_fit(size: int, length: int) -> None:
    given = {"buffer": bytearray(9 * 11 * 4 + length), "cells": bytearray(6)}
    attempt = lambda: native.fill(given["buffer"], 0, size, given["cells"], SIZES)  # noqa: E731
    refuse(attempt, given, "^(buffer: [0-9]+ bytes, not|places of that size)")


def test_cells_of_what_is_cleared_have_to_fit() -> None:
    for count in (5, 7):
        given = {"buffer": bytearray(9 * 11 * 4), "cells": bytearray(count)}
        attempt = lambda: native.fill(given["buffer"], 0, 4, given["cells"], SIZES)  # noqa: E731, B023
        refuse(attempt, given, f"^cells: {count} bytes, not 6$")


@pytest.mark.parametrize("wrong", ["sums", "rounded", "halves"])
def test_what_is_written_is_not_read_only(wrong: str) -> None:
    given = buffers()
    given[wrong] = bytes(given[wrong])
    refuse(lambda: call(given), given, f"^{wrong}: memory that is read-only$")


def test_a_size_that_no_number_holds_is_refused() -> None:
    # 2^26 places down and across, of 2^12 bytes each: 2^64, which is 0.
    cells, places = 16390, 2**26 - 2 * BORDER
    given, region = np.zeros((cells, cells), np.uint8), (cells, cells, 4095, 4095, 1, 1, places, places)
    with pytest.raises(ValueError, match="these cells make no region"):
        native.fill(bytearray(), 0, 4096, given, region)


def test_what_is_cleared_is_not_read_only() -> None:
    with pytest.raises((TypeError, BufferError)):
        native.fill(bytes(9 * 11 * 4), 0, 4, bytes(6), SIZES)
