"""The promise, checked: a restored picture could have produced the camera's own JPEG."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mjpeg_restore.frames import CodedPicture, Picture
from mjpeg_restore.jpeg.dct import DCT_MATRIX, to_coefficients

ROUNDING: Final[NDArray[np.float64]] = 0.5 * np.abs(DCT_MATRIX).sum(axis=1)
"""float64 `[64]`: how far each coefficient of a block can move where its samples are rounded to whole numbers."""


@dataclass(frozen=True, slots=True)
class Verification:
    """How many coefficients of restored pictures, eight bits a sample, agree with the stream's."""

    coefficients: int = 0
    """Compared: of all components, in blocks that lie in the picture whole."""
    same: int = 0
    """Those that quantise back to the stream's."""
    rounded: int = 0
    """Those that do not, but would but for the rounding of samples to eight bits."""

    def __add__(self, other: Verification) -> Verification:
        """Both together."""
        return Verification(
            self.coefficients + other.coefficients, self.same + other.same, self.rounded + other.rounded
        )


def verify(picture: Picture, coded: CodedPicture) -> Verification:
    """Quantise a restored picture again, and compare.

    Args:
        picture: as `Restorer.restore` gives it.
        coded: what it was restored from.
    """
    found = Verification()
    order = (0, 2, 1) if coded.colour.swapped_chroma else (0, 1, 2)
    for plane, component in zip(picture.planes, order, strict=False):
        upright = plane[::-1] if coded.colour.bottom_up else plane
        high, wide = (length // 8 for length in upright.shape)
        table = coded.tables[component].astype(np.float64)
        steps = to_coefficients(upright[: 8 * high, : 8 * wide]) / table
        away = np.abs(steps - coded.coefficients[component][:high, :wide])
        same = away <= 0.5
        rounded = ~same & (away <= 0.5 + ROUNDING / table)
        found += Verification(away.size, int(same.sum()), int(rounded.sum()))
    return found
