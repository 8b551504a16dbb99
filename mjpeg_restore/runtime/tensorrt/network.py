"""An engine on a GPU, as a network that the cameras share."""

# Neither package has stubs.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

import threading
from concurrent.futures import Executor
from typing import Any

from mjpeg_restore.catalogue import GraphFile
from mjpeg_restore.errors import RuntimeUnavailable
from mjpeg_restore.runtime.base import Precision
from mjpeg_restore.runtime.cuda import Device
from mjpeg_restore.runtime.ring import RingSession
from mjpeg_restore.runtime.tensorrt.package import Package
from mjpeg_restore.runtime.tensorrt.session import EngineBuffers

MEMORY_SHARE = 4
"""A picture may take one part in this many of the GPU's memory, before it is restored in tiles."""


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
        """
        self.package, self.device, self.graph = package, device, graph
        self.name = f"{package.name}, {device.name}, {precision}"
        with device.current():
            self._runtime: Any = package.module.Runtime(package.logger)
            self._engine: Any = self._runtime.deserialize_cuda_engine(engine)
        if self._engine is None:
            raise EngineUnusable(f"{package.name} does not load its engine of {graph.file} ({package.failure()})")
        luma = self._engine.get_tensor_profile_shape(graph.inputs[0].name, 0)[2]
        self.largest: tuple[int, int] | None = (int(luma[0]), int(luma[1]))
        self.memory: int | None = device.total_memory // MEMORY_SHARE
        self._lock = threading.Lock()

    def session(self, pool: Executor) -> RingSession:
        """Begin a session; see `Network`."""
        buffers = EngineBuffers(self.package, self.device, self.graph, self.context())
        return RingSession(buffers.allocate, buffers.release, pool)

    def context(self) -> Any:
        """A new execution context, whose memory the caller provides.

        Raises:
            RuntimeUnavailable: there is no memory for it.
        """
        trt = self.package.module
        ours = trt.ExecutionContextAllocationStrategy.USER_MANAGED
        with self._lock, self.device.current():
            if hasattr(trt, "IRuntimeConfig") and hasattr(trt, "DynamicShapesKernelSpecializationStrategy"):
                config = self._engine.create_runtime_config()
                config.set_execution_context_allocation_strategy(ours)
                # Kernels for a camera's size are compiled with its first picture. Compiled beside the work, as is the
                # default, they would be missing in a graph that is captured too early.
                config.dynamic_shapes_kernel_specialization_strategy = (
                    trt.DynamicShapesKernelSpecializationStrategy.EAGER
                )
                context = self._engine.create_execution_context(config)
            else:
                context = self._engine.create_execution_context(ours)
        if context is None:
            raise RuntimeUnavailable(f"{self.name}: no further camera ({self.package.failure()})")
        return context
