from __future__ import annotations

import shutil
from fractions import Fraction
from pathlib import Path

import pytest

from mjpeg_restore.errors import NotMjpeg, SourceError, SourceNotFound
from mjpeg_restore.sources import open_source
from mjpeg_restore.sources.stills import natural_key
from tests.lacking import RECORDINGS, needs_recordings


@pytest.fixture
def folder(tmp_path: Path, jpegs: list[bytes]) -> Path:
    names = ["img1.jpg", "img2.JPG", "IMG10.jpeg", "img11.jfif", "img20.Jpe"]
    for name, data in zip(names, jpegs, strict=False):
        (tmp_path / name).write_bytes(data)
    (tmp_path / "notes.txt").write_text("no picture")
    (tmp_path / "._img1.jpg").write_bytes(b"what macOS leaves on a memory card")
    (tmp_path / "sub.jpg").mkdir()
    return tmp_path


def test_a_folder_in_natural_order(folder: Path, jpegs: list[bytes]) -> None:
    with open_source(folder) as source:
        packets = list(source)
    assert [packet.data for packet in packets] == jpegs[:5]
    assert [packet.time for packet in packets] == [Fraction(number, 25) for number in range(5)]
    assert (source.info.format, source.info.origin) == ("folder", "file order")
    assert source.info.independent and not source.info.live
    assert source.info.frames == 5
    assert source.truncated is None


def test_a_pattern(folder: Path, jpegs: list[bytes]) -> None:
    with open_source(str(folder / "img?.*"), fps=10) as source:
        assert [packet.data for packet in source] == jpegs[:2]
        assert source.info.duration == Fraction(2, 10)


def test_a_name_with_brackets_is_a_file_before_it_is_a_pattern(tmp_path: Path, jpegs: list[bytes]) -> None:
    (tmp_path / "cam[1].jpg").write_bytes(jpegs[0])
    with open_source(tmp_path / "cam[1].jpg") as source:
        assert [packet.data for packet in source] == [jpegs[0]]
        assert source.info.format == "JPEG picture"


def test_a_still_is_one_picture_whatever_follows(tmp_path: Path, jpegs: list[bytes]) -> None:
    (tmp_path / "phone.jpg").write_bytes(jpegs[0] + jpegs[1])  # a second view, as phones append it
    with open_source(tmp_path / "phone.jpg") as source:
        assert len(list(source)) == 1


def test_start_and_duration(folder: Path, jpegs: list[bytes]) -> None:
    with open_source(folder, fps=1, start=Fraction(1), duration=Fraction(2)) as source:
        packets = list(source)
    assert [packet.data for packet in packets] == jpegs[1:3]
    assert [packet.pts for packet in packets] == [0, 1]
    with pytest.raises(SourceError, match="lasts 5 s"):
        open_source(folder, fps=1, start=Fraction(5))


def test_a_deleted_file_is_one_damaged_picture(folder: Path, jpegs: list[bytes]) -> None:
    with open_source(folder) as source:
        (folder / "img2.JPG").unlink()
        packets = list(source)
    assert [packet.data for packet in packets] == [jpegs[0], b"", *jpegs[2:5]]
    assert packets[1].name == str(folder / "img2.JPG")
    assert [packet.fault for packet in packets] == ["", "cannot be read: No such file or directory", "", "", ""]


def test_a_folder_without_jpegs(tmp_path: Path) -> None:
    (tmp_path / "clip.avi").write_bytes(b"RIFF")
    with pytest.raises(NotMjpeg, match="holds no JPEG files"):
        open_source(tmp_path)


def test_a_pattern_without_a_match(tmp_path: Path) -> None:
    with pytest.raises(SourceNotFound, match="no file matches"):
        open_source(str(tmp_path / "*.jpg"))
    (tmp_path / "clip.avi").write_bytes(b"RIFF")
    with pytest.raises(NotMjpeg, match="but no JPEG picture"):
        open_source(str(tmp_path / "*.avi"))


def test_subfolders_by_pattern(folder: Path, jpegs: list[bytes]) -> None:
    shutil.copy(folder / "img1.jpg", folder / "sub.jpg" / "img3.jpg")
    with open_source(str(folder / "**" / "img*.jpg")) as source:
        assert [packet.data for packet in source] == [jpegs[0], jpegs[0]]


def test_natural_order_of_names() -> None:
    names = ["a10b2", "a2b10", "a2b9", "A1", "b", "a", "10", "9"]
    ordered = sorted(map(Path, names), key=natural_key)
    assert [path.name for path in ordered] == ["9", "10", "a", "A1", "a2b9", "a2b10", "a10b2", "b"]


@needs_recordings
def test_the_real_folder() -> None:
    with open_source(RECORDINGS / "traffic-day-frames") as source:
        assert len(list(source)) == 180
