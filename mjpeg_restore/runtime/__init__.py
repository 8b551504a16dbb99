"""Run a graph: OpenVINO where it is installed, else ONNX Runtime."""

from __future__ import annotations

import os
from pathlib import Path

from mjpeg_restore.errors import MissingExtra, RuntimeUnavailable
from mjpeg_restore.runtime.base import Blend, Inputs, Planes, Runtime
from mjpeg_restore.runtime.cpu.native import NativeDecode
from mjpeg_restore.runtime.weights import imported_onnx

__all__ = ["DEVICES", "Blend", "Inputs", "NativeDecode", "Planes", "Runtime", "open_runtime", "usable_cores"]

DEVICES = ("auto", "onnxruntime", "openvino")
"""What `device` may say; "openvino" may be followed by ":" and one of OpenVINO's device names."""


def open_runtime(
    graph: Path,
    device: str = "auto",
    threads: int | None = None,
    streams: int = 1,
    blend: Blend | None = None,
) -> Runtime:
    """Load a graph.

    Args:
        graph: an ONNX file under the contract of `models/graph.py`.
        device: one of `DEVICES`. "auto" is OpenVINO where it can be had, else ONNX Runtime. With `stream` OpenVINO
            is three times as fast on a CPU with bf16 and two and a half times without: it keeps to eight bits where
            the network does. Networks without them gain from bf16 alone.
        threads: CPU threads in all; every core that this process may use by default.
        streams: pictures that callers mean to restore at the same time; the threads are divided among them.
        blend: weights that are mixed with the graph's own.

    Raises:
        RuntimeUnavailable: the device is unknown or is not there, or its runtime failed.
        MissingExtra: its package is not installed, or `onnx` is not and weights are to be mixed in.
    """
    if blend:
        imported_onnx()  # without it no runtime is of use, and none would be named as missing in its place
    threads = threads or usable_cores()
    name, _, detail = device.partition(":")
    if device == "auto":
        try:
            return open_runtime(graph, "openvino", threads, streams, blend)
        except RuntimeUnavailable as error:  # not installed, or not in working order: nobody asked for it
            try:
                return open_runtime(graph, "onnxruntime", threads, streams, blend)
            except MissingExtra:
                raise error from None
    if device == "onnxruntime":
        from mjpeg_restore.runtime.cpu.onnxruntime import OnnxRuntime

        return OnnxRuntime(graph, threads, streams, blend)
    if name == "openvino":
        from mjpeg_restore.runtime.cpu.openvino import OpenVino

        return OpenVino(graph, threads, streams, detail or "CPU", blend)
    raise RuntimeUnavailable(f"no device {device!r}; there are {', '.join(DEVICES)} and openvino:GPU, openvino:NPU")


def usable_cores() -> int:
    """CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
