from __future__ import annotations

import errno
import io
import os
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Literal

import numpy as np
import pytest

from mjpeg_restore import colour
from mjpeg_restore.errors import OutputExists, SinkError
from mjpeg_restore.frames import FieldLayout, Frame, Sampling
from mjpeg_restore.interlace import weave
from mjpeg_restore.sinks import OutputSettings, Y4mStream
from tests.sinks.conftest import flat, noise, planes_of, read, times


@pytest.mark.parametrize("size", [(64, 48), (163, 117)])
@pytest.mark.parametrize("sampling", Sampling)
def test_every_sample_comes_back(output: Path, sampling: Sampling, size: tuple[int, int]) -> None:
    pictures = [noise(*size, sampling, seed=i, index=i) for i in range(3)]
    sink = Y4mStream(output / "a.y4m", OutputSettings(fps=Fraction(30000, 1001)))
    for picture in pictures:
        sink.write(Frame(picture))
    sink.close()
    frames = read(output / "a.y4m")
    assert times(frames) == [Fraction(1001 * i, 30000) for i in range(3)]
    for picture, frame in zip(pictures, frames, strict=True):
        assert frame.color_range == 2
        expected = colour.to_sampling(picture, Sampling.YUV444) if sampling is Sampling.YUV440 else picture
        assert all(map(np.array_equal, expected.planes, planes_of(frame)))


def test_the_header_has_chroma_siting_range_and_rate() -> None:
    pipe = io.BytesIO()
    sink = Y4mStream(pipe)
    sink.write(Frame(flat(6, 4)))
    sink.close()
    header, rest = pipe.getvalue().split(b"\n", 1)
    assert header == b"YUV4MPEG2 W6 H4 F25:1 Ip A1:1 C420jpeg XCOLORRANGE=FULL"
    assert rest == b"FRAME\n" + bytes([150] * 24 + [90] * 6 + [200] * 6)
    assert not pipe.closed


@pytest.mark.parametrize(("order", "mark"), [("top", b" It "), ("bottom", b" Ib ")])
def test_s6_the_header_has_the_field_order(order: Literal["top", "bottom"], mark: bytes) -> None:
    pipe = io.BytesIO()
    Y4mStream(pipe).write(Frame(replace(flat(6, 4), field_order=order)))
    assert mark in pipe.getvalue()


def test_s6_fields_of_an_odd_height_in_y4m_lose_at_most_one_line_of_chroma(output: Path) -> None:
    woven = weave(noise(64, 27), noise(64, 27, seed=1), FieldLayout())
    sink = Y4mStream(output / "a.y4m")
    for index in range(2):
        sink.write(Frame(replace(woven, index=index, pts=index)))
    sink.close()
    for frame in read(output / "a.y4m"):
        luma, *chroma = woven.planes
        assert all(map(np.array_equal, planes_of(frame), (luma, *(plane[:27] for plane in chroma))))


def test_limited_range_is_converted_and_tagged() -> None:
    pipe = io.BytesIO()
    sink = Y4mStream(pipe, OutputSettings(range="limited"))
    sink.write(Frame(flat(2, 2, sample=(255, 128, 128))))
    assert b"XCOLORRANGE=LIMITED\n" in pipe.getvalue()
    assert pipe.getvalue().endswith(bytes([235] * 4 + [128] * 2))


@pytest.mark.parametrize(("system", "error"), [("posix", BrokenPipeError()), ("nt", OSError(errno.EINVAL, "Invalid"))])
def test_a_reader_that_disconnects_closes_the_sink(
    system: str, error: OSError, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mjpeg_restore.errors.os", SimpleNamespace(name=system))

    class Pipe(io.BytesIO):
        def write(self, data: object) -> int:
            raise error

    sink = Y4mStream(Pipe())
    assert not sink.closed
    sink.write(Frame(flat()))
    assert sink.closed
    sink.write(Frame(flat(index=1)))
    sink.close()


class Failing(io.BytesIO):
    """A file or stream on a full disk, if nothing else is said."""

    number = errno.ENOSPC

    def write(self, data: object) -> int:
        raise OSError(self.number, os.strerror(self.number))


@pytest.mark.parametrize("name", [None, "/mnt/pipe"])
def test_an_error_of_a_stream_names_it(name: str | None) -> None:
    stream = Failing()
    if name:
        stream.name = name
    with pytest.raises(SinkError) as caught:
        Y4mStream(stream).write(Frame(flat()))
    reason = os.strerror(errno.ENOSPC)
    assert str(caught.value) == f"cannot write {name or 'the y4m stream'} ({reason}): is there room on the disk?"


@pytest.mark.parametrize(
    ("number", "words"),
    [(errno.ENOSPC, "{}: no room on the disk ("), (errno.EFBIG, "cannot write {}/a.y4m (")],
)
def test_an_error_of_a_file_says_where(output: Path, monkeypatch: pytest.MonkeyPatch, number: int, words: str) -> None:
    monkeypatch.setattr(Failing, "number", number)
    monkeypatch.setattr(Path, "open", lambda *_: Failing())
    sink = Y4mStream(output / "a.y4m")
    with pytest.raises(SinkError) as caught:
        sink.write(Frame(flat()))
    assert str(caught.value).startswith(words.format(output))
    sink.discard()


def test_a_discarded_or_empty_file_is_removed(output: Path) -> None:
    sink = Y4mStream(output / "a.y4m")
    sink.write(Frame(flat()))
    sink.discard()
    Y4mStream(output / "b.y4m").close()
    assert list(output.iterdir()) == []
    (output / "a.y4m").touch()
    with pytest.raises(OutputExists):
        Y4mStream(output / "a.y4m")


def test_a_second_close_does_nothing(output: Path) -> None:
    sink = Y4mStream(output / "a.y4m")
    sink.write(Frame(flat()))
    sink.close()
    sink.close()
    sink.discard()
    assert len(read(output / "a.y4m")) == 1


def test_a_picture_of_another_size_is_refused_by_y4m() -> None:
    sink = Y4mStream(io.BytesIO())
    sink.write(Frame(flat()))
    with pytest.raises(SinkError, match="64x48"):
        sink.write(Frame(flat(64, 48)))


def test_an_unknown_rate_defaults_to_25() -> None:
    pipe = io.BytesIO()
    Y4mStream(pipe).write(Frame(flat(time_base=Fraction(1, 90_000))))
    assert b" F25:1 " in pipe.getvalue()


@pytest.mark.parametrize(
    ("fps", "time_base", "stamps"),
    [
        (Fraction(30), Fraction(1, 1000), [0, 33, 67, 100, 133, 167]),
        (Fraction(240), Fraction(1, 1000), [5, 9, 13, 18, 22]),
        (Fraction(30000, 1001), Fraction(1001, 30000), [0, 1, 2]),
        (None, Fraction(1, 1000), [7]),
    ],
)
def test_a_constant_rate_has_no_remark(fps: Fraction | None, time_base: Fraction, stamps: list[int]) -> None:
    sink = Y4mStream(io.BytesIO(), OutputSettings(fps=fps))
    for index, pts in enumerate(stamps):
        sink.write(Frame(flat(8, 8, index=index, pts=pts, time_base=time_base)))
    assert sink.remark is None


@pytest.mark.parametrize(
    ("fps", "time_base", "stamps", "remark"),
    [
        (Fraction(25), Fraction(1, 1000), [0, 40, 540], "every 40 to 500 ms will play at 25.000 frames/s"),
        (Fraction(25), Fraction(1, 25), [0, 1, 3], "every 40 to 80 ms"),
        (None, Fraction(1, 1000), [0, 100, 200], "every 100 to 100 ms will play at 25.000"),
    ],
)
def test_a_rate_other_than_the_headers_is_remarked(
    fps: Fraction | None, time_base: Fraction, stamps: list[int], remark: str
) -> None:
    sink = Y4mStream(io.BytesIO(), OutputSettings(fps=fps))
    for index, pts in enumerate(stamps):
        sink.write(Frame(flat(8, 8, index=index, pts=pts, time_base=time_base)))
    assert sink.remark is not None
    assert remark in sink.remark
