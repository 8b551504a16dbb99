"""CUDA's memory, streams and events by `cuda-bindings` and by PyCUDA, with a driver that needs no GPU."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.lacking import needs, needs_fake_cuda
from tests.runtime.fake_cuda.library import run_cases


@needs_fake_cuda
def test_a_device_its_memory_streams_events_and_graphs(cuda_driver: Path) -> None:
    run_cases("cases_bindings.py", cuda_driver)


@needs_fake_cuda
def test_the_same_by_pycuda(cuda_driver: Path) -> None:
    needs("onnx")
    needs("onnxruntime")
    run_cases("cases_pycuda.py", cuda_driver)


@needs_fake_cuda
def test_without_a_driver_there_is_one_sentence() -> None:
    program = (
        "import ctypes, sys\n"
        "from mjpeg_restore.errors import RuntimeUnavailable\n"
        "from mjpeg_restore.runtime.cuda import Device\n"
        "try:\n    ctypes.CDLL('libcuda.so.1')\nexcept OSError:\n    pass\nelse:\n    sys.exit('a driver is here')\n"
        "try:\n    Device()\nexcept RuntimeUnavailable as error:\n    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    if done.stderr.strip() != "a driver is here":
        assert (done.stdout, done.stderr) == ("there is no NVIDIA driver here: try device='openvino'\n", "")
