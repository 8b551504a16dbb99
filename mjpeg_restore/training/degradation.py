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

SPANS = ((2, 2), (2, 1), (1, 1), (1, 2), (4, 1))
"""Luma samples that one chroma sample spans, (across, down): 4:2:0, 4:2:2, 4:4:4, 4:4:0, 4:1:1."""
SPAN_ODDS = (0.5, 0.25, 0.15, 0.05, 0.05)


@dataclass(frozen=True, slots=True)
class Compressed:
    """What an encoder kept of a batch of crops, and what it threw away."""

    quantised: list[Tensor]
    """Y, Cb, Cr: quantised coefficients, float32 with integer values, `[batch, high, wide, 64]`."""
    tables: list[Tensor]
    """Y, Cb, Cr: float32 `[batch, 64]`."""
    original: list[Tensor]
    """Y, Cb, Cr: the coefficients before quantisation, float32 `[batch, high, wide, 64]`."""

    def components(self) -> list[Tensor]:
        """Coefficients and table of each component in turn, as a network takes them."""
        return [tensor for pair in zip(self.quantised, self.tables, strict=True) for tensor in pair]


def to_ycbcr(rgb: Tensor) -> Tensor:
    """Full-range BT.601 (T.871), rounded to integers and centred: uint8 `[batch, h, w, 3]` to `[batch, 3, h, w]`."""
    matrix = torch.tensor([[0.299, 0.587, 0.114], [-0.168735892, -0.331264108, 0.5], [0.5, -0.418687589, -0.081312411]])
    planes = (rgb.float() @ matrix.to(rgb.device).T).permute(0, 3, 1, 2).round()
    planes[:, 0] -= 128
    return planes


def compress(rgb: Tensor, tables: Tensor, span: tuple[int, int], contrast: Tensor) -> Compressed:
    """Compress a batch of crops.

    Args:
        rgb: uint8 `[batch, h, w, 3]`, h and w multiples of 8 times the span.
        tables: float32 `[batch, 2, 64]`: luma's and chroma's.
        span: luma samples to one chroma sample, (across, down).
        contrast: float32 `[batch]`, 1 for full range; 219 / 255 makes luma limited-range, as the published grey
            figures have it.
    """
    planes = to_ycbcr(rgb)
    luma = (planes[:, 0] * contrast[:, None, None]).round()
    across, down = span
    chroma = functional.avg_pool2d(planes[:, 1:], (down, across)).round()
    dct = dct_matrix().to(rgb.device).T
    original = [plane_to_blocks(plane) @ dct for plane in (luma, chroma[:, 0], chroma[:, 1])]
    steps = [tables[:, 0], tables[:, 1], tables[:, 1]]
    quantised = [(c / q[:, None, None]).round() for c, q in zip(original, steps, strict=True)]
    return Compressed(quantised, steps, original)


def draw_tables(batch: int, camera_tables: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Quantisation tables as cameras have them: float32 `[batch, 2, 64]`, natural order, integers 1..255.

    Three in five are the IJG's at a quality of 5 to 98; the others real cameras' tables or the IJG's, tilted
    towards low or high frequencies and roughened at random.

    Args:
        camera_tables: float32 `[n, 2, 64]`, pairs of tables found in real files; n may be 0.
    """
    tables = np.empty((batch, 2, 64), np.float32)
    frequency = np.add.outer(np.arange(8), np.arange(8)).reshape(64) / 14
    for item in tables:
        quality = int(rng.integers(5, 61) if rng.random() < 0.65 else rng.integers(61, 99))
        item[:] = np.stack(scaled_tables(quality)).reshape(2, 64)
        kind = rng.random()
        if kind < 0.6:
            continue
        if kind < 0.8 and len(camera_tables):
            item[:] = camera_tables[rng.integers(len(camera_tables))] * np.exp(rng.normal(0, 0.3))
        tilt = np.exp(rng.normal(0, 0.4) * (frequency - 0.3))
        rough = np.exp(rng.normal(0, 0.12 * rng.random(), (2, 64)))
        item[:] = np.clip(np.round(item * tilt * rough), 1, 255)
    return tables
