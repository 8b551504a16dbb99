"""OpenVINO, for the CPUs, iGPUs and NPUs that it knows; bf16 where the CPU has it, eight bits where the graph says so.

bf16 has eight significant bits: plenty for a network's features, far too few for the arithmetic around them. So a
graph is cut where its network ends, at the tensors that `models/graph.py` names. What comes before, the head, runs in
bf16. What follows keeps to float32, and what it promises holds whatever the head computed:

* On the CPU, after `*.phases`, it is `projection.py`, where its native extension was built. Then the head begins at
  `*.entering`, for that decodes too.
* Else it is the rest of the graph, the tail; on a device without bf16 the graph then stays in one.

A graph without such tensors runs in float32 as a whole. What is in eight bits stays so everywhere.
"""

# OpenVINO's stubs leave many types open.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportGeneralTypeIssues=false

from __future__ import annotations

import io
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from mjpeg_restore.errors import Hint, MissingExtra, RuntimeUnavailable
from mjpeg_restore.runtime.base import Blend, Inputs, Planes, picture_size, wrap_errors
from mjpeg_restore.runtime.cpu.projection import CHROMA_CONFIDENCE, LUMA_CONFIDENCE, PHASES, decode, native, project
from mjpeg_restore.runtime.cpu.sizes import Shapes, Sizes
from mjpeg_restore.runtime.weights import blended

os.environ.setdefault("OPENVINO_TELEMETRY_OPT_OUT", "1")
_LOADING = Hint("try {device}", device="onnxruntime")
_RUNNING = Hint("try {device}, {model} or fewer {threads}", device="onnxruntime", model="stream-lite", threads=None)

with wrap_errors("OpenVINO is installed but does not load", _LOADING):
    try:
        import openvino as ov
    except ModuleNotFoundError as error:
        raise MissingExtra("OpenVINO", "openvino", "this device") from error


def has_bf16(core: ov.Core, device: str) -> bool:
    """Whether the device computes in bf16: then it is about twice as fast as in float32.

    Raises:
        RuntimeUnavailable: OpenVINO cannot tell.
    """
    with wrap_errors(f"OpenVINO cannot look at its device {device}", _LOADING):
        return "BF16" in core.get_property(device, "OPTIMIZATION_CAPABILITIES")


CUTS = (".phases", ".place")
"""Ends of the names of the tensors that networks end with."""


class OpenVino:
    """A graph compiled for an OpenVINO device."""

    def __init__(self, graph: Path, threads: int, streams: int, device: str, blend: Blend | None) -> None:
        with wrap_errors("OpenVINO does not start", _LOADING):
            self._core = ov.Core()
            # To ask every plugin takes a tenth of a second, and the CPU's is always there.
            available = ["CPU"] if device == "CPU" else self._core.available_devices
        if device not in available:
            raise RuntimeUnavailable(f"OpenVINO has no device {device!r} here, only {', '.join(available)}")
        self._device = device
        with wrap_errors(f"OpenVINO cannot load {graph.name}", _LOADING):
            model = io.BytesIO(blended(graph.read_bytes(), blend)) if blend else graph
            self._graph = self._core.read_model(model)
        self._bf16 = has_bf16(self._core, device)
        self._settings = {}
        if device == "CPU":
            self._settings = {"INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": streams}
        self._sizes: Sizes[list[ov.InferRequest]] = Sizes()
        ends = _tensors(self._graph, ".entering") and _tensors(self._graph, ".phases")
        self._native = device == "CPU" and native is not None and bool(ends)
        precision = "bf16" if self._bf16 and _tensors(self._graph, *CUTS) else "f32"
        if any(output.get_element_type() == ov.Type.i8 for node in self._graph.get_ops() for output in node.outputs()):
            precision = f"int8 and {precision}"
        self.name = f"OpenVINO {ov.__version__.split('-')[0]}, {device}, {precision}"

    def run(self, inputs: Inputs) -> Planes:
        """Restore one picture; see `Runtime`."""
        with wrap_errors(f"OpenVINO cannot restore a picture of {picture_size(inputs)}", _RUNNING):
            return self._run(inputs)

    def _run(self, inputs: Inputs) -> Planes:
        inputs = [np.ascontiguousarray(array) for array in inputs]  # memory is shared, and held until the end
        parts = self._sizes.choose(tuple(array.shape for array in inputs)).request(self._compile)
        for part in parts:
            for index, array in enumerate(inputs):
                part.set_input_tensor(index, ov.Tensor(array, shared_memory=True))
        return _run_between(parts[0], inputs) if self._native else _run_through(parts, len(inputs))

    def _compile(self, shapes: Shapes | None) -> Callable[[], list[ov.InferRequest]]:
        model = self._graph.clone()
        if shapes is not None:
            model.reshape(dict(zip(range(len(shapes)), map(ov.PartialShape, map(list, shapes)), strict=True)))
        full, reduced = ({"INFERENCE_PRECISION_HINT": kind} for kind in ("f32", "bf16" if self._bf16 else "f32"))
        parts = [(model, full)]
        if self._native:
            # Luma's samples and phases stand before chroma's, which are twice as many.
            entering, cuts = (sorted(_tensors(model, end), key=_channels) for end in (".entering", ".phases"))
            parts = [(_head(model, cuts, [_entrance(tensor) for tensor in entering]), reduced)]
        elif self._bf16 and (cuts := _tensors(model, *CUTS)):
            parts = [*zip(_split(model, cuts), (reduced, full), strict=True)]
        compiled = [self._core.compile_model(part, self._device, self._settings | hint) for part, hint in parts]
        return lambda: [model.create_infer_request() for model in compiled]


def _tensors(model: ov.Model, *ends: str) -> list[ov.Output]:
    """A model's tensors whose names end so."""
    outputs = [output for node in model.get_ops() for output in node.outputs()]
    return [output for output in outputs if any(name.endswith(ends) for name in output.names)]


def _channels(tensor: ov.Output) -> int:
    return tensor.get_partial_shape()[1].get_length()


def _run_through(parts: list[ov.InferRequest], known: int) -> Planes:
    """Run a whole graph, or its head and its tail. So many of their inputs are set, the graph's own; the tail has those
    beside them that the head gives.
    """
    carried: list[ov.Tensor] = []
    for part in parts:
        for index, tensor in enumerate(carried, known):
            part.set_input_tensor(index, tensor)
        part.infer()
        carried = list(part.output_tensors)
    return tuple(tensor.data.copy() for tensor in carried)


def _run_between(head: ov.InferRequest, inputs: Inputs) -> Planes:
    """Decode, run a head, project.

    After the graph's own inputs the head has one of luma's samples, `[1, 1, 8 blocks_high, 8 blocks_wide]`, and for
    colour one of Cb's and Cr's, `[1, 2, ...]`.
    """
    components = list(zip(inputs[::2], inputs[1::2], strict=True))
    groups = [components[:1], components[1:]][: len(head.output_tensors)]
    for entering, group in zip(head.input_tensors[len(inputs) :], groups, strict=True):
        high, wide, _ = group[0][0].shape
        entering.shape = (1, len(group), 8 * high, 8 * wide)
        for (coefficients, table), samples in zip(group, entering.data[0], strict=True):
            decode(coefficients, table, samples)
    head.infer()
    phases = [part for tensor in head.output_tensors for part in np.split(tensor.data[0], tensor.shape[1] // PHASES**2)]
    confidence = (LUMA_CONFIDENCE, CHROMA_CONFIDENCE, CHROMA_CONFIDENCE)
    return tuple(
        project(part, *component, ramp) for part, component, ramp in zip(phases, components, confidence, strict=False)
    )


def _entrance(tensor: ov.Output) -> ov.Node:
    """A new input in the place of one of a model's tensors."""
    entrance = ov.opset13.parameter(tensor.get_partial_shape(), ov.Type.f32)
    for target in tensor.get_target_inputs():
        target.replace_source_output(entrance.output(0))
    return entrance


def _head(model: ov.Model, cuts: list[ov.Output], entrances: Sequence[ov.Node] = ()) -> ov.Model:
    """What comes before some of a model's tensors, and ends with these.

    What it hands on is float16: half the memory, and eight times as fine as the bf16 it was computed in.
    """
    results = [ov.opset13.result(ov.opset13.convert(cut, "f16")) for cut in cuts]
    return ov.Model(results, [*model.get_parameters(), *entrances], "head")


def _split(model: ov.Model, cuts: list[ov.Output]) -> tuple[ov.Model, ov.Model]:
    """Cut a model in two; the tail takes the model's own inputs, then the head's outputs."""
    users = [cut.get_target_inputs() for cut in cuts]
    head = _head(model, cuts).clone()
    places = []
    for cut, targets in zip(cuts, users, strict=True):
        place = ov.opset13.parameter(cut.get_partial_shape(), ov.Type.f16)
        whole = ov.opset13.convert(place, "f32")
        for target in targets:
            target.replace_source_output(whole.output(0))
        places.append(place)
    return head, ov.Model(model.get_results(), model.get_parameters() + places, "tail")
