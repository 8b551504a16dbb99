from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pictures import change_marker, encode, insert, patch_frame, segment, without

from mjpeg_restore.errors import BadJpeg, JpegError
from mjpeg_restore.frames import Colour, Sampling
from mjpeg_restore.jpeg import JpegHeader, read, scan
from mjpeg_restore.jpeg.segments import COM, DQT, DRI, SOS, segments

PICTURES = [
    encode(),
    encode("gray", restart_marker_blocks=5),
    encode("4:4:4", progressive=True),
    insert(encode("4:2:2"), segment(COM, b"a comment"), segment(0xE1, b"Exif\0\0MM\0\x2a" + bytes(20))),
]


def test_header_of_a_packet() -> None:
    data = b"junk" + insert(encode(restart_marker_blocks=3), segment(COM, b"hello\0")) + b"more"
    header = scan(data)
    assert header == JpegHeader(
        start=4,
        end=len(data) - 4,
        stop=len(data) - 4,
        size_offset=data.index(b"\xff\xc0") + 5,
        scan_offset=data.index(b"\xff\xda"),
        width=163,
        height=117,
        sampling=Sampling.YUV420,
        factors=((2, 2), (1, 1), (1, 1)),
        component_ids=(1, 2, 3),
        table_ids=(0, 1, 1),
        progressive=False,
        arithmetic=False,
        scans=1,
        restart_interval=3,
        has_eoi=True,
        tables=header.tables,
        missing_tables=(),
        missing_huffman=(),
        front=b"",
        wide_tables=False,
        zero_steps=False,
        avi1_polarity=None,
        field_order=None,
        orientation=1,
        colour=Colour(),
    )
    assert header.tables.count(b"\xff\xdb\0\x43") == 2
    assert "tables=b" not in repr(header)


def test_tables_alone_are_passed_over() -> None:
    data = encode()
    tables = b"\xff\xd8" + scan(data).tables + b"\xff\xd9"
    assert scan(tables + data).start == len(tables)
    assert scan(b"\xff\xd8" + data).start == 2
    with pytest.raises(BadJpeg, match="breaks off"):
        scan(tables)


def test_errors_name_the_offset() -> None:
    data = encode()
    frame = data.index(b"\xff\xc0")
    with pytest.raises(BadJpeg, match=f"at byte {frame + 7}") as caught:
        scan(b"garbage" + patch_frame(data, 3, b"\0\0"))
    assert caught.value.offset == frame + 7


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (patch_frame(encode(), 7, b"\x50"), "sampling factor"),
        (patch_frame(encode(), 8, b"\x04"), "not 0 to 3"),
        (patch_frame(encode(), 5, b"\x05"), "too short"),
        (patch_frame(encode(), 5, b"\x00"), "too short"),
        (insert(encode(), segment(0xC0, b"")), "too short"),
        (insert(encode(), segment(0xC0, bytes([8, 0, 9, 0, 9, 1, 1, 0x11, 0]))), "second frame"),
        (without(encode(), 0xC0), "before the frame header"),
        (insert(encode(), segment(DQT, bytes(10))), "quantisation table"),
        (insert(encode(), segment(DQT, b"\x07" + bytes(64))), "quantisation table"),
        (insert(encode(), b"\xff\x3a"), "FF3A"),
        (change_marker(encode(), 0xC0, 0xC8), "FFC8"),
        (encode()[:300], "breaks off"),
    ],
)
def test_broken_headers(data: bytes, words: str) -> None:
    with pytest.raises(BadJpeg, match=words):
        scan(data)


def test_broken_segments_after_the_header_are_left_to_the_reader() -> None:
    data = encode(progressive=True)
    end = [found for found in segments(data, 0) if found.marker == SOS][-1].offset
    assert scan(data[:end] + segment(DRI, b"\0\5") + segment(SOS, b"") + data[end:]).scans == scan(data).scans + 1


def test_a_large_picture_is_walked_within_10_ms() -> None:
    data = encode(size=(1920, 1080), quality=85)
    assert len(data) > 300_000
    times = []
    for _ in range(5):
        begin = time.perf_counter()
        scan(data)
        times.append(time.perf_counter() - begin)
    assert min(times) < 0.01  # about 0.2 ms; a loop over bytes would take 20


def only_jpeg_errors(data: bytes) -> None:
    """Any bytes give a picture or a `JpegError`."""
    try:
        header = scan(data)
        picture = read(data, header=header)
    except JpegError as error:
        assert "\n" not in str(error)
    else:
        assert 0 <= header.start < header.stop <= header.end <= len(data)
        assert (picture.width, picture.height) == (header.width, header.height)
        assert picture.damage is None or 0 <= picture.damage.first_bad_row < picture.damage.rows


@given(data=st.binary(max_size=400))
def test_random_bytes(data: bytes) -> None:
    only_jpeg_errors(data)
    only_jpeg_errors(b"\xff\xd8\xff" + data)


@given(data=st.sampled_from(PICTURES), cut=st.floats(0, 1))
def test_random_truncation(data: bytes, cut: float) -> None:
    only_jpeg_errors(data[: int(len(data) * cut)])


@settings(max_examples=300)
@given(
    data=st.sampled_from(PICTURES),
    flips=st.lists(st.tuples(st.integers(0, 700) | st.integers(0, 4000), st.integers(0, 255)), max_size=8),
)
def test_random_changes(data: bytes, flips: list[tuple[int, int]]) -> None:
    changed = bytearray(data)
    for position, value in flips:
        changed[position % len(data)] = value
    only_jpeg_errors(bytes(changed))


@given(data=st.sampled_from(PICTURES), start=st.integers(0, 3000), length=st.integers(1, 200))
def test_random_gaps(data: bytes, start: int, length: int) -> None:
    only_jpeg_errors(data[:start] + data[start + length :])
