"""`stream` and `stream-lite`: the real-time restoration network, our own.

One set of weights for all qualities, tables and samplings, luma and chroma. What it computes:

1. The coefficients are decoded, and a 4x4 convolution of stride 2 takes the samples to a grid of half their size. The
   quantisation table (as log2 q) scales and shifts the features there.
2. A trunk of residual blocks of two 3x3 convolutions works on that grid, where a convolution costs a quarter of what it
   costs on samples.
3. A last convolution and a pixel shuffle predict what the decoded samples lack. The DCT of that, in units of the
   quantisation step, is where in its quantisation cell each coefficient lies. It is clamped to the cell, so whatever
   the network says, quantising the result again gives the coefficients of the stream.
4. Chroma goes the same way in a smaller trunk, Cb and Cr together, guided by the restored luma at chroma's resolution
   and by the luma trunk's features.

Why samples, where the stream has coefficients: a convolution on samples is one filter for all sixty-four places in
a block. A network that is fed with each block's coefficients has to learn each place's filters by themselves: such a
one, of equal cost, was 0.4 dB behind after equal steps. What only the coefficients know, the cell, comes in at the end.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from mjpeg_restore.models.decode import Decode, InverseDct, blocks_to_plane, dct_matrix, exact, plane_to_blocks
from mjpeg_restore.models.planes import to_chroma_grid

CELL = 0.499
"""Half-width of the quantisation cell that a prediction is held to, in steps. The 0.001 that is missing from a half
keeps a float32 DCT of the result from rounding into the next cell."""

SAMPLE_SCALE = 64.0
"""What centred samples are divided by to be features."""

HALF = 2
"""Samples to a feature, each way."""


@dataclass(frozen=True, slots=True)
class StreamConfig:
    """Size of the network."""

    width: int
    """Channels of the luma trunk."""
    blocks: int
    """Residual blocks of the luma trunk."""
    chroma_width: int
    """Channels of the chroma trunk."""
    chroma_blocks: int
    """Residual blocks of the chroma trunk."""


STREAM = StreamConfig(width=32, blocks=3, chroma_width=32, chroma_blocks=2)
STREAM_LITE = StreamConfig(width=16, blocks=4, chroma_width=16, chroma_blocks=2)


class ResidualBlock(nn.Module):
    """x + conv(relu(conv(x))), 3x3, as in EDSR: no normalisation."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)
        with torch.no_grad():
            self.second.weight.mul_(0.1)

    def forward(self, features: Tensor) -> Tensor:
        """Add what the two convolutions make of the features, `[batch, channels, height, width]`."""
        return features + self.second(torch.relu(self.first(features)))


class Condition(nn.Module):
    """Scales and shifts features by the quantisation tables of some components."""

    def __init__(self, components: int, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(64 * components, 64), nn.ReLU(), nn.Linear(64, 2 * width))
        with torch.no_grad():
            self.layers[2].weight.mul_(0.1)
            self.layers[2].bias.zero_()

    def forward(self, features: Tensor, tables: list[Tensor]) -> Tensor:
        """Condition features `[batch, width, height, width]` on tables `[batch, 64]` each."""
        gain, shift = self.layers(torch.log2(torch.cat(tables, dim=1)) / 4 - 1).chunk(2, dim=1)
        return features * (1 + gain[:, :, None, None]) + shift[:, :, None, None]


class Predict(nn.Module):
    """Features to what the decoded samples of each component lack, and that to the cell."""

    matrix: Tensor

    def __init__(self, components: int, width: int) -> None:
        super().__init__()
        self.project = nn.Conv2d(width, HALF**2 * components, 3, padding=1)
        self.register_buffer("matrix", dct_matrix(), persistent=False)
        for parameter in self.project.parameters():
            nn.init.zeros_(parameter)

    def forward(self, features: Tensor, tables: list[Tensor]) -> list[Tensor]:
        """Predict.

        Args:
            features: `[batch, width, 4 high, 4 wide]`.
            tables: `[batch, 64]` of each component.

        Returns:
            Each coefficient's place in its cell, in units of the step, within +-`CELL`: `[batch, high, wide, 64]` each.
        """
        lacking = functional.pixel_shuffle(self.project(features).float() * SAMPLE_SCALE, HALF)
        places = []
        for plane, table in zip(lacking.unbind(1), tables, strict=True):
            with exact(plane):
                steps = plane_to_blocks(plane) @ (self.matrix.T / table[:, None])[:, None]
            places.append(steps.clamp(-CELL, CELL))
        return places


class Stream(nn.Module):
    """The network; see the module's docstring."""

    def __init__(self, config: StreamConfig) -> None:
        super().__init__()
        width, chroma_width = config.width, config.chroma_width
        self.config = config
        self.decode = Decode()
        self.enter = _halve(1, width)
        self.condition = Condition(1, width)
        self.trunk = nn.Sequential(*(ResidualBlock(width) for _ in range(config.blocks)))
        self.predict = Predict(1, width)
        self.chroma_enter = _halve(3, chroma_width)
        self.guide = nn.Conv2d(width, chroma_width, 1)
        self.chroma_condition = Condition(2, chroma_width)
        self.chroma_trunk = nn.Sequential(*(ResidualBlock(chroma_width) for _ in range(config.chroma_blocks)))
        self.chroma_predict = Predict(2, chroma_width)
        self.inverse_dct = InverseDct()

    @property
    def margin(self) -> int:
        """Blocks beside its own that a restored one can depend on: a residual block looks two features far, the first
        and the last convolution one, chroma's on top of luma's, and luma is brought to chroma's grid.
        """
        luma, chroma = (
            math.ceil((2 * blocks + 2) * HALF / 8) for blocks in (self.config.blocks, self.config.chroma_blocks)
        )
        return luma + 1 + chroma

    def place_luma(self, luma: Tensor, table: Tensor) -> tuple[Tensor, Tensor]:
        """Luma's coefficients in units of their step, restored `[batch, high, wide, 64]`, and the trunk's features."""
        (decoded,) = self.decode(luma, table)
        features = self.condition(self.enter(_features([decoded])), [table])
        features = features + self.trunk(features)
        (place,) = self.predict(features, [table])
        return luma + place, features

    def place_chroma(
        self, chroma: list[Tensor], tables: list[Tensor], samples: Tensor, features: Tensor
    ) -> list[Tensor]:
        """The same for Cb and Cr, guided by luma's blocks of samples and the luma trunk's features."""
        decoded = self.decode(*(tensor for pair in zip(chroma, tables, strict=True) for tensor in pair))
        own = _features(list(decoded))
        luma = to_chroma_grid(_features([samples]), *own.shape[2:])
        entered = self.chroma_enter(torch.cat([own, luma], dim=1))
        context = self.guide(to_chroma_grid(features, *entered.shape[2:]))
        guided = self.chroma_condition(entered + context, tables)
        places = self.chroma_predict(guided + self.chroma_trunk(guided), tables)
        return [k + place for k, place in zip(chroma, places, strict=True)]

    def place(self, *components: Tensor) -> tuple[list[Tensor], Tensor]:
        """Each component's restored coefficients in units of their step, and luma's blocks of samples."""
        luma, features = self.place_luma(components[0], components[1])
        samples = self.inverse_dct(luma, components[1])
        if len(components) == 2:
            return [luma], samples
        chroma = self.place_chroma(list(components[2::2]), list(components[3::2]), samples, features)
        return [luma, *chroma], samples

    def restore(self, *components: Tensor) -> list[Tensor]:
        """Like `forward`, but dequantised coefficients `[batch, high, wide, 64]` instead of samples: for training."""
        placed, _ = self.place(*components)
        return [k * q[:, None, None] for k, q in zip(placed, components[1::2], strict=True)]

    def forward(self, *components: Tensor) -> tuple[Tensor, ...]:
        """Restore a grey or a colour picture.

        Args:
            components: quantised coefficients `[batch, high, wide, 64]` and table `[batch, 64]` of each component
                in turn, float32. Luma's grid is an exact multiple of chroma's.

        Returns:
            Blocks of centred samples `[batch, high, wide, 64]` for each component.
        """
        (_, *chroma), samples = self.place(*components)
        return (samples, *(self.inverse_dct(k, q) for k, q in zip(chroma, components[3::2], strict=True)))


def _halve(channels: int, width: int) -> nn.Conv2d:
    """Samples to features at half their size."""
    return nn.Conv2d(channels, width, 2 * HALF, stride=HALF, padding=HALF // 2)


def _features(components: list[Tensor]) -> Tensor:
    """Blocks of centred samples of components with one grid, as `[batch, components, height, width]`, about 1 large."""
    return torch.stack([blocks_to_plane(samples) for samples in components], dim=1) / SAMPLE_SCALE
