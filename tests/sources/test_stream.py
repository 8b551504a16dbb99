from __future__ import annotations

import io
import os
import sys
import threading
from fractions import Fraction
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mjpeg_restore.errors import NotMjpeg, SourceError
from mjpeg_restore.jpeg.segments import DQT
from mjpeg_restore.jpeg.splitter import MAX_PICTURE_BYTES, Splitter
from mjpeg_restore.sources import open_source, stream
from mjpeg_restore.sources.reading import FileStream
from mjpeg_restore.sources.stream import StreamSource
from tests.jpeg.pictures import without
from tests.lacking import RECORDINGS, needs_named_pipes, needs_recordings
from tests.sources.clips import make_jpeg, tables_of

PICTURES = [make_jpeg(number, 16, 16) for number in range(4)]
PARTS = b"".join(
    b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n%b\r\n" % (len(picture), picture)
    for picture in PICTURES
)


class Chunks:
    """A stream whose reads return pieces of given sizes, then the rest."""

    def __init__(self, data: bytes, sizes: list[int]) -> None:
        self._stream = io.BytesIO(data)
        self._sizes = iter(sizes)

    def read(self, size: int = -1, /) -> bytes:
        return self._stream.read(next(self._sizes, size))


def _write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def test_raw_pictures_are_split_and_numbered_at_25(tmp_path: Path) -> None:
    path = _write(tmp_path / "clip.mjpeg", b"".join(PICTURES))
    with open_source(path) as source:
        packets = list(source)
    assert [packet.data for packet in packets] == PICTURES
    assert [packet.pts for packet in packets] == [0, 1, 2, 3]
    assert packets[3].time == Fraction(3, 25)  # T1
    assert packets[2].offset == len(PICTURES[0]) + len(PICTURES[1])
    assert source.info.origin == "assumed" and not source.info.live
    assert source.info.frames == 4
    assert source.truncated is None


def test_q5_a_start_after_the_only_tables_uses_them() -> None:
    first, *rest = PICTURES
    with open_source(first + b"".join(without(data, DQT) for data in rest), start=Fraction(2, 25)) as source:
        packets = list(source)
    assert [packet.data for packet in packets] == [without(data, DQT) for data in rest[1:]]
    assert [packet.tables for packet in packets] == [tables_of(first), b""]


def test_fps_is_exact(tmp_path: Path) -> None:
    path = _write(tmp_path / "clip.mjpeg", b"".join(PICTURES))
    with open_source(path, fps="30000/1001") as source:
        assert [packet.time for packet in source][3] == Fraction(3003, 30000)


@pytest.mark.parametrize("name", ["clip.mjpg", "clip.avi", "clip"])
def test_the_content_decides_instead_of_the_name(tmp_path: Path, name: str) -> None:
    with open_source(_write(tmp_path / name, PARTS)) as source:
        assert [packet.data for packet in source] == PICTURES


@given(st.lists(st.integers(1, 400), max_size=40))
def test_any_chunking_gives_the_same_pictures(sizes: list[int]) -> None:
    whole = [(packet.offset, packet.data) for packet in StreamSource(io.BytesIO(PARTS), "x", Fraction(25))]
    pieces = StreamSource(Chunks(PARTS, sizes), "x", Fraction(25))
    assert [(packet.offset, packet.data) for packet in pieces] == whole
    assert [data for _, data in whole] == PICTURES


@given(st.lists(st.integers(0, 300), min_size=1, max_size=20))
def test_a_file_stream_returns_every_byte(sizes: list[int]) -> None:
    data = bytes(range(256)) * 4
    rest = io.BytesIO(data)
    stream = FileStream(rest, rest.read(500))
    read = b"".join(stream.read(size) for size in sizes)
    assert data.startswith(read)


def test_garbage_before_between_and_after(tmp_path: Path) -> None:
    noise = b"\x00\x01\x02noise" * 30
    data = noise + PICTURES[0] + noise + PICTURES[1] + noise  # S3, S4
    with open_source(_write(tmp_path / "clip.mjpeg", data)) as source:
        packets = list(source)
    assert [packet.data for packet in packets] == PICTURES[:2]
    assert packets[0].offset == len(noise)


def test_s10_fragments_are_not_numbered(tmp_path: Path) -> None:
    data = PICTURES[0] + b"\xff\xd8\xff\xd9" + PICTURES[1]  # S10
    with open_source(_write(tmp_path / "clip.mjpeg", data)) as source:
        assert [(packet.pts, packet.data) for packet in source] == [(0, PICTURES[0]), (1, PICTURES[1])]


def test_a_stream_that_breaks_off_is_truncated(tmp_path: Path) -> None:
    data = PICTURES[0] + PICTURES[1][:-10]
    with open_source(_write(tmp_path / "clip.mjpeg", data)) as source:
        assert [packet.data for packet in source] == [PICTURES[0], PICTURES[1][:-10]]
    assert source.truncated == f"{tmp_path / 'clip.mjpeg'} ends in the middle of a picture"


def test_a_read_error_ends_the_stream_with_what_was_read() -> None:
    class Broken(Chunks):
        def read(self, size: int = -1, /) -> bytes:
            data = super().read(size)
            if not data:
                raise OSError(5, "Input/output error")
            return data

    source = StreamSource(Broken(b"".join(PICTURES), [100]), "cam", Fraction(25))
    assert len(list(source)) == 4
    assert source.truncated == "cam could not be read to its end: Input/output error"


def test_start_and_duration(tmp_path: Path) -> None:
    path = _write(tmp_path / "clip.mjpeg", b"".join(PICTURES))
    with open_source(path, fps=10, start=Fraction(1, 10), duration=Fraction(2, 10)) as source:
        packets = list(source)
    assert [packet.data for packet in packets] == PICTURES[1:3]
    assert [packet.pts for packet in packets] == [0, 1]
    assert source.info.frames == 2
    with open_source(path, start=Fraction(5)) as source, pytest.raises(SourceError, match=r"lasts 0\.16 s"):
        list(source)


def test_the_number_of_pictures_of_a_long_file_is_estimated(tmp_path: Path) -> None:
    data = make_jpeg(1, 320, 240) * 400
    assert len(data) > 1 << 20
    with open_source(_write(tmp_path / "clip.mjpeg", data)) as source:
        assert source.info.frames is not None
        assert abs(source.info.frames - 400) <= 4


def test_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as pipe, io.TextIOWrapper(pipe) as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        writer = threading.Thread(target=_feed, args=(writing, PARTS))
        writer.start()
        with open_source("-") as source:
            assert [packet.data for packet in source] == PICTURES
            assert source.info.name == "standard input"
            assert source.info.frames is None
        assert not pipe.closed
        writer.join()


def _feed(descriptor: int, data: bytes) -> None:
    with os.fdopen(descriptor, "wb", buffering=0) as pipe:
        for start in range(0, len(data), 333):
            pipe.write(data[start : start + 333])


def test_the_first_picture_of_a_live_pipe_does_not_wait_for_more() -> None:
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as pipe, os.fdopen(writing, "wb", buffering=0) as writer:
        writer.write(PICTURES[0])
        packets = iter(open_source(pipe))
        assert next(packets).data == PICTURES[0]  # would hang if it waited for more


@needs_named_pipes
def test_a_named_pipe(tmp_path: Path) -> None:
    path = tmp_path / "fifo"
    os.mkfifo(path)
    writer = threading.Thread(target=path.write_bytes, args=(PARTS,))
    writer.start()
    with open_source(path) as source:
        assert len(list(source)) == 4
    writer.join()


def test_a_file_object_stays_open_and_is_read_from_its_position() -> None:
    stream = io.BytesIO(PICTURES[0] + PICTURES[1])
    stream.seek(len(PICTURES[0]))
    with open_source(stream) as source:
        assert [packet.data for packet in source] == [PICTURES[1]]
    assert not stream.closed


def test_a_start_of_image_without_a_picture_is_an_error() -> None:
    with (
        open_source(b"\xff\xd8\xff\xe0" + b"\x00" * 50) as source,
        pytest.raises(NotMjpeg, match="no whole JPEG"),
    ):
        list(source)


@needs_recordings
@pytest.mark.parametrize(("name", "count"), [("concatenated-420-coarse.mjpeg", 50), ("http-multipart.mjpg", 2)])
def test_real_streams(name: str, count: int) -> None:
    with open_source(RECORDINGS / name) as source:
        assert len(list(source)) == count
    assert source.truncated is None


def test_a_picture_that_is_too_long_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    huge = make_jpeg(1)[:-2] + b"\x11" * MAX_PICTURE_BYTES + b"\xff\xd9"
    (tmp_path / "a.mjpeg").write_bytes(make_jpeg(0) + huge + make_jpeg(2))
    with open_source(tmp_path / "a.mjpeg") as source:
        assert [packet.data for packet in source] == [make_jpeg(0), make_jpeg(2)]
        assert source.truncated == f"{tmp_path / 'a.mjpeg'}: 1 picture(s) of more than 32 MiB left out"
    with open_source(huge) as source, pytest.raises(NotMjpeg, match=r"the buffer: 1 picture.* of more than 32 MiB"):
        list(source)


def test_a_picture_after_a_dropped_one_is_a_discontinuity(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "Splitter", partial(Splitter, 100_000))
    first, endless = make_jpeg(0), make_jpeg(1)[:-2] + b"\x55" * 200_000
    with open_source(io.BytesIO(first + endless + first + first)) as source:
        packets = list(source)
    assert [packet.discontinuity for packet in packets] == [False, True, False]
    assert source.truncated is not None
