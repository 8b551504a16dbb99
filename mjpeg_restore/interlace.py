"""Two fields and the frame that they make (quirk S6)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from mjpeg_restore.frames import FieldOrder, Picture


def weave(first: Picture, second: Picture, *, bottom_first: bool) -> Picture:
    """One interlaced frame of two fields of the same size and sampling; the rest is the first field's, but for damage:
    that is the worse field's.
    """
    top, bottom = (second, first) if bottom_first else (first, second)
    planes: list[NDArray[np.uint8]] = []
    for upper, lower in zip(top.planes, bottom.planes, strict=True):
        plane = np.empty((2 * upper.shape[0], upper.shape[1]), np.uint8)
        plane[0::2], plane[1::2] = upper, lower
        planes.append(plane)
    order: FieldOrder = "bottom" if bottom_first else "top"
    damage = min(filter(None, (first.damage, second.damage)), key=lambda found: found.first_bad_row, default=None)
    return replace(first, planes=tuple(planes), field_order=order, damage=damage)
