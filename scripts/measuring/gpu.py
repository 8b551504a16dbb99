"""Measurements of networks on a GPU, from coefficients in the host's memory to planes in the host's memory."""

from __future__ import annotations

import statistics
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import cache
from itertools import cycle
from pathlib import Path
from typing import Any

from measuring import clips
from measuring.clips import Size
from mjpeg_restore import catalogue
from mjpeg_restore.catalogue import Model
from mjpeg_restore.errors import RuntimeUnavailable
from mjpeg_restore.frames import CodedPicture
from mjpeg_restore.jpeg import read
from mjpeg_restore.restorer import Restorer, RestorerStream
from mjpeg_restore.runtime import Progress, cuda, open_network
from mjpeg_restore.runtime.tensorrt.cache import EngineCache
from mjpeg_restore.runtime.tensorrt.engines import EngineRequest, engine
from mjpeg_restore.runtime.tensorrt.network import TensorRtNetwork
from mjpeg_restore.runtime.tensorrt.package import EDITIONS, load_package
from mjpeg_restore.runtime.tensorrt.profile import Profile

QUALITY = 75
"""Of the pictures: a camera's."""

PICTURES = 2
"""Different pictures that are restored in turn: one that comes again would not be restored again. To draw one of
3840x2160 takes seconds."""

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
    engine_cache: Path | None
    progress: Progress
    """Called while the network is made ready; may end it."""

    def restorer(self) -> Restorer:
        """A restorer whose networks are this one's."""
        return Restorer(
            self.model, self.device, streams=IN_FLIGHT, progress=self.progress, engine_cache=self.engine_cache
        )


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
        `runtime`, `fps`, `ms` (median of one picture at a time), `load_s`, `device_mb`, the GPU's memory that the
        network and one session take, or None where there is no GPU, and the network's `macs` per pixel.
    """
    free = _free_memory()
    restorer, pictures = subject.restorer(), cycle(coded(size))
    with ThreadPoolExecutor(IN_FLIGHT) as pool, restorer.stream(pool) as stream:
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
        left = _free_memory()
    return {
        "runtime": restorer.runtime_name,
        "fps": fps,
        "ms": statistics.median(alone),
        "load_s": loaded,
        "device_mb": None if free is None or left is None else (free - left) / 1e6,
        "macs": subject.model.macs_per_pixel,
    }


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
    built = engine(request, EngineCache(subject.engine_cache), subject.progress)
    network = TensorRtNetwork(package, device, graph, built.content, request.precision)
    with ThreadPoolExecutor(IN_FLIGHT) as pool, closing(network.session(pool)) as session:
        _run_for(seconds / 2, lambda: session.submit(next(pictures)))
        fps = _run_for(seconds, lambda: session.submit(next(pictures)))
    return {"runtime": network.name, "fps": fps}


def cameras(subject: Subject, size: Size, seconds: float, streams: int = 4) -> dict[str, Any]:
    """Cameras of 25 pictures a second that one device carries, each with a stream of its own.

    Returns:
        `runtime`, as `speed` has it; `inference`: with coefficients at hand; `whole`: with JPEGs at hand, whose
        coefficients the CPU reads.
    """
    restorer = subject.restorer()
    with ThreadPoolExecutor(IN_FLIGHT) as pool, ThreadPoolExecutor(4 * streams) as feeders, ExitStack() as opened:
        own = [opened.enter_context(restorer.stream(pool)) for _ in range(streams)]

        def all_at_once(pictures: Callable[[], Iterator[CodedPicture]], seconds: float = seconds) -> float:
            def one(stream: RestorerStream) -> float:
                source = pictures()
                return _run_for(seconds, lambda: stream.submit(next(source)))

            return sum(feeders.map(one, own)) / FPS

        def read_ahead() -> Iterator[CodedPicture]:
            """Coefficients, read by as many threads as there are cameras, a few ahead."""
            waiting: deque[Future[CodedPicture]] = deque()
            for data in cycle(jpegs(size)):
                waiting.append(feeders.submit(read, data))
                if len(waiting) == 3:
                    yield waiting.popleft().result()

        def at_hand() -> Iterator[CodedPicture]:
            return cycle(coded(size))

        all_at_once(at_hand, seconds / 2)  # graphs are captured
        inference, whole = all_at_once(at_hand), all_at_once(read_ahead)
    return {"runtime": restorer.runtime_name, "streams": streams, "inference": inference, "whole": whole}


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


def _free_memory() -> int | None:
    """Free memory of the first GPU, bytes; None if there is none that can be asked."""
    try:
        return cuda.Device().free_memory
    except RuntimeUnavailable:
        return None


def models(names: list[str], folder: Path | None) -> list[Model]:
    """Models by name, and all of a further folder with a manifest."""
    further = list(catalogue.read_manifest(folder).values()) if folder else []
    return [*(catalogue.find(name) for name in names), *further]


def why_absent(device: str, engine_cache: Path | None) -> str | None:
    """Why a runtime restores no picture here, whatever the network; None if it does."""
    try:
        open_network(catalogue.find(catalogue.DECODE).variants[0].graphs["grey"], device, engine_cache=engine_cache)
    except RuntimeUnavailable as error:
        return error.message
    return None
