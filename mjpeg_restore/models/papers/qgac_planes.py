"""QGAC with the structure of its paper: sub-networks exchange 64 planes of coefficients instead of one as in `qgac.py`.

Ehrlich et al. 2020, section 3.2, figures 3 and 5 to 8. A BlockNet ends in a transposed 8x8 layer with an output of
`planes` planes of coefficients. FrequencyNet and the second BlockNet have as many in their inputs and outputs. The
fusion consists of three convolutions within each frequency: from `3 planes` channels to 4, 4 and 1. A convolutional
filter manifold is a CNN of three layers: an 8x8 convolution, a 1x1 and a transposed 8x8 (`FilterManifold`).

Our choices, where the paper leaves them open, beyond those in `qgac.py`:

* Channels are ordered by frequency, with `planes` channels for each: convolutions of 64 groups keep frequencies apart.
* Each convolution of a dense block adds as many channels as its width. The colour network is smaller.
* Biases of the generated layers are generated too; a PReLU follows a decoding layer.
* Initialisation is as in `qgac.py`: the first plane passes a block's coefficients on, converted to samples and back by
  a BlockNet. The other planes have small random weights.

Colour is the paper's, too (section 3.3, figure 9): the representation of chroma is up-sampled to luma's block grid by a
learnt layer, and the residual is predicted there, so that chroma comes out at luma's size (`FullColourNet`). The layer
doubles both sides, as 4:2:0 needs it; other samplings are our choice: its result is resampled to luma's grid.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from mjpeg_restore.jpeg.tables import scaled_tables
from mjpeg_restore.models.decode import InverseDct, blocks_to_plane, dct_matrix, exact, plane_to_blocks
from mjpeg_restore.models.papers.manifold import RIDGE, SAMPLE_SPREAD, START_TABLES, Prelu, keep_variance
from mjpeg_restore.models.papers.qgac import Qgac, QgacConfig, reach
from mjpeg_restore.models.papers.qgac_colour import ColourNet
from mjpeg_restore.models.papers.rrdb import Rrdb
from mjpeg_restore.models.planes import to_grid

FUSED = 4
"""Channels per frequency within the fusion (figure 7)."""

START_SPREAD = 0.02
"""Standard deviation of the initial generated weights for all planes but the first."""

QGAC = QgacConfig(width=256, growth=256, chroma_width=128, chroma_growth=64, manifold=64)
"""The paper's size, with `PLANES`: 256 channels, 4 per frequency; 257 M parameters for luma, four in five of them in
the networks that generate weights, and 11 M for chroma."""
PLANES = 64

QGAC_64 = QgacConfig(width=64, growth=64, chroma_width=64, chroma_growth=16, manifold=16)
"""A quarter of the width, with `PLANES_64`: 54 kMAC per luma pixel."""
PLANES_64 = 4


class FilterManifold(nn.Module):
    """A three-layer CNN from a table to the kernels and the bias of a layer (section 3.1, figure 3)."""

    def __init__(self, kernels: int, biases: int, width: int) -> None:
        """Lay out the CNN.

        Args:
            kernels: number of generated 8x8 kernels.
            biases: number of generated biases.
            width: hidden channels.
        """
        super().__init__()
        self.first = nn.Conv2d(1, width, 8)
        self.second = nn.Conv2d(width, width, 1)
        self.last = nn.ConvTranspose2d(width, kernels, 8)
        self.bias = nn.Conv2d(width, biases, 1)
        self.activations = nn.ModuleList(Prelu(width) for _ in range(2))
        keep_variance(self.first, self.second)
        assert self.first.bias is not None
        nn.init.normal_(self.first.bias)  # without it, generated weights would shrink with the steps
        for parameter in (*self.last.parameters(), *self.bias.parameters()):
            nn.init.zeros_(parameter)

    def features(self, table: Tensor) -> Tensor:
        """The input of the last layers, `[batch, width, 1, 1]`, for a table `[batch, 64]`."""
        steps = (table / 255).clamp(max=1).reshape(-1, 1, 8, 8)
        return self.activations[1](self.second(self.activations[0](self.first(steps))))

    def forward(self, table: Tensor) -> tuple[Tensor, Tensor]:
        """Generate kernels `[batch, kernels, 64]` and biases `[batch, 1, biases]` for a table `[batch, 64]`."""
        features = self.features(table)
        return self.last(features).flatten(2), self.bias(features).flatten(2).transpose(1, 2)

    @torch.no_grad()
    def start_with(self, kernels: Tensor) -> None:
        """Fit the last layer by least squares to generate nearly the kernels `[kernels, 64]` for every table."""
        tables = torch.tensor(np.stack([scaled_tables(quality)[0] for quality in START_TABLES]).astype(np.float32))
        seen = self.features(tables).flatten(1)
        squares = seen.T @ seen
        squares += RIDGE * squares.diagonal().mean() * torch.eye(len(squares))
        shares = torch.linalg.solve(squares, seen.sum(dim=0))
        self.last.weight.copy_(shares[:, None, None, None] * kernels.reshape(1, -1, 8, 8))


class BlockRepresentation(nn.Module):
    """The 8x8 layer of stride 8: from a block's planes of coefficients to its representation."""

    def __init__(self, width: int, manifold: int, spread: Tensor, planes: int = 1) -> None:
        """Make a layer that is initialised as the inverse DCT of the first plane.

        Args:
            width: channels of the representation, 64 or more; those beyond the 64 samples are initialised at random.
            manifold: hidden channels of the network that generates the kernels.
            spread: divisors of the coefficients, `[64]`.
            planes: planes of coefficients in the input.
        """
        super().__init__()
        self.manifold = FilterManifold(width * planes, width, manifold)
        self.activation = Prelu(width, slope=1.0)
        start = torch.randn(width, planes, 64) * START_SPREAD
        start[:64, 0] = (spread[:, None] * dct_matrix() / SAMPLE_SPREAD).T
        start[64:, 0] = torch.randn(width - 64, 64) / 8
        self.manifold.start_with(start.flatten(0, 1))

    def forward(self, coefficients: Tensor, table: Tensor) -> Tensor:
        """Represent normalised coefficients `[batch, high, wide, 64 planes]` of a table `[batch, 64]`.

        Returns:
            `[batch, width, high, wide]`.
        """
        kernels, bias = self.manifold(table)
        matrix = kernels.unflatten(1, (bias.shape[2], -1)).permute(0, 3, 2, 1).flatten(1, 2)
        product = coefficients.flatten(1, 2) @ matrix + bias
        return self.activation(product.unflatten(1, coefficients.shape[1:3]).permute(0, 3, 1, 2))


class BlockDecoder(nn.Module):
    """The transposed 8x8 layer of stride 8: from representations to planes of coefficients."""

    def __init__(self, width: int, manifold: int, start: Tensor | None, planes: int = 1) -> None:
        """Make a layer.

        Args:
            width: channels of the representation.
            manifold: hidden channels of the network that generates the kernels.
            start: initial kernels of the first plane, `[width, 64]`, with a PReLU after them; None for zeros and no
                PReLU.
            planes: planes of coefficients in the output.
        """
        super().__init__()
        self.manifold = FilterManifold(width * planes, planes, manifold)
        self.activation = nn.Identity() if start is None else Prelu(64 * planes, slope=1.0)
        if start is not None:
            kernels = torch.randn(width, planes, 64) * START_SPREAD
            kernels[:, 0] = start
            self.manifold.start_with(kernels.flatten(0, 1))

    def forward(self, features: Tensor, table: Tensor) -> Tensor:
        """Decode representations `[batch, width, high, wide]` for a table `[batch, 64]`.

        Returns:
            `[batch, high, wide, 64 planes]`.
        """
        kernels, bias = self.manifold(table)
        matrix = kernels.unflatten(1, (features.shape[1], -1)).transpose(2, 3).flatten(2)
        product = features.flatten(2).transpose(1, 2) @ matrix + bias.repeat(1, 1, 64)
        decoded = product.unflatten(1, features.shape[2:]).permute(0, 3, 1, 2)
        return self.activation(decoded).permute(0, 2, 3, 1)


class BlockNet(nn.Module):
    """Block enhancement (section 3.2, figure 5)."""

    def __init__(self, width: int, manifold: int, spread: Tensor, before: int, after: int) -> None:
        """Make a network that is initialised as a conversion of the first plane to samples and back.

        Args:
            width: channels of a representation, 64 or more.
            manifold: hidden channels of the networks that generate weights.
            spread: divisors of the coefficients, `[64]`.
            before: planes of coefficients in the input.
            after: planes of coefficients in the output.
        """
        super().__init__()
        back = torch.zeros(width, 64)
        back[:64] = (SAMPLE_SPREAD * dct_matrix() / spread[:, None]).T
        self.represent = BlockRepresentation(width, manifold, spread, before)
        self.body = Rrdb(width, width)
        self.decode = BlockDecoder(width, manifold, back, after)

    def forward(self, coefficients: Tensor, table: Tensor) -> Tensor:
        """Enhance coefficients `[batch, high, wide, 64 before]` of a table: `[batch, high, wide, 64 after]`."""
        return self.decode(self.body(self.represent(coefficients, table)), table)


class FrequencyNet(nn.Module):
    """Frequency enhancement (section 3.2, figure 6): each frequency's planes in isolation."""

    def __init__(self, width: int, planes: int) -> None:
        super().__init__()
        self.enter = nn.Conv2d(64 * planes, width, 3, padding=1, groups=64)
        self.activation = Prelu(width, slope=1.0)
        self.body = Rrdb(width, width, groups=64)
        self.leave = nn.Conv2d(width, 64 * planes, 3, padding=1, groups=64)
        keep_variance(self.enter, self.leave)
        with torch.no_grad():
            for layer in (self.enter, self.leave):
                layer.weight.mul_(0.1)
            self.enter.weight[:: width // 64, 0, 1, 1] = 1  # identity on the first plane
            self.leave.weight[::planes, 0, 1, 1] = 1

    def forward(self, coefficients: Tensor) -> Tensor:
        """Enhance coefficients `[batch, high, wide, 64 planes]`; frequencies become channels (figure 4)."""
        features = self.activation(self.enter(coefficients.permute(0, 3, 1, 2)))
        return self.leave(self.body(features)).permute(0, 2, 3, 1)


class FullColourNet(ColourNet):
    """The colour network of section 3.3 and figure 9: chroma's residual at luma's size, added to repeated samples."""

    def __init__(self, width: int, growth: int, manifold: int, luma_spread: Tensor) -> None:
        """Make a network whose residual is zero at first; see `ColourNet`."""
        super().__init__(width, growth, manifold, luma_spread, BlockRepresentation, BlockDecoder)
        self.up_sample = nn.ConvTranspose2d(width, width, 4, stride=2, padding=1)
        self.inverse_dct = InverseDct()
        start = torch.randn(width, width, 4, 4) * START_SPREAD
        start[:64, :64, 1:3, 1:3] = repetition()
        with torch.no_grad():
            self.up_sample.weight.copy_(start)

    def forward(self, chroma: Tensor, table: Tensor, luma: Tensor, luma_table: Tensor) -> Tensor:
        """Restore Cb and Cr; see `ColourNet.forward`. Luma and the result are on luma's own grid."""
        high, wide = luma.shape[1:3]
        features = to_grid(self.up_sample(self.features(chroma, table)), high, wide)
        with exact(chroma):
            samples = blocks_to_plane(chroma @ self.inverse_dct.matrix)
            repeated = functional.interpolate(samples[:, None], size=(8 * high, 8 * wide))
            coefficients = plane_to_blocks(repeated[:, 0]) @ self.inverse_dct.matrix.T
        return coefficients + self.residual(features, table, luma, luma_table)


def repetition() -> Tensor:
    """Weights that repeat a block's 8x8 samples, as channels, in two by two blocks: `[from, to, 2, 2]`."""
    place = torch.arange(64).reshape(8, 8)
    weights = torch.zeros(64, 64, 2, 2)
    for down in range(2):
        for across in range(2):
            quarter = place[4 * down : 4 * down + 4, 4 * across : 4 * across + 4]
            source = quarter.repeat_interleave(2, 0).repeat_interleave(2, 1).flatten()
            weights[source, place.flatten(), down, across] = 1
    return weights


class QgacPlanes(Qgac):
    """The network; see the module's docstring."""

    def __init__(self, config: QgacConfig, planes: int) -> None:
        """Lay out the network.

        Args:
            config: size of the network; instead of `growth` the width is used.
            planes: number of planes that sub-networks exchange: 64 in the paper.
        """
        self.planes = planes
        super().__init__(config)
        self.colour = FullColourNet(config.chroma_width, config.chroma_growth, config.manifold, self.statistics.std)

    def lay_out_luma(self) -> None:
        """Make luma's sub-networks and their fusion."""
        config, planes, spread = self.config, self.planes, self.statistics.std
        self.first = BlockNet(config.width, config.manifold, spread, 1, planes)
        self.frequency = FrequencyNet(config.width, planes)
        self.second = BlockNet(config.width, config.manifold, spread, planes, planes)
        fusion = [nn.Conv2d(64 * before, 64 * FUSED, 3, padding=1, groups=64) for before in (3 * planes, FUSED)]
        keep_variance(*fusion)
        self.fusion = nn.Sequential(fusion[0], Prelu(64 * FUSED), fusion[1], Prelu(64 * FUSED))
        self.predict = nn.ModuleDict({"project": nn.Conv2d(64 * FUSED, 64, 3, padding=1, groups=64)})

    @property
    def margin(self) -> int:
        """Like `Qgac.margin`. An up-sampled block depends on its neighbours, at 4:1:1 on the next ones, too."""
        luma = reach(self.first, self.frequency, self.second, self.fusion, self.predict)
        return reach(self.colour.joint) + max(luma, reach(self.colour.own) + 2)

    def guide(self, luma: Tensor, high: int, wide: int) -> Tensor:
        """Like `Qgac.guide`: normalised coefficients, on luma's own grid."""
        return self.statistics(luma)

    @torch.no_grad()
    def manifold(self, table: Tensor) -> dict[str, Tensor]:
        """Like `Qgac.manifold`, with a kernel for each plane of each channel."""
        layers = {name: layer for name, layer in self.named_modules() if isinstance(layer, FilterManifold)}
        return {name.removesuffix(".manifold"): layer(table)[0].unflatten(2, (8, 8)) for name, layer in layers.items()}

    def luma_residual(self, coefficients: Tensor, table: Tensor) -> Tensor:
        """Like `Qgac.luma_residual`."""
        first = self.first(coefficients, table)
        frequency = self.frequency(first)
        second = self.second(frequency, table)
        by_frequency = [part.unflatten(3, (64, self.planes)) for part in (first, frequency, second)]
        joined = torch.cat(by_frequency, dim=4).flatten(3).permute(0, 3, 1, 2)
        return self.predict["project"](self.fusion(joined))
