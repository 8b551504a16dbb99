"""Mixed precision, which lives in the graph: float16 where learnt layers compute, float32 elsewhere.

Each node computes in one type, and its tensors have that type:

* Convolutions, and products with learnt matrices, compute in float16. A matrix is not learnt if its rows are
  orthogonal, as those of a DCT: what is multiplied by it, or by what is made of it and a quantisation table, stays in
  float32.
* Elementwise operators and layout changes between such layers compute in float16 if all their tensors are in float16.
  What mixes both types, such as the addition of a predicted residual to the decoded samples, is in float32, and so is
  what follows the last layer.
* Layout changes whose result goes to float16 alone are done in float16.
* All else stays in float32: dequantisation, statistics, transforms, projection, rounding. So does all of a context
  graph, whose result is a statistic of the whole picture: its features may be large, and it costs next to nothing.

Values that leave float32 are clipped to +-`LIMIT`, so that coefficients that no encoder writes overflow nowhere.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper

from mjpeg_restore.runtime.rewriting.graph import Graph

LIMIT = 256.0
"""Largest magnitude of a value that enters float16. Samples in all usual units, and normalised coefficients, are below:
of LIVE1 the largest is 38. Features grow up to 125 times above it, which leaves half of float16's range, 65504."""

CONVOLUTIONS = {"Conv", "ConvTranspose"}
PRODUCTS = {"Gemm", "MatMul"}
LAYOUT = {
    "Concat",
    "DepthToSpace",
    "Expand",
    "Flatten",
    "Gather",
    "Identity",
    "Pad",
    "Reshape",
    "Slice",
    "SpaceToDepth",
    "Split",
    "Squeeze",
    "Tile",
    "Transpose",
    "Unsqueeze",
}
"""Operators that compute nothing."""
ELEMENTWISE = {
    "Abs",
    "Add",
    "AveragePool",
    "BatchNormalization",
    "Clip",
    "Div",
    "Elu",
    "Gelu",
    "HardSigmoid",
    "HardSwish",
    "LeakyRelu",
    "Max",
    "MaxPool",
    "Min",
    "Mul",
    "Neg",
    "PRelu",
    "Relu",
    "Resize",
    "Sigmoid",
    "Sub",
    "Tanh",
    "Where",
}
"""Operators whose results are about as large as their inputs, each of a few values."""

SMALLEST = 2.0**-25
"""A smaller number is zero in float16."""
UNTYPED = {"Shape", "Size"}
"""Operators to which the type of their input is all the same."""

FEWEST_ROWS = 8
"""Of a matrix that may be a transform: that of a DCT of eight samples."""
ORTHOGONAL = 1e-3
"""Largest cosine between rows that count as orthogonal; those of learnt matrices are never that close throughout."""


def halve(graph: Graph) -> None:
    """Let learnt layers, and what lies between them, compute in float16."""
    if all(output.type.tensor_type.elem_type == TensorProto.FLOAT for output in graph.model.graph.output):
        return  # a context
    types = graph.types()
    halved = _halved(graph, types)
    nodes: list[NodeProto] = []
    casts: dict[str, str] = {}
    for node in graph.nodes:
        half = node.output[0] in halved
        for name in [] if node.op_type in UNTYPED else _operands(node, types):
            if half == (name in halved):
                continue
            if name not in casts:
                casts[name] = _cast(graph, nodes, name, half)
            _take_instead(node, name, casts[name])
        nodes.append(node)
    graph.nodes = nodes


def _cast(graph: Graph, nodes: list[NodeProto], name: str, half: bool) -> str:
    """The name of a tensor in the other type, after the nodes that make it, or as a constant."""
    if not half:
        nodes.append(helper.make_node("Cast", [name], [f"{name}.float32"], to=TensorProto.FLOAT))
        return f"{name}.float32"
    cast = f"{name}.float16"
    if name in graph.constants:
        return graph.constant(cast, graph.constants[name].astype(np.float16))
    limits = [graph.constant(f"float16.{end}", np.float32(limit)) for end, limit in (("min", -LIMIT), ("max", LIMIT))]
    nodes.append(helper.make_node("Clip", [name, *limits], [f"{name}.clipped"]))
    nodes.append(helper.make_node("Cast", [f"{name}.clipped"], [cast], to=TensorProto.FLOAT16))
    return cast


def _take_instead(node: NodeProto, old: str, new: str) -> None:
    for index, name in enumerate(node.input):
        if name == old:
            node.input[index] = new


def _halved(graph: Graph, types: dict[str, int]) -> set[str]:
    """The tensors that are in float16."""
    layers, able = _able(graph, types)
    users = graph.users()
    halved: set[str] = set()
    for node in reversed(graph.nodes):
        first = node.output[0]
        if types.get(first) != TensorProto.FLOAT:
            continue
        onwards = [user.output[0] in halved for name in node.output for user in users.get(name, [])]
        in_trunk = first in able and any(onwards)
        leads_there = node.op_type in LAYOUT and bool(onwards) and all(onwards)
        if first in layers or in_trunk or leads_there:
            halved.update(node.output)
    return halved


def _able(graph: Graph, types: dict[str, int]) -> tuple[set[str], set[str]]:
    """The outputs of learnt layers, and all tensors that are made of nothing else: these can be in float16."""
    transforms = {name for name, array in graph.constants.items() if _is_transform(array)}
    layers: set[str] = set()
    able: set[str] = set()
    for node in graph.nodes:
        operands = _operands(node, types)
        made = [name for name in operands if name not in graph.constants]
        weights = [graph.constants[name] for name in operands if name in graph.constants]
        if types.get(node.output[0]) != TensorProto.FLOAT or not all(map(_fits, weights)):
            continue
        if not transforms.isdisjoint(operands):
            if node.op_type in LAYOUT | ELEMENTWISE:
                transforms.update(node.output)
        elif node.op_type in CONVOLUTIONS or (
            node.op_type in PRODUCTS and any(name in graph.constants or name in able for name in operands[:2])
        ):
            layers.update(node.output)
            able.update(node.output)
        elif node.op_type in LAYOUT | ELEMENTWISE and made and able.issuperset(made):
            able.update(node.output)
    return layers, able


def _operands(node: NodeProto, types: dict[str, int]) -> list[str]:
    """The float32 tensors that a node takes, without the scales of Resize, which are in float32 always."""
    taken = node.input[:1] if node.op_type == "Resize" else node.input
    return [name for name in dict.fromkeys(taken) if types.get(name) == TensorProto.FLOAT]


def _fits(constant: NDArray[Any]) -> bool:
    """Whether float16 can hold it: nothing is too large, and a single number does not become zero."""
    lost = constant.size == 1 and 0 < abs(float(constant.item())) < SMALLEST
    return not lost and bool(np.abs(constant).max(initial=0) <= np.finfo(np.float16).max)


def _is_transform(constant: NDArray[Any]) -> bool:
    """Whether it is a matrix with orthogonal rows, or convolution masks that are."""
    if constant.dtype != np.float32 or constant.ndim < 2 or constant.shape[0] < FEWEST_ROWS:
        return False
    rows = constant.reshape(len(constant), -1).astype(np.float64)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    if rows.shape[0] > rows.shape[1] or not lengths.all():
        return False
    return all(_orthogonal(some) for some in (rows[:FEWEST_ROWS] / lengths[:FEWEST_ROWS], rows / lengths))


def _orthogonal(rows: NDArray[np.float64]) -> bool:
    """Whether rows of length one are orthogonal to each other."""
    return bool(np.abs(rows @ rows.T - np.eye(len(rows))).max() < ORTHOGONAL)
