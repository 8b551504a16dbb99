from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mjpeg_restore.errors import OutputExists, SinkError
from mjpeg_restore.frames import FieldLayout, Frame, Picture, Sampling
from mjpeg_restore.interlace import weave
from mjpeg_restore.sinks import OutputSettings, Still, Stills
from tests.sinks.conftest import ORANGE, flat, noise

BLUE = (60, 220, 90)
JPEG_LOSS = 10
"""Tolerance for the finest quantisation; orange and blue differ by at least 56 in each channel."""


@pytest.mark.parametrize("size", [(64, 48), (163, 117)])
@pytest.mark.parametrize("sampling", Sampling)
def test_png_holds_the_picture_exactly(output: Path, sampling: Sampling, size: tuple[int, int]) -> None:
    picture = noise(*size, sampling, index=7)
    Stills(output / "png").write(Frame(picture))
    image = Image.open(output / "png" / "000007.png")
    assert image.mode == ("L" if sampling is Sampling.GRAY else "RGB")
    assert np.array_equal(np.asarray(image.convert("RGB")), picture.to_ndarray("rgb"))


@pytest.mark.parametrize("sampling", Sampling)
def test_a_jpeg_file_is_a_jfif_of_the_right_colour(output: Path, sampling: Sampling) -> None:
    picture = flat(163, 117, sampling)
    Stills(output / "%d.jpg").write(Frame(picture))
    image = Image.open(output / "0.jpg")
    assert image.format == "JPEG"
    assert "jfif" in image.info
    assert image.size == (163, 117)
    off = np.abs(np.asarray(image.convert("RGB")).astype(int) - picture.to_ndarray("rgb"))
    assert off.max() <= 1


def test_s6_png_has_the_colours_of_each_field(output: Path) -> None:
    Stills(output / "%d.png").write(Frame(woven(Sampling.YUV420, 117)))
    pixels = np.asarray(Image.open(output / "0.png"))
    for lines, colour in ((pixels[0::2], ORANGE), (pixels[1::2], BLUE)):
        assert np.all(lines == flat(163, 117, sample=colour).to_ndarray("rgb")[0, 0])


@pytest.mark.parametrize("height", [48, 117])
@pytest.mark.parametrize("sampling", Sampling)
def test_s6_jpeg_has_the_colours_of_each_field(output: Path, sampling: Sampling, height: int) -> None:
    picture = woven(sampling, height)
    Stills(output / "%d.jpg", OutputSettings(crf=1)).write(Frame(picture))
    pixels = np.asarray(Image.open(output / "0.jpg").convert("RGB")).astype(int)
    assert pixels.shape == (2 * height, 163, 3)
    assert np.abs(pixels - picture.to_ndarray("rgb")).max() <= JPEG_LOSS


def woven(sampling: Sampling, height: int) -> Picture:
    """An orange field and a blue one."""
    return weave(*(flat(163, height, sampling, sample) for sample in (ORANGE, BLUE)), layout=FieldLayout())


def test_jpeg_quality_changes_the_size(output: Path) -> None:
    for quality in (1, 20):
        Stills(output / f"{quality}-%d.jpg", OutputSettings(crf=quality)).write(Frame(noise()))
    assert (output / "1-0.jpg").stat().st_size > 2 * (output / "20-0.jpg").stat().st_size


def test_a_folder_is_gone_on_with_after_a_failure_and_after_a_new_beginning_of_the_source(output: Path) -> None:
    written: list[tuple[str, bytes]] = []

    def write(sink: Stills, *indices: int) -> Stills:
        for index in indices:
            sink.write(Frame(flat(index=index)))
        sink.close()
        found = sorted((path.name, path.read_bytes()) for path in folder.iterdir())
        assert set(written) <= set(found)
        written[:] = found
        return sink

    folder = output / "f"
    first = write(Stills(folder), 0, 2)
    second = write(Stills(folder, before=first), 5, 6)
    write(Stills(folder, before=second), 0, 1, 3)
    assert [int(name[:6]) for name, _ in written] == [0, 2, 5, 6, 7, 8, 10]
    with pytest.raises(OutputExists):
        Stills(folder)


@pytest.mark.parametrize(("told", "number"), [(-1, 13), (5, 13), (40, 41)])
def test_a_sink_that_goes_on_for_one_of_another_process_finds_the_last_number(
    output: Path, told: int, number: int
) -> None:
    folder = output / "f"
    folder.mkdir()
    for name in ("000000.png", "000012.png", "000099.jpg", "notes.txt", ".000050.png.part"):
        (folder / name).touch()
    for overwrite in (False, True):
        Stills(folder, OutputSettings(overwrite=overwrite), before=told).write(Frame(flat(index=0)))
        assert (folder / f"{number:06}.png").stat().st_size
        (folder / f"{number:06}.png").unlink()
    assert not (folder / "000000.png").stat().st_size


def test_numbers_are_the_sources_indices_and_strictly_rise(output: Path) -> None:
    sink = Stills(output / "f", OutputSettings(image_format="jpeg"))
    for index in (3, 5, 5, 2):
        sink.write(Frame(flat(index=index)))
    sink.close()
    sink.discard()
    assert sorted(path.name for path in (output / "f").iterdir()) == [
        "000003.jpg",
        "000005.jpg",
        "000006.jpg",
        "000007.jpg",
    ]


def test_sizes_may_change(output: Path) -> None:
    sink = Stills(output / "f")
    assert not sink.fixed_size
    sink.write(Frame(flat(64, 48)))
    sink.write(Frame(flat(32, 16, index=1)))
    for name, size in (("000000.png", (64, 48)), ("000001.png", (32, 16))):
        with Image.open(output / "f" / name) as image:
            assert image.size == size


def test_a_folder_with_files_needs_overwrite(output: Path) -> None:
    (output / "notes.txt").touch()
    with pytest.raises(OutputExists, match="holds 1 file already: overwrite=True writes into it"):
        Stills(output)
    Stills(output, OutputSettings(overwrite=True)).write(Frame(flat()))
    with pytest.raises(OutputExists):
        Stills(output / "%06d.png")
    Stills(output / "other-%06d.png")


@pytest.mark.parametrize(("first", "second"), [("f", "f"), ("f/", "f/%d.png"), ("f/%d.png", "f/%06d.png")])
def test_two_runs_with_the_same_pictures_are_refused(output: Path, first: str, second: str) -> None:
    again = OutputSettings(overwrite=True)
    sink = Stills(output / first)
    for settings in (None, again):
        with pytest.raises(SinkError, match="is being written already: wait, or choose another name"):
            Stills(output / second, settings)
    beside = Stills(output / "f" / "other-%d.png")
    sink.write(Frame(flat()))
    sink.close()
    Stills(output / second, again).discard()
    beside.discard()
    assert [path.name for path in (output / "f").iterdir()] == ["000000.png" if first != "f/%d.png" else "0.png"]


def test_a_run_that_was_killed_before_its_first_picture_is_in_nobodys_way(output: Path) -> None:
    (output / ".%d.part.jpg").touch()
    Stills(output).write(Frame(flat()))


def test_invalid_patterns_and_folders_are_refused(output: Path) -> None:
    with pytest.raises(SinkError, match=r"\.png or \.jpg"):
        Stills(output / "%d.tiff")
    (output / "file").touch()
    with pytest.raises(SinkError, match="choose another"):
        Stills(output / "file" / "%d.png")


def test_a_failed_write_is_a_sink_error(output: Path) -> None:
    sink = Stills(output / "f")
    shutil.rmtree(output / "f")
    with pytest.raises(SinkError, match=r"cannot write .*000000\.png \(.*\): was the folder moved or deleted\?"):
        sink.write(Frame(flat()))


def test_a_full_disk_is_told_of_alike_for_each_picture(output: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(path: Path, data: bytes) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    sink = Stills(output / "f")
    monkeypatch.setattr(Path, "write_bytes", fail)
    for index in range(2):
        with pytest.raises(SinkError) as caught:
            sink.write(Frame(flat(index=index)))
        assert str(caught.value).startswith(f"{output / 'f'}: no room on the disk (")


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "A.JPEG"])
def test_a_single_picture(output: Path, name: str) -> None:
    sink = Still(output / name)
    sink.write(Frame(noise(163, 117)))
    assert not (output / name).exists()
    sink.close()
    sink.close()
    sink.discard()
    with Image.open(output / name) as image:
        assert image.size == (163, 117)
    assert [path.name for path in output.iterdir()] == [name]


def test_a_second_picture_in_one_file_is_refused_with_advice(output: Path) -> None:
    sink = Still(output / "a.png")
    sink.write(Frame(flat()))
    with pytest.raises(SinkError, match=r"a\.png holds one picture, and more came: name a folder, .*a-%06d\.png"):
        sink.write(Frame(flat()))
    sink.discard()
    assert list(output.iterdir()) == []


def test_a_single_file_without_a_picture_is_removed(output: Path) -> None:
    Still(output / "a.png").close()
    assert list(output.iterdir()) == []


def test_a_single_picture_needs_overwrite_to_be_replaced(output: Path) -> None:
    (output / "a.png").write_text("mine")
    with pytest.raises(OutputExists, match="overwrite=True replaces it"):
        Still(output / "a.png")
    sink = Still(output / "a.png", OutputSettings(overwrite=True))
    sink.write(Frame(flat()))
    assert (output / "a.png").read_text() == "mine"
    sink.discard()
    assert (output / "a.png").read_text() == "mine"
