"""Steps of a graph that one pass over memory can do together.

On a GPU the features of a network with few channels are read and written at the speed of memory, while the arithmetic
waits. A convolution with its bias, and then a rectifier or a residual, are three passes where one or two would do.
"""

# pyright: basic
# PyTorch's types say little.

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import torch
from torch import Tensor

from mjpeg_restore.runtime.torch.layers import conv, conv_arguments
from mjpeg_restore.runtime.torch.operators import Node, Operator

_SUM = "template <typename T> T sum_of_three(T a, T b, T c) { return a + b + c; }"
"""Source of a kernel for elements, which PyTorch compiles when it is first called."""


def fused(nodes: Sequence[Node], results: Sequence[str]) -> list[Node]:
    """The nodes of a graph, of which some are joined.

    Args:
        nodes: in order of execution.
        results: names of the graph's outputs.
    """
    uses = Counter(name for node in nodes for name in node.inputs)
    uses.update(results)
    found: list[Node] = []
    makers: dict[str, Node] = {}
    for node in nodes:
        joined = _joined(node, makers, uses)
        if joined:
            node, before = joined
            found = [one for one in found if one is not before]
        found.append(node)
        makers.update(dict.fromkeys(node.outputs, node))
    return found


def _joined(node: Node, makers: dict[str, Node], uses: Counter[str]) -> tuple[Node, Node] | None:
    """A node that does the work of this one and of one before it that nobody else needs, and the one before."""
    before = [makers[name] for name in node.inputs if name in makers and uses[name] == 1]
    match node.kind:
        case "Relu" if before and before[0].kind == "Conv":
            (layer,) = before
            return replace(layer, kind="Conv+Relu", operator=Operator(conv_relu), outputs=node.outputs), layer
        case "Add":
            layers = [one for one in before if one.kind == "Conv"]
            if layers and node.inputs[0] != node.inputs[1]:
                layer = layers[-1]  # the later one: what else is added is there by then
                other = next(name for name in node.inputs if name not in layer.outputs)
                inputs = (*layer.inputs, *[""] * (3 - len(layer.inputs)), other)
                return replace(
                    layer, kind="Conv+Add", operator=Operator(conv_add), inputs=inputs, outputs=node.outputs
                ), layer
            products = [one for one in before if one.kind == "Mul"]
            if products and node.inputs[0] != node.inputs[1]:
                product = products[-1]
                other = next(name for name in node.inputs if name not in product.outputs)
                inputs = (*product.inputs, other)
                return Node("Mul+Add", Operator(multiply_add), {}, inputs, node.outputs), product
    return None


def conv_relu(
    x: Tensor, weight: Tensor, bias: Tensor | None = None, *, tuned: bool = False, **attributes: Any
) -> Tensor:
    """Conv, then Relu; by cuDNN in one pass, where the numbers are float16."""
    if x.device.type != "cuda" or x.dtype != torch.float16 or bias is None or x.ndim != 4:
        return conv(x, weight, bias, tuned=tuned, **attributes).relu()
    x, strides, padding, dilations, groups = conv_arguments(x, weight, **attributes)
    return torch.cudnn_convolution_relu(x, weight, bias, strides, padding, dilations, groups)


def conv_add(
    x: Tensor, weight: Tensor, bias: Tensor | None, other: Tensor, *, tuned: bool = False, **attributes: Any
) -> Tensor:
    """Conv, then Add; its bias and the other summand are added in one pass."""
    if bias is None or x.ndim != 4:
        return conv(x, weight, bias, tuned=tuned, **attributes) + other
    made = conv(x, weight, None, tuned=tuned, **attributes)
    return (
        _sum_of_three()(made, bias[:, None, None], other)
        if made.device.type == "cuda"
        else made + bias[:, None, None] + other
    )


def multiply_add(a: Tensor, b: Tensor, other: Tensor) -> Tensor:
    """Mul, then Add, in one pass."""
    if a.is_floating_point() and a.dtype == b.dtype == other.dtype and a.device == b.device == other.device:
        return torch.addcmul(other, a, b)
    return a * b + other


@cache
def _sum_of_three() -> Any:
    return torch.cuda.jiterator._create_jit_fn(_SUM)
