"""Casts and rounding of constants, computed once: weights that are stored as float16, or rounded to 8 bits."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import NodeProto

from mjpeg_restore.runtime.rewriting.graph import Graph, attributes


def fold_constants(graph: Graph) -> None:
    """Replace each Cast, QuantizeLinear and DequantizeLinear of constants by its result."""
    kept: list[NodeProto] = []
    for node in graph.nodes:
        if node.op_type in FOLDED and all(name in graph.constants for name in node.input if name):
            operands = [graph.constants[name] for name in node.input if name]
            graph.constants[node.output[0]] = FOLDED[node.op_type](node, *operands)
        else:
            kept.append(node)
    graph.nodes = kept


def _cast(node: NodeProto, values: NDArray[Any]) -> NDArray[Any]:
    return values.astype(onnx.helper.tensor_dtype_to_np_dtype(attributes(node)["to"]))


def _quantize(node: NodeProto, values: NDArray[Any], step: NDArray[Any], zero: NDArray[Any]) -> NDArray[Any]:
    limits = np.iinfo(zero.dtype)
    step, shift = (_along(node, values, factors) for factors in (step, zero.astype(np.float32)))
    return np.clip(np.rint(values / step) + shift, limits.min, limits.max).astype(zero.dtype)


def _dequantize(
    node: NodeProto, values: NDArray[Any], step: NDArray[Any], zero: NDArray[Any] | int = 0
) -> NDArray[Any]:
    shift = _along(node, values, np.asarray(zero, np.int32))
    return ((values.astype(np.int32) - shift) * _along(node, values, step)).astype(step.dtype)


def _along(node: NodeProto, values: NDArray[Any], factors: NDArray[Any]) -> NDArray[Any]:
    """A scalar, or factors `[channels]` in the shape that lines them up with their axis of the values."""
    if factors.size == 1:
        return factors.reshape(())
    shape = [1] * values.ndim
    shape[attributes(node).get("axis", 1)] = -1
    return factors.reshape(shape)


FOLDED = {"Cast": _cast, "QuantizeLinear": _quantize, "DequantizeLinear": _dequantize}
