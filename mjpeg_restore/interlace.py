"""Two fields and the frame that they make (quirk S6)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from mjpeg_restore.frames import FieldLayout, FieldOrder, Picture


def layout(marked: FieldOrder | None, container: FieldLayout | None) -> FieldLayout:
    """How the two fields of a packet lie.

    The pictures' own marks win, for they survive a copy from one container to another. Without marks the container's
    layout holds; it also says which field is shown first where the marks agree with it on the one that is stored first.
    Without either, the upper lines are stored and shown first. FFmpeg's decoder takes it so too, except with the tag
    MJPG of AVI, ASF and NUT: there it takes the lower lines first, as cards for NTSC do; see `sources.presentation`.

    Args:
        marked: the field that the packet's first picture holds, as its own marks say (`JpegHeader.field_order`).
        container: what the container says of all packets (`SourceInfo.fields`).
    """
    container = container or FieldLayout(marked or "top", marked or "top")
    return container if marked in (None, container.stored) else FieldLayout(marked, marked)


def weave(first: Picture, second: Picture, layout: FieldLayout) -> Picture:
    """One interlaced frame of the two fields of a packet.

    Args:
        first, second: in the order in which they are stored; of one size and sampling.
        layout: which of them holds the upper lines, and which is shown first.

    Returns:
        The first field with the lines of both, and the damage of the worse one. Of fields of an odd height the chroma
        planes of 4:2:0 and 4:4:0 keep every line of both: one more than half the frame's height.
    """
    upper, lower = (first, second) if layout.stored == "top" else (second, first)
    damage = min(filter(None, (first.damage, second.damage)), key=lambda found: found.first_bad_row, default=None)
    planes = tuple(map(interleave, upper.planes, lower.planes))
    return replace(first, planes=planes, field_order=layout.shown, damage=damage)


def interleave(upper: NDArray[np.uint8], lower: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Lines of both in turn, the upper first: uint8 `[lines of both, columns, ...]`; the lower may have one less."""
    lines = np.empty((len(upper) + len(lower), *upper.shape[1:]), np.uint8)
    lines[0::2], lines[1::2] = upper, lower
    return lines


def fields(picture: Picture) -> tuple[Picture, Picture]:
    """The fields of a woven frame, the one of the upper lines first; each is a picture of one piece.

    The planes are views, except for the lower field's chroma where its last line is missing: frames of FFmpeg's have
    no room for it where the fields' height is odd. The line above it stands in for it then.
    """
    return _field(picture, 0), _field(picture, 1)


def _field(picture: Picture, parity: int) -> Picture:
    luma, *chroma = (plane[parity::2] for plane in picture.planes)
    _, down = picture.sampling.value or (1, 1)
    missing = [-(-len(luma) // down) - len(plane) for plane in chroma]
    whole = (
        np.pad(plane, ((0, rows), (0, 0)), mode="edge") if rows > 0 else plane
        for plane, rows in zip(chroma, missing, strict=True)
    )
    return replace(picture, planes=(luma, *whole), field_order=None)
