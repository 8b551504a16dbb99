"""The list of runtimes: what each is called, what installs it, and how it loads a graph."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from mjpeg_restore.catalogue import GraphFile
from mjpeg_restore.runtime.base import LoadSettings, Network


@dataclass(frozen=True, slots=True)
class Runtime:
    """A library that runs graphs."""

    name: str
    """As a device: "openvino"."""
    title: str
    """For people: "OpenVINO"."""
    package: str
    """The distribution that holds the library; its version is the library's."""
    load: Callable[[GraphFile, LoadSettings], Network]
    """Loads a graph, or raises `RuntimeUnavailable`; imports the library."""


def _onnxruntime(graph: GraphFile, settings: LoadSettings) -> Network:
    from mjpeg_restore.runtime.cpu.onnxruntime import OnnxRuntime

    return OnnxRuntime(graph, settings)


def _openvino(graph: GraphFile, settings: LoadSettings) -> Network:
    from mjpeg_restore.runtime.cpu.openvino import OpenVino

    return OpenVino(graph, settings)


RUNTIMES = (
    Runtime("openvino", "OpenVINO", "openvino", _openvino),
    Runtime("onnxruntime", "ONNX Runtime", "onnxruntime", _onnxruntime),
)
"""In the order in which "auto" tries them."""
