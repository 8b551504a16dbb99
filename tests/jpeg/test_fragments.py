"""S10: short pictures are whole, and short packets without a scan are fragments."""

from __future__ import annotations

import numpy as np
import pytest
from pictures import encode_pixels, without

from mjpeg_restore.errors import BadJpeg
from mjpeg_restore.jpeg import HeaderWalk, Splitter, is_fragment, read, scan, split
from mjpeg_restore.jpeg.segments import APP0, DHT
from mjpeg_restore.jpeg.tables import STANDARD_DHT


def tiny(level: int) -> bytes:
    """A gray picture of 8x8 without Huffman tables and JFIF: about 100 bytes."""
    return without(encode_pixels(np.full((8, 8, 3), level, np.uint8), "gray", quality=75), DHT, APP0)


@pytest.mark.parametrize("level", range(0, 160, 20))
def test_s10_a_short_picture_is_no_fragment(level: int, either_reader: str) -> None:
    data = tiny(level)
    assert len(data) < 128
    assert not is_fragment(data)
    assert list(split(data)) == [(0, len(data))]
    picture = read(data)
    mean = 128 + int(picture.coefficients[0][0, 0, 0]) * int(picture.tables[0][0]) / 8
    assert abs(mean - level) <= 4


def test_s10_short_pictures_in_a_stream() -> None:
    pictures = [tiny(level) for level in range(0, 160, 20)]
    splitter = Splitter()
    stream = b"".join(pictures)
    found = [piece for k in range(0, len(stream), 7) for _, piece in splitter.feed(stream[k : k + 7])]
    assert found == pictures
    assert [len(HeaderWalk()(data).pictures) for data in pictures] == [1] * 8


@pytest.mark.parametrize(
    "fragment",
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
def test_s10_a_short_packet_without_a_scan_is_a_fragment(fragment: bytes) -> None:
    assert is_fragment(fragment)
    with pytest.raises(BadJpeg):
        scan(fragment)


def test_s10_a_long_packet_is_no_fragment() -> None:
    assert not is_fragment(bytes(128))
    assert not is_fragment(encode_pixels(np.zeros((64, 64, 3), np.uint8))[:128])
