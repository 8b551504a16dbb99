"""Interlaced Motion-JPEG: two fields in one packet, each a JPEG of half the height (quirks S5, S6)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from mjpeg_restore.frames import Picture
from mjpeg_restore.jpeg import JpegHeader

_FIELD_HEIGHT = 3 / 4
"""A picture lower than this share of the container's height is a field."""


def are_fields(first: JpegHeader, second: JpegHeader, container_height: int | None) -> bool:
    """Whether two pictures of one packet are the fields of a frame."""
    alike = (first.width, first.height, first.sampling) == (second.width, second.height, second.sampling)
    return alike and container_height is not None and first.height < _FIELD_HEIGHT * container_height


def weave(first: Picture, second: Picture, *, bottom_first: bool) -> Picture:
    """One interlaced frame of two fields of the same size and sampling; the rest is the first field's."""
    top, bottom = (second, first) if bottom_first else (first, second)
    planes: list[NDArray[np.uint8]] = []
    for upper, lower in zip(top.planes, bottom.planes, strict=True):
        plane = np.empty((2 * upper.shape[0], upper.shape[1]), np.uint8)
        plane[0::2], plane[1::2] = upper, lower
        planes.append(plane)
    return replace(first, planes=tuple(planes), interlaced=True)
