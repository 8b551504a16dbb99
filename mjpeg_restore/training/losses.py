"""What is minimised. The DCT is orthonormal, so a squared error of coefficients is one of pixels (Parseval)."""

from __future__ import annotations

import torch
from torch import Tensor

CHROMA_WEIGHT = 0.25
"""Weight of Cb and of Cr beside luma: about their share in the error of an RGB picture at 4:2:0."""

FLOOR = 0.05
"""Added to each mean squared error, in squared grey levels, so that a flat crop's gradient stays finite."""


def root_mean_square(restored: list[Tensor], original: list[Tensor]) -> Tensor:
    """Root mean squared error of each crop and component, averaged over the batch, weighted over the components.

    The root keeps coarse tables from drowning fine ones, as a mean over pictures in dB does; the error itself (L2)
    would see little but Q5, its logarithm (PSNR itself) little but flat crops.

    Args:
        restored: dequantised coefficients `[batch, high, wide, 64]` of Y, Cb, Cr.
        original: the same before quantisation.
    """
    total = restored[0].new_zeros(())
    for component, (found, truth) in enumerate(zip(restored, original, strict=True)):
        error = torch.mean((found - truth) ** 2, dim=(1, 2, 3))
        total = total + (1.0 if component == 0 else CHROMA_WEIGHT) * torch.sqrt(error + FLOOR).mean()
    return total
