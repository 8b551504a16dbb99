"""Whether a restored picture could have produced the camera's own JPEG: its coefficients, quantised again."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mjpeg_restore.colour import to_sampling
from mjpeg_restore.frames import CodedPicture, Picture
from mjpeg_restore.jpeg.dct import DCT_MATRIX, to_coefficients

ROUNDING: Final[NDArray[np.float64]] = 0.5 * np.abs(DCT_MATRIX).sum(axis=1)
"""float64 `[64]`: the largest change of each coefficient of a block when its samples are rounded to whole numbers."""


@dataclass(frozen=True, slots=True)
class Verification:
    """How many coefficients of restored 8-bit pictures lie in their quantisation cell.

    The cell is the interval that an encoder rounds to the stream's number: half a step each way.
    """

    coefficients: int = 0
    """Number compared: of all components, in blocks that lie completely in the picture."""
    inside: int = 0
    """Number in their cell: they quantise back to the stream's."""
    rounded: int = 0
    """Number outside by no more than the rounding of samples to whole numbers explains."""
    clipped: int = 0
    """Number of the rest in blocks with a sample at 0 or 255, where clipping may have moved them out."""

    @property
    def outside(self) -> int:
        """Number outside their cell for no such reason."""
        return self.coefficients - self.inside - self.rounded - self.clipped

    def __add__(self, other: Verification) -> Verification:
        """The sum of both."""
        return Verification(
            self.coefficients + other.coefficients,
            self.inside + other.inside,
            self.rounded + other.rounded,
            self.clipped + other.clipped,
        )


def verify(picture: Picture, coded: CodedPicture) -> Verification:
    """Compare each coefficient of a restored picture with its quantisation cell.

    Chroma that was restored at luma's size is averaged to the stream's sampling, as a camera does it, for the cells are
    those of its blocks.

    Args:
        picture: the result of `Restorer.restore`.
        coded: the picture that it was restored from.
    """
    order = (0, 2, 1) if coded.colour.swapped_chroma else (0, 1, 2)
    if coded.colour.bottom_up:
        picture = replace(picture, planes=tuple(plane[::-1] for plane in picture.planes))
    planes = to_sampling(picture, coded.sampling).planes
    return sum(
        (
            _verify_plane(plane, coded.coefficients[component], coded.tables[component])
            for plane, component in zip(planes, order, strict=False)
        ),
        Verification(),
    )


def _verify_plane(plane: NDArray[np.uint8], coefficients: NDArray[np.int16], table: NDArray[np.uint16]) -> Verification:
    high, wide = (length // 8 for length in plane.shape)
    whole = plane[: 8 * high, : 8 * wide]
    steps = table.astype(np.float64)
    away = np.abs(to_coefficients(whole) / steps - coefficients[:high, :wide])
    ends = ((whole == 0) | (whole == 255)).reshape(high, 8, wide, 8).any(axis=(1, 3))
    inside = away <= 0.5
    rounded = ~inside & (away <= 0.5 + ROUNDING / steps)
    clipped = ~inside & ~rounded & ends[..., None]
    return Verification(away.size, int(inside.sum()), int(rounded.sum()), int(clipped.sum()))
