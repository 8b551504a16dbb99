"""The list of runtimes: what each is called, what installs it, and how it loads a graph.

A device is a runtime's name, which ":" and a detail may follow, or one of `CHOICES`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from mjpeg_restore.catalogue import GraphFile
from mjpeg_restore.errors import RuntimeUnavailable
from mjpeg_restore.runtime.base import LoadSettings, Network


@dataclass(frozen=True, slots=True)
class Runtime:
    """A library that runs graphs."""

    name: str
    """As a device: "openvino"."""
    title: str
    """For people: "OpenVINO"."""
    packages: tuple[str, ...]
    """Distributions that hold the library, of which one is enough; its version is the library's."""
    extra: str
    """Of this package, that installs the library."""
    details: tuple[str, ...]
    """What may follow the name, for help and messages."""
    load: Callable[[GraphFile, LoadSettings], Network]
    """Loads a graph, or raises `RuntimeUnavailable`; imports the library."""


def _onnxruntime(graph: GraphFile, settings: LoadSettings) -> Network:
    from mjpeg_restore.runtime.cpu.onnxruntime import OnnxRuntime

    return OnnxRuntime(graph, settings)


def _openvino(graph: GraphFile, settings: LoadSettings) -> Network:
    from mjpeg_restore.runtime.cpu.openvino import OpenVino

    return OpenVino(graph, settings)


RUNTIMES = (
    Runtime("openvino", "OpenVINO", ("openvino",), "openvino", ("GPU", "NPU"), _openvino),
    Runtime("onnxruntime", "ONNX Runtime", ("onnxruntime",), "onnxruntime", (), _onnxruntime),
)

AUTO, CUDA = "auto", "cuda"

ON_HOST = ("openvino", "onnxruntime")
"""Devices that "auto" tries in turn. `stream` is three times as fast in OpenVINO as in ONNX Runtime on a CPU with bf16,
and two and a half times without: OpenVINO computes the network's int8 layers in int8. Networks without int8 layers gain
from bf16 alone."""

DEVICES = (AUTO, *(runtime.name for runtime in RUNTIMES))
"""Values of `device` without details."""


def known_devices() -> str:
    """The devices in words: "auto, openvino, openvino:GPU, ..."."""
    return ", ".join(
        [AUTO, *(f"{one.name}{detail and ':'}{detail}" for one in RUNTIMES for detail in ("", *one.details))]
    )


def candidates(device: str) -> list[str]:
    """The devices that stand for a device, in the order in which they are tried.

    Raises:
        RuntimeUnavailable: there is no device of that name.
    """
    name, _, _ = device.partition(":")
    if device == AUTO:
        return [*ON_HOST]
    if name == AUTO or name not in DEVICES:
        raise RuntimeUnavailable(f"no device {device!r}; there are {known_devices()}")
    return [device]


def runtime_of(device: str) -> tuple[Runtime, str]:
    """A device's runtime and the detail that follows its name."""
    name, _, detail = device.partition(":")
    return next(runtime for runtime in RUNTIMES if runtime.name == name), detail
