"""The plain decode in double precision: the reference for decoders, runtimes and networks."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mjpeg_restore.jpeg.dct import DCT_MATRIX


def to_pixels(coefficients: NDArray[np.int16], table: NDArray[np.uint16]) -> NDArray[np.float64]:
    """Dequantise and apply the inverse DCT.

    Args:
        coefficients: int16 `[blocks_high, blocks_wide, 64]`, quantised, natural order.
        table: uint16 `[64]`, natural order.

    Returns:
        float64 `[8 * blocks_high, 8 * blocks_wide]`, nominally 0..255, neither rounded nor clamped.
    """
    high, wide, _ = coefficients.shape
    blocks = (coefficients * table.astype(np.float64)) @ DCT_MATRIX + 128
    return blocks.reshape(high, wide, 8, 8).swapaxes(1, 2).reshape(8 * high, 8 * wide)
