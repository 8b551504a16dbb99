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
import sys
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Executor
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mjpeg_restore.catalogue import COMPONENTS, GraphFile, Port
from mjpeg_restore.catalogue.ports import STATE, by_kind, state_shapes
from mjpeg_restore.errors import Hint, MissingExtra, RuntimeUnavailable
from mjpeg_restore.runtime.base import HostSession, Inputs, LoadSettings, Planes, Shapes, picture_size, wrap_errors
from mjpeg_restore.runtime.cpu import state
from mjpeg_restore.runtime.cpu.history import History, before_finer, learnt
from mjpeg_restore.runtime.cpu.part_sizes import Grids, Size
from mjpeg_restore.runtime.cpu.parts import Frame, Part, Parts, Remembered, Sparse, graph_inputs
from mjpeg_restore.runtime.cpu.projection import CHROMA_CONFIDENCE, LUMA_CONFIDENCE, PHASES, decode, native, project
from mjpeg_restore.runtime.cpu.shape_cache import CompiledGraph, CompiledGraphs, ShapeCache
from mjpeg_restore.runtime.cpu.sparse import LANES, Weights
from mjpeg_restore.runtime.cpu.sparse_model import SparseModel
from mjpeg_restore.runtime.cpu.state import ComponentState
from mjpeg_restore.runtime.weights import blended

_LOADING = Hint("try {device}", device="onnxruntime")
_RUNNING = Hint("try {device}, {model} or fewer {threads}", device="onnxruntime", model="stream-lite", threads=None)

_TELEMETRY = "openvino_telemetry"


@contextmanager
def _without_telemetry() -> Generator[None]:
    """Have OpenVINO load a stub in place of the package that reports each import to its makers, from a forked process,
    under a number that it keeps in the home directory: nobody consented, and no variable turns it off."""
    is_known, known = _TELEMETRY in sys.modules, sys.modules.get(_TELEMETRY)
    sys.modules[_TELEMETRY] = None  # pyright: ignore[reportArgumentType]  # as if it were not installed
    try:
        yield
    finally:
        del sys.modules[_TELEMETRY]
        if is_known:  # an application has loaded it, or keeps it from being loaded
            sys.modules[_TELEMETRY] = known  # pyright: ignore[reportArgumentType]


with wrap_errors("OpenVINO is installed but does not load", _LOADING), _without_telemetry():
    try:
        import openvino as ov
    except ModuleNotFoundError as error:
        raise MissingExtra("OpenVINO", "openvino", "this device") from error


def has_bf16(core: ov.Core, device: str) -> bool:
    """Whether the device computes in bf16, which is about twice as fast as float32.

    Raises:
        RuntimeUnavailable: OpenVINO cannot query the device.
    """
    with wrap_errors(f"OpenVINO cannot look at its device {device}", _LOADING):
        return "BF16" in core.get_property(device, "OPTIMIZATION_CAPABILITIES")


def check() -> str:
    """The devices that OpenVINO finds, and those that have bf16, in words."""
    with wrap_errors("OpenVINO does not start", _LOADING):
        core = ov.Core()
        devices = core.available_devices
    return ", ".join(f"{device} (bf16)" if has_bf16(core, device) else device for device in devices)


CUTS = (".phases", ".place")
"""Suffixes of the names of the tensors at which graphs are cut."""
GATE = (".deviation", ".past", ".believed")
"""Those of a gate's inputs and its output."""
NETWORK = (".share", ".entering", ".left", ".level", ".phases")
"""Those of the inputs of a network with a state, and its output."""


_LAYERS, _FLOAT16 = "network.", ".half"
"""What the names of a graph's weights begin with, and end with if they are kept as float16."""
_NO_WEIGHTS = {"inverse_dct.matrix"}
"""Names of constants that no layer has."""

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
        with wrap_errors("OpenVINO does not start", _LOADING):
            self._core = ov.Core()
            # A list of all devices takes a tenth of a second, and the CPU is always one of them.
            available = ["CPU"] if device == "CPU" else self._core.available_devices
        if device not in available:
            raise RuntimeUnavailable(f"OpenVINO has no device {device!r} here, only {', '.join(available)}")
        self._device = device
        with wrap_errors(f"OpenVINO cannot load {graph.label}", _LOADING):
            path = graph.path()
            self._graph = self._core.read_model(io.BytesIO(blended(path.read_bytes(), blend)) if blend else path)
            graph.check_names(_names(self._graph.inputs, graph.inputs), _names(self._graph.outputs, graph.outputs))
        self._bf16 = has_bf16(self._core, device)
        if device == "CPU":
            with suppress(RuntimeError):  # OpenVINO's pages do not name it, so another version may not know it
                self._core.set_property("CPU", _KEPT)
        self._has_state = graph.has_state
        self._has_level = bool(_tensors(self._graph, ".level"))
        self.at_once = min(settings.threads, MOST_PARTS)
        self._settings = {}
        if device == "CPU" and graph.has_state:
            # Parts of a picture are computed on the threads that call, as is what stands between gate and network.
            self._settings = {"INFERENCE_NUM_THREADS": 1, "NUM_STREAMS": 0}
        elif device == "CPU":
            self._settings = {"INFERENCE_NUM_THREADS": settings.threads, "NUM_STREAMS": settings.streams}
        self._compiled: CompiledGraphs[list[ov.InferRequest]] = CompiledGraphs()
        has_cuts = _tensors(self._graph, ".entering") and _tensors(self._graph, ".phases")
        self.sparse: Sparse | None = None
        has_extension = state.native is not None if graph.has_state else native is not None
        self._native = device == "CPU" and has_extension and bool(has_cuts)
        if self._native and graph.has_state and LANES:
            self.sparse = _sparse(self._graph)
        halved = self._native if graph.has_state else bool(_tensors(self._graph, *CUTS))
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
        return _Part(self._lent, level=self._has_level)

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
            inputs = [_shareable(array) for array in inputs]  # kept alive: the tensors share their memory
            with graph_for(tuple(array.shape for array in inputs)).request(self._compile) as requests:
                for request in requests:
                    _bind(request, inputs)
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
                parts = [(part, reduced) for part in _gate_and_network(model)]
        elif self._native:
            # In order of channels, luma precedes chroma, which has twice as many.
            entering, cuts = (sorted(_tensors(model, suffix), key=_channels) for suffix in (".entering", ".phases"))
            parts = [(_head_model(model, cuts, [_replace_by_input(tensor) for tensor in entering]), reduced)]
        elif self._bf16 and (cuts := _tensors(model, *CUTS)):
            parts = [*zip(_split_model(model, cuts), (reduced, full), strict=True)]

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


def _sparse(model: ov.Model) -> Sparse | None:
    """Gate and network of a graph with a state, computed natively; None if they are others than are known, or have
    channels that do not fill vectors."""
    constants = [node for node in model.get_ops() if node.get_type_name() == "Constant"]
    named = {node.get_friendly_name(): node.get_data() for node in constants}
    arrays = {name.removesuffix(_FLOAT16): array for name, array in named.items() if name.startswith(_LAYERS)}
    weights = Weights({name.removeprefix(_LAYERS): array for name, array in arrays.items()})
    try:
        found = SparseModel(weights)
    except (KeyError, ValueError):
        return None
    return None if weights.unread - _NO_WEIGHTS else found


def _names(tensors: Sequence[ov.Output], ports: Sequence[Port]) -> list[str]:
    """The tensors' names; of several for one tensor, a port's."""
    known = {port.name for port in ports}
    return [next(iter(tensor.names & known), tensor.any_name) for tensor in tensors]


def _tensors(model: ov.Model, *suffixes: str) -> list[ov.Output]:
    """A model's tensors whose names end in one of the suffixes."""
    outputs = [output for node in model.get_ops() for output in node.outputs()]
    return [output for output in outputs if any(name.endswith(suffixes) for name in output.names)]


def _channels(tensor: ov.Output) -> int:
    return tensor.get_partial_shape()[1].get_length()


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
    phases = _phases(head)
    confidence = (LUMA_CONFIDENCE, CHROMA_CONFIDENCE, CHROMA_CONFIDENCE)
    return tuple(
        project(part, *component, ramp) for part, component, ramp in zip(phases, components, confidence, strict=False)
    )


class _Part:
    """A `Part` of a frame: gate and network run in OpenVINO, and everything else natively.

    It learns nothing of the frame's history.

    The gate's inputs after the graph's own are deviation and past of each component in turn, float16
    `[1, blocks_high, blocks_wide, 64]`; the network's are described by `_gate_and_network`.
    """

    histories = None

    def __init__(self, lent: Callable[[Inputs], AbstractContextManager[list[ov.InferRequest]]], *, level: bool) -> None:
        """Begin a part.

        Args:
            lent: lends gate and network for a graph's inputs.
            level: whether the network has a significance map, and sees luma's level.
        """
        self._lent, self._has_level = lent, level

    def take(self, frame: Frame, states: Sequence[ComponentState], histories: Sequence[History]) -> Remembered:
        """Take the part into its state, as far as the gate believes the past; see `Part`."""
        own = [_shareable(array) for array in graph_inputs(frame, states, histories)]
        sides: list[NDArray[np.float16]] = []
        for component, known in zip(frame, states, strict=True):
            deviation, share = np.empty((2, 1, *component[0].shape), np.float16)
            state.observe(*component, known, deviation, share)
            sides += [deviation, share]
        with self._lent(own) as (gate, _):
            _bind(gate, [*_needed(own, gate), *sides])
            gate.infer()
            believed = [tensor.data for tensor in gate.output_tensors]
            return [state.take(*one, known, share) for one, known, share in zip(frame, states, believed, strict=True)]

    def run(self, frame: Frame, remembered: Remembered) -> None:
        """Run the network; see `Part`."""
        self._frame, self._remembered = frame, remembered
        # Of corrections and histories, the graph needs the shapes alone.
        states = [ComponentState(mean, evidence, mean) for mean, evidence in remembered]
        own = [_shareable(array) for array in graph_inputs(frame, states, [History() for _ in frame])]
        entering = self._entering()
        with self._lent(own) as (_, network):
            _bind(network, [*_needed(own, network), *entering])
            network.infer()
            self._phases = [part.copy() for part in _phases(network)]

    def _entering(self) -> list[NDArray[Any]]:
        """What enters the network."""
        shares = [np.empty((1, *coefficients.shape), np.float16) for coefficients, _ in self._frame]
        level = np.empty_like(shares[0]) if self._has_level else None
        entering: list[NDArray[Any]] = []
        planes: list[NDArray[np.float32]] = []
        for group in filter(None, (self._frame[:1], self._frame[1:])):
            high, wide, _ = group[0][0].shape
            pair = np.empty((2, 1, len(group), 8 * high, 8 * wide), np.float32)
            entering.extend(pair)
            planes.extend(pair[:, 0].swapaxes(0, 1))
        if level is not None:
            entering.append(level)
        for index, (component, known) in enumerate(zip(self._frame, self._remembered, strict=True)):
            state.enter(*component, *known, *planes[index], share=shares[index], level=None if index else level)
        return [*shares, *entering]

    def restore(
        self,
        means: Sequence[NDArray[np.int16]],
        corrections: Sequence[NDArray[np.int16]],
        wanted: Sequence[NDArray[np.bool_]],
        histories: Sequence[History],
    ) -> Planes:
        """Put the network's residual on top of the mean, mixed with what was restored before; see `state.restore`."""
        ramps = LUMA_CONFIDENCE, CHROMA_CONFIDENCE, CHROMA_CONFIDENCE
        planes: list[NDArray[np.uint8]] = []
        for index, (component, remembered) in enumerate(zip(self._frame, self._remembered, strict=True)):
            after, history = ComponentState(*remembered, corrections[index]), histories[index]
            place = self._phases[index], *component, means[index], after, wanted[index], ramps[index]
            planes.append(state.restore(*place, history.noise, history.mean_tells))
        return tuple(planes)


def _shareable(array: NDArray[Any]) -> NDArray[Any]:
    """An array whose memory OpenVINO takes: it refuses what is read-only, although it does not write to inputs."""
    return np.require(array, requirements=["C", "W"])


def _needed(own: Inputs, request: ov.InferRequest) -> list[NDArray[Any] | None]:
    """Those of a graph's own inputs that gate or network reads: the tables, and in a graph for any size the others, for
    their shapes."""
    is_fixed = request.model_inputs[0].get_partial_shape().is_static
    return [None if is_fixed and array.ndim > 1 else array for array in own]


def _bind(request: ov.InferRequest, arrays: Sequence[NDArray[Any] | None]) -> None:
    """Let a request work on arrays, which are kept alive meanwhile; None stands for inputs that it does without."""
    for index, array in enumerate(arrays):
        if array is not None:
            request.set_input_tensor(index, ov.Tensor(array, shared_memory=True))


def _phases(network: ov.InferRequest) -> list[NDArray[np.float16]]:
    """The network's residual of each component."""
    return [part for one in network.output_tensors for part in np.split(one.data[0], one.shape[1] // PHASES**2)]


def _replace_by_input(tensor: ov.Output, kind: ov.Type = ov.Type.f32) -> ov.Node:
    """A new input, connected in place of one of a model's float32 tensors."""
    parameter = ov.opset13.parameter(tensor.get_partial_shape(), kind)
    entering = parameter if kind == ov.Type.f32 else ov.opset13.convert(parameter, "f32")
    for target in tensor.get_target_inputs():
        target.replace_source_output(entering.output(0))
    return parameter


def _gate_and_network(model: ov.Model) -> tuple[ov.Model, ov.Model]:
    """Cut a graph with a state.

    The network's inputs after the graph's own are: the shares of each component; samples and deviations of luma, then
    of both chroma components; and luma's level, if it has a significance map.
    """
    gate, network = model, model.clone()
    known = {name: one for one in _tensors(gate, *GATE) for name in one.names}
    present = [component for component in COMPONENTS if f"{component}.believed" in known]
    sides = [known[f"{component}{suffix}"] for component in present for suffix in GATE[:2]]
    decided = [known[f"{component}{GATE[2]}"] for component in present]
    known = {name: one for one in _tensors(network, *NETWORK) for name in one.names}
    wanted = [(f"{component}.share", ov.Type.f16) for component in present]
    planes = [f"{layer}{suffix}" for layer in ("enter", "chroma_enter") for suffix in (".entering", ".left")]
    wanted += [*((name, ov.Type.f32) for name in planes), ("y.level", ov.Type.f16)]
    entering = [(known[name], kind) for name, kind in wanted if name in known]
    phases = sorted(_tensors(network, ".phases"), key=_channels)
    return (
        _head_model(gate, decided, [_replace_by_input(one, ov.Type.f16) for one in sides]),
        _head_model(network, phases, [_replace_by_input(*one) for one in entering]),
    )


def _head_model(model: ov.Model, cuts: list[ov.Output], further_inputs: Sequence[ov.Node] = ()) -> ov.Model:
    """The part of a model up to the cuts.

    Its outputs are float16: half the memory of float32, and eight times as fine as the bf16 they were computed in.
    """
    results = [ov.opset13.result(ov.opset13.convert(cut, "f16")) for cut in cuts]
    return ov.Model(results, [*model.get_parameters(), *further_inputs], "head")


def _split_model(model: ov.Model, cuts: list[ov.Output]) -> tuple[ov.Model, ov.Model]:
    """Cut a model into head and tail; the tail's inputs are the model's own, then the head's outputs."""
    consumers = [cut.get_target_inputs() for cut in cuts]
    head = _head_model(model, cuts).clone()
    parameters = []
    for cut, targets in zip(cuts, consumers, strict=True):
        parameter = ov.opset13.parameter(cut.get_partial_shape(), ov.Type.f16)
        converted = ov.opset13.convert(parameter, "f32")
        for target in targets:
            target.replace_source_output(converted.output(0))
        parameters.append(parameter)
    return head, ov.Model(model.get_results(), model.get_parameters() + parameters, "tail")
