"""What is wrong is one line and an exit code, and nothing is left behind."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from tests.cli.command import COMMAND, FAST, assert_one_line, mux, pictures, run, times
from tests.jpeg.pictures import scene
from tests.lacking import needs_full_device


def h264(path: Path) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, width=64, height=48)
        for _ in range(3):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(scene(64, 48), "rgb24")))
        container.mux(stream.encode(None))
    return path


def wrong_input(kind: str, folder: Path) -> Path:
    path = folder / kind.replace(" ", "-")
    if kind == "empty":
        path.touch()
    elif kind == "text":
        path.write_text("this is no video\n" * 50)
    elif kind == "png.mjpeg":
        Image.fromarray(scene(32, 32)).save(path, "PNG")
    elif kind == "folder":
        path.mkdir()
        (path / "notes.txt").touch()
    elif kind == "truncated.avi":
        path.write_bytes(mux(folder / "whole.avi", range(0, 400, 40)).read_bytes()[:300])
    elif kind == "h264.mp4":
        h264(path)
    elif kind == "noise":
        path.write_bytes(np.random.default_rng(0).bytes(5000))
    elif kind == "broken.mjpeg":
        path.write_bytes(b"".join(data[:250] + b"\xff\xd9" for data in pictures()))
    elif kind == "two\nlines":
        path.write_text("no video")
    return path


def test_an_empty_name_is_no_folder(output: Path, capfd: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(["", "-o", output / "out.mp4"], capfd)
    assert (code, out) == (3, "")
    assert "empty name" in err


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("missing.mjpeg", "no such file or folder"),
        ("empty", "is empty"),
        ("text", "is text, not video"),
        ("png.mjpeg", "is a PNG picture"),
        ("folder", "holds no JPEG files"),
        ("truncated.avi", ""),
        ("h264.mp4", "H.264"),
        ("noise", "holds no JPEG picture"),
        ("broken.mjpeg", ""),
        ("none-*.jpg", "no file matches"),
        ("two\nlines", "is text, not video"),
    ],
)
@pytest.mark.parametrize("command", ["restore", "inspect"])
def test_wrong_input_is_one_line(
    tmp_path: Path, output: Path, kind: str, words: str, command: str, capfd: pytest.CaptureFixture[str]
) -> None:
    path = wrong_input(kind, tmp_path)
    arguments = [path, "-o", output / "out.mp4"] if command == "restore" else ["inspect", path]
    code, out, err = run(arguments, capfd)
    assert (code, out) == (3, "")
    assert_one_line(err)
    assert words in err
    assert list(output.iterdir()) == []


def test_the_input_is_not_overwritten(clip: Path, capfd: pytest.CaptureFixture[str]) -> None:
    before = clip.read_bytes()
    code, _, err = run([clip, "-o", clip, "-y"], capfd)
    assert code == 5
    assert_one_line(err)
    assert "is the input itself" in err
    assert clip.read_bytes() == before


@pytest.mark.parametrize("form", ["file://{}", "-"])
def test_the_input_is_not_overwritten_by_another_name(clip: Path, form: str) -> None:
    before = clip.read_bytes()
    with clip.open("rb") as file:
        done = subprocess.run([*COMMAND, form.format(clip), "-o", clip, "-y", *FAST], stdin=file, capture_output=True)
    assert done.returncode == 5
    assert_one_line(done.stderr.decode())
    assert clip.read_bytes() == before


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("", ["-o", "{}/%d.jpg"]),
        ("/*.jpg", ["-o", "{}", "--image-format", "jpeg"]),
        ("/000000.jpg", ["-o", "{}/000000.jpg"]),
    ],
)
def test_input_pictures_are_not_overwritten(
    tmp_path: Path, spec: str, words: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    for number, data in enumerate(pictures(2)):
        (tmp_path / f"{number:06}.jpg").write_bytes(data)
    code, _, err = run([f"{tmp_path}{spec}", *(word.format(tmp_path) for word in words), "-y", *FAST], capfd)
    assert code == 5
    assert_one_line(err)
    assert [path.read_bytes() for path in sorted(tmp_path.iterdir())] == pictures(2)


@pytest.mark.parametrize("command", ["inspect {clip}", "inspect {clip} --json", "models", "--help", "--version"])
@pytest.mark.parametrize(
    ("where", "code"), [("| true", 0), pytest.param("> /dev/full", 5, marks=needs_full_device), (">&-", 5)]
)
def test_a_result_that_nobody_takes(clip: Path, command: str, where: str, code: int) -> None:
    words = f"set -o pipefail; {' '.join(COMMAND)} {command.format(clip=clip)} {where}"
    done = subprocess.run(["bash", "-c", words], capture_output=True, text=True)
    assert done.returncode == code, done.stderr
    if code:
        assert_one_line(done.stderr)
    else:
        assert done.stderr == ""


@pytest.mark.parametrize(
    ("words", "where", "code", "lines"),
    [
        ("- -o {output}/a.y4m", "<&-", 3, 1),
        ("{clip} -o -", ">&-", 5, 1),
        pytest.param("{clip} -o -", "> /dev/full", 5, 1, marks=needs_full_device),
        ("{clip} -o {output}/a.y4m", "2>&-", 0, 0),
        pytest.param("{clip} -o {output}/a.y4m", "2> /dev/full", 0, 0, marks=needs_full_device),
    ],
)
def test_standard_streams_that_are_closed_or_full(
    clip: Path, output: Path, words: str, where: str, code: int, lines: int
) -> None:
    command = " ".join([*COMMAND, words.format(clip=clip, output=output), *FAST, where])
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert done.returncode == code, done.stderr
    assert done.stderr.count("\n") == lines
    assert [path.name for path in output.iterdir()] == ([] if code else ["a.y4m"])


def test_an_output_that_exists_stays_untouched(clip: Path, output: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (output / "out.mp4").write_text("mine")
    code, _, err = run([clip, "-o", output / "out.mp4", *FAST], capfd)
    assert code == 5
    assert_one_line(err)
    assert "-y replaces it" in err
    assert (output / "out.mp4").read_text() == "mine"
    assert run([clip, "-o", output / "out.mp4", "-y", *FAST], capfd)[0] == 0
    assert len(times(output / "out.mp4")) == 6


def test_an_output_that_is_replaced_stays_until_the_end(
    tmp_path: Path, output: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (output / "out.mp4").write_text("mine")
    code, _, _ = run([wrong_input("broken.mjpeg", tmp_path), "-o", output / "out.mp4", "-y", *FAST], capfd)
    assert code == 3
    assert (output / "out.mp4").read_text() == "mine"
    assert [path.name for path in output.iterdir()] == ["out.mp4"]


@pytest.mark.parametrize(
    ("words", "code", "say"),
    [
        (["-m", "strem"], 4, "no model 'strem'"),
        (["--device", "tpu"], 4, "no device 'tpu'"),
        (["-c", "h265000"], 5, "no video encoder"),
        (["-e", "nonsense=1"], 5, "no option 'nonsense'"),
    ],
)
def test_wrong_choices_have_their_exit_code(
    clip: Path, output: Path, words: list[str], code: int, say: str, capfd: pytest.CaptureFixture[str]
) -> None:
    found, out, err = run([clip, "-o", output / "out.mp4", *words], capfd)
    assert (found, out) == (code, "")
    assert_one_line(err)
    assert say in err
    assert list(output.iterdir()) == []


@pytest.mark.parametrize("name", ["out.wmv", "no/such/folder/out.mp4", "no/such/folder/out.png"])
def test_wrong_outputs_are_one_line(clip: Path, output: Path, name: str, capfd: pytest.CaptureFixture[str]) -> None:
    code, _, err = run([clip, "-o", output / name, *FAST], capfd)
    assert code == 5
    assert_one_line(err)
    assert list(output.iterdir()) == []


def test_a_window_that_cannot_be_had_begins_no_output(
    clip: Path, output: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)
    code, _, err = run([clip, "-o", output / "out.mp4", "--show", *FAST], capfd)
    assert code == 4
    assert_one_line(err)
    assert "pip install opencv-python (the extra mjpeg-restore[show])" in err
    assert list(output.iterdir()) == []
