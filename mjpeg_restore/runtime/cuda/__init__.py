"""CUDA's memory, streams and events: all that this package does with them itself, in one place.

`Device` and what it makes are the interface. A `Driver` stands behind it: `bindings.py` for NVIDIA's `cuda-bindings`,
`pycuda.py` for PyCUDA, whichever is installed. Both work in the device's primary context, which PyTorch and others
share, and make it the thread's current one only while they call.
"""

from __future__ import annotations

from mjpeg_restore.runtime.cuda.device import (
    CudaGraph,
    Device,
    DeviceBuffer,
    Event,
    Owned,
    PinnedBuffer,
    Stream,
    gpu_index,
    gpus,
)
from mjpeg_restore.runtime.cuda.presence import gpu_present

__all__ = [
    "CudaGraph",
    "Device",
    "DeviceBuffer",
    "Event",
    "Owned",
    "PinnedBuffer",
    "Stream",
    "gpu_index",
    "gpu_present",
    "gpus",
]
