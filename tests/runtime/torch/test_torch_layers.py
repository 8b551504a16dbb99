"""Convolutions, pooling and norms in PyTorch, beside ONNX Runtime, with attributes at random."""

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

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from mjpeg_restore.runtime.torch.layers import conv, conv_transpose
from tests.runtime.torch.single_nodes import assert_equal_results

few = settings(max_examples=25)
ranks = st.integers(1, 2)
paddings = st.sampled_from(["NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER"])


def normal(shape: list[int] | tuple[int, ...], seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).normal(0, 1, shape).astype(np.float32)


def numbers(data: st.DataObject, least: int, most: int, count: int) -> list[int]:
    return data.draw(st.lists(st.integers(least, most), min_size=count, max_size=count))


@few
@given(ranks, paddings, st.sampled_from([1, 2]), st.booleans(), st.data())
def test_conv(rank: int, auto_pad: str, group: int, biased: bool, data: st.DataObject) -> None:
    window = numbers(data, 1, 3, rank)
    attributes: dict[str, Any] = {"kernel_shape": window, "strides": numbers(data, 1, 3, rank), "group": group}
    if auto_pad == "NOTSET":
        attributes |= {"pads": numbers(data, 0, 2, 2 * rank), "dilations": numbers(data, 1, 2, rank)}
    else:
        attributes |= {"auto_pad": auto_pad}
    x, weight = normal((2, 4, *numbers(data, 6, 9, rank))), normal((6, 4 // group, *window), 1)
    inputs = [x, weight, *([normal((6,), 2)] if biased else [])]
    assert_equal_results("Conv", inputs, attributes, constants=range(1, len(inputs)))


@few
@given(ranks, st.sampled_from([1, 2]), st.booleans(), st.data())
def test_conv_transpose(rank: int, group: int, biased: bool, data: st.DataObject) -> None:
    window, strides = numbers(data, 1, 4, rank), numbers(data, 1, 3, rank)
    attributes = {
        "kernel_shape": window,
        "strides": strides,
        "group": group,
        "pads": numbers(data, 0, 2, 2 * rank),
        "output_padding": [data.draw(st.integers(0, stride - 1)) for stride in strides],
    }
    x, weight = normal((2, 4, *numbers(data, 5, 7, rank))), normal((4, 3, *window), 1)
    inputs = [x, weight, *([normal((3 * group,), 2)] if biased else [])]
    assert_equal_results("ConvTranspose", inputs, attributes, constants=range(1, len(inputs)))


@few
@given(ranks, paddings, st.data())
def test_max_pool(rank: int, auto_pad: str, data: st.DataObject) -> None:
    window = numbers(data, 2, 3, rank)
    attributes: dict[str, Any] = {"kernel_shape": window, "strides": numbers(data, 1, 2, rank)}
    if auto_pad == "NOTSET":
        attributes |= {"pads": numbers(data, 0, 1, 2 * rank)}
    else:
        attributes |= {"auto_pad": auto_pad}
    assert_equal_results("MaxPool", [normal((2, 3, *numbers(data, 6, 9, rank)))], attributes)


@few
@given(ranks, st.booleans(), st.integers(0, 1), st.data())
def test_average_pool(rank: int, even: bool, counted: int, data: st.DataObject) -> None:
    window = numbers(data, 2, 3, rank)
    pads = numbers(data, 0, 1, rank)
    pads += pads if even or not counted else numbers(data, 0, 1, rank)
    attributes = {
        "kernel_shape": window,
        "strides": numbers(data, 1, 3, rank),
        "pads": pads,
        "count_include_pad": counted,
    }
    assert_equal_results("AveragePool", [normal((2, 3, *numbers(data, 6, 9, rank)))], attributes)


@pytest.mark.parametrize("kind", ["MaxPool", "AveragePool"])
def test_pools_that_round_up(kind: str) -> None:
    attributes = {"kernel_shape": [2, 2], "strides": [2, 2], "ceil_mode": 1}
    assert_equal_results(kind, [normal((1, 2, 5, 7))], attributes)


@pytest.mark.parametrize("shape", [(2, 3, 4, 5), (2, 3, 6), (2, 3)])
def test_norms(shape: tuple[int, ...]) -> None:
    x, (scale, bias, mean) = normal(shape), (normal((3,), seed) for seed in range(1, 4))
    variance = np.abs(normal((3,), 4)) + 0.1
    inputs = [x, scale, bias, mean, variance]
    assert_equal_results("BatchNormalization", inputs, {"epsilon": 1e-3}, constants=(1, 2, 3, 4))
    if len(shape) > 2:
        assert_equal_results("InstanceNormalization", inputs[:3], {"epsilon": 1e-3}, constants=(1, 2))
    for axis in (-1, 1):
        weights = [normal(x.shape[axis:], seed) for seed in (5, 6)]
        assert_equal_results("LayerNormalization", [x, *weights], {"axis": axis}, constants=(1, 2))
    assert_equal_results("LayerNormalization", [x, normal(shape[-1:], 5)], constants=(1,))


class Shapeless(TorchDispatchMode):
    """Has no shapes for `_convolution` without values, as PyTorch with CUDA."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.ops.aten._convolution.default and args[0].is_meta:
            raise NotImplementedError("convolution_overrideable not implemented")
        return func(*args, **kwargs or {})


@pytest.mark.parametrize("convolve", [conv, conv_transpose])
def test_the_shape_of_a_convolution_is_known_without_values_in_every_build_of_pytorch(convolve: Any) -> None:
    x, weight = torch.empty(1, 3, 8, 9), torch.empty(3, 3, 3, 3)
    attributes: dict[str, Any] = {"kernel_shape": [3, 3], "strides": [2, 1]}
    with Shapeless(), torch.inference_mode():
        found = convolve(x.to("meta"), weight.to("meta"), torch.empty(3, device="meta"), **attributes)
    assert found.shape == convolve(x, weight, torch.empty(3), **attributes).shape
