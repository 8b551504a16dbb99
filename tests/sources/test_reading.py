"""Reads of any kind of file: available bytes are returned at once, and a wait can be stopped."""

from __future__ import annotations

import io
import os
import socket
import threading
import time
from pathlib import Path

import pytest

from mjpeg_restore.sources import open_source
from mjpeg_restore.sources.reading import FileStream
from tests.sources.clips import MuxClip, make_jpeg
from tests.sources.silent import KINDS, RESPONSES, camera, case, within

DATA = bytes(range(256)) * 5


@pytest.mark.parametrize("kind", [*map(case, [*KINDS[:5], *RESPONSES])])
def test_available_bytes_are_returned_and_a_wait_can_be_stopped(kind: str, tmp_path: Path) -> None:
    with camera(kind, DATA, tmp_path) as file:
        stream = FileStream(file)

        def read(count: int) -> bytes:
            data = b""
            while len(data) < count and (chunk := stream.read(100)):
                data += chunk
            return data

        assert within(lambda: read(len(DATA))) == DATA
        threading.Timer(0.05, stream.stop).start()
        assert within(stream.read) == b""
        assert within(stream.read) == b""
        assert not getattr(file, "closed", False)
        if hasattr(file, "close"):
            within(file.close)  # no thread holds its lock


@pytest.mark.network
def test_the_end_of_a_socket_ends_the_stream() -> None:
    far, near = socket.socketpair()
    with far, near, near.makefile("rb") as file:
        far.sendall(DATA)
        far.shutdown(socket.SHUT_WR)
        stream = FileStream(file)
        assert within(lambda: stream.read() + stream.read()) == DATA


def test_buffered_bytes_are_read_without_waiting() -> None:
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as pipe, os.fdopen(writing, "wb", buffering=0) as writer:
        writer.write(b"a line\n" + DATA)
        assert pipe.readline() == b"a line\n"  # the rest is in the buffer now
        assert within(FileStream(pipe).read) == DATA
        assert os.get_blocking(pipe.fileno())


def test_the_owner_of_a_file_can_continue_to_read() -> None:
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as pipe, os.fdopen(writing, "wb", buffering=0) as writer:
        writer.write(DATA)
        stream = FileStream(pipe)
        assert within(lambda: stream.read(100)) == DATA[:100]
        stream.stop()
        assert within(lambda: pipe.read(len(DATA) - 100)) == DATA[100:]


@pytest.mark.network
def test_the_owner_of_a_chunked_response_can_continue_to_read(tmp_path: Path) -> None:
    with camera("response in chunks", DATA, tmp_path) as response:
        first = within(lambda: FileStream(response).read(100))
        assert 0 < len(first) < 100  # and the line with the size of the chunk
        assert within(lambda: response.read(700)) == DATA[len(first) :][:700]


@pytest.mark.network
def test_the_timeout_of_a_socket_is_kept() -> None:
    near, far = socket.socketpair()
    with near, far:
        near.settimeout(0.2)
        with near.makefile("rb") as file, pytest.raises(TimeoutError):
            within(FileStream(file).read)
        assert near.gettimeout() == 0.2


@pytest.mark.parametrize("buffering", [0, -1])
def test_a_file_closed_by_its_owner_is_an_error(buffering: int) -> None:
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb", buffering=buffering) as pipe, os.fdopen(writing, "wb"):
        stream = FileStream(pipe)
        threading.Timer(0.1, pipe.close).start()
        with pytest.raises(OSError, match="closed"):
            within(stream.read)


def test_an_error_of_a_file_is_raised() -> None:
    class Broken(io.RawIOBase):
        def read(self, size: int = -1, /) -> bytes:
            raise OSError(5, "the cable is out")

    stream = FileStream(Broken())
    with pytest.raises(OSError, match="the cable is out"):
        within(stream.read)
    assert stream.read() == b"", "once: FFmpeg reads again"


def test_a_container_is_read_from_an_object_that_seeks(mux: MuxClip, jpegs: list[bytes]) -> None:
    class Slow(io.BytesIO):
        """A type that may wait in reads: it is read on threads, and still sought."""

        def read(self, size: int | None = -1, /) -> bytes:
            time.sleep(0.001)
            return super().read(size)

    with open_source(Slow(mux("clip.mov").read_bytes())) as source:  # its index is at the end
        assert [packet.data for packet in source] == jpegs


def test_ctrl_c_stops_the_stream(tmp_path: Path) -> None:
    class Interrupted:
        def read(self, size: int = -1, /) -> bytes:
            raise KeyboardInterrupt

    stream = FileStream(Interrupted(), make_jpeg(0))
    assert stream.read() == make_jpeg(0)
    with pytest.raises(KeyboardInterrupt):
        stream.read()
    assert within(stream.read) == b""
