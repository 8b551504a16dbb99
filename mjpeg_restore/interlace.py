"""Weaving two fields into a frame, and taking a frame apart into its fields (quirk S6)."""

from __future__ import annotations

from dataclasses import replace

from mjpeg_restore.frames import FieldLayout, FieldOrder, Picture
from mjpeg_restore.planes import field_planes, interleave


def resolve_layout(marked: FieldOrder | None, container: FieldLayout | None) -> FieldLayout:
    """The order of the two fields of a packet.

    The pictures' own markers take precedence, because they survive remuxing. Without them the
    container's layout applies. Where both agree on the field that is stored first, the container also decides which one
    is shown first. Without either, the top field is stored and shown first. FFmpeg's decoder does the same, except with
    the tag MJPG in AVI, ASF and NUT, where it takes the bottom field first, as capture cards for NTSC write it; see
    `sources.presentation`.

    Args:
        marked: the field of the packet's first picture, by its own markers (`JpegHeader.field_order`).
        container: the layout that the container states for all packets (`SourceInfo.fields`).
    """
    container = container or FieldLayout(marked or "top", marked or "top")
    return container if marked in (None, container.stored) else FieldLayout(marked, marked)


def weave(first: Picture, second: Picture, layout: FieldLayout) -> Picture:
    """One interlaced frame of the two fields of a packet.

    Args:
        first, second: the fields as they are stored, of one width and sampling. Of a frame with an odd number of lines,
            the top field has one line more.
        layout: which of them is the top field, and which is shown first; a taller one is always the top field.

    Returns:
        A frame with the lines of both, the damage of the worse one, and the mean of the shares that were computed; all
        else is that of the first field. Where the fields have an odd height, the chroma planes of 4:2:0 and 4:4:0 have
        one line more than half the frame's.
    """
    if first.height != second.height:
        layout = resolve_layout("top" if first.height > second.height else "bottom", layout)
    upper, lower = (first, second) if layout.stored == "top" else (second, first)
    damage = min(filter(None, (first.damage, second.damage)), key=lambda found: found.first_bad_row, default=None)
    planes = tuple(map(interleave, upper.planes, lower.planes))
    shares = [field.computed for field in (first, second) if field.computed is not None]
    computed = sum(shares) / len(shares) if shares else None
    return replace(first, planes=planes, field_order=layout.shown, damage=damage, computed=computed)


def split_fields(picture: Picture) -> tuple[Picture, Picture]:
    """The top field and the bottom field of a woven frame; see `planes.field_planes`."""
    _, down = picture.sampling.value or (1, 1)
    planes = (field_planes(picture.planes, down, parity) for parity in (0, 1))
    top, bottom = (replace(picture, planes=part, field_order=None) for part in planes)
    return top, bottom
