"""How a container wants its pictures shown: the order of fields, rotation, the shape of a sample."""

# PyAV's stubs leave the parameter of Packet open.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from math import atan2, degrees
from typing import cast

import av
import av.error
import numpy as np
from av.buffer import Buffer
from av.sidedata.sidedata import Type
from av.video.stream import VideoStream

from mjpeg_restore.frames import FieldLayout

# FFmpeg's AVFieldOrder: which of two fields is coded first, and which is displayed first.
_LAYOUTS = {
    2: FieldLayout("top", "top"),
    3: FieldLayout("bottom", "bottom"),
    4: FieldLayout("top", "bottom"),
    5: FieldLayout("bottom", "top"),
}

# A grey JPEG of 8x8, coefficients 0 (without Huffman tables: H1).
_EMPTY_PICTURE = (
    b"\xff\xd8\xff\xdb\x00\x43\x00"
    + b"\x01" * 64
    + b"\xff\xc0\x00\x0b\x08\x00\x08\x00\x08\x01\x01\x11\x00\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00\x2b\xff\xd9"
)

_MOST_STRETCHED = 4
"""Width of a sample over its height, or the inverse: analogue recordings reach 32/11, single fields 2."""
_TOLERANCE = 1
"""Degrees by which a matrix may miss a multiple of 90: its entries are rounded."""


def field_layout(track: VideoStream) -> FieldLayout | None:
    """How fields lie according to MOV's `fiel`, Matroska's FieldOrder or MXF's frame layout (quirk S6).

    None where nothing is said, or "progressive". The field that is stored first then holds the upper lines: QuickTime,
    Matroska and FFmpeg's decoder take it so. FFmpeg makes one exception, for the tag MJPG of AVI, ASF and NUT, which
    have no place for the order: there it takes the lower lines first. Files of that tag with two fields in a packet
    say what holds by AVI1 segments (H2) or Avid's comments: the exception is left to fields in packets of their own,
    see `fieldpairs`.
    """
    return _LAYOUTS.get(track.codec_context.field_order)


def rotation(track: VideoStream) -> tuple[int, str | None]:
    """The track's display matrix as a rotation, and a remark where that is not all.

    PyAV shows the matrix in decoded frames only, so the track's own decoder is given a picture made for that: it has no
    EXIF orientation of its own, and cannot be damaged. The decoder's size is that of this picture afterwards.

    Returns:
        Degrees anticlockwise, 0, 90, 180 or 270; 0 where the matrix does something else, which the remark names.
    """
    try:
        # Twice: in a track of some height a picture so low is the first of two fields.
        frames = track.codec_context.decode(av.Packet(2 * _EMPTY_PICTURE))
        matrix = cast(Mapping[Type, Buffer], frames[0].side_data)[Type.DISPLAYMATRIX]
    except (av.error.FFmpegError, ValueError, IndexError, KeyError):
        return 0, None
    a, b, _, c, d = map(float, np.frombuffer(bytes(matrix), np.int32)[:5])
    angle = degrees(atan2(c, a))
    nearest = 90 * round(angle / 90)
    if a * d - b * c <= 0:
        return 0, "the container shows its pictures mirrored: they are restored as they are stored"
    if abs(angle - nearest) > _TOLERANCE:
        return (
            0,
            f"the container shows its pictures turned by {angle:.0f} degrees: they are restored as they are stored",
        )
    return nearest % 360, None


def sample_aspect(track: VideoStream) -> Fraction:
    """Width of a sample over its height: the container's, else that of the first picture's JFIF density.

    Dots per inch such as 72x1 or 1x96, which encoders write by mistake, are no shape of a sample, nor is such a value
    that another program has copied into the container.
    """
    stated = Fraction(track.sample_aspect_ratio or 1)  # FFmpeg lets the container's win
    return stated if Fraction(1, _MOST_STRETCHED) <= stated <= _MOST_STRETCHED else Fraction(1)
