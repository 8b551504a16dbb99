"""What a package that calls the CUDA driver has to offer."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, Protocol

from mjpeg_restore.errors import Hint, RuntimeUnavailable

Handle = Any
"""A context, stream, event, graph or block of memory, as the package has it."""

ELSEWHERE = Hint("try {device}", device="openvino")


class Driver(Protocol):
    """The CUDA driver's calls, in a package's words. Errors are `RuntimeUnavailable`.

    All but `count` to `release` need the context to be current on this thread.
    """

    title: str
    """The package and its version: "cuda-bindings 13.5.0"."""

    def count(self) -> int:
        """Number of GPUs; starts the driver."""
        ...

    def name(self, index: int) -> str:
        """A GPU's name: "NVIDIA L4"."""
        ...

    def capability(self, index: int) -> tuple[int, int]:
        """Its compute capability: (8, 9)."""
        ...

    def version(self) -> tuple[int, int]:
        """The newest CUDA that the driver knows: (13, 0)."""
        ...

    def retain(self, index: int) -> Handle:
        """Its primary context."""
        ...

    def release(self, index: int, context: Handle) -> None:
        """Give the primary context back."""
        ...

    def push(self, context: Handle) -> None:
        """Make a context this thread's current one."""
        ...

    def pop(self) -> None:
        """Make the one before the current one again."""
        ...

    def freeing(self) -> AbstractContextManager[object]:
        """Entered to free something, which must not spoil what this thread may be capturing."""
        ...

    def memory(self) -> tuple[int, int]:
        """Free and total memory of the device, bytes."""
        ...

    def allocate(self, nbytes: int) -> tuple[Handle, int]:
        """Memory of the device, and its address there."""
        ...

    def free(self, memory: Handle) -> None:
        """Free what `allocate` gave."""
        ...

    def allocate_pinned(self, nbytes: int) -> tuple[Handle, int]:
        """Page-locked memory of the host, and its address."""
        ...

    def free_pinned(self, memory: Handle) -> None:
        """Free what `allocate_pinned` gave."""
        ...

    def create_stream(self) -> tuple[Handle, int]:
        """A stream that does not wait for the default one, and its handle as a number."""
        ...

    def destroy_stream(self, stream: Handle) -> None:
        """Destroy a stream; what is enqueued is still done."""
        ...

    def synchronize_stream(self, stream: Handle) -> None:
        """Wait until all that is enqueued is done; other Python threads run meanwhile."""
        ...

    def create_event(self) -> Handle:
        """An event whose wait blocks and does not spin, without a time."""
        ...

    def destroy_event(self, event: Handle) -> None:
        """Destroy an event."""
        ...

    def record(self, event: Handle, stream: Handle) -> None:
        """Mark what is enqueued in a stream so far."""
        ...

    def wait(self, stream: Handle, event: Handle) -> None:
        """Have a stream wait for an event before what is enqueued later."""
        ...

    def synchronize_event(self, event: Handle) -> None:
        """Wait until an event has happened; other Python threads run meanwhile."""
        ...

    def upload(self, device: int, host: int, nbytes: int, stream: Handle) -> None:
        """Enqueue a copy from the host's memory to the device's."""
        ...

    def download(self, host: int, device: int, nbytes: int, stream: Handle) -> None:
        """Enqueue a copy from the device's memory to the host's."""
        ...

    def copy(self, target: int, source: int, nbytes: int, stream: Handle) -> None:
        """Enqueue a copy within the device's memory."""
        ...

    def clear(self, target: int, nbytes: int, stream: Handle) -> None:
        """Enqueue to set memory of the device to zero."""
        ...

    def capture(self, stream: Handle, enqueue: Callable[[], None]) -> Handle | None:
        """Capture what a function enqueues in a stream as a graph; None where the package cannot."""
        ...

    def launch(self, graph: Handle, stream: Handle) -> None:
        """Enqueue a graph."""
        ...

    def destroy_graph(self, graph: Handle) -> None:
        """Destroy a graph."""
        ...


def failure(what: str, code: str, description: str) -> RuntimeUnavailable:
    """An error of the driver in one sentence, with what to do about it.

    Args:
        what: what could not be done: "allocate 24 MB".
        code: the error's name in the driver's interface: "CUDA_ERROR_OUT_OF_MEMORY".
        description: the driver's own words.
    """
    match code.removeprefix("CUDA_ERROR_"):
        case "NO_DEVICE":
            return RuntimeUnavailable("there is no NVIDIA GPU here that CUDA can use")
        case "OUT_OF_MEMORY":
            hint = Hint("try {model} or {device}", model="stream-lite", device="openvino")
            return RuntimeUnavailable(f"the GPU is out of memory: CUDA cannot {what}", hint)
        case "SYSTEM_DRIVER_MISMATCH" | "COMPAT_NOT_SUPPORTED_ON_DEVICE" | "STUB_LIBRARY":
            return RuntimeUnavailable(f"the NVIDIA driver does not fit ({description}): update it", ELSEWHERE)
        case "NOT_INITIALIZED":
            return RuntimeUnavailable("CUDA does not survive a fork: start the process anew", ELSEWHERE)
        case _:
            return RuntimeUnavailable(f"CUDA cannot {what} ({description or code})", ELSEWHERE)
