"""A GPU, and the memory, streams and events on it."""

from __future__ import annotations

import ctypes
import os
import weakref
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from functools import cache
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from mjpeg_restore.errors import MissingExtra, RuntimeUnavailable
from mjpeg_restore.runtime.cuda.driver import ELSEWHERE, Driver, Handle
from mjpeg_restore.runtime.cuda.presence import gpu_present


@cache
def open_driver() -> Driver:
    """The driver by `cuda-bindings` or, where that is not installed, by PyCUDA.

    Raises:
        MissingExtra: neither is installed.
        RuntimeUnavailable: the package does not load.
    """
    try:
        from mjpeg_restore.runtime.cuda.bindings import Bindings

        return Bindings()
    except MissingExtra:
        pass
    from mjpeg_restore.runtime.cuda.pycuda import PyCuda

    return PyCuda()


class Device:
    """An NVIDIA GPU, in its primary context. Safe from several threads, and beside PyTorch.

    What it makes belongs to it, and is freed by `close` or with the last reference. Nothing is freed at the
    interpreter's exit, when the driver may have ended already, nor in a forked process, where CUDA does not work.

    Attributes:
        broken: whether its context was found to take no calls any more.
    """

    def __init__(self, index: int = 0) -> None:
        """Open a GPU.

        Args:
            index: among the GPUs that CUDA_VISIBLE_DEVICES leaves.

        Raises:
            MissingExtra: no package that calls the driver is installed.
            RuntimeUnavailable: there is no driver, or no such GPU.
        """
        self.driver: Driver = open_driver()
        count = self.driver.count()
        if not 0 <= index < count:
            there = f"only {', '.join(map(str, range(count)))}" if count else "and none at all"
            raise RuntimeUnavailable(f"there is no NVIDIA GPU {index} here, {there}", ELSEWHERE)
        self.index = index
        self.broken = False
        self.name = self.driver.name(index)
        self.capability = self.driver.capability(index)
        self._process = os.getpid()
        context = self._context = self.driver.retain(index)
        self._free = weakref.finalize(self, _release, self.driver, index, context, self._process)
        self._free.atexit = False

    def __str__(self) -> str:
        """For people: "NVIDIA L4, compute capability 8.9, 24 GB"."""
        major, minor = self.capability
        return f"{self.name}, compute capability {major}.{minor}, {self.total_memory / 1e9:.0f} GB"

    @contextmanager
    def current(self) -> Generator[None]:
        """Make the GPU's primary context this thread's current one, and afterwards the one before again.

        Raises:
            RuntimeUnavailable: this process was forked after the GPU was opened.
        """
        if os.getpid() != self._process:
            raise RuntimeUnavailable("CUDA does not survive a fork: start the process anew", ELSEWHERE)
        try:
            self.driver.push(self._context)
            try:
                yield
            finally:
                self.driver.pop()
        except Exception:  # also of the libraries that use the GPU meanwhile
            self.broken = self.broken or not self._takes_calls()
            raise

    def _takes_calls(self) -> bool:
        """Whether the context is alive: after some errors, such as an illegal access, all calls fail for good."""
        try:
            self.driver.push(self._context)
            try:
                self.driver.memory()
            finally:
                self.driver.pop()
        except RuntimeUnavailable:
            return False
        return True

    @property
    def free_memory(self) -> int:
        """Bytes that nobody uses now."""
        with self.current():
            return self.driver.memory()[0]

    @property
    def total_memory(self) -> int:
        """Bytes in all."""
        with self.current():
            return self.driver.memory()[1]


def gpu_index(detail: str) -> int:
    """What follows a device's name, as the index of a GPU; 0 if nothing does.

    Raises:
        RuntimeUnavailable: it is no number.
    """
    if detail and not detail.isdecimal():
        raise RuntimeUnavailable(f"no GPU {detail!r}: they have numbers from 0, as in cuda:1")
    return int(detail or 0)


def gpus() -> list[Device]:
    """The GPUs of this machine, as far as CUDA_VISIBLE_DEVICES leaves them; none where no driver is at work.

    Raises:
        MissingExtra: there is a driver, and no package that calls it.
        RuntimeUnavailable: the driver does not work.
    """
    return [Device(index) for index in range(open_driver().count())] if gpu_present() else []


def _release(driver: Driver, index: int, context: Handle, process: int) -> None:
    if os.getpid() == process:
        with suppress(RuntimeUnavailable):
            driver.release(index, context)


class Owned:
    """Something whose end needs the GPU to be the current one. It ends once: by `close`, or with the last reference."""

    def __init__(self, device: Device, handle: Handle, free: Callable[[Handle], None] | None = None) -> None:
        """Take something over, of which nobody else keeps a reference.

        Args:
            device: the GPU that it is on.
            handle: an object, or a number.
            free: frees it. None: an object ends by itself, with the last reference to it.
        """
        self.device = device
        self._held = [handle]
        self._finalizer = weakref.finalize(self, _free, device, self._held, free)
        self._finalizer.atexit = False

    @property
    def handle(self) -> Handle:
        """What it is in the package that made it. Not after `close`."""
        return self._held[0]

    def close(self) -> None:
        """Free it now; what the GPU still does with it must be finished."""
        self._finalizer()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _free(device: Device, held: list[Handle], free: Callable[[Handle], None] | None) -> None:
    # After an error that has ended the context, all calls fail. A finalizer may run at any time on any thread.
    with suppress(RuntimeUnavailable), device.current(), device.driver.freeing():
        if free:
            free(held[0])
        held.clear()  # some end with the last reference: here, where the GPU is the current one


class DeviceBuffer(Owned):
    """Memory of the GPU, aligned to 256 bytes at least.

    Attributes:
        address: on the GPU.
        nbytes: its size.
    """

    def __init__(self, device: Device, nbytes: int) -> None:
        with device.current():
            handle, self.address = device.driver.allocate(max(nbytes, 1))
        super().__init__(device, handle, device.driver.free)
        self.nbytes = nbytes


class PinnedBuffer(Owned):
    """Page-locked memory of the host, which the GPU reads and writes by itself.

    Attributes:
        address: of the host.
        array: uint8 `[nbytes]`; not to be used after `close`.
    """

    def __init__(self, device: Device, nbytes: int) -> None:
        with device.current():
            handle, self.address = device.driver.allocate_pinned(max(nbytes, 1))
        super().__init__(device, handle, device.driver.free_pinned)
        self.array: NDArray[np.uint8] = np.ctypeslib.as_array((ctypes.c_uint8 * nbytes).from_address(self.address))


class Event(Owned):
    """A point in a stream that others wait for."""

    def __init__(self, device: Device) -> None:
        with device.current():
            handle = device.driver.create_event()
        super().__init__(device, handle, device.driver.destroy_event)

    def synchronize(self) -> None:
        """Wait until it has happened, without spinning.

        Raises:
            RuntimeUnavailable: work of the GPU before it has failed.
        """
        with self.device.current():
            self.device.driver.synchronize_event(self.handle)


class Stream(Owned):
    """Work of the GPU that is done in order. It does not wait for the default stream.

    Attributes:
        number: its handle, for libraries that enqueue work in it.
    """

    def __init__(self, device: Device) -> None:
        with device.current():
            handle, self.number = device.driver.create_stream()
        super().__init__(device, handle, device.driver.destroy_stream)

    def upload(self, source: PinnedBuffer, target: DeviceBuffer, nbytes: int) -> None:
        """Enqueue a copy of the first `nbytes` to the GPU."""
        with self.device.current():
            self.device.driver.upload(target.address, source.address, nbytes, self.handle)

    def download(self, source: DeviceBuffer, target: PinnedBuffer, nbytes: int) -> None:
        """Enqueue a copy of the first `nbytes` from the GPU."""
        with self.device.current():
            self.device.driver.download(target.address, source.address, nbytes, self.handle)

    def copy(self, source: DeviceBuffer, target: DeviceBuffer, nbytes: int) -> None:
        """Enqueue a copy of the first `nbytes` from one block of the GPU's memory to another one."""
        with self.device.current():
            self.device.driver.copy(target.address, source.address, nbytes, self.handle)

    def clear(self, target: DeviceBuffer, nbytes: int) -> None:
        """Enqueue to set the first `nbytes` to zero."""
        with self.device.current():
            self.device.driver.clear(target.address, nbytes, self.handle)

    def record(self, event: Event) -> None:
        """Have an event happen when all that is enqueued so far is done."""
        with self.device.current():
            self.device.driver.record(event.handle, self.handle)

    def wait(self, event: Event) -> None:
        """Have all that is enqueued later wait for an event."""
        with self.device.current():
            self.device.driver.wait(self.handle, event.handle)

    def synchronize(self) -> None:
        """Wait until all that is enqueued is done.

        Raises:
            RuntimeUnavailable: it has failed.
        """
        with self.device.current():
            self.device.driver.synchronize_stream(self.handle)

    def capture(self, enqueue: Callable[[], None]) -> CudaGraph | None:
        """Capture what a function enqueues in this stream, which does not do it; None where that cannot be done.

        Raises:
            RuntimeUnavailable: what it enqueues cannot be captured.
        """
        with self.device.current():
            handle = self.device.driver.capture(self.handle, enqueue)
        return None if handle is None else CudaGraph(self.device, handle, self.device.driver.destroy_graph)

    def launch(self, graph: CudaGraph) -> None:
        """Enqueue a captured graph."""
        with self.device.current():
            self.device.driver.launch(graph.handle, self.handle)


class CudaGraph(Owned):
    """Work that was captured, with fixed sizes and addresses."""
