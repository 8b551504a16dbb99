"""Convolutional filter manifolds: layers whose kernels are generated from a quantisation table.

Ehrlich et al. 2020, "Quantization Guided JPEG Artifact Correction", section 3.1 and figure 3. An 8x8 convolution of
stride 8 over the plane of coefficients, as the paper draws it, meets each block once and sees it whole. On blocks
`[batch, high, wide, 64]` it is a product with a 64-row matrix, and its transpose likewise. So it is written here;
runtimes are quick at products with matrices that are computed on the way, and slow at such convolutions.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from mjpeg_restore.jpeg.tables import scaled_tables
from mjpeg_restore.models.decode import dct_matrix

SAMPLE_SPREAD = 64.0
"""Of a photograph's samples, about: one over it is a representation's unit, to begin with."""

START_TABLES = tuple(range(5, 100, 10))
"""IJG qualities of the tables for which a manifold's first kernels are made."""
RIDGE = 1e-3
"""Of the least squares that make them, against weights that would be too large."""


class Prelu(nn.Module):
    """PReLU (He et al. 2015), a slope for each channel.

    Written out because the exporter makes a nameless constant of the slopes of PyTorch's own, and weights have to be
    found in a graph by their names: to train on, and to blend two networks.
    """

    def __init__(self, width: int, slope: float = 0.25) -> None:
        """Start with the same slope in each channel; with 1 it hands on what it gets."""
        super().__init__()
        self.slope = nn.Parameter(torch.full((width, 1, 1), slope))

    def forward(self, features: Tensor) -> Tensor:
        """Rectify `[batch, width, high, wide]`."""
        return torch.relu(features) + self.slope * features.clamp(max=0)


class Manifold(nn.Module):
    """What a convolutional filter manifold learns: a three-layer CNN from a table to kernels (section 3.1, figure 3).

    A kernel's weight for a frequency is generated from the table around that frequency. Frequencies differ in more than
    their steps, which a convolution alone would learn only from the padding: hence the first layer's bias.
    """

    def __init__(self, kernels: int, width: int, terms: int) -> None:
        """Lay out the CNN.

        Args:
            kernels: how many 8x8 kernels it generates.
            width: its channels.
            terms: that the generated layer sums up for each of its results.
        """
        super().__init__()
        self.bias = nn.Parameter(torch.randn(width, 8, 8))
        self.first = nn.Conv2d(1, width, 3, padding=1, bias=False)
        self.second = nn.Conv2d(width, width, 3, padding=1)
        self.last = nn.Conv2d(width, kernels, 3, padding=1)
        self.activations = nn.ModuleList(Prelu(width) for _ in range(2))
        keep_variance(self.second, self.last)
        self.scale = terms**-0.5

    def forward(self, table: Tensor) -> Tensor:
        """Generate kernels `[batch, kernels, 64]` from a table `[batch, 64]`."""
        return self.scale * self.last(self.features(table)).flatten(2)

    def features(self, table: Tensor) -> Tensor:
        """What the last layer makes kernels of: `[batch, width, 8, 8]`."""
        # Section 4.1: 1 is the most quantisation. Tables of 16-bit steps go beyond what is worth telling apart.
        steps = (table / 255).clamp(max=1).reshape(-1, 1, 8, 8)
        features = self.activations[0](self.first(steps) + self.bias)
        return self.activations[1](self.second(features))

    @torch.no_grad()
    def start_with(self, kernels: Tensor) -> None:
        """Have the last layer generate nearly the same kernels, `[kernels, 64]`, for every table: least squares."""
        tables = torch.tensor(np.stack([scaled_tables(quality)[0] for quality in START_TABLES]).astype(np.float32))
        seen = functional.unfold(self.features(tables), 3, padding=1).transpose(1, 2).flatten(0, 1)
        seen = torch.cat([seen, torch.ones(len(seen), 1)], dim=1)
        squares = seen.T @ seen
        squares += RIDGE * squares.diagonal().mean() * torch.eye(len(squares))
        wanted = kernels.T.repeat(len(tables), 1) / self.scale
        found = torch.linalg.solve(squares, seen.T @ wanted)
        self.last.weight.copy_(found[:-1].T.reshape(self.last.weight.shape))
        self.last.bias.copy_(found[-1])  # pyright: ignore[reportOptionalMemberAccess]


class BlockRepresentation(nn.Module):
    """The 8x8 convolutional filter manifold of stride 8: a block's coefficients to its representation."""

    def __init__(self, width: int, manifold: int, spread: Tensor) -> None:
        """Make one that begins as the inverse DCT.

        Args:
            width: of the representation, 64 or more; what is beyond a block's samples starts at random.
            manifold: channels within the network that generates the kernels.
            spread: `[64]`: what coefficients were divided by.
        """
        super().__init__()
        self.manifold = Manifold(width, manifold, terms=64)
        self.bias = nn.Parameter(torch.zeros(width))
        self.activation = Prelu(width, slope=1.0)
        samples = (spread[:, None] * dct_matrix() / SAMPLE_SPREAD).T
        self.manifold.start_with(torch.cat([samples, torch.randn(width - 64, 64) / 8]))

    def forward(self, coefficients: Tensor, table: Tensor) -> Tensor:
        """Represent normalised coefficients `[batch, high, wide, 64]` of a table `[batch, 64]`.

        Returns:
            `[batch, width, high, wide]`.
        """
        product = coefficients.flatten(1, 2) @ self.manifold(table).transpose(1, 2) + self.bias
        return self.activation(product.unflatten(1, coefficients.shape[1:3]).permute(0, 3, 1, 2))


class BlockDecoder(nn.Module):
    """The transposed 8x8 convolutional filter manifold of stride 8: representations back to coefficients."""

    def __init__(self, width: int, manifold: int, start: Tensor | None) -> None:
        """Make one.

        Args:
            width: of the representation.
            manifold: channels within the network that generates the kernels.
            start: the kernels to begin with, `[width, 64]`; None for zeros.
        """
        super().__init__()
        self.manifold = Manifold(width, manifold, terms=width)
        self.bias = nn.Parameter(torch.zeros(64))
        if start is None:
            for parameter in self.manifold.last.parameters():
                nn.init.zeros_(parameter)
        else:
            self.manifold.start_with(start)

    def forward(self, features: Tensor, table: Tensor) -> Tensor:
        """Decode representations `[batch, width, high, wide]` for a table `[batch, 64]`.

        Returns:
            `[batch, high, wide, 64]`.
        """
        product = features.flatten(2).transpose(1, 2) @ self.manifold(table) + self.bias
        return product.unflatten(1, features.shape[2:])


def keep_variance(*layers: nn.Conv2d) -> None:
    """Start layers so that features behind PReLU at its initial slope vary as much as before (He et al. 2015)."""
    for layer in layers:
        nn.init.kaiming_normal_(layer.weight, a=0.25)
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)
