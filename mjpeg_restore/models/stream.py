"""`stream` and `stream-lite`: our own real-time restoration network.

One set of weights serves all qualities, tables and samplings, luma and chroma:

1. The coefficients are decoded, and a 4x4 convolution of stride 2 maps the samples to features at half the size. In
   `stream` it has a second input plane: a learned map of which coefficients are non-zero (`SignificanceMap`). The
   quantisation table (as log2 q) scales and shifts the features.
2. A trunk of residual blocks of two 3x3 convolutions works on that grid, where a convolution costs a quarter of its
   cost on samples. In `stream` one block in its middle works on half that grid, with twice the receptive field.
3. The last convolution predicts the residual of 4x4 decoded samples at a time. The DCT of the residual, in units of the
   quantisation step, is the position of each coefficient in its quantisation cell. It is clamped to the cell, so that
   quantising the result always gives the coefficients of the stream. Where the steps are so fine that little can be
   restored, the residual's weight falls to 0.
4. Chroma takes the same way through a smaller trunk, Cb and Cr together, guided by the features of luma's trunk at
   chroma's resolution.

The 3x3 convolutions of the trunks and the last ones work in int8 (`int8.py`), all but one in `stream`.

Why the input is samples, although the stream has coefficients: a convolution on samples is one filter for all 64
positions in a block, while a network on each block's coefficients has to learn filters for each position. Such a
network of equal cost was 0.4 dB behind after equal steps. The information that only coefficients hold enters by the map
of non-zero coefficients and, at the end, by the quantisation cell.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from mjpeg_restore.models.decode import Decode, InverseDct, blocks_to_plane, dct_matrix
from mjpeg_restore.models.int8 import Int8Conv
from mjpeg_restore.models.predict import FEATURE_STRIDE, Predict, halving_conv
from mjpeg_restore.runtime.cpu.projection import SAMPLE_SCALE


@dataclass(frozen=True, slots=True)
class StreamConfig:
    """Size of the network."""

    width: int
    """Channels of the luma trunk."""
    blocks: int
    """Residual blocks of the luma trunk, half of them before the coarse block."""
    hidden: int
    """Channels between the two convolutions of a block of the luma trunk."""
    chroma_width: int
    """Channels of the chroma trunk and between the two convolutions of its blocks."""
    chroma_blocks: int
    """Residual blocks of the chroma trunk."""
    coarse: int = 0
    """Channels of the luma trunk's block on half the grid; 0 for no such block."""
    significance: bool = False
    """Whether luma's `SignificanceMap` is a second input plane."""


# Int8 pays off with many channels: two blocks with 32 hidden channels take less time than three with 16, and gain more.
STREAM = StreamConfig(width=32, blocks=4, hidden=32, chroma_width=32, chroma_blocks=2, coarse=32, significance=True)
STREAM_LITE = StreamConfig(width=16, blocks=2, hidden=32, chroma_width=16, chroma_blocks=1)


class ResidualBlock(nn.Module):
    """x + conv(relu(conv(x))), 3x3, as in EDSR and WDSR: no normalisation."""

    def __init__(self, width: int, hidden: int, *, rounded: bool = True) -> None:
        """Make a block.

        Args:
            width: channels.
            hidden: channels between the two convolutions.
            rounded: whether the first convolution works in int8, as the second always does.
        """
        super().__init__()
        self.first = Int8Conv(width, hidden, signed=True) if rounded else nn.Conv2d(width, hidden, 3, padding=1)
        self.second = Int8Conv(hidden, width, signed=False)
        with torch.no_grad():
            self.second.weight.mul_(0.1)

    def forward(self, features: Tensor) -> Tensor:
        """Add the block's residual to features `[batch, channels, height, width]`."""
        return features + self.second(torch.relu(self.first(features)))


class CoarseBlock(nn.Module):
    """A residual block on a grid of half the size: twice the receptive field for a quarter of the cost."""

    def __init__(self, width: int, coarse: int) -> None:
        super().__init__()
        self.shrink = nn.Conv2d(width, coarse, 2, stride=2)
        self.block = ResidualBlock(coarse, coarse)
        self.grow = nn.ConvTranspose2d(coarse, width, 2, stride=2)
        for parameter in self.grow.parameters():
            nn.init.zeros_(parameter)

    def forward(self, features: Tensor) -> Tensor:
        """Add the block's residual to features `[batch, width, even height, even width]`."""
        return features + self.grow(torch.relu(self.block(self.shrink(features))))


class SignificanceMap(nn.Module):
    """A learned map of which coefficients of a block are non-zero: one number for each sample.

    A coefficient that was quantised to zero loses all energy of its frequency, any other one little. The sum of these
    losses differs between the positions in a block. A learned 64x64 matrix computes it, initialised with the share of
    each frequency in the variance of each sample; its bias distinguishes the positions, as the trunk's filters cannot.
    Step for step, a network with the map was 0.02 dB ahead at Q40 and 0.03 dB at Q80; chroma did not gain from one.
    """

    def __init__(self) -> None:
        super().__init__()
        self.shares = nn.Linear(64, 64)
        with torch.no_grad():
            self.shares.weight.copy_(dct_matrix().square().T)
            self.shares.bias.normal_(0, 0.3)

    def forward(self, coefficients: Tensor) -> Tensor:
        """The map, `[batch, 1, 8 high, 8 wide]`, of quantised coefficients `[batch, high, wide, 64]`."""
        significant = coefficients.abs().clamp(max=1).reshape(-1, 64)  # 2-D: the weight keeps its name in a graph
        return blocks_to_plane(self.shares(significant).float().reshape(coefficients.shape))[:, None]


class Condition(nn.Module):
    """Scales and shifts features depending on the quantisation tables of one or more components."""

    def __init__(self, components: int, width: int) -> None:
        super().__init__()
        first, last = nn.Linear(64 * components, 64), nn.Linear(64, 2 * width)
        self.layers = nn.Sequential(first, nn.ReLU(), last)
        with torch.no_grad():
            last.weight.mul_(0.1)
            last.bias.zero_()

    def forward(self, features: Tensor, tables: list[Tensor]) -> Tensor:
        """Condition features `[batch, width, height, width]` on tables `[batch, 64]` each."""
        gain, shift = self.layers(torch.log2(torch.cat(tables, dim=1)) / 4 - 1).chunk(2, dim=1)
        return features * (1 + gain[:, :, None, None]) + shift[:, :, None, None]


class Stream(nn.Module):
    """The network; see the module's docstring."""

    def __init__(self, config: StreamConfig) -> None:
        super().__init__()
        width, chroma_width = config.width, config.chroma_width
        self.config = config
        self.decode = Decode()
        self.significance = SignificanceMap() if config.significance else None
        self.enter = halving_conv(2 if config.significance else 1, width)
        self.condition = Condition(1, width)
        middle = config.blocks // 2
        coarse = [CoarseBlock(width, config.coarse)] if config.coarse else []
        # The first convolution after the coarse block is kept in float: in int8 it caused 40 % of int8's loss in dB.
        blocks = [
            ResidualBlock(width, config.hidden, rounded=not (coarse and index == middle))
            for index in range(config.blocks)
        ]
        self.trunk = nn.Sequential(*blocks[:middle], *coarse, *blocks[middle:])
        self.predict = Predict(1, width)
        self.chroma_enter = halving_conv(2, chroma_width)
        self.guide = nn.Conv2d(width, chroma_width, 1)
        self.chroma_condition = Condition(2, chroma_width)
        self.chroma_trunk = nn.Sequential(
            *(ResidualBlock(chroma_width, chroma_width) for _ in range(config.chroma_blocks))
        )
        self.chroma_predict = Predict(2, chroma_width)
        self.inverse_dct = InverseDct()

    @property
    def margin(self) -> int:
        """How many neighbouring blocks in each direction a restored block depends on.

        A residual block has a reach of two features, the coarse block of five, the first convolution of one and the
        last one of two. Chroma's reach, on chroma's grid, is added to luma's.
        """
        config = self.config
        farthest = 2 * config.blocks + 3 + (5 if config.coarse else 0), 2 * config.chroma_blocks + 3
        luma, chroma = (math.ceil(features * FEATURE_STRIDE / 8) for features in farthest)
        return luma + 1 + chroma

    def place_luma(self, luma: Tensor, table: Tensor) -> tuple[Tensor, Tensor]:
        """Luma's restored coefficients in units of their step, `[batch, high, wide, 64]`, and the trunk's features."""
        (decoded,) = self.decode(luma, table)
        entering = _features([decoded])
        if self.significance:
            entering = torch.cat([entering, self.significance(luma)], dim=1)
        features = self.condition(self.enter(entering), [table])
        features = features + self.trunk(features)
        (place,) = self.predict(features, [table])
        return luma + place, features

    def place_chroma(self, chroma: list[Tensor], tables: list[Tensor], features: Tensor) -> list[Tensor]:
        """Restored coefficients of Cb and Cr in units of their step, guided by the features of luma's trunk."""
        decoded = self.decode(*(tensor for pair in zip(chroma, tables, strict=True) for tensor in pair))
        entered = self.chroma_enter(_features(list(decoded)))
        # Nearest: features know their neighbours, and a mean over the span took longer than all of chroma's trunk.
        guide = self.guide(functional.interpolate(features, entered.shape[2:], mode="nearest"))
        guided = self.chroma_condition(entered + guide, tables)
        places = self.chroma_predict(guided + self.chroma_trunk(guided), tables)
        return [k + place for k, place in zip(chroma, places, strict=True)]

    def place(self, *components: Tensor) -> list[Tensor]:
        """Restored coefficients of each component in units of their step."""
        luma, features = self.place_luma(components[0], components[1])
        if len(components) == 2:
            return [luma]
        return [luma, *self.place_chroma(list(components[2::2]), list(components[3::2]), features)]

    def restore(self, *components: Tensor) -> list[Tensor]:
        """Like `forward`, but returns dequantised coefficients `[batch, high, wide, 64]`: for training."""
        return [k * q[:, None, None] for k, q in zip(self.place(*components), components[1::2], strict=True)]

    def forward(self, *components: Tensor) -> tuple[Tensor, ...]:
        """Restore a grey or a colour picture.

        Args:
            components: quantised coefficients `[batch, high, wide, 64]` and table `[batch, 64]` of each component
                in turn, float32. Luma's grid is an exact multiple of chroma's.

        Returns:
            Blocks of centred samples `[batch, high, wide, 64]` for each component.
        """
        return tuple(self.inverse_dct(k, q) for k, q in zip(self.place(*components), components[1::2], strict=True))


def _features(components: list[Tensor]) -> Tensor:
    """Planes `[batch, components, height, width]` of blocks of centred samples on one grid, scaled to about 1."""
    return torch.stack([blocks_to_plane(samples) for samples in components], dim=1) / SAMPLE_SCALE
