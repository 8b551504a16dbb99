"""Objectives: functions of a network and a compressed batch that return the loss, a scalar.

The DCT is orthonormal, so a squared error of coefficients equals one of pixels (Parseval). The papers' losses are
computed on planes of samples, in units of the full range (0..1): each component at its own sampling, or chroma at
luma's size, if that is how the network restores it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor, nn
from torch.nn import functional

from mjpeg_restore.models.decode import blocks_to_plane, dct_matrix, exact, plane_to_blocks
from mjpeg_restore.models.papers.l4_l8 import sobel
from mjpeg_restore.models.planes import has_full_chroma
from mjpeg_restore.models.stream_video import State, StreamVideo
from mjpeg_restore.training.degradation import Batch, Compressed, CompressedClips

Objective = Callable[[nn.Module, Batch], Tensor]
"""The loss of a network on a batch: `Compressed`, or `CompressedClips` for a network that sees several frames."""

PlaneLoss = Callable[[list[Tensor], list[Tensor]], Tensor]
"""A loss of restored and original planes, `[batch, height, width]` of each component, 0..1; returns a scalar."""

CHROMA_WEIGHT = 0.25
"""Weight of Cb and of Cr relative to luma: about their share in the error of an RGB picture at 4:2:0."""

SQUARED_SHARES = (1.0, 1.086, 0.825)
"""Weights of the mean squared errors of Y, Cb and Cr in that of an RGB picture, at any chroma sampling. They follow
from T.871's factors: (0.344^2 + 1.772^2) / 3 for Cb."""

ABSOLUTE_SHARES = (1.0, 0.705, 0.705)
"""The same for mean absolute errors: (0.344 + 1.772) / 3 for Cb."""

FLOOR = 0.05
"""Added to each mean squared error, in squared grey levels, so that a flat crop's gradient stays finite."""

MOMENTS = (0, 2, 5, 13)
"""Frames of a clip that are restored in training; the others only enter the state."""

HARM = 4.0
"""Weight of what the past makes worse, in the loss of a network that sees several frames."""

SSIM_WEIGHT = 0.05
"""Lambda of QGAC's equation 1 (Ehrlich et al. 2020, section 4.1)."""


def root_mean_square(network: nn.Module, coded: Compressed) -> Tensor:
    """Root mean squared error of each crop and component, averaged over the batch, weighted over the components.

    The root keeps coarse tables from dominating fine ones, as does a mean of dB over pictures: the squared error itself
    (L2) would depend on little but Q5, its logarithm (PSNR) on little but flat crops. The error is computed on the
    dequantised coefficients that the network's `restore` returns.
    """
    restored = network.restore(*coded.components())  # pyright: ignore[reportCallIssue]
    total = restored[0].new_zeros(())
    for component, (found, truth) in enumerate(zip(restored, coded.original, strict=True)):
        error = torch.mean((found - truth) ** 2, dim=(1, 2, 3))
        total = total + (1.0 if component == 0 else CHROMA_WEIGHT) * torch.sqrt(error + FLOOR).mean()
    return total


def over_frames(network: nn.Module, clips: CompressedClips) -> Tensor:
    """The mean of `root_mean_square` over the frames at `MOMENTS` of clips, each restored with those before it."""
    terms = [_roots(_errors(clips, frame, restored)) for frame, restored in _at_moments(network, clips)]
    return torch.stack(terms).mean()


def over_frames_without_harm(network: nn.Module, clips: CompressedClips) -> Tensor:
    """`over_frames`, and `HARM` times by how much the past makes frames worse, where it does.

    A mean forgives a few blocks that the past makes worse, as many others become better. Whoever looks at what moves
    does not. What is compared are roots of mean errors of 3x3 blocks: in a single block either one is larger by chance.
    """
    assert isinstance(network, StreamVideo)
    terms: list[Tensor] = []
    for frame, restored in _at_moments(network, clips):
        errors = _errors(clips, frame, restored)
        with torch.no_grad():
            alone = _errors(clips, frame, network.place(*clips.components(frame)))
        harm = [functional.relu(_nearby(a) - _nearby(b)).mean() for a, b in zip(errors, alone, strict=True)]
        terms.append(_roots(errors) + HARM * _weighted(harm))
    return torch.stack(terms).mean()


def _at_moments(network: nn.Module, clips: CompressedClips) -> Iterator[tuple[int, list[Tensor]]]:
    """The frames at `MOMENTS` of clips: number, and what is restored with those before it, in steps."""
    assert isinstance(network, StreamVideo)
    states = [State.empty(k[0]) for k in clips.quantised]
    last = len(clips.quantised[0]) - 1
    moments = {min(moment, last) for moment in MOMENTS}
    for frame in range(last + 1):
        components = clips.components(frame)
        states, shares, lefts = network.remember(states, *components)
        if frame in moments:
            yield frame, network.restore_from(states, shares, lefts, *components)


def _errors(clips: CompressedClips, frame: int, restored: list[Tensor]) -> list[Tensor]:
    """The mean squared error of each block of a frame, `[batch, high, wide]`, of each component."""
    with exact(restored[0]):
        return [
            torch.mean((place * q[frame][:, None, None] - truth[frame]) ** 2, dim=3)
            for place, q, truth in zip(restored, clips.tables, clips.original, strict=True)
        ]


def _roots(errors: list[Tensor]) -> Tensor:
    """`root_mean_square` by the components' errors, `[batch, high, wide]` each."""
    return _weighted([torch.sqrt(error.mean(dim=(1, 2)) + FLOOR).mean() for error in errors])


def _nearby(errors: Tensor) -> Tensor:
    """Roots of the means over 3x3 blocks of errors `[batch, high, wide]`."""
    return torch.sqrt(functional.avg_pool2d(errors[:, None], 3, stride=1) + FLOOR)


def _weighted(components: list[Tensor]) -> Tensor:
    """The sum over the components of a loss, luma's first."""
    return torch.stack([(1.0 if index == 0 else CHROMA_WEIGHT) * one for index, one in enumerate(components)]).sum()


def planes(network: nn.Module, coded: Compressed, *inputs: Tensor) -> tuple[list[Tensor], list[Tensor]]:
    """Restored and original planes of a batch: `[batch, height, width]` of each component, 0..1.

    Args:
        network: under the contract of `models/graph.py`.
        coded: the batch.
        inputs: further inputs of the network, such as noise.
    """
    restored = network(*coded.components(), *inputs)
    original = coded.samples(full_chroma=has_full_chroma(restored))
    return (
        [(blocks_to_plane(samples) + 128) / 255 for samples in restored],
        [(plane + 128) / 255 for plane in original],
    )


def coefficients(parts: list[Tensor]) -> list[Tensor]:
    """Dequantised DCT coefficients `[batch, high, wide, 64]` of planes `[batch, height, width]`, 0..1."""
    blocks = [plane_to_blocks(plane * 255 - 128) for plane in parts]
    with exact(blocks[0]):
        return [part @ _transform(part.device) for part in blocks]


@cache
def _transform(device: torch.device) -> Tensor:
    """The transposed DCT matrix on a device; cached, as a captured step cannot copy it from the host."""
    return dct_matrix().to(device).T


@dataclass(frozen=True, slots=True)
class OnPlanes:
    """A loss of restored planes as an objective."""

    loss: PlaneLoss
    chroma_alone: bool = False
    """Whether luma is left out, for a stage that does not train its restoration."""

    def __str__(self) -> str:
        return self.loss.__name__ + (" of chroma" if self.chroma_alone else "")

    def __call__(self, network: nn.Module, coded: Compressed) -> Tensor:
        """Compute the loss."""
        restored, original = planes(network, coded)
        first = 1 if self.chroma_alone else 0
        return self.loss(restored[first:], original[first:])


def squared_error(restored: list[Tensor], original: list[Tensor]) -> Tensor:
    """Mean squared error of a sample (Svoboda et al. 2016, equation 2; HR-CNN, equation 9), in colour of R, G and B."""
    return _mean([(a - b) ** 2 for a, b in zip(restored, original, strict=True)], SQUARED_SHARES)


def edge_preserving(restored: list[Tensor], original: list[Tensor]) -> Tensor:
    """Mean squared error of samples and of their Sobel derivatives (Svoboda et al. 2016, equations 2 and 3)."""
    edges = [(sobel(a[:, None]) - sobel(b[:, None])) ** 2 for a, b in zip(restored, original, strict=True)]
    return squared_error(restored, original) + _mean(edges, SQUARED_SHARES)


def absolute_error(restored: list[Tensor], original: list[Tensor]) -> Tensor:
    """Mean absolute error of a sample (QGCN, equation 6); in colour, about that of R, G and B."""
    return _mean([(a - b).abs() for a, b in zip(restored, original, strict=True)], ABSOLUTE_SHARES)


def coarse_error(restored: list[Tensor], original: list[Tensor]) -> Tensor:
    """Mean absolute error of 5x5 window means; in no paper.

    Texture that differs from the original's costs little here, blocking much: blocks are steps between flat areas.
    """
    return _mean([window_mean(a - b, 5).abs() for a, b in zip(restored, original, strict=True)], ABSOLUTE_SHARES)


def constant_error(network: nn.Module, coded: Compressed) -> Tensor:
    """Mean absolute error of a network's response to constant luma, each crop's own mean; in no paper.

    It is zero if the network adds no pattern to a block without detail.
    """
    luma, table = coded.quantised[0], coded.tables[0]
    constant = torch.zeros_like(luma)
    constant[..., 0] = luma[..., 0].mean(dim=(1, 2), keepdim=True).round()
    samples = network(constant, table)[0]
    return (samples - constant[..., :1] * table[:, None, None, :1] / 8).abs().mean() / 255


def error_less_similarity(restored: list[Tensor], original: list[Tensor]) -> Tensor:
    """Mean absolute error minus 0.05 times the structural similarity (QGAC, equation 1)."""
    similarity = [structural_similarity(a, b) for a, b in zip(restored, original, strict=True)]
    return absolute_error(restored, original) - SSIM_WEIGHT * torch.stack(similarity).mean()


def structural_similarity(a: Tensor, b: Tensor) -> Tensor:
    """Differentiable SSIM (Wang et al. 2004) of planes, 0..1, with a uniform 8x8 window."""
    c1, c2 = 0.01**2, 0.03**2
    mean_a, mean_b, aa, bb, ab = (window_mean(part, 8) for part in (a, b, a * a, b * b, a * b))
    luminance = (2 * mean_a * mean_b + c1) / (mean_a**2 + mean_b**2 + c1)
    structure = (2 * (ab - mean_a * mean_b) + c2) / (aa - mean_a**2 + bb - mean_b**2 + c2)
    return (luminance * structure).mean()


def window_mean(plane: Tensor, side: int) -> Tensor:
    """Means over all windows within planes `[batch, height, width]`: `[batch, 1, height - side + 1, ...]`."""
    return functional.avg_pool2d(plane[:, None], side, stride=1)


def _mean(parts: list[Tensor], shares: tuple[float, ...]) -> Tensor:
    """Weighted mean of the components' means. The components are Y; Y, Cb and Cr; or Cb and Cr."""
    weights = shares[1:] if len(parts) == 2 else shares[: len(parts)]
    weighted = [weight * part.mean() for weight, part in zip(weights, parts, strict=True)]
    return torch.stack(weighted).sum() / sum(weights)


def jpeg_loss(restored: Tensor, quantised: Tensor, table: Tensor) -> Tensor:
    """One-to-Many eq. 6: mean squared distance of coefficients from the range of eq. 5.

    The range is the quantisation cell, from (k - 1/2) q to (k + 1/2) q; inside it the loss is zero. The paper has a
    truncated loss, divided by the size of the picture. The square is ours: it is in squared grey levels, like a squared
    error of pixels (Parseval).

    Args:
        restored: dequantised DCT coefficients of the restored picture, `[batch, high, wide, 64]`.
        quantised: quantised coefficients of the JPEG, `[batch, high, wide, 64]`.
        table: `[batch, 64]`.
    """
    steps = table[:, None, None]
    outside = functional.relu((restored - quantised * steps).abs() - steps / 2)
    return outside.square().mean()
