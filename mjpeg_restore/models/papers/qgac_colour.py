"""What QGAC's luma and colour networks share, and the colour network (Ehrlich et al. 2020, sections 3.3 and 4.1)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from mjpeg_restore.models.papers.manifold import BlockDecoder, BlockRepresentation
from mjpeg_restore.models.papers.rrdb import Rrdb

LUMA_SPREAD = (-100.0, 550.0, 210.0)
"""Of a photograph's luma coefficients: DC's mean and deviation, and what AC's falls from; see `Statistics`."""
CHROMA_SPREAD = (-1.0, 160.0, 60.0)

RESIDUAL_UNIT = 10.0
"""A residual is in units of its coefficient's standard deviation, or of this where that is more: what rounding took
from a coefficient does not grow with the coefficient, and DC's deviation would be far too coarse a unit for it."""


class Statistics(nn.Module):
    """Mean and standard deviation of each frequency of luma's or chroma's coefficients (section 4.1)."""

    mean: Tensor
    std: Tensor

    def __init__(self, dc_mean: float, dc: float, ac: float) -> None:
        """A typical photograph's, as measured on training pictures; not each data set's own.

        Args:
            dc_mean: DC's mean; those of AC are zero.
            dc: DC's standard deviation.
            ac: over the power 1.5 of the sum of both frequencies and one, AC's.
        """
        super().__init__()
        frequency = torch.arange(8)
        std = ac / (1.0 + frequency[:, None] + frequency[None, :]).reshape(64).to(torch.float32) ** 1.5
        std[0] = dc
        mean = torch.zeros(64)
        mean[0] = dc_mean
        self.register_buffer("mean", mean)
        self.register_buffer("std", std)

    def forward(self, coefficients: Tensor) -> Tensor:
        """Normalise dequantised coefficients, `[..., 64]`."""
        return (coefficients - self.mean) / self.std


class ColourNet(nn.Module):
    """The colour network (section 3.3, figure 9): a chroma component's residual, guided by restored luma."""

    def __init__(
        self,
        width: int,
        growth: int,
        manifold: int,
        luma_spread: Tensor,
        representation: Callable[[int, int, Tensor], nn.Module] = BlockRepresentation,
        decoder: Callable[[int, int, None], nn.Module] = BlockDecoder,
    ) -> None:
        super().__init__()
        self.statistics = Statistics(*CHROMA_SPREAD)
        self.represent = representation(width, manifold, self.statistics.std)
        self.own = Rrdb(width, growth)
        self.represent_luma = representation(width, manifold, luma_spread)
        self.joint = Rrdb(2 * width, growth)
        # "predict" keeps the zeros that training starts from out of reach of optimisers that would blow them up.
        self.predict_residual = decoder(2 * width, manifold, None)

    def forward(self, chroma: Tensor, table: Tensor, luma: Tensor, luma_table: Tensor) -> Tensor:
        """Restore.

        Args:
            chroma: dequantised coefficients, Cb's pictures, then Cr's, `[2 * batch, high, wide, 64]`.
            table: `[2 * batch, 64]`.
            luma: restored, at chroma's resolution, normalised coefficients `[batch, high, wide, 64]`.
            luma_table: `[batch, 64]`.

        Returns:
            Dequantised coefficients `[2 * batch, high, wide, 64]`.
        """
        own = self.own(self.represent(self.statistics(chroma), table))
        guide = self.represent_luma(luma, luma_table)
        residual = self.predict_residual(self.joint(torch.cat([own, torch.cat([guide, guide])], dim=1)), table)
        return chroma + residual.float() * self.statistics.std.clamp(max=RESIDUAL_UNIT)
