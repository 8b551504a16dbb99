from __future__ import annotations

import errno
import io
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, JpegImagePlugin

from mjpeg_restore.frames import Packet
from mjpeg_restore.sources import open_source
from tests.scripts.running import run

SMALL = ("--size", "160x120", "--seconds", "0.4", "--fps", "10")


def read(path: Path) -> list[Packet]:
    with open_source(path, fps=None if path.suffix == ".avi" else 10) as source:
        return list(source)


@pytest.mark.parametrize("name", ["clip.avi", "clip.mjpeg"])
def test_a_clip_of_the_size_and_length_asked_for(tmp_path: Path, name: str) -> None:
    done = run("make_sample", tmp_path / name, *SMALL)
    assert done.returncode == 0, done.stderr
    packets = read(tmp_path / name)
    assert [float(packet.time) for packet in packets] == [0, 0.1, 0.2, 0.3]
    pictures = [Image.open(io.BytesIO(packet.data)) for packet in packets]
    assert {picture.size for picture in pictures} == {(160, 120)}
    first, last = (np.asarray(picture, np.float32) for picture in (pictures[0], pictures[-1]))
    assert np.abs(first - last).max() > 60  # something moves
    assert first.std() > 30


@pytest.mark.parametrize("size", ["64x64", "65x67", "64x480"])
def test_small_sizes(tmp_path: Path, size: str) -> None:
    done = run("make_sample", tmp_path / "clip.mjpeg", "--size", size, "--seconds", "0.1", "--fps", "10")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(("sampling", "number"), [("444", 0), ("422", 1), ("420", 2)])
def test_the_sampling_asked_for(tmp_path: Path, sampling: str, number: int) -> None:
    run("make_sample", tmp_path / "clip.mjpeg", *SMALL, "--sampling", sampling)
    with Image.open(io.BytesIO(read(tmp_path / "clip.mjpeg")[0].data)) as picture:
        assert JpegImagePlugin.get_sampling(picture) == number


def test_the_same_arguments_make_the_same_clip(tmp_path: Path) -> None:
    run("make_sample", tmp_path / "a.mjpeg", *SMALL)
    run("make_sample", tmp_path / "b.mjpeg", *SMALL)
    assert (tmp_path / "a.mjpeg").read_bytes() == (tmp_path / "b.mjpeg").read_bytes()


@pytest.mark.parametrize(
    "arguments",
    [
        ("--size", "big"),
        ("--size", "8x8"),
        ("--size", "100000x100000"),
        ("--quality", "0"),
        ("--seconds", "0"),
        ("--seconds", "1/0"),
        ("--fps", "1e10"),
        ("--sampling", "411"),
    ],
)
def test_arguments_that_make_no_sense(tmp_path: Path, arguments: tuple[str, str]) -> None:
    done = run("make_sample", tmp_path / "clip.avi", *arguments)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "clip.avi").exists()


@pytest.mark.parametrize("name", ["clip.avi", "clip.mjpeg"])
def test_a_clip_that_cannot_be_finished_leaves_what_was_there(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    save, saved = Image.Image.save, list[object]()

    def full(picture: Image.Image, file: io.BytesIO, *words: str, **options: int) -> None:
        saved.append(picture)
        if len(saved) % 3 == 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        save(picture, file, *words, **options)

    monkeypatch.setattr(Image.Image, "save", full)
    for before in ([], [name]):
        for file in before:
            (tmp_path / file).write_bytes(b"an earlier one")
        done = run("make_sample", tmp_path / name, *SMALL)
        assert done.returncode == 1
        assert done.stderr == f"make_sample: cannot write {tmp_path / name}: {os.strerror(errno.ENOSPC)}\n"
        assert [path.name for path in tmp_path.iterdir()] == before
    assert (tmp_path / name).read_bytes() == b"an earlier one"


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    done = run("make_sample", tmp_path / "none" / "clip.mjpeg", *SMALL)
    assert done.returncode == 1
    assert done.stderr.startswith("make_sample: cannot write")
