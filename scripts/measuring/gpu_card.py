"""What a GPU is, and the two speeds that nothing on it can exceed."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

from measuring.machine import machine
from mjpeg_restore.errors import RuntimeUnavailable
from mjpeg_restore.runtime import cuda
from mjpeg_restore.runtime.base import wrap_errors


def card() -> dict[str, Any]:
    """The first GPU: what it is, how fast it copies and, where PyTorch can measure that, how fast it computes.

    Raises:
        RuntimeUnavailable: there is none.
    """
    device = cuda.Device()
    up, down = _copies(device)
    return {
        "name": device.name,
        "capability": ".".join(map(str, device.capability)),
        "memory_gb": device.total_memory / 1e9,
        "cuda": ".".join(map(str, device.driver.version())),
        "bindings": device.driver.title,
        "cpu": f"{machine().cpu}, {machine().cores} cores",
        "up_gbs": up,
        "down_gbs": down,
        "peak_tflops": _peak(),
    }


def _copies(device: cuda.Device, nbytes: int = 8 << 20, times: int = 40) -> tuple[float, float]:
    """Speed of copies to the GPU and back, from pinned memory, in 10^9 bytes a second."""
    with (
        cuda.PinnedBuffer(device, nbytes) as host,
        cuda.DeviceBuffer(device, nbytes) as there,
        cuda.Stream(device) as stream,
    ):

        def speed(copy: Callable[[], None]) -> float:
            copy()
            stream.synchronize()
            begun = time.perf_counter()
            for _ in range(times):
                copy()
            stream.synchronize()
            return times * nbytes / (time.perf_counter() - begun) / 1e9

        return (
            speed(lambda: stream.upload(host, there, nbytes)),
            speed(lambda: stream.download(there, host, nbytes)),
        )


def _peak(side: int = 8192, times: int = 10) -> float | None:
    """Speed of float16 products of large matrices, 10^12 operations a second; None where PyTorch cannot tell."""
    try:
        with wrap_errors("the peak is not measured: PyTorch cannot use the GPU"):
            return _peak_of_torch(side, times)
    except RuntimeUnavailable as error:
        print(error.message, file=sys.stderr)
        return None


def _peak_of_torch(side: int, times: int) -> float | None:
    try:
        import torch
    except ModuleNotFoundError:
        return None
    if not torch.cuda.is_available():
        return None
    one = torch.randn(side, side, device="cuda", dtype=torch.float16)
    for _ in range(3):
        torch.mm(one, one)
    torch.cuda.synchronize()
    begun = time.perf_counter()
    for _ in range(times):
        torch.mm(one, one)
    torch.cuda.synchronize()
    return 2 * side**3 * times / (time.perf_counter() - begun) / 1e12
