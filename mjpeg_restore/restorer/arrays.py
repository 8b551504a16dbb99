"""A coded picture as the arrays that graphs take, and the picture that their planes make."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mjpeg_restore.frames import CodedPicture, Picture, Sampling
from mjpeg_restore.jpeg.tables import LUMA, estimate_quality
from mjpeg_restore.runtime import Inputs, Planes


def components(coded: CodedPicture) -> Inputs:
    """Coefficients and table of Y, Cb and Cr in turn (C4); luma's grid is padded to a multiple of chroma's (C2)."""
    found = list(zip(coded.coefficients, coded.tables, strict=True))
    if coded.sampling is Sampling.GRAY:
        return [*found[0]]
    across, down = coded.sampling.value
    (luma, table), *chroma = found
    if coded.colour.swapped_chroma:
        chroma.reverse()
    high, wide = chroma[0][0].shape[:2]
    return [pad_blocks(luma, high * down, wide * across), table, *chroma[0], *chroma[1]]


def pad_blocks(blocks: NDArray[np.int16], high: int, wide: int) -> NDArray[np.int16]:
    """Extend a grid of blocks to the right and below by flat blocks with the DC coefficient of the edge.

    Args:
        blocks: int16 `[blocks_high, blocks_wide, 64]`.
        high, wide: block rows and columns of the result, not fewer than those of `blocks`.
    """
    missing = (high - blocks.shape[0], wide - blocks.shape[1])
    if missing == (0, 0):
        return blocks
    rows, columns, _ = blocks.shape
    padded = np.empty((high, wide, 64), np.int16)
    padded[:rows, :columns] = blocks
    padded[:rows, columns:] = padded[rows:] = 0
    padded[:rows, columns:, 0] = blocks[:, -1:, 0]
    padded[rows:, :, 0] = padded[rows - 1, :, 0]
    return padded


def picture(planes: Planes, coded: CodedPicture, computed: float | None = None) -> Picture:
    """A restored picture, cropped to its size, top row first; `computed` is its share.

    Args:
        planes: of all components, uint8 `[8 blocks_high, 8 blocks_wide]` each; chroma may have luma's size.
        coded: what they were restored from.
        computed: share of it that the network computed, 0..1; None if the model restores each picture alone.
    """
    sampling = coded.sampling
    if len(planes) > 1 and planes[1].shape == planes[0].shape:
        sampling = Sampling.YUV444
    return Picture(
        planes=_crop(planes, coded, sampling),
        sampling=sampling,
        coded_sampling=None if sampling is coded.sampling else coded.sampling,
        full_range=coded.colour.full_range,
        quality=estimate_quality(coded.tables[0], LUMA),
        damage=coded.damage,
        computed=computed,
    )


def _crop(planes: Planes, coded: CodedPicture, sampling: Sampling) -> Planes:
    """Planes at a sampling, cropped to the picture's size, top row first."""
    across, down = sampling.value or (1, 1)
    sizes = [(coded.height, coded.width)] + 2 * [(-(-coded.height // down), -(-coded.width // across))]
    cropped = tuple(plane[:high, :wide] for plane, (high, wide) in zip(planes, sizes, strict=False))
    return tuple(plane[::-1] for plane in cropped) if coded.colour.bottom_up else cropped
