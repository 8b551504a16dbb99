"""ONNX's operators as PyTorch's functions: the table, and those that compute with single values.

See `layout.py` for the form of these functions.
"""

# pyright: basic
# PyTorch's types say little.

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from mjpeg_restore.runtime.torch import layers, layout
from mjpeg_restore.runtime.torch.resizing import resize

TYPES: Mapping[int, torch.dtype] = {
    1: torch.float32,
    2: torch.uint8,
    3: torch.int8,
    4: torch.int32,  # uint16, of which PyTorch knows little
    5: torch.int16,
    6: torch.int32,
    7: torch.int64,
    9: torch.bool,
    10: torch.float16,
    11: torch.float64,
    16: torch.bfloat16,
}
"""PyTorch's types by the numbers of ONNX's."""

TUNED = "tuned"
"""The keyword that is no attribute; see `layers.conv`."""


@dataclass(frozen=True, slots=True)
class Operator:
    """How PyTorch does what an operator of ONNX does."""

    function: Callable[..., Any]
    """Takes the node's inputs, None for those left out, and its attributes; gives a tensor, or a tuple of several."""
    on_host: tuple[int, ...] = ()
    """Inputs that sizes depend on: they are in the host's memory, and known before a picture is."""
    takes_scalars: bool = False
    """Whether single numbers that are known may be in the host's memory."""

    @property
    def attributes(self) -> frozenset[str]:
        """The attributes that it knows."""
        return self._keywords - {TUNED}

    @property
    def tunable(self) -> bool:
        """Whether there is something to tune."""
        return TUNED in self._keywords

    @property
    def _keywords(self) -> frozenset[str]:
        if inspect.isbuiltin(self.function):
            return frozenset()
        found = inspect.signature(self.function).parameters.values()
        return frozenset(one.name for one in found if one.kind is one.KEYWORD_ONLY)


@dataclass(frozen=True, slots=True)
class Node:
    """A node of a graph."""

    kind: str
    """ONNX's name of the operator."""
    operator: Operator
    attributes: dict[str, Any]
    inputs: tuple[str, ...]
    """Names of tensors; "" for an input that is left out."""
    outputs: tuple[str, ...]

    def computed(self, arguments: Sequence[Tensor | None]) -> tuple[Tensor, ...]:
        """Its results."""
        return as_tuple(self.operator.function(*arguments, **self.attributes))


def as_tuple(made: Any) -> tuple[Tensor, ...]:
    """The results of a function that gives a tensor, or several."""
    return (made,) if isinstance(made, Tensor) else tuple(made)


def _of_one(function: Callable[[Tensor], Tensor]) -> Operator:
    return Operator(lambda x: function(x))


def _of_two(function: Callable[[Tensor, Tensor], Tensor], *, takes_scalars: bool = False) -> Operator:
    return Operator(lambda a, b: function(a, b), takes_scalars=takes_scalars)


def _number(x: Tensor) -> float | None:
    """The value of a single number in the host's memory."""
    return x.item() if x.ndim == 0 and x.device.type == "cpu" else None


def _divide(a: Tensor, b: Tensor) -> Tensor:
    return torch.div(a, b) if a.is_floating_point() else torch.div(a, b, rounding_mode="trunc")


def _larger(a: Tensor, b: Tensor) -> Tensor:
    return torch.maximum(a, b) if (limit := _number(b)) is None else a.clamp(min=limit)


def _smaller(a: Tensor, b: Tensor) -> Tensor:
    return torch.minimum(a, b) if (limit := _number(b)) is None else a.clamp(max=limit)


def _numbers_last(tensors: tuple[Tensor, ...]) -> list[Tensor]:
    return sorted(tensors, key=lambda x: _number(x) is not None)


def _maximum(*tensors: Tensor) -> Tensor:
    return reduce(_larger, _numbers_last(tensors))


def _minimum(*tensors: Tensor) -> Tensor:
    return reduce(_smaller, _numbers_last(tensors))


def _sum(*tensors: Tensor) -> Tensor:
    return reduce(torch.add, tensors)


def _cast(x: Tensor, *, to: int, saturate: int = 1) -> Tensor:
    if to not in TYPES:
        raise NotImplementedError(f"type {to}")
    return x.to(TYPES[to])


def _clip(x: Tensor, low: Tensor | None = None, high: Tensor | None = None) -> Tensor:
    x = x if low is None else _larger(x, low)
    return x if high is None else _smaller(x, high)


def _elu(x: Tensor, *, alpha: float = 1.0) -> Tensor:
    return functional.elu(x, alpha)


def _gelu(x: Tensor, *, approximate: str = "none") -> Tensor:
    return functional.gelu(x, approximate=approximate)


def _hard_sigmoid(x: Tensor, *, alpha: float = 0.2, beta: float = 0.5) -> Tensor:
    return (alpha * x + beta).clamp(0, 1)


def _leaky_relu(x: Tensor, *, alpha: float = 0.01) -> Tensor:
    return functional.leaky_relu(x, alpha)


def _power(x: Tensor, exponent: Tensor) -> Tensor:
    power = _number(exponent)
    return torch.pow(x, exponent if power is None else power).to(x.dtype)


def _prelu(x: Tensor, slope: Tensor) -> Tensor:
    return torch.where(x < 0, x * slope, x)


def _softmax(x: Tensor, *, axis: int = -1) -> Tensor:
    return torch.softmax(x, axis)


def _log_softmax(x: Tensor, *, axis: int = -1) -> Tensor:
    return torch.log_softmax(x, axis)


def _quantize(x: Tensor, step: Tensor, zero: Tensor | None = None, *, axis: int = 1, saturate: int = 1) -> Tensor:
    kind = torch.uint8 if zero is None else zero.dtype
    limits = torch.iinfo(kind)
    whole = torch.round(x / _along(step, x, axis))
    if zero is not None:
        whole = whole + _along(zero, x, axis).to(whole.dtype)
    return whole.clamp(limits.min, limits.max).to(kind)


def _dequantize(x: Tensor, step: Tensor, zero: Tensor | None = None, *, axis: int = 1) -> Tensor:
    whole = x.to(torch.int32)
    if zero is not None:
        whole = whole - _along(zero, x, axis).to(torch.int32)
    return whole.to(step.dtype) * _along(step, x, axis)


def _along(values: Tensor, x: Tensor, axis: int) -> Tensor:
    """One value for the whole tensor, or one for each place along an axis."""
    if values.ndim > 1:
        raise NotImplementedError("blocks with steps of their own")
    return values if values.ndim == 0 else values.reshape(-1, *[1] * (x.ndim - 1 - axis % x.ndim))


def _reduction(function: Callable[[Tensor, list[int], bool], Tensor]) -> Operator:
    def reduced(x: Tensor, axes: Tensor | None = None, *, keepdims: int = 1, noop_with_empty_axes: int = 0) -> Tensor:
        where = [] if axes is None else layout.integers(axes)
        if not where and noop_with_empty_axes:
            return x
        return function(x, where or list(range(x.ndim)), bool(keepdims))

    return Operator(reduced, on_host=(1,))


OPERATORS: Mapping[str, Operator] = {
    **{
        name: _of_one(function)
        for name, function in {
            "Abs": torch.abs,
            "Ceil": torch.ceil,
            "Cos": torch.cos,
            "Erf": torch.erf,
            "Exp": torch.exp,
            "Floor": torch.floor,
            "HardSwish": functional.hardswish,
            "Identity": lambda x: x,
            "Log": torch.log,
            "Neg": torch.neg,
            "Not": torch.logical_not,
            "Reciprocal": torch.reciprocal,
            "Relu": torch.relu,
            "Round": torch.round,
            "Sigmoid": torch.sigmoid,
            "Sign": torch.sign,
            "Sin": torch.sin,
            "Softplus": functional.softplus,
            "Sqrt": torch.sqrt,
            "Tanh": torch.tanh,
        }.items()
    },
    **{
        name: _of_two(function, takes_scalars=True)
        for name, function in {
            "Add": torch.add,
            "Div": _divide,
            "Mul": torch.mul,
            "Pow": _power,
            "Sub": torch.sub,
        }.items()
    },
    **{
        name: _of_two(function)
        for name, function in {
            "And": torch.logical_and,
            "Equal": torch.eq,
            "Greater": torch.gt,
            "GreaterOrEqual": torch.ge,
            "Less": torch.lt,
            "LessOrEqual": torch.le,
            "Or": torch.logical_or,
        }.items()
    },
    "Cast": Operator(_cast),
    "Clip": Operator(_clip, takes_scalars=True),
    "DequantizeLinear": Operator(_dequantize),
    "Elu": Operator(_elu),
    "Gelu": Operator(_gelu),
    "HardSigmoid": Operator(_hard_sigmoid),
    "LeakyRelu": Operator(_leaky_relu),
    "LogSoftmax": Operator(_log_softmax),
    "Max": Operator(_maximum, takes_scalars=True),
    "Min": Operator(_minimum, takes_scalars=True),
    "PRelu": Operator(_prelu),
    "QuantizeLinear": Operator(_quantize),
    "Softmax": Operator(_softmax),
    "Sum": Operator(_sum),
    "Where": Operator(lambda condition, a, b: torch.where(condition, a, b)),
    "ReduceMax": _reduction(torch.amax),
    "ReduceMean": _reduction(torch.mean),
    "ReduceMin": _reduction(torch.amin),
    "ReduceSum": _reduction(lambda x, axes, kept: torch.sum(x, axes, kept, dtype=x.dtype)),
    "AveragePool": Operator(layers.average_pool),
    "BatchNormalization": Operator(layers.batch_normalization),
    "Conv": Operator(layers.conv),
    "ConvTranspose": Operator(layers.conv_transpose),
    "Gemm": Operator(layers.gemm),
    "GlobalAveragePool": Operator(layers.global_average_pool),
    "GlobalMaxPool": Operator(layers.global_max_pool),
    "InstanceNormalization": Operator(layers.instance_normalization),
    "LayerNormalization": Operator(layers.layer_normalization),
    "MatMul": Operator(lambda a, b: torch.matmul(a, b)),
    "MaxPool": Operator(layers.max_pool),
    "Concat": Operator(layout.concat),
    "ConstantOfShape": Operator(layout.constant_of_shape, on_host=(0,)),
    "DepthToSpace": Operator(layout.depth_to_space),
    "Expand": Operator(layout.expand, on_host=(1,)),
    "Flatten": Operator(layout.flatten),
    "Gather": Operator(layout.gather, takes_scalars=True),
    "Pad": Operator(layout.pad, on_host=(1, 2, 3)),
    "Range": Operator(layout.range_, on_host=(0, 1, 2)),
    "Reshape": Operator(layout.reshape, on_host=(1,)),
    "Resize": Operator(resize, on_host=(1, 2, 3)),
    "Shape": Operator(layout.shape),
    "Size": Operator(layout.size),
    "Slice": Operator(layout.slice_, on_host=(1, 2, 3, 4)),
    "SpaceToDepth": Operator(layout.space_to_depth),
    "Split": Operator(layout.split, on_host=(1,)),
    "Squeeze": Operator(layout.squeeze, on_host=(1,)),
    "Tile": Operator(layout.tile, on_host=(1,)),
    "Transpose": Operator(layout.transpose),
    "Unsqueeze": Operator(layout.unsqueeze, on_host=(1,)),
}
"""By ONNX's names."""

SHAPES = frozenset({"Shape", "Size"})
"""Operators that are known as soon as the size of their input is."""
