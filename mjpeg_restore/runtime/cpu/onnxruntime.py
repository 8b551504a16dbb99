"""ONNX Runtime on the CPU: small, nearly always there, in float32.

What a graph says is in eight bits is rounded so, and computed in float32: left alone, ONNX Runtime fuses few such
convolutions, and is no faster for it. So CPUs differ in float32's last bits and no more, and figures are taken with it.
"""

# onnxruntime has no stubs.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mjpeg_restore.errors import Hint, MissingExtra
from mjpeg_restore.runtime.base import Blend, Inputs, Planes, picture_size, wrap_errors
from mjpeg_restore.runtime.weights import blended

# A camera's owner did not ask for any; and its thread, which a forked process lacks, would hang that one's exit.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
with wrap_errors("ONNX Runtime is installed but does not load", Hint("try {device}", device="openvino")):
    try:
        import onnxruntime as ort
    except ModuleNotFoundError as error:
        raise MissingExtra("onnxruntime", "onnxruntime", "this device") from error

_LOADING = Hint("try {device}, or pip install --upgrade onnxruntime", device="openvino")
_RUNNING = Hint("try {model}, {device} or fewer {threads}", model="stream-lite", device="openvino", threads=None)
ort.disable_telemetry_events()  # versions that know no such variable


class OnnxRuntime:
    """A graph in an ONNX Runtime session."""

    def __init__(self, graph: Path, threads: int, streams: int, blend: Blend | None) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = max(1, threads // streams)
        options.inter_op_num_threads = 1
        options.log_severity_level = 4  # errors are raised; none needs printing too
        # The encoder shares the machine: a worker that spins between two layers takes the core it needs.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.add_session_config_entry("session.disable_quant_qdq", "1")
        with wrap_errors(f"ONNX Runtime cannot load {graph.name}", _LOADING):
            model = blended(graph.read_bytes(), blend) if blend else str(graph)
            self._session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        self._names: list[str] = [node.name for node in self._session.get_inputs()]
        self.name = f"ONNX Runtime {ort.__version__}, CPU"

    def run(self, inputs: Inputs) -> Planes:
        """Restore one picture; see `Runtime`."""
        with wrap_errors(f"ONNX Runtime cannot restore a picture of {picture_size(inputs)}", _RUNNING):
            planes: Sequence[Any] = self._session.run(None, dict(zip(self._names, inputs, strict=True)))
        return tuple(planes)
