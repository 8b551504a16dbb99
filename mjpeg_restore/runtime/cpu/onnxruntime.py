"""ONNX Runtime on the CPU: a small package for nearly every platform, computing in float32; and on NVIDIA GPUs.

A graph's int8 layers are quantised and computed in float32: ONNX Runtime could fuse few of them into int8
convolutions, and would be no faster. Results on different CPUs thus differ only in the last bits of float32, so quality
is measured with this runtime.

On a GPU, for which the package `onnxruntime-gpu` is needed, each picture is copied up, computed and copied down before
the next one: it is there for those who have that package and no other.
"""

# onnxruntime has no stubs.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

import io
import os
import re
from collections.abc import Sequence
from contextlib import redirect_stdout
from typing import Any

from mjpeg_restore.catalogue import GraphFile
from mjpeg_restore.errors import Hint, MissingExtra, RuntimeUnavailable
from mjpeg_restore.runtime.base import (
    OUT_OF_MEMORY,
    HostNetwork,
    Inputs,
    LoadSettings,
    Planes,
    one_line,
    picture_size,
    wrap_errors,
)
from mjpeg_restore.runtime.rewriting import for_torch
from mjpeg_restore.runtime.weights import blended

# Nobody consented to telemetry, and a forked process, which lacks the telemetry thread, would hang on exit.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
with wrap_errors("ONNX Runtime is installed but does not load", Hint("try {device}", device="openvino")):
    try:
        import onnxruntime as ort
    except ModuleNotFoundError as error:
        raise MissingExtra("onnxruntime", "onnxruntime", "this device") from error

CUDA = "CUDAExecutionProvider"
_ON_GPU = "onnxruntime:cuda"
"""The device, in messages."""
_OF_CUDA = re.compile(r"\bCU\w+ failure")
"""In error messages: "CUDA failure 700: an illegal memory access was encountered", "CUDNN_FE failure ..."."""
_LOADING = Hint("try {device}, or pip install --upgrade onnxruntime", device="openvino")
_RUNNING = Hint("try {model}, {device} or fewer {threads}", model="stream-lite", device="openvino", threads=None)
ort.disable_telemetry_events()  # for versions that ignore the environment variable


def check() -> str:
    """The devices that this build of ONNX Runtime knows, in words."""
    return "CPU, CUDA" if CUDA in ort.get_available_providers() else "CPU"


class OnnxRuntime(HostNetwork):
    """A graph in a session of ONNX Runtime, which serves all threads."""

    def __init__(self, graph: GraphFile, settings: LoadSettings) -> None:
        gpu = re.fullmatch(r"cuda(?::(\d+))?", settings.detail)
        if settings.detail and not gpu:
            raise RuntimeUnavailable(f"ONNX Runtime has no device {settings.detail!r} here, only CPU, cuda and cuda:1")
        if gpu and CUDA not in ort.get_available_providers():
            raise MissingExtra("onnxruntime-gpu", "", _ON_GPU)
        options = ort.SessionOptions()
        options.intra_op_num_threads = max(1, settings.threads // settings.streams)
        options.inter_op_num_threads = 1
        options.log_severity_level = 4  # fatal only: errors are raised as exceptions
        # Workers that spin between two layers would take CPU time from the encoder.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.add_session_config_entry("session.disable_quant_qdq", "1")
        with wrap_errors(f"ONNX Runtime cannot load {graph.label}", _LOADING):
            path, blend = graph.path(), settings.blend
            model = blended(path.read_bytes(), blend) if blend else str(path)
            if gpu:
                half = settings.precision == "fp16"
                content = model if isinstance(model, bytes) else path.read_bytes()
                rewritten = for_torch(content, half=half, extra="", purpose=_ON_GPU)  # no extra is for it
                self._session = _on_gpu(rewritten, options, int(gpu[1] or 0))
                where = f"CUDA, {settings.precision}"
            else:
                self._session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
                where = "CPU"
        self._names: list[str] = [node.name for node in self._session.get_inputs()]
        graph.check_names(self._names, [node.name for node in self._session.get_outputs()])
        self.name = f"ONNX Runtime {ort.__version__}, {where}"

    def run(self, inputs: Inputs) -> Planes:
        """Restore one picture; see `HostNetwork`."""
        with wrap_errors(f"ONNX Runtime cannot restore a picture of {picture_size(inputs)}", _RUNNING):
            try:
                planes: Sequence[Any] = self._session.run(None, dict(zip(self._names, inputs, strict=True)))
            except Exception as error:
                # Whether CUDA still works cannot be asked. A network that is loaded in vain costs seconds.
                self.broken = self.broken or bool(_OF_CUDA.search(str(error)) and one_line(error) != OUT_OF_MEMORY)
                raise
        return tuple(planes)


def _on_gpu(model: bytes, options: Any, index: int) -> Any:
    """A session on a GPU.

    Raises:
        RuntimeUnavailable: CUDA does not start.
    """
    if hasattr(ort, "preload_dlls"):  # of CUDA and cuDNN, where pip has installed them; since 1.21
        with redirect_stdout(io.StringIO()):  # it prints what it does not find
            ort.preload_dlls()
    # TF32 has eleven bits, and would be used for float32 as well. The search for the fastest algorithms would be made
    # anew for each size of pictures.
    settings = {"device_id": index, "use_tf32": 0, "cudnn_conv_algo_search": "HEURISTIC"}
    session = ort.InferenceSession(model, options, providers=[(CUDA, settings)], enable_fallback=0)
    if CUDA not in session.get_providers():  # it would compute on the CPU, and say nothing
        raise RuntimeUnavailable(
            "ONNX Runtime finds no GPU, or lacks the libraries of CUDA or cuDNN",
            Hint("try {device}", device="onnxruntime"),
        )
    return session
