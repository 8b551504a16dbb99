"""Run a graph, with OpenVINO if it is installed, else with ONNX Runtime."""

from __future__ import annotations

import os
from pathlib import Path

from mjpeg_restore.errors import MissingExtra, RuntimeUnavailable
from mjpeg_restore.runtime.base import Blend, Inputs, Planes, Runtime
from mjpeg_restore.runtime.cpu.native import NativeDecode
from mjpeg_restore.runtime.weights import imported_onnx

__all__ = ["DEVICES", "Blend", "Inputs", "NativeDecode", "Planes", "Runtime", "open_runtime", "usable_cores"]

DEVICES = ("auto", "onnxruntime", "openvino")
"""Values of `device`; "openvino" may be followed by ":" and one of OpenVINO's device names."""


def open_runtime(
    graph: Path,
    device: str = "auto",
    threads: int | None = None,
    streams: int = 1,
    blend: Blend | None = None,
) -> Runtime:
    """Load a graph.

    Args:
        graph: an ONNX file with the inputs and outputs of `models/graph.py`.
        device: one of `DEVICES`. "auto" is OpenVINO if it works, else ONNX Runtime. `stream` is three times as fast in
            OpenVINO on a CPU with bf16, and two and a half times without: OpenVINO computes the network's int8 layers
            in int8. Networks without int8 layers gain from bf16 alone.
        threads: CPU threads in total; None: all usable cores.
        streams: pictures that are restored at the same time; the threads are divided among them.
        blend: weights to mix with the graph's own.

    Raises:
        RuntimeUnavailable: the device is unknown or absent, or its runtime failed.
        MissingExtra: the runtime's package is not installed, or `onnx` is not and there is a blend.
    """
    if blend:
        imported_onnx("texture", "Texture")  # checked first: "auto" would report a runtime as missing instead
    threads = threads or usable_cores()
    name, _, detail = device.partition(":")
    if device == "auto":
        return _open_any(graph, threads, streams, blend)
    if device == "onnxruntime":
        from mjpeg_restore.runtime.cpu.onnxruntime import OnnxRuntime

        return OnnxRuntime(graph, threads, streams, blend)
    if name == "openvino":
        from mjpeg_restore.runtime.cpu.openvino import OpenVino

        return OpenVino(graph, threads, streams, detail or "CPU", blend)
    raise RuntimeUnavailable(f"no device {device!r}; there are {', '.join(DEVICES)}, openvino:GPU, openvino:NPU")


def _open_any(graph: Path, threads: int, streams: int, blend: Blend | None) -> Runtime:
    """Load a graph with OpenVINO or, where that fails, with ONNX Runtime.

    Raises:
        RuntimeUnavailable: OpenVINO's error, if ONNX Runtime is not installed.
    """
    try:
        return open_runtime(graph, "openvino", threads, streams, blend)
    except RuntimeUnavailable as error:
        try:
            return open_runtime(graph, "onnxruntime", threads, streams, blend)
        except MissingExtra:
            raise error from None


def usable_cores() -> int:
    """CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
