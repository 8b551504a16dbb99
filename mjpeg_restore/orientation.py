"""Turning pictures upright, plane by plane, by the container's rotation or EXIF's orientation (quirk H5).

Samples are moved and not computed wherever the chroma grid allows it. In three cases it does not, and chroma is
upsampled to 4:4:4 first, so that every pixel keeps its colour:

* an axis is mirrored whose length is no multiple of the chroma factor: the chroma grid would begin at the other end;
* 4:1:1 is turned by 90 degrees: no sampling has a quarter of the lines;
* woven 4:2:0 or 4:4:0 is turned by 90 degrees: each line of chroma belongs to one field, but no column does.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from math import floor
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mjpeg_restore import colour
from mjpeg_restore.frames import FieldOrder, Picture, Sampling


@dataclass(frozen=True, slots=True)
class _Turn:
    """The steps from stored to upright planes: lines and columns are reversed first, then transposed."""

    lines_reversed: bool = False
    columns_reversed: bool = False
    transposed: bool = False

    def __call__(self, plane: NDArray[np.uint8]) -> NDArray[np.uint8]:
        turned = plane[:: -1 if self.lines_reversed else 1, :: -1 if self.columns_reversed else 1]
        return np.ascontiguousarray(turned.T if self.transposed else turned)


_TURNS: Final = {
    1: _Turn(),
    2: _Turn(columns_reversed=True),
    3: _Turn(lines_reversed=True, columns_reversed=True),
    4: _Turn(lines_reversed=True),
    5: _Turn(transposed=True),
    6: _Turn(lines_reversed=True, transposed=True),
    7: _Turn(lines_reversed=True, columns_reversed=True, transposed=True),
    8: _Turn(columns_reversed=True, transposed=True),
}
"""By EXIF orientation."""

_OF_ROTATION: Final = {0: 1, 90: 8, 180: 3, 270: 6}
"""EXIF orientations by rotation, degrees anticlockwise."""


def orientation_of(rotation: int, exif: int) -> int:
    """The orientation of a stored picture as an EXIF value, 1 to 8.

    Args:
        rotation: the container's, degrees anticlockwise (`SourceInfo.rotation`); unless 0 it takes precedence.
        exif: the picture's own orientation (`JpegHeader.orientation`).
    """
    return _OF_ROTATION[rotation] if rotation else exif


def upright(picture: Picture, orientation: int) -> Picture:
    """A picture turned or mirrored to stand upright.

    Turned by 90 degrees, 4:2:2 becomes 4:4:0 and 4:4:0 becomes 4:2:2; where the chroma grid does not fit, the sampling
    becomes 4:4:4. In a woven frame that is turned upside down the fields are swapped; one that is turned by 90 degrees
    has no fields any more.

    Args:
        picture: the picture as it is stored.
        orientation: its EXIF orientation, 1 (upright) to 8.
    """
    turn = _TURNS[orientation]
    if turn == _Turn():
        return picture
    if not _fits(picture, turn):
        picture = replace(colour.to_sampling(picture, Sampling.YUV444), coded_sampling=None)
    sampling, coded = picture.sampling, picture.coded_sampling
    if turn.transposed:
        sampling, coded = _transposed(sampling), coded and _transposed(coded)
    planes, order = tuple(map(turn, picture.planes)), _field_order(picture, turn)
    return replace(picture, planes=planes, sampling=sampling, coded_sampling=coded, field_order=order)


def upright_aspect(sample_aspect: Fraction, rotation: int) -> Fraction:
    """Width of a sample over its height once the picture is turned by `rotation` degrees."""
    return 1 / sample_aspect if rotation in (90, 270) else sample_aspect


def fit(picture: Picture, width: int, height: int, *, letterbox: bool = False) -> Picture:
    """The picture at another size (B2).

    Args:
        picture: of any size.
        width: pixels across.
        height: pixels down.
        letterbox: keep the aspect of every picture, between black bars; False: stretch it. A portrait picture among
            landscape ones, or the reverse, always keeps its aspect.
    """
    if not letterbox and (picture.width - picture.height) * (width - height) >= 0:
        return colour.resize(picture, width, height)
    across, down = picture.source_sampling.value or (1, 1)
    lines = down if picture.field_order is None else 2 * down
    scale = min(Fraction(width, picture.width), Fraction(height, picture.height))
    inner = colour.resize(
        picture,
        min(max(floor(picture.width * scale) // across, 1) * across, width),
        min(max(floor(picture.height * scale) // lines, 1) * lines, height),
    )
    left = (width - inner.width) // (2 * across) * across
    top = (height - inner.height) // (2 * lines) * lines
    black = 0 if picture.full_range else 16
    luma, *chroma = inner.planes
    planes = [_framed(luma, (height, width), (top, left), black)]
    across, down = picture.sampling.value or (1, 1)
    size = -(-height // down), -(-width // across)
    planes += [_framed(plane, size, (top // down, left // across), 128) for plane in chroma]
    return replace(inner, planes=tuple(planes))


def _framed(plane: NDArray[np.uint8], size: tuple[int, int], place: tuple[int, int], value: int) -> NDArray[np.uint8]:
    whole = np.full(size, value, np.uint8)
    (lines, columns), (top, left) = plane.shape, place
    whole[top : top + lines, left : left + columns] = plane
    return whole


def _transposed(sampling: Sampling) -> Sampling:
    """The sampling of a picture that is turned by 90 degrees; it is not 4:1:1."""
    return Sampling(sampling.value[::-1]) if sampling.value else sampling


def _fits(picture: Picture, turn: _Turn) -> bool:
    """Whether the stream's chroma samples, moved, lie on the grid of an existing sampling."""
    across, down = picture.source_sampling.value or (1, 1)
    woven = picture.field_order is not None and down > 1
    if turn.transposed and (woven or picture.source_sampling is Sampling.YUV411):
        return False
    lines = 2 * down if woven else down
    return not (turn.columns_reversed and picture.width % across) and not (
        turn.lines_reversed and picture.height % lines
    )


def _field_order(picture: Picture, turn: _Turn) -> FieldOrder | None:
    """The field of the turned picture that is shown first."""
    if picture.field_order is None or turn.transposed:
        return None
    if turn.lines_reversed and picture.height % 2 == 0:
        return "bottom" if picture.field_order == "top" else "top"
    return picture.field_order
