"""How a container wants its pictures shown: field order, rotation, sample aspect ratio."""

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

# By FFmpeg's AVFieldOrder: the field that is coded first, and the one that is displayed first.
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

_MAX_ASPECT = 4
"""The largest sample aspect ratio, and the inverse of the smallest: analogue recordings reach 32/11, fields 2."""
_TOLERANCE = 1
"""Degrees by which a rotation may differ from a multiple of 90: the entries of the matrix are rounded."""


def field_layout(track: VideoStream) -> FieldLayout | None:
    """The field order by MOV's `fiel`, Matroska's FieldOrder or MXF's frame layout (quirk S6).

    None if the container states none, or "progressive". The first stored field then holds the upper lines, as in
    QuickTime, Matroska and FFmpeg's decoder. FFmpeg makes one exception: with the tag MJPG of AVI, ASF and NUT, which
    cannot state the order, the first field holds the lower lines. Pictures of that tag with two fields in a packet
    state the order by AVI1 segments (H2) or Avid's comments, so that the exception matters only for fields in packets
    of their own: see `fieldpairs`.
    """
    return _LAYOUTS.get(track.codec_context.field_order)


def rotation(track: VideoStream) -> tuple[int, str | None]:
    """The rotation of a track by its display matrix.

    PyAV exposes the matrix only in decoded frames. The track's decoder therefore decodes a built-in picture, which has
    no EXIF orientation and cannot be damaged; afterwards the decoder states that picture's size.

    Returns:
        Degrees anticlockwise, 0, 90, 180 or 270, and a remark: None, or what else the matrix does; the rotation is 0
        then.
    """
    try:
        # Twice, because FFmpeg takes so low a picture for the first of two fields in most tracks.
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
    """The sample aspect ratio, width over height: the container's, else that of the first picture's JFIF density.

    Impossible values count as 1: encoders write densities such as 72x1 or 1x96 dots per inch by mistake, and other
    programs copy them into containers.
    """
    stated = Fraction(track.sample_aspect_ratio or 1)  # in FFmpeg the container's takes precedence
    return stated if Fraction(1, _MAX_ASPECT) <= stated <= _MAX_ASPECT else Fraction(1)
