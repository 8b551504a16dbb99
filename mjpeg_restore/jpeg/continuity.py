"""A flipped bit that decodes into sound codes: seen by what it does to the levels, beside the picture before (S11).

DC is coded as the difference to the block before. Where a bit of it flips, or a few bytes go on to decode into just as
many blocks, all levels from there to the end of the picture are off by one and the same amount. In front of a camera
that stands still the picture before tells: up to some block in the middle of a row nothing has changed, from there on
everything has, by as much. Nothing in front of a camera does that: light that comes or goes begins with a line.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from mjpeg_restore.frames import CodedPicture, Damage
from mjpeg_restore.jpeg.repair import alike

_LEAST: Final = 5.0
"""Levels by which a picture must be off; what is less is hard to see, and hard to tell from a change of light."""
_AGREEING: Final = 0.85
"""Share of all MCUs that must be as they were or off by that amount: what moves is neither."""
_BESIDE: Final = 3
"""MCUs to the left and to the right of the place, in its row, that must agree."""


def jump(picture: CodedPicture, previous: CodedPicture) -> Damage | None:
    """Find the row from which on the levels of a picture are off.

    Args:
        picture: as read, without damage that is known.
        previous: the picture before, sound or repaired.

    Returns:
        The damage, or None where there is none of this kind, or nothing to compare the picture with.
    """
    if previous.damage is not None or not alike(picture, previous):
        return None
    high, wide = picture.coefficients[-1].shape[:2]
    parts = zip(picture.coefficients, picture.tables, previous.coefficients, previous.tables, strict=True)
    for blocks, table, old_blocks, old_table in parts:
        # The end first: it is off in every picture that is, and in nearly no other.
        off = _median(_change(blocks[-1:], table, old_blocks[-1:], old_table))
        if abs(off) < _LEAST:
            continue
        change = _by_mcu(_change(blocks, table, old_blocks, old_table), high, wide)
        row = _first_row(change, off)
        if row is not None:
            return Damage(row, high, f"levels are off by {off:+.0f} from the middle of a row on")
    return None


def _median(values: NDArray[np.float32]) -> float:
    """The lower median; `np.median` takes ten times as long for the last row of blocks, in every picture."""
    return float(np.sort(values, axis=None)[(values.size - 1) // 2])


def _change(
    blocks: NDArray[np.int16], table: NDArray[np.uint16], old_blocks: NDArray[np.int16], old_table: NDArray[np.uint16]
) -> NDArray[np.float32]:
    """By how many levels the mean of each block has changed."""
    return _levels(blocks, table) - _levels(old_blocks, old_table)


def _levels(blocks: NDArray[np.int16], table: NDArray[np.uint16]) -> NDArray[np.float32]:
    levels = blocks[..., 0].astype(np.float32)
    levels *= float(table[0]) / 8
    return levels


def _by_mcu(change: NDArray[np.float32], high: int, wide: int) -> NDArray[np.float32]:
    """The mean over the blocks of each MCU: `[high, wide]`."""
    down, across = -(-change.shape[0] // high), -(-change.shape[1] // wide)
    missing = ((0, high * down - change.shape[0]), (0, wide * across - change.shape[1]))
    whole = np.pad(change, missing, mode="edge")
    return whole.reshape(high, down, wide, across).mean(axis=(1, 3))


def _first_row(change: NDArray[np.float32], off: float) -> int | None:
    high, wide = change.shape
    kept = (np.abs(change) < abs(off) / 3).ravel()
    moved = (np.abs(change - off) < abs(off) / 3).ravel()
    # Up to each MCU those that are as they were, and from it on those that are off.
    agreeing = np.concatenate([[0], np.cumsum(kept)]) + np.concatenate([np.cumsum(moved[::-1])[::-1], [0]])
    place = int(agreeing.argmax())
    row, column = divmod(place, wide)
    if agreeing[place] < _AGREEING * high * wide or not _BESIDE <= column <= wide - _BESIDE:
        return None
    if not (moved[place : place + _BESIDE].all() and kept[place - column : place].sum() >= _BESIDE):
        return None
    while place > 0 and not kept[place - 1]:
        place -= 1
    return min(row, place // wide)
