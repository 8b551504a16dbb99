"""What float16 costs: the graphs that a GPU runs, computed on the CPU with a GPU's rounding."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import onnx
import onnxruntime
from onnx import ModelProto, NodeProto, TensorProto, helper

from measuring.metrics import psnr
from measuring.pictures import Kind, Plane, encode, original
from measuring.scores import samples
from mjpeg_restore.catalogue import GraphFile, Model
from mjpeg_restore.jpeg import read
from mjpeg_restore.jpeg.dct import DCT_MATRIX
from mjpeg_restore.restorer import Restorer
from mjpeg_restore.runtime.base import HostNetwork, Inputs, Planes, Progress
from mjpeg_restore.runtime.rewriting import for_tensorrt
from mjpeg_restore.runtime.rewriting.precision import LAYOUT

MAX_LOSS = 0.02
"""Most PSNR in dB that a picture may lose to float16."""

SPLITTER = 2.0**13 + 1
"""Veltkamp's constant: x SPLITTER - (x SPLITTER - x) is a float32 x, rounded to the 11 bits of a float16."""


@dataclass(frozen=True, slots=True)
class Loss:
    """One picture at one quality, restored in float32 and with a trunk in float16."""

    psnr: float
    """In dB, of float32."""
    loss: float
    """PSNR of float32 less that of float16, in dB."""
    largest: int
    """Largest difference of a sample."""
    outside: int
    """Coefficients of the float output that float16 moved out of their quantisation cells; 0 for a network that does
    not guarantee the cells."""


def losses(model: Model, pictures: list[Plane], quality: int, kind: Kind) -> Iterator[Loss]:
    """Compress and restore pictures in float32 and with a trunk in float16, and compare."""
    single, half = (Rewritten(model, half=half) for half in (False, True))
    for picture in pictures:
        truth = original(picture, kind)
        coded = read(encode(truth, quality))
        ours, before = samples(single, coded), half.outside
        theirs, decibel = samples(half, coded), psnr(ours, truth)
        largest = int(np.abs(ours.astype(int) - theirs).max())
        yield Loss(decibel, decibel - psnr(theirs, truth), largest, half.outside - before)


class Rewritten(Restorer):
    """A model whose graphs are those for TensorRT, computed by ONNX Runtime on the CPU."""

    def __init__(self, model: Model, *, half: bool) -> None:
        super().__init__(model, "onnxruntime", memory=sys.maxsize)  # no tiles
        self._half = half
        self._rewritten: dict[str, RewrittenNetwork] = {}

    def network(self, graph: GraphFile, progress: Progress | None = None) -> RewrittenNetwork:
        """One of the model's graphs; see `Restorer`."""
        if graph.file not in self._rewritten:
            self._rewritten[graph.file] = RewrittenNetwork(graph, half=self._half, projected=self.model.projected)
        return self._rewritten[graph.file]

    @property
    def outside(self) -> int:
        """Coefficients of all pictures so far that left their quantisation cells; see `Loss`."""
        return sum(network.outside for network in self._rewritten.values())


class RewrittenNetwork(HostNetwork):
    """A graph for TensorRT in ONNX Runtime, which takes the inputs of the contract."""

    def __init__(self, graph: GraphFile, *, half: bool, projected: bool = False) -> None:
        """Rewrite and load a graph.

        Args:
            graph: a file of the catalogue.
            half: whether its trunk is in float16; it is rounded accordingly.
            projected: whether it guarantees the quantisation cells: `outside` counts what leaves them.
        """
        model = onnx.load_model_from_string(for_tensorrt(graph.path().read_bytes(), half=half))
        round_as_float16(model)
        self.outside = 0
        self._types = [port.dtype for port in graph.outputs]
        if projected:
            names = [f"{port.name}.samples" for port in graph.outputs if port.kind == "samples"]
            model.graph.output.extend(helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in names)
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        self.name = f"ONNX Runtime {onnxruntime.__version__}, CPU, as for TensorRT in {'fp16' if half else 'fp32'}"

    def run(self, inputs: Inputs) -> Planes:
        """Restore one picture; see `HostNetwork`."""
        names = [node.name for node in self._session.get_inputs()]
        found = [
            np.asarray(array) for array in self._session.run(None, dict(zip(names, as_bytes(inputs), strict=True)))
        ]
        outputs, floating = found[: len(self._types)], found[len(self._types) :]
        for blocks, quantised, table in zip(floating, inputs[::2], inputs[1::2], strict=False):  # noise may follow
            again = np.rint(blocks[0].astype(np.float64) @ DCT_MATRIX.T / table)
            self.outside += int((again != quantised).sum())
        return tuple(array.astype(kind, copy=False) for array, kind in zip(outputs, self._types, strict=True))


def as_bytes(inputs: Inputs) -> Inputs:
    """A graph's inputs in the types of `for_tensorrt`."""
    with_state = any(array.dtype == np.float16 for array in inputs)
    without_state = 2 * len(inputs) // 6 if with_state else len(inputs)  # each component has six
    return [
        np.ascontiguousarray(array, "<i2").view(np.uint8).reshape(*array.shape, 2)
        if array.dtype == np.int16 and place < without_state
        else array.astype(np.float16 if array.dtype == np.float16 else np.float32)
        for place, array in enumerate(inputs)
    ]


def round_as_float16(model: ModelProto) -> None:
    """Turn float16 tensors into float32 ones with the values of float16: each result is rounded.

    ONNX Runtime has few operators in float16 on a CPU: it computes in float32, and rounds where it has to and no more
    often. A GPU rounds what each of its kernels writes, which may comprise several nodes: here is the worst case.
    """
    types = {
        value.name: value.type.tensor_type.elem_type
        for value in onnx.shape_inference.infer_shapes(model).graph.value_info
    }
    for weights in model.graph.initializer:
        if weights.data_type == TensorProto.FLOAT16:
            array = onnx.numpy_helper.to_array(weights).astype(np.float32)
            weights.CopyFrom(onnx.numpy_helper.from_array(array, weights.name))
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.array(SPLITTER, np.float32), "splitter"))
    ends = {output.name for output in model.graph.output}  # a state's, whose type is that of the contract
    nodes: list[NodeProto] = []
    for node in model.graph.node:
        for attribute in node.attribute:
            if node.op_type == "Cast" and attribute.i == TensorProto.FLOAT16 and ends.isdisjoint(node.output):
                attribute.i = TensorProto.FLOAT
        nodes.append(node)
        for index, name in enumerate(node.output):
            if types.get(name) == TensorProto.FLOAT16 and node.op_type not in LAYOUT:
                node.output[index] = f"{name}.exact"
                nodes += [
                    helper.make_node("Mul", [f"{name}.exact", "splitter"], [f"{name}.scaled"]),
                    helper.make_node("Sub", [f"{name}.scaled", f"{name}.exact"], [f"{name}.rest"]),
                    helper.make_node("Sub", [f"{name}.scaled", f"{name}.rest"], [name]),
                ]
    del model.graph.node[:], model.graph.value_info[:]
    model.graph.node.extend(nodes)
