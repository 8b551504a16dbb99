"""Missing rows of blocks, taken from the picture before."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mjpeg_restore.frames import CodedPicture, Sampling

_LARGEST: Final = 2047
"""The largest quantised coefficient of an 8-bit JPEG."""


def repair(picture: CodedPicture, previous: CodedPicture | None) -> CodedPicture | None:
    """Fill the damaged rows of `picture` with those of the picture before it (S2).

    Coefficients are copied as they are; where the tables differ (Q1) they are quantised anew.

    Args:
        picture: as read; returned as it is where it is not damaged.
        previous: the picture before, read or repaired.

    Returns:
        A whole picture without `damage` and with a word in `warnings`, or None where there is nothing to
        take the rows from: no picture before, one of another size or sampling, or one damaged itself.
    """
    damage = picture.damage
    if damage is None:
        return picture
    if previous is None or previous.damage is not None or not alike(picture, previous):
        return None
    down = 1 if picture.sampling is Sampling.GRAY else picture.sampling.value[1]
    parts = zip(picture.coefficients, picture.tables, previous.coefficients, previous.tables, strict=True)
    coefficients = tuple(
        _fill(blocks, table, old_blocks, old_table, damage.first_bad_row * (1 if part else down))
        for part, (blocks, table, old_blocks, old_table) in enumerate(parts)
    )
    note = f"MCU rows {damage.first_bad_row} to {damage.rows - 1} are those of the picture before"
    return replace(picture, coefficients=coefficients, damage=None, warnings=(*picture.warnings, note))


def alike(picture: CodedPicture, previous: CodedPicture) -> bool:
    """Whether two pictures have their blocks in the same places, and their levels mean the same."""
    return (picture.width, picture.height, picture.sampling, picture.colour) == (
        previous.width,
        previous.height,
        previous.sampling,
        previous.colour,
    )


def _fill(
    blocks: NDArray[np.int16],
    table: NDArray[np.uint16],
    old_blocks: NDArray[np.int16],
    old_table: NDArray[np.uint16],
    row: int,
) -> NDArray[np.int16]:
    """`blocks` down to block row `row`, then the old ones."""
    old = old_blocks[row:]
    if not np.array_equal(table, old_table):
        steps = np.rint(old * (old_table / table))
        old = np.clip(steps, -_LARGEST, _LARGEST).astype(np.int16)
    return np.concatenate([blocks[:row], old])
