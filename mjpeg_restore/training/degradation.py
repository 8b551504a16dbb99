"""JPEG compression as far as coefficients go, in torch: colour conversion, subsampling, DCT, quantisation.

No codec runs in the training loop. What a JPEG encoder does to a picture (ITU-T T.81 and T.871) is four lines of
linear algebra and one rounding; entropy coding changes nothing.
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
"""Contrast of limited-range luma: the published grey figures are made of it."""
LIMITED_ODDS = 0.3
"""Of a grey picture. Full range is what cameras send: all colour pictures, and most of what is trained on."""

SPANS = ((2, 2), (2, 1), (1, 1), (1, 2), (4, 1))
"""Luma samples that one chroma sample spans, (across, down): 4:2:0, 4:2:2, 4:4:4, 4:4:0, 4:1:1."""
SPAN_ODDS = (0.5, 0.25, 0.15, 0.05, 0.05)


@dataclass(frozen=True, slots=True)
class Compressed:
    """What an encoder kept of a batch of crops, and what it threw away; of grey crops luma alone, in lists of one."""

    quantised: list[Tensor]
    """Y, Cb, Cr: quantised coefficients, float32 with integer values, `[batch, high, wide, 64]`."""
    tables: list[Tensor]
    """Y, Cb, Cr: float32 `[batch, 64]`."""
    original: list[Tensor]
    """Y, Cb, Cr: the coefficients before quantisation, float32 `[batch, high, wide, 64]`."""
    planes: list[Tensor]
    """Y, Cb, Cr: the samples before compression, centred, `[batch, height, width]` at the component's own sampling."""

    def components(self) -> list[Tensor]:
        """Coefficients and table of each component in turn, as a network takes them."""
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
        rgb: uint8 `[batch, h, w, 3]`, h and w multiples of 8 times the span.
        tables: float32 `[batch, 2, 64]`: luma's and chroma's.
        span: luma samples to one chroma sample, (across, down); None for grey.
        contrast: float32 `[batch]`, 1 for full range; `LIMITED` makes luma limited-range.
    """
    colours = to_ycbcr(rgb)
    planes = [(colours[:, 0] * contrast[:, None, None]).round()]
    steps = [tables[:, 0]]
    if span:
        across, down = span
        planes += functional.avg_pool2d(colours[:, 1:], (down, across)).round().unbind(1)
        steps += [tables[:, 1], tables[:, 1]]
    dct = dct_matrix().to(rgb.device).T
    original = [plane_to_blocks(plane) @ dct for plane in planes]
    quantised = [(c / q[:, None, None]).round() for c, q in zip(original, steps, strict=True)]
    return Compressed(quantised, steps, original, planes)


def scaled(quality: int) -> NDArray[np.float32]:
    """The IJG's tables at a quality: float32 `[2, 64]`, luma's and chroma's, natural order."""
    return np.stack(scaled_tables(quality)).reshape(2, 64).astype(np.float32)


@dataclass(frozen=True, slots=True)
class Degradation:
    """What pictures are compressed with in training."""

    qualities: tuple[int, int] | None = None
    """Qualities of the IJG's tables, first and last, all equally likely; None for tables of all kinds, real cameras'
    among them, as `draw_tables` has them."""
    step: int = 1
    """Between the qualities."""
    colour: bool = True
    """Colour pictures of all samplings, or luma alone."""
    grey_odds: float = 0.0
    """Of a grey batch among those in colour, for a network that restores both."""

    def tables(self, batch: int, camera_tables: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
        """Tables for a batch: float32 `[batch, 2, 64]`."""
        if self.qualities is None:
            return draw_tables(batch, camera_tables, rng)
        first, last = self.qualities
        return np.stack([scaled(int(q)) for q in rng.choice(np.arange(first, last + 1, self.step), batch)])

    def contrast(self, batch: int, span: tuple[int, int] | None, rng: np.random.Generator) -> NDArray[np.float32]:
        """What luma's contrast is multiplied by, for a batch of a sampling: float32 `[batch]`, 1 or `LIMITED`."""
        odds = LIMITED_ODDS if span is None else 0.0
        return np.where(rng.random(batch) < odds, LIMITED, 1.0).astype(np.float32)

    def span(self, rng: np.random.Generator) -> tuple[int, int] | None:
        """A sampling for a batch; None for grey."""
        if not self.colour or rng.random() < self.grey_odds:
            return None
        return SPANS[rng.choice(len(SPANS), p=SPAN_ODDS)]


def draw_tables(batch: int, camera_tables: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Quantisation tables as cameras have them: float32 `[batch, 2, 64]`, natural order, integers 1..255.

    Four in five are the IJG's at a quality of 5 to 98, 60 or less for most; the others real cameras' tables or the
    IJG's, tilted towards low or high frequencies and roughened at random.

    Args:
        camera_tables: float32 `[n, 2, 64]`, pairs of tables found in real files; n may be 0.
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
