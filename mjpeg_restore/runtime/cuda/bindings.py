"""The CUDA driver by NVIDIA's package `cuda-bindings`, of CUDA 12 and 13."""

# The package's types are those of generated code.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportMissingTypeStubs=false, reportMissingImports=false, reportAttributeAccessIssue=false

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from importlib.metadata import version
from typing import Any

from mjpeg_restore.errors import MissingExtra, RuntimeUnavailable
from mjpeg_restore.runtime.base import one_line
from mjpeg_restore.runtime.cuda.driver import ELSEWHERE, Handle, failure

try:
    from cuda.bindings import driver as cu
except ModuleNotFoundError as error:
    raise MissingExtra("cuda-bindings", "", "An NVIDIA GPU") from error  # two extras bring it
except Exception as error:  # the package tells of a library that is missing in several ways
    raise RuntimeUnavailable(f"cuda-bindings is installed but does not load ({one_line(error)})") from error


class Bindings:
    """`Driver` by `cuda.bindings.driver`."""

    def __init__(self) -> None:
        self.title = f"cuda-bindings {version('cuda-bindings')}"

    def count(self) -> int:
        """See `Driver`, and so for the others."""
        try:
            started = cu.cuInit(0)
        except Exception as error:  # the package finds no library of the driver, and says so in several ways
            raise RuntimeUnavailable("there is no NVIDIA driver here", ELSEWHERE) from error
        _result("start", started)
        return _call("count GPUs", cu.cuDeviceGetCount)

    def name(self, index: int) -> str:
        name: bytes = _call("name a GPU", cu.cuDeviceGetName, 256, _device(index))
        return name.split(b"\0")[0].decode(errors="replace")

    def capability(self, index: int) -> tuple[int, int]:
        kinds = cu.CUdevice_attribute
        names = (
            kinds.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR,
            kinds.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR,
        )
        major, minor = (_call("look at a GPU", cu.cuDeviceGetAttribute, name, _device(index)) for name in names)
        return major, minor

    def version(self) -> tuple[int, int]:
        number: int = _call("tell its version", cu.cuDriverGetVersion)
        return number // 1000, number % 1000 // 10

    def retain(self, index: int) -> Handle:
        return _call("open the GPU", cu.cuDevicePrimaryCtxRetain, _device(index))

    def release(self, index: int, context: Handle) -> None:
        _call("close the GPU", cu.cuDevicePrimaryCtxRelease, _device(index))

    def push(self, context: Handle) -> None:
        _call("use the GPU", cu.cuCtxPushCurrent, context)

    def pop(self) -> None:
        _call("leave the GPU", cu.cuCtxPopCurrent)

    @contextmanager
    def freeing(self) -> Generator[None]:
        modes = cu.CUstreamCaptureMode
        before = _call("free", cu.cuThreadExchangeStreamCaptureMode, modes.CU_STREAM_CAPTURE_MODE_RELAXED)
        try:
            yield
        finally:
            _call("free", cu.cuThreadExchangeStreamCaptureMode, before)

    def memory(self) -> tuple[int, int]:
        free, total = _call("measure memory", cu.cuMemGetInfo)
        return int(free), int(total)

    def allocate(self, nbytes: int) -> tuple[Handle, int]:
        memory = _call(f"allocate {nbytes / 1e6:.0f} MB", cu.cuMemAlloc, nbytes)
        return memory, int(memory)

    def free(self, memory: Handle) -> None:
        _call("free memory", cu.cuMemFree, memory)

    def allocate_pinned(self, nbytes: int) -> tuple[Handle, int]:
        address = _call(f"lock {nbytes / 1e6:.0f} MB of memory", cu.cuMemHostAlloc, nbytes, 0)
        return address, int(address)

    def free_pinned(self, memory: Handle) -> None:
        _call("free memory", cu.cuMemFreeHost, memory)

    def create_stream(self) -> tuple[Handle, int]:
        stream = _call("create a stream", cu.cuStreamCreate, cu.CUstream_flags.CU_STREAM_NON_BLOCKING.value)
        return stream, int(stream)

    def destroy_stream(self, stream: Handle) -> None:
        _call("end a stream", cu.cuStreamDestroy, stream)

    def synchronize_stream(self, stream: Handle) -> None:
        _call("finish its work", cu.cuStreamSynchronize, stream)

    def create_event(self) -> Handle:
        flags = cu.CUevent_flags
        wanted = flags.CU_EVENT_BLOCKING_SYNC.value | flags.CU_EVENT_DISABLE_TIMING.value
        return _call("create an event", cu.cuEventCreate, wanted)

    def destroy_event(self, event: Handle) -> None:
        _call("end an event", cu.cuEventDestroy, event)

    def record(self, event: Handle, stream: Handle) -> None:
        _call("record an event", cu.cuEventRecord, event, stream)

    def wait(self, stream: Handle, event: Handle) -> None:
        _call("wait for an event", cu.cuStreamWaitEvent, stream, event, 0)

    def synchronize_event(self, event: Handle) -> None:
        _call("finish its work", cu.cuEventSynchronize, event)

    def upload(self, device: int, host: int, nbytes: int, stream: Handle) -> None:
        _call("copy to the GPU", cu.cuMemcpyHtoDAsync, device, host, nbytes, stream)

    def download(self, host: int, device: int, nbytes: int, stream: Handle) -> None:
        _call("copy from the GPU", cu.cuMemcpyDtoHAsync, host, device, nbytes, stream)

    def copy(self, target: int, source: int, nbytes: int, stream: Handle) -> None:
        _call("copy on the GPU", cu.cuMemcpyDtoDAsync, target, source, nbytes, stream)

    def clear(self, target: int, nbytes: int, stream: Handle) -> None:
        _call("clear memory", cu.cuMemsetD8Async, target, 0, nbytes, stream)

    def capture(self, stream: Handle, enqueue: Callable[[], None]) -> Handle | None:
        # Other threads allocate and capture at the same time: only this thread's calls may spoil the capture.
        mode = cu.CUstreamCaptureMode.CU_STREAM_CAPTURE_MODE_THREAD_LOCAL
        _call("begin a capture", cu.cuStreamBeginCapture, stream, mode)
        try:
            enqueue()
        except BaseException:
            _, abandoned = cu.cuStreamEndCapture(stream)  # an error here says less than the one at hand
            if abandoned is not None and int(abandoned):
                cu.cuGraphDestroy(abandoned)
            raise
        captured = _call("end a capture", cu.cuStreamEndCapture, stream)
        try:
            return _call("make a graph", cu.cuGraphInstantiate, captured, 0)
        finally:
            _call("end a graph", cu.cuGraphDestroy, captured)

    def launch(self, graph: Handle, stream: Handle) -> None:
        _call("launch a graph", cu.cuGraphLaunch, graph, stream)

    def destroy_graph(self, graph: Handle) -> None:
        _call("end a graph", cu.cuGraphExecDestroy, graph)


def _device(index: int) -> Handle:
    return _call("find the GPU", cu.cuDeviceGet, index)


def _call(what: str, function: Callable[..., tuple[Any, ...]], *arguments: object) -> Any:
    """Call the driver; its result, or a tuple of several.

    Raises:
        RuntimeUnavailable: the driver returned an error, or has no such function.
    """
    try:
        returned = function(*arguments)
    except RuntimeError as error:  # a function that came with a later driver
        raise RuntimeUnavailable(f"the NVIDIA driver is too old: it cannot {what}. Update it", ELSEWHERE) from error
    return _result(what, returned)


def _result(what: str, returned: tuple[Any, ...]) -> Any:
    code, *results = returned
    if int(code):
        _, words = cu.cuGetErrorString(code)
        raise failure(what, getattr(code, "name", str(code)), (words or b"").decode(errors="replace"))
    return results[0] if len(results) == 1 else tuple(results)
