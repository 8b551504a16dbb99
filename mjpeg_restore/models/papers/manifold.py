"""Convolutional filter manifolds: layers whose kernels are generated from a quantisation table.

Ehrlich et al. 2020, "Quantization Guided JPEG Artifact Correction", section 3.1 and figure 3. The paper has an 8x8
convolution of stride 8 over the plane of coefficients, whose windows are the blocks. On blocks,
`[batch, high, wide, 64]`, that equals a product with a matrix of 64 rows, and so does its transpose. Products are used
here, since runtimes are fast at products with computed matrices and slow at convolutions with computed kernels.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from mjpeg_restore.jpeg.tables import scaled_tables
from mjpeg_restore.models.decode import dct_matrix

SAMPLE_SPREAD = 64.0
"""Standard deviation of a photograph's samples, about: the initial unit of representations."""

START_TABLES = tuple(range(5, 100, 10))
"""IJG qualities of the tables that a manifold's initial kernels are fitted on."""
RIDGE = 1e-3
"""Regularisation of that least-squares fit, against large weights."""


class Prelu(nn.Module):
    """PReLU (He et al. 2015) with a slope for each channel.

    The exporter turns the slopes of PyTorch's own PReLU into an unnamed constant. But a graph's weights are looked up
    by name, to train further and to blend two networks.
    """

    def __init__(self, width: int, slope: float = 0.25) -> None:
        """Start with the same slope in each channel; a slope of 1 is the identity."""
        super().__init__()
        self.slope = nn.Parameter(torch.full((width, 1, 1), slope))

    def forward(self, features: Tensor) -> Tensor:
        """Rectify `[batch, width, high, wide]`."""
        return torch.relu(features) + self.slope * features.clamp(max=0)


class Manifold(nn.Module):
    """A convolutional filter manifold: a three-layer CNN from a table to kernels (section 3.1, figure 3).

    A kernel's weight for a frequency is generated from the table around that frequency. Frequencies differ in more than
    their steps, but a convolution can only tell them apart by the padding. So the first layer's bias depends on the
    frequency.
    """

    def __init__(self, kernels: int, width: int, terms: int) -> None:
        """Lay out the CNN.

        Args:
            kernels: number of generated 8x8 kernels.
            width: hidden channels.
            terms: number of terms in each sum of the generated layer.
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
        """The input of the last layer, `[batch, width, 8, 8]`, for a table `[batch, 64]`."""
        # Section 4.1: 1 is the strongest quantisation. 16-bit steps are clamped: they need not be distinguished.
        steps = (table / 255).clamp(max=1).reshape(-1, 1, 8, 8)
        features = self.activations[0](self.first(steps) + self.bias)
        return self.activations[1](self.second(features))

    @torch.no_grad()
    def start_with(self, kernels: Tensor) -> None:
        """Fit the last layer by least squares to generate nearly the kernels `[kernels, 64]` for every table."""
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
    """The 8x8 convolutional filter manifold of stride 8: from a block's coefficients to its representation."""

    def __init__(self, width: int, manifold: int, spread: Tensor) -> None:
        """Make a layer that is initialised as the inverse DCT.

        Args:
            width: channels of the representation, 64 or more; those beyond the 64 samples are initialised at random.
            manifold: hidden channels of the network that generates the kernels.
            spread: divisors of the coefficients, `[64]`.
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
    """The transposed 8x8 convolutional filter manifold of stride 8: from representations to coefficients."""

    def __init__(self, width: int, manifold: int, start: Tensor | None) -> None:
        """Make a layer.

        Args:
            width: channels of the representation.
            manifold: hidden channels of the network that generates the kernels.
            start: initial kernels, `[width, 64]`; None for zeros.
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
    """Initialise layers so that PReLU with its initial slope keeps the features' variance (He et al. 2015)."""
    for layer in layers:
        nn.init.kaiming_normal_(layer.weight, a=0.25)
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)
