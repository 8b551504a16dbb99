"""Numbered pictures: each shows its number as a pattern of black and white cells, which survives restoration.

The pattern is two rows of 16 cells along the top edge: 22 bits of the number and a checksum of 10 bits. The cells
scale with the picture, so that a scaled picture can be read too. Needs Pillow.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Size = tuple[int, int]
Pixels = NDArray[np.uint8]

MOST = 1 << 22
"""Numbers are less than this: 38 hours at 30 pictures a second."""
SAMPLINGS = ("4:4:4", "4:2:2", "4:2:0", "gray")
SMALLEST = (64, 48)

_ROWS, _COLUMNS = 2, 16
_HEIGHT = 12
"""A cell is a sixteenth of the picture's width, and this fraction of its height."""


@dataclass(frozen=True)
class NumberedPictures:
    """JPEGs of a fixed scene with the number of the picture in it."""

    size: Size = (160, 112)
    """Width and height in pixels, at least `SMALLEST`."""
    sampling: str = "4:2:0"
    """One of `SAMPLINGS`."""
    quality: int = 60
    restart_rows: int = 0
    """MCU rows between restart markers (D1); 0: there are none."""
    scenes: Sequence[Pixels] = field(default=(), repr=False)
    """Pictures that are shown in turn behind the pattern, uint8 `[height, width, 3]`; empty: one drawn scene."""

    def jpeg(self, number: int) -> bytes:
        """Encode picture `number`."""
        pixels = (self.scenes[number % len(self.scenes)] if self.scenes else scene(self.size)).copy()
        draw_number(pixels, number)
        image = Image.fromarray(pixels)
        options: dict[str, int] = {"quality": self.quality}
        if self.sampling == "gray":
            image = image.convert("L")
        else:
            options["subsampling"] = SAMPLINGS.index(self.sampling)
        if self.restart_rows:
            options["restart_marker_rows"] = self.restart_rows
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", **options)
        return buffer.getvalue()


@cache
def scene(size: Size) -> Pixels:
    """Slopes and noise, uint8 `[height, width, 3]`; the same for each call."""
    width, height = size
    y, x = np.mgrid[:height, :width]
    slopes = np.stack([x * 255 // width, y * 255 // height, (x + y) * 255 // (width + height)], axis=-1)
    noise = np.random.default_rng(1).normal(0, 6, (height, width, 1))
    return np.clip(slopes * 0.8 + 20 + noise, 0, 255).astype(np.uint8)


def street(size: Size, count: int, fps: int = 30) -> list[Pixels]:
    """`count` successive pictures of a street with traffic; drawing one takes some milliseconds."""
    from fractions import Fraction

    from street import frames

    return [np.asarray(picture) for picture in frames(*size, Fraction(fps), count)]


def draw_number(pixels: Pixels, number: int) -> None:
    """Draw a number below `MOST` into a picture, `[height, width, 3]`."""
    height, width = pixels.shape[:2]
    word = number << 10 | _checksum(number)
    for bit in range(_ROWS * _COLUMNS):
        top, bottom, left, right = _cell(bit, width, height)
        pixels[top:bottom, left:right] = 240 if word >> bit & 1 else 16


def read_number(luma: Pixels) -> int | None:
    """The number in a picture's luma, uint8 `[height, width]`; None where the pattern is damaged."""
    height, width = luma.shape
    word = 0
    for bit in range(_ROWS * _COLUMNS):
        top, bottom, left, right = _cell(bit, width, height)
        down, across = (bottom - top) // 4, (right - left) // 4  # the edges of a cell are blurred
        word |= int(luma[top + down : bottom - down, left + across : right - across].mean() > 128) << bit
    number = word >> 10
    return number if _checksum(number) == word & 1023 else None


def _cell(bit: int, width: int, height: int) -> tuple[int, int, int, int]:
    """Top, bottom, left and right of a bit's cell."""
    row, column = divmod(bit, _COLUMNS)
    top, bottom = (height * edge // _HEIGHT for edge in (row, row + 1))
    left, right = (width * edge // _COLUMNS for edge in (column, column + 1))
    return top, bottom, left, right


def _checksum(number: int) -> int:
    return (number * 0x9E3779B1 + 0x155) >> 11 & 1023
