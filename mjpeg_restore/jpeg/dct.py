"""The 8x8 DCT of JPEG (T.81, A.3.3) in floating point, for measurements, verification and tests."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray


def _basis() -> NDArray[np.float64]:
    frequency, sample = np.arange(8)[:, None], np.arange(8)[None, :]
    one = np.cos((2 * sample + 1) * frequency * np.pi / 16) / 2
    one[0] /= np.sqrt(2)
    return np.kron(one, one).astype(np.float64)


DCT_MATRIX: Final[NDArray[np.float64]] = _basis()
"""float64 `[64, 64]`, orthonormal: `DCT_MATRIX @ pixels` gives the coefficients of a block, both row-major."""


def to_coefficients(plane: NDArray[np.floating] | NDArray[np.uint8]) -> NDArray[np.float64]:
    """Apply the DCT to a plane; the caller divides by the table and rounds to quantise.

    Args:
        plane: `[8 * blocks_high, 8 * blocks_wide]`, nominally 0..255.

    Returns:
        float64 `[blocks_high, blocks_wide, 64]`, not quantised, natural order.
    """
    high, wide = plane.shape[0] // 8, plane.shape[1] // 8
    blocks = plane.astype(np.float64).reshape(high, 8, wide, 8).swapaxes(1, 2).reshape(high, wide, 64)
    return (blocks - 128) @ DCT_MATRIX.T
