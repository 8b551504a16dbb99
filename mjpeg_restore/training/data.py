"""Training pictures in memory, random crops of them, and cameras' quantisation tables."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from mjpeg_restore.errors import SourceNotFound
from mjpeg_restore.training.degradation import Compressed, Degradation, compress

PICTURE_SUFFIXES = {".png", ".webp", ".bmp", ".tif", ".tiff", ".ppm"}
"""Lossless formats only: a picture that was a JPEG would teach its own artefacts."""

JPEG_SUFFIXES = {".jpg", ".jpeg", ".mjpg", ".mjpeg"}


def picture_files(folder: Path) -> list[Path]:
    """All lossless pictures below a folder, sorted.

    Raises:
        SourceNotFound: there are none.
    """
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in PICTURE_SUFFIXES)
    if not files:
        raise SourceNotFound(f"{folder}: no lossless pictures ({', '.join(sorted(PICTURE_SUFFIXES))}) there")
    return files


def with_halves(pictures: Iterable[NDArray[np.uint8]]) -> list[NDArray[np.uint8]]:
    """The pictures, and each of them at half the size: sharper, with more detail per block, like the test sets."""
    found: list[NDArray[np.uint8]] = []
    for picture in pictures:
        found += [picture, np.asarray(Image.fromarray(picture).reduce(2))]
    return found


class Crops:
    """An endless stream of random crops, randomly flipped and transposed, of pictures in the memory of a device."""

    def __init__(
        self, pictures: Iterable[NDArray[np.uint8]], side: int, rng: np.random.Generator, device: torch.device
    ) -> None:
        """Load the pictures that are at least as large as a crop.

        Args:
            pictures: RGB, uint8 `[height, width, 3]`.
            side: of a crop, in pixels.
            rng: draws pictures, positions and orientations.
            device: that holds the pictures and the crops.

        Raises:
            SourceNotFound: no picture is large enough.
        """
        large = [picture for picture in pictures if min(picture.shape[:2]) >= side]
        if not large:
            raise SourceNotFound(f"not one picture of {side} by {side} pixels or more to take crops from")
        heights, widths = np.array([picture.shape[:2] for picture in large]).T
        ends = np.cumsum(heights * widths)
        # One tensor, so that a batch is a single gather, whatever pictures it comes from.
        self.pixels = torch.from_numpy(np.concatenate([picture.reshape(-1, 3) for picture in large])).to(device)
        self.sizes = np.stack([heights, widths], axis=1)
        self.starts = ends - heights * widths
        odds = np.sqrt(heights * widths)
        self.odds = odds / odds.sum()
        self.side = side
        self.rng = rng

    def __len__(self) -> int:
        """Number of pictures that crops are taken from."""
        return len(self.sizes)

    def compressed(self, size: int, degradation: Degradation, camera_tables: NDArray[np.float32]) -> Compressed:
        """The next `size` crops, compressed as `degradation` draws it; `camera_tables` are those of `draw_tables`."""
        rgb = self.batch(size)
        tables = torch.from_numpy(degradation.tables(size, camera_tables, self.rng)).to(rgb.device)
        span = degradation.span(self.rng)
        contrast = torch.from_numpy(degradation.contrast(size, span, self.rng)).to(rgb.device)
        return compress(rgb, tables, span, contrast)

    def batch(self, size: int, side: int | None = None) -> Tensor:
        """The next `size` crops: uint8 `[size, side, side, 3]`.

        Args:
            size: number of crops.
            side: of these crops, at most the usual one; None for the usual one.
        """
        side = side or self.side
        chosen = self.rng.choice(len(self), size, p=self.odds)
        widths = self.sizes[chosen, 1]
        tops, lefts = self.rng.integers(self.sizes[chosen] - side + 1).T
        down, across = self.rng.choice((-1, 1), (2, size))
        # Pixel strides of the crop's rows and columns, for each of the eight orientations.
        steps = np.stack([down * widths, across])
        turned = self.rng.random(size) < 0.5
        steps = np.where(turned, steps[::-1], steps)
        last = side - 1
        corner = (tops + last * (down < 0)) * widths + lefts + last * (across < 0)
        first, down_by, across_by = torch.from_numpy(np.stack([self.starts[chosen] + corner, *steps])).to(
            self.pixels.device
        )
        places = torch.arange(side, device=self.pixels.device)
        rows = first[:, None] + down_by[:, None] * places
        return self.pixels[rows[:, :, None] + across_by[:, None, None] * places]


def camera_tables(folder: Path) -> NDArray[np.float32]:
    """The distinct pairs of 8-bit quantisation tables in the JPEGs and raw MJPEG streams below a folder.

    Returns:
        float32 `[n, 2, 64]`, luma and chroma, natural order.

    Raises:
        SourceNotFound: there are none.
    """
    pairs = (_tables_of(path) for path in sorted(folder.rglob("*")) if path.suffix.lower() in JPEG_SUFFIXES)
    found = {pair.tobytes(): pair for pair in pairs if pair is not None}
    if not found:
        suffixes = ", ".join(sorted(JPEG_SUFFIXES))
        raise SourceNotFound(f"{folder}: no JPEGs with 8-bit tables ({suffixes}) there to take tables from")
    return np.stack(list(found.values()))


def _tables_of(path: Path) -> NDArray[np.float32] | None:
    """Luma's and chroma's table of a file's first picture, natural order; None if they are missing or not 8-bit."""
    try:
        with Image.open(path, formats=["JPEG"]) as image:
            tables: dict[int, list[int]] = image.quantization  # pyright: ignore[reportAttributeAccessIssue]
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None
    if 0 not in tables:
        return None
    pair = np.array([tables[0], tables.get(1, tables[0])], np.float32)
    return pair if pair.min() >= 1 and pair.max() <= 255 else None
