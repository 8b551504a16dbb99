"""Multipart streams as cameras send them; the rows are those of docs/quirks.md."""

from __future__ import annotations

import time
from collections.abc import Sequence
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mjpeg_restore.jpeg.segments import DHT, DQT, segments
from mjpeg_restore.sources.live.multipart import MAX_GAP_BYTES, MultipartReader, PartPicture
from tests.sources.clips import make_jpeg, tables_of

JPEGS = [make_jpeg(number) for number in range(3)]
PREVIEW = make_jpeg(7, 32, 24)
EOI = b"\xff\xd9"


def read(stream: bytes, size: int = 1 << 16, **limits: int) -> list[PartPicture]:
    """All pictures of a stream that arrives in pieces of `size` bytes."""
    reader = MultipartReader(**limits)
    pieces = [stream[at : at + size] for at in range(0, len(stream), size)]
    return [picture for piece in pieces for picture in reader.feed(piece)] + reader.flush()


def pictures(stream: bytes) -> list[bytes]:
    """The pictures' bytes, which do not depend on how the stream arrives."""
    found = read(stream)
    for size in (1, 7, 1000):
        assert read(stream, size) == found
    return [picture.data for picture in found]


def part(
    data: bytes, boundary: str = "--frame", length: int | None = None, type: str = "image/jpeg", end: str = "\r\n"
) -> bytes:
    lines = [boundary, f"Content-Type: {type}", f"Content-Length: {len(data) if length is None else length}", "", ""]
    return end.join(lines).encode() + data + end.encode()


def with_lengths(*lengths: int | None) -> bytes:
    """A stream of `JPEGS` with other lengths stated than their own."""
    return b"".join(part(data, length=length) for data, length in zip(JPEGS, lengths, strict=True))


def polarised(data: bytes, polarity: int) -> bytes:
    """A picture with an AVI1 segment for one field."""
    return data[:2] + b"\xff\xe0\x00\x10AVI1" + bytes([polarity]) + bytes(9) + data[2:]


def test_plain_stream() -> None:
    assert pictures(b"".join(map(part, JPEGS)) + b"--frame--\r\n") == JPEGS


@pytest.mark.parametrize("boundary", ["----frame", "--", "--=_b ou:nd--ary", "--ipcamera; x", "frame"])
def test_m1_m6_any_boundary_serves(boundary: str) -> None:
    assert pictures(b"".join(part(data, boundary) for data in JPEGS)) == JPEGS


def test_m2_no_boundary_in_front() -> None:
    stream = b"".join(map(part, JPEGS))
    headers = stream.index(b"Content-Type")
    picture = stream.index(b"\xff\xd8")
    for start in (headers, picture, headers - 2, picture - 2):
        assert pictures(stream[start:]) == JPEGS
    assert pictures(stream[picture + 10 :]) == JPEGS[1:]


@pytest.mark.parametrize("error", [-500, -2, -1, 1, 2, 3, 500, 10**6, 10**12])
def test_m3_wrong_content_length(error: int) -> None:
    assert pictures(with_lengths(*(max(0, len(data) + error) for data in JPEGS))) == JPEGS


def test_m3_a_length_that_was_true_before_is_wrong() -> None:
    for wrong in (0, 1, 300, len(JPEGS[1]) - 1, len(JPEGS[1]) + 1, len(JPEGS[1]) + 200, 10**6):
        found = pictures(with_lengths(None, wrong, None))
        assert [data.removesuffix(b"\r") for data in found] == JPEGS


def test_m3_true_lengths_save_a_picture_with_broken_markers() -> None:
    # The length of a segment has a flipped bit: its end is beyond the picture's.
    dqt = next(segment for segment in segments(JPEGS[1], 0) if segment.marker == DQT)
    broken = JPEGS[1][: dqt.offset + 2] + b"\x7f" + JPEGS[1][dqt.offset + 3 :]
    assert pictures(part(JPEGS[0]) + part(broken) + part(JPEGS[2])) == [JPEGS[0], broken, JPEGS[2]]


def test_m3_true_lengths_keep_a_picture_with_a_false_eoi_whole() -> None:
    middle = len(JPEGS[1]) - 40
    broken = JPEGS[1][:middle] + EOI + JPEGS[1][middle + 2 :]
    assert pictures(part(JPEGS[0]) + part(broken) + part(JPEGS[2])) == [JPEGS[0], broken, JPEGS[2]]


def test_m4_no_content_length() -> None:
    for end in (b"\r\n", b"\n"):
        head = end.join([b"--x", b"Content-Type: image/jpeg", b"", b""])
        assert pictures(b"".join(head + data + end for data in JPEGS)) == JPEGS


@pytest.mark.parametrize("type", ["image/jpg", "image/jpeg; charset=x", "IMAGE/JPEG", "application/octet-stream", ""])
def test_m5_any_type_is_a_picture(type: str) -> None:
    assert pictures(b"".join(part(data, type=type) for data in JPEGS)) == JPEGS
    assert pictures(b"".join(b"--x\r\n\r\n" + data for data in JPEGS)) == JPEGS


def test_m7_closing_boundaries_in_the_middle() -> None:
    assert pictures(b"".join(part(data) + b"--frame--\r\n" for data in JPEGS)) == JPEGS
    assert pictures(b"".join(part(data) + b"--frame--" for data in JPEGS)) == JPEGS


def test_m8_status_line_in_the_body() -> None:
    header = b"HTTP/1.0 200 OK\r\nContent-Length: 99\r\nContent-Type: multipart/x-mixed-replace;boundary=b\r\n\r\n"
    assert pictures(header + b"".join(map(part, JPEGS))) == JPEGS
    assert pictures(b"".join(header + data for data in JPEGS)) == JPEGS


def test_lines_without_cr() -> None:
    assert pictures(b"".join(part(data, end="\n") for data in JPEGS)) == JPEGS


def test_garbage_empty_parts_and_parts_that_are_no_pictures() -> None:
    between = (
        part(b""),
        part(b"alive", type="text/plain"),
        b"\x00\xff\xd8\x00--\n\n\xff",
        part(b"\xff\xd8\xff\xd9"),  # S10
        b"\r\n" * 50,
    )
    for more in between:
        stream = b"".join(more + part(data) + more for data in JPEGS)
        assert pictures(stream) == JPEGS
        assert not any(picture.lost for picture in read(stream))


def test_garbage_within_a_part() -> None:
    for front, back in ((b"\x00\x01\x02", b""), (b"\r\n", b""), (b"", bytes(9)), (b"xx\n\n", b"\x00\n")):
        found = pictures(b"".join(part(front + data + back) for data in JPEGS))
        assert [data.rstrip(b"\x00\n") for data in found] == JPEGS


def test_pictures_are_delivered_with_their_last_byte() -> None:
    endless = [data[:-2] for data in JPEGS]  # S1
    cases = (
        [part(data)[:-2] for data in JPEGS],
        [part(data, length=10**6)[:-2] for data in JPEGS[:1]],
        [b"--x\r\n\r\n" + data for data in JPEGS],
        [*JPEGS],
        [part(endless[0]) + b"--frame\r\n", part(endless[1])[9:-2], b"\r\n" + part(endless[2])[:-2]],
    )
    for pieces in cases:
        reader = MultipartReader()
        for piece in pieces:
            assert len(reader.feed(piece)) == 1


def test_a_false_length_delays_one_picture_by_one() -> None:
    reader = MultipartReader()
    stream = [
        part(JPEGS[0])[:-2],
        b"\r\n" + part(JPEGS[1], length=5000)[:-2],
        b"\r\n" + part(JPEGS[2], length=5000)[:-2],
    ]
    assert [[picture.data for picture in reader.feed(piece)] for piece in stream] == [JPEGS[:1], [], JPEGS[1:]]


def test_s1_s2_a_part_that_is_cut_off_is_delivered_at_the_boundary() -> None:
    cut = JPEGS[0][:-100]
    for lengths in (None, len(JPEGS[0]), 10**6, 10**12):
        reader = MultipartReader()
        assert not reader.feed(part(cut, length=lengths))
        (picture,) = reader.feed(b"--frame\r\nContent-Type: image/jpeg\r\n\r\n") or [None]
        assert picture is not None and picture.data in (cut, cut + b"\r\n")
        assert [found.data for found in reader.feed(JPEGS[1])] == JPEGS[1:2]


def test_s1_s2_without_boundaries_the_next_picture_ends_one_that_is_cut_off() -> None:
    cut = JPEGS[0][:-100]
    assert pictures(cut + JPEGS[1]) == [cut, JPEGS[1]]
    assert pictures(cut + b"\r\nContent-Type: image/jpeg\r\nContent-Length: 9\r\n\r\n" + JPEGS[1]) == [cut, JPEGS[1]]


def test_s2_the_end_of_the_stream_within_a_picture() -> None:
    assert pictures(part(JPEGS[0]) + part(JPEGS[1])[:-100]) == [JPEGS[0], JPEGS[1][: 2 - 100]]
    head = part(JPEGS[1])[:200]
    assert pictures(part(JPEGS[0]) + head) == [JPEGS[0], head[head.index(b"\xff\xd8") :]], "it arrived, so it counts"


def test_s5_two_pictures_in_one_part() -> None:
    assert pictures(part(JPEGS[0] + JPEGS[1]) + part(JPEGS[2] + JPEGS[0])) == [*JPEGS, JPEGS[0]]


def test_s5_a_preview_in_the_same_part_is_no_frame() -> None:
    both = [data + between + PREVIEW for data in JPEGS for between in (b"", bytes(5))]
    assert pictures(part(JPEGS[0]) + b"".join(map(part, both))) == [JPEGS[0], *both]
    assert pictures(part(JPEGS[0]) + part(JPEGS[1] + 2 * PREVIEW)) == [JPEGS[0], JPEGS[1] + 2 * PREVIEW]
    # Only where the length proves true: here it ends in the picture behind.
    assert pictures(part(JPEGS[0]) + part(JPEGS[1] + PREVIEW, length=len(JPEGS[1] + PREVIEW) - 9)) == [
        *JPEGS[:2],
        PREVIEW,
    ]


def test_s5_a_preview_in_front_does_not_replace_the_picture() -> None:
    assert pictures(part(JPEGS[0]) + part(PREVIEW + JPEGS[1])) == [JPEGS[0], PREVIEW, JPEGS[1]]


def test_s5_s6_two_fields_in_one_part_are_one_picture() -> None:
    first, second = polarised(JPEGS[0], 1), polarised(JPEGS[1], 2)
    assert pictures(part(first + second) + part(second + first)) == [first + second, second + first]
    assert pictures(part(first + bytes(5) + second)) == [first + bytes(5) + second]
    assert pictures(part(first + first)) == [first, first], "of one polarity they are two pictures"
    assert pictures(part(first) + part(second)) == [first, second], "and in two parts"
    assert pictures(part(first + JPEGS[1])) == [first, JPEGS[1]]
    assert pictures(first + second) == [first, second], "without a length nothing tells that they belong together"


def test_q5_tables_in_front_of_pictures() -> None:
    tables = b"\xff\xd8" + tables_of(JPEGS[0]) + EOI
    bare = JPEGS[0]
    for segment in reversed([*segments(bare, 0)]):
        if segment.marker in (DQT, DHT):
            bare = bare[: segment.offset] + bare[segment.end :]
    assert pictures(part(tables) + part(bare) + part(bare)) == [tables + bare, bare]


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("X-Timestamp: 12.345678", "12.345678"),
        ("x-timestamp:1700000000.25", "1700000000.25"),
        ("X-TimeStamp: 1700000000250", "1700000000.25"),
        ("X-Timestamp: 1700000000250000", "1700000000.25"),
        ("X-Timestamp: 0.000000", "0"),
        ("X-Timestamp: now", None),
        ("X-Time: 12", None),
    ],
)
def test_the_cameras_own_time(header: str, seconds: str | None) -> None:
    stream = f"--frame\r\nX-Timestamp: 9\r\n\r\n--frame\r\n{header}\r\n\r\n".encode() + JPEGS[0] + part(JPEGS[1])
    stamps = [picture.stamp for picture in read(stream)]
    assert stamps == [None if seconds is None else Fraction(seconds), None]


def test_what_is_too_long_is_dropped_within_bounded_memory() -> None:
    limit = max(map(len, JPEGS))
    scan = next(segment for segment in segments(JPEGS[0], 0) if segment.marker == 0xDA)
    endless = JPEGS[0][: scan.end] + b"\x5a" * (3 * limit)
    for size in (1, 1000, 1 << 20):
        found = read(part(endless + EOI) + b"".join(map(part, JPEGS)), size, max_picture_bytes=limit)
        assert [picture.data for picture in found] == JPEGS
        assert [picture.lost for picture in found] == [True, False, False]
    headers = b"--frame\r\n" + b"X-Header: bomb\r\n" * MAX_GAP_BYTES
    reader = MultipartReader()
    for at in range(0, len(headers), 1000):
        assert not reader.feed(headers[at : at + 1000])
        assert len(reader._buffer) <= 2 * MAX_GAP_BYTES + 1000
    assert [(picture.data, picture.lost) for picture in reader.feed(part(JPEGS[0]))] == [(JPEGS[0], True)]


PIECES = [
    *JPEGS,
    *map(part, JPEGS),
    JPEGS[0][:-100],
    JPEGS[0][:-2],
    part(JPEGS[1], length=77),
    part(JPEGS[1], length=10**6),
    part(JPEGS[1] + bytes(7)),
    part(polarised(JPEGS[0], 1) + polarised(JPEGS[1], 2)),
    part(JPEGS[0] + PREVIEW),
    PREVIEW,
    PREVIEW[:-2],
    polarised(JPEGS[0], 1),
    part(JPEGS[0][:-30] + EOI + JPEGS[0][-28:]),
    b"--frame\r\nContent-Length: 900\r\n\r\n",
    b"\r\n--frame--\r\n",
    b"--",
    b"\r\n",
    b"\n",
    b"\xff",
    b"\xff\xd8",
    b"\xff\xd9",
    b"HTTP/1.1 200 OK\r\n",
    b"X-Timestamp: 5\r\n\r\n",
]


@settings(max_examples=300)
@given(
    st.lists(st.sampled_from(PIECES) | st.binary(max_size=20), max_size=12).map(b"".join),
    st.lists(st.integers(1, 3000), max_size=40),
)
def test_any_pieces_of_the_same_bytes_give_the_same_pictures(stream: bytes, sizes: Sequence[int]) -> None:
    reader, at = MultipartReader(), 0
    found: list[PartPicture] = []
    for size in [*sizes, len(stream)]:
        found += reader.feed(stream[at : at + size])
        at += size
    assert found + reader.flush() == read(stream, 1 << 20)


@given(st.binary(max_size=2000))
def test_any_bytes_are_read(stream: bytes) -> None:
    stream = b"\xff\xd8\xff" + stream
    assert read(stream, 50) == read(stream)


def test_a_large_picture_in_small_pieces_is_cheap() -> None:
    picture = JPEGS[0][:-2] + b"\x12\xff\x00\x0a\n-" * 500_000 + EOI
    stream = part(picture)
    pieces = [stream[at : at + 1000] for at in range(0, len(stream), 1000)]
    reader = MultipartReader()
    begin = time.process_time()
    found = [picture for piece in pieces for picture in reader.feed(piece)]
    assert time.process_time() - begin < 5
    assert [picture.data for picture in found] == [picture]
