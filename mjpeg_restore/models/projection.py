"""The projection into the quantisation cell, and back to samples: from a network's last layer to a plane.

A network of `models/stream.py` says, for each sample, what the decoded one lacks. The DCT of that, in units of the
quantisation step, is where in its cell a coefficient is to lie. It is held to the cell; then the coefficients are
dequantised, transformed back, shifted and rounded. Exported graphs end with the same arithmetic. A runtime whose
network computes in fewer bits leaves their end to this module, which keeps to float32 and takes a third of the time.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from mjpeg_restore.jpeg.dct import DCT_MATRIX

try:
    from mjpeg_restore.models._projection import project as native_project
except ImportError:  # no C compiler when the package was installed
    native_project = None

CELL: Final = 0.499
"""Half-width of the quantisation cell that a prediction is held to, in steps. The 0.001 that is missing from a half
keeps a float32 DCT of the result from rounding into the next cell."""

SAMPLE_SCALE: Final = 64.0
"""What centred samples are divided by to be features."""

PHASES: Final = 4
"""Samples, each way, that make one place of a network's last layer, a channel for each of them."""


def project(
    phases: NDArray[np.float16], coefficients: NDArray[np.int16], table: NDArray[np.uint16]
) -> NDArray[np.uint8]:
    """Restore a component.

    Args:
        phases: float16 `[16, 2 blocks_high, 2 blocks_wide]`, finite: what the decoded samples lack, in units of
            `SAMPLE_SCALE`. Phase `4 y + x` has every fourth of them, from row y and column x on.
        coefficients: int16 `[blocks_high, blocks_wide, 64]`, natural order.
        table: `[64]`, natural order, 1 and more.

    Returns:
        uint8 `[8 blocks_high, 8 blocks_wide]`.
    """
    high, wide, _ = coefficients.shape
    steps = table.astype(np.float32)
    if native_project is None:
        return _in_numpy(phases, coefficients, steps)
    plane = np.empty((8 * high, 8 * wide), np.uint8)
    phases, coefficients = np.ascontiguousarray(phases), np.ascontiguousarray(coefficients)
    native_project(phases, coefficients, steps, plane, high, wide, SAMPLE_SCALE, CELL)
    return plane


def _in_numpy(
    phases: NDArray[np.float16], coefficients: NDArray[np.int16], steps: NDArray[np.float32]
) -> NDArray[np.uint8]:
    high, wide, _ = coefficients.shape
    lacking = phases.reshape(PHASES, PHASES, 8 // PHASES * high, 8 // PHASES * wide).transpose(2, 0, 3, 1)
    blocks = lacking.reshape(high, 8, wide, 8).swapaxes(1, 2).reshape(high, wide, 64).astype(np.float32)
    matrix = DCT_MATRIX.astype(np.float32)
    places = np.clip(blocks @ matrix.T * (SAMPLE_SCALE / steps), -CELL, CELL)
    samples = ((coefficients + places) * steps) @ matrix + 128
    plane = np.clip(np.rint(samples), 0, 255).astype(np.uint8)
    return plane.reshape(high, wide, 8, 8).swapaxes(1, 2).reshape(8 * high, 8 * wide)
