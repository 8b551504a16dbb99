"""Raw pictures, and the pipes that they and others go through."""

from __future__ import annotations

import io
import logging
import os
import threading
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from mjpeg_restore.errors import OutputExists, SinkError
from mjpeg_restore.frames import Frame, Picture, Sampling
from mjpeg_restore.sinks import OutputSettings, PixelFormat, RawStream, Y4mStream, open_sink
from tests.lacking import needs_full_device, needs_named_pipes
from tests.patience import PATIENCE
from tests.sinks.conftest import flat, noise


def raw(pictures: list[Picture], **settings: object) -> bytes:
    file = io.BytesIO()
    sink = RawStream(file, OutputSettings(**settings))  # pyright: ignore[reportArgumentType]
    for picture in pictures:
        sink.write(Frame(picture))
    sink.close()
    return file.getvalue()


def test_planes_are_written_as_they_are() -> None:
    pictures = [noise(65, 47, seed=seed) for seed in range(3)]
    expected = b"".join(plane.tobytes() for picture in pictures for plane in picture.planes)
    assert raw(pictures) == expected


@pytest.mark.parametrize("format", ["rgb24", "bgr24", "gray"])
def test_other_pixel_formats(format: PixelFormat) -> None:
    picture = noise(33, 17, Sampling.YUV422)
    name = {"rgb24": "rgb", "bgr24": "bgr", "gray": "gray"}[format]
    assert raw([picture], pixel_format=format) == picture.to_ndarray(name).tobytes()  # pyright: ignore[reportArgumentType]


def test_other_samplings_become_420_and_a_range_may_be_chosen() -> None:
    data = raw([flat(16, 16, Sampling.YUV422, (255, 128, 128))], range="limited")
    assert data == bytes([235]) * 256 + bytes([128]) * 128


def test_ffmpeg_reads_it_with_the_options_that_are_logged(output: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "mjpeg_restore")
    sink = open_sink(f"raw:{output / 'a'}", OutputSettings(fps=Fraction(30000, 1001)))
    for index in range(3):
        sink.write(Frame(flat(64, 48, index=index)))
    sink.close()
    (line,) = [record.getMessage() for record in caplog.records]
    prefix = f"raw:{output / 'a'}: -f rawvideo "
    assert line == f"{prefix}-pixel_format yuv420p -video_size 64x48 -framerate 30000/1001, full range"
    words = line.removeprefix(prefix).removesuffix(", full range").split()
    options = {name.removeprefix("-"): value for name, value in zip(words[::2], words[1::2], strict=True)}
    with av.open(str(output / "a"), format="rawvideo", options=options) as container:
        frames = list(container.decode(video=0))
    assert len(frames) == 3
    assert frames[0].to_ndarray()[0, 0] == 150


def test_a_file_of_raw_pictures_is_replaced_only_if_asked(output: Path) -> None:
    (output / "a.raw").write_text("mine")
    with pytest.raises(OutputExists):
        open_sink(f"raw:{output / 'a.raw'}")
    sink = open_sink(f"raw:{output / 'a.raw'}", OutputSettings(overwrite=True))
    sink.write(Frame(flat(16, 16)))
    assert (output / "a.raw").read_text() == "mine"
    sink.close()
    assert (output / "a.raw").stat().st_size == 384
    sink = open_sink(f"raw:{output / 'b.raw'}")
    sink.write(Frame(flat(16, 16)))
    sink.discard()
    assert [path.name for path in output.iterdir()] == ["a.raw"]


def test_every_raw_picture_has_the_size_of_the_first() -> None:
    sink = RawStream(io.BytesIO())
    sink.write(Frame(flat(16, 16)))
    with pytest.raises(SinkError, match="resize it"):
        sink.write(Frame(flat(32, 16)))


@needs_full_device
def test_a_device_that_is_full() -> None:
    sink = open_sink("raw:/dev/full")
    with pytest.raises(
        SinkError, match=r"cannot write /dev/full \(No space left on device\): is there room on the disk\?"
    ):
        for _ in range(9):
            sink.write(Frame(flat()))
    sink.discard()


def through(pipe: Path, name: str, count: int = 3, settings: OutputSettings | None = None) -> bytes:
    """What a reader of a named pipe gets."""
    os.mkfifo(pipe)
    received: list[bytes] = []
    thread = threading.Thread(target=lambda: received.append(pipe.read_bytes()))
    thread.start()
    sink = open_sink(name, settings)
    for index in range(count):
        sink.write(Frame(flat(64, 48, index=index)))
    sink.close()
    thread.join(PATIENCE)
    return received[0]


@needs_named_pipes
@pytest.mark.parametrize(
    ("name", "prefix"),
    [
        ("pipe", ""),
        ("pipe", "y4m:"),
        ("pipe.y4m", ""),
        ("pipe", "raw:"),
        ("pipe", "ts:"),
        ("pipe.ts", ""),
        ("pipe.mp4", "ts:"),
    ],
)
def test_named_pipes(output: Path, name: str, prefix: str) -> None:
    data = through(output / name, f"{prefix}{output / name}")
    if prefix == "raw:":
        assert len(data) == 3 * 64 * 48 * 3 // 2
    elif "ts" in prefix + name:
        with av.open(io.BytesIO(data), "r") as container:
            assert container.format.name == "mpegts"
            assert len(list(container.decode(video=0))) == 3
    else:
        assert data.startswith(b"YUV4MPEG2 ")
        assert data.count(b"FRAME\n") == 3
    assert (output / name).is_fifo()


@needs_named_pipes
@pytest.mark.parametrize("prefix", ["y4m:", "raw:", "ts:"])
def test_a_reader_that_leaves_closes_the_sink(output: Path, prefix: str) -> None:
    os.mkfifo(output / "pipe")
    reader = os.open(output / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    sink = open_sink(f"{prefix}{output / 'pipe'}")
    sink.write(Frame(flat(64, 48)))
    assert not sink.closed
    os.close(reader)
    sink.write(Frame(flat(64, 48, index=1)))
    assert sink.closed
    sink.write(Frame(flat(64, 48, index=2)))
    sink.close()


@needs_named_pipes
@pytest.mark.parametrize("name", ["a.mp4", "a.png", "a.m3u8"])
def test_a_pipe_is_never_replaced_by_a_file(output: Path, name: str) -> None:
    os.mkfifo(output / name)
    with pytest.raises(SinkError, match=r"is a pipe or a device: give y4m:"):
        sink = open_sink(output / name, OutputSettings(overwrite=True))
        sink.write(Frame(flat()))
    assert [path.name for path in output.iterdir()] == [name]


def test_a_file_of_mpegts_is_no_pipe(output: Path) -> None:
    with pytest.raises(SinkError, match=r"is no pipe: a file of MPEG-TS is called NAME\.ts"):
        open_sink(f"ts:{output / 'a'}")


def test_formats_before_a_name(output: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    sink = open_sink(f"y4m:{output / 'a.bin'}")
    assert isinstance(sink, Y4mStream)
    sink.write(Frame(flat()))
    sink.close()
    assert (output / "a.bin").read_bytes().startswith(b"YUV4MPEG2 ")
    writers: list[Callable[[], object]] = [lambda: open_sink("raw:-"), lambda: open_sink("ts:-")]
    for writer in writers:
        sink = writer()
        sink.write(Frame(flat()))  # pyright: ignore[reportAttributeAccessIssue]
        sink.close()  # pyright: ignore[reportAttributeAccessIssue]
    data = capfdbinary.readouterr().out
    size = 128 * 96 * 3 // 2
    assert np.frombuffer(data[: 128 * 96], np.uint8).max() == 150
    assert data[size] == 0x47 and (len(data) - size) % 188 == 0
