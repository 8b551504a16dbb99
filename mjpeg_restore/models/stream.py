"""`stream` and `stream-lite`: the real-time restoration network, our own.

One set of weights for all qualities, tables and samplings, luma and chroma. What it computes:

1. Every 8x8 block's 64 coefficients, dequantised and normalised, and their quantised values clipped to the few
   levels at which zero and non-zero differ, pass one 1x1 convolution to a grid of 4x4 samples, two cells to a
   block each way: a learned partial inverse DCT. The quantisation table (as log2 q) scales and shifts its result.
2. A trunk of residual blocks of two 3x3 convolutions works on that grid, where a convolution costs a sixteenth of
   what it costs on pixels and still sees across the block's edges.
3. Back the same way: a convolution over a block's four cells predicts for each coefficient where in its
   quantisation cell it lies, in units of the step. The prediction is clamped to the cell, so whatever
   the network says, quantising the result again gives the coefficients of the stream.
4. Chroma goes the same way in a smaller trunk, Cb and Cr together, guided by the restored luma at chroma's resolution
   and by the luma trunk's features.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from mjpeg_restore.models.decode import InverseDct, blocks_to_plane, dct_matrix
from mjpeg_restore.models.planes import to_chroma_grid

CELL = 0.499
"""Half-width of the quantisation cell that a prediction is held to, in steps. The 0.001 that is missing from a half
keeps a float32 DCT of the result from rounding into the next cell."""

LEVELS = 2.0
"""Quantised values are clipped to +-LEVELS where the network looks at them as levels rather than as amplitudes."""


CELL_SAMPLES = 16
"""Samples of a cell of 4x4."""

SAMPLE_SCALE = 64.0
"""What samples are divided by to be features."""


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


STREAM = StreamConfig(width=48, blocks=5, chroma_width=32, chroma_blocks=3)
STREAM_LITE = StreamConfig(width=32, blocks=4, chroma_width=24, chroma_blocks=2)


def coefficient_scale() -> Tensor:
    """Typical size of each dequantised coefficient of a photograph: float32 `[64]`, natural order."""
    frequency = torch.arange(8)
    return 320.0 / (1.0 + frequency[:, None] + frequency[None, :]).reshape(64).to(torch.float32) ** 1.5


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


class Embed(nn.Module):
    """Coefficients and tables of some components, on the block grid, to features on the grid of 4x4 samples."""

    scale: Tensor

    def __init__(self, components: int, width: int) -> None:
        super().__init__()
        self.project = nn.Conv2d(128 * components, 4 * width, 1)
        self.condition = nn.Sequential(nn.Linear(64 * components, 64), nn.ReLU(), nn.Linear(64, 8 * width))
        self.register_buffer("scale", coefficient_scale(), persistent=False)
        with torch.no_grad():
            self.condition[2].weight.mul_(0.1)
            self.condition[2].bias.zero_()
        if components == 1 and width >= 2 * CELL_SAMPLES:
            self.initialise_as_decoder()

    @torch.no_grad()
    def initialise_as_decoder(self) -> None:
        """Begin as the inverse DCT: the first features of a cell are its 16 samples, those above zero and those below.

        Left to itself the 1x1 convolution has to find the transform first; so begun, training was 0.18 dB ahead after
        600 batches.
        """
        weight, bias = self.project.weight, self.project.bias
        assert bias is not None
        weight.mul_(0.1)
        bias.zero_()
        basis = dct_matrix() * self.scale[:, None] / SAMPLE_SCALE
        samples = basis.reshape(64, 2, 4, 2, 4).permute(2, 4, 1, 3, 0)  # row and column in the cell, cell, frequency
        cells = samples.reshape(CELL_SAMPLES, 4, 64)
        both = torch.cat([cells, -cells]).reshape(8 * CELL_SAMPLES, 64)
        weight[: 8 * CELL_SAMPLES, :64, 0, 0] += both

    def forward(self, coefficients: list[Tensor], tables: list[Tensor]) -> Tensor:
        """Embed.

        Args:
            coefficients: quantised, `[batch, high, wide, 64]` each.
            tables: `[batch, 64]` each.

        Returns:
            Features `[batch, width, 2 high, 2 wide]`.
        """
        amplitudes = [k * (q / self.scale)[:, None, None] for k, q in zip(coefficients, tables, strict=True)]
        levels = [k.clamp(-LEVELS, LEVELS) for k in coefficients]
        features = self.project(torch.cat([*amplitudes, *levels], dim=3).permute(0, 3, 1, 2))
        gain, shift = self.condition(torch.log2(torch.cat(tables, dim=1)) / 4 - 1).chunk(2, dim=1)
        features = torch.relu(features * (1 + gain[:, :, None, None]) + shift[:, :, None, None])
        return functional.pixel_shuffle(features, 2)


class Predict(nn.Module):
    """Features on the grid of 4x4 samples to each coefficient's place in its cell, `[batch, high, wide, 64]` each."""

    def __init__(self, components: int, width: int) -> None:
        super().__init__()
        self.components = components
        self.project = nn.Conv2d(width, 64 * components, 2, stride=2)
        nn.init.zeros_(self.project.weight)
        nn.init.constant_(self.project.bias, 0.0)  # pyright: ignore[reportArgumentType]

    def forward(self, features: Tensor) -> tuple[Tensor, ...]:
        """Predict from features `[batch, width, 2 high, 2 wide]`; in units of the step, within +-`CELL`."""
        places = self.project(features).permute(0, 2, 3, 1).float().clamp(-CELL, CELL)
        return places.chunk(self.components, dim=3)


class Stream(nn.Module):
    """The network; see the module's docstring."""

    def __init__(self, config: StreamConfig) -> None:
        super().__init__()
        width, chroma_width = config.width, config.chroma_width
        self.config = config
        self.embed = Embed(1, width)
        self.trunk = nn.Sequential(*(ResidualBlock(width) for _ in range(config.blocks)))
        self.predict = Predict(1, width)
        self.chroma_embed = Embed(2, chroma_width)
        self.guide_samples = nn.Conv2d(1, chroma_width, 4, stride=4)
        self.guide_features = nn.Conv2d(width, chroma_width, 1)
        self.chroma_trunk = nn.Sequential(*(ResidualBlock(chroma_width) for _ in range(config.chroma_blocks)))
        self.chroma_predict = Predict(2, chroma_width)
        self.inverse_dct = InverseDct()

    @property
    def margin(self) -> int:
        """Blocks beside its own that a restored one can depend on: a residual block looks one cell of 4x4 samples far
        twice, chroma's on top of luma's, and luma is brought to chroma's grid.
        """
        return self.config.blocks + 1 + self.config.chroma_blocks

    def place_luma(self, luma: Tensor, table: Tensor) -> tuple[Tensor, Tensor]:
        """Luma's coefficients in units of their step, restored `[batch, high, wide, 64]`, and the trunk's features."""
        features = self.embed([luma], [table])
        features = features + self.trunk(features)
        (place,) = self.predict(features)
        return luma + place, features

    def place_chroma(
        self, chroma: list[Tensor], tables: list[Tensor], samples: Tensor, features: Tensor
    ) -> list[Tensor]:
        """The same for Cb and Cr, guided by luma's blocks of samples and the luma trunk's features."""
        own = self.chroma_embed(chroma, tables)
        plane = to_chroma_grid(blocks_to_plane(samples)[:, None] / 64, 4 * own.shape[2], 4 * own.shape[3])
        context = to_chroma_grid(features, own.shape[2], own.shape[3])
        guided = own + self.guide_samples(plane) + self.guide_features(context)
        places = self.chroma_predict(guided + self.chroma_trunk(guided))
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
