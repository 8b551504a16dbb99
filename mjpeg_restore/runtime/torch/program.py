"""An ONNX graph as a program of PyTorch's functions.

A `Program` is a graph that is checked, with its weights on a device. A `Plan` is what is left to do for pictures of one
size: all that depends on sizes and weights alone has been computed when it is made, on the host, and nothing that it
does waits for the device. So it can be captured as a CUDA graph, and several threads may run it at the same time.
"""

# pyright: basic
# PyTorch's types say little.

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import onnx
import torch
from torch import Tensor

from mjpeg_restore.errors import Hint, RuntimeUnavailable
from mjpeg_restore.runtime.base import Shapes, wrap_errors
from mjpeg_restore.runtime.torch.fusing import fused
from mjpeg_restore.runtime.torch.operators import OPERATORS, SHAPES, TUNED, TYPES, Node

OLDEST = 13
"""Version of ONNX's operators from which on all of `OPERATORS` mean the same, or have other attributes."""

WEIGHTED = ("Conv", "ConvTranspose")
"""Operators whose second input is to lie in memory as GPUs read it fastest."""

Shape = tuple[int, ...]

_HINT = Hint("try {device}", device="onnxruntime")


@dataclass(frozen=True, slots=True)
class Step:
    """One function of a plan."""

    function: Callable[..., Any]
    inputs: tuple[int, ...]
    """Places of its arguments."""
    outputs: tuple[int, ...]
    free: tuple[int, ...]
    """Places that nobody reads after it."""


class Plan:
    """What is to be done for pictures of one size."""

    def __init__(
        self,
        places: list[Tensor | None],
        steps: list[Step],
        results: list[int],
        outputs: list[tuple[Shape, torch.dtype]],
    ) -> None:
        self._places, self._steps, self._results = places, steps, results
        self.outputs = outputs
        """Shapes and types of the results."""

    def __call__(self, inputs: Sequence[Tensor]) -> list[Tensor]:
        """Compute the graph's outputs, which may share memory with the inputs."""
        places = [*inputs, *self._places]
        for step in self._steps:
            made = step.function(*[places[place] for place in step.inputs])
            if len(step.outputs) == 1 and isinstance(made, Tensor):
                places[step.outputs[0]] = made
            else:
                for place, tensor in zip(step.outputs, made, strict=True):
                    places[place] = tensor
            for place in step.free:
                places[place] = None
        return [places[place] for place in self._results]


class Program:
    """A graph with its weights on a device."""

    def __init__(self, data: bytes, name: str, device: torch.device) -> None:
        """Read a graph.

        Args:
            data: the contents of an ONNX file.
            name: of the file, for messages.
            device: where it is to run.

        Raises:
            RuntimeUnavailable: it is no graph, or has an operator or an attribute that is not in `OPERATORS`.
        """
        self.name, self.device = name, device
        with wrap_errors(f"PyTorch cannot load {name}", _HINT):
            model = onnx.load_model_from_string(data)
            version = next((one.version for one in model.opset_import if one.domain in ("", "ai.onnx")), 0)
            if version < OLDEST:
                raise RuntimeUnavailable(f"PyTorch cannot run {name}: its operators are of version {version}", _HINT)
            graph = model.graph
            self._known: dict[str, Tensor] = {
                one.name: torch.from_numpy(_numbers(one).copy()) for one in graph.initializer
            }
            inputs = [one for one in graph.input if one.name not in self._known]
            self.inputs = {one.name: self._type(one.type.tensor_type.elem_type) for one in inputs}
            self.outputs = [one.name for one in graph.output]
            self._nodes: list[Node] = []
            for node in graph.node:
                self._read(node)
        self._placed: dict[str, Tensor] = {}
        self._place_weights()

    @property
    def types(self) -> list[torch.dtype]:
        """Of the inputs."""
        return [*self.inputs.values()]

    def plan(self, shapes: Shapes, *, tuned: bool = False, fuse: bool = False) -> Plan:
        """Prepare for inputs of these shapes.

        Args:
            shapes: of all inputs.
            tuned: on a GPU, time the algorithms of convolutions with the first picture: worth it for many pictures.
            fuse: join steps, to spare passes over memory; see `fusing.py`. Results may differ in the last bit.

        Raises:
            RuntimeUnavailable: an operator does not take these shapes, or what PyTorch cannot do.
        """
        nodes = fused(self._nodes, self.outputs) if fuse else self._nodes
        return _Planning(self, shapes, tuned).plan(nodes)

    def _read(self, node: onnx.NodeProto) -> None:
        """Add a node, or compute it if nothing in it depends on the picture."""
        if node.op_type == "Constant" and not node.domain:
            self._known[node.output[0]] = _constant(node)
            return
        operator = OPERATORS.get(node.op_type) if node.domain in ("", "ai.onnx") else None
        if operator is None:
            title = f"{node.domain}.{node.op_type}" if node.domain else node.op_type
            raise RuntimeUnavailable(f"PyTorch cannot run {self.name}: no operator {title}", _HINT)
        attributes = {one.name: _plain(onnx.helper.get_attribute_value(one)) for one in node.attribute}
        if unknown := attributes.keys() - operator.attributes:
            which = ", ".join(sorted(unknown))
            raise RuntimeUnavailable(f"PyTorch cannot run {self.name}: no {which} of operator {node.op_type}", _HINT)
        if "num_outputs" in operator.attributes and len(node.input) < 2:
            attributes.setdefault("num_outputs", len(node.output))
        outputs = tuple(node.output)
        while outputs and not outputs[-1]:
            outputs = outputs[:-1]
        added = Node(node.op_type, operator, attributes, tuple(node.input), outputs)
        if all(name in self._known for name in added.inputs if name):
            made = self.run(added, [self._known[name] if name else None for name in added.inputs])
            self._known.update(zip(added.outputs, made, strict=True))
        else:
            self._nodes.append(added)

    def run(self, node: Node, arguments: Sequence[Tensor | None]) -> tuple[Tensor, ...]:
        """A node's results, or those that only have a shape, of arguments that only have one.

        Raises:
            RuntimeUnavailable: PyTorch cannot do it.
        """
        with wrap_errors(f"PyTorch cannot run operator {node.kind} of {self.name}", _HINT):
            made = node.computed(arguments)
            if len(made) != len(node.outputs):
                raise NotImplementedError(f"{len(node.outputs)} outputs")
            return made

    def _type(self, number: int) -> torch.dtype:
        if number not in TYPES:
            raise RuntimeUnavailable(f"PyTorch cannot run {self.name}: type {number} of an input", _HINT)
        return TYPES[number]

    def _place_weights(self) -> None:
        used = {name for node in self._nodes for name in node.inputs}
        self._known = {name: known for name, known in self._known.items() if name in used or name in self.outputs}
        for node in self._nodes:
            weight = self._known.get(node.inputs[1]) if node.kind in WEIGHTED else None
            if weight is not None and weight.ndim == 4:
                self._known[node.inputs[1]] = weight.contiguous(memory_format=torch.channels_last)

    def placed(self, name: str, known: Tensor) -> Tensor:
        """A constant on the device; weights are there once for all plans."""
        if known is not self._known.get(name):
            return known.to(self.device)
        return self._placed.setdefault(name, known.to(self.device))


class _Planning:
    """A run of a program in which tensors of the picture have a shape and a type, but no values."""

    def __init__(self, program: Program, shapes: Shapes, tuned: bool) -> None:
        self._program, self._tuned = program, tuned
        self._known = dict(program._known)
        self._shaped: dict[str, Tensor] = {
            name: torch.empty(shape, dtype=kind, device="meta")
            for (name, kind), shape in zip(program.inputs.items(), shapes, strict=True)
        }
        self._place_of: dict[str | tuple[str, bool], int] = {name: i for i, name in enumerate(self._shaped)}
        self._places: list[Tensor | None] = []
        self._steps: list[tuple[Callable[..., Any], tuple[int, ...], tuple[int, ...]]] = []

    def plan(self, nodes: Sequence[Node]) -> Plan:
        program = self._program
        with torch.inference_mode():
            for node in nodes:
                self._add(node)
            results = [self._result(name) for name in program.outputs]
        outputs = [(tuple(value.shape), value.dtype) for value in map(self._value, program.outputs)]
        return Plan(self._places, _freeing(self._steps, results), results, outputs)

    def _add(self, node: Node) -> None:
        arguments = [self._value(name) if name else None for name in node.inputs]
        whole = [None if one is None else one.is_meta for one in arguments]
        if not any(whole) or node.kind in SHAPES:
            self._known.update(zip(node.outputs, self._program.run(node, arguments), strict=True))
            return
        places: list[int] = []
        for i, (name, argument) in enumerate(zip(node.inputs, arguments, strict=True)):
            if argument is None:
                places.append(self._place(""))
            elif argument.is_meta:
                if i in node.operator.on_host:
                    message = (
                        f"PyTorch cannot run operator {node.kind} of {self._program.name}: sizes that depend on samples"
                    )
                    raise RuntimeUnavailable(message, _HINT)
                places.append(self._place_of[name])
            else:
                on_host = i in node.operator.on_host or (node.operator.takes_scalars and argument.ndim == 0)
                places.append(self._place(name, on_host=on_host))
                arguments[i] = argument if on_host else argument.to("meta")
        made = self._program.run(node, arguments)
        function = partial(node.operator.function, **node.attributes)
        if self._tuned and node.operator.tunable:
            function = partial(function, **{TUNED: True})
        for name, shaped in zip(node.outputs, made, strict=True):
            self._shaped[name] = shaped
            self._place_of[name] = self._new(None)
        self._steps.append((function, tuple(places), tuple(self._place_of[name] for name in node.outputs)))

    def _value(self, name: str) -> Tensor:
        return self._known[name] if name in self._known else self._shaped[name]

    def _place(self, name: str, *, on_host: bool = True) -> int:
        """The place of a constant, or of nothing."""
        key = (name, on_host)
        if key not in self._place_of:
            known = self._known[name] if name else None
            if known is not None and not on_host:
                known = self._program.placed(name, known)
            self._place_of[key] = self._new(known)
        return self._place_of[key]

    def _result(self, name: str) -> int:
        return self._place(name, on_host=False) if name in self._known else self._place_of[name]

    def _new(self, content: Tensor | None) -> int:
        self._places.append(content)
        return len(self._program.inputs) + len(self._places) - 1


def _freeing(
    steps: list[tuple[Callable[..., Any], tuple[int, ...], tuple[int, ...]]], results: Iterable[int]
) -> list[Step]:
    """Let each step free what no later one reads."""
    needed = set(results)
    found: list[Step] = []
    for function, taken, made in reversed(steps):
        free = {*taken, *made} - needed
        needed |= {*taken, *made}
        found.append(Step(function, taken, made, tuple(free)))
    return found[::-1]


def _numbers(tensor: onnx.TensorProto) -> Any:
    """The values of a constant, in a type that PyTorch knows."""
    if tensor.data_type not in TYPES or tensor.data_type == onnx.TensorProto.BFLOAT16:
        raise NotImplementedError(f"type {tensor.data_type} of {tensor.name}")
    values = onnx.numpy_helper.to_array(tensor)
    return values.astype("int32") if tensor.data_type == onnx.TensorProto.UINT16 else values


def _plain(value: Any) -> Any:
    """An attribute's value in the types that functions take."""
    if isinstance(value, bytes):
        return value.decode()
    return torch.from_numpy(_numbers(value).copy()) if isinstance(value, onnx.TensorProto) else value


def _constant(node: onnx.NodeProto) -> Tensor:
    """The value of a Constant node, of which there are several forms."""
    name, value = node.attribute[0].name, _plain(onnx.helper.get_attribute_value(node.attribute[0]))
    match name:
        case "value":
            return value
        case "value_float" | "value_floats":
            return torch.tensor(value, dtype=torch.float32)
        case "value_int" | "value_ints":
            return torch.tensor(value, dtype=torch.int64)
    raise NotImplementedError(f"{name} of operator Constant")
