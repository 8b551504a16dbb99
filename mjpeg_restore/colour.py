"""Pictures converted from one range, sampling or size to another.

JPEG is full-range BT.601 with centre-sited chroma (quirks C6, C7). No function changes its input. In a woven picture
chroma is interpolated and averaged within each field, for the other field shows another moment (S6).
"""

from __future__ import annotations

from dataclasses import replace

import av
import numpy as np
from numpy.typing import NDArray

from mjpeg_restore.frames import Picture, Sampling
from mjpeg_restore.interlace import split_fields
from mjpeg_restore.planes import NEUTRAL, compress, expand, interleave, upsample


def to_range(picture: Picture, full: bool) -> Picture:
    """The picture in full range (0..255) or in limited (luma 16..235, chroma 16..240), rounded to nearest."""
    if picture.full_range == full:
        return picture
    planes = expand(picture.planes) if full else compress(picture.planes)
    return replace(picture, planes=planes, full_range=full)


def blackened(picture: Picture) -> Picture:
    """A black picture in the place of another: of its size, sampling, range and time."""
    luma, *chroma = picture.planes
    planes = [np.full_like(luma, 0 if picture.full_range else 16), *(np.full_like(plane, NEUTRAL) for plane in chroma)]
    return replace(picture, planes=tuple(planes), damage=None)


def to_sampling(picture: Picture, sampling: Sampling) -> Picture:
    """The picture with its chroma at another sampling, centre-sited before and after; the luma stays.

    Chroma is upsampled as in `planes.to_rgb` and averaged downwards. A grey picture gains neutral
    chroma planes; `Sampling.GRAY` drops them. What is converted has the sampling that was asked for, and no
    `coded_sampling`.
    """
    if picture.sampling is sampling:
        return picture
    picture = replace(picture, coded_sampling=None)
    luma = picture.planes[0]
    if sampling.value is None:
        return replace(picture, planes=(luma,), sampling=sampling)
    if picture.field_order:
        chroma = map(interleave, *(to_sampling(part, sampling).planes[1:] for part in split_fields(picture)))
        return replace(picture, planes=(luma, *chroma), sampling=sampling)
    across, down = sampling.value
    size = (-(-picture.height // down), -(-picture.width // across))
    if picture.sampling.value is None:
        neutral = np.full(size, NEUTRAL, np.uint8)
        return replace(picture, planes=(luma, neutral, neutral), sampling=sampling)
    had_across, had_down = picture.sampling.value
    planes = [luma]
    for plane in picture.planes[1:]:
        finer = upsample(plane, max(had_across // across, 1), max(had_down // down, 1))
        coarser = _average(finer, max(across // had_across, 1), max(down // had_down, 1))
        planes.append(np.ascontiguousarray(coarser[: size[0], : size[1]]))
    return replace(picture, planes=tuple(planes), sampling=sampling)


def resize(picture: Picture, width: int, height: int) -> Picture:
    """The picture at another size, each plane scaled by bicubic interpolation; sampling and range stay (B2).

    The two fields of a woven picture are scaled separately.

    Raises:
        ValueError: width or height is below 1.
    """
    if width < 1 or height < 1:
        raise ValueError(f"a picture is at least 1x1, not {width}x{height}")
    if (width, height) == (picture.width, picture.height):
        return picture
    if picture.field_order and height > 1:
        upper, lower = split_fields(picture)
        halves = resize(upper, width, -(-height // 2)), resize(lower, width, height // 2)
        return replace(picture, planes=tuple(map(interleave, *(half.planes for half in halves))))
    across, down = picture.sampling.value or (1, 1)
    chroma_size = (-(-width // across), -(-height // down))
    planes = (
        _scale(picture.planes[0], width, height),
        *(_scale(plane, *chroma_size) for plane in picture.planes[1:]),
    )
    return replace(picture, planes=planes, field_order=None)


def _average(plane: NDArray[np.uint8], across: int, down: int) -> NDArray[np.uint8]:
    """Rounded mean of each `down` x `across` box; a box that the edge cuts is completed by repetition."""
    if (across, down) == (1, 1):
        return plane
    height, width = plane.shape
    whole = np.pad(plane, ((0, -height % down), (0, -width % across)), mode="edge").astype(np.uint16)
    total = sum(whole[row::down, column::across] for row in range(down) for column in range(across))
    count = across * down
    return ((np.asarray(total) + count // 2) // count).astype(np.uint8)


def _scale(plane: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    """One plane scaled by libswscale; uint8 `[height, width]`."""
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(plane), format="gray")
    scaled = frame.reformat(width=width, height=height, format="gray", interpolation="BICUBIC")
    return np.asarray(scaled.to_ndarray(), np.uint8)
