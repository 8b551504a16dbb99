"""Rewritten graphs, run by ONNX Runtime on the CPU, and pictures for them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mjpeg_restore import catalogue
from mjpeg_restore.catalogue import GraphFile
from mjpeg_restore.runtime import Inputs
from mjpeg_restore.runtime.cpu.history import History
from tests.lacking import needs

onnx = needs("onnx")
onnxruntime = needs("onnxruntime")

SAMPLINGS = {"4:4:4": (1, 1), "4:2:0": (2, 2), "4:2:2": (1, 2), "4:1:1": (1, 4), "4:4:0": (2, 1)}
"""Blocks of luma for one of chroma, down and across."""


def shipped() -> dict[str, GraphFile]:
    """The graphs of the catalogue, by their files' names."""
    variants = [variant for model in catalogue.shipped().values() for variant in model.variants]
    return {graph.file: graph for variant in variants for graph in variant.graphs.values()}


GRAPHS = shipped()
"""All of them; `.path()` is read by the test."""


def content(file: str) -> bytes:
    return GRAPHS[file].path().read_bytes()


def eight_bit(graph: bytes) -> bool:
    """Whether a graph rounds activations to 8 bits."""
    return any(node.op_type == "DequantizeLinear" for node in onnx.load_model_from_string(graph).graph.node)


def inputs(graph: GraphFile, chroma: tuple[int, int], step: tuple[int, int] = (1, 1), seed: int = 0) -> Inputs:
    """A picture drawn at random, of that many blocks of chroma, and `step` blocks of luma for each."""
    random = np.random.default_rng(seed)
    luma = (chroma[0] * step[0], chroma[1] * step[1])
    found: list[NDArray[Any]] = []
    for port in graph.inputs:
        high, wide = chroma if port.name.startswith(("cb.", "cr.")) else luma
        match port.kind:
            case "coefficients":
                spread = np.geomspace(8, 0.05, 64)
                found.append(np.rint(random.laplace(0, spread, (high, wide, 64))).astype(np.int16))
            case "table":
                found.append(random.integers(1, 30, 64).astype(np.uint16))
            case "noise":
                found.append(random.standard_normal((4 * high, 4 * wide), np.float32))
            case "mean" | "correction":  # in 16ths: those of small coefficients, with large steps
                spread = np.geomspace(1000, 10, 64) if port.kind == "mean" else 30
                found.append(np.rint(random.laplace(0, spread, (high, wide, 64))).astype(np.int16))
            case "evidence":
                found.append(random.choice([0, 0.01, 0.3], (high, wide, 64)).astype(np.float16))
            case "history":
                found.append(History(found[1], 4.0).packed())
            case _:
                found.append(
                    random.random([int(size) for size in port.shape], np.float32) / 100
                )  # as QGCN's contexts are
    return found


def as_bytes(inputs: Inputs) -> Inputs:
    """The inputs in the types of `for_tensorrt`."""
    with_state = any(array.dtype == np.float16 for array in inputs)
    count = 2 * len(inputs) // 6 if with_state else len(inputs)
    return [
        np.ascontiguousarray(array, "<i2").view(np.uint8).reshape(*array.shape, 2)
        if array.dtype == np.int16 and place < count
        else array.astype(np.float16 if array.dtype == np.float16 else np.float32)
        for place, array in enumerate(inputs)
    ]


class Loaded:
    """A graph in ONNX Runtime, with one thread: sums are computed in one order."""

    def __init__(self, graph: bytes) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 3
        options.add_session_config_entry("session.disable_quant_qdq", "1")  # as `OnnxRuntime`: no other arithmetic
        self._session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        self.inputs = [node.name for node in self._session.get_inputs()]

    def run(self, inputs: Inputs) -> list[NDArray[Any]]:
        return [np.asarray(array) for array in self._session.run(None, dict(zip(self.inputs, inputs, strict=True)))]


def types(model: Any) -> dict[str, int]:
    """The element type of each tensor."""
    graph = onnx.shape_inference.infer_shapes(model).graph
    values = [*graph.input, *graph.value_info, *graph.output]
    constants = {tensor.name: tensor.data_type for tensor in graph.initializer}
    return {value.name: value.type.tensor_type.elem_type for value in values} | constants


def small_graph(nodes: list[Any], inputs: list[Any], outputs: list[Any], **constants: NDArray[Any]) -> bytes:
    """A graph of a few nodes; values are `(name, element type, shape)`."""
    made = [onnx.numpy_helper.from_array(array, name) for name, array in constants.items()]
    sides = [[onnx.helper.make_tensor_value_info(*value) for value in side] for side in (inputs, outputs)]
    model = onnx.helper.make_model(
        onnx.helper.make_graph(nodes, "graph", *sides, made),
        opset_imports=[onnx.helper.make_opsetid("", 18)],
        ir_version=10,
    )
    onnx.checker.check_model(model, full_check=True)
    return model.SerializeToString()
