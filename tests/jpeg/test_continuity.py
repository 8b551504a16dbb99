"""Levels that jump in the middle of a row, and all that must not be taken for it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from pictures import SAMPLINGS, encode

from mjpeg_restore.frames import CodedPicture
from mjpeg_restore.jpeg import jump, read, repair

SIZE = (320, 240)


def shifted(picture: CodedPicture, component: int, start: int, steps: int, stop: int | None = None) -> CodedPicture:
    """The picture with the DC of a component off by `steps`, from one MCU, in the order of the scan, to another."""
    planes = [plane.copy() for plane in picture.coefficients]
    high, wide, _ = planes[-1].shape
    off = np.zeros(high * wide, np.int16)
    off[start:stop] = steps
    level = planes[component][..., 0]
    down, across = -(-level.shape[0] // high), -(-level.shape[1] // wide)
    level += off.reshape(high, wide).repeat(down, 0).repeat(across, 1)[: level.shape[0], : level.shape[1]]
    return replace(picture, coefficients=tuple(planes))


def a_noise(picture: CodedPicture, seed: int) -> CodedPicture:
    """What the same scene gives a moment later: some DC one step away."""
    rng = np.random.default_rng(seed)
    planes = [plane.copy() for plane in picture.coefficients]
    for plane in planes:
        plane[..., 0] += rng.integers(-1, 2, plane.shape[:2], np.int16) * (rng.random(plane.shape[:2]) < 0.2)
    return replace(picture, coefficients=tuple(planes))


@pytest.mark.parametrize("component", [0, 2])
@pytest.mark.parametrize("sampling", SAMPLINGS)
def test_s11_levels_that_jump_within_a_row_are_damage(sampling: str, component: int) -> None:
    before = read(encode(sampling, SIZE, quality=75))
    component = min(component, len(before.coefficients) - 1)
    high, wide, _ = before.coefficients[-1].shape
    steps = int(120 / before.tables[component][0]) + 1  # 15 levels
    for row in (0, high // 2, high - 2):
        off = shifted(a_noise(before, row), component, row * wide + wide // 2, steps)
        damage = jump(off, before)
        assert damage is not None
        assert (damage.first_bad_row, damage.rows) == (row, high)
        mended = repair(replace(off, damage=damage), before)
        assert mended is not None
        assert jump(mended, before) is None


def test_s11_what_a_camera_may_see_is_no_damage() -> None:
    before = read(encode("4:2:0", SIZE, quality=75))
    high, wide, _ = before.coefficients[-1].shape
    steps = int(120 / before.tables[0][0]) + 1
    assert jump(before, before) is None
    assert jump(a_noise(before, 1), before) is None
    assert jump(shifted(before, 0, 0, steps), before) is None  # the light goes on
    assert jump(shifted(before, 0, high // 2 * wide, steps), before) is None  # while the shutter rolls
    assert jump(shifted(before, 0, high // 4 * wide, steps, high // 2 * wide), before) is None  # a band of light
    assert jump(read(encode("4:2:0", SIZE, seed=5, quality=75)), before) is None  # another noise
    other = read(encode("4:2:0", SIZE, quality=30))
    assert jump(other, before) is None  # another table (Q1)


def test_s11_nothing_is_compared_with_what_is_another_picture() -> None:
    before = read(encode("4:2:0", SIZE, quality=75))
    off = shifted(before, 0, 7 * 20 + 10, 40)
    assert jump(off, before) is not None
    assert jump(off, read(encode("4:2:0", (160, 240), quality=75))) is None
    damaged = read(encode("4:2:0", SIZE, quality=75)[:6000])
    assert damaged.damage is not None
    assert jump(off, damaged) is None
