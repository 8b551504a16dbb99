"""Whether two pictures of a stream are the same, or show two scenes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mjpeg_restore.frames import CodedPicture

COMMON = 0.4
"""Correlation of the blocks' means of two pictures below which they show two scenes."""
LEAST_SPREAD = 8 * 4.0
"""Least standard deviation of the means of a picture that shows anything, in eighths of a grey level."""
FADING = 4.0
"""How many times smaller it becomes from one frame to the next, at most, of a picture that fades to a single colour."""


def block_means(coded: CodedPicture) -> NDArray[np.float32]:
    """The means of luma's blocks, float32 `[blocks_high, blocks_wide]`, in eighths of a grey level from mid-grey."""
    return coded.coefficients[0][..., 0] * np.float32(coded.tables[0].flat[0])


def is_cut(before: NDArray[np.float32], after: NDArray[np.float32]) -> bool:
    """Whether another scene has begun: the pictures of the blocks' means have little in common but their brightness.

    What moves keeps most of such a picture. One of a single colour has nothing in common with any other, as a covered
    camera's; unless the picture fades, which takes more than a frame.
    """
    one, other = before - before.mean(), after - after.mean()
    least, most = sorted(float(np.square(plane).mean()) ** 0.5 for plane in (one, other))
    if least <= LEAST_SPREAD:
        return most > max(LEAST_SPREAD, FADING * least)
    return float((one * other).mean()) < COMMON * least * most


def is_same(coded: CodedPicture, other: CodedPicture) -> bool:
    """Whether two pictures are restored to the same planes."""
    kinds = ((one.width, one.height, one.sampling, one.colour, one.damage) for one in (coded, other))
    if next(kinds) != next(kinds):
        return False
    # Two pictures of a camera nearly always differ in the first row: comparing it first costs microseconds.
    pairs = (*zip(coded.tables, other.tables, strict=True), *zip(coded.coefficients, other.coefficients, strict=True))
    return all(np.array_equal(a[:1], b[:1]) for a, b in pairs) and all(np.array_equal(a, b) for a, b in pairs)
