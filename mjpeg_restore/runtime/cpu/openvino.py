"""OpenVINO on CPUs, integrated GPUs and NPUs: in bf16 if the device has it, and int8 in a graph's int8 layers.

bf16 has eight significant bits: enough for a network's features, far too few for the arithmetic around them. So a graph
is cut at the end of its network, at tensors that `models/graph.py` names. The part before the cut, the head, runs in
bf16. The part after it runs in float32, and guarantees the quantisation cell whatever the head computed:

* On the CPU, for graphs that end in `*.phases`, the native extension behind `projection.py` computes that part if it
  was built. It decodes too, so the head then begins at `*.entering`.
* A graph with a state is cut at its gate as well: the extension behind `state.py` computes what stands before the gate,
  between gate and network, and after the network. Without it, the graph runs in float32.
* On x86-64 CPUs with AVX2, gate and network of such a graph are computed natively where only a part of a picture is
  wanted (`sparse_model.py`).
* Otherwise the rest of the graph, the tail, runs in OpenVINO. Without bf16, head and tail stay one graph.

A graph without the named tensors runs in float32. On x86-64 int8 layers run in int8 in every case; on ARM OpenVINO
computes them in float32.
"""

# OpenVINO's stubs leave many types open.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportGeneralTypeIssues=false

from __future__ import annotations

import io
import platform
from collections.abc import Callable, Generator
from concurrent.futures import Executor
from contextlib import ExitStack, contextmanager, suppress

import numpy as np

from mjpeg_restore.catalogue import GraphFile
from mjpeg_restore.catalogue.ports import STATE, by_kind, state_shapes
from mjpeg_restore.errors import Hint, RuntimeUnavailable
from mjpeg_restore.runtime.base import HostSession, Inputs, LoadSettings, Planes, Shapes, picture_size, wrap_errors
from mjpeg_restore.runtime.cpu import state
from mjpeg_restore.runtime.cpu.history import History, before_finer, learnt
from mjpeg_restore.runtime.cpu.openvino_graphs import (
    CUTS,
    channels,
    gate_and_network,
    head_model,
    names_of,
    replace_by_input,
    sparse_of,
    split_model,
    tensors_named,
)
from mjpeg_restore.runtime.cpu.openvino_library import LOADING, has_bf16, ov
from mjpeg_restore.runtime.cpu.openvino_part import OpenVinoPart, bind, phases_of, shareable
from mjpeg_restore.runtime.cpu.part_sizes import Grids, Size
from mjpeg_restore.runtime.cpu.parts import Part, Parts, Sparse
from mjpeg_restore.runtime.cpu.projection import CHROMA_CONFIDENCE, LUMA_CONFIDENCE, decode, native, project
from mjpeg_restore.runtime.cpu.shape_cache import CompiledGraph, CompiledGraphs, ShapeCache
from mjpeg_restore.runtime.cpu.sparse import LANES
from mjpeg_restore.runtime.cpu.state import ComponentState
from mjpeg_restore.runtime.weights import blended

_RUNNING = Hint("try {device}, {model} or fewer {threads}", device="onnxruntime", model="stream-lite", threads=None)

_HAS_INT8 = platform.machine() in ("x86_64", "AMD64")

_KEPT = {"CPU_RUNTIME_CACHE_CAPACITY": 256}
"""Layers, each prepared for one size, that the CPU keeps of a graph for any sizes: a few sizes' worth. Of the 5000 that
it keeps by itself, each further size takes 2 MB."""

MOST_PARTS = 4
"""Parts of one picture or of several, at most, that are under way at the same time, of a graph with a state: those of
one picture have margins, and those of several come later."""


class OpenVino:
    """A graph for one of OpenVINO's devices, compiled for the sizes of its sessions' pictures.

    Attributes:
        at_once: see `Parts`.
        divides: likewise.
        sparse: likewise.
    """

    divides = True
    largest: tuple[int, int] | None = None
    memory: int | None = None
    broken: bool = False

    def __init__(self, graph: GraphFile, settings: LoadSettings) -> None:
        device, blend = settings.detail or "CPU", settings.blend
        with wrap_errors("OpenVINO does not start", LOADING):
            self._core = ov.Core()
            # A list of all devices takes a tenth of a second, and the CPU is always one of them.
            available = ["CPU"] if device == "CPU" else self._core.available_devices
        if device not in available:
            raise RuntimeUnavailable(f"OpenVINO has no device {device!r} here, only {', '.join(available)}")
        self._device = device
        with wrap_errors(f"OpenVINO cannot load {graph.label}", LOADING):
            path = graph.path()
            self._graph = self._core.read_model(io.BytesIO(blended(path.read_bytes(), blend)) if blend else path)
            graph.check_names(names_of(self._graph.inputs, graph.inputs), names_of(self._graph.outputs, graph.outputs))
        self._bf16 = has_bf16(self._core, device)
        if device == "CPU":
            with suppress(RuntimeError):  # OpenVINO's pages do not name it, so another version may not know it
                self._core.set_property("CPU", _KEPT)
        self._has_state = graph.has_state
        self._has_level = bool(tensors_named(self._graph, ".level"))
        self.at_once = min(settings.threads, MOST_PARTS)
        self._settings = {}
        if device == "CPU" and graph.has_state:
            # Parts of a picture are computed on the threads that call, as is what stands between gate and network.
            self._settings = {"INFERENCE_NUM_THREADS": 1, "NUM_STREAMS": 0}
        elif device == "CPU":
            self._settings = {"INFERENCE_NUM_THREADS": settings.threads, "NUM_STREAMS": settings.streams}
        self._compiled: CompiledGraphs[list[ov.InferRequest]] = CompiledGraphs()
        has_cuts = tensors_named(self._graph, ".entering") and tensors_named(self._graph, ".phases")
        self.sparse: Sparse | None = None
        has_extension = state.native is not None if graph.has_state else native is not None
        self._native = device == "CPU" and has_extension and bool(has_cuts)
        if self._native and graph.has_state and LANES:
            self.sparse = sparse_of(self._graph)
        halved = self._native if graph.has_state else bool(tensors_named(self._graph, *CUTS))
        precision = "bf16" if self._bf16 and halved else "f32"
        if _HAS_INT8 and any(
            output.get_element_type() == ov.Type.i8 for node in self._graph.get_ops() for output in node.outputs()
        ):
            precision = f"int8 and {precision}"
        self.name = f"OpenVINO {ov.__version__.split('-')[0]}, {device}, {precision}"

    def camera(self, pool: Executor) -> None:
        """None: the state is in the host's memory; see `Network`."""
        return

    def session(self, pool: Executor) -> HostSession:
        """Begin a session, for whose sizes the graph is compiled; see `Network`."""
        if self.parts():
            return HostSession(self._run_part, pool)
        if self._has_state:
            return HostSession(lambda inputs: self._run(inputs, self._compiled.ready), pool)
        cache = ShapeCache(self._compiled)
        return HostSession(lambda inputs: self._run(inputs, cache.graph_for), pool)

    def parts(self) -> Parts | None:
        """The network itself, where the extension computes what stands around it; see `HasParts`."""
        return self if self._native and self._has_state else None

    def part(self) -> Part:
        """The next part of a frame, of a graph with a state; see `Parts`."""
        return OpenVinoPart(self._lent, level=self._has_level)

    @contextmanager
    def _lent(self, inputs: Inputs) -> Generator[list[ov.InferRequest]]:
        """Gate and network for a part of a frame."""
        graph = self._compiled.ready(tuple(array.shape for array in inputs))
        what = f"OpenVINO cannot restore a picture of {picture_size(inputs)}"
        with wrap_errors(what, _RUNNING), graph.request(self._compile) as requests:
            yield requests

    def prepare(self, size: Size, grids: Grids) -> object:
        """Compile a graph with a state for parts of pictures; it is kept as long as the result is.

        Args:
            size: blocks of luma of the parts.
            grids: blocks of each component of the pictures.
        """
        found = [(size[0] * high // grids[0][0], size[1] * wide // grids[0][1], 64) for high, wide in grids]
        shapes = (*(shape for one in found for shape in (one, (64,))), *state_shapes(found))
        with wrap_errors(f"OpenVINO cannot prepare for pictures of {8 * size[1]}x{8 * size[0]}", _RUNNING):
            graph = self._compiled.fixed(shapes)
            with ExitStack() as lent:
                for _ in range(self.at_once):
                    lent.enter_context(graph.request(self._compile))
            return graph

    def _run(self, inputs: Inputs, graph_for: Callable[[Shapes], CompiledGraph[list[ov.InferRequest]]]) -> Planes:
        with wrap_errors(f"OpenVINO cannot restore a picture of {picture_size(inputs)}", _RUNNING):
            inputs = [shareable(array) for array in inputs]  # kept alive: the tensors share their memory
            with graph_for(tuple(array.shape for array in inputs)).request(self._compile) as requests:
                for request in requests:
                    bind(request, inputs)
                return _run_head(requests[0], inputs) if self._native else _run_graph(requests, len(inputs))

    def _run_part(self, inputs: Inputs) -> Planes:
        """All of a graph with a state, by its parts' steps."""
        count = len(inputs) // (2 + len(STATE))
        frame = list(zip(inputs[: 2 * count : 2], inputs[1 : 2 * count : 2], strict=True))
        *blocks, packed = by_kind(inputs[2 * count :])
        histories = [History.unpacked(array) for array in packed]
        tables = [table for _, table in frame]
        states = [ComponentState(*map(np.array, one)) for one in zip(*blocks, strict=True)]
        before = [before_finer(*one) for one in zip(states, histories, tables, strict=True)]
        part = self.part()
        remembered = part.take(frame, before, histories)
        part.run(frame, remembered)
        histories = [
            learnt(history, *component, state, evidence)
            for history, component, state, (_, evidence) in zip(histories, frame, before, remembered, strict=True)
        ]
        corrections = [one.correction for one in states]
        everywhere = [np.ones(coefficients.shape[:2], np.bool_) for coefficients, _ in frame]
        planes = part.restore([one.mean for one in before], corrections, everywhere, histories)
        after = zip(remembered, corrections, histories, strict=True)
        return (*planes, *(array for pair, one, history in after for array in (*pair, one, history.packed())))

    def _compile(self, shapes: Shapes | None) -> Callable[[], list[ov.InferRequest]]:
        model = self._graph.clone()
        if shapes is not None:
            model.reshape(dict(zip(range(len(shapes)), map(ov.PartialShape, map(list, shapes)), strict=True)))
        full, reduced = ({"INFERENCE_PRECISION_HINT": kind} for kind in ("f32", "bf16" if self._bf16 else "f32"))
        parts = [(model, full)]
        if self._has_state:
            if self._native:
                parts = [(part, reduced) for part in gate_and_network(model)]
        elif self._native:
            # In order of channels, luma precedes chroma, which has twice as many.
            entering, cuts = (sorted(tensors_named(model, suffix), key=channels) for suffix in (".entering", ".phases"))
            parts = [(head_model(model, cuts, [replace_by_input(tensor) for tensor in entering]), reduced)]
        elif self._bf16 and (cuts := tensors_named(model, *CUTS)):
            parts = [*zip(split_model(model, cuts), (reduced, full), strict=True)]

        configured = [(part, self._settings | hint) for part, hint in parts]
        models = [self._core.compile_model(part, self._device, settings) for part, settings in configured]
        if self._settings.get("NUM_STREAMS") != 0:
            return lambda: [model.create_infer_request() for model in models]
        # Of such a model one request at a time is computed. A copy takes a fifth of the time that a compilation takes.
        exported: list[bytes] = [model.export_model() for model in models]
        unused = [models]

        def request() -> list[ov.InferRequest]:
            try:
                own = unused.pop()
            except IndexError:
                pairs = zip(exported, configured, strict=True)
                own = [self._core.import_model(model, self._device, settings) for model, (_, settings) in pairs]
            return [model.create_infer_request() for model in own]

        return request


def _run_graph(requests: list[ov.InferRequest], bound: int) -> Planes:
    """Run a whole graph, or its head and then its tail.

    The first `bound` inputs, the graph's own, are bound already; the tail's further inputs come from the head.
    """
    outputs: list[ov.Tensor] = []
    for request in requests:
        for index, tensor in enumerate(outputs, bound):
            request.set_input_tensor(index, tensor)
        request.infer()
        outputs = list(request.output_tensors)
    return tuple(tensor.data.copy() for tensor in outputs)


def _run_head(head: ov.InferRequest, inputs: Inputs) -> Planes:
    """Decode natively, run the head, and project natively.

    The head's inputs after the graph's own are luma's samples, float32 `[1, 1, 8 blocks_high, 8 blocks_wide]`, and in
    colour those of Cb and Cr, `[1, 2, ...]`.
    """
    components = list(zip(inputs[::2], inputs[1::2], strict=True))
    groups = [components[:1], components[1:]][: len(head.output_tensors)]
    for entering, group in zip(head.input_tensors[len(inputs) :], groups, strict=True):
        high, wide, _ = group[0][0].shape
        entering.shape = (1, len(group), 8 * high, 8 * wide)
        for (coefficients, table), samples in zip(group, entering.data[0], strict=True):
            decode(coefficients, table, samples)
    head.infer()
    phases = phases_of(head)
    confidence = (LUMA_CONFIDENCE, CHROMA_CONFIDENCE, CHROMA_CONFIDENCE)
    return tuple(
        project(part, *component, ramp) for part, component, ramp in zip(phases, components, confidence, strict=False)
    )
