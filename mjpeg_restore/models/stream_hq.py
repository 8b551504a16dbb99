"""`stream-hq`: `stream` with U-shaped trunks and ten times its arithmetic, for machines with a GPU.

The input, the conditioning on the table, chroma's guidance by luma and the projection into the quantisation cell are
`stream`'s. The trunks are different, and work in floating point.

Why a U: on the grid of half the size, a 3x3 convolution of `width` channels reads and writes `width / 4` numbers per
pixel and computes `9 width^2 / 4` multiply-accumulates. On the next coarser grid, with twice the channels, it computes
as many, moves half as many numbers, and has twice the receptive field. A GPU computes such wide layers near its peak
speed, while its memory limits the speed of narrow ones. The networks with the best restoration for their arithmetic are
U-shaped (DRUNet, NAFNet, Restormer). FBCNN, a DRUNet for JPEG, reaches 29.75 dB of luma at quality 10 on LIVE1. QGCN, a
plain trunk on the half-size grid, reaches 29.74 dB with half of FBCNN's arithmetic: FBCNN spends much of its own on the
full-size grid. So the finest grid here is the one of half the size. It has two blocks on each side of the U; all other
blocks are on coarser grids.

Blocks are plain pairs of 3x3 convolutions, as in EDSR and DRUNet. Depthwise convolutions with normalisation, as in
NAFNet, gain more per multiply-accumulate, but a GPU spends as long on their passes over memory; in ten-minute trainings
of small trunks they were behind (28.51 dB against 28.88 dB).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from mjpeg_restore.models.predict import FEATURE_STRIDE, Predict
from mjpeg_restore.models.stream import Stream, StreamConfig


@dataclass(frozen=True, slots=True)
class StreamHqConfig:
    """Size of the network by level: on the grid of half the component's size, of a quarter, and so on."""

    widths: tuple[int, ...]
    """Channels of the luma trunk."""
    blocks: tuple[int, ...]
    """Residual blocks of the luma trunk before the next level, and as many after it; of the lowest level in total."""
    chroma_widths: tuple[int, ...]
    """Channels of the chroma trunk, Cb and Cr together."""
    chroma_blocks: tuple[int, ...]
    """Residual blocks of the chroma trunk, counted likewise."""


STREAM_HQ = StreamHqConfig(widths=(64, 128, 160), blocks=(2, 3, 6), chroma_widths=(48, 96), chroma_blocks=(2, 4))
"""258 kMAC per luma pixel at 4:2:0 and 6 M parameters, 12 MB of float16."""


class ResidualBlock(nn.Module):
    """x + conv(relu(conv(x))), 3x3, no normalisation: `stream.ResidualBlock` without int8."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)
        with torch.no_grad():
            self.second.weight.mul_(0.1)

    def forward(self, features: Tensor) -> Tensor:
        """Add the block's residual to features `[batch, width, rows, columns]`."""
        return features + self.second(torch.relu(self.first(features)))


class Level(nn.Module):
    """A U: residual blocks, the level below on a grid of half the size, residual blocks."""

    def __init__(self, widths: tuple[int, ...], blocks: tuple[int, ...]) -> None:
        """Lay out the levels.

        Args:
            widths: channels of this level and of the levels below.
            blocks: residual blocks of each level, on the way down and again on the way up; of the lowest in total.
        """
        super().__init__()
        width, *lower = widths
        self.down = nn.Sequential(*(ResidualBlock(width) for _ in range(blocks[0])))
        self.below: nn.Sequential | None = None
        if lower:
            shrink = nn.Conv2d(width, lower[0], 2, stride=2)
            grow = nn.ConvTranspose2d(lower[0], width, 2, stride=2)
            with torch.no_grad():
                grow.weight.mul_(0.1)
            self.below = nn.Sequential(shrink, Level(widths[1:], blocks[1:]), grow)
            self.up = nn.Sequential(*(ResidualBlock(width) for _ in range(blocks[0])))

    def forward(self, features: Tensor) -> Tensor:
        """Process features `[batch, width, rows, columns]`, whose sides the levels below can halve."""
        features = self.down(features)
        return features if self.below is None else self.up(features + self.below(features))


class StreamHq(Stream):
    """The network; see the module's docstring."""

    def __init__(self, config: StreamHqConfig) -> None:
        width, chroma_width = config.widths[0], config.chroma_widths[0]
        super().__init__(
            StreamConfig(width, blocks=0, hidden=0, chroma_width=chroma_width, chroma_blocks=0, significance=True)
        )
        self.levels = config
        self.trunk = Level(config.widths, config.blocks)
        self.chroma_trunk = Level(config.chroma_widths, config.chroma_blocks)
        self.predict = Predict(1, width, rounded=False)
        self.chroma_predict = Predict(2, chroma_width, rounded=False)

    @property
    def margin(self) -> int:
        """How many neighbouring blocks in each direction a restored block depends on; chroma's are added to luma's."""
        config = self.levels
        luma, chroma = (reach(blocks) + 3 for blocks in (config.blocks, config.chroma_blocks))
        return math.ceil(luma * FEATURE_STRIDE / 8) + 1 + math.ceil(chroma * FEATURE_STRIDE / 8)


def reach(blocks: tuple[int, ...]) -> int:
    """Reach of a U in features of its finest grid: two for each residual block, and one for each coarser grid."""
    here, *lower = blocks
    return 2 * here if not lower else 4 * here + 2 * reach(tuple(lower)) + 1
