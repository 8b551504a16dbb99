"""QGAC: Ehrlich, Davis, Lim and Shrivastava 2020, "Quantization Guided JPEG Artifact Correction".

One set of weights serves all qualities: the network's first and last layers are generated from the quantisation table.
Its inputs and outputs are coefficients, up to the inverse DCT at its end.

1. Dequantised coefficients are normalised, frequency by frequency (section 4.1: `Statistics`).
2. Luma (section 3.2, figure 8): a BlockNet, a FrequencyNet and a second BlockNet in sequence. Three convolutions fuse
   the outputs of all three into a residual, which is added to the coefficients.
3. Chroma (section 3.3, figure 9): a smaller network restores Cb and Cr independently, with restored luma as guide.

The generated layers are in `manifold.py`.

Our choices, where the paper leaves them open:

* Figure 3 has no sizes: the three layers of a manifold are 3x3, with the channels of the config, and the bias of the
  first depends on the frequency (`Manifold`). Biases of the generated layers are plain weights.
* The channels that each convolution of an RRDB adds (`growth`) are half the width in BlockNet and FrequencyNet, as in
  ESRGAN. In the colour network they are half of its own representation's channels, so a quarter of the joined ones. In
  the compact size, the colour network has half of these. FrequencyNet cannot have less than one per frequency, which
  equals its width in the compact size.
* FrequencyNet's outer convolutions have 64 groups too: section 3.2 says that it treats frequencies in isolation.
* The fusion's convolutions are 3x3. The widths of the colour network are not given beyond "smaller".
* Each PReLU has a slope for every channel.
* Initialisation: BlockNet's generated layers convert a block to its samples and back, for every table; FrequencyNet is
  the identity; the colour network works on samples, and its residual is zero. Initialised with random kernels, a
  network had half the gain after 250 steps.
* The residual has its own unit: see `RESIDUAL_UNIT`. Its last layer is zero at first, so that an untrained network is
  the plain decode.

Departures from the paper: chroma keeps its own sampling, a quarter of the work at 4:2:0. The paper up-samples chroma to
luma's block grid and returns it at full resolution, as do the networks of `qgac_planes.py`. Here restored luma is
down-sampled instead, as coefficients on chroma's grid: the mean of its samples over the span (for a span of 4, of the
two in the middle) is a linear map of luma's coefficients.

As in the paper, the result is not projected into the quantisation cell.
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
from mjpeg_restore.models.papers.qgac_colour import LUMA_SPREAD, RESIDUAL_UNIT, ColourNet, Statistics
from mjpeg_restore.models.papers.rrdb import Rrdb
from mjpeg_restore.models.planes import to_grid


@dataclass(frozen=True, slots=True)
class QgacConfig:
    """Size of the network."""

    width: int
    """Channels of a block's representation in BlockNet, and of FrequencyNet; a multiple of 64."""
    growth: int
    """Channels that each convolution of a dense block adds; per frequency, FrequencyNet has a 64th, at least one."""
    chroma_width: int
    """Channels of a block's representation in the colour network, 64 or more, for chroma and for luma each."""
    chroma_growth: int
    """`growth` of the colour network."""
    manifold: int
    """Hidden channels of the networks that generate weights."""


QGAC_COMPACT = QgacConfig(width=64, growth=32, chroma_width=64, chroma_growth=16, manifold=32)
"""The shipped size: one channel per frequency, one plane between sub-networks. The paper's is in `qgac_planes.py`."""


class BlockNet(nn.Module):
    """Block enhancement (section 3.2, figure 5): a representation of each block that does not depend on its table."""

    def __init__(self, width: int, growth: int, manifold: int, spread: Tensor) -> None:
        """Make a network that is initialised as a conversion to samples and back, with little in between.

        Args:
            width: channels of a representation, 64 or more; those beyond 64 have no effect at first.
            growth: channels that each convolution of a dense block adds.
            manifold: hidden channels of the networks that generate weights.
            spread: divisors of the coefficients, `[64]`.
        """
        super().__init__()
        back = torch.zeros(width, 64)
        back[:64] = (SAMPLE_SPREAD * dct_matrix() / spread[:, None]).T
        self.represent = BlockRepresentation(width, manifold, spread)
        self.body = Rrdb(width, growth)
        self.decode = BlockDecoder(width, manifold, back)

    def forward(self, coefficients: Tensor, table: Tensor) -> Tensor:
        """Enhance normalised coefficients `[batch, high, wide, 64]` of a table `[batch, 64]`."""
        return self.decode(self.body(self.represent(coefficients, table)), table)


class FrequencyNet(nn.Module):
    """Frequency enhancement (section 3.2, figure 6): convolutions across blocks, each frequency in isolation."""

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
            self.enter.weight[:: width // 64, 0, 1, 1] = 1  # identity on one channel of each frequency
            self.leave.weight[:, 0, 1, 1] = 1

    def forward(self, coefficients: Tensor) -> Tensor:
        """Enhance normalised coefficients `[batch, high, wide, 64]`; frequencies become channels (figure 4)."""
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
        # The last of the fusion's three layers; a runtime uses float32 after a layer of this name. The colour network
        # ends in a generated layer, which is no convolution: it stays in float32.
        self.predict = nn.ModuleDict({"project": nn.Conv2d(width, 64, 3, padding=1)})

    @property
    def margin(self) -> int:
        """How many neighbouring blocks of chroma, in each direction, a restored block of any component depends on.

        Luma's reach is counted in luma's blocks: exact at 4:4:4, more than needed at other samplings.
        """
        luma = reach(self.first, self.frequency, self.second, self.fusion, self.predict)
        return reach(self.colour.joint) + max(luma, reach(self.colour.own))

    def freeze_luma(self) -> None:
        """Freeze all but the colour network, for the second stage (section 3.4)."""
        self.requires_grad_(False)
        self.colour.requires_grad_(True)

    @torch.no_grad()
    def manifold(self, table: Tensor) -> dict[str, Tensor]:
        """Every generated weight for a table (figures 1 to 3 of the appendix).

        Args:
            table: `[batch, 64]`.

        Returns:
            Kernels `[batch, width, 8, 8]` by the name of their layer, as in the state dict.
        """
        layers = {name: layer for name, layer in self.named_modules() if isinstance(layer, Manifold)}
        return {name.removesuffix(".manifold"): layer(table).unflatten(2, (8, 8)) for name, layer in layers.items()}

    def restore_luma(self, coefficients: Tensor, table: Tensor) -> Tensor:
        """Restore luma: quantised to dequantised coefficients, `[batch, high, wide, 64]`; table `[batch, 64]`."""
        decoded = coefficients * table[:, None, None]
        residual = self.luma_residual(self.statistics(decoded), table).permute(0, 2, 3, 1).float()
        return decoded + residual * self.statistics.std.clamp(max=RESIDUAL_UNIT)

    def luma_residual(self, coefficients: Tensor, table: Tensor) -> Tensor:
        """Residual `[batch, 64, high, wide]` of normalised `[batch, high, wide, 64]`; see `RESIDUAL_UNIT`."""
        first = self.first(coefficients, table)
        frequency = self.frequency(first)
        second = self.second(frequency, table)
        fused = self.fusion(torch.cat([first, frequency, second], dim=3).permute(0, 3, 1, 2))
        return self.predict["project"](fused)

    def at_chroma(self, samples: Tensor, high: int, wide: int) -> Tensor:
        """Down-sample luma's blocks of samples to normalised coefficients on chroma's grid, `high` x `wide`."""
        plane = to_grid(blocks_to_plane(samples)[:, None], 8 * high, 8 * wide)
        with exact(plane):
            return self.statistics(plane_to_blocks(plane[:, 0]) @ self.inverse_dct.matrix.T)

    def restore(self, *components: Tensor) -> list[Tensor]:
        """Like `forward`, but returns dequantised coefficients `[batch, high, wide, 64]`."""
        luma = self.restore_luma(components[0], components[1])
        if len(components) == 2:
            return [luma]
        chroma, table = torch.cat(components[2::2]), torch.cat(components[3::2])
        guide = self.guide(luma, chroma.shape[1], chroma.shape[2])
        restored = self.colour(chroma * table[:, None, None], table, guide, components[1])
        return [luma, *restored.chunk(2)]

    def guide(self, luma: Tensor, high: int, wide: int) -> Tensor:
        """What the colour network is told of restored luma, dequantised; chroma has `high` x `wide` blocks."""
        return self.at_chroma(self.samples(luma), high, wide)

    def samples(self, coefficients: Tensor) -> Tensor:
        """Inverse DCT: blocks of centred samples from dequantised coefficients."""
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
    """How many neighbouring blocks, in each direction, the output of a sequence of layers depends on."""
    return sum(_reach_of(layer) for layer in layers)


def _reach_of(layer: nn.Module) -> int:
    if isinstance(layer, nn.Conv2d):
        return layer.kernel_size[0] // 2
    if hasattr(layer, "manifold"):  # a generated layer works within a block
        return 0
    children: Iterable[nn.Module] = layer.children()
    return reach(*children)
