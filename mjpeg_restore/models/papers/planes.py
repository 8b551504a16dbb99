"""What the papers' networks share: chroma's grid, convolutions, and for most planes in, planes out.

A plane is `[batch, channels, height, width]`. A network on planes starts with the plain decode, as an 8-bit decoder
gives it, and is handed samples of 0..1; what it makes of them goes back to blocks of centred samples.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn
from torch.nn import functional

from mjpeg_restore.models.decode import Decode, blocks_to_plane, plane_to_blocks


def to_unit(blocks: Tensor) -> Tensor:
    """Blocks of centred samples `[batch, high, wide, 64]` to an 8-bit decoder's plane, 0..1, `[batch, 1, h, w]`."""
    return torch.round(blocks_to_plane(blocks) + 128).clamp(0, 255)[:, None] / 255


def from_unit(plane: Tensor) -> Tensor:
    """A plane of 0..1, `[batch, 1, height, width]`, to blocks of centred samples `[batch, high, wide, 64]`."""
    return plane_to_blocks(plane[:, 0] * 255 - 128)


def to_grid(planes: Tensor, height: int, width: int) -> Tensor:
    """Bring luma down to chroma's grid, or chroma up to luma's, `[batch, channels, height, width]`.

    Bilinear, centre-sited. Down, at a span of 2, that is the mean over the span; at 4 (4:1:1) that of the two samples
    in the middle.
    """
    return functional.interpolate(planes, size=(height, width), mode="bilinear", align_corners=False)


def whole_blocks(samples: int) -> int:
    """The blocks, side by side, that hold so many samples."""
    return -(-samples // 8)


def replicate_conv(before: int, after: int, side: int) -> nn.Conv2d:
    """A convolution that keeps the size: the border samples are replicated."""
    return nn.Conv2d(before, after, side, padding=side // 2, padding_mode="replicate")


class PlaneNetwork(nn.Module, ABC):
    """A network that restores one plane of samples at a time: luma, and chroma by itself or not at all."""

    def __init__(self, *, chroma: bool) -> None:
        """Say what becomes of chroma.

        Args:
            chroma: Cb and Cr pass the network too, each by itself, as if they were luma; else they are only decoded.
        """
        super().__init__()
        self.decode = Decode()
        self.chroma = chroma

    @property
    def per_component(self) -> bool:
        """Whether Y, Cb and Cr are restored independently by one network."""
        return self.chroma

    @abstractmethod
    def restore_plane(self, plane: Tensor) -> Tensor:
        """Restore decoded samples, 0..1, `[batch, 1, height, width]`."""

    def forward(self, *components: Tensor) -> tuple[Tensor, ...]:
        """Restore a grey or a colour picture.

        Args:
            components: quantised coefficients `[batch, high, wide, 64]` and table `[batch, 64]` of each component in
                turn.

        Returns:
            Blocks of centred samples `[batch, high, wide, 64]` for each component.
        """
        luma, *chroma = self.decode(*components)
        restored = [
            from_unit(self.restore_plane(to_unit(blocks))) for blocks in (luma, *(chroma if self.chroma else ()))
        ]
        return (*restored, *(() if self.chroma else chroma))
