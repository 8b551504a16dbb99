"""An engine on a GPU, as a network that the cameras share."""

# Neither package has stubs.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

import threading
from concurrent.futures import Executor
from typing import Any

from mjpeg_restore.catalogue import GraphFile
from mjpeg_restore.errors import Hint, RuntimeUnavailable
from mjpeg_restore.runtime.base import Precision, wrap_errors
from mjpeg_restore.runtime.cuda import Device, Owned
from mjpeg_restore.runtime.ring import RingSession
from mjpeg_restore.runtime.tensorrt.package import Package
from mjpeg_restore.runtime.tensorrt.session import EngineBuffers

MEMORY_SHARE = 4
"""A picture may take one part in this many of the GPU's memory, before it is restored in tiles."""


_ELSEWHERE = Hint("try {device}", device="openvino")


class EngineUnusable(RuntimeUnavailable):
    """A serialised engine that this package and GPU do not load, such as one of another version."""


class TensorRtNetwork:
    """A deserialised engine; see `Network`. Each session has an execution context of its own; all share the weights."""

    def __init__(self, package: Package, device: Device, graph: GraphFile, engine: bytes, precision: Precision) -> None:
        """Load an engine.

        Args:
            package: the one that built it.
            device: where it is to run.
            graph: which it was built of; its ports are the engine's.
            engine: serialised.
            precision: for the name.

        Raises:
            EngineUnusable: the package refuses it.
            RuntimeUnavailable: there is no memory for it, or the driver is too old.
        """
        self.package, self.device, self.graph = package, device, graph
        self.name = f"{package.name}, {device.name}, {precision}"
        with device.current():
            self._engine = Owned(device, _deserialised(package, graph, engine))
        luma = self._engine.handle[-1].get_tensor_profile_shape(graph.inputs[0].name, 0)[2]
        self.largest: tuple[int, int] | None = (int(luma[0]), int(luma[1]))
        self.memory: int | None = device.total_memory // MEMORY_SHARE
        self._lock = threading.Lock()

    @property
    def broken(self) -> bool:
        """Whether the GPU's context has ended; see `Network`."""
        return self.device.broken

    def session(self, pool: Executor) -> RingSession:
        """Begin a session; see `Network`."""
        buffers = EngineBuffers(self.package, self.device, self.graph, self._context())
        return RingSession(buffers.allocate, buffers.release, pool)

    def camera(self, pool: Executor) -> RingSession:
        """Begin a session that keeps the state on the GPU; see `Network`."""
        return self.session(pool)

    def _context(self) -> Owned:
        """A new execution context, whose memory the caller provides.

        Raises:
            RuntimeUnavailable: there is no memory for it.
        """
        trt, engine = self.package.module, self._engine  # not its handle, which an error would keep
        strategy = trt.ExecutionContextAllocationStrategy.USER_MANAGED
        self.package.failure()  # what was logged before is not why this fails
        with self._lock, self.device.current(), wrap_errors(f"{self.name}: no further camera"):
            context = engine.handle[-1].create_execution_context(_rtx_config(trt, engine, strategy) or strategy)
            if context is None:
                raise RuntimeUnavailable(f"{self.name}: no further camera ({self.package.failure()})")
            # A tuple's members end from the last to the first: whatever else ends first, a context does so before its
            # engine, and the engine before its runtime.
            return Owned(self.device, (*engine.handle, context))


def _deserialised(package: Package, graph: GraphFile, engine: bytes) -> tuple[Any, Any]:
    """The package's runtime, and the engine in it."""
    package.failure()  # what was logged before is not why this fails
    try:
        runtime = package.module.Runtime(package.logger)
    except TypeError:  # the bindings' way to say that it is None
        raise RuntimeUnavailable(
            f"{package.name} finds no GPU, or its driver is too old ({package.failure()})", _ELSEWHERE
        ) from None
    loaded = None
    try:
        with wrap_errors(f"{package.name} does not load its engine of {graph.label}"):
            loaded = runtime.deserialize_cuda_engine(engine)
    finally:
        made = None if loaded is None else (runtime, loaded)
        del runtime  # here, where the GPU is current: an error keeps the variables of its function
    if made is None:
        why = package.failure()
        kind = RuntimeUnavailable if why == "out of memory" else EngineUnusable  # another one would not fit either
        raise kind(f"{package.name} does not load its engine of {graph.label} ({why})", _ELSEWHERE)
    return made


def _rtx_config(trt: Any, engine: Owned, strategy: Any) -> Any:
    """How TensorRT for RTX is to execute an engine; None for TensorRT, which has nothing to choose."""
    if not hasattr(trt, "DynamicShapesKernelSpecializationStrategy"):
        return None
    config = engine.handle[-1].create_runtime_config()
    config.set_execution_context_allocation_strategy(strategy)
    # Kernels for a camera's size are compiled with its first picture. Compiled beside the work, as is the default, they
    # would be missing in a graph that is captured too early. The package's own graphs stay off: it captures none.
    config.dynamic_shapes_kernel_specialization_strategy = trt.DynamicShapesKernelSpecializationStrategy.EAGER
    return config
