"""Inputs and outputs in the forms that TensorRT takes."""

from __future__ import annotations

import numpy as np
from onnx import NodeProto, TensorProto, ValueInfoProto, helper

from mjpeg_restore.catalogue.ports import STATE
from mjpeg_restore.runtime.rewriting.graph import Graph, attributes

SUFFIX = ".value"
"""Of the name of an input's values in float32."""


def inputs_as_bytes(graph: Graph) -> None:
    """Take int16 inputs as their bytes, uint8 `[..., 2]`, the lower one first, and uint16 inputs as float32.

    The bytes are put together on the device: nothing is converted on the CPU, and nothing larger is copied. A state
    stays on the device: what is int16 of it is float32 there.
    """
    values: dict[str, str] = {}
    begin: list[NodeProto] = []
    for tensor in graph.inputs:
        kind = tensor.type.tensor_type
        whole = kind.elem_type == TensorProto.INT16
        if kind.elem_type == TensorProto.UINT16 or (whole and tensor.name.rpartition(".")[2] in STATE):
            kind.elem_type = TensorProto.FLOAT
            values[tensor.name] = tensor.name
        elif whole:
            begin += _joined(graph, tensor)
            values[tensor.name] = tensor.name + SUFFIX
    instead = dict(values)
    for node in graph.nodes:  # they are in float32 already
        if node.op_type == "Cast" and node.input[0] in values and attributes(node)["to"] == TensorProto.FLOAT:
            instead[node.output[0]] = values[node.input[0]]
    graph.rewire(instead)
    graph.nodes[:0] = begin


def _joined(graph: Graph, tensor: ValueInfoProto) -> list[NodeProto]:
    """Turn an int16 input into one of bytes: low + 256 high, less 65536 where the highest bit says "negative"."""
    name, kind = tensor.name, tensor.type.tensor_type
    rank = len(kind.shape.dim)
    kind.elem_type = TensorProto.UINT8
    kind.shape.dim.add(dim_value=2)
    low, high, sign = (f"{name}.{part}" for part in ("low", "high", "sign"))
    whole = {part: graph.constant(f"bytes.{part}", np.float32(part)) for part in (128, 256, 65536)}
    index = [graph.constant(f"bytes.{part}", np.int64(part)) for part in (0, 1)]
    return [
        helper.make_node("Cast", [name], [f"{name}.bytes"], to=TensorProto.FLOAT),  # TensorRT wants it first
        helper.make_node("Gather", [f"{name}.bytes", index[0]], [low], axis=rank),
        helper.make_node("Gather", [f"{name}.bytes", index[1]], [high], axis=rank),
        helper.make_node("Mul", [high, whole[256]], [f"{high}.scaled"]),
        helper.make_node("Div", [high, whole[128]], [f"{sign}.ratio"]),
        helper.make_node("Floor", [f"{sign}.ratio"], [sign]),  # 0 or 1
        helper.make_node("Mul", [sign, whole[65536]], [f"{sign}.scaled"]),
        helper.make_node("Add", [low, f"{high}.scaled"], [f"{name}.unsigned"]),
        helper.make_node("Sub", [f"{name}.unsigned", f"{sign}.scaled"], [name + SUFFIX]),
    ]


def outputs_cast_last(graph: Graph) -> None:
    """Round and clip in float32, and let a Cast to uint8 be the last node of each output of that type.

    Outputs of int16, which are whole numbers of a state, stay in float32.
    """
    graph.nodes = [part for node in graph.nodes for part in _rounded(graph, node)]
    makers = graph.makers()
    for output in graph.model.graph.output:
        if output.type.tensor_type.elem_type == TensorProto.INT16:
            output.type.tensor_type.elem_type = TensorProto.FLOAT
            makers[output.name].CopyFrom(helper.make_node("Identity", makers[output.name].input, [output.name]))
        elif output.type.tensor_type.elem_type == TensorProto.UINT8:
            whole = f"{output.name}.whole"
            makers[output.name].output[list(makers[output.name].output).index(output.name)] = whole
            graph.rewire({output.name: whole})
            graph.nodes.append(helper.make_node("Cast", [whole], [output.name], to=TensorProto.UINT8))


def _rounded(graph: Graph, node: NodeProto) -> list[NodeProto]:
    """What gives a node's uint8 values in float32."""
    name = node.output[0]
    if node.op_type == "Cast" and attributes(node)["to"] == TensorProto.UINT8:
        return [helper.make_node("Floor", [node.input[0]], [name])]  # as a Cast does; most are whole already
    if node.op_type != "QuantizeLinear":
        return [node]
    source, step, *rest = node.input
    zero = graph.constants[rest[0]] if any(rest) else np.uint8(0)
    limits = [graph.constant(f"rounding.{end}", np.float32(end)) for end in (0, 255)]
    shift = graph.constant(f"{name}.shift", zero.astype(np.float32))
    nodes: list[NodeProto] = []
    if graph.constants.get(step) != 1:
        nodes.append(helper.make_node("Div", [source, step], [f"{name}.steps"]))
        source = f"{name}.steps"
    return [
        *nodes,
        helper.make_node("Round", [source], [f"{name}.rounded"]),  # half to even, as QuantizeLinear, before the shift
        helper.make_node("Add", [f"{name}.rounded", shift], [f"{name}.shifted"]),
        helper.make_node("Clip", [f"{name}.shifted", *limits], [name]),
    ]
