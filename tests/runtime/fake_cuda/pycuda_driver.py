"""PyCUDA's module `driver` on `libcuda.c`: what mjpeg_restore/runtime/cuda/pycuda.py calls, with its peculiarities.

* It has a stack of contexts of its own for each thread, and of those only the last one is on the driver's stack.
* Memory, streams and events end in the context in which they were made. Where that is not current, it is made so on the
  thread that opened the context; on any other thread they stay.
* A primary context that is given back on its thread is pushed before, and not popped.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.runtime.fake_cuda.library import OUT_OF_MEMORY, driver


class Error(Exception):
    pass


class LogicError(Error):
    pass


class MemoryError(Error):
    pass


class event_flags:  # noqa: N801
    BLOCKING_SYNC = 1
    DISABLE_TIMING = 2


class _OutOfThread(Exception):
    """A context would have to be made current on another thread than its own."""


_STACKS = threading.local()


def _stack() -> list[Context]:
    if not hasattr(_STACKS, "contexts"):
        _STACKS.contexts = []
    return _STACKS.contexts


def _call(function: str, *arguments: object) -> None:
    library = driver().library
    code = getattr(library, function)(*arguments)
    if code:
        words = ctypes.c_char_p()
        library.cuGetErrorString(code, ctypes.byref(words))
        kind = MemoryError if code == OUT_OF_MEMORY else LogicError
        raise kind(f"{function} failed: {(words.value or b'invalid/unknown error code').decode()}")


def _made(function: str, kind: Callable[[], Any], *arguments: object) -> Any:
    """What a function returns by its first argument."""
    found = kind()
    _call(function, ctypes.byref(found), *arguments)
    return found.value


def init() -> None:
    _call("cuInit", 0)


def get_driver_version() -> int:
    return _made("cuDriverGetVersion", ctypes.c_int)


def mem_get_info() -> tuple[int, int]:
    total = ctypes.c_size_t()
    free = _made("cuMemGetInfo", ctypes.c_size_t, ctypes.byref(total))
    return free, total.value


class Device:
    def __init__(self, index: int) -> None:
        self._number = _made("cuDeviceGet", ctypes.c_int, index)

    @staticmethod
    def count() -> int:
        return _made("cuDeviceGetCount", ctypes.c_int)

    def name(self) -> str:
        name = ctypes.create_string_buffer(1024)
        _call("cuDeviceGetName", name, 1024, self._number)
        return name.value.decode()

    def compute_capability(self) -> tuple[int, int]:
        major, minor = (_made("cuDeviceGetAttribute", ctypes.c_int, kind, self._number) for kind in (75, 76))
        return major, minor

    def retain_primary_context(self) -> Context:
        return Context(_made("cuDevicePrimaryCtxRetain", ctypes.c_void_p, self._number), self._number)


class Context:
    def __init__(self, handle: int, device: int) -> None:
        self._handle, self._device = ctypes.c_void_p(handle), device
        self._thread = threading.get_ident()
        self._valid = True

    def push(self) -> None:
        if _stack():
            _call("cuCtxPopCurrent", ctypes.byref(ctypes.c_void_p()))
        _call("cuCtxPushCurrent", self._handle)
        _stack().append(self)

    @staticmethod
    def pop() -> None:
        if not _stack():
            raise LogicError("context::pop failed: invalid device context - cannot pop non-current context")
        _call("cuCtxPopCurrent", ctypes.byref(ctypes.c_void_p()))
        _stack().pop()
        if _stack():
            _call("cuCtxPushCurrent", _stack()[-1]._handle)

    def detach(self) -> None:
        if not self._valid:
            raise LogicError("context::detach failed: invalid device context - cannot detach from invalid context")
        self._valid = False
        if threading.get_ident() == self._thread:
            with suppress(Error):
                if _stack()[-1:] != [self]:
                    _call("cuCtxPushCurrent", self._handle)
                _call("cuDevicePrimaryCtxRelease", self._device)

    def __del__(self) -> None:
        if self._valid:
            self.detach()


class _Dependent:
    """Something that belongs to the context that is current when it is made."""

    def __init__(self) -> None:
        if not _stack():
            raise LogicError("explicit_context_dependent failed: invalid device context - no currently active context?")
        self._context: Context | None = _stack()[-1]

    @contextmanager
    def _activated(self) -> Iterator[None]:
        context = self._context
        assert context
        switched = _stack()[-1:] != [context]
        if switched and threading.get_ident() != context._thread:
            raise _OutOfThread
        if switched:
            context.push()
        try:
            yield
        finally:
            if switched:
                Context.pop()

    def _end(self, function: str, handle: object) -> None:
        if self._context:
            with suppress(_OutOfThread, Error), self._activated():
                _call(function, handle)
            self._context = None


class DeviceAllocation(_Dependent):
    def __init__(self, nbytes: int) -> None:
        super().__init__()
        self._address = _made("cuMemAlloc", ctypes.c_uint64, ctypes.c_size_t(nbytes))

    def __int__(self) -> int:
        return self._address

    def free(self) -> None:
        if not self._context:
            raise LogicError("device_allocation::free failed: invalid resource handle")
        self._end("cuMemFree", ctypes.c_uint64(self._address))

    def __del__(self) -> None:
        if hasattr(self, "_address"):
            self._end("cuMemFree", ctypes.c_uint64(self._address))


mem_alloc = DeviceAllocation


class PagelockedHostAllocation(_Dependent):
    def __init__(self, nbytes: int) -> None:
        super().__init__()
        self._address = _made("cuMemHostAlloc", ctypes.c_void_p, ctypes.c_size_t(nbytes), 0)
        self.__array_interface__ = {"shape": (nbytes,), "typestr": "|u1", "data": (self._address, False), "version": 3}

    def free(self) -> None:
        if not self._context:
            raise LogicError("pagelocked_host_allocation::free failed: invalid resource handle")
        self._end("cuMemFreeHost", ctypes.c_void_p(self._address))

    def __del__(self) -> None:
        if hasattr(self, "_address"):
            self._end("cuMemFreeHost", ctypes.c_void_p(self._address))


def pagelocked_empty(shape: int, dtype: type[np.uint8]) -> NDArray[np.uint8]:
    assert dtype is np.uint8
    return np.asarray(PagelockedHostAllocation(shape))


class Stream(_Dependent):
    def __init__(self, flags: int = 0) -> None:
        super().__init__()
        self.handle: int = _made("cuStreamCreate", ctypes.c_void_p, flags)

    def synchronize(self) -> None:
        _call("cuStreamSynchronize", ctypes.c_void_p(self.handle))

    def wait_for_event(self, event: Event) -> None:
        _call("cuStreamWaitEvent", ctypes.c_void_p(self.handle), event._handle, 0)

    def __del__(self) -> None:
        if hasattr(self, "handle"):
            self._end("cuStreamDestroy", ctypes.c_void_p(self.handle))


class Event(_Dependent):
    def __init__(self, flags: int = 0) -> None:
        super().__init__()
        self._handle = ctypes.c_void_p(_made("cuEventCreate", ctypes.c_void_p, flags))

    def record(self, stream: Stream) -> Event:
        _call("cuEventRecord", self._handle, ctypes.c_void_p(stream.handle))
        return self

    def synchronize(self) -> Event:
        _call("cuEventSynchronize", self._handle)
        return self

    def __del__(self) -> None:
        if hasattr(self, "_handle"):
            self._end("cuEventDestroy", self._handle)


def memcpy_htod_async(dest: int, src: NDArray[np.uint8], stream: Stream) -> None:
    address, nbytes = ctypes.c_void_p(src.ctypes.data), ctypes.c_size_t(src.nbytes)
    _call("cuMemcpyHtoDAsync", ctypes.c_uint64(dest), address, nbytes, ctypes.c_void_p(stream.handle))


def memcpy_dtoh_async(dest: NDArray[np.uint8], src: int, stream: Stream) -> None:
    address, nbytes = ctypes.c_void_p(dest.ctypes.data), ctypes.c_size_t(dest.nbytes)
    _call("cuMemcpyDtoHAsync", address, ctypes.c_uint64(src), nbytes, ctypes.c_void_p(stream.handle))


def memcpy_dtod_async(dest: int, src: int, size: int, stream: Stream) -> None:
    addresses = ctypes.c_uint64(dest), ctypes.c_uint64(src)
    _call("cuMemcpyDtoDAsync", *addresses, ctypes.c_size_t(size), ctypes.c_void_p(stream.handle))


def memset_d8_async(dest: int, data: int, count: int, stream: Stream) -> None:
    value = ctypes.c_ubyte(data)
    _call("cuMemsetD8Async", ctypes.c_uint64(dest), value, ctypes.c_size_t(count), ctypes.c_void_p(stream.handle))
