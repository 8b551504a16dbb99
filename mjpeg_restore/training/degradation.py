"""JPEG compression in torch, without entropy coding: colour conversion, subsampling, DCT, quantisation.

No codec runs in the training loop. The lossy part of a JPEG encoder (ITU-T T.81 and T.871) is four lines of linear
algebra and a rounding; entropy coding is lossless.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from mjpeg_restore.jpeg.tables import scaled_tables
from mjpeg_restore.models.decode import dct_matrix, plane_to_blocks

LIMITED = 219 / 255
"""Contrast of limited-range luma, which the published grey figures use."""
LIMITED_ODDS = 0.3
"""Probability of limited range for a grey picture. Cameras send full range, so colour pictures always have it."""

STEADY_ODDS = 2 / 3
"""Probability that the tables of a clip stay the same. Else a rate control changes them at some frames."""
MOST_STEPS = 3
"""Largest number of changes in a clip."""
STEP_SPREAD = 0.3
"""Standard deviation of the natural logarithm of the factor by which a change multiplies the tables."""

SPANS = ((2, 2), (2, 1), (1, 1), (1, 2), (4, 1))
"""Luma samples per chroma sample, (across, down): 4:2:0, 4:2:2, 4:4:4, 4:4:0, 4:1:1."""
SPAN_ODDS = (0.5, 0.25, 0.15, 0.05, 0.05)
"""Probability of each."""


@dataclass(frozen=True, slots=True)
class Compressed:
    """A batch of crops before and after quantisation, by component; grey crops have luma only."""

    quantised: list[Tensor]
    """Y, Cb, Cr: quantised coefficients, float32 with integer values, `[batch, high, wide, 64]`."""
    tables: list[Tensor]
    """Y, Cb, Cr: float32 `[batch, 64]`."""
    original: list[Tensor]
    """Y, Cb, Cr: the coefficients before quantisation, float32 `[batch, high, wide, 64]`."""
    planes: list[Tensor]
    """Y, Cb, Cr: the samples before compression, centred, `[batch, height, width]` at the component's own sampling."""
    full_chroma: list[Tensor]
    """Cb, Cr: the samples before chroma was subsampled, centred, `[batch, height, width]` at luma's size."""

    def samples(self, *, full_chroma: bool) -> list[Tensor]:
        """What a network is to restore: `planes`, or with Cb and Cr at luma's size."""
        return [self.planes[0], *self.full_chroma] if full_chroma else self.planes

    def components(self) -> list[Tensor]:
        """Quantised coefficients and table of each component in turn: a network's input."""
        return [tensor for pair in zip(self.quantised, self.tables, strict=True) for tensor in pair]


@dataclass(frozen=True, slots=True)
class CompressedClips:
    """A batch of clips, by component: what cameras sent, and the coefficients of what they would see without noise.

    The truth may lie outside the quantisation cell of what was sent: by the noise.
    """

    quantised: list[Tensor]
    """Y, Cb, Cr: quantised coefficients, float32 with integer values, `[frames, batch, high, wide, 64]`."""
    tables: list[Tensor]
    """Y, Cb, Cr: float32 `[frames, batch, 64]`."""
    original: list[Tensor]
    """Y, Cb, Cr: the coefficients of the truth, float32 `[frames, batch, high, wide, 64]`."""

    def components(self, frame: int) -> list[Tensor]:
        """Quantised coefficients and table of each component of a frame in turn: a network's input."""
        return [tensor[frame] for pair in zip(self.quantised, self.tables, strict=True) for tensor in pair]


Batch = Any
"""What a step of a training takes: `Compressed`, or `CompressedClips` where the network sees several frames."""


def centred_ycbcr(rgb: Tensor) -> Tensor:
    """Full-range BT.601 (T.871), centred: uint8 or float `[batch, h, w, 3]` to float32 `[batch, 3, h, w]`."""
    matrix = torch.tensor([[0.299, 0.587, 0.114], [-0.168735892, -0.331264108, 0.5], [0.5, -0.418687589, -0.081312411]])
    planes = (rgb.float() @ matrix.to(rgb.device).T).permute(0, 3, 1, 2)
    planes[:, 0] -= 128
    return planes


def to_ycbcr(rgb: Tensor) -> Tensor:
    """Centred YCbCr, rounded to integers as in an encoder: `[batch, h, w, 3]` to `[batch, 3, h, w]`."""
    return centred_ycbcr(rgb).round()


def compress(rgb: Tensor, tables: Tensor, span: tuple[int, int] | None, contrast: Tensor) -> Compressed:
    """Compress a batch of crops.

    Args:
        rgb: uint8 `[batch, h, w, 3]`; h and w are multiples of 8 times the span.
        tables: luma's and chroma's, float32 `[batch, 2, 64]`.
        span: luma samples per chroma sample, (across, down); None for grey.
        contrast: factor of luma, float32 `[batch]`: 1 for full range, `LIMITED` for limited range.
    """
    colours = to_ycbcr(rgb)
    full_chroma = [*colours[:, 1:].unbind(1)] if span else []
    luma = colours[:, :1] * contrast[:, None, None, None]
    planes = [plane.round() for plane in _sampled(torch.cat([luma, colours[:, 1:]], dim=1), span)]
    steps = [tables[:, 0], tables[:, 1], tables[:, 1]][: len(planes)]
    dct = dct_matrix().to(rgb.device).T
    original = [plane_to_blocks(plane) @ dct for plane in planes]
    quantised = [(c / q[:, None, None]).round() for c, q in zip(original, steps, strict=True)]
    return Compressed(quantised, steps, original, planes, full_chroma)


def compress_clips(truth: Tensor, seen: Tensor, tables: Tensor, span: tuple[int, int] | None) -> CompressedClips:
    """Compress what cameras saw, and transform the truth: it is not rounded on the way.

    Args:
        truth: without noise, uint8 or float 0..255, `[frames, batch, h, w, 3]`.
        seen: with noise, uint8, or float with integer values, `[frames, batch, h, w, 3]`; h and w are multiples of 8
            times the span.
        tables: luma's and chroma's, float32 `[frames, batch, 2, 64]`.
        span: luma samples per chroma sample, (across, down), in all clips; None for grey.
    """
    frames = seen.shape[:2]
    steps = [tables[:, :, 0], tables[:, :, 1], tables[:, :, 1]][: 3 if span else 1]
    dct = dct_matrix().to(seen.device).T
    exact = _sampled(centred_ycbcr(truth.flatten(0, 1)), span)
    original = [(plane_to_blocks(plane) @ dct).unflatten(0, frames) for plane in exact]
    sent = [plane.round() for plane in _sampled(to_ycbcr(seen.flatten(0, 1)), span)]
    coefficients = [(plane_to_blocks(plane) @ dct).unflatten(0, frames) for plane in sent]
    quantised = [(c / q[:, :, None, None]).round() for c, q in zip(coefficients, steps, strict=True)]
    return CompressedClips(quantised, steps, original)


def _sampled(colours: Tensor, span: tuple[int, int] | None) -> list[Tensor]:
    """Y, Cb, Cr at their own sampling, or Y: `[batch, 3, h, w]` to `[batch, height, width]` each."""
    if span is None:
        return [colours[:, 0]]
    across, down = span
    return [colours[:, 0], *functional.avg_pool2d(colours[:, 1:], (down, across)).unbind(1)]


def scaled(quality: int) -> NDArray[np.float32]:
    """The IJG's tables for luma and chroma at a quality: float32 `[2, 64]`, natural order."""
    return np.stack(scaled_tables(quality)).reshape(2, 64).astype(np.float32)


@dataclass(frozen=True, slots=True)
class Degradation:
    """Random compression settings of training batches."""

    qualities: tuple[int, int] | None = None
    """First and last quality of the IJG's tables, drawn uniformly; None for tables of all kinds (`draw_tables`)."""
    step: int = 1
    """Distance between qualities."""
    colour: bool = True
    """Whether to compress colour pictures, at all samplings; else luma only."""
    grey_odds: float = 0.0
    """Probability of a grey batch, for a network that restores grey and colour pictures."""

    def tables(self, batch: int, camera_tables: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
        """Draw tables for a batch: float32 `[batch, 2, 64]`."""
        if self.qualities is None:
            return draw_tables(batch, camera_tables, rng)
        first, last = self.qualities
        return np.stack([scaled(int(q)) for q in rng.choice(np.arange(first, last + 1, self.step), batch)])

    def contrast(self, batch: int, span: tuple[int, int] | None, rng: np.random.Generator) -> NDArray[np.float32]:
        """Draw the contrast of a batch with a sampling: float32 `[batch]`, 1 or `LIMITED`."""
        odds = LIMITED_ODDS if span is None else 0.0
        return np.where(rng.random(batch) < odds, LIMITED, 1.0).astype(np.float32)

    def span(self, rng: np.random.Generator) -> tuple[int, int] | None:
        """Draw a sampling for a batch; None for grey."""
        if not self.colour or rng.random() < self.grey_odds:
            return None
        return SPANS[rng.choice(len(SPANS), p=SPAN_ODDS)]


def draw_tables(batch: int, camera_tables: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Draw quantisation tables like those of cameras: float32 `[batch, 2, 64]`, natural order, integers 1..255.

    Four in five are the IJG's at a quality of 5 to 98, mostly at most 60. The others are real cameras' tables or the
    IJG's, with a random tilt towards low or high frequencies and random noise.

    Args:
        batch: number of pairs.
        camera_tables: pairs of tables found in real files, float32 `[n, 2, 64]`; n may be 0.
        rng: draws them.
    """
    tables = np.empty((batch, 2, 64), np.float32)
    frequency = np.add.outer(np.arange(8), np.arange(8)).reshape(64) / 14
    for item in tables:
        quality = int(rng.integers(5, 61) if rng.random() < 0.75 else rng.integers(61, 99))
        item[:] = scaled(quality)
        kind = rng.random()
        if kind < 0.8:
            continue
        if kind < 0.9 and len(camera_tables):
            item[:] = camera_tables[rng.integers(len(camera_tables))] * np.exp(rng.normal(0, 0.3))
        tilt = np.exp(rng.normal(0, 0.4) * (frequency - 0.3))
        rough = np.exp(rng.normal(0, 0.12 * rng.random(), (2, 64)))
        item[:] = np.clip(np.round(item * tilt * rough), 1, 255)
    return tables


def draw_clip_tables(
    frames: int, batch: int, camera_tables: NDArray[np.float32], rng: np.random.Generator
) -> NDArray[np.float32]:
    """Draw the tables of clips: float32 `[frames, batch, 2, 64]`, natural order, integers 1..255.

    Most clips keep theirs; in others, a rate control makes them coarser or finer from one or several frames on.

    Args:
        frames: of a clip.
        batch: number of clips.
        camera_tables: pairs of tables found in real files, float32 `[n, 2, 64]`; n may be 0.
        rng: draws them.
    """
    steps = np.zeros((frames, batch))
    for clip in np.flatnonzero(rng.random(batch) >= STEADY_ODDS):
        moments = rng.integers(1, max(frames, 2), rng.integers(1, MOST_STEPS + 1)) % frames
        np.add.at(steps[:, clip], moments, rng.normal(0, STEP_SPREAD, len(moments)))
    factors = np.exp(steps.cumsum(axis=0))[..., None, None]
    tables = draw_tables(batch, camera_tables, rng) * factors
    return np.clip(np.rint(tables), 1, 255).astype(np.float32)
