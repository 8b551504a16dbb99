"""Pictures turned upright, plane by plane, as the container or EXIF says that they lie (quirk H5).

Samples are moved, never computed anew, wherever the chroma grid allows it. It does not allow three things, and the
chroma goes to 4:4:4 first for them, so that the colour of each pixel is the one that it had before:

* a mirrored axis that holds no whole number of chroma samples: the grid begins at the other end then;
* 4:1:1 turned by 90 degrees: no sampling has chroma of a quarter of the lines;
* woven 4:2:0 and 4:4:0 turned by 90 degrees: each line of chroma belongs to one field, no column does.
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
    """How stored planes become upright ones: lines and columns are reversed first, and change places then."""

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
"""The EXIF orientation that asks for a rotation anticlockwise."""


def orientation_of(rotation: int, exif: int) -> int:
    """How a picture lies, as an EXIF orientation, 1 to 8.

    Args:
        rotation: degrees anticlockwise, as the container says (`SourceInfo.rotation`); unless 0, it goes before EXIF.
        exif: the picture's own orientation (`JpegHeader.orientation`).
    """
    return _OF_ROTATION[rotation] if rotation else exif


def upright(picture: Picture, orientation: int) -> Picture:
    """A picture turned or mirrored to stand upright.

    4:2:2 turned by 90 degrees becomes 4:4:0, and the reverse; where the chroma grid does not fit, the sampling becomes
    4:4:4. The two fields of a woven frame change places where the frame is turned upside down; turned by 90 degrees,
    it has columns in place of fields, and is of one piece.

    Args:
        picture: as it is stored.
        orientation: EXIF's number, 1 (upright already) to 8.
    """
    turn = _TURNS[orientation]
    if turn == _Turn():
        return picture
    if not _fits(picture, turn):
        picture = colour.to_sampling(picture, Sampling.YUV444)
    sampling = picture.sampling
    if turn.transposed and sampling.value:
        sampling = Sampling(sampling.value[::-1])
    planes = tuple(map(turn, picture.planes))
    return replace(picture, planes=planes, sampling=sampling, field_order=_field_order(picture, turn))


def upright_aspect(sample_aspect: Fraction, rotation: int) -> Fraction:
    """Width of a sample over its height once the picture is turned by `rotation` degrees."""
    return 1 / sample_aspect if rotation in (90, 270) else sample_aspect


def fit(picture: Picture, width: int, height: int) -> Picture:
    """The picture at another size (B2).

    A standing one where the others lie, or the reverse, keeps its shape: it is as large as there is room, between black
    bars.
    """
    if (picture.width - picture.height) * (width - height) >= 0:
        return colour.resize(picture, width, height)
    across, down = picture.sampling.value or (1, 1)
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
    size = -(-height // down), -(-width // across)
    planes += [_framed(plane, size, (top // down, left // across), 128) for plane in chroma]
    return replace(inner, planes=tuple(planes))


def _framed(plane: NDArray[np.uint8], size: tuple[int, int], place: tuple[int, int], value: int) -> NDArray[np.uint8]:
    whole = np.full(size, value, np.uint8)
    (lines, columns), (top, left) = plane.shape, place
    whole[top : top + lines, left : left + columns] = plane
    return whole


def _fits(picture: Picture, turn: _Turn) -> bool:
    """Whether the chroma samples, moved like the luma, lie on the grid of a sampling that there is."""
    across, down = picture.sampling.value or (1, 1)
    woven = picture.field_order is not None and down > 1
    if turn.transposed and (woven or picture.sampling is Sampling.YUV411):
        return False
    lines = 2 * down if woven else down
    return not (turn.columns_reversed and picture.width % across) and not (
        turn.lines_reversed and picture.height % lines
    )


def _field_order(picture: Picture, turn: _Turn) -> FieldOrder | None:
    """Which field of the turned picture is shown first."""
    if picture.field_order is None or turn.transposed:
        return None
    if turn.lines_reversed and picture.height % 2 == 0:
        return "bottom" if picture.field_order == "top" else "top"
    return picture.field_order
