from __future__ import annotations

import inspect
import io
import struct
import threading
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import mjpeg_restore
from mjpeg_restore.jpeg.segments import APP0
from mjpeg_restore.orientation import upright
from mjpeg_restore.testing import Collect
from tests.jpeg.pictures import SAMPLINGS, encode, insert, segment
from tests.sources.clips import dashcam


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """Six pictures, the third cut short."""
    pictures = [encode("4:2:0", (64, 48), seed) for seed in range(6)]
    pictures[2] = pictures[2][: len(pictures[2]) * 2 // 3]
    path = tmp_path / "clip.mjpeg"
    path.write_bytes(b"".join(pictures))
    return path


@pytest.mark.parametrize("size", [(163, 117), (1, 1), (8, 8), (17, 9)])
@pytest.mark.parametrize("sampling", SAMPLINGS)
def test_restore_takes_every_sampling_and_size(sampling: str, size: tuple[int, int]) -> None:
    picture = mjpeg_restore.restore(encode(sampling, size), device="onnxruntime")
    assert (picture.width, picture.height) == size
    assert picture.to_ndarray("rgb").shape == (size[1], size[0], 3)


def test_restore_takes_a_restorer() -> None:
    data = encode()
    picture = mjpeg_restore.restore(data, mjpeg_restore.Restorer("decode"))
    assert all(map(np.array_equal, picture.planes, mjpeg_restore.restore(data, "decode").planes))


def test_restore_passes_over_foreign_bytes() -> None:
    data = encode()
    plain, wrapped = (mjpeg_restore.restore(d, "decode") for d in (data, b"--boundary\r\n\r\n" + data + b"\r\n"))
    assert all(map(np.array_equal, plain.planes, wrapped.planes))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_h5_restore_turns_a_picture_upright(orientation: int) -> None:
    plain = encode("4:4:4", (32, 24))
    tiff = struct.pack(">2sHIHHHIHHI", b"MM", 42, 8, 1, 0x0112, 3, 1, orientation, 0, 0)
    picture = mjpeg_restore.restore(insert(plain, segment(APP0 + 1, b"Exif\0\0" + tiff)), "decode")
    expected = upright(mjpeg_restore.restore(plain, "decode"), orientation)
    np.testing.assert_array_equal(picture.to_ndarray(), expected.to_ndarray())


def test_restore_says_what_is_missing_from_a_damaged_picture() -> None:
    data = encode("4:2:0", (256, 192))
    assert mjpeg_restore.restore(data, "decode").damage is None
    damage = mjpeg_restore.restore(data[: len(data) * 2 // 3], "decode").damage
    assert damage is not None
    assert 0 < damage.first_bad_row < damage.rows == 12


def test_to_ndarray_formats() -> None:
    picture = mjpeg_restore.restore(encode("4:2:0", (163, 117)), "decode")
    rgb, bgr, gray = picture.to_ndarray(), picture.to_ndarray("bgr"), picture.to_ndarray("gray")
    assert {rgb.dtype, bgr.dtype, gray.dtype} == {np.dtype(np.uint8)}
    assert rgb.shape == (117, 163, 3)
    np.testing.assert_array_equal(rgb[..., ::-1], bgr)
    np.testing.assert_array_equal(gray, picture.planes[0])
    with pytest.raises(ValueError, match="there are rgb, bgr, gray"):
        picture.to_ndarray("hsv")  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("sampling", ["gray", "4:4:4", "4:2:2", "4:2:0"])
def test_decode_to_rgb_is_libjpegs_within_2(sampling: str) -> None:
    data = encode(sampling, (163, 117))
    theirs = np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(int)
    ours = mjpeg_restore.restore(data, "decode").to_ndarray("rgb")
    difference = np.abs(ours - theirs)
    assert difference.max() <= 3  # 1 in each plane, times 1.772 for blue
    assert difference.mean() < 0.5


def test_restore_from_several_threads() -> None:
    data = [encode("4:2:0", (64, 48), seed) for seed in range(4)]
    alone = [mjpeg_restore.restore(d, "stream-lite") for d in data]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda d: mjpeg_restore.restore(d, "stream-lite"), data * 3))
    for one, other in zip(alone * 3, together, strict=True):
        assert all(map(np.array_equal, one.planes, other.planes))


def test_open_iterates_over_all(clip: Path) -> None:
    pictures = list(mjpeg_restore.open(clip, "decode"))
    assert [picture.index for picture in pictures] == list(range(6))
    assert [picture.time for picture in pictures] == [Fraction(n, 25) for n in range(6)]


def test_open_takes_bytes_and_files(clip: Path) -> None:
    data = clip.read_bytes()
    assert len(list(mjpeg_restore.open(data, "decode"))) == 6
    with clip.open("rb") as file:
        assert len(list(mjpeg_restore.open(file, "decode"))) == 6
        assert not file.closed


def test_open_cuts_and_sets_the_rate(clip: Path) -> None:
    stream = mjpeg_restore.open(clip, "decode", fps=Fraction(10), start=Fraction(1, 10), duration=Fraction(3, 10))
    assert [picture.time for picture in stream] == [0, Fraction(1, 10), Fraction(2, 10)]


def test_open_takes_policies(clip: Path) -> None:
    dropped = mjpeg_restore.open(clip, "decode", settings=mjpeg_restore.PipelineSettings(on_corrupt="drop"))
    assert [picture.index for picture in dropped] == [0, 1, 3, 4, 5]


def test_open_closes_early(clip: Path) -> None:
    with mjpeg_restore.open(clip, "decode") as pictures:
        for picture in pictures:
            assert picture.index == 0
            break
    assert not [thread for thread in threading.enumerate() if "feeder" in thread.name]
    assert list(pictures) == []
    pictures.close()


def test_open_and_close_without_looking(clip: Path) -> None:
    stream = mjpeg_restore.open(clip, "decode")
    stream.close()
    assert list(stream) == []


@pytest.mark.parametrize("wrong", [{"fps": 0}, {"start": -1}, {"duration": 0}, {"track": 0}], ids=str)
def test_impossible_arguments_of_the_source_are_errors_of_it(clip: Path, wrong: dict[str, Any]) -> None:
    with pytest.raises(mjpeg_restore.SourceError):
        mjpeg_restore.open(clip, "decode", **wrong)


def test_open_names_what_is_wrong(tmp_path: Path) -> None:
    with pytest.raises(mjpeg_restore.SourceNotFound):
        mjpeg_restore.open(tmp_path / "none.mjpeg")
    with pytest.raises(mjpeg_restore.UnknownModel):
        mjpeg_restore.open(encode(), "none")
    with pytest.raises(mjpeg_restore.SourceError, match="holds no whole JPEG picture"):
        list(mjpeg_restore.open(encode()[:300] * 3, "decode"))


def test_the_pipeline_with_a_sink_of_ones_own(clip: Path) -> None:
    sink = Collect()
    with mjpeg_restore.open_source(clip) as source:
        report = mjpeg_restore.run(source, mjpeg_restore.Restorer("decode"), sink)
    assert (report.frames, report.damaged, report.repaired) == (6, 1, 1)
    assert len(sink.pictures) == 6
    assert sink.ended == ["closed"]


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"", mjpeg_restore.BadJpeg),
        (b"nothing at all", mjpeg_restore.BadJpeg),
        (encode()[:200], mjpeg_restore.BadJpeg),
    ],
)
def test_restore_names_what_is_wrong(data: bytes, error: type[Exception]) -> None:
    with pytest.raises(error) as caught:
        mjpeg_restore.restore(data)
    assert isinstance(caught.value, mjpeg_restore.MjpegRestoreError)


def test_the_former_name_of_a_report_works_with_a_warning() -> None:
    with pytest.warns(DeprecationWarning, match="Tally is Report now") as caught:
        assert mjpeg_restore.Tally is mjpeg_restore.Report
    assert caught[0].filename == __file__


def test_other_names_are_attribute_errors() -> None:
    with pytest.raises(AttributeError, match="module 'mjpeg_restore' has no attribute 'Tallies'"):
        _ = mjpeg_restore.Tallies


def test_public_names_exist_and_are_documented() -> None:
    for name in mjpeg_restore.__all__:
        assert inspect.getdoc(getattr(mjpeg_restore, name)), name


def test_the_api_takes_tracks_too(tmp_path: Path) -> None:
    path = dashcam(tmp_path / "clip.mkv", sounds=2)
    with mjpeg_restore.open(path, "decode", track=2, audio_track="all", duration=Fraction(1, 10)) as pictures:
        assert len(pictures.source.sound) == 2
        assert {(picture.width, picture.height) for picture in pictures} == {(80, 64)}
