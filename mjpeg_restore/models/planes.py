"""Networks on planes of samples, and what they are made of: conversions between blocks and planes, convolutions.

A plane is `[batch, channels, height, width]`, 0..1. A network on planes starts from the plain decode, rounded to 8 bits
as a decoder does; its result is converted back to blocks of centred samples.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from mjpeg_restore.models.decode import Decode, blocks_to_plane, plane_to_blocks

CUBIC = -0.5
"""Keys' parameter of the cubic resizing kernel, as in Pillow."""


def to_unit(blocks: Tensor) -> Tensor:
    """Convert blocks of centred samples `[batch, high, wide, 64]` to a plane, 0..1, rounded to 8 bits."""
    return torch.round(blocks_to_plane(blocks) + 128).clamp(0, 255)[:, None] / 255


def from_unit(plane: Tensor) -> Tensor:
    """Convert a plane `[batch, 1, height, width]`, 0..1, to blocks of centred samples `[batch, high, wide, 64]`."""
    return plane_to_blocks(plane[:, 0] * 255 - 128)


def to_grid(planes: Tensor, height: int, width: int) -> Tensor:
    """Resample luma to chroma's grid, or chroma to luma's, `[batch, channels, height, width]`.

    Bilinear, centre-sited. Down-sampling by 2 is the mean over the span; by 4 (4:1:1), the mean of the two samples in
    the middle.
    """
    return functional.interpolate(planes, size=(height, width), mode="bilinear", align_corners=False)


def has_full_chroma(components: Sequence[Tensor]) -> bool:
    """Whether restored blocks or planes of Y, Cb and Cr have chroma at luma's size; that of 4:4:4 always has."""
    return len(components) > 1 and components[1].shape == components[0].shape


def whole_blocks(samples: int) -> int:
    """The number of blocks in a row that hold `samples` samples."""
    return -(-samples // 8)


def replicate_conv(before: int, after: int, side: int) -> nn.Conv2d:
    """A convolution that keeps the size, with replicate padding."""
    return nn.Conv2d(before, after, side, padding=side // 2, padding_mode="replicate")


def resize(picture: Tensor, side: int) -> Tensor:
    """Resize a picture `[batch, channels, height, width]` to `side` squared: bicubic, anti-aliased.

    The result is that of Pillow and of PyTorch's `interpolate(antialias=True)`, computed by two matrix products, which
    every runtime supports.
    """
    down, across = (_resampling(length, side, picture) for length in picture.shape[2:])
    return down @ picture @ across.T


def _resampling(length: int, side: int, like: Tensor) -> Tensor:
    """The matrix `[side, length]` that resamples a row of samples."""
    step = torch.ones((), device=like.device) * length / side
    places = torch.arange(length, device=like.device) + 0.5
    centres = (torch.arange(side, device=like.device) + 0.5) * step
    distance = ((places[None] - centres[:, None]) / step.clamp(min=1)).abs()
    near = ((CUBIC + 2) * distance - (CUBIC + 3)) * distance**2 + 1
    far = CUBIC * (((distance - 5) * distance + 8) * distance - 4)
    weights = torch.where(distance < 1, near, torch.where(distance < 2, far, torch.zeros_like(distance)))
    return weights / weights.sum(dim=1, keepdim=True)


class PlaneNetwork(nn.Module, ABC):
    """A network that restores one plane of samples at a time: luma, and optionally chroma."""

    def __init__(self, *, chroma: bool) -> None:
        """Set up the decode.

        Args:
            chroma: whether Cb and Cr are restored like luma, independently; else they are only decoded.
        """
        super().__init__()
        self.decode = Decode()
        self.chroma = chroma

    @property
    def per_component(self) -> bool:
        """Whether one network restores Y, Cb and Cr independently."""
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
