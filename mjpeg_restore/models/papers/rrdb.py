"""Residual in residual dense blocks (ESRGAN, Wang et al. 2018, section 3.1) with PReLU, the trunks of QGAC."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mjpeg_restore.models.papers.manifold import Prelu

RESIDUAL_SCALE = 0.2
"""Scale of the residual of a dense block and of an RRDB, as in ESRGAN."""


class DenseBlock(nn.Module):
    """Five 3x3 convolutions; the input of each is the block's input and the outputs of all earlier ones."""

    def __init__(self, width: int, growth: int, groups: int) -> None:
        super().__init__()
        self.groups = groups
        made = [growth] * 4 + [width]
        self.convolutions = nn.ModuleList(
            nn.Conv2d(width + index * growth, out, 3, padding=1, groups=groups) for index, out in enumerate(made)
        )
        self.activations = nn.ModuleList(Prelu(growth) for _ in range(4))

    def forward(self, features: Tensor) -> Tensor:
        """Add the block's residual to features `[batch, width, high, wide]`."""
        seen = features
        for convolution, activation in zip(self.convolutions[:4], self.activations, strict=True):
            seen = self.join(seen, activation(convolution(seen)))
        return features + RESIDUAL_SCALE * self.convolutions[4](seen)

    def join(self, seen: Tensor, more: Tensor) -> Tensor:
        """Append channels group by group, so that groups stay separate."""
        if self.groups == 1:
            return torch.cat([seen, more], dim=1)
        parted = [features.unflatten(1, (self.groups, -1)) for features in (seen, more)]
        return torch.cat(parted, dim=2).flatten(1, 2)


class Rrdb(nn.Module):
    """Residual in residual dense block (ESRGAN, Wang et al. 2018), with PReLU: 15 convolutions, no normalisation."""

    def __init__(self, width: int, growth: int, groups: int = 1) -> None:
        super().__init__()
        self.blocks = nn.Sequential(*(DenseBlock(width, growth, groups) for _ in range(3)))

    def forward(self, features: Tensor) -> Tensor:
        """Add the residual of the three dense blocks to features `[batch, width, high, wide]`."""
        return features + RESIDUAL_SCALE * self.blocks(features)
