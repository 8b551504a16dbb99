from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from pictures import encode

from mjpeg_restore.frames import CodedPicture, Colour
from mjpeg_restore.jpeg import read, repair


@pytest.fixture
def cut() -> CodedPicture:
    """A picture whose lower half is missing."""
    data = encode()
    picture = read(data[: len(data) * 2 // 3])
    assert picture.damage is not None
    return picture


def test_a_whole_picture_is_returned_as_it_is() -> None:
    picture = read(encode())
    assert repair(picture, None) is picture


def test_s2_other_tables_are_requantised(cut: CodedPicture) -> None:
    before = read(encode(seed=1, quality=20))
    repaired = repair(cut, before)
    assert repaired is not None
    assert cut.damage is not None
    assert repaired.damage is None
    assert repaired.tables is cut.tables
    assert "picture before" in repaired.warnings[-1]
    for component, ours in enumerate(repaired.coefficients):
        row = cut.damage.first_bad_row * (1 if component else 2)
        np.testing.assert_array_equal(ours[:row], cut.coefficients[component][:row])
        new = ours[row:] * cut.tables[component].astype(float)
        old = before.coefficients[component][row:] * before.tables[component].astype(float)
        assert (np.abs(new - old) <= cut.tables[component] / 2).all()
        assert ours.dtype == np.int16


def test_nothing_to_take_the_rows_from(cut: CodedPicture) -> None:
    before = read(encode(seed=1))
    assert repair(cut, None) is None
    assert repair(cut, cut) is None
    assert repair(cut, read(encode(size=(163, 116)))) is None
    assert repair(cut, read(encode("4:4:4"))) is None
    assert repair(cut, replace(before, colour=Colour(swapped_chroma=True))) is None
    assert repair(cut, before) is not None


def test_the_damaged_picture_is_not_changed(cut: CodedPicture) -> None:
    copies = [plane.copy() for plane in cut.coefficients]
    repair(cut, read(encode(seed=1)))
    for plane, copy in zip(cut.coefficients, copies, strict=True):
        np.testing.assert_array_equal(plane, copy)
