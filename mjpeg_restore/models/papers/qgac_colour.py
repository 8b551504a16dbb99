"""QGAC's normalisation of coefficients and its colour network (Ehrlich et al. 2020, sections 4.1 and 3.3)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from mjpeg_restore.models.papers.manifold import BlockDecoder, BlockRepresentation
from mjpeg_restore.models.papers.rrdb import Rrdb

LUMA_SPREAD = (-100.0, 550.0, 210.0)
"""A photograph's luma coefficients: DC's mean and standard deviation, and the scale of AC's; see `Statistics`."""
CHROMA_SPREAD = (-1.0, 160.0, 60.0)
"""The same of chroma."""

RESIDUAL_UNIT = 10.0
"""Upper bound of a residual's unit, which is the coefficient's standard deviation otherwise: the rounding error does
not grow with the coefficient, and DC's deviation would be far too coarse a unit for it."""


class Statistics(nn.Module):
    """Mean and standard deviation of each frequency of luma's or chroma's coefficients (section 4.1).

    They follow a formula. Measured on the training pictures at Q10 to Q100, standard deviations of AC are 0.43 to 1.23
    times as large for luma (median 1.0), and 0.35 to 1.13 times for chroma (median 0.53), less at high frequencies.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, dc_mean: float, dc: float, ac: float) -> None:
        """Set the formula's constants.

        Args:
            dc_mean: DC's mean; AC's are zero.
            dc: DC's standard deviation.
            ac: scale of AC's standard deviation, `ac / (1 + u + v) ** 1.5` at frequencies u and v.
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
    """The colour network (section 3.3, figure 9): predicts a chroma component's residual, guided by restored luma."""

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
        # The name "predict" keeps Muon away from these weights: its steps are too large for weights that start at zero.
        self.predict_residual = decoder(2 * width, manifold, None)

    def forward(self, chroma: Tensor, table: Tensor, luma: Tensor, luma_table: Tensor) -> Tensor:
        """Restore Cb and Cr.

        Args:
            chroma: dequantised coefficients of all Cb, then of all Cr, `[2 * batch, high, wide, 64]`.
            table: likewise, `[2 * batch, 64]`.
            luma: normalised coefficients of restored luma at chroma's resolution, `[batch, high, wide, 64]`.
            luma_table: `[batch, 64]`.

        Returns:
            Dequantised coefficients `[2 * batch, high, wide, 64]`.
        """
        return chroma + self.residual(self.features(chroma, table), table, luma, luma_table)

    def features(self, chroma: Tensor, table: Tensor) -> Tensor:
        """What is made of chroma alone, `[2 * batch, width, high, wide]`."""
        return self.own(self.represent(self.statistics(chroma), table))

    def residual(self, features: Tensor, table: Tensor, luma: Tensor, luma_table: Tensor) -> Tensor:
        """What is added to chroma's dequantised coefficients, on the grid of `features` and `luma`."""
        guide = self.represent_luma(luma, luma_table)
        residual = self.predict_residual(self.joint(torch.cat([features, torch.cat([guide, guide])], dim=1)), table)
        return residual.float() * self.statistics.std.clamp(max=RESIDUAL_UNIT)
