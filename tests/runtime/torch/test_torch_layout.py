"""Operators that move values, in PyTorch, beside ONNX Runtime, with attributes at random."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.lacking import needs

needs("torch")
needs("onnx")
needs("onnxruntime")

from tests.runtime.torch.single_nodes import assert_equal_results

few = settings(max_examples=25)
sizes = st.lists(st.integers(1, 5), min_size=1, max_size=4)


def numbered(shape: list[int] | tuple[int, ...]) -> NDArray[np.float32]:
    return np.arange(np.prod(shape), dtype=np.float32).reshape(shape)


def whole(*numbers: int) -> NDArray[np.int64]:
    return np.array(numbers, np.int64)


@few
@given(sizes, st.data())
def test_slice(shape: list[int], data: st.DataObject) -> None:
    axes = data.draw(st.lists(st.integers(0, len(shape) - 1), unique=True, min_size=1))
    ends = [[data.draw(st.integers(-7, 7) | st.just(2**62)) for _ in axes] for _ in range(2)]
    steps = [data.draw(st.sampled_from([-3, -2, -1, 1, 2, 3])) for _ in axes]
    inputs = [numbered(shape), *map(lambda part: whole(*part), ends), whole(*axes), whole(*steps)]
    assert_equal_results("Slice", inputs, constants=(1, 2, 3, 4))


def test_slice_without_axes_and_steps() -> None:
    assert_equal_results("Slice", [numbered((3, 4)), whole(1), whole(-1)], constants=(1, 2))
    everything = whole(-(2**63))
    assert_equal_results(
        "Slice", [numbered((3, 4)), whole(-1), everything, whole(-1), whole(-1)], constants=(1, 2, 3, 4)
    )


@few
@given(st.sampled_from(["constant", "edge", "reflect", "wrap"]), st.data())
def test_pad(mode: str, data: st.DataObject) -> None:
    shape = data.draw(st.lists(st.integers(4, 6), min_size=1, max_size=4))
    axes = data.draw(st.none() | st.lists(st.integers(-len(shape), -1), unique=True, min_size=1))
    count = len(shape) if axes is None else len(axes)
    pads = whole(*data.draw(st.lists(st.integers(0, 3), min_size=2 * count, max_size=2 * count)))
    value = np.array(1.5, np.float32) if mode == "constant" and data.draw(st.booleans()) else None
    inputs = [numbered(shape), pads, value, *([] if axes is None else [whole(*axes)])]
    constants = tuple(i for i in (1, 2, 3) if i < len(inputs) and inputs[i] is not None)
    assert_equal_results("Pad", inputs, {"mode": mode}, constants)


def test_pad_may_cut_off() -> None:
    assert_equal_results("Pad", [numbered((4, 5)), whole(-1, 2, 1, -2)], constants=(1,))


@few
@given(sizes, st.data())
def test_gather(shape: list[int], data: st.DataObject) -> None:
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    count = data.draw(st.lists(st.integers(1, 3), max_size=2))
    extent = shape[axis]
    draw = st.integers(-extent, extent - 1)
    indices = np.array([data.draw(draw) for _ in range(int(np.prod(count)))], np.int64).reshape(count)
    constants: Any = data.draw(st.sampled_from([(), (1,)]))
    assert_equal_results("Gather", [numbered(shape), indices], {"axis": axis}, constants)


@few
@given(sizes, st.data())
def test_squeeze_and_unsqueeze(shape: list[int], data: st.DataObject) -> None:
    ones = [i for i, size in enumerate(shape) if size == 1]
    assert_equal_results("Squeeze", [numbered(shape)])
    if ones:
        axes = whole(*data.draw(st.permutations(ones)))
        assert_equal_results("Squeeze", [numbered(shape), axes], constants=(1,))
    rank = len(shape) + 2
    axes = whole(*data.draw(st.lists(st.integers(0, rank - 1), unique=True, min_size=2, max_size=2)))
    axes[0] -= rank * data.draw(st.integers(0, 1))
    assert_equal_results("Unsqueeze", [numbered(shape), axes], constants=(1,))


@pytest.mark.parametrize(
    ("shape", "attributes"),
    [((4, -1), {}), ((0, 0, 2, -1), {}), ((24,), {"allowzero": 1}), ((2, 0, 4), {"allowzero": 0})],
)
def test_reshape(shape: tuple[int, ...], attributes: dict[str, Any]) -> None:
    assert_equal_results("Reshape", [numbered((2, 3, 4)), whole(*shape)], attributes, constants=(1,))


@pytest.mark.parametrize("shape", [(4, 3, 2), (1, 2), (3, 1), (1,), (2, 1, 1, 2)])
def test_expand(shape: tuple[int, ...]) -> None:
    assert_equal_results("Expand", [numbered((3, 1)), whole(*shape)], constants=(1,))


@pytest.mark.parametrize("sizes", [(1, 3, 2), (6,)])
def test_split(sizes: tuple[int, ...]) -> None:
    assert_equal_results("Split", [numbered((2, 6)), whole(*sizes)], {"axis": 1}, (1,), len(sizes))
    assert_equal_results("Split", [numbered((2, 6))], {"axis": -1, "num_outputs": 3}, outputs=3)


def test_a_last_part_may_be_smaller() -> None:
    assert_equal_results("Split", [numbered((7,))], {"num_outputs": 3}, outputs=3)


@pytest.mark.parametrize("mode", ["DCR", "CRD"])
def test_depth_and_space(mode: str) -> None:
    assert_equal_results("DepthToSpace", [numbered((2, 12, 3, 4))], {"blocksize": 2, "mode": mode})
    assert_equal_results("SpaceToDepth", [numbered((2, 3, 4, 6))], {"blocksize": 2})


def test_tile_and_concat() -> None:
    assert_equal_results("Tile", [numbered((2, 3)), whole(2, 1)], constants=(1,))
    assert_equal_results("Concat", [numbered((2, 3)), numbered((2, 1))], {"axis": -1})


@few
@given(
    st.sampled_from(["nearest", "linear"]),
    st.sampled_from(["half_pixel", "pytorch_half_pixel", "asymmetric", "align_corners"]),
    st.sampled_from(["floor", "ceil", "round_prefer_floor", "round_prefer_ceil"]),
    st.booleans(),
    st.data(),
)
def test_resize(mode: str, kind: str, nearest: str, by_size: bool, data: st.DataObject) -> None:
    shape = (1, 2, 4, 6)
    factors = [1.0, 1.0, *(data.draw(st.sampled_from([0.5, 1.0, 1.5, 2.0, 4.0])) for _ in range(2))]
    ends = whole(*(int(size * factor) for size, factor in zip(shape, factors, strict=True)))
    inputs = [numbered(shape), None, *([None, ends] if by_size else [np.array(factors, np.float32)])]
    attributes = {"mode": mode, "coordinate_transformation_mode": kind, "nearest_mode": nearest}
    assert_equal_results("Resize", inputs, attributes, constants=(3,) if by_size else (2,))
