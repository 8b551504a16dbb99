"""A graph while it is rewritten: its nodes in order of execution, and its constants as arrays."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import AttributeProto, ModelProto, NodeProto, ValueInfoProto

from mjpeg_restore.errors import RuntimeUnavailable
from mjpeg_restore.runtime.weights import parsed


@dataclass
class Graph:
    """An ONNX graph whose passes change `nodes` and `constants`, and the model's inputs and outputs in place."""

    model: ModelProto
    nodes: list[NodeProto]
    """In an order in which each tensor is made before it is used."""
    constants: dict[str, NDArray[Any]]
    """Weights and other constants by the names of their tensors."""

    @classmethod
    def load(cls, data: bytes) -> Graph:
        """Read the contents of an ONNX file.

        Raises:
            RuntimeUnavailable: it has a control flow or functions, whose inner graphs the passes would not see.
            Exception: it is no ONNX file, or one without its weights; see `weights.parsed`.
        """
        model = parsed(data)
        if model.functions or model.graph.sparse_initializer:
            raise RuntimeUnavailable("a graph with functions or sparse weights cannot be rewritten for a GPU")
        constants = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
        nodes: list[NodeProto] = []
        for node in model.graph.node:
            if any(attribute.type == AttributeProto.GRAPH for attribute in node.attribute):
                raise RuntimeUnavailable(f"a graph with control flow ({node.op_type}) cannot be rewritten for a GPU")
            value = attributes(node).get("value")
            if node.op_type == "Constant" and isinstance(value, onnx.TensorProto):
                constants[node.output[0]] = onnx.numpy_helper.to_array(value)
            else:
                nodes.append(node)
        return cls(model, nodes, constants)

    def save(self) -> bytes:
        """The contents of an ONNX file, without the nodes and constants that nothing uses."""
        self._sweep()
        graph = self.model.graph
        del graph.node[:], graph.initializer[:], graph.value_info[:]
        graph.node.extend(self.nodes)
        graph.initializer.extend(onnx.numpy_helper.from_array(array, name) for name, array in self.constants.items())
        return self.model.SerializeToString()

    def _sweep(self) -> None:
        used = {output.name for output in self.model.graph.output}
        kept: list[NodeProto] = []
        for node in reversed(self.nodes):
            if used.intersection(node.output):
                kept.append(node)
                used.update(node.input)
        self.nodes = kept[::-1]
        self.constants = {name: array for name, array in self.constants.items() if name in used}

    @property
    def inputs(self) -> Iterable[ValueInfoProto]:
        """The graph's inputs; older files list their constants among them."""
        return [tensor for tensor in self.model.graph.input if tensor.name not in self.constants]

    def makers(self) -> dict[str, NodeProto]:
        """The node that makes each tensor, for all but inputs and constants."""
        return {name: node for node in self.nodes for name in node.output}

    def users(self) -> dict[str, list[NodeProto]]:
        """The nodes that take each tensor."""
        found: dict[str, list[NodeProto]] = {}
        for node in self.nodes:
            for name in dict.fromkeys(node.input):
                found.setdefault(name, []).append(node)
        return found

    def types(self) -> dict[str, int]:
        """The element type of each tensor, a value of `TensorProto.DataType`, as far as ONNX can infer it."""
        typed = onnx.shape_inference.infer_shapes(onnx.load_model_from_string(self.save())).graph
        values = [*typed.input, *typed.value_info, *typed.output]
        return {value.name: value.type.tensor_type.elem_type for value in values} | {
            name: onnx.helper.np_dtype_to_tensor_dtype(array.dtype) for name, array in self.constants.items()
        }

    def constant(self, name: str, value: NDArray[Any] | np.generic) -> str:
        """Add a constant under this name, unless it is there, and return the name."""
        self.constants.setdefault(name, np.asarray(value))
        return name

    def rewire(self, tensors: Mapping[str, str]) -> None:
        """Let all nodes take other tensors: a mapping of old names to new ones."""
        for node in self.nodes:
            for index, name in enumerate(node.input):
                node.input[index] = tensors.get(name, name)


def attributes(node: NodeProto) -> dict[str, Any]:
    """A node's attributes by name."""
    return {attribute.name: onnx.helper.get_attribute_value(attribute) for attribute in node.attribute}
