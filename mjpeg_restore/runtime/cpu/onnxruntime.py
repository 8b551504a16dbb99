"""ONNX Runtime on the CPU: a small package for nearly every platform, computing in float32.

A graph's int8 layers are quantised and computed in float32: ONNX Runtime could fuse few of them into int8
convolutions, and would be no faster. Results on different CPUs thus differ only in the last bits of float32, so quality
is measured with this runtime.

Its builds for NVIDIA GPUs run the form of a graph that PyTorch runs there, in float16 where that is allowed.
"""

# onnxruntime has no stubs.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from typing import Any

from mjpeg_restore.catalogue import GraphFile
from mjpeg_restore.errors import Hint, MissingExtra, RuntimeUnavailable
from mjpeg_restore.runtime.base import HostNetwork, Inputs, LoadSettings, Planes, picture_size, wrap_errors
from mjpeg_restore.runtime.rewriting import for_torch
from mjpeg_restore.runtime.weights import blended

# Nobody consented to telemetry, and a forked process, which lacks the telemetry thread, would hang on exit.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
with wrap_errors("ONNX Runtime is installed but does not load", Hint("try {device}", device="openvino")):
    try:
        import onnxruntime as ort
    except ModuleNotFoundError as error:
        raise MissingExtra("onnxruntime", "onnxruntime", "this device") from error

_GPU = Hint("try {device}", device="onnxruntime")
_LOADING = Hint("try {device}, or pip install --upgrade onnxruntime", device="openvino")
_RUNNING = Hint("try {model}, {device} or fewer {threads}", model="stream-lite", device="openvino", threads=None)
ort.disable_telemetry_events()  # for versions that ignore the environment variable


_CUDA = "CUDAExecutionProvider"


def check() -> str:
    """The devices that this build of ONNX Runtime knows, in words."""
    return "CPU, CUDA" if _CUDA in ort.get_available_providers() else "CPU"


class OnnxRuntime(HostNetwork):
    """A graph in a session of ONNX Runtime, which serves all threads."""

    def __init__(self, graph: GraphFile, settings: LoadSettings) -> None:
        gpu = re.fullmatch(r"cuda(?::(\d+))?", settings.detail)
        if gpu and _CUDA not in ort.get_available_providers():
            raise MissingExtra("onnxruntime-gpu", "", "onnxruntime:cuda")
        if settings.detail and not gpu:
            raise RuntimeUnavailable(f"ONNX Runtime has no device {settings.detail!r} here, only {check()}")
        options = ort.SessionOptions()
        options.intra_op_num_threads = max(1, settings.threads // settings.streams)
        options.inter_op_num_threads = 1
        options.log_severity_level = 4  # fatal only: errors are raised as exceptions
        # Workers that spin between two layers would take CPU time from the encoder.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.add_session_config_entry("session.disable_quant_qdq", "1")
        with wrap_errors(f"ONNX Runtime cannot load {graph.file}", _LOADING):
            content, blend = graph.path().read_bytes(), settings.blend
            content = blended(content, blend) if blend else content
            provider: Any = "CPUExecutionProvider"
            where = "CPU"
            if gpu:
                content = for_torch(content, half=settings.precision == "fp16")
                # With TF32, products of float32 would lose half of their bits.
                provider = (_CUDA, {"device_id": gpu[1] or "0", "use_tf32": "0"})
                where = f"CUDA, {settings.precision}"
            self._session = ort.InferenceSession(content, options, providers=[provider])
        if gpu and _CUDA not in self._session.get_providers():  # it only logs that, and takes the CPU
            raise RuntimeUnavailable(
                "ONNX Runtime finds no NVIDIA GPU that it can use, or lacks CUDA's libraries", _GPU
            )
        self._names: list[str] = [node.name for node in self._session.get_inputs()]
        self.name = f"ONNX Runtime {ort.__version__}, {where}"

    def run(self, inputs: Inputs) -> Planes:
        """Restore one picture; see `HostNetwork`."""
        with wrap_errors(f"ONNX Runtime cannot restore a picture of {picture_size(inputs)}", _RUNNING):
            planes: Sequence[Any] = self._session.run(None, dict(zip(self._names, inputs, strict=True)))
        return tuple(planes)
