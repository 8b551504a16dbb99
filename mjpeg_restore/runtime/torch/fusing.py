"""Steps of a graph that one pass over memory can do together.

On a GPU the features of a network with few channels are read and written at the speed of memory, while the arithmetic
waits. A convolution, its bias and a residual are three passes, each of which reads and writes all features. Here a
rectifier becomes a part of its convolution, and chains of operators that compute each value by itself, with the biases
of the convolutions before them, become one kernel, which PyTorch compiles from a line of C++.
"""

# pyright: basic
# PyTorch's types say little.

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import Any

import torch
from torch import Tensor

from mjpeg_restore.runtime.torch.layers import conv, conv_arguments
from mjpeg_restore.runtime.torch.operators import Node, Operator

MOST_INPUTS = 8
"""Tensors that a kernel takes: PyTorch's limit."""

FUNCTIONS: Mapping[str, tuple[Callable[..., Tensor], str]] = {
    "Add": (torch.add, "({} + {})"),
    "Sub": (torch.sub, "({} - {})"),
    "Mul": (torch.mul, "({} * {})"),
    "Relu": (torch.relu, "({0} > T(0) ? {0} : T(0))"),
}
"""Operators that can be joined: as PyTorch's function, and in C++."""

LAYERS = ("Conv", "ConvTranspose")
"""Operators whose bias can be added by what follows."""


@dataclass(frozen=True, slots=True)
class Expression:
    """What is computed for each value."""

    kind: str
    """A key of `FUNCTIONS`; "" for an input, "bias" for one with a value for each channel."""
    parts: tuple[Expression, ...] = ()
    index: int = 0
    """Of an input."""

    def of(self, tensors: Sequence[Tensor]) -> Tensor:
        """The value, operator by operator."""
        if self.kind in ("", "bias"):
            return tensors[self.index]
        return FUNCTIONS[self.kind][0](*(part.of(tensors) for part in self.parts))

    def code(self) -> str:
        """The value in C++, of arguments `v0`, `v1` and so on."""
        if self.kind in ("", "bias"):
            return f"v{self.index}"
        return FUNCTIONS[self.kind][1].format(*(part.code() for part in self.parts))

    def shifted(self, by: int) -> Expression:
        """The same with other inputs, as many places later."""
        return replace(self, index=self.index + by, parts=tuple(part.shifted(by) for part in self.parts))

    @property
    def biases(self) -> frozenset[int]:
        """The inputs that have a value for each channel."""
        own = {self.index} if self.kind == "bias" else set[int]()
        return frozenset(own).union(*(part.biases for part in self.parts))


def fused(nodes: Sequence[Node], results: Sequence[str]) -> list[Node]:
    """The nodes of a graph, of which some are joined.

    Args:
        nodes: in order of execution.
        results: names of the graph's outputs.
    """
    uses = Counter(name for node in nodes for name in node.inputs)
    uses.update(results)
    makers: dict[str, Node] = {}
    found: dict[int, Node] = {}  # by their place in the order
    places: dict[str, int] = {}
    for place, node in enumerate(nodes):
        alone = {name for name in node.inputs if uses[name] == 1}
        before = {name: makers[name] for name in dict.fromkeys(node.inputs) if name in alone and name in makers}
        if node.kind == "Relu" and (layer := before.get(node.inputs[0])) and layer.kind == "Conv":
            node = replace(layer, kind="Conv+Relu", operator=Operator(conv_relu), outputs=node.outputs)
            del found[places[layer.outputs[0]]]
        elif node.kind in FUNCTIONS and not node.attributes:
            node = _with_those_before(node, before, makers, found, places)
        found[place] = node
        for name in node.outputs:
            makers[name], places[name] = node, place
    return [found[place] for place in sorted(found)]


def _with_those_before(
    node: Node, before: Mapping[str, Node], makers: dict[str, Node], found: dict[int, Node], places: Mapping[str, int]
) -> Node:
    """A node that computes values together with the nodes before it that nobody else needs, as far as they can."""
    parts: list[Expression] = []
    inputs: list[str] = []
    room = MOST_INPUTS - len(node.inputs)
    for name in node.inputs:
        maker = before.get(name)
        if maker and maker.kind == "Pointwise" and len(maker.inputs) - 1 <= room:
            room -= len(maker.inputs) - 1
            parts.append(maker.operator.function.args[0].shifted(len(inputs)))
            inputs += maker.inputs
            del found[places[name]]
        elif maker and maker.kind in FUNCTIONS and not maker.attributes and len(maker.inputs) - 1 <= room:
            room -= len(maker.inputs) - 1
            leaves = tuple(Expression("", index=len(inputs) + i) for i in range(len(maker.inputs)))
            parts.append(Expression(maker.kind, leaves))
            inputs += maker.inputs
            del found[places[name]]
        elif maker and maker.kind in LAYERS and len(maker.inputs) == 3 and maker.inputs[2] and room:
            room -= 1
            unbiased = replace(maker, inputs=maker.inputs[:2])
            found[places[name]] = makers[name] = unbiased
            own = Expression("", index=len(inputs)), Expression("bias", index=len(inputs) + 1)
            parts.append(Expression("Add", own))
            inputs += [name, maker.inputs[2]]
        else:
            parts.append(Expression("", index=len(inputs)))
            inputs.append(name)
    if len(inputs) == len(node.inputs) and all(part.kind == "" for part in parts):
        return node
    whole = Expression(node.kind, tuple(parts))
    return Node("Pointwise", Operator(partial(pointwise, whole)), {}, tuple(inputs), node.outputs)


def pointwise(expression: Expression, *tensors: Tensor) -> Tensor:
    """The value of an expression: on a GPU in one pass, where all inputs have one type."""
    shaped = [one[:, None, None] if index in expression.biases else one for index, one in enumerate(tensors)]
    first = shaped[0]
    alike = all(one.dtype == first.dtype and one.device == first.device for one in shaped)
    if alike and first.device.type == "cuda" and first.is_floating_point():
        return _kernel(expression.code(), len(shaped))(*shaped)
    return expression.of(shaped)


@cache
def _kernel(code: str, inputs: int) -> Any:
    """A kernel for an expression."""
    arguments = ", ".join(f"T v{index}" for index in range(inputs))
    return torch.cuda.jiterator._create_jit_fn(f"template <typename T> T joined({arguments}) {{ return {code}; }}")


def conv_relu(
    x: Tensor, weight: Tensor, bias: Tensor | None = None, *, tuned: bool = False, **attributes: Any
) -> Tensor:
    """Conv, then Relu; by cuDNN in one pass, where the numbers are float16."""
    if x.device.type != "cuda" or x.dtype != torch.float16 or bias is None or x.ndim != 4:
        return conv(x, weight, bias, tuned=tuned, **attributes).relu()
    x, strides, padding, dilations, groups = conv_arguments(x, weight, **attributes)
    return torch.cudnn_convolution_relu(x, weight, bias, strides, padding, dilations, groups)
