from __future__ import annotations

import io
import re
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mjpeg_restore.cli.wording import worded
from mjpeg_restore.errors import MjpegRestoreError, NotMjpeg, SourceError, SourceNotFound
from mjpeg_restore.sources import open_source
from tests.sources.clips import MuxClip, make_jpeg


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(SourceNotFound, match=r"gone\.avi: no such file"):
        open_source(tmp_path / "gone.avi")


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "is empty"),
        (make_jpeg(0, format="PNG"), "is a PNG picture"),
        (b"dear diary,\n" * 10, "is text, not video"),
        (b"<!DOCTYPE html>\n<title>Log in</title>\n" * 10, "is a web page, not video"),
        (bytes(5000), "holds no JPEG picture and is no recording"),
        (b"PK\x03\x04rest", "is a ZIP archive"),
    ],
)
@pytest.mark.parametrize("name", ["clip.jpg", "clip.avi", "clip.mjpeg"])
def test_other_formats_are_named(tmp_path: Path, name: str, data: bytes, says: str) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    for spec in (path, data, io.BytesIO(data)):
        with pytest.raises(SourceError, match=says) as caught:
            open_source(spec)
        assert "\n" not in str(caught.value)
        assert isinstance(caught.value, NotMjpeg) is bool(data)


@pytest.mark.parametrize("url", ["rtmp://cam/x", "udp://@:5000"])
def test_network_sources_say_how_to_pipe(url: str) -> None:
    with pytest.raises(SourceError, match=r"ffmpeg -i .* -c copy -f matroska -, and read that"):
        open_source(url)


def test_a_file_url(tmp_path: Path, jpegs: list[bytes]) -> None:
    path = tmp_path / "a clip.mjpeg"
    path.write_bytes(b"".join(jpegs))
    with open_source(path.as_uri()) as source:
        assert len(list(source)) == 10


def test_a_frame_rate_for_a_container_is_refused(mux: MuxClip) -> None:
    path = mux("clip.avi")
    with pytest.raises(SourceError) as caught:
        open_source(path, fps=Fraction(30))
    assert str(caught.value) == f"{path} carries its own time stamps: leave out fps"
    assert worded(caught.value) == f"{path} carries its own time stamps: leave out --fps"


def test_text_mode_is_explained(tmp_path: Path) -> None:
    path = tmp_path / "clip.mjpeg"
    path.write_bytes(make_jpeg(0))
    with path.open() as file, pytest.raises(SourceError, match="mode 'rb'"):
        open_source(file)  # type: ignore[arg-type]


def test_the_keyboard_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    with pytest.raises(SourceError, match="keyboard"):
        open_source("-")


def test_names_that_no_system_allows() -> None:
    with pytest.raises(MjpegRestoreError):
        open_source("a\x00b")
    with pytest.raises(SourceError):
        open_source("x" * 5000)


def test_a_colon_in_a_name_is_not_a_protocol(mux: MuxClip) -> None:
    path = mux("clip.avi")
    odd = path.with_name("concat:cam%03d.avi")
    path.rename(odd)
    with open_source(odd) as source:
        assert len(list(source)) == 10


def test_a_source_may_be_closed_twice_and_keeps_no_file_open(mux: MuxClip, tmp_path: Path) -> None:
    raw = tmp_path / "clip.mjpeg"
    raw.write_bytes(make_jpeg(0))
    for path in (mux("clip.avi"), raw, tmp_path):
        source = open_source(path) if path != tmp_path else None
        if source is not None:
            source.close()
            source.close()


def test_standard_input_that_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    closed = io.TextIOWrapper(io.BytesIO())
    closed.close()
    for standard_input in (None, closed):
        monkeypatch.setattr("sys.stdin", standard_input)
        with pytest.raises(SourceError, match="standard input is closed"):
            open_source("-")


@pytest.mark.parametrize("live", [True, False])
def test_a_closed_file_is_an_error(tmp_path: Path, live: bool) -> None:
    path = tmp_path / "clip.mjpeg"
    path.write_bytes(make_jpeg(0))
    for file, name in ((io.BytesIO(b"x"), "the stream"), (path.open("rb"), str(path))):
        file.close()
        with pytest.raises(SourceError, match=f"^cannot read {re.escape(name)}: it is closed, open it again$"):
            open_source(file, live=live)


def test_sources_name_the_files_that_they_read(mux: MuxClip, tmp_path: Path, jpegs: list[bytes]) -> None:
    for name in ("1.jpg", "2.jpg"):
        (tmp_path / name).write_bytes(jpegs[0])
    (tmp_path / "cam.mjpeg").write_bytes(b"".join(jpegs))
    clip = mux("clip.avi")
    both = (tmp_path / "1.jpg", tmp_path / "2.jpg")
    for spec, paths in [
        (clip, (clip,)),
        (clip.as_uri(), (clip,)),
        (tmp_path / "cam.mjpeg", (tmp_path / "cam.mjpeg",)),
        (tmp_path / "1.jpg", both[:1]),
        (tmp_path, both),
        (f"{tmp_path}/*.jpg", both),
        (jpegs[0], ()),
    ]:
        with open_source(spec) as source:
            assert source.paths == paths
    with open_source(tmp_path, start=Fraction(1, 25)) as source:
        assert source.paths == both  # skipped files are inputs, too


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview, lambda data: np.frombuffer(data, np.uint8)])
def test_any_buffer_is_a_source(kind: Callable[[bytes], Any], jpegs: list[bytes]) -> None:
    with open_source(kind(jpegs[0] + jpegs[1])) as source:
        assert [packet.data for packet in source] == jpegs[:2]
        assert source.info.name == "the buffer"


@pytest.mark.parametrize("wrong", [5, None, ["a.mjpeg"], np.zeros(9)])
def test_other_types_are_a_type_error(wrong: Any) -> None:
    with pytest.raises(TypeError, match=r"^\w+ is no source: give a path, bytes or a binary file$"):
        open_source(wrong)
