"""Passes over an exported graph: fused rounding, tensor names, float16 weights, no metadata."""

from __future__ import annotations

import re

import numpy as np
import onnx

PREDICTIONS = {"project": "place", "phases": "phases"}
"""Names of the outputs of a network's last layers, by the layers' names."""
LAST_LAYER = re.compile(r"network\.(?P<layer>.*predict)\.(?P<name>project|phases)\.weight")
"""Names of the last layers' weights."""
FIRST_LAYER = re.compile(r"network\.(?P<layer>(chroma_)?enter)\.weight")
"""Names of the weights of layers whose input is the decoded samples."""

GATE = re.compile(r"network\.(chroma_)?gate\.judge\.weight")
"""Names of the first weights of gates. Four tensors of each component enter them side by side."""
PAST = re.compile(r"network\.past\.\d\.weight")
ENTER_STATE = re.compile(r"network\.(?P<layer>(chroma_)?enter)_state\.weight")
SIGNIFICANCE = re.compile(r"network\.significance\.shares\.weight")

FLOAT16_SUFFIX = ".half"
"""Suffix of the names of weights that are stored as float16."""

SMALLEST_HALVED = 1024
"""Minimum number of weights of a tensor to be stored as float16."""


def fuse_rounding(model: onnx.ModelProto) -> None:
    """Fuse each sequence of level shift, rounding, clamping and cast into one equivalent node, QuantizeLinear."""
    makers = {output: node for node in model.graph.node for output in node.output}
    constants = {
        "rounding.step": np.array(1, np.float32),
        "rounding.shift": np.array(128, np.uint8),
    }
    model.graph.initializer.extend(onnx.numpy_helper.from_array(value, name) for name, value in constants.items())
    for cast in [node for node in model.graph.node if _casts_to_uint8(node)]:
        clip = makers[cast.input[0]]
        rounding = makers[clip.input[0]]
        shift = makers[rounding.input[0]]
        assert [node.op_type for node in (clip, rounding, shift)] == ["Clip", "Round", "Add"]
        whole = onnx.helper.make_node("QuantizeLinear", [shift.input[0], *constants], list(cast.output))
        model.graph.node.insert(list(model.graph.node).index(shift), whole)
        for node in (cast, clip, rounding, shift):
            model.graph.node.remove(node)
    used = {name for node in model.graph.node for name in node.input}
    for constant in [tensor for tensor in model.graph.initializer if tensor.name not in used]:
        model.graph.initializer.remove(constant)


def _casts_to_uint8(node: onnx.NodeProto) -> bool:
    return node.op_type == "Cast" and node.attribute[0].i == onnx.TensorProto.UINT8


def name_inner_tensors(model: onnx.ModelProto) -> None:
    """Give inner tensors the names of the contract; see `graph.py`."""
    renamed: dict[str, str] = {}
    makers = {output: node for node in model.graph.node for output in node.output}
    components = iter(output.name for output in model.graph.output)
    for node in model.graph.node:
        if node.op_type == "QuantizeLinear" and node.input[1] == "rounding.step":
            renamed[node.input[0]] = f"{next(components)}.samples"
        if node.op_type == "Conv" and (last := LAST_LAYER.fullmatch(_origin(node.input[1], makers))):
            layer, kind = last["layer"], PREDICTIONS[last["name"]]
            times = sum(name.startswith(f"{layer}.") for name in renamed.values())
            renamed[node.output[0]] = f"{layer}.{times + 1}.{kind}" if times else f"{layer}.{kind}"
        if node.op_type == "Conv" and (first := FIRST_LAYER.fullmatch(_origin(node.input[1], makers))):
            joined = makers[node.input[0]]
            entering = joined.input[0] if joined.op_type == "Concat" else node.input[0]
            renamed[entering] = f"{first['layer']}.entering"
    if any(name.name.endswith(".mean") for name in model.graph.input):
        renamed |= _state_tensors(model, makers)
    for node in model.graph.node:
        for tensors in (node.input, node.output):
            for index, tensor in enumerate(tensors):
                tensors[index] = renamed.get(tensor, tensor)


def _state_tensors(model: onnx.ModelProto, makers: dict[str, onnx.NodeProto]) -> dict[str, str]:
    """New names by old ones of the tensors around the gates, and before the network, of a graph with a state."""

    def above(tensor: str, kind: str) -> onnx.NodeProto:
        """The nearest node of a kind that a tensor is computed by."""
        node = makers[tensor]
        while node.op_type != kind:
            node = makers[node.input[0]]
        return node

    renamed: dict[str, str] = {}
    judged, believed, shared = (iter(("y", "cb", "cr")) for _ in range(3))
    for node in model.graph.node:
        weight = node.input[1] if len(node.input) > 1 else ""
        if GATE.fullmatch(weight):
            entering = above(node.input[0], "Concat").input
            for deviation, past in zip(entering[::4], entering[3::4], strict=True):
                component = next(judged)
                renamed |= {deviation: f"{component}.deviation", past: f"{component}.past"}
        if node.op_type == "Sigmoid":
            renamed[node.output[0]] = f"{next(believed)}.believed"
        if PAST.fullmatch(weight):
            renamed[above(node.input[0], "Reshape").input[0]] = f"{next(shared)}.share"
        if SIGNIFICANCE.fullmatch(weight):
            renamed[above(node.input[0], "Abs").input[0]] = "y.level"
        if enter := ENTER_STATE.fullmatch(weight):
            renamed[above(node.input[0], "Concat").input[0]] = f"{enter['layer']}.left"
    return renamed


def _origin(tensor: str, makers: dict[str, onnx.NodeProto]) -> str:
    """The name of the weights that a tensor is computed from, by rounding for example."""
    while (maker := makers.get(tensor)) and maker.input:
        tensor = maker.input[0]
    return tensor


def store_as_float16(model: onnx.ModelProto) -> None:
    """Store learnt weights as float16, to halve the file; a runtime converts them to float32 when it loads the graph.

    Constants such as the DCT matrix stay float32: the guarantee about the quantisation cell depends on them.
    """
    for tensor in list(model.graph.initializer):
        weights = onnx.numpy_helper.to_array(tensor)
        learnt = tensor.name.startswith("network.") and "inverse_dct" not in tensor.name
        if not learnt or weights.dtype != np.float32 or weights.size < SMALLEST_HALVED:
            continue
        name = f"{tensor.name}{FLOAT16_SUFFIX}"
        model.graph.initializer.remove(tensor)
        model.graph.initializer.append(onnx.numpy_helper.from_array(weights.astype(np.float16), name))
        cast = onnx.helper.make_node("Cast", [name], [tensor.name], to=onnx.TensorProto.FLOAT)
        model.graph.node.insert(0, cast)


def strip(model: onnx.ModelProto) -> None:
    """Remove the exporter's metadata about the machine and the source code."""
    for node in model.graph.node:
        del node.metadata_props[:]
        node.doc_string = ""
    for holder in (model, model.graph, *model.graph.value_info, *model.graph.input, *model.graph.output):
        del holder.metadata_props[:]
        holder.doc_string = ""
    del model.graph.value_info[:]
    del model.functions[:]
