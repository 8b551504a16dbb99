"""From a shipped graph to pictures by TensorRT, on a GPU that is none."""

from __future__ import annotations

from pathlib import Path

from tests.lacking import needs, needs_fake_cuda
from tests.runtime.fake_cuda.library import run_cases


@needs_fake_cuda
def test_engines_networks_sessions_and_restorers(cuda_driver: Path) -> None:
    needs("onnx")
    needs("onnxruntime")
    needs("PIL")
    run_cases("cases_tensorrt.py", cuda_driver)
