"""Each example runs on a small clip, prints or writes what it says, and names in one line what a user did wrong."""

from __future__ import annotations

import io
import logging
import os
import re
import runpy
import sys
import threading
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from cameras.faults import Fault
from cameras.http import HttpCamera
from cameras.pictures import NumberedPictures
from make_sample import main as make_sample
from PIL import Image

from mjpeg_restore import open_source
from tests.lacking import needs_named_pipes, needs_opencv

EXAMPLES = Path(__file__).parents[2] / "examples"
LIMIT = 60
"""Seconds within which an example ends by itself."""


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten pictures of 160x120 at ten a second."""
    path = tmp_path_factory.mktemp("sample") / "clip.avi"
    assert make_sample([str(path), "--size", "160x120", "--seconds", "1", "--fps", "10"]) == 0
    return path


class Example:
    """Runs the examples in this process, as the command line would."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch = monkeypatch
        self._capsys = capsys

    def run(self, name: str, *arguments: object) -> list[str]:
        """Start one; the lines that it prints."""
        self._monkeypatch.setattr(sys, "argv", [name, *map(str, arguments)])
        self._capsys.readouterr()
        runpy.run_path(str(EXAMPLES / name), run_name="__main__")
        out, err = self._capsys.readouterr()
        assert err == ""
        return out.splitlines()

    def refuse(self, name: str, *arguments: object) -> str:
        """Start one that ends with an error; its message."""
        with pytest.raises(SystemExit) as raised:
            self.run(name, *arguments)
        assert isinstance(raised.value.code, str)  # which Python prints, and exits with 1
        return raised.value.code


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Example:
    return Example(monkeypatch, capsys)


def picture(shade: int) -> bytes:
    """A JPEG of a grey wall, with a square of another shade on it."""
    pixels = np.full((96, 128), 100, np.uint8)
    pixels[32:64, 32:64] = shade
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG")
    return buffer.getvalue()


def test_every_example_is_in_the_index_and_is_tested() -> None:
    named = set(re.findall(r"\]\((\w+\.py)\)", (EXAMPLES / "README.md").read_text()))
    assert named == {path.name for path in EXAMPLES.glob("*.py")}
    assert all(f'"{name}"' in Path(__file__).read_text() for name in named)


def test_a_detector_prints_when_motion_begins_and_ends(example: Example, tmp_path: Path) -> None:
    path = tmp_path / "wall.mjpeg"
    path.write_bytes(picture(100) * 5 + picture(220) * 5 + picture(100) * 5)  # at 25 pictures a second
    assert example.run("detector_loop.py", path) == ["0.200 s: motion", "0.400 s: quiet"]


@needs_opencv
def test_opencv_marks_what_moves(example: Example, tmp_path: Path) -> None:
    path, marked = tmp_path / "wall.mjpeg", tmp_path / "marked.avi"
    path.write_bytes(picture(100) * 10 + picture(220))
    assert example.run("opencv.py", path, marked) == []
    with open_source(marked) as source:
        *_, still, last = (Image.open(io.BytesIO(packet.data)).convert("RGB") for packet in source)
    assert np.ptp(np.asarray(still, int), axis=2).max() < 16  # grey as it was
    red, green, _ = np.asarray(last, int)[32, 32:64].T  # the box's upper edge
    assert np.median(green - red) > 64


@needs_opencv
def test_opencv_names_what_cannot_be_written(example: Example, clip: Path, tmp_path: Path) -> None:
    assert example.refuse("opencv.py", clip, tmp_path / "none" / "marked.avi").startswith("opencv: cannot write ")


def test_opencv_is_named_where_it_is_missing(
    example: Example, monkeypatch: pytest.MonkeyPatch, clip: Path, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)
    assert "pip install 'mjpeg-restore[show]'" in example.refuse("opencv.py", clip, tmp_path / "marked.avi")


def test_asyncio_takes_every_picture(example: Example, clip: Path) -> None:
    missing = clip.with_name("missing.avi")
    lines = example.run("async_frames.py", LIMIT, clip, missing, clip)
    assert sorted(lines) == [*[f"{clip}: 10 pictures, then the end"] * 2, f"{missing}: no such file or folder"]


@needs_named_pipes
def test_asyncio_leaves_a_camera_that_falls_silent(example: Example, tmp_path: Path) -> None:
    pipe = tmp_path / "camera.mjpeg"
    os.mkfifo(pipe)
    done = threading.Event()

    def send() -> None:
        with pipe.open("wb") as camera:
            camera.write(picture(100) * 3)
            camera.flush()
            done.wait()

    sender = threading.Thread(target=send)
    sender.start()
    try:
        (line,) = example.run("async_frames.py", 1, pipe)
    finally:
        done.set()
        sender.join()
    assert re.fullmatch(rf"{pipe}: [0-3] pictures, then the time was over", line)  # how many is the machine's speed


def test_a_sink_of_ones_own_writes_a_sheet(example: Example, clip: Path, tmp_path: Path) -> None:
    sheet = tmp_path / "sheet.ppm"
    assert example.run("own_sink.py", clip, sheet, "0.2") == [f"{sheet}: 5 pictures"]
    with Image.open(sheet) as image:
        assert image.size == (160, 60)  # two rows of four pictures of 40x30
        assert np.asarray(image)[30:, 40:].max() == 0  # three places are left over
        assert np.asarray(image)[:30].std() > 20
    assert [*tmp_path.iterdir()] == [sheet]


def test_a_source_of_ones_own_keeps_the_last_pictures(example: Example, clip: Path, tmp_path: Path) -> None:
    target = tmp_path / "last.mkv"
    assert example.run("own_source.py", clip, target, "0.4") == [f"{target}: 4 pictures"]
    assert target.stat().st_size > 0
    assert example.refuse("own_source.py", clip, target, "0.4").startswith(f"own_source: {target} exists")


def test_many_recordings_share_a_network(example: Example, clip: Path, tmp_path: Path) -> None:
    other = tmp_path / "wall.mjpeg"
    other.write_bytes(picture(100) * 5)
    folder, missing = tmp_path / "restored", tmp_path / "missing.avi"
    assert example.run("many_recordings.py", folder, clip, missing, other) == [
        f"{folder / 'clip.mp4'}: 10 pictures, 0 of them damaged",
        f"{missing}: no such file or folder",
        f"{folder / 'wall.mp4'}: 5 pictures, 0 of them damaged",
    ]
    assert {path.name for path in folder.iterdir()} == {"clip.mp4", "wall.mp4"}


def test_a_camera_is_watched_until_it_is_gone(
    example: Example, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    log = logging.getLogger()  # the example configures it
    monkeypatch.setattr(log, "handlers", [])
    request.addfinalizer(partial(log.setLevel, log.level))
    with HttpCamera(NumberedPictures((64, 48)), faults=[Fault("unreachable", 8, seconds=30)]) as camera:
        lines = example.run("camera.py", camera.url, 2)
    assert lines[0].endswith(f"{camera.url}: connected")
    assert any(line.endswith("gave up") for line in lines)  # maybe while the network is still at work
    assert any(re.fullmatch(r"0 s: 64x48, brightness \d+", line) for line in lines)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("camera.py", ()),
        ("detector_loop.py", ()),
        pytest.param("opencv.py", (), marks=needs_opencv),
        ("own_sink.py", ("sheet.ppm", "1")),
        ("own_source.py", ("last.mp4", "1")),
    ],
)
def test_a_missing_file_is_one_line(example: Example, tmp_path: Path, name: str, arguments: tuple[str, ...]) -> None:
    path = tmp_path / "missing.avi"
    outputs = [tmp_path / word if "." in word else word for word in arguments]
    message = example.refuse(name, path, *outputs)
    assert message == f"{name.removesuffix('.py')}: {path}: no such file or folder"


@pytest.mark.parametrize(
    ("seconds", "says"), [("x", "could not convert string to float: 'x'"), ("-1", "give_up -1.0: ")]
)
def test_a_bad_number_is_one_line(
    example: Example,
    clip: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
    seconds: str,
    says: str,
) -> None:
    log = logging.getLogger()  # the example configures it
    monkeypatch.setattr(log, "handlers", [])
    request.addfinalizer(partial(log.setLevel, log.level))
    assert example.refuse("camera.py", clip, seconds).startswith(f"camera: {says}")
