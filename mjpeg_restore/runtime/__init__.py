"""Load graphs on a device. `devices.py` lists the runtimes."""

from __future__ import annotations

import logging
import os
from contextlib import closing
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mjpeg_restore.catalogue import GraphFile, Port
from mjpeg_restore.catalogue.ports import COMPONENTS, STATE
from mjpeg_restore.errors import MissingExtra, RuntimeUnavailable
from mjpeg_restore.futures import INLINE
from mjpeg_restore.runtime.base import (
    Blend,
    Camera,
    Inputs,
    LoadSettings,
    Network,
    Planes,
    Precision,
    Progress,
    Session,
)
from mjpeg_restore.runtime.cpu.native import NativeDecode
from mjpeg_restore.runtime.cuda import Device
from mjpeg_restore.runtime.devices import AUTO, DEVICES, ON_GPU, ON_HOST, Runtime, candidates, on_gpu, runtime_of
from mjpeg_restore.runtime.loading import Loader
from mjpeg_restore.runtime.tensorrt.package import RTX_CARDS
from mjpeg_restore.runtime.weights import imported_onnx

__all__ = [
    "DEVICES",
    "Blend",
    "Camera",
    "Inputs",
    "NativeDecode",
    "Network",
    "Planes",
    "Precision",
    "Progress",
    "Session",
    "open_network",
    "usable_cores",
]

_LOADER = Loader()
_LOG = logging.getLogger(__name__)


def open_network(
    graph: GraphFile,
    device: str = "auto",
    threads: int | None = None,
    streams: int = 1,
    blend: Blend | None = None,
    progress: Progress | None = None,
    precision: Precision = "fp16",
    engine_cache: Path | None = None,
) -> Network:
    """Load a graph, or take the network that was loaded for others with the same arguments.

    Args:
        graph: a file of the catalogue.
        device: one of `DEVICES`, with or without a detail; `devices.py` says what "auto" takes.
        threads: CPU threads in total; None: all usable cores.
        streams: pictures that are restored at the same time; the threads are divided among them.
        blend: weights to mix with the graph's own.
        progress: called while the network is made ready, if that takes long; may end it.
        precision: of the network on a GPU.
        engine_cache: folder of the engines that TensorRT builds; None for the user's cache.

    Raises:
        RuntimeUnavailable: the device is unknown or absent, its runtime failed, or there is no runtime for "auto".
        MissingExtra: the chosen runtime's package is not installed, or `onnx` is not and there is a blend.
        ModelCorrupt: the file is missing or altered.
    """
    if blend:
        imported_onnx("texture", "Texture")  # checked first: "auto" would report a runtime as missing instead
    watch = progress or _ignore
    waiting = partial(watch, f"another thread loads {graph.label}", 0.0)
    errors: list[RuntimeUnavailable] = []
    for candidate in candidates(device):
        runtime, detail = runtime_of(candidate)
        settings = LoadSettings(detail, threads or usable_cores(), streams, blend, watch, precision, engine_cache)
        on_host = not on_gpu(candidate)
        key = (
            *(graph.folder, graph.file, graph.sha256, candidate, blend and blend.digest()),
            *((settings.threads, streams) if on_host else (precision, engine_cache)),
        )
        load = partial(runtime.load if on_host else partial(_load_on_gpu, runtime), graph, settings)
        try:
            network = _LOADER.get(key, load, waiting)
        except RuntimeUnavailable as error:
            errors.append(error)
            continue
        if candidate in ON_HOST and len(errors) >= len(ON_GPU):
            _tell_once(_gpu_unused(errors[: len(ON_GPU)], network))
        return network
    if device == AUTO and all(isinstance(error, MissingExtra) for error in errors):
        raise RuntimeUnavailable(
            "a network needs a runtime, OpenVINO or ONNX Runtime: pip install openvino, or pip install onnxruntime"
        ) from errors[-1]
    raise _telling(errors)


def _load_on_gpu(runtime: Runtime, graph: GraphFile, settings: LoadSettings) -> Network:
    """Load a graph, and have it restore a tiny picture: a library that does not fit the GPU may say so only then."""
    network = runtime.load(graph, settings)
    if graph.has_state and (camera := network.camera(INLINE)):
        inputs = [_smallest(port) for port in graph.inputs if port.kind not in STATE]
        with closing(camera):
            camera.submit(inputs, past=False, evidence=True).result()
    else:
        with closing(network.session(INLINE)) as session:
            session.submit([_smallest(port) for port in graph.inputs]).result()
    return network


def _smallest(port: Port) -> NDArray[Any]:
    """An input for a picture of two by two blocks."""
    return (np.ones if port.kind == "table" else np.zeros)(port.sizes([(2, 2)] * len(COMPONENTS)), port.dtype)


def _telling(errors: list[RuntimeUnavailable]) -> RuntimeUnavailable:
    """What is broken says more than what is not installed; of either, the first is what is preferred."""
    return next((error for error in errors if not isinstance(error, MissingExtra)), errors[0])


def _gpu_unused(errors: list[RuntimeUnavailable], network: Network) -> str:
    """Why a GPU that is there is not used, in one sentence."""
    error = _telling(errors)
    if isinstance(error, MissingExtra):
        return f'an NVIDIA GPU is there and not used: pip install "mjpeg-restore[{_extra_for_gpu()}]"'
    return f"the GPU is not used: {error.message}; {network.name} instead"


def _extra_for_gpu() -> str:
    """The extra that serves the first GPU; where no package tells which one that is, the one for PCs."""
    try:
        capability = Device().capability
    except RuntimeUnavailable:
        return "tensorrt-rtx"
    return "tensorrt-rtx" if capability in RTX_CARDS else "tensorrt"


@cache
def _tell_once(words: str) -> None:
    _LOG.warning(words)


def _ignore(what: str, share: float) -> None:
    """Progress that nobody watches."""


def usable_cores() -> int:
    """CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
