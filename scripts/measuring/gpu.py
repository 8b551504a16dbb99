"""Measurements of networks on a GPU, from coefficients in the host's memory to planes in the host's memory."""

from __future__ import annotations

import statistics
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from measuring import clips
from measuring.clips import Size
from measuring.machine import machine
from measuring.metrics import psnr
from mjpeg_restore import catalogue
from mjpeg_restore.catalogue import GraphFile, Model
from mjpeg_restore.errors import RuntimeUnavailable
from mjpeg_restore.frames import CodedPicture
from mjpeg_restore.futures import INLINE
from mjpeg_restore.jpeg import read
from mjpeg_restore.restorer import Restorer, components
from mjpeg_restore.runtime import Inputs, Planes, Precision, cuda, open_network
from mjpeg_restore.runtime.devices import runtime_of
from mjpeg_restore.runtime.tensorrt.cache import EngineCache
from mjpeg_restore.runtime.tensorrt.engines import EngineRequest, engine
from mjpeg_restore.runtime.tensorrt.network import TensorRtNetwork
from mjpeg_restore.runtime.tensorrt.package import EDITIONS, load_package
from mjpeg_restore.runtime.tensorrt.profile import Profile

QUALITY = 75
"""Of the pictures: a camera's."""

PICTURES = 4
"""Different pictures that are restored in turn: one that comes again would not be restored again."""

IN_FLIGHT = 6
"""Pictures under way: as many as a session has slots, and as many whose planes are copied or read meanwhile."""

BUILDERS = tuple(edition.device for edition in EDITIONS)
"""Devices whose runtimes build engines."""

FPS = 25
"""Pictures a second of a camera."""


@dataclass(frozen=True, slots=True)
class Subject:
    """A network as it is measured."""

    model: Model
    device: str
    engine_cache: Path | None = None

    def restorer(self) -> Restorer:
        """A restorer whose networks are this one's."""
        return Restorer(self.model, self.device, streams=IN_FLIGHT, engine_cache=self.engine_cache)


@cache
def jpegs(size: Size) -> list[bytes]:
    """Successive pictures of a camera, 4:2:0."""
    return clips.pictures(size, QUALITY, PICTURES)


@cache
def coded(size: Size) -> list[CodedPicture]:
    """Their coefficients."""
    return [read(data) for data in jpegs(size)]


def speed(subject: Subject, size: Size, seconds: float) -> dict[str, Any]:
    """Frames per second with several pictures under way, milliseconds of one alone, and the time until the first.

    Args:
        subject: the network.
        size: of the pictures.
        seconds: for each of the two measurements.

    Returns:
        `runtime`, `fps`, `ms` (median of one picture at a time), `load_s` and, on a GPU, `device_mb`: its memory that
        the network and one session take.
    """
    free = _free_memory(subject.device)
    restorer, pictures = subject.restorer(), cycle(coded(size))
    with ThreadPoolExecutor(IN_FLIGHT) as pool:
        stream = restorer.stream(pool)
        begun = time.perf_counter()
        stream.restore(next(pictures))
        loaded = time.perf_counter() - begun
        _run_for(seconds / 2, lambda: stream.submit(next(pictures)))  # clocks rise, graphs are captured
        fps = _run_for(seconds, lambda: stream.submit(next(pictures)))
        alone: list[float] = []
        until = time.perf_counter() + seconds
        while time.perf_counter() < until or len(alone) < 3:
            begun = time.perf_counter()
            stream.restore(next(pictures))
            alone.append(1000 * (time.perf_counter() - begun))
        taken = free and free - (_free_memory(subject.device) or 0)
        stream.close()
    found: dict[str, Any] = {"runtime": restorer.runtime_name, "fps": fps, "ms": statistics.median(alone)}
    return found | {"load_s": loaded, "device_mb": taken and taken / 1e6}


def static_speed(subject: Subject, size: Size, seconds: float) -> dict[str, Any]:
    """Frames per second of an engine of TensorRT that is built for one size alone.

    Returns:
        `runtime` and `fps`, as `speed` has them.
    """
    graph = subject.model.variants[0].graphs["colour"]
    restorer, package, device = subject.restorer(), load_package(subject.device), cuda.Device()
    pictures = cycle([restorer.inputs(picture) for picture in coded(size)])
    luma, _, chroma, *_ = next(pictures)
    profile = Profile.static(luma.shape[:2], chroma.shape[:2])
    request = EngineRequest(graph, package, package.target(device), profile=profile)
    built = engine(request, EngineCache(subject.engine_cache), lambda what, share: None)
    network = TensorRtNetwork(package, device, graph, built.content, request.precision)
    with ThreadPoolExecutor(IN_FLIGHT) as pool:
        session = network.session(pool)
        _run_for(seconds / 2, lambda: session.submit(next(pictures)))
        fps = _run_for(seconds, lambda: session.submit(next(pictures)))
        session.close()
    return {"runtime": network.name, "fps": fps}


def cameras(subject: Subject, size: Size, seconds: float, streams: int = 4) -> dict[str, Any]:
    """Cameras of 25 pictures a second that one device carries, each with a stream of its own.

    Returns:
        `inference`: with coefficients at hand; `whole`: with JPEGs at hand, whose coefficients the CPU reads.
    """
    restorer = subject.restorer()
    with ThreadPoolExecutor(IN_FLIGHT) as pool, ThreadPoolExecutor(4 * streams) as feeders:
        own = [restorer.stream(pool) for _ in range(streams)]
        for stream in own:
            stream.restore(coded(size)[0])

        def all_at_once(pictures: Callable[[], Iterator[CodedPicture]]) -> float:
            def one(stream: Any) -> float:
                source = pictures()
                return _run_for(seconds, lambda: stream.submit(next(source)))

            return sum(feeders.map(one, own)) / FPS

        inference = all_at_once(lambda: cycle(coded(size)))

        def read_ahead() -> Iterator[CodedPicture]:
            """Coefficients, read by as many threads as there are cameras, a few ahead."""
            waiting: deque[Future[CodedPicture]] = deque()
            for data in cycle(jpegs(size)):
                waiting.append(feeders.submit(read, data))
                if len(waiting) == 3:
                    yield waiting.popleft().result()

        whole = all_at_once(read_ahead)
        for stream in own:
            stream.close()
    return {"streams": streams, "inference": inference, "whole": whole}


def _run_for(seconds: float, submit: Callable[[], Future[Any]]) -> float:
    """Results per second of what is submitted, with `IN_FLIGHT` of them under way."""
    waiting = deque(submit() for _ in range(IN_FLIGHT))
    waiting.popleft().result()
    begun, count = time.perf_counter(), 0
    while time.perf_counter() - begun < seconds or count < IN_FLIGHT:
        waiting.append(submit())
        waiting.popleft().result()
        count += 1
    elapsed = time.perf_counter() - begun
    for future in waiting:
        future.result()
    return count / elapsed


def _free_memory(device: str) -> int | None:
    """Free memory of a GPU, bytes; None if the device is none, or its driver cannot be asked."""
    if device.startswith(("openvino", "onnxruntime")) and "cuda" not in device:
        return None
    if device.endswith("cpu"):
        return None
    try:
        return cuda.Device(0).free_memory
    except RuntimeUnavailable:
        return None


def parity(graph: GraphFile, device: str, precision: Precision, engine_cache: Path | None) -> dict[str, Any]:
    """A network on a device, compared with its rewritten float32 graph in ONNX Runtime on the CPU.

    Returns:
        `most`: largest difference of a sample; `off`: share of samples that differ; `loss_db`: PSNR lost against the
        original picture, luma's, where the graph gives planes.
    """
    picture, inputs = _pictured(graph)
    network = open_network(graph, device, precision=precision, engine_cache=engine_cache)
    session = network.session(INLINE)
    ours = session.submit(inputs).result()
    session.close()
    right = reference(graph, inputs)
    differences = [np.abs(a.astype(np.float64) - b) for a, b in zip(ours, right, strict=True)]
    found: dict[str, Any] = {"runtime": network.name, "most": float(max(one.max() for one in differences))}
    found["off"] = float(sum((one > 0).sum() for one in differences) / sum(one.size for one in differences))
    if graph.outputs[0].kind == "samples":
        found["loss_db"] = psnr(right[0], picture) - psnr(ours[0], picture)
    return found


def reference(graph: GraphFile, inputs: Inputs) -> Planes:
    """What the rewritten float32 graph gives in ONNX Runtime on the CPU."""
    import onnxruntime

    from mjpeg_restore.runtime.rewriting import for_tensorrt

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    rewritten = for_tensorrt(graph.path().read_bytes(), half=False)
    session = onnxruntime.InferenceSession(rewritten, options, providers=["CPUExecutionProvider"])
    given = [as_rewritten(array) for array in inputs]
    found: Any = session.run(None, {port.name: array for port, array in zip(graph.inputs, given, strict=True)})
    return tuple(found)


def as_rewritten(array: NDArray[Any]) -> NDArray[Any]:
    """An input as the rewritten graph takes it: coefficients as their bytes, tables as float32."""
    if array.dtype == np.int16:
        return np.ascontiguousarray(array, "<i2").view(np.uint8).reshape(*array.shape, 2)
    return array.astype(np.float32)


def _pictured(graph: GraphFile) -> tuple[NDArray[np.uint8], Inputs]:
    """A small picture's luma, and the inputs of a graph that are made of its JPEG."""
    import io

    from street import frames

    size = (256, 192)
    (image,) = frames(*size, clips.FPS, 1)
    grey = len([port for port in graph.inputs if port.kind == "coefficients"]) == 1
    luma = np.asarray(image.convert("L"))
    buffer = io.BytesIO()
    (image.convert("L") if grey else image).save(buffer, "JPEG", quality=20)
    found = components(read(buffer.getvalue()))
    random = np.random.default_rng(1)
    further = {
        "noise": lambda: random.standard_normal((4 * found[0].shape[0], 4 * found[0].shape[1]), np.float32),
        "context": lambda: random.uniform(0, 1, [int(size) for size in graph.inputs[-1].shape]).astype(np.float32),
    }
    return luma, [*found, *(further[port.kind]() for port in graph.inputs if port.kind in further)]


def models(names: list[str], folder: Path | None) -> list[Model]:
    """Models by name, and all of a further folder with a manifest."""
    further = list(catalogue.models(folder).values()) if folder else []
    return [*(catalogue.find(name) for name in names), *further]


def is_absent(device: str) -> bool:
    """Whether a runtime cannot work here at all, whatever the graph."""
    try:
        runtime_of(device)[0].check()
    except RuntimeUnavailable:
        return True
    return False


def card() -> dict[str, Any]:
    """The first GPU: what it is, how fast it copies and, where PyTorch can measure that, how fast it computes.

    Raises:
        RuntimeUnavailable: there is none.
    """
    device = cuda.Device()
    up, down = _copies(device)
    return {
        "name": device.name,
        "capability": ".".join(map(str, device.capability)),
        "memory_gb": device.total_memory / 1e9,
        "cuda": ".".join(map(str, device.driver.version())),
        "bindings": device.driver.title,
        "cpu": f"{machine().cpu}, {machine().cores} cores",
        "up_gbs": up,
        "down_gbs": down,
        "peak_tflops": _peak(),
    }


def _copies(device: cuda.Device, nbytes: int = 8 << 20, times: int = 40) -> tuple[float, float]:
    """Speed of copies to the GPU and back, from pinned memory, in 10^9 bytes a second."""
    with (
        cuda.PinnedBuffer(device, nbytes) as host,
        cuda.DeviceBuffer(device, nbytes) as there,
        cuda.Stream(device) as stream,
    ):

        def speed(copy: Callable[[], None]) -> float:
            copy()
            stream.synchronize()
            begun = time.perf_counter()
            for _ in range(times):
                copy()
            stream.synchronize()
            return times * nbytes / (time.perf_counter() - begun) / 1e9

        return (
            speed(lambda: stream.upload(host, there, nbytes)),
            speed(lambda: stream.download(there, host, nbytes)),
        )


def _peak(side: int = 8192, times: int = 10) -> float | None:
    """Speed of float16 products of large matrices, 10^12 operations a second; None without PyTorch on the GPU."""
    try:
        import torch
    except ImportError:
        return None
    if not torch.cuda.is_available():
        return None
    one = torch.randn(side, side, device="cuda", dtype=torch.float16)
    for _ in range(3):
        torch.mm(one, one)
    torch.cuda.synchronize()
    begun = time.perf_counter()
    for _ in range(times):
        torch.mm(one, one)
    torch.cuda.synchronize()
    return 2 * side**3 * times / (time.perf_counter() - begun) / 1e12
