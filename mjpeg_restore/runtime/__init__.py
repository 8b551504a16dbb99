"""Load graphs on a device. `devices.py` lists the runtimes."""

from __future__ import annotations

import os

from mjpeg_restore.catalogue import GraphFile
from mjpeg_restore.errors import MissingExtra, RuntimeUnavailable
from mjpeg_restore.runtime.base import Blend, Inputs, LoadSettings, Network, Planes, Progress, Session
from mjpeg_restore.runtime.cpu.native import NativeDecode
from mjpeg_restore.runtime.devices import RUNTIMES
from mjpeg_restore.runtime.loading import Loader
from mjpeg_restore.runtime.weights import imported_onnx

__all__ = [
    "DEVICES",
    "Blend",
    "Inputs",
    "NativeDecode",
    "Network",
    "Planes",
    "Progress",
    "Session",
    "open_network",
    "usable_cores",
]

DEVICES = ("auto", *(runtime.name for runtime in RUNTIMES))
"""Values of `device`; "openvino" may be followed by ":" and one of OpenVINO's device names."""

_LOADER = Loader()


def open_network(
    graph: GraphFile,
    device: str = "auto",
    threads: int | None = None,
    streams: int = 1,
    blend: Blend | None = None,
    progress: Progress | None = None,
) -> Network:
    """Load a graph, or take the network that was loaded for others with the same arguments.

    Args:
        graph: a file of the catalogue.
        device: one of `DEVICES`. "auto" is OpenVINO if it works, else ONNX Runtime. `stream` is three times as fast in
            OpenVINO on a CPU with bf16, and two and a half times without: OpenVINO computes the network's int8 layers
            in int8. Networks without int8 layers gain from bf16 alone.
        threads: CPU threads in total; None: all usable cores.
        streams: pictures that are restored at the same time; the threads are divided among them.
        blend: weights to mix with the graph's own.
        progress: called while the network is made ready, if that takes long; may end it.

    Raises:
        RuntimeUnavailable: the device is unknown or absent, or its runtime failed.
        MissingExtra: the runtime's package is not installed, or `onnx` is not and there is a blend.
        ModelCorrupt: the file is missing or altered.
    """
    if blend:
        imported_onnx()  # checked first: "auto" would report a runtime as missing instead
    name, _, detail = device.partition(":")
    if name not in DEVICES or (name == "auto" and detail):
        raise RuntimeUnavailable(f"no device {device!r}; there are {', '.join(DEVICES)}, openvino:GPU, openvino:NPU")
    settings = LoadSettings(detail, threads or usable_cores(), streams, blend, progress or _ignore)

    def load(name: str) -> Network:
        (runtime,) = (runtime for runtime in RUNTIMES if runtime.name == name)
        key = graph.folder, graph.file, graph.sha256, name, detail, settings.threads, streams, blend and blend.digest()
        return _LOADER.get(key, lambda: runtime.load(graph, settings))

    if name != "auto":
        return load(name)
    errors: list[RuntimeUnavailable] = []
    for runtime in RUNTIMES:
        try:
            return load(runtime.name)
        except RuntimeUnavailable as error:
            errors.append(error)
    # What is broken says more than what is not installed; of what is not installed, the first is recommended.
    raise next((error for error in reversed(errors) if not isinstance(error, MissingExtra)), errors[0])


def _ignore(what: str, share: float) -> None:
    """Progress that nobody watches."""


def usable_cores() -> int:
    """CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
