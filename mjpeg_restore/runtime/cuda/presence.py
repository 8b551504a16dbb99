"""Whether there is an NVIDIA GPU, as far as the file system tells: no library is loaded."""

from __future__ import annotations

import os
import sys
from pathlib import Path

NODES = ("/dev/nvidiactl", "/dev/nvhost-gpu", "/dev/nvgpu", "/usr/lib/wsl/lib/libcuda.so.1")
"""Device nodes of the driver, on PCs and on Jetson modules, and the driver in Windows' subsystem for Linux."""


def gpu_present() -> bool:
    """Whether an NVIDIA driver is at work here, and its GPUs are not hidden by CUDA_VISIBLE_DEVICES.

    It takes microseconds, so that nobody without such a GPU waits for the libraries that could use one.
    """
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES")
    if hidden is not None and (not hidden.strip() or hidden.strip().startswith("-1")):
        return False
    if sys.platform == "win32":
        return (Path(os.environ.get("SYSTEMROOT", "C:/Windows")) / "System32" / "nvcuda.dll").exists()
    return any(os.path.exists(node) for node in NODES)
