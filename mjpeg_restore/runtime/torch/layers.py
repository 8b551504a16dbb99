"""ONNX's convolutions, pooling, norms and products; see `layout.py` for the form of these functions."""

# pyright: basic
# PyTorch's types say little.

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional


def conv(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    *,
    auto_pad: str = "NOTSET",
    dilations: list[int] | None = None,
    group: int = 1,
    kernel_shape: list[int] | None = None,
    pads: list[int] | None = None,
    strides: list[int] | None = None,
    tuned: bool = False,
) -> Tensor:
    """Conv.

    Args:
        tuned: on a GPU, time the algorithms with the first picture of a size, and take the fastest.
    """
    x, strides, padding, dilations, group = conv_arguments(
        x, weight, auto_pad=auto_pad, dilations=dilations, group=group, pads=pads, strides=strides
    )
    return _convolved(x, weight, bias, strides, padding, dilations, False, [0] * len(strides), group, tuned)


def conv_arguments(
    x: Tensor,
    weight: Tensor,
    *,
    auto_pad: str = "NOTSET",
    dilations: list[int] | None = None,
    group: int = 1,
    kernel_shape: list[int] | None = None,
    pads: list[int] | None = None,
    strides: list[int] | None = None,
) -> tuple[Tensor, list[int], list[int], list[int], int]:
    """Conv's arguments as PyTorch has them: the input, padded where PyTorch cannot, strides, padding, dilations and
    groups.
    """
    ones = [1] * (x.ndim - 2)
    dilations, strides = dilations or ones, strides or ones
    x, padding = _padded(x, _pads(x, auto_pad, pads, list(weight.shape[2:]), dilations, strides))
    return x, strides, padding, dilations, group


def conv_transpose(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    *,
    auto_pad: str = "NOTSET",
    dilations: list[int] | None = None,
    group: int = 1,
    kernel_shape: list[int] | None = None,
    output_padding: list[int] | None = None,
    pads: list[int] | None = None,
    strides: list[int] | None = None,
    tuned: bool = False,
) -> Tensor:
    """ConvTranspose; see `conv` for `tuned`."""
    if auto_pad not in ("NOTSET", "VALID"):
        raise NotImplementedError(f"auto_pad {auto_pad}")
    rank = x.ndim - 2
    dilations, strides, extra = dilations or [1] * rank, strides or [1] * rank, output_padding or [0] * rank
    before, after = _halves(pads or [0] * 2 * rank)
    least = [min(pair) for pair in zip(before, after, strict=True)]
    made = _convolved(x, weight, bias, strides, least, dilations, True, extra, group, tuned)
    for axis in range(rank):  # PyTorch cuts the same number off at both ends
        first = before[axis] - least[axis]
        made = made.narrow(axis + 2, first, made.shape[axis + 2] - first - after[axis] + least[axis])
    return made


def _convolved(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    strides: list[int],
    padding: list[int],
    dilations: list[int],
    transposed: bool,
    extra: list[int],
    groups: int,
    tuned: bool,
) -> Tensor:
    """A convolution with settings of its own, where `torch.conv2d` takes those of the process.

    TF32 has eleven bits; in float32 the results are to be those of a CPU.
    """
    deterministic, with_cudnn, with_tf32 = False, True, False
    arguments = (x, weight, bias, strides, padding, dilations, transposed, extra, groups)
    if x.is_meta:  # `_convolution` knows no shapes without values where PyTorch is built with CUDA
        return torch.ops.aten.convolution.default(*arguments)
    return torch.ops.aten._convolution.default(*arguments, tuned, deterministic, with_cudnn, with_tf32)


def average_pool(
    x: Tensor,
    *,
    auto_pad: str = "NOTSET",
    ceil_mode: int = 0,
    count_include_pad: int = 0,
    dilations: list[int] | None = None,
    kernel_shape: list[int],
    pads: list[int] | None = None,
    strides: list[int] | None = None,
) -> Tensor:
    """AveragePool."""
    ones = [1] * len(kernel_shape)
    strides = strides or ones
    if (dilations or ones) != ones:
        raise NotImplementedError(f"dilations {dilations}")
    found = _pads(x, auto_pad, pads, kernel_shape, ones, strides)
    before, after = _halves(found)
    if ceil_mode and any(found):
        raise NotImplementedError("ceil_mode with pads")
    if not count_include_pad and before != after:
        raise NotImplementedError(f"pads {found} that do not count")
    if count_include_pad:
        x, before = _padded(x, found, whole=True)
    pool = (functional.avg_pool1d, functional.avg_pool2d, functional.avg_pool3d)[len(kernel_shape) - 1]
    return pool(x, kernel_shape, strides, before, bool(ceil_mode), count_include_pad=False)


def max_pool(
    x: Tensor,
    *,
    auto_pad: str = "NOTSET",
    ceil_mode: int = 0,
    dilations: list[int] | None = None,
    kernel_shape: list[int],
    pads: list[int] | None = None,
    storage_order: int = 0,
    strides: list[int] | None = None,
) -> Tensor:
    """MaxPool, without the indices."""
    ones = [1] * len(kernel_shape)
    dilations, strides = dilations or ones, strides or ones
    found = _pads(x, auto_pad, pads, kernel_shape, dilations, strides)
    if ceil_mode and any(found):
        raise NotImplementedError("ceil_mode with pads")
    lowest = -math.inf if x.is_floating_point() else torch.iinfo(x.dtype).min
    x, none = _padded(x, found, whole=True, value=lowest)
    pool = (functional.max_pool1d, functional.max_pool2d, functional.max_pool3d)[len(kernel_shape) - 1]
    return pool(x, kernel_shape, strides, none, dilations, bool(ceil_mode))


def _halves(pads: list[int]) -> tuple[list[int], list[int]]:
    """The padding before and after each axis."""
    return pads[: len(pads) // 2], pads[len(pads) // 2 :]


def _pads(
    x: Tensor, auto_pad: str, pads: list[int] | None, window: list[int], dilations: list[int], strides: list[int]
) -> list[int]:
    """The padding before each axis, and then after each."""
    rank = len(window)
    if auto_pad == "NOTSET":
        return list(pads or [0] * 2 * rank)
    if auto_pad == "VALID":
        return [0] * 2 * rank
    before: list[int] = []
    after: list[int] = []
    for extent, taps, dilation, stride in zip(x.shape[2:], window, dilations, strides, strict=True):
        missing = max(0, (math.ceil(extent / stride) - 1) * stride + dilation * (taps - 1) + 1 - extent)
        less, more = missing // 2, missing - missing // 2
        before.append(less if auto_pad == "SAME_UPPER" else more)
        after.append(more if auto_pad == "SAME_UPPER" else less)
    return before + after


def _padded(x: Tensor, pads: list[int], *, whole: bool = False, value: float = 0) -> tuple[Tensor, list[int]]:
    """Pad what PyTorch's layers do not: all of it, or what is not the same at both ends. What is left comes second."""
    before, after = _halves(pads)
    if not whole and before == after:
        return x, before
    if any(pads):
        x = functional.pad(
            x, [n for pair in reversed(list(zip(before, after, strict=True))) for n in pair], value=value
        )
    return x, [0] * len(before)


def global_average_pool(x: Tensor) -> Tensor:
    """GlobalAveragePool."""
    return x.mean(tuple(range(2, x.ndim)), keepdim=True)


def global_max_pool(x: Tensor) -> Tensor:
    """GlobalMaxPool."""
    return x.amax(tuple(range(2, x.ndim)), keepdim=True)


def batch_normalization(
    x: Tensor,
    scale: Tensor,
    bias: Tensor,
    mean: Tensor,
    variance: Tensor,
    *,
    epsilon: float = 1e-5,
    momentum: float = 0.9,
    training_mode: int = 0,
) -> Tensor:
    """BatchNormalization with the statistics of the training."""
    if training_mode:
        raise NotImplementedError("training_mode")
    return functional.batch_norm(x, mean, variance, scale, bias, eps=epsilon)


def instance_normalization(x: Tensor, scale: Tensor, bias: Tensor, *, epsilon: float = 1e-5) -> Tensor:
    """InstanceNormalization."""
    return torch.group_norm(x, x.shape[1], scale, bias, epsilon)


def layer_normalization(
    x: Tensor, scale: Tensor, bias: Tensor | None = None, *, axis: int = -1, epsilon: float = 1e-5, stash_type: int = 1
) -> Tensor:
    """LayerNormalization."""
    sizes = list(x.shape[axis:])
    weight, shift = (None if part is None else part.expand(sizes) for part in (scale, bias))
    return functional.layer_norm(x, sizes, weight, shift, epsilon)


def gemm(
    a: Tensor,
    b: Tensor,
    c: Tensor | None = None,
    *,
    alpha: float = 1.0,
    beta: float = 1.0,
    transA: int = 0,  # noqa: N803
    transB: int = 0,  # noqa: N803
) -> Tensor:
    """Gemm."""
    a, b = a.T if transA else a, b.T if transB else b
    if c is None:
        return a @ b if alpha == 1 else alpha * (a @ b)
    return torch.addmm(c, a, b, beta=beta, alpha=alpha)
