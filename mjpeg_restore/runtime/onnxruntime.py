"""ONNX Runtime on the CPU: the default, small and float32 throughout."""

# onnxruntime has no stubs.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import onnxruntime as ort

from mjpeg_restore.runtime.base import Inputs, Planes


class OnnxRuntime:
    """A graph in an ONNX Runtime session."""

    def __init__(self, graph: Path, threads: int, streams: int) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = max(1, threads // streams)
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        # The encoder shares the machine: a worker that spins between two layers takes the core it needs.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session = ort.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])
        self._names: list[str] = [node.name for node in self._session.get_inputs()]
        self.name = f"ONNX Runtime {ort.__version__}, CPU, f32"

    def run(self, inputs: Inputs) -> Planes:
        """Restore one picture; see `Runtime`."""
        planes: Sequence[Any] = self._session.run(None, dict(zip(self._names, inputs, strict=True)))
        return tuple(planes)
