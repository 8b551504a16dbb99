"""B1: flat pictures of few bytes are accepted in every coding; headers that claim more than their bytes are refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pictures import encode_pixels

from mjpeg_restore.errors import TooLarge, UnsupportedJpeg
from mjpeg_restore.frames import CodedPicture
from mjpeg_restore.jpeg import read, scan
from tests.lacking import needs_native_arithmetic, needs_native_walk

CODINGS: dict[str, dict[str, Any]] = {
    "baseline": {},
    "optimised": {"optimize": True},
    "progressive": {"progressive": True},
    "progressive, restart markers": {"progressive": True, "restart_marker_rows": 4},
    "arithmetic": {"flags": ["+ARITH_CODE"]},
    "progressive arithmetic": {"flags": ["+ARITH_CODE", "+PROGRESSIVE_MODE"]},
}


def flat(level: int, size: tuple[int, int]) -> NDArray[np.uint8]:
    return np.full((size[1], size[0], 3), level, np.uint8)


def levels(picture: CodedPicture) -> set[int]:
    """The mean levels of the blocks of luma, in pixels."""
    return {
        round(128 + dc * int(picture.tables[0][0]) / 8) for dc in np.unique(picture.coefficients[0][..., 0]).tolist()
    }


@pytest.mark.parametrize("size", [(640, 480), (1280, 960), (163, 117)])
@pytest.mark.parametrize(
    "coding", [pytest.param(name, marks=needs_native_arithmetic) if "arith" in name else name for name in CODINGS]
)
# Of level 128 every coefficient is 0, as in a picture that is cut off: only the walk through its scan tells them apart.
@pytest.mark.parametrize("level", [0, 255, pytest.param(128, marks=needs_native_walk)])
def test_flat_pictures_of_every_coding(coding: str, size: tuple[int, int], level: int) -> None:
    data = encode_pixels(flat(level, size), "4:2:0", quality=75, **CODINGS[coding])
    for packet in (data, data[:-2]):
        picture = read(packet)
        assert picture.damage is None
        assert (picture.width, picture.height) == size
        assert all(abs(found - level) <= 4 for found in levels(picture))
        assert not any(plane[..., 1:].any() for plane in picture.coefficients)


@needs_native_arithmetic
@pytest.mark.parametrize("coding", ["arithmetic", "progressive arithmetic"])
def test_arithmetic_coding_needs_next_to_no_bytes_for_flat_pictures(coding: str) -> None:
    data = encode_pixels(flat(0, (1280, 960)), "4:2:0", quality=75, **CODINGS[coding])
    assert len(data) < 700
    assert scan(data).arithmetic
    assert levels(read(data)) == {0}


@pytest.mark.parametrize("sampling", ["gray", "4:4:4", "4:2:2"])
def test_flat_progressive_pictures_of_every_sampling(sampling: str, either_reader: str) -> None:
    picture = read(encode_pixels(flat(0, (640, 480)), sampling, quality=75, progressive=True))
    assert picture.damage is None
    assert levels(picture) == {0}


@pytest.mark.parametrize(
    ("options", "size"),
    [
        ({}, (8000, 7000)),
        ({"optimize": True}, (8000, 7000)),
        ({"progressive": True}, (8000, 7000)),
        ({"flags": ["+ARITH_CODE"]}, (60000, 60000)),
        ({}, (60000, 60000)),
    ],
)
def test_b1_bombs_are_refused_by_their_header(options: dict[str, Any], size: tuple[int, int]) -> None:
    data = encode_pixels(flat(0, (16, 16)), **{"quality": 75, **options})
    header = scan(data)
    width, height = size
    bomb = (
        data[: header.size_offset]
        + height.to_bytes(2, "big")
        + width.to_bytes(2, "big")
        + data[header.size_offset + 4 :]
    )
    with pytest.raises((TooLarge, UnsupportedJpeg)):
        read(bomb)
