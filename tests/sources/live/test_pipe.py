"""Cameras behind pipes: stamped as they arrive, and ended with the pipe."""

from __future__ import annotations

import io
import os
import threading
import time
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import pytest
from cameras.dialects import DIALECTS
from cameras.pictures import NumberedPictures, read_number

from mjpeg_restore.errors import NotMjpeg, SourceError
from mjpeg_restore.frames import Packet
from mjpeg_restore.sources.base import Source
from mjpeg_restore.sources.live.settings import LiveSettings
from mjpeg_restore.sources.opening import open_source
from tests.lacking import needs_named_pipes
from tests.streams import decoded

PICTURES = NumberedPictures()
STEP = 0.05


def numbers(packets: list[Packet]) -> list[int | None]:
    return [read_number(decoded(packet.data)[0]) for packet in packets if not packet.silent]


class Writer:
    """Writes pieces into a pipe, on a thread, with a pause in front of each but the first.

    Attributes:
        written: when each was, on the monotonic clock.
    """

    def __init__(self, pieces: list[bytes], pause: float = STEP) -> None:
        reading, self._writing = os.pipe()
        self.file = os.fdopen(reading, "rb", buffering=0)
        self.written: list[float] = []
        self._pieces = pieces
        self._pause = pause
        self._thread = threading.Thread(target=self._write)

    def __enter__(self) -> Writer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.join()
        self.file.close()

    def _write(self) -> None:
        with os.fdopen(self._writing, "wb", buffering=0) as pipe:
            for index, piece in enumerate(self._pieces):
                time.sleep(self._pause if index else 0)
                self.written.append(time.monotonic())
                pipe.write(piece)


def live(writer: Writer, settings: LiveSettings | None = None) -> Source:
    return open_source(writer.file, live=True, camera=settings)


@pytest.mark.parametrize("dialect", ["no part headers", "standard", "LF only, no length", "starts at SOI"])
def test_pictures_are_stamped_as_they_arrive(dialect: str) -> None:
    pieces = [DIALECTS[dialect].part(PICTURES.jpeg(number), number, 0.0) for number in range(4)]
    with Writer(pieces) as writer, live(writer) as source:
        begun = time.monotonic()
        packets = [packet for packet in source if not packet.silent]
    assert numbers(packets) == [0, 1, 2, 3]
    assert source.info.live
    assert source.info.origin == "arrival"
    for before, after in pairwise(packets):
        assert before.arrived and after.arrived
        # A machine that pauses reads two pictures at once.
        assert begun < before.arrived <= after.arrived < time.monotonic()
        assert abs(float(after.time - before.time) - (after.arrived - before.arrived)) < 0.001
    for packet, written in zip(packets, writer.written, strict=True):
        assert packet.arrived and packet.arrived >= written
    assert source.truncated is None


def test_the_headers_of_the_response_do_not_matter() -> None:
    dialect = DIALECTS["standard"]
    pieces = [dialect.head(), *(dialect.part(PICTURES.jpeg(number), number, 0.0) for number in range(2))]
    with Writer(pieces) as writer, live(writer) as source:
        assert numbers(list(source)) == [0, 1]


def test_a_pause_does_not_end_the_source() -> None:
    with (
        Writer([PICTURES.jpeg(number) for number in range(2)], pause=0.5) as writer,
        live(writer, LiveSettings(stall_timeout=0.1)) as source,
    ):
        packets = list(source)
    assert numbers(packets) == [0, 1]
    assert not any(packet.discontinuity for packet in packets)


def test_the_last_picture_is_cut_off() -> None:
    with Writer([PICTURES.jpeg(0), PICTURES.jpeg(1)[:-200]]) as writer, live(writer) as source:
        packets = [packet for packet in source if not packet.silent]
    assert [packet.data for packet in packets] == [PICTURES.jpeg(0), PICTURES.jpeg(1)[:-200]]


def test_a_source_is_stopped_while_it_waits() -> None:
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb", buffering=0) as file, os.fdopen(writing, "wb", buffering=0) as pipe:
        pipe.write(PICTURES.jpeg(0))
        with open_source(file, live=True) as source:
            packets = iter(source)
            next(packets)
            threading.Timer(0.05, source.stop).start()
            assert not numbers(list(packets))


class Unseekable(io.BytesIO):
    """A file in memory that, like a pipe, is only written on."""

    def seekable(self) -> bool:
        return False

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        raise io.UnsupportedOperation


@pytest.mark.parametrize("format", ["nut", "matroska", "avi"])
def test_a_container_keeps_its_time_stamps(format: str) -> None:
    file = Unseekable()
    with av.open(file, "w", format=format) as container:
        stream = container.add_mux_stream("mjpeg", rate=25, width=160, height=112)
        for number, pts in enumerate((0, 40, 120)):
            packet = av.Packet(PICTURES.jpeg(number))
            packet.stream, packet.pts, packet.dts, packet.time_base = stream, pts, pts, Fraction(1, 1000)
            container.mux(packet)
    with Writer([file.getvalue()]) as writer, live(writer) as source:
        packets = list(source)
    assert (source.info.live, source.info.origin) == (True, "container")
    assert source.truncated is None, "an AVI that goes into a pipe states no true duration"
    assert numbers(packets) == [0, 1, 2]
    assert [packet.time for packet in packets] == [0, Fraction(40, 1000), Fraction(120, 1000)]
    assert all(packet.arrived for packet in packets)


@needs_named_pipes
def test_a_named_pipe(tmp_path: Path) -> None:
    path = tmp_path / "camera"
    os.mkfifo(path)
    thread = threading.Thread(target=path.write_bytes, args=(PICTURES.jpeg(0) + PICTURES.jpeg(1),))
    thread.start()
    with open_source(path, live=True) as source:
        assert numbers(list(source)) == [0, 1]
    thread.join()


def test_a_pipe_that_holds_something_else() -> None:
    with Writer([b"<!DOCTYPE html><html></html>"]) as writer, pytest.raises(NotMjpeg, match="is a web page"):
        live(writer)
    with Writer([b""]) as writer, pytest.raises(SourceError, match="is empty"):
        live(writer)


def test_a_file_that_is_closed_meanwhile() -> None:
    reading, writing = os.pipe()
    file = os.fdopen(reading, "rb", buffering=0)
    with os.fdopen(writing, "wb", buffering=0) as pipe:
        pipe.write(PICTURES.jpeg(0))
        with open_source(file, live=True) as source:
            packets = iter(source)
            next(packets)
            file.close()
            assert not numbers(list(packets))
    assert source.truncated
    assert "could not be read to its end" in source.truncated
