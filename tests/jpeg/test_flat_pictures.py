"""B1, S10: pictures that take next to no bytes are pictures: flat ones of any coding, and the smallest there are."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pictures import encode_pixels, without

from mjpeg_restore.errors import BadJpeg, TooLarge, UnsupportedJpeg
from mjpeg_restore.frames import CodedPicture
from mjpeg_restore.jpeg import HeaderWalk, Splitter, is_fragment, read, reader, scan, split
from mjpeg_restore.jpeg.segments import APP0, DHT
from mjpeg_restore.jpeg.tables import STANDARD_DHT

needs_native = pytest.mark.skipif(reader.native_version is None, reason="the native reader was not built")
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
@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("level", [0, 255, 128])
def test_flat_pictures_of_every_coding(coding: str, size: tuple[int, int], level: int) -> None:
    options = CODINGS[coding]
    if "+ARITH_CODE" in options.get("flags", ()) and not reader.native_arithmetic:
        pytest.skip("this reader cannot decode arithmetic coding")
    data = encode_pixels(flat(level, size), "4:2:0", quality=75, **options)
    for packet in (data, data[:-2]):
        picture = read(packet)
        assert picture.damage is None
        assert (picture.width, picture.height) == size
        assert all(abs(found - level) <= 4 for found in levels(picture))
        assert not any(plane[..., 1:].any() for plane in picture.coefficients)


@needs_native
@pytest.mark.parametrize("coding", ["arithmetic", "progressive arithmetic"])
def test_arithmetic_codes_next_to_nothing_with_nothing(coding: str) -> None:
    data = encode_pixels(flat(0, (1280, 960)), "4:2:0", quality=75, **CODINGS[coding])
    assert len(data) < 700
    assert scan(data).arithmetic
    assert levels(read(data)) == {0}


@pytest.mark.parametrize("sampling", ["gray", "4:4:4", "4:2:2"])
def test_flat_progressive_pictures_of_every_sampling(sampling: str, either_reader: str) -> None:
    picture = read(encode_pixels(flat(0, (640, 480)), sampling, quality=75, progressive=True))
    assert picture.damage is None
    assert levels(picture) == {0}


def tiny(level: int) -> bytes:
    """8x8, gray, without Huffman tables and JFIF: 98 bytes and a few."""
    return without(encode_pixels(flat(level, (8, 8)), "gray", quality=75), DHT, APP0)


@pytest.mark.parametrize("level", range(0, 160, 20))
def test_s10_a_whole_picture_is_one_however_short(level: int, either_reader: str) -> None:
    data = tiny(level)
    assert len(data) < 128
    assert not is_fragment(data)
    assert list(split(data)) == [(0, len(data))]
    (found,) = levels(read(data))
    assert abs(found - level) <= 4


def test_s10_short_pictures_in_a_stream() -> None:
    pictures = [tiny(level) for level in range(0, 160, 20)]
    splitter = Splitter()
    stream = b"".join(pictures)
    found = [piece for k in range(0, len(stream), 7) for _, piece in splitter.feed(stream[k : k + 7])]
    assert found == pictures
    assert [len(HeaderWalk()(data).pictures) for data in pictures] == [1] * 8


@pytest.mark.parametrize(
    "scrap",
    [
        b"",
        b"\xff",
        b"\xff\xd8",
        b"\xff\xd8\xff\xd9",
        bytes(127),
        b"\xff\xd8\xff\xfe\0\4ab\xff\xd9",
        tiny(20)[:80],
        STANDARD_DHT[:127],
    ],
)
def test_s10_what_has_no_scan_is_a_scrap(scrap: bytes) -> None:
    assert is_fragment(scrap)
    with pytest.raises(BadJpeg):
        scan(scrap)


def test_s10_what_is_long_is_no_scrap() -> None:
    assert not is_fragment(bytes(128))
    assert not is_fragment(encode_pixels(flat(0, (64, 64)))[:128])


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
