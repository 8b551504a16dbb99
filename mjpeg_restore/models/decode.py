"""The plain JPEG decode as a network, and its parts, which all other networks use.

The blocks of a component are handled as `[batch, blocks_high, blocks_wide, 64]` in natural (row-major)
order; inside a convolutional network the 64 frequencies become channels, `[batch, 64, blocks_high, blocks_wide]`.
Samples of a plane are centred on zero here (level shift, ITU-T T.81 A.3.1) until `to_uint8` shifts them back.
"""

from __future__ import annotations

import math
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor, nn


def dct_matrix() -> Tensor:
    """The 8x8 DCT-II (ITU-T T.81 A.3.3) of a flattened block: float32 `[64 frequencies, 64 samples]`, orthonormal."""
    n = torch.arange(8, dtype=torch.float64)
    basis = torch.cos((2 * n[None, :] + 1) * n[:, None] * math.pi / 16) / 2
    basis[0] /= math.sqrt(2)
    return torch.einsum("ux,vy->uvxy", basis, basis).reshape(64, 64).to(torch.float32)


def blocks_to_plane(blocks: Tensor) -> Tensor:
    """Assemble a plane from blocks of samples: `[batch, high, wide, 64]` to `[batch, 8 high, 8 wide]`."""
    batch, high, wide, _ = blocks.shape
    return blocks.reshape(batch, high, wide, 8, 8).transpose(2, 3).reshape(batch, high * 8, wide * 8)


def plane_to_blocks(plane: Tensor) -> Tensor:
    """Cut a plane into blocks of samples: `[batch, 8 high, 8 wide]` to `[batch, high, wide, 64]`."""
    batch, height, width = plane.shape
    return (
        plane.reshape(batch, height // 8, 8, width // 8, 8).transpose(2, 3).reshape(batch, height // 8, width // 8, 64)
    )


def to_uint8(samples: Tensor) -> Tensor:
    """Centred samples to 0..255: level shift, round half to even, clamp."""
    return torch.round(samples + 128).clamp(0, 255).to(torch.uint8)


def exact(tensor: Tensor) -> AbstractContextManager[object]:
    """Disable autocast, to keep float32 in bf16 training: bf16's eight significant bits are too few for samples."""
    kind = "cuda" if tensor.is_cuda else "cpu"
    return torch.autocast(kind, enabled=False) if torch.is_autocast_enabled(kind) else nullcontext()


class InverseDct(nn.Module):
    """Coefficients in units of their quantisation step to blocks of centred samples."""

    matrix: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("matrix", dct_matrix(), persistent=False)

    def forward(self, coefficients: Tensor, table: Tensor) -> Tensor:
        """Dequantise and transform back.

        Args:
            coefficients: `[batch, high, wide, 64]`; the stream's own are integers, restored ones are not.
            table: quantisation steps, `[batch, 64]`.

        Returns:
            `[batch, high, wide, 64]`, centred on zero.
        """
        with exact(coefficients):
            return (coefficients * table[:, None, None]) @ self.matrix


class Decode(nn.Module):
    """The plain decode: dequantisation and inverse DCT."""

    margin = 0

    def __init__(self) -> None:
        super().__init__()
        self.inverse_dct = InverseDct()

    def forward(self, *components: Tensor) -> tuple[Tensor, ...]:
        """Decode each component.

        Args:
            components: quantised coefficients `[1, high, wide, 64]` and table `[1, 64]` of each component in turn.

        Returns:
            Blocks of centred samples `[1, high, wide, 64]` for each component.
        """
        samples = []
        for coefficients, table in zip(components[::2], components[1::2], strict=True):
            # The table scales the matrix instead of each block, which saves a pass over the picture.
            with exact(coefficients):
                product = coefficients.flatten(1, 2) @ (table[:, :, None] * self.inverse_dct.matrix)
            samples.append(product.reshape(coefficients.shape))
        return tuple(samples)
