"""JPEG compression in torch, without entropy coding: colour conversion, subsampling, DCT, quantisation.

No codec runs in the training loop. The lossy part of a JPEG encoder (ITU-T T.81 and T.871) is four lines of linear
algebra and a rounding; entropy coding is lossless.
"""

from __future__ import annotations

from dataclasses import dataclass

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


def to_ycbcr(rgb: Tensor) -> Tensor:
    """Full-range BT.601 (T.871), rounded to integers and centred: uint8 `[batch, h, w, 3]` to `[batch, 3, h, w]`."""
    matrix = torch.tensor([[0.299, 0.587, 0.114], [-0.168735892, -0.331264108, 0.5], [0.5, -0.418687589, -0.081312411]])
    planes = (rgb.float() @ matrix.to(rgb.device).T).permute(0, 3, 1, 2).round()
    planes[:, 0] -= 128
    return planes


def compress(rgb: Tensor, tables: Tensor, span: tuple[int, int] | None, contrast: Tensor) -> Compressed:
    """Compress a batch of crops.

    Args:
        rgb: uint8 `[batch, h, w, 3]`; h and w are multiples of 8 times the span.
        tables: luma's and chroma's, float32 `[batch, 2, 64]`.
        span: luma samples per chroma sample, (across, down); None for grey.
        contrast: factor of luma, float32 `[batch]`: 1 for full range, `LIMITED` for limited range.
    """
    colours = to_ycbcr(rgb)
    planes = [(colours[:, 0] * contrast[:, None, None]).round()]
    steps = [tables[:, 0]]
    full_chroma: list[Tensor] = []
    if span:
        across, down = span
        full_chroma += colours[:, 1:].unbind(1)
        planes += functional.avg_pool2d(colours[:, 1:], (down, across)).round().unbind(1)
        steps += [tables[:, 1], tables[:, 1]]
    dct = dct_matrix().to(rgb.device).T
    original = [plane_to_blocks(plane) @ dct for plane in planes]
    quantised = [(c / q[:, None, None]).round() for c, q in zip(original, steps, strict=True)]
    return Compressed(quantised, steps, original, planes, full_chroma)


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
