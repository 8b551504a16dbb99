"""Before and after in one picture, joined plane by plane, without a conversion to RGB.

Where a model restored chroma at luma's size, the plain decode's is up-sampled as a player would do it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mjpeg_restore.colour import to_sampling
from mjpeg_restore.frames import Picture

Comparison = Literal["side", "split"]

_MCU = 16
"""`split` cuts at a multiple of this, where the chroma of every sampling can be cut, and between blocks."""

_LINE = 2
"""Width of the dividing line, luma samples."""


def compose(before: Picture, after: Picture, how: Comparison) -> Picture:
    """Join the two: `side_by_side`, or `split` in the middle."""
    return side_by_side(before, after) if how == "side" else split(before, after)


def side_by_side(before: Picture, after: Picture) -> Picture:
    """`before` on the left, `after` on the right; all other fields are those of `after`.

    Where the chroma factor does not divide the width, the last column of the left picture is repeated until it does, so
    that the right picture begins on a whole chroma sample: the result is up to 3 columns wider than both.

    Raises:
        ValueError: the two differ in size, sampling or range.
    """
    before = _alike(before, after)
    across, _ = after.sampling.value or (1, 1)
    luma = np.pad(before.planes[0], ((0, 0), (0, -before.width % across)), mode="edge")
    left = (luma, *before.planes[1:])
    return replace(after, planes=tuple(np.hstack(pair) for pair in zip(left, after.planes, strict=True)))


def split(before: Picture, after: Picture) -> Picture:
    """The left half of `before`, a white line, the right half of `after`; the size stays.

    The cut is at the multiple of 16 that is nearest to the middle; a picture narrower than 32 is cut at the nearest
    multiple of its chroma factor.

    Raises:
        ValueError: the two differ in size, sampling or range.
    """
    before = _alike(before, after)
    across, _ = after.sampling.value or (1, 1)
    unit = _MCU if after.width >= 2 * _MCU else across
    column = round(after.width / 2 / unit) * unit
    planes = [
        _join(old, new, column if index == 0 else column // across)
        for index, (old, new) in enumerate(zip(before.planes, after.planes, strict=True))
    ]
    planes[0][:, column : column + _LINE] = 255 if after.full_range else 235
    for plane in planes[1:]:
        plane[:, column // across : -(-(column + _LINE) // across)] = 128
    return replace(after, planes=tuple(planes))


def _join(left: NDArray[np.uint8], right: NDArray[np.uint8], column: int) -> NDArray[np.uint8]:
    return np.hstack((left[:, :column], right[:, column:]))


def _alike(before: Picture, after: Picture) -> Picture:
    """`before` at the sampling of `after`, if that is finer than the stream's."""
    for name in ("width", "height", "source_sampling", "full_range"):
        old, new = getattr(before, name), getattr(after, name)
        if old != new:
            raise ValueError(f"the pictures differ in {name.removeprefix('source_')}: {old} before, {new} after")
    return to_sampling(before, after.sampling)
