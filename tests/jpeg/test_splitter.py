from __future__ import annotations

import inspect
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pictures import encode, insert, segment

from mjpeg_restore.jpeg import Splitter, scan, split
from mjpeg_restore.jpeg.segments import APP0, DHT, DQT, loose_tables, segments

PICTURES = [encode(size=(32, 24), seed=seed, restart_marker_blocks=seed) for seed in range(4)]
SOF0 = 0xC0
FOREIGN = [
    b"",
    b"\r\n--boundary\r\nContent-Type: image/jpeg\r\n\r\n",
    b"\0" * 7,
    b"\xff\xd9",
    b"\xff\xd8",
    b"\xff",
]


def feed(data: bytes, size: int, splitter: Splitter) -> list[tuple[int, bytes]]:
    """All pictures that a splitter returns when `data` arrive in pieces of `size` bytes."""
    found = [item for k in range(0, len(data), size) for item in splitter.feed(data[k : k + size])]
    return found + splitter.flush()


@given(
    parts=st.lists(st.tuples(st.sampled_from(FOREIGN), st.sampled_from(PICTURES)), max_size=5),
    tail=st.sampled_from(FOREIGN),
    size=st.integers(1, 3000),
)
def test_concatenated_pictures_come_back(parts: list[tuple[bytes, bytes]], tail: bytes, size: int) -> None:
    data = b"".join(foreign + picture for foreign, picture in parts) + tail
    pictures = [picture for _, picture in parts]
    assert [data[start:end].lstrip(b"\xff\xd8") for start, end in split(data)] == [
        picture.lstrip(b"\xff\xd8") for picture in pictures
    ]
    assert [(offset, offset + len(picture)) for offset, picture in feed(data, size, Splitter())] == list(split(data))


@given(data=st.binary(max_size=300), size=st.integers(1, 50), picture=st.sampled_from(PICTURES))
def test_pieces_make_no_difference(data: bytes, size: int, picture: bytes) -> None:
    data = data + picture[: len(data) * 7] + data + picture + data
    found = feed(data, size, Splitter())
    assert [(offset, offset + len(piece)) for offset, piece in found] == list(split(data))
    assert all(data[offset : offset + len(piece)] == piece for offset, piece in found)


def test_s1_next_picture_ends_one_without_eoi() -> None:
    first, second = PICTURES[0][:-2], PICTURES[1]
    assert list(split(first + second)) == [(0, len(first)), (len(first), len(first) + len(second))]
    assert feed(first + second, 100, Splitter()) == [(0, first), (len(first), second)]


def test_s1_last_picture_without_eoi_comes_with_the_end() -> None:
    splitter = Splitter()
    assert splitter.feed(PICTURES[0][:-2]) == []
    assert splitter.flush() == [(0, PICTURES[0][:-2])]
    assert splitter.flush() == []


def test_a_picture_is_returned_with_its_last_byte() -> None:
    splitter = Splitter()
    assert splitter.feed(PICTURES[0][:-1]) == []
    assert splitter.feed(PICTURES[0][-1:]) == [(0, PICTURES[0])]


def test_h4_thumbnails_do_not_split() -> None:
    nested = insert(PICTURES[0], segment(APP0 + 1, b"Exif\0\0" + PICTURES[1]))
    assert feed(nested * 2, 64, Splitter()) == [(0, nested), (len(nested), nested)]


@pytest.mark.parametrize("marker", [APP0, DQT, SOF0, DHT])
def test_s11_a_wrong_length_near_the_end_costs_one_picture(marker: int) -> None:
    broken = bytearray(PICTURES[0])
    broken[next(found.offset for found in segments(broken, 0) if found.marker == marker) + 2] = 0x7F
    data = PICTURES[1] + bytes(broken) + b"".join(PICTURES)
    found = [picture for _, picture in feed(data, 100, Splitter())]
    assert found == [PICTURES[1], *PICTURES]
    assert scan(bytes(broken) + PICTURES[3]).start == len(broken)
    assert loose_tables(bytes(broken) + PICTURES[3]) == scan(PICTURES[3]).tables


def test_too_long_a_picture_is_dropped() -> None:
    head = PICTURES[0][:-2]
    for size in (50, 100_000):
        splitter = Splitter(max_picture_bytes=2000)
        data = PICTURES[1] + head + b"\x11" * 5000 + b"\xff\xd9" + PICTURES[2]
        assert [picture for _, picture in feed(data, size, splitter)] == [PICTURES[1], PICTURES[2]]
        assert splitter.dropped == 1


def test_memory_is_bounded() -> None:
    splitter = Splitter(max_picture_bytes=2000)
    noise, long = b"\xff\xd8 nothing " * 100, PICTURES[0][:-2] + b"\x11" * 2000
    own = tracemalloc.Filter(True, inspect.getfile(Splitter))  # whatever the process's other threads hold
    tracemalloc.start()
    try:
        for _ in range(100):  # 400 kB in all
            assert splitter.feed(noise) == []
            assert splitter.feed(long) == []
        held = tracemalloc.take_snapshot().filter_traces([own])
    finally:
        tracemalloc.stop()
    assert sum(trace.size for trace in held.traces) < 8000
    assert splitter.flush() == []
