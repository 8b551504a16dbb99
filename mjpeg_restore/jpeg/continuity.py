"""Finds flipped bits that decode to valid codes, by the jump of DC levels against the previous picture (S11).

DC is coded as the difference to the previous block. If one of its bits flips, or if wrong bytes decode to the right
number of blocks, all levels from there to the end of the picture are shifted by one amount. With a fixed camera the
previous picture shows it: the levels are unchanged up to a block in the middle of a row, and shifted from there on. No
scene does that: a change of light begins with a row.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from mjpeg_restore.frames import CodedPicture, Damage
from mjpeg_restore.jpeg.reference import is_reference

_MIN_SHIFT: Final = 5.0
"""Minimum shift, in pixel levels; smaller ones are hardly visible, and may be changes of light."""
_AGREEING: Final = 0.85
"""Share of all MCUs that must be unchanged above the jump or shifted below it; moving objects are neither."""
_CONTEXT_MCUS: Final = 3
"""MCUs on both sides of the jump, in its row, that must be unchanged or shifted."""


def find_dc_jump(picture: CodedPicture, previous: CodedPicture) -> Damage | None:
    """Find the row from which on the DC levels of a picture are shifted.

    Args:
        picture: the picture as read, without known damage.
        previous: the previous picture, sound or repaired.

    Returns:
        The damage; None without a jump, or where `previous` is damaged or of another size, sampling or colour.
    """
    if not is_reference(previous, picture):
        return None
    high, wide = picture.coefficients[-1].shape[:2]
    parts = zip(picture.coefficients, picture.tables, previous.coefficients, previous.tables, strict=True)
    for blocks, table, old_blocks, old_table in parts:
        # The last row first: it is shifted in every picture with a jump, and hardly in any other.
        off = _median(_change(blocks[-1:], table, old_blocks[-1:], old_table))
        if abs(off) < _MIN_SHIFT:
            continue
        change = _by_mcu(_change(blocks, table, old_blocks, old_table), high, wide)
        row = _first_row(change, off)
        if row is not None:
            return Damage(row, high, f"levels are off by {off:+.0f} from the middle of a row on")
    return None


def _median(values: NDArray[np.float32]) -> float:
    """The lower median. `np.median` takes ten times as long for a row of blocks, and this runs for every picture."""
    return float(np.sort(values, axis=None)[(values.size - 1) // 2])


def _change(
    blocks: NDArray[np.int16], table: NDArray[np.uint16], old_blocks: NDArray[np.int16], old_table: NDArray[np.uint16]
) -> NDArray[np.float32]:
    """The change of each block's mean, in levels: float32 `[blocks_high, blocks_wide]`."""
    return _levels(blocks, table) - _levels(old_blocks, old_table)


def _levels(blocks: NDArray[np.int16], table: NDArray[np.uint16]) -> NDArray[np.float32]:
    """The mean of each block in levels, minus 128: an eighth of the dequantised DC."""
    levels = blocks[..., 0].astype(np.float32)
    levels *= float(table[0]) / 8
    return levels


def _by_mcu(change: NDArray[np.float32], high: int, wide: int) -> NDArray[np.float32]:
    """The mean over the blocks of each MCU: float32 `[high, wide]`."""
    down, across = -(-change.shape[0] // high), -(-change.shape[1] // wide)
    missing = ((0, high * down - change.shape[0]), (0, wide * across - change.shape[1]))
    whole = np.pad(change, missing, mode="edge")
    return whole.reshape(high, down, wide, across).mean(axis=(1, 3))


def _first_row(change: NDArray[np.float32], off: float) -> int | None:
    """The row of MCUs in which the levels jump by `off`; None where the changes are of another kind."""
    high, wide = change.shape
    kept = (np.abs(change) < abs(off) / 3).ravel()
    moved = (np.abs(change - off) < abs(off) / 3).ravel()
    # For each MCU: how many are unchanged in front of it, plus how many are shifted from it on.
    agreeing = np.concatenate([[0], np.cumsum(kept)]) + np.concatenate([np.cumsum(moved[::-1])[::-1], [0]])
    place = int(agreeing.argmax())
    row, column = divmod(place, wide)
    if agreeing[place] < _AGREEING * high * wide or not _CONTEXT_MCUS <= column <= wide - _CONTEXT_MCUS:
        return None
    if not (moved[place : place + _CONTEXT_MCUS].all() and kept[place - column : place].sum() >= _CONTEXT_MCUS):
        return None
    while place > 0 and not kept[place - 1]:
        place -= 1
    return min(row, place // wide)
