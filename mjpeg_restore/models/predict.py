"""The last layer of our own networks: from features to the position of each coefficient in its quantisation cell."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mjpeg_restore.models.decode import dct_matrix, exact
from mjpeg_restore.models.int8 import Int8Conv
from mjpeg_restore.runtime.cpu.projection import (
    CELL,
    CHROMA_CONFIDENCE,
    LUMA_CONFIDENCE,
    PHASES,
    SAMPLE_SCALE,
    ConfidenceRamp,
)

FEATURE_STRIDE = 2
"""Samples per feature, in each direction."""


class Predict(nn.Module):
    """Predicts the residual of decoded samples, and converts it to positions in the cells; see `projection.py`."""

    matrix: Tensor

    def __init__(self, components: int, width: int, *, rounded: bool = True) -> None:
        """Make the layer; its convolution works in int8 if `rounded`."""
        super().__init__()
        self.confidence = LUMA_CONFIDENCE if components == 1 else CHROMA_CONFIDENCE
        # 16 channels at a quarter of the size instead of 4 at half the size: in int8, runtimes compute 16 in any case.
        phases = PHASES**2 * components
        self.phases = (
            Int8Conv(width, phases, signed=True, side=2 * FEATURE_STRIDE, stride=FEATURE_STRIDE)
            if rounded
            else halving_conv(width, phases)
        )
        self.register_buffer("matrix", dct_matrix()[:, places_of_phases()], persistent=False)
        for parameter in self.phases.parameters():
            nn.init.zeros_(parameter)

    def forward(self, features: Tensor, tables: list[Tensor]) -> list[Tensor]:
        """Predict the components' coefficients.

        Args:
            features: `[batch, width, 4 high, 4 wide]`.
            tables: of each component, `[batch, 64]`.

        Returns:
            For each component the coefficients' positions relative to the centres of their cells, in units of the step,
            within +-`CELL`: `[batch, high, wide, 64]`.
        """
        residual = phases_to_blocks(self.phases(features).float(), len(tables))
        places: list[Tensor] = []
        for blocks, table in zip(residual, tables, strict=True):
            with exact(blocks):
                scale = SAMPLE_SCALE * confidence_of(table, self.confidence) / table
                steps = blocks @ (self.matrix.T * scale[:, None])[:, None]
            places.append(steps.clamp(-CELL, CELL))
        return places


def confidence_of(tables: Tensor, confidence: ConfidenceRamp) -> Tensor:
    """The weights `[batch, 1]` of a ramp for tables `[batch, 64]`: `ConfidenceRamp.__call__` in torch, for batches."""
    mean = torch.log2(tables).mean(dim=1, keepdim=True)
    return ((mean - confidence.zero) / (confidence.one - confidence.zero)).clamp(0, 1)


def halving_conv(channels: int, width: int) -> nn.Conv2d:
    """A convolution to half the size."""
    return nn.Conv2d(channels, width, 2 * FEATURE_STRIDE, stride=FEATURE_STRIDE, padding=FEATURE_STRIDE // 2)


def phases_to_blocks(phases: Tensor, components: int) -> Tensor:
    """Rearrange 4x4 samples per position, `[batch, 16 components, 2 high, 2 wide]`, to blocks of each component,
    `[components, batch, high, wide, 64]`, with samples in the order of `places_of_phases`.

    A pixel shuffle and a cut into blocks would take two passes.
    """
    side = 8 // PHASES
    batch, _, height, width = phases.shape
    cut = phases.reshape(batch, components, PHASES**2, height // side, side, width // side, side)
    return cut.permute(1, 0, 3, 5, 2, 4, 6).reshape(components, batch, height // side, width // side, 64)


def places_of_phases() -> Tensor:
    """Row-major positions in a block of the samples of `phases_to_blocks`, `[64]`."""
    side = 8 // PHASES
    places = torch.arange(64).reshape(side, PHASES, side, PHASES)
    return places.permute(1, 3, 0, 2).flatten()
