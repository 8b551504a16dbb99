"""Dumps of chunked HTTP responses give the pictures of the bodies, however the bytes are split."""

from __future__ import annotations

import gzip
import os
import threading
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mjpeg_restore.errors import NotMjpeg
from mjpeg_restore.frames import Packet
from mjpeg_restore.sources import open_source
from mjpeg_restore.sources.chunked import Dechunker, dechunker_for
from tests.sources.clips import MuxClip, make_jpeg

PICTURES = [make_jpeg(number) for number in range(6)]
BODY = b"".join(b"--frame\r\nContent-Length: %d\r\n\r\n%b\r\n" % (len(data), data) for data in PICTURES)
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=frame\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
LAST = b"0\r\n\r\n"


def chunks(body: bytes, size: int, form: bytes = b"%x\r\n", end: bytes = b"\r\n") -> bytes:
    pieces = [body[start : start + size] for start in range(0, len(body), size)]
    return b"".join(form % len(piece) + piece + end for piece in pieces)


def fed(decoder: Dechunker, data: bytes, sizes: list[int]) -> bytes:
    """The output if the bytes are fed in pieces of these sizes, and then the rest."""
    found, position = b"", 0
    for size in sizes:
        found += decoder.feed(data[position : position + size])
        position += size
    return found + decoder.feed(data[position:])


@given(
    st.lists(st.binary(min_size=1, max_size=300), max_size=12),
    st.lists(st.integers(1, 60), max_size=60),
    st.sampled_from(["%x", "%X", "%08x", "%x;name=value", '%x ; a="b"', "%x  "]),
    st.sampled_from([b"\r\n", b"\n"]),
    st.sampled_from([b"", b"Expires: never\r\nX: y\r\n"]),
    st.booleans(),
)
def test_any_chunks_decode_to_their_bytes(
    pieces: list[bytes], sizes: list[int], form: str, end: bytes, trailer: bytes, head: bool
) -> None:
    lines = [(form % len(piece)).encode() + end + piece + end for piece in pieces]
    data = b"".join([CHUNKED if head else b"", *lines, b"0", end, trailer, end])
    decoder = Dechunker(head=head)
    assert fed(decoder, data, sizes) == b"".join(pieces)
    assert (decoder.error, decoder.finished) == (None, False)  # another response may follow


@given(st.binary(max_size=400), st.lists(st.integers(1, 60), max_size=20), st.booleans())
def test_random_input_neither_raises_nor_grows(data: bytes, sizes: list[int], head: bool) -> None:
    decoder = Dechunker(head=head)
    assert len(fed(decoder, (CHUNKED if head else b"") + data, sizes)) <= len(data)
    dechunker_for(data)


@given(st.integers(0, 1500), st.lists(st.integers(1, 60), max_size=20))
def test_a_truncated_dump_decodes_up_to_the_cut(end: int, sizes: list[int]) -> None:
    data = chunks(BODY, 100)[:end]
    decoder = Dechunker()
    found = fed(decoder, data, sizes)
    assert BODY.startswith(found)
    assert decoder.error is None


@pytest.mark.parametrize(
    ("data", "body", "error"),
    [
        (b"3\r\nabc\r\nxyz\r\n", b"abc", "'xyz' stands where the size of a chunk should"),
        (b"3\r\nabcdef\r\n", b"abc", "a chunk is longer than its size"),
        (b"3\r\nabc\r\n-1\r\n", b"abc", "'-1' stands where"),
        (b"3\r\nabc\r\n" + b"1" * 17 + b"\r\n", b"abc", "stands where"),
        (b"3\r\nabc\r\n" + b"1" * 2000, b"abc", "stands where"),
        (b"3\r\nabc\r\n0\r\n\r\nsomething\r\n", b"abc", "something else follows the response"),
    ],
)
def test_malformed_chunks_end_with_an_error(data: bytes, body: bytes, error: str) -> None:
    decoder = Dechunker()
    assert decoder.feed(data) == body
    assert decoder.finished
    assert error in (decoder.error or "")


def test_a_header_without_end_is_refused() -> None:
    decoder = Dechunker(head=True)
    assert decoder.feed(b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 256 + b"\r\nbody") == b"body"
    endless = Dechunker(head=True)
    assert endless.feed(b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 100_000) == b""
    assert endless.error == "the header does not end"
    assert dechunker_for(b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 100_000) is None


def test_consecutive_responses() -> None:
    one, two = PICTURES[:2]
    data = (
        b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 5\r\n\r\nsorry"
        + b"HTTP/1.1 100 Continue\r\n\r\n"
        + CHUNKED.replace(b"Transfer-Encoding: chunked", b"TRANSFER-ENCODING:Chunked")
        + chunks(one, 100)
        + LAST
        + b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(two)
        + two
        + CHUNKED
        + chunks(one, 77)
        + LAST
    )
    with open_source(data) as source:
        assert [packet.data for packet in source] == [one, two, one]
    assert source.truncated is None


def read(path: Path) -> list[bytes]:
    with open_source(path) as source:
        found = [packet.data for packet in source]
    assert source.truncated is None
    return found


@pytest.mark.parametrize("size", [1, 2, 7, 100, 4096, 1 << 20])
@pytest.mark.parametrize("head", [CHUNKED, b"", CHUNKED.replace(b"\r\n", b"\n")], ids=["head", "no head", "LF"])
def test_a_dump_with_any_chunk_size(tmp_path: Path, size: int, head: bytes) -> None:
    """With `curl --raw` alone no head is dumped, with `-i` there is one."""
    path = tmp_path / "dump"
    path.write_bytes(head + chunks(BODY, size, b"%X\r\n") + LAST)
    assert read(path) == PICTURES
    path.write_bytes(head + chunks(BODY, size))  # without an end, like every dump of a live camera
    assert read(path) == PICTURES


def test_the_number_of_pictures_is_known_or_estimated(tmp_path: Path) -> None:
    path = tmp_path / "dump"
    path.write_bytes(CHUNKED + chunks(BODY, 20) + LAST)  # a quarter more than the body
    with open_source(path) as source:
        assert source.info.frames == 6
    path.write_bytes(CHUNKED + chunks(make_jpeg(1, 320, 240) * 400, 20))
    with open_source(path) as source:
        assert abs((source.info.frames or 0) - 400) <= 4


@pytest.mark.parametrize("start", [500, 1000, 3500])
def test_a_dump_that_begins_within_a_chunk(tmp_path: Path, start: int) -> None:
    path = tmp_path / "dump"
    path.write_bytes((chunks(BODY, 1000) + LAST)[start:])
    assert read(path) == [data for data in PICTURES if BODY.index(data) >= start - start // 1000 * 7]


def test_a_chunked_picture_is_one_picture_whatever_its_name(tmp_path: Path) -> None:
    path = tmp_path / "snapshot.jpg"
    path.write_bytes(CHUNKED + chunks(PICTURES[0], 50) + LAST)
    assert read(path) == PICTURES[:1]


@pytest.mark.parametrize("piece", [1, 13, 500])
def test_a_dump_from_a_pipe(piece: int) -> None:
    dump = CHUNKED + chunks(BODY[:3000], 97)
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb", buffering=0) as pipe:
        writer = threading.Thread(target=_write, args=(writing, dump, piece))
        writer.start()
        with open_source(pipe) as source:
            packets: list[Packet] = list(source)
        writer.join()
    assert [packet.data for packet in packets][:2] == PICTURES[:2]


def _write(descriptor: int, data: bytes, piece: int) -> None:
    with os.fdopen(descriptor, "wb", buffering=0) as pipe:
        for start in range(0, len(data), piece):
            pipe.write(data[start : start + piece])


def test_the_first_picture_of_a_live_dump_does_not_wait_for_more() -> None:
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb", buffering=0) as pipe, os.fdopen(writing, "wb", buffering=0) as writer:
        writer.write(CHUNKED + chunks(PICTURES[0], 100))
        source = open_source(pipe)
        assert next(iter(source)).data == PICTURES[0]  # would hang if it waited for more


def test_a_malformed_dump_is_reported_as_truncated(tmp_path: Path) -> None:
    path = tmp_path / "dump"
    path.write_bytes(CHUNKED + chunks(BODY[:2000], 100) + b"oops\r\n" + BODY)
    with open_source(path) as source:
        assert all(packet.data in PICTURES or BODY.find(packet.data) >= 0 for packet in source)
    assert source.truncated == f"{path} breaks off: 'oops' stands where the size of a chunk should"


def test_a_dump_that_curl_has_decoded_is_read(tmp_path: Path) -> None:
    """`curl -i` keeps the header although it decodes the body."""
    path = tmp_path / "dump"
    for head in (CHUNKED, HEAD + b"Content-Encoding: gzip\r\nContent-Length: 9\r\n\r\n", HEAD + b"\r\n"):
        path.write_bytes(head + BODY)
        assert read(path) == PICTURES


def test_a_container_in_chunks(mux: MuxClip, jpegs: list[bytes]) -> None:
    data = CHUNKED + chunks(mux("clip.avi").read_bytes(), 100) + LAST
    with open_source(data) as source:
        assert [packet.data for packet in source] == jpegs
        assert source.info.origin == "container"


@pytest.mark.parametrize(
    "dump",
    [
        HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\n" + chunks(gzip.compress(BODY), 100) + LAST,
        HEAD + b"Content-Encoding: GZIP\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks(gzip.compress(BODY), 100),
        HEAD + b"Content-Encoding: gzip\r\n\r\n" + gzip.compress(BODY),
    ],
)
def test_a_compressed_response_is_named(dump: bytes) -> None:
    with pytest.raises(NotMjpeg, match="the buffer is an HTTP response compressed with gzip: ask the camera for"):
        open_source(dump)


def test_a_response_without_a_body_is_named() -> None:
    with pytest.raises(NotMjpeg, match="an HTTP response without a body"):
        open_source(CHUNKED + LAST)
    with pytest.raises(NotMjpeg, match="is a web page, not video"):
        open_source(CHUNKED + chunks(b"<html>not found</html>", 5) + LAST)


def test_numbers_between_pictures_are_not_chunks() -> None:
    stream = b"\r\n10\r\n".join(PICTURES) + b"\r\nffffff\r\n" + PICTURES[0]
    with open_source(stream, fps=Fraction(25)) as source:
        assert [packet.data for packet in source] == [*PICTURES, PICTURES[0]]
