"""Restorers that are loaded once, and a picture like a photograph to restore."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mjpeg_restore.restorer import Restorer

NETWORKS = ["stream", "stream-lite"]
RESTORERS = {name: Restorer(name, "onnxruntime", threads=2) for name in ("decode", *NETWORKS, "l4")}


def photograph(width: int, height: int) -> NDArray[np.uint8]:
    """Smooth slopes, an edge and a little noise: no sample near black or white, where clamping would act."""
    rng = np.random.default_rng(5)
    y, x = np.mgrid[:height, :width]
    luma = 110 + 30 * np.sin(x / 9) + 25 * np.cos(y / 13) + 20 * (x > width / 2)
    return (luma[..., None] + rng.normal(0, 4, (height, width, 3)) + (12, 0, -12)).clip(30, 225).astype(np.uint8)


def jpeg(pixels: NDArray[np.uint8], quality: int, subsampling: str = "4:2:0") -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=quality, subsampling=subsampling)
    return buffer.getvalue()
