"""`stream` and `stream-lite`: the real-time restoration network, our own.

One set of weights for all qualities, tables and samplings, luma and chroma. What it computes:

1. The coefficients are decoded, and a 4x4 convolution of stride 2 takes the samples to a grid of half their size. In
   `stream` a second plane goes with them: what it says of each sample that this coefficient of its block is zero and
   that one is not. The quantisation table (as log2 q) scales and shifts the features there.
2. A trunk of residual blocks of two 3x3 convolutions works on that grid, where a convolution costs a quarter of what it
   costs on samples. In `stream` one block in its middle works on half that grid, and sees twice as far.
3. A last convolution predicts what the decoded samples lack, four by four of them at a time. The DCT of that,
   in units of the quantisation step, is where in its quantisation cell each coefficient lies. It is clamped to the
   cell, so whatever the network says, quantising the result again gives the coefficients of the stream. Where the
   steps are so fine that there is little to restore, its weight falls, to 0 in the end.
4. Chroma goes the same way in a smaller trunk, Cb and Cr together, guided by the features that the restored luma
   came from, at chroma's resolution.

The 3x3 convolutions of the trunks and the last ones work in eight bits (`int8.py`), all but one in `stream`.

Why samples, where the stream has coefficients: a convolution on samples is one filter for all sixty-four places in
a block. A network that is fed with each block's coefficients has to learn each place's filters by themselves: such a
one, of equal cost, was 0.4 dB behind after equal steps. What only the coefficients know comes in beside the samples,
which of them the encoder kept, and at the end, the cell.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from mjpeg_restore.models.decode import Decode, InverseDct, blocks_to_plane, dct_matrix, exact
from mjpeg_restore.models.int8 import Int8Conv
from mjpeg_restore.runtime.cpu.projection import (
    CELL,
    CHROMA_CONFIDENCE,
    LUMA_CONFIDENCE,
    PHASES,
    SAMPLE_SCALE,
    ConfidenceRamp,
)

HALF = 2
"""Samples to a feature, each way."""


@dataclass(frozen=True, slots=True)
class StreamConfig:
    """Size of the network."""

    width: int
    """Channels of the luma trunk."""
    blocks: int
    """Residual blocks of the luma trunk, half of them before the coarse one."""
    hidden: int
    """Channels between the two convolutions of one of its blocks."""
    chroma_width: int
    """Channels of the chroma trunk, between two convolutions too."""
    chroma_blocks: int
    """Residual blocks of the chroma trunk."""
    coarse: int = 0
    """Channels of the luma trunk's block on half the grid; 0 where it has none."""
    significance: bool = False
    """Whether luma's significance map stands beside the samples."""


# Eight bits pay where channels are many: two blocks of 32 hidden ones take less time than three of 16, and do more.
STREAM = StreamConfig(width=32, blocks=4, hidden=32, chroma_width=32, chroma_blocks=2, coarse=32, significance=True)
STREAM_LITE = StreamConfig(width=16, blocks=2, hidden=32, chroma_width=16, chroma_blocks=1)


class ResidualBlock(nn.Module):
    """x + conv(relu(conv(x))), 3x3, as in EDSR and WDSR: no normalisation."""

    def __init__(self, width: int, hidden: int, *, rounded: bool = True) -> None:
        """Make one.

        Args:
            width: channels.
            hidden: channels between the two convolutions.
            rounded: whether the first of them works in eight bits too.
        """
        super().__init__()
        self.first = Int8Conv(width, hidden, signed=True) if rounded else nn.Conv2d(width, hidden, 3, padding=1)
        self.second = Int8Conv(hidden, width, signed=False)
        with torch.no_grad():
            self.second.weight.mul_(0.1)

    def forward(self, features: Tensor) -> Tensor:
        """Add what the two convolutions make of the features, `[batch, channels, height, width]`."""
        return features + self.second(torch.relu(self.first(features)))


class CoarseBlock(nn.Module):
    """A residual block on a grid of half the size: it sees twice as far for a quarter of the cost."""

    def __init__(self, width: int, coarse: int) -> None:
        super().__init__()
        self.shrink = nn.Conv2d(width, coarse, HALF, stride=HALF)
        self.block = ResidualBlock(coarse, coarse)
        self.grow = nn.ConvTranspose2d(coarse, width, HALF, stride=HALF)
        for parameter in self.grow.parameters():
            nn.init.zeros_(parameter)

    def forward(self, features: Tensor) -> Tensor:
        """Add what is seen from afar to the features, `[batch, width, even height, even width]`."""
        return features + self.grow(torch.relu(self.block(self.shrink(features))))


class SignificanceMap(nn.Module):
    """Which coefficients of a block are not zero, as a number for each of its samples.

    Where a coefficient was quantised to zero, all that its frequency had is lost; where it was not, little is. The sum
    of such losses is another in each place of a block. A learnt 64x64 matrix makes it, which begins as the share that
    each frequency has in the variance of each sample; its bias tells the places apart, as the trunk's filters cannot.
    Step for step, a network that is told was 0.02 dB ahead at Q40, and 0.03 dB at Q80; chroma gained nothing by it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.shares = nn.Linear(64, 64)
        with torch.no_grad():
            self.shares.weight.copy_(dct_matrix().square().T)
            self.shares.bias.normal_(0, 0.3)

    def forward(self, coefficients: Tensor) -> Tensor:
        """Quantised coefficients `[batch, high, wide, 64]` to a plane, `[batch, 1, 8 high, 8 wide]`."""
        significant = coefficients.abs().clamp(max=1).reshape(-1, 64)  # in two dimensions it keeps its name in a graph
        return blocks_to_plane(self.shares(significant).float().reshape(coefficients.shape))[:, None]


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
    """Features to what the decoded samples of each component lack, and that to the cell; see `projection.py`."""

    matrix: Tensor

    def __init__(self, components: int, width: int, *, rounded: bool = True) -> None:
        """Make one, whose convolution works in eight bits if it is `rounded`."""
        super().__init__()
        self.confidence = LUMA_CONFIDENCE if components == 1 else CHROMA_CONFIDENCE
        # Sixteen channels at a quarter of the size rather than four at half: in eight bits, runtimes compute sixteen.
        phases = PHASES**2 * components
        self.phases = (
            Int8Conv(width, phases, signed=True, side=2 * HALF, stride=HALF) if rounded else _halve(width, phases)
        )
        self.register_buffer("matrix", dct_matrix()[:, _places_of_phases()], persistent=False)
        for parameter in self.phases.parameters():
            nn.init.zeros_(parameter)

    def forward(self, features: Tensor, tables: list[Tensor]) -> list[Tensor]:
        """Predict.

        Args:
            features: `[batch, width, 4 high, 4 wide]`.
            tables: `[batch, 64]` of each component.

        Returns:
            Each coefficient's place in its cell, in units of the step, within +-`CELL`: `[batch, high, wide, 64]` each.
        """
        lacking = _phases_to_blocks(self.phases(features).float(), len(tables))
        places = []
        for blocks, table in zip(lacking, tables, strict=True):
            with exact(blocks):
                scale = SAMPLE_SCALE * confidence_of(table, self.confidence) / table
                steps = blocks @ (self.matrix.T * scale[:, None])[:, None]
            places.append(steps.clamp(-CELL, CELL))
        return places


class Stream(nn.Module):
    """The network; see the module's docstring."""

    def __init__(self, config: StreamConfig) -> None:
        super().__init__()
        width, chroma_width = config.width, config.chroma_width
        self.config = config
        self.decode = Decode()
        self.significance = SignificanceMap() if config.significance else None
        self.enter = _halve(2 if config.significance else 1, width)
        self.condition = Condition(1, width)
        middle = config.blocks // 2
        coarse = [CoarseBlock(width, config.coarse)] if config.coarse else []
        # What first reads the coarse block's features keeps its precision: rounded, it made two fifths of what rounding
        # cost, in dB.
        blocks = [
            ResidualBlock(width, config.hidden, rounded=not (coarse and index == middle))
            for index in range(config.blocks)
        ]
        self.trunk = nn.Sequential(*blocks[:middle], *coarse, *blocks[middle:])
        self.predict = Predict(1, width)
        self.chroma_enter = _halve(2, chroma_width)
        self.guide = nn.Conv2d(width, chroma_width, 1)
        self.chroma_condition = Condition(2, chroma_width)
        self.chroma_trunk = nn.Sequential(
            *(ResidualBlock(chroma_width, chroma_width) for _ in range(config.chroma_blocks))
        )
        self.chroma_predict = Predict(2, chroma_width)
        self.inverse_dct = InverseDct()

    @property
    def margin(self) -> int:
        """Blocks beside its own that a restored one can depend on: a residual block looks two features far, the
        coarse one five, the first convolution one and the last one two; chroma's on top of luma's, on chroma's grid.
        """
        config = self.config
        farthest = 2 * config.blocks + 3 + (5 if config.coarse else 0), 2 * config.chroma_blocks + 3
        luma, chroma = (math.ceil(features * HALF / 8) for features in farthest)
        return luma + 1 + chroma

    def place_luma(self, luma: Tensor, table: Tensor) -> tuple[Tensor, Tensor]:
        """Luma's coefficients in units of their step, restored `[batch, high, wide, 64]`, and the trunk's features."""
        (decoded,) = self.decode(luma, table)
        entering = _features([decoded])
        if self.significance:
            entering = torch.cat([entering, self.significance(luma)], dim=1)
        features = self.condition(self.enter(entering), [table])
        features = features + self.trunk(features)
        (place,) = self.predict(features, [table])
        return luma + place, features

    def place_chroma(self, chroma: list[Tensor], tables: list[Tensor], features: Tensor) -> list[Tensor]:
        """The same for Cb and Cr, guided by the features that luma's restoration came from."""
        decoded = self.decode(*(tensor for pair in zip(chroma, tables, strict=True) for tensor in pair))
        entered = self.chroma_enter(_features(list(decoded)))
        # The nearest: a feature knows its neighbours, and a mean over the span took longer than all of chroma's trunk.
        guide = self.guide(functional.interpolate(features, entered.shape[2:], mode="nearest"))
        guided = self.chroma_condition(entered + guide, tables)
        places = self.chroma_predict(guided + self.chroma_trunk(guided), tables)
        return [k + place for k, place in zip(chroma, places, strict=True)]

    def place(self, *components: Tensor) -> list[Tensor]:
        """Each component's restored coefficients in units of their step."""
        luma, features = self.place_luma(components[0], components[1])
        if len(components) == 2:
            return [luma]
        return [luma, *self.place_chroma(list(components[2::2]), list(components[3::2]), features)]

    def restore(self, *components: Tensor) -> list[Tensor]:
        """Like `forward`, but dequantised coefficients `[batch, high, wide, 64]` instead of samples: for training."""
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


def confidence_of(tables: Tensor, confidence: ConfidenceRamp) -> Tensor:
    """The weights `[batch, 1]` that a ramp gives to tables `[batch, 64]`."""
    mean = torch.log2(tables).mean(dim=1, keepdim=True)
    return ((mean - confidence.zero) / (confidence.one - confidence.zero)).clamp(0, 1)


def _halve(channels: int, width: int) -> nn.Conv2d:
    """Samples to features at half their size."""
    return nn.Conv2d(channels, width, 2 * HALF, stride=HALF, padding=HALF // 2)


def _phases_to_blocks(phases: Tensor, components: int) -> Tensor:
    """Channels that are samples, `[batch, 16 components, 2 high, 2 wide]`: four by four to a place, to blocks of
    each component, `[components, batch, high, wide, 64]` in the order of `_places_of_phases`.

    A pixel shuffle and a cut into blocks would do the same in two passes.
    """
    side = 8 // PHASES
    batch, _, height, width = phases.shape
    cut = phases.reshape(batch, components, PHASES**2, height // side, side, width // side, side)
    return cut.permute(1, 0, 3, 5, 2, 4, 6).reshape(components, batch, height // side, width // side, 64)


def _places_of_phases() -> Tensor:
    """Where in a row-major block the samples of `_phases_to_blocks` lie, `[64]`."""
    side = 8 // PHASES
    places = torch.arange(64).reshape(side, PHASES, side, PHASES)
    return places.permute(1, 3, 0, 2).flatten()


def _features(components: list[Tensor]) -> Tensor:
    """Blocks of centred samples of components with one grid, as `[batch, components, height, width]`, about 1 large."""
    return torch.stack([blocks_to_plane(samples) for samples in components], dim=1) / SAMPLE_SCALE
