"""The list of runtimes: what each is called, what installs it, and how it loads a graph.

A device is a runtime's name, which ":" and a detail may follow, or one of the words that stand for several.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from mjpeg_restore.catalogue import GraphFile
from mjpeg_restore.errors import RuntimeUnavailable
from mjpeg_restore.runtime.base import LoadSettings, Network
from mjpeg_restore.runtime.cuda import gpu_index, gpu_present


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
    """What may follow the name, for messages; where that is the index of a GPU, none is listed."""
    load: Callable[[GraphFile, LoadSettings], Network]
    """Loads a graph, or raises `RuntimeUnavailable`; imports the library."""
    check: Callable[[], str]
    """The devices that it finds here, in words, or raises `RuntimeUnavailable`; loads no graph."""


def _tensorrt(name: str, graph: GraphFile, settings: LoadSettings) -> Network:
    from mjpeg_restore.runtime.tensorrt.loading import load

    return load(name, graph, settings)


def _check_tensorrt(name: str) -> str:
    from mjpeg_restore.runtime.tensorrt.loading import check

    return check(name)


def _torch(graph: GraphFile, settings: LoadSettings) -> Network:
    from mjpeg_restore.runtime.torch.network import load

    return load(graph, settings)


def _check_torch() -> str:
    from mjpeg_restore.runtime.torch.network import check

    return check()


def _openvino(graph: GraphFile, settings: LoadSettings) -> Network:
    from mjpeg_restore.runtime.cpu.openvino import OpenVino

    return OpenVino(graph, settings)


def _check_openvino() -> str:
    from mjpeg_restore.runtime.cpu.openvino_library import check

    return check()


def _onnxruntime(graph: GraphFile, settings: LoadSettings) -> Network:
    from mjpeg_restore.runtime.cpu.onnxruntime import OnnxRuntime

    return OnnxRuntime(graph, settings)


def _check_onnxruntime() -> str:
    from mjpeg_restore.runtime.cpu.onnxruntime import check

    return check()


_RTX = ("tensorrt-rtx", "tensorrt-rtx-cu13", "tensorrt-rtx-cu12")
_TENSORRT = ("tensorrt", "tensorrt-cu13", "tensorrt-cu12")

RUNTIMES = (
    Runtime(
        "tensorrt",
        "TensorRT",
        _TENSORRT,
        "tensorrt",
        (),
        partial(_tensorrt, "tensorrt"),
        partial(_check_tensorrt, "tensorrt"),
    ),
    Runtime(
        "tensorrt-rtx",
        "TensorRT-RTX",
        _RTX,
        "tensorrt-rtx",
        (),
        partial(_tensorrt, "tensorrt-rtx"),
        partial(_check_tensorrt, "tensorrt-rtx"),
    ),
    Runtime("torch", "PyTorch", ("torch",), "torch", ("cpu",), _torch, _check_torch),
    Runtime("openvino", "OpenVINO", ("openvino",), "openvino", ("GPU", "NPU"), _openvino, _check_openvino),
    Runtime(
        "onnxruntime",
        "ONNX Runtime",
        ("onnxruntime", "onnxruntime-gpu"),
        "onnxruntime",
        ("cuda",),
        _onnxruntime,
        _check_onnxruntime,
    ),
)

AUTO, CUDA = "auto", "cuda"

ON_GPU = ("tensorrt", "tensorrt-rtx", "torch", "onnxruntime:cuda")
"""Devices that "cuda" tries in turn, and "auto" where there is an NVIDIA GPU. TensorRT knows every GPU, TensorRT for
RTX those of PCs; PyTorch is large and seldom installed for this alone."""

ON_HOST = ("openvino", "onnxruntime")
"""Devices that "auto" tries then. `stream` is three times as fast in OpenVINO as in ONNX Runtime on an x86-64 CPU with
bf16, and two and a half times without: OpenVINO computes the network's int8 layers in int8. Networks without such
layers gain from bf16 alone. On ARM, where it computes them in float32, nobody has measured."""

DEVICES = (AUTO, CUDA, *(runtime.name for runtime in RUNTIMES))
"""Values of `device` without details."""


def on_gpu(device: str) -> bool:
    """Whether a device is one of those that "cuda" tries, on any GPU."""
    return device != "torch:cpu" and any(device == one or device.startswith(f"{one}:") for one in ON_GPU)


def known_devices() -> str:
    """The devices in words: "auto, cuda, openvino, openvino:GPU, ..."."""
    detailed = [f"{one.name}:{detail}" for one in RUNTIMES for detail in one.details]
    return ", ".join([*DEVICES, *detailed])


def candidates(device: str) -> list[str]:
    """The devices that stand for a device, in the order in which they are tried.

    Raises:
        RuntimeUnavailable: there is no device of that name, or "cuda" is followed by no number.
    """
    name, _, detail = device.partition(":")
    if device == AUTO:
        return [*(ON_GPU if gpu_present() else ()), *ON_HOST]
    if name == CUDA:
        gpu_index(detail)
        return [f"{one}:{detail}" if detail else one for one in ON_GPU]
    if name not in DEVICES or name == AUTO:
        raise RuntimeUnavailable(f"no device {device!r}; there are {known_devices()}")
    return [device]


def runtime_of(device: str) -> tuple[Runtime, str]:
    """A device's runtime and the detail that follows its name."""
    name, _, detail = device.partition(":")
    return next(runtime for runtime in RUNTIMES if runtime.name == name), detail
