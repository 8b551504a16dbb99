"""Sampling factors, and the chroma subsampling that they mean (C1, C3)."""

from __future__ import annotations

import math

from mjpeg_restore.errors import UnsupportedJpeg
from mjpeg_restore.frames import Sampling

Factors = tuple[tuple[int, int], ...]
"""Sampling factors (across, down) per component, as in the SOF."""


def subsampling(factors: Factors) -> Sampling:
    """The chroma subsampling that the factors mean; a common divisor has no effect (C3).

    Raises:
        UnsupportedJpeg: a ratio, or a number of components, that is not restored (C1, C5).
    """
    if len(factors) == 1:
        return Sampling.GRAY
    if len(factors) != 3:
        raise UnsupportedJpeg(f"{len(factors)} components (CMYK?); only YCbCr and grey are restored")
    across, down = (math.gcd(*axis) for axis in zip(*factors, strict=True))
    luma, *chroma = ((h // across, v // down) for h, v in factors)
    for sampling in Sampling:
        if sampling.value == luma and chroma == [(1, 1), (1, 1)]:
            return sampling
    raise UnsupportedJpeg("sampling " + ",".join(f"{h}x{v}" for h, v in factors) + " is not restored")


def largest_factors(factors: Factors) -> tuple[int, int]:
    """The largest factor across and the largest down; both define the size of an MCU (T.81, A.2)."""
    return max(h for h, _ in factors), max(v for _, v in factors)
