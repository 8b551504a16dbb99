"""QGAC: Ehrlich, Davis, Lim and Shrivastava 2020, "Quantization Guided JPEG Artifact Correction".

One set of weights for every quality: the network's first and last layers are generated from the quantisation table. It
sees coefficients and gives coefficients, up to the inverse DCT at its end.

1. Dequantised coefficients are normalised, frequency by frequency (section 4.1: `Statistics`).
2. Luma (section 3.2, figure 8): a BlockNet, a FrequencyNet and a second BlockNet, one after the other; three
   convolutions fuse what the three of them say into a residual, which is added to the coefficients.
3. Chroma (section 3.3, figure 9): Cb and Cr, each by itself through the same smaller network, beside restored luma.

The generated layers are in `manifold.py`.

What the paper leaves open, and what is chosen:

* Figure 3 gives no sizes in words: the three layers of a manifold are 3x3, as wide as the config says, and the first
  one's bias differs from frequency to frequency (`Manifold`). Biases of the generated layers are plain weights.
* An RRDB's channels that each convolution adds (`growth`) are half its width in BlockNet and FrequencyNet, as in
  ESRGAN, from where it is taken, and in the colour network half of its own representation's, so a quarter of what they
  are joined to. The compact size has half of these in the colour network; its FrequencyNet cannot have less than one
  for each frequency, which is its width.
* FrequencyNet's outer convolutions have 64 groups too: section 3.2 says that it works on frequencies in isolation.
* The fusion's convolutions are 3x3. The widths of the colour network are not given beyond "smaller".
* Each PReLU has a slope for every channel.
* What training starts from: a BlockNet whose generated layers take a block to its samples and back, whatever the
  table; a FrequencyNet that hands on what it gets; a colour network that sees samples, and changes nothing. Begun with
  random kernels, a network had half the gain after 250 steps.
* The residual's units are not the coefficients' everywhere: see `RESIDUAL_UNIT`. Its last layer starts at zero, so an
  untrained network is the plain decode.

Where this network departs from the paper: chroma stays at its own sampling. The paper brings chroma up to luma's block
grid and returns it at full resolution. A stream carries chroma at its own sampling, and so does what is made of it
here; up and down again would only blur it and cost four times as much. Instead restored luma comes down to chroma, as
coefficients on chroma's grid: the mean of its samples over the span (at a span of 4, of the two in the middle), which
is a linear map of luma's coefficients.

Nothing is projected into the quantisation cell: the paper does not.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from mjpeg_restore.models.decode import InverseDct, blocks_to_plane, dct_matrix, exact, plane_to_blocks
from mjpeg_restore.models.papers.manifold import (
    SAMPLE_SPREAD,
    BlockDecoder,
    BlockRepresentation,
    Manifold,
    Prelu,
    keep_variance,
)
from mjpeg_restore.models.papers.planes import to_grid
from mjpeg_restore.models.papers.qgac_colour import LUMA_SPREAD, RESIDUAL_UNIT, ColourNet, Statistics
from mjpeg_restore.models.papers.rrdb import Rrdb


@dataclass(frozen=True, slots=True)
class QgacConfig:
    """Size of the network."""

    width: int
    """Channels of a block's representation in BlockNet, and of FrequencyNet; a multiple of 64."""
    growth: int
    """Channels that each convolution of a dense block adds; a 64th of it, and at least one, for each frequency."""
    chroma_width: int
    """Channels of a block's representation in the colour network, 64 or more; luma's has as many beside it."""
    chroma_growth: int
    """The same as `growth`, for the colour network."""
    manifold: int
    """Channels within the networks that generate weights."""


QGAC_COMPACT = QgacConfig(width=64, growth=32, chroma_width=64, chroma_growth=16, manifold=32)
"""What is shipped: one channel for each frequency, one plane between sub-networks. The paper's: `qgac_planes.py`."""


class BlockNet(nn.Module):
    """Block enhancement (section 3.2, figure 5): a representation of each block that does not depend on its table."""

    def __init__(self, width: int, growth: int, manifold: int, spread: Tensor) -> None:
        """Make one that begins as a change to samples and back, and little between.

        Args:
            width: channels of a representation, 64 or more; those beyond 64 start without effect.
            growth: channels that each convolution of a dense block adds.
            manifold: channels within the networks that generate weights.
            spread: `[64]`: what coefficients were divided by.
        """
        super().__init__()
        back = torch.zeros(width, 64)
        back[:64] = (SAMPLE_SPREAD * dct_matrix() / spread[:, None]).T
        self.represent = BlockRepresentation(width, manifold, spread)
        self.body = Rrdb(width, growth)
        self.decode = BlockDecoder(width, manifold, back)

    def forward(self, coefficients: Tensor, table: Tensor) -> Tensor:
        """Normalised coefficients `[batch, high, wide, 64]` of a table `[batch, 64]` to better ones."""
        return self.decode(self.body(self.represent(coefficients, table)), table)


class FrequencyNet(nn.Module):
    """Frequency enhancement (section 3.2, figure 6): each frequency in isolation, among its neighbours in the plane."""

    def __init__(self, width: int, growth: int) -> None:
        super().__init__()
        self.enter = nn.Conv2d(64, width, 3, padding=1, groups=64)
        self.activation = Prelu(width, slope=1.0)
        self.body = Rrdb(width, 64 * max(1, growth // 64), groups=64)
        self.leave = nn.Conv2d(width, 64, 3, padding=1, groups=64)
        keep_variance(self.enter, self.leave)
        with torch.no_grad():
            for layer in (self.enter, self.leave):
                layer.weight.mul_(0.1)
            self.enter.weight[:: width // 64, 0, 1, 1] = 1  # one of a frequency's channels is the frequency
            self.leave.weight[:, 0, 1, 1] = 1

    def forward(self, coefficients: Tensor) -> Tensor:
        """Normalised coefficients `[batch, high, wide, 64]` to better ones; frequencies become channels (figure 4)."""
        features = self.activation(self.enter(coefficients.permute(0, 3, 1, 2)))
        return self.leave(self.body(features)).permute(0, 2, 3, 1)


class Qgac(nn.Module):
    """The network; see the module's docstring."""

    def __init__(self, config: QgacConfig) -> None:
        super().__init__()
        self.config = config
        self.statistics = Statistics(*LUMA_SPREAD)
        self.lay_out_luma()
        for parameter in self.predict.parameters():
            nn.init.zeros_(parameter)
        self.colour = ColourNet(config.chroma_width, config.chroma_growth, config.manifold, self.statistics.std)
        self.inverse_dct = InverseDct()

    def lay_out_luma(self) -> None:
        """Make luma's sub-networks and their fusion."""
        config, spread = self.config, self.statistics.std
        width, growth = config.width, config.growth
        self.first = BlockNet(width, growth, config.manifold, spread)
        self.frequency = FrequencyNet(width, growth)
        self.second = BlockNet(width, growth, config.manifold, spread)
        fusion = [nn.Conv2d(before, width, 3, padding=1) for before in (3 * 64, width)]
        keep_variance(*fusion)
        self.fusion = nn.Sequential(fusion[0], Prelu(width), fusion[1], Prelu(width))
        # The last of the fusion's three layers, by the names that a runtime cuts at. The colour network ends in a
        # generated layer, which is no convolution: it stays in float32.
        self.predict = nn.ModuleDict({"project": nn.Conv2d(width, 64, 3, padding=1)})

    @property
    def margin(self) -> int:
        """Blocks beside its own that a restored one can depend on, in every component, counted in chroma's blocks.

        Luma's reach is counted in luma's blocks, so it is exact where chroma's are as many (4:4:4) and ample elsewhere.
        """
        luma = reach(self.first, self.frequency, self.second, self.fusion, self.predict)
        return reach(self.colour.joint) + max(luma, reach(self.colour.own))

    def freeze_luma(self) -> None:
        """Train the colour network alone from here on: the second stage (section 3.4)."""
        self.requires_grad_(False)
        self.colour.requires_grad_(True)

    @torch.no_grad()
    def manifold(self, table: Tensor) -> dict[str, Tensor]:
        """Every generated weight for a table (figures 1 to 3 of the appendix).

        Args:
            table: `[batch, 64]`.

        Returns:
            Kernels `[batch, width, 8, 8]` by the name of the layer that they belong to, as in the state dict.
        """
        layers = {name: layer for name, layer in self.named_modules() if isinstance(layer, Manifold)}
        return {name.removesuffix(".manifold"): layer(table).unflatten(2, (8, 8)) for name, layer in layers.items()}

    def restore_luma(self, coefficients: Tensor, table: Tensor) -> Tensor:
        """Luma's dequantised coefficients, restored; all `[batch, high, wide, 64]` but the table, `[batch, 64]`."""
        decoded = coefficients * table[:, None, None]
        residual = self.luma_residual(self.statistics(decoded), table).permute(0, 2, 3, 1).float()
        return decoded + residual * self.statistics.std.clamp(max=RESIDUAL_UNIT)

    def luma_residual(self, coefficients: Tensor, table: Tensor) -> Tensor:
        """What normalised coefficients `[batch, high, wide, 64]` lack: `[batch, 64, high, wide]`; `RESIDUAL_UNIT`."""
        first = self.first(coefficients, table)
        frequency = self.frequency(first)
        second = self.second(frequency, table)
        fused = self.fusion(torch.cat([first, frequency, second], dim=3).permute(0, 3, 1, 2))
        return self.predict["project"](fused)

    def at_chroma(self, samples: Tensor, high: int, wide: int) -> Tensor:
        """Luma's blocks of samples as normalised coefficients at chroma's resolution, `[batch, high, wide, 64]`."""
        plane = to_grid(blocks_to_plane(samples)[:, None], 8 * high, 8 * wide)
        with exact(plane):
            return self.statistics(plane_to_blocks(plane[:, 0]) @ self.inverse_dct.matrix.T)

    def restore(self, *components: Tensor) -> list[Tensor]:
        """Like `forward`, but dequantised coefficients `[batch, high, wide, 64]` instead of samples."""
        luma = self.restore_luma(components[0], components[1])
        if len(components) == 2:
            return [luma]
        chroma, table = torch.cat(components[2::2]), torch.cat(components[3::2])
        guide = self.at_chroma(self.samples(luma), chroma.shape[1], chroma.shape[2])
        restored = self.colour(chroma * table[:, None, None], table, guide, components[1])
        return [luma, *restored.chunk(2)]

    def samples(self, coefficients: Tensor) -> Tensor:
        """Dequantised coefficients to blocks of centred samples."""
        with exact(coefficients):
            return coefficients @ self.inverse_dct.matrix

    def forward(self, *components: Tensor) -> tuple[Tensor, ...]:
        """Restore a grey or a colour picture.

        Args:
            components: quantised coefficients `[batch, high, wide, 64]` and table `[batch, 64]` of each component
                in turn, float32. Luma's grid is an exact multiple of chroma's.

        Returns:
            Blocks of centred samples `[batch, high, wide, 64]` for each component.
        """
        return tuple(self.samples(restored) for restored in self.restore(*components))


def reach(*layers: nn.Module) -> int:
    """Blocks beyond its own that a result of these layers, one after the other, depends on, each way."""
    return sum(_reach_of(layer) for layer in layers)


def _reach_of(layer: nn.Module) -> int:
    if isinstance(layer, nn.Conv2d):
        return layer.kernel_size[0] // 2
    if hasattr(layer, "manifold"):  # a generated layer sees its block alone
        return 0
    children: Iterable[nn.Module] = layer.children()
    return reach(*children)
