"""`Source.stop` ends an iteration from another thread, even while it waits for a pipe."""

from __future__ import annotations

import os
import threading
from pathlib import Path

from mjpeg_restore.frames import Packet
from mjpeg_restore.sources import Source, open_source
from tests.lacking import needs_named_pipes
from tests.sources.clips import MuxClip, make_jpeg


def read_until_stopped(source: Source, wanted: int) -> list[Packet]:
    """Read on another thread, and stop from this one after `wanted` packets."""
    packets: list[Packet] = []
    enough = threading.Event()

    def read() -> None:
        for packet in source:
            packets.append(packet)
            if len(packets) == wanted:
                enough.set()

    reader = threading.Thread(target=read)
    reader.start()
    assert enough.wait(60)
    source.stop()
    reader.join(60)
    assert not reader.is_alive()
    return packets


def test_a_stream_that_waits_for_its_pipe(jpegs: list[bytes]) -> None:
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb", buffering=0) as pipe, os.fdopen(writing, "wb", buffering=0) as writer:
        writer.write(b"".join(jpegs[:3]) + jpegs[3][:100])
        source = open_source(pipe)
        assert [packet.data for packet in read_until_stopped(source, 3)] == jpegs[:3]
    assert source.truncated is None


@needs_named_pipes
def test_a_container_that_waits_for_its_pipe(tmp_path: Path, mux: MuxClip) -> None:
    clip = mux("clip.avi", [make_jpeg(number, 320, 240) for number in range(200)]).read_bytes()
    fifo = tmp_path / "fifo.avi"
    os.mkfifo(fifo)
    writer = threading.Thread(target=write_all_but_the_end, args=(fifo, clip, stopped := threading.Event()))
    writer.start()
    with open_source(fifo) as source:
        assert len(read_until_stopped(source, 20)) < 200
    stopped.set()
    writer.join()
    assert source.truncated is None


def write_all_but_the_end(fifo: Path, data: bytes, stopped: threading.Event) -> None:
    with fifo.open("wb", buffering=0) as pipe:
        pipe.write(data[: len(data) * 3 // 4])
        stopped.wait(120)


def test_files_end_after_the_current_picture(tmp_path: Path, mux: MuxClip, jpegs: list[bytes]) -> None:
    (tmp_path / "folder").mkdir()
    for number, data in enumerate(jpegs):
        (tmp_path / "folder" / f"{number}.jpg").write_bytes(data)
    (tmp_path / "clip.mjpeg").write_bytes(b"".join(jpegs) * 50)
    for path in (tmp_path / "folder", tmp_path / "clip.mjpeg", mux("clip.mkv")):
        with open_source(path) as source:
            packets = iter(source)
            next(packets)
            source.stop()
            assert len(list(packets)) < 499
        assert source.truncated is None


def test_stopped_before_the_first_picture_is_no_error(jpegs: list[bytes]) -> None:
    source = open_source(jpegs[0])
    source.stop()
    assert list(source) == []
