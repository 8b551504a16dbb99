"""Build engines: an ONNX graph becomes the program of a GPU."""

# Neither package has stubs.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from traceback import clear_frames
from typing import Any, NamedTuple

from mjpeg_restore.catalogue import Port
from mjpeg_restore.errors import RuntimeUnavailable
from mjpeg_restore.runtime.base import Progress, wrap_errors
from mjpeg_restore.runtime.tensorrt.package import Package, Target, written
from mjpeg_restore.runtime.tensorrt.profile import Profile

POLL = 0.1
"""Seconds between two calls of the progress function."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is built of which graph."""

    name: str
    """The graph's, for messages: "stream.colour"."""
    graph: bytes
    """An ONNX file in the form that TensorRT takes, `rewriting.for_tensorrt`."""
    inputs: Sequence[Port]
    """The ports of the graph that it was made of."""
    profile: Profile
    target: Target


class Built(NamedTuple):
    """An engine, and what was learnt while it was built."""

    engine: bytes
    """Empty if the build was cancelled."""
    timing: bytes
    """Measured times of kernels, which make the next build on the same GPU faster; empty where nothing is measured."""


def build(
    plan: Plan,
    package: Package,
    progress: Progress,
    timing: bytes = b"",
    cancelled: Callable[[Built], None] = lambda _: None,
) -> Built:
    """Build an engine.

    TensorRT works on a thread of its own, and this one calls `progress`. So a build can be cancelled by a signal as
    well, and no exception ever meets the C++ code that calls back. A cancelled build ends with the step that it is at,
    which takes up to a few seconds with the largest graphs.

    Args:
        plan: what to build.
        package: by which of the packages.
        progress: an exception that it raises cancels the build, and is raised here.
        timing: of earlier builds for the same GPU.
        cancelled: given what there is of a cancelled build, before the exception is raised here: what was measured, and
            an engine that was finished nevertheless.

    Raises:
        RuntimeUnavailable: the package does not take the graph or the target, or it failed.
    """
    what = f"building {plan.name} for {plan.target.gpu or f'compute capability {written(plan.target.capability)}'}"
    progress(what, 0.0)
    meter = _Meter()
    with ThreadPoolExecutor(1, "engine-build") as thread:
        built = thread.submit(_build, plan, package, meter, timing)
        try:
            while not wait([built], POLL).done:
                progress(what, meter.share)
            progress(what, 1.0)
        except BaseException:
            meter.cancelled = True
            wait([built])
            if not built.exception():
                cancelled(built.result())
            raise
    return built.result()


def _build(plan: Plan, package: Package, meter: _Meter, timing: bytes) -> Built:
    with wrap_errors(f"{package.name} cannot build {plan.name}"), plan.target.current():
        try:
            return _built(plan, package, meter, timing)  # its objects end while the GPU is still the current one
        except BaseException as error:
            # They end now as well. If the traceback kept them, the garbage collector would end them some day, perhaps
            # within a call of TensorRT's which logs: that holds the lock that their end waits for.
            clear_frames(error.__traceback__)
            raise


def _built(plan: Plan, package: Package, meter: _Meter, timing: bytes) -> Built:
    trt = package.module
    builder = _builder(package)
    flag = getattr(trt.NetworkDefinitionCreationFlag, "STRONGLY_TYPED", None)  # TensorRT 11 knows no other networks
    network = builder.create_network(0 if flag is None else 1 << int(flag))
    _parse(plan, package, network)
    config = builder.create_builder_config()
    config.add_optimization_profile(_profile(plan, builder, network))
    if hasattr(trt.BuilderFlag, "REQUIRE_USER_ALLOCATION"):  # of RTX: else its engines may allocate while they run,
        config.set_flag(trt.BuilderFlag.REQUIRE_USER_ALLOCATION)  # which cannot be captured as a graph
    monitor = _monitor(trt, meter)
    config.progress_monitor = monitor
    # TF32 has 11 significant bits: too few for a DCT to stay in the quantisation cell. At quality 95, 0.3 % of the
    # coefficients left it.
    config.clear_flag(trt.BuilderFlag.TF32)
    measured: Any = None
    if package.edition.portable:
        config.num_compute_capabilities = 1
        config.set_compute_capability(package.kind_of(plan.target.capability), 0)
    else:
        measured = _timing_cache(config, timing)
    package.failure()  # what was logged before, such as of another GPU's timing cache, is not why a build fails
    engine = builder.build_serialized_network(network, config)
    if engine is None and not meter.cancelled:
        raise RuntimeUnavailable(f"{package.name} cannot build {plan.name} ({package.failure()})", package.instead)
    return Built(bytes(engine or b""), b"" if measured is None else bytes(measured.serialize()))


def _builder(package: Package) -> Any:
    try:
        return package.module.Builder(package.logger)
    except TypeError:  # the bindings' way to say that it is None
        why = package.failure()
        raise RuntimeUnavailable(f"{package.name} finds no GPU, or its driver is too old ({why})") from None


def _parse(plan: Plan, package: Package, network: Any) -> None:
    parser = package.module.OnnxParser(network, package.logger)
    if not parser.parse(plan.graph):
        errors = (parser.get_error(index) for index in range(parser.num_errors))
        told = "; ".join(dict.fromkeys(f"{error.node_name() or 'the graph'}: {error.desc()}" for error in errors))
        raise RuntimeUnavailable(
            f"{package.name} does not take {plan.name} ({' '.join(told.split()) or 'no ONNX graph'})"
        )


def _profile(plan: Plan, builder: Any, network: Any) -> Any:
    ports = {port.name: port for port in plan.inputs}
    profile = builder.create_optimization_profile()
    for index in range(network.num_inputs):
        tensor = network.get_input(index)
        if tensor.name not in ports:
            raise RuntimeUnavailable(f"{plan.name} has an input {tensor.name}, of which its manifest knows nothing")
        shapes = plan.profile.shapes(ports[tensor.name])
        if shapes:
            rest = tuple(tensor.shape)[2:]
            profile.set_shape(tensor.name, *(grid + rest for grid in shapes))
    return profile


def _timing_cache(config: Any, timing: bytes) -> Any:
    """The cache of earlier builds, or a new one if that is none of this GPU and version."""
    for content in (timing, b""):
        measured = config.create_timing_cache(content)
        if measured is not None and config.set_timing_cache(measured, False):
            return measured
    return None


class _Meter:
    """How far a build is. One thread updates it, and another one reads it and cancels the build."""

    def __init__(self) -> None:
        self.share = 0.0
        self.cancelled = False
        self._phases: dict[str, _Phase] = {}

    def start(self, name: str, parent: str | None, steps: int) -> None:
        """A phase begins, inside a step of its parent."""
        self._phases[name] = _Phase(parent, steps)

    def step(self, name: str, step: int) -> bool:
        """A step of a phase is done, counted from 0; whether to go on."""
        if name in self._phases:
            self._phases[name].done = step + 1
            self.share = max(self.share, self._share(name))
        return not self.cancelled

    def finish(self, name: str) -> None:
        """A phase ends, often before all of its steps."""
        self._phases.pop(name, None)

    def _share(self, name: str | None) -> float:
        """Share of the whole work that is done, seen from a phase: what it has done of its parent's step, and so on."""
        share = 0.0
        while name in self._phases:
            phase = self._phases[name]
            share = min(1.0, (phase.done + share) / phase.steps)
            name = phase.parent
        return share


@dataclass(slots=True)
class _Phase:
    parent: str | None
    steps: int
    done: int = 0


def _monitor(trt: Any, meter: _Meter) -> Any:
    """An `IProgressMonitor` that updates the meter. It is called from C++, where an exception would end the process."""

    class Monitor(trt.IProgressMonitor):
        def __init__(self) -> None:
            super().__init__()

        def phase_start(self, name: str, parent: str | None, steps: int) -> None:
            meter.start(name, parent, steps)

        def step_complete(self, name: str, step: int) -> bool:
            return meter.step(name, step)

        def phase_finish(self, name: str) -> None:
            meter.finish(name)

    return Monitor()
