"""S11: DC levels that jump in the middle of a row are damage; changes of the scene are not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from pictures import SAMPLINGS, encode

from mjpeg_restore.frames import CodedPicture
from mjpeg_restore.jpeg import find_dc_jump, read, repair

SIZE = (320, 240)


def shifted(picture: CodedPicture, component: int, start: int, steps: int, stop: int | None = None) -> CodedPicture:
    """The picture with the DC of a component shifted by `steps`, between two MCUs in the order of the scan."""
    planes = [plane.copy() for plane in picture.coefficients]
    high, wide, _ = planes[-1].shape
    off = np.zeros(high * wide, np.int16)
    off[start:stop] = steps
    level = planes[component][..., 0]
    down, across = -(-level.shape[0] // high), -(-level.shape[1] // wide)
    level += off.reshape(high, wide).repeat(down, 0).repeat(across, 1)[: level.shape[0], : level.shape[1]]
    return replace(picture, coefficients=tuple(planes))


def noisy(picture: CodedPicture, seed: int) -> CodedPicture:
    """The same scene a moment later: some DC values are one step away."""
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
        off = shifted(noisy(before, row), component, row * wide + wide // 2, steps)
        damage = find_dc_jump(off, before)
        assert damage is not None
        assert (damage.first_bad_row, damage.rows) == (row, high)
        repaired = repair(replace(off, damage=damage), before)
        assert repaired is not None
        assert find_dc_jump(repaired, before) is None


def test_s11_changes_of_the_scene_are_no_damage() -> None:
    before = read(encode("4:2:0", SIZE, quality=75))
    high, wide, _ = before.coefficients[-1].shape
    steps = int(120 / before.tables[0][0]) + 1
    assert find_dc_jump(before, before) is None
    assert find_dc_jump(noisy(before, 1), before) is None
    assert find_dc_jump(shifted(before, 0, 0, steps), before) is None  # the light goes on
    assert find_dc_jump(shifted(before, 0, high // 2 * wide, steps), before) is None  # while the shutter rolls
    band = shifted(before, 0, high // 4 * wide, steps, high // 2 * wide)  # of light
    assert find_dc_jump(band, before) is None
    assert find_dc_jump(read(encode("4:2:0", SIZE, seed=5, quality=75)), before) is None  # another noise
    other = read(encode("4:2:0", SIZE, quality=30))
    assert find_dc_jump(other, before) is None  # another table (Q1)


def test_s11_pictures_of_other_sizes_and_damaged_ones_are_no_reference() -> None:
    before = read(encode("4:2:0", SIZE, quality=75))
    off = shifted(before, 0, 7 * 20 + 10, 40)
    assert find_dc_jump(off, before) is not None
    assert find_dc_jump(off, read(encode("4:2:0", (160, 240), quality=75))) is None
    damaged = read(encode("4:2:0", SIZE, quality=75)[:6000])
    assert damaged.damage is not None
    assert find_dc_jump(off, damaged) is None
