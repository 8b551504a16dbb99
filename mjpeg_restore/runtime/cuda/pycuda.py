"""The CUDA driver by PyCUDA. Never its `autoinit`, which makes a context that nobody else shares."""

# PyCUDA has no stubs, and is compiled on the user's machine.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportMissingImports=false, reportMissingTypeStubs=false, reportMissingModuleSource=false

from __future__ import annotations

import ctypes
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from importlib.metadata import version

import numpy as np
from numpy.typing import NDArray

from mjpeg_restore.errors import MissingExtra, RuntimeUnavailable
from mjpeg_restore.runtime.base import one_line
from mjpeg_restore.runtime.cuda.driver import Handle, failure

try:
    import pycuda.driver as cu
except ModuleNotFoundError as error:
    raise MissingExtra("cuda-bindings", "", "An NVIDIA GPU") from error  # two extras bring it
except Exception as error:  # a driver that is missing is an ImportError
    raise RuntimeUnavailable(f"PyCUDA is installed but does not load ({one_line(error)})") from error


class PyCuda:
    """`Driver` by `pycuda.driver`."""

    def __init__(self) -> None:
        self.title = f"PyCUDA {version('pycuda')}"
        self._contexts: dict[int, Handle] = {}

    def count(self) -> int:
        """See `Driver`, and so for the others."""
        with _wrapped("start"):
            cu.init()
            return cu.Device.count()

    def name(self, index: int) -> str:
        with _wrapped("name a GPU"):
            return cu.Device(index).name()

    def capability(self, index: int) -> tuple[int, int]:
        with _wrapped("look at a GPU"):
            major, minor = cu.Device(index).compute_capability()
            return major, minor

    def version(self) -> tuple[int, int]:
        with _wrapped("tell its version"):
            number: int = cu.get_driver_version()
        return number // 1000, number % 1000 // 10

    def retain(self, index: int) -> Handle:
        with _wrapped("open the GPU"):
            if index not in self._contexts:
                self._contexts[index] = cu.Device(index).retain_primary_context()
            return self._contexts[index]

    def release(self, index: int, context: Handle) -> None:
        """Nothing: a context that PyCUDA gives back stays on the thread's stack of the driver, and what was made in it
        may end in no other one. So there is one for each GPU, until the process ends."""

    def push(self, context: Handle) -> None:
        with _wrapped("use the GPU"):
            context.push()

    def pop(self) -> None:
        with _wrapped("leave the GPU"):
            cu.Context.pop()

    def freeing(self) -> AbstractContextManager[None]:
        return nullcontext()  # nothing is captured

    def memory(self) -> tuple[int, int]:
        with _wrapped("measure memory"):
            free, total = cu.mem_get_info()
            return free, total

    def allocate(self, nbytes: int) -> tuple[Handle, int]:
        with _wrapped(f"allocate {nbytes / 1e6:.0f} MB"):
            memory = cu.mem_alloc(nbytes)
            return memory, int(memory)

    def free(self, memory: Handle) -> None:
        with _wrapped("free memory"):
            memory.free()

    def allocate_pinned(self, nbytes: int) -> tuple[Handle, int]:
        with _wrapped(f"lock {nbytes / 1e6:.0f} MB of memory"):
            memory: NDArray[np.uint8] = cu.pagelocked_empty(nbytes, np.uint8)
            return memory, memory.ctypes.data

    def free_pinned(self, memory: Handle) -> None:
        with _wrapped("free memory"):
            memory.base.free()

    def create_stream(self) -> tuple[Handle, int]:
        with _wrapped("create a stream"):
            stream = cu.Stream(1)  # CU_STREAM_NON_BLOCKING
            return stream, stream.handle

    def destroy_stream(self, stream: Handle) -> None:
        """PyCUDA destroys it with the last reference to it."""

    def synchronize_stream(self, stream: Handle) -> None:
        with _wrapped("finish its work"):
            stream.synchronize()

    def create_event(self) -> Handle:
        with _wrapped("create an event"):
            return cu.Event(cu.event_flags.BLOCKING_SYNC | cu.event_flags.DISABLE_TIMING)

    def destroy_event(self, event: Handle) -> None:
        """PyCUDA destroys it with the last reference to it."""

    def record(self, event: Handle, stream: Handle) -> None:
        with _wrapped("record an event"):
            event.record(stream)

    def wait(self, stream: Handle, event: Handle) -> None:
        with _wrapped("wait for an event"):
            stream.wait_for_event(event)

    def synchronize_event(self, event: Handle) -> None:
        with _wrapped("finish its work"):
            event.synchronize()

    def upload(self, device: int, host: int, nbytes: int, stream: Handle) -> None:
        with _wrapped("copy to the GPU"):
            cu.memcpy_htod_async(device, _at(host, nbytes), stream)

    def download(self, host: int, device: int, nbytes: int, stream: Handle) -> None:
        with _wrapped("copy from the GPU"):
            cu.memcpy_dtoh_async(_at(host, nbytes), device, stream)

    def copy(self, target: int, source: int, nbytes: int, stream: Handle) -> None:
        with _wrapped("copy on the GPU"):
            cu.memcpy_dtod_async(target, source, nbytes, stream)

    def clear(self, target: int, nbytes: int, stream: Handle) -> None:
        with _wrapped("clear memory"):
            cu.memset_d8_async(target, 0, nbytes, stream)

    def capture(self, stream: Handle, enqueue: Callable[[], None]) -> Handle | None:
        """PyCUDA has no graphs."""
        return None

    def launch(self, graph: Handle, stream: Handle) -> None:
        """Never called, as there is no graph."""
        raise NotImplementedError

    def destroy_graph(self, graph: Handle) -> None:
        """Never called, as there is no graph."""
        raise NotImplementedError


def _at(address: int, nbytes: int) -> NDArray[np.uint8]:
    """Memory of the host as an array."""
    return np.ctypeslib.as_array((ctypes.c_uint8 * nbytes).from_address(address))


@contextmanager
def _wrapped(what: str) -> Generator[None]:
    """Convert PyCUDA's errors, whose message is like "cuMemAlloc failed: out of memory"."""
    try:
        yield
    except cu.Error as error:
        words = str(error).rpartition(" failed: ")[2]
        codes = {
            "out of memory": "OUT_OF_MEMORY",
            "no CUDA-capable device is detected": "NO_DEVICE",
            "initialization error": "NOT_INITIALIZED",
        }
        raise failure(what, codes.get(words, type(error).__name__), words) from error
