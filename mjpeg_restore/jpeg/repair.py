"""Repair of damaged pictures: their missing rows are taken from the previous picture (S2)."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mjpeg_restore.frames import CodedPicture, Sampling
from mjpeg_restore.jpeg.reference import is_reference

_LARGEST: Final = 2047
"""The largest quantised coefficient of an 8-bit JPEG."""


def repair(picture: CodedPicture, previous: CodedPicture | None) -> CodedPicture | None:
    """Fill the damaged rows of a picture with those of the previous picture (S2).

    Coefficients are copied; where the quantisation tables differ (Q1) they are requantised.

    Args:
        picture: the picture as read.
        previous: the previous picture, read or repaired.

    Returns:
        A picture without `damage`, and with a note in `warnings`; `picture` itself if it has no damage. None where
        `previous` is missing or damaged, or of another size, sampling or colour.
    """
    damage = picture.damage
    if damage is None:
        return picture
    if previous is None or not is_reference(previous, picture):
        return None
    down = 1 if picture.sampling is Sampling.GRAY else picture.sampling.value[1]
    parts = zip(picture.coefficients, picture.tables, previous.coefficients, previous.tables, strict=True)
    coefficients = tuple(
        _fill(blocks, table, old_blocks, old_table, damage.first_bad_row * (1 if part else down))
        for part, (blocks, table, old_blocks, old_table) in enumerate(parts)
    )
    note = f"MCU rows {damage.first_bad_row} to {damage.rows - 1} are those of the picture before"
    return replace(picture, coefficients=coefficients, damage=None, warnings=(*picture.warnings, note))


def _fill(
    blocks: NDArray[np.int16],
    table: NDArray[np.uint16],
    old_blocks: NDArray[np.int16],
    old_table: NDArray[np.uint16],
    row: int,
) -> NDArray[np.int16]:
    """`blocks` above block row `row`, and from that row on the old ones, requantised to `table`."""
    old = old_blocks[row:]
    if not np.array_equal(table, old_table):
        steps = np.rint(old * (old_table / table))
        old = np.clip(steps, -_LARGEST, _LARGEST).astype(np.int16)
    return np.concatenate([blocks[:row], old])
