"""One camera's buffers for an engine: three pictures under way, on three streams.

    upload stream     picture 3 up      picture 4 up
    compute stream    picture 2         picture 3         picture 4
    download stream   picture 1 down    picture 2 down    picture 3 down

Events order the streams. A slot has one block of pinned memory and one of the GPU's for all inputs of a picture, and
likewise for its outputs, so that a picture is one copy up and one copy down. The state of a graph that has one is in
two blocks of the GPU's, before and after a picture, which all slots share.
"""

# Neither package has stubs.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

import math
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mjpeg_restore.catalogue import GraphFile, Port
from mjpeg_restore.catalogue.ports import STATE, STATE_AFTER, PortKind
from mjpeg_restore.errors import Hint, RuntimeUnavailable
from mjpeg_restore.runtime.base import Inputs, Planes, Shapes, wrap_errors
from mjpeg_restore.runtime.cuda import CudaGraph, Device, DeviceBuffer, Event, Owned, PinnedBuffer, Stream
from mjpeg_restore.runtime.ring import ALIGNMENT, CAPTURE_AFTER, SLOTS
from mjpeg_restore.runtime.tensorrt.package import Package

TYPES: dict[PortKind, str] = {
    "coefficients": "<i2",
    "table": "<f4",
    "noise": "<f4",
    "context": "<f4",
    "samples": "<u1",
    "mean": "<f4",
    "evidence": "<f2",
    "correction": "<f4",
    "history": "<f4",
}
"""Types in memory, by the kind of port. To the engine coefficients are uint8 `[high, wide, 64, 2]`: the same memory.
See `rewriting.for_tensorrt`."""


@dataclass(frozen=True, slots=True)
class Tensor:
    """A part of a block of memory."""

    name: str
    dtype: str
    """As it lies in memory."""
    shape: tuple[int, ...]
    offset: int
    """From the beginning of the block, bytes."""

    @property
    def nbytes(self) -> int:
        """Its size."""
        return np.dtype(self.dtype).itemsize * math.prod(self.shape)

    def of(self, block: PinnedBuffer) -> NDArray[Any]:
        """The tensor in a block, as an array that shares its memory."""
        return block.array[self.offset : self.offset + self.nbytes].view(self.dtype).reshape(self.shape)


class EngineBuffers:
    """An execution context with its memory, for pictures of one size at a time."""

    def __init__(self, package: Package, device: Device, graph: GraphFile, context: Owned) -> None:
        """Prepare a session.

        Args:
            package: whose engine it is.
            device: where it runs.
            graph: which the engine was built of.
            context: its last member is the `IExecutionContext`; the others have to outlive that.
        """
        self.package, self.device = package, device
        self._graph, self._context = graph, context
        self.upload, self.compute, self.download = (Stream(self.device) for _ in range(3))
        self.pictures = 0
        """Number of pictures of the present size."""
        self.capturable = True
        self.memory = ExitStack()
        """What is freed when the size changes."""

    @property
    def context(self) -> Any:
        """The package's `IExecutionContext`. Kept in no variable: an error keeps those of its function, and the context
        would outlive its engine, or end where the GPU is not the current one."""
        return self._context.handle[-1]

    def allocate(self, shapes: Shapes) -> list[EngineSlot]:
        """Free the slots of the size before, and make those of a new size.

        Raises:
            RuntimeUnavailable: the engine does not take it, or the GPU lacks memory. Nothing is allocated then.
        """
        self.memory.close()
        self.pictures, self.capturable = 0, True
        with wrap_errors(f"{self.package.name} does not take this size"), ExitStack() as memory:
            self.package.failure()  # what was logged before is not why this fails
            inputs, outputs, state = self._shaped(shapes, memory)
            slots = [EngineSlot(self, inputs, outputs, state, memory) for _ in range(SLOTS)]
            state.forget(self.compute)  # last: where an allocation fails, all is freed, and nothing may be under way
            self.compute.synchronize()
            self.memory = memory.pop_all()
        return slots

    def release(self) -> None:
        """Free everything."""
        self.memory.close()
        self._context.close()
        for stream in (self.upload, self.compute, self.download):
            stream.close()

    def _shaped(self, shapes: Shapes, memory: ExitStack) -> tuple[list[Tensor], list[Tensor], EngineState]:
        """Set the size, and give the context the memory that it needs for that. The inputs and outputs, and the state.

        Args:
            shapes: of the inputs that are not the state's.
            memory: owns what is allocated.
        """
        graph = self._graph
        inputs = _laid_out([*zip(graph.inputs, shapes, strict=False)])
        grids = [shape[:2] for shape in shapes[::2]]
        known = [(port, port.sizes(grids)) for port in graph.inputs if port.kind in STATE]
        state = EngineState(self.device, _laid_out(known), memory)
        with self.device.current():
            for tensor in (*inputs, *state.before):
                shape = (*tensor.shape, 2) if tensor.dtype == TYPES["coefficients"] else tensor.shape
                if not self.context.set_input_shape(tensor.name, shape):
                    raise self._refused(tensor)
            if missing := self.context.infer_shapes():
                raise RuntimeUnavailable(f"{self.package.name} needs the shapes of {', '.join(missing)}, too")
            nbytes = self.context.update_device_memory_size_for_shapes()
            scratch = memory.enter_context(DeviceBuffer(self.device, nbytes))
            self.context.set_device_memory(scratch.address, nbytes)
            given = [port for port in graph.outputs if port.kind not in STATE_AFTER]
            outputs = _laid_out([(port, tuple(self.context.get_tensor_shape(port.name))) for port in given])
        return inputs, outputs, state

    def _refused(self, tensor: Tensor) -> RuntimeUnavailable:
        # Tables and histories have a single length
        blocks = "{1}x{0} blocks of ".format(*tensor.shape) if len(tensor.shape) > 1 else ""
        return RuntimeUnavailable(
            f"{self.package.name} does not take {blocks}{tensor.name} ({self.package.failure()})",
            Hint("try {device}", device="torch"),
        )


def _laid_out(tensors: list[tuple[Port, tuple[int, ...]]]) -> list[Tensor]:
    """Tensors one after the other in a block."""
    found: list[Tensor] = []
    offset = 0
    for port, shape in tensors:
        found.append(Tensor(port.name, TYPES[port.kind], shape, offset))
        offset = math.ceil((offset + found[-1].nbytes) / ALIGNMENT) * ALIGNMENT
    return found


class EngineState:
    """A graph's state before and after a picture; empty for most graphs.

    Attributes:
        before: the tensors that the engine reads, in the block of that name.
        after: those that it writes, in the other one.
    """

    def __init__(self, device: Device, before: list[Tensor], memory: ExitStack) -> None:
        """Allocate.

        Args:
            device: where.
            before: the tensors; those after a picture have the same types and shapes.
            memory: owns the blocks.
        """
        after = dict[str, str](zip(STATE, STATE_AFTER, strict=True))
        self.before = before
        self.after = [
            replace(one, name=f"{component}.{after[kind]}")
            for one in before
            for component, _, kind in [one.name.rpartition(".")]
        ]
        self.nbytes = before[-1].offset + before[-1].nbytes if before else 0
        self.block, self.block_after = (memory.enter_context(DeviceBuffer(device, self.nbytes)) for _ in range(2))

    def forget(self, stream: Stream) -> None:
        """Enqueue to clear it: another scene begins."""
        if self.nbytes:
            stream.clear(self.block, self.nbytes)

    def advance(self, stream: Stream) -> None:
        """Enqueue to let the state after a picture take the place of the one before."""
        if self.nbytes:
            stream.copy(self.block_after, self.block, self.nbytes)


class EngineSlot:
    """The memory and events of one picture under way; see `Slot`."""

    def __init__(
        self,
        buffers: EngineBuffers,
        inputs: list[Tensor],
        outputs: list[Tensor],
        state: EngineState,
        memory: ExitStack,
    ) -> None:
        device, own = buffers.device, memory.enter_context
        self._buffers, self._inputs, self._outputs, self._state = buffers, inputs, outputs, state
        self._sizes = [part[-1].offset + part[-1].nbytes for part in (inputs, outputs)]
        up, down = self._sizes
        self._sent, self._taken = own(PinnedBuffer(device, up)), own(DeviceBuffer(device, up))
        self._made, self._received = own(DeviceBuffer(device, down)), own(PinnedBuffer(device, down))
        self._uploaded, self._computed, self._downloaded = (own(Event(device)) for _ in range(3))
        self._graph: CudaGraph | None = None

    def start(self, inputs: Inputs, *, past: bool, evidence: bool) -> None:
        """Enqueue the copy up, the engine and the copy down; see `Slot`."""
        buffers = self._buffers
        for tensor, array in zip(self._inputs, inputs, strict=True):
            np.copyto(tensor.of(self._sent), array)
        with buffers.device.current():
            buffers.upload.upload(self._sent, self._taken, self._sizes[0])
            buffers.upload.record(self._uploaded)
            buffers.compute.wait(self._uploaded)
            if not past:
                self._state.forget(buffers.compute)
            self._compute()
            if evidence:
                self._state.advance(buffers.compute)
            buffers.compute.record(self._computed)  # the state too: after a picture nothing is under way
            buffers.download.wait(self._computed)
            buffers.download.download(self._made, self._received, self._sizes[1])
            buffers.download.record(self._downloaded)

    def finish(self) -> Planes:
        """Wait for the copy down; see `Slot`."""
        self._downloaded.synchronize()
        return tuple(tensor.of(self._received).copy() for tensor in self._outputs)

    def settle(self) -> None:
        """Wait for all streams; see `Slot`."""
        for stream in (self._buffers.upload, self._buffers.compute, self._buffers.download):
            with suppress(RuntimeUnavailable):
                stream.synchronize()

    def _compute(self) -> None:
        """Enqueue the engine, as a graph once this size has come often enough."""
        buffers = self._buffers
        buffers.pictures += 1
        if self._graph is None and buffers.capturable and buffers.pictures > CAPTURE_AFTER:
            self._graph = self._captured()
            buffers.capturable = self._graph is not None
        if self._graph:
            buffers.compute.launch(self._graph)
        else:
            self._execute()

    def _captured(self) -> CudaGraph | None:
        """The engine's work on this slot's memory as a graph; None where it cannot be captured."""
        buffers, stream = self._buffers, self._buffers.compute
        if hasattr(buffers.context, "is_stream_capturable") and not buffers.context.is_stream_capturable(stream.number):
            return None
        try:
            graph = stream.capture(self._execute)
        except RuntimeUnavailable:
            return None  # it is launched kernel by kernel, then
        return graph and buffers.memory.enter_context(graph)

    def _execute(self) -> None:
        buffers = self._buffers
        state = self._state
        for tensors, block in (
            (self._inputs, self._taken),
            (state.before, state.block),
            (self._outputs, self._made),
            (state.after, state.block_after),
        ):
            for tensor in tensors:
                buffers.context.set_tensor_address(tensor.name, block.address + tensor.offset)
        if not buffers.context.execute_async_v3(buffers.compute.number):
            hint = Hint("try {device}", device="openvino")
            raise RuntimeUnavailable(
                f"{buffers.package.name} cannot restore a picture ({buffers.package.failure()})", hint
            )
