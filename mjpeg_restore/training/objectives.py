"""What is minimised: a network and what an encoder made of a batch, to a scalar.

The DCT is orthonormal, so a squared error of coefficients is one of pixels (Parseval). The papers' losses are taken on
planes of samples, each component at its own sampling, in units of the full range (0..1).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor, nn
from torch.nn import functional

from mjpeg_restore.models.decode import blocks_to_plane, dct_matrix, exact, plane_to_blocks
from mjpeg_restore.models.papers.l4_l8 import sobel
from mjpeg_restore.training.degradation import Compressed

Objective = Callable[[nn.Module, Compressed], Tensor]

PlaneLoss = Callable[[list[Tensor], list[Tensor]], Tensor]
"""Restored and original planes, `[batch, height, width]` of each component, 0..1, to a scalar."""

CHROMA_WEIGHT = 0.25
"""Weight of Cb and of Cr beside luma: about their share in the error of an RGB picture at 4:2:0."""

SQUARED_SHARES = (1.0, 1.086, 0.825)
"""Of Y, Cb and Cr in the squared error of an RGB picture, by their mean squared errors and T.871's factors, whatever
chroma's sampling: (0.344^2 + 1.772^2) / 3 for Cb."""

ABSOLUTE_SHARES = (1.0, 0.705, 0.705)
"""The same of absolute errors: (0.344 + 1.772) / 3 for Cb."""

FLOOR = 0.05
"""Added to each mean squared error, in squared grey levels, so that a flat crop's gradient stays finite."""

SSIM_WEIGHT = 0.05
"""Lambda of QGAC's equation 1 (Ehrlich et al. 2020, section 4.1)."""


def root_mean_square(network: nn.Module, coded: Compressed) -> Tensor:
    """Root mean squared error of each crop and component, averaged over the batch, weighted over the components.

    The root keeps coarse tables from drowning fine ones, as a mean over pictures in dB does; the error itself (L2)
    would see little but Q5, its logarithm (PSNR itself) little but flat crops. Measured on coefficients: the network's
    `restore` gives them dequantised.
    """
    restored = network.restore(*coded.components())  # pyright: ignore[reportCallIssue]
    total = restored[0].new_zeros(())
    for component, (found, truth) in enumerate(zip(restored, coded.original, strict=True)):
        error = torch.mean((found - truth) ** 2, dim=(1, 2, 3))
        total = total + (1.0 if component == 0 else CHROMA_WEIGHT) * torch.sqrt(error + FLOOR).mean()
    return total


def planes(network: nn.Module, coded: Compressed, *inputs: Tensor) -> tuple[list[Tensor], list[Tensor]]:
    """What a network makes of a batch, and the originals: `[batch, height, width]` of each component, 0..1.

    Args:
        network: under the contract.
        coded: the batch.
        inputs: what the network takes besides, noise for one.
    """
    restored = network(*coded.components(), *inputs)
    return (
        [(blocks_to_plane(samples) + 128) / 255 for samples in restored],
        [(plane + 128) / 255 for plane in coded.planes],
    )


def coefficients(parts: list[Tensor]) -> list[Tensor]:
    """DCT coefficients, dequantised, `[batch, high, wide, 64]`, of planes `[batch, height, width]` of 0..1."""
    blocks = [plane_to_blocks(plane * 255 - 128) for plane in parts]
    with exact(blocks[0]):
        return [part @ _transform(part.device) for part in blocks]


@cache
def _transform(device: torch.device) -> Tensor:
    """The transposed DCT matrix on a device; kept there, for a step that is captured copies nothing from the host."""
    return dct_matrix().to(device).T


@dataclass(frozen=True, slots=True)
class OnPlanes:
    """An objective that is a loss of restored planes."""

    loss: PlaneLoss
    chroma_alone: bool = False
    """Luma is none of its business: for a stage that leaves luma as it is."""

    def __str__(self) -> str:
        return self.loss.__name__ + (" of chroma" if self.chroma_alone else "")

    def __call__(self, network: nn.Module, coded: Compressed) -> Tensor:
        """Measure."""
        restored, original = planes(network, coded)
        first = 1 if self.chroma_alone else 0
        return self.loss(restored[first:], original[first:])


@dataclass(frozen=True, slots=True)
class OnTiles:
    """An objective that is a loss of a tile of each crop, restored with the context of the whole crop.

    As a runtime restores a large picture: a network whose context is cheap sees several times as many pictures, each
    nearly whole, for the same arithmetic.
    """

    loss: PlaneLoss
    side: int
    """Of a tile, in blocks of luma; a multiple of every span."""

    def __str__(self) -> str:
        return f"{self.loss.__name__} of tiles of {8 * self.side}x{8 * self.side}"

    def __call__(self, network: nn.Module, coded: Compressed) -> Tensor:
        """Measure a tile, at the same random place of all crops."""
        context = network.context(*coded.components())  # pyright: ignore[reportCallIssue]
        grids = [part.shape[1:3] for part in coded.quantised]
        spans = [[luma // own for luma, own in zip(grids[0], grid, strict=True)] for grid in grids]
        # The place is drawn on the device, for a step that is captured reads nothing from the host.
        device = context.device
        places = [
            torch.randint((length * span - self.side) // span + 1, (), device=device)
            for length, span in zip(grids[-1], spans[-1], strict=True)
        ]
        inputs: list[Tensor] = []
        truth: list[Tensor] = []
        for blocks, table, plane, (down, across) in zip(
            coded.quantised, coded.tables, coded.planes, spans, strict=True
        ):
            rows, columns = (
                place * (last // own) + torch.arange(self.side // own, device=device)
                for place, last, own in zip(places, spans[-1], (down, across), strict=True)
            )
            inputs += [blocks[:, rows[:, None], columns], table]
            truth.append(plane_to_blocks(plane)[:, rows[:, None], columns])
        restored = network.restore_with(context, *inputs)  # pyright: ignore[reportCallIssue]
        return self.loss(
            [(blocks_to_plane(part) + 128) / 255 for part in restored],
            [(blocks_to_plane(part) + 128) / 255 for part in truth],
        )


def squared_error(restored: list[Tensor], original: list[Tensor]) -> Tensor:
    """Mean squared error of a sample (Svoboda et al. 2016, equation 2; HR-CNN, equation 9), of a colour picture's R, G
    and B."""
    return _mean([(a - b) ** 2 for a, b in zip(restored, original, strict=True)], SQUARED_SHARES)


def edge_preserving(restored: list[Tensor], original: list[Tensor]) -> Tensor:
    """Mean squared error of samples and of their Sobel derivatives (Svoboda et al. 2016, equations 2 and 3)."""
    edges = [(sobel(a[:, None]) - sobel(b[:, None])) ** 2 for a, b in zip(restored, original, strict=True)]
    return squared_error(restored, original) + _mean(edges, SQUARED_SHARES)


def absolute_error(restored: list[Tensor], original: list[Tensor]) -> Tensor:
    """Mean absolute error of a sample (QGCN, equation 6), of a colour picture's R, G and B, about."""
    return _mean([(a - b).abs() for a, b in zip(restored, original, strict=True)], ABSOLUTE_SHARES)


def coarse_error(restored: list[Tensor], original: list[Tensor]) -> Tensor:
    """Mean absolute error of means over 5x5 samples; in no paper.

    Texture that is not the original's costs little here; blocks, which are steps between flat parts, cost much.
    """
    return _mean([window_mean(a - b, 5).abs() for a, b in zip(restored, original, strict=True)], ABSOLUTE_SHARES)


def constant_error(network: nn.Module, coded: Compressed) -> Tensor:
    """Mean absolute error of a sample of what a network makes of a constant, each luma's own mean; in no paper.

    Zero where no pattern is drawn in a block without detail.
    """
    luma, table = coded.quantised[0], coded.tables[0]
    constant = torch.zeros_like(luma)
    constant[..., 0] = luma[..., 0].mean(dim=(1, 2), keepdim=True).round()
    samples = network(constant, table)[0]
    return (samples - constant[..., :1] * table[:, None, None, :1] / 8).abs().mean() / 255


def error_less_similarity(restored: list[Tensor], original: list[Tensor]) -> Tensor:
    """Mean absolute error less 0.05 times the structural similarity (QGAC, equation 1)."""
    similarity = [structural_similarity(a, b) for a, b in zip(restored, original, strict=True)]
    return absolute_error(restored, original) - SSIM_WEIGHT * torch.stack(similarity).mean()


def structural_similarity(a: Tensor, b: Tensor) -> Tensor:
    """SSIM (Wang et al. 2004) of planes 0..1 with a uniform window, as `metrics.ssim` measures it, differentiable."""
    c1, c2 = 0.01**2, 0.03**2
    mean_a, mean_b, aa, bb, ab = (window_mean(part, 8) for part in (a, b, a * a, b * b, a * b))
    luminance = (2 * mean_a * mean_b + c1) / (mean_a**2 + mean_b**2 + c1)
    structure = (2 * (ab - mean_a * mean_b) + c2) / (aa - mean_a**2 + bb - mean_b**2 + c2)
    return (luminance * structure).mean()


def window_mean(plane: Tensor, side: int) -> Tensor:
    """Means over each window within planes `[batch, height, width]`: `[batch, 1, height - side + 1, ...]`."""
    return functional.avg_pool2d(plane[:, None], side, stride=1)


def _mean(parts: list[Tensor], shares: tuple[float, ...]) -> Tensor:
    """Mean of Y, of Y, Cb and Cr, or of Cb and Cr alone, by their shares; each one's own is over all its samples."""
    weights = shares[1:] if len(parts) == 2 else shares[: len(parts)]
    weighted = [weight * part.mean() for weight, part in zip(weights, parts, strict=True)]
    return torch.stack(weighted).sum() / sum(weights)


def jpeg_loss(restored: Tensor, quantised: Tensor, table: Tensor) -> Tensor:
    """One-to-Many eq. 6: how far coefficients lie outside the range that eq. 5 gives them, squared, on average.

    The range is the quantisation cell, from (k - 1/2) q to (k + 1/2) q; inside it nothing is lost. A truncated
    loss, the text says, over the size of the picture; the square of the distance is ours, in squared grey levels, as a
    squared error of pixels is (Parseval).

    Args:
        restored: dequantised DCT coefficients of the restored picture, `[batch, high, wide, 64]`.
        quantised: those of the JPEG, `[batch, high, wide, 64]`.
        table: `[batch, 64]`.
    """
    steps = table[:, None, None]
    outside = functional.relu((restored - quantised * steps).abs() - steps / 2)
    return outside.square().mean()
