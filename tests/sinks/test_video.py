from __future__ import annotations

import errno
import os
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest

from mjpeg_restore import colour
from mjpeg_restore.errors import OutputExists, SinkError
from mjpeg_restore.frames import Frame, Picture, Sampling
from mjpeg_restore.sinks import OutputSettings, VideoFile, open_sink
from mjpeg_restore.sinks.writer import VideoWriter
from tests.lacking import needs
from tests.sinks.conftest import PAIRS, flat, noise, planes_of, read, save

SMPTE170M, BT470BG, BT709, SRGB = 6, 5, 1, 13

LIMITED, FULL = 1, 2

BEST = {"h264": 1, "hevc": 1, "av1": 5, "mjpeg": 1}


@pytest.mark.parametrize(
    ("extension", "codec", "range"),
    [(*pair, range) for pair in PAIRS for range in ("full", "limited") if (pair[1], range) != ("mjpeg", "limited")],
)
def test_c7_flat_colour_comes_back_within_one_and_tagged(output: Path, extension: str, codec: str, range: str) -> None:
    path = output / f"a.{extension}"
    picture = flat()
    frame = save(path, [replace(picture, pts=i) for i in (0, 1, 2)], codec, crf=BEST.get(codec), range=range)[0]
    with av.open(str(path)) as container:
        context = container.streams.video[0].codec_context
        assert context.colorspace in (
            SMPTE170M,
            BT470BG,
        )  # the same matrix twice; FFmpeg's MJPEG says the latter
        if (extension, codec) != ("avi", "mjpeg"):  # neither the container nor the codec stores these
            assert (context.color_primaries, context.color_trc) == (BT709, SRGB)
        assert context.color_range == (LIMITED if range == "limited" else FULL)
    expected = picture.to_ndarray("rgb")[40, 40].astype(int)
    # Limited range has fewer levels: the conversion of libswscale is then wrong by up to 2.
    tolerance = 1 if frame.color_range == FULL else 2
    assert np.abs(frame.to_ndarray(format="rgb24")[40, 40].astype(int) - expected).max() <= tolerance
    planes = tuple(planes_of(frame))
    decoded = Picture(planes, Sampling.YUV420, full_range=frame.color_range == FULL)
    assert np.abs(decoded.to_ndarray("rgb").astype(int) - expected).max() <= 1


@pytest.mark.parametrize(
    ("extension", "codec"),
    [("avi", "ffv1"), ("mov", "mpeg4"), ("mkv", "libvpx"), ("webm", "libvpx"), ("mkv", "mpeg2video")],
)
def test_untagged_codecs_are_written_in_limited_range(output: Path, extension: str, codec: str) -> None:
    frame = save(output / f"a.{extension}", [flat()], codec)[0]
    assert frame.color_range != FULL
    decoded = Picture(tuple(planes_of(frame)), Sampling.YUV420, full_range=False)
    expected = flat().to_ndarray("rgb").astype(int)
    assert np.abs(decoded.to_ndarray("rgb").astype(int) - expected).max() <= 2


@pytest.mark.parametrize("size", [(64, 48), (163, 117)])
@pytest.mark.parametrize("sampling", Sampling)
def test_ffv1_keeps_every_sample_of_every_sampling(output: Path, sampling: Sampling, size: tuple[int, int]) -> None:
    pictures = [noise(*size, sampling, seed=i, index=i) for i in range(3)]
    for picture, frame in zip(pictures, save(output / "a.mkv", pictures, "ffv1"), strict=True):
        assert (frame.width, frame.height) == size
        assert all(map(np.array_equal, picture.planes, planes_of(frame)))


@pytest.mark.parametrize(
    ("sampling", "format"),
    [
        (Sampling.GRAY, "yuvj420p"),
        (Sampling.YUV444, "yuvj444p"),
        (Sampling.YUV422, "yuvj422p"),
        (Sampling.YUV420, "yuvj420p"),
        (Sampling.YUV440, "yuvj444p"),
        (Sampling.YUV411, "yuvj422p"),
    ],
)
def test_h264_keeps_the_subsampling_or_uses_a_finer_one(output: Path, sampling: Sampling, format: str) -> None:
    picture = noise(64, 48, sampling)
    frame = save(output / "a.mp4", [picture], "h264", crf=0)[0]
    assert frame.format.name == format
    target = {"yuvj444p": Sampling.YUV444, "yuvj422p": Sampling.YUV422, "yuvj420p": Sampling.YUV420}[format]
    expected = colour.to_sampling(picture, target)
    assert all(map(np.array_equal, expected.planes, planes_of(frame)))


@pytest.mark.parametrize(
    ("codec", "sampling", "lost"),
    [("av1", Sampling.YUV422, True), ("av1", Sampling.GRAY, False), ("h264", Sampling.YUV440, False)],
)
def test_lost_chroma_is_remarked(output: Path, codec: str, sampling: Sampling, lost: bool) -> None:
    sink = VideoFile(output / "a.mkv", OutputSettings(codec=codec))
    sink.write(Frame(flat(sampling=sampling)))
    sink.close()
    expected = "4:2:2 is written as 4:2:0 by libsvtav1: h264, hevc, vp9 and ffv1 keep its chroma"
    assert sink.remark == (expected if lost else None)


@pytest.mark.parametrize(
    ("codec", "first", "then", "remark"),
    [
        ("h264", Sampling.YUV420, Sampling.YUV444, "4:4:4 is written as 4:2:0, because the first picture is 4:2:0"),
        ("ffv1", Sampling.GRAY, Sampling.YUV420, "4:2:0 is written as gray, because the first picture is gray"),
        ("h264", Sampling.YUV444, Sampling.YUV420, None),
    ],
)
def test_a_change_to_a_finer_subsampling_is_remarked(
    output: Path, codec: str, first: Sampling, then: Sampling, remark: str | None
) -> None:
    sink = VideoFile(output / "a.mkv", OutputSettings(codec=codec))
    for index, sampling in enumerate((first, then)):
        sink.write(Frame(flat(sampling=sampling, index=index)))
    sink.close()
    assert sink.remark == remark


@pytest.mark.parametrize(
    ("codec", "size", "remark"),
    [
        (
            "h264",
            (163, 117),
            "163x117 is written as 164x118 by libx264, the last column and row repeated: vp9, ffv1 and mjpeg keep the "
            "size",
        ),
        (
            "hevc",
            (164, 117),
            "164x117 is written as 164x118 by libx265, the last row repeated: vp9, ffv1 and mjpeg keep the size",
        ),
        ("vp9", (163, 117), None),
    ],
)
def test_a_padded_size_is_remarked(output: Path, codec: str, size: tuple[int, int], remark: str | None) -> None:
    sink = VideoFile(output / "a.mkv", OutputSettings(codec=codec))
    sink.write(Frame(flat(*size)))
    sink.close()
    assert sink.remark == remark


def test_an_odd_size_in_420_repeats_the_edge(output: Path) -> None:
    picture = noise(163, 117, Sampling.YUV420)
    frame = save(output / "a.mp4", [picture], crf=0)[0]
    luma, cb, cr = planes_of(frame)
    assert luma.shape == (118, 164)
    assert np.array_equal(luma[:117, :163], picture.planes[0])
    assert np.array_equal(luma[:, 163], luma[:, 162])
    assert np.array_equal(luma[117], luma[116])
    assert np.array_equal(cb, picture.planes[1])
    assert np.array_equal(cr, picture.planes[2])


@pytest.mark.parametrize("sampling", [Sampling.YUV444, Sampling.YUV420])
@pytest.mark.parametrize("codec", ["h264", "hevc", "mjpeg", "ffv1"])
def test_an_odd_size_is_exact_if_the_codec_supports_it(output: Path, codec: str, sampling: Sampling) -> None:
    frame = save(output / "a.mkv", [noise(163, 117, sampling)], codec)[0]
    exact = sampling is Sampling.YUV444 or codec in ("mjpeg", "ffv1")
    assert (frame.width, frame.height) == ((163, 117) if exact else (164, 118))


@pytest.mark.parametrize("live", [True, False])
@pytest.mark.parametrize("sampling", [Sampling.GRAY, Sampling.YUV420, Sampling.YUV444, Sampling.YUV411])
@pytest.mark.parametrize("size", [(1, 33), (33, 1), (1, 1), (7, 640), (8, 640)])
def test_ffv1_holds_pictures_of_any_size(output: Path, size: tuple[int, int], sampling: Sampling, live: bool) -> None:
    picture = noise(*size, sampling)
    (frame,) = save(output / "a.mkv", [picture], "ffv1", live=live)
    assert all(map(np.array_equal, planes_of(frame), picture.planes))


def test_a_limited_picture_is_converted_to_full_range(output: Path) -> None:
    limited = colour.to_range(flat(), full=False)
    frames = save(output / "a.mkv", [limited, replace(flat(), pts=1)], "ffv1")
    assert all(frame.color_range == FULL for frame in frames)
    assert [int(planes_of(frame)[0][0, 0]) for frame in frames] == [150, 150]


def test_a_second_sampling_is_converted_to_the_first(output: Path) -> None:
    frames = save(output / "a.mkv", [flat(), flat(sampling=Sampling.YUV422, index=1)], "ffv1")
    assert {frame.format.name for frame in frames} == {"yuv420p"}


def test_the_file_gets_its_name_when_it_is_finished(output: Path) -> None:
    sink = VideoFile(output / "a.mp4")
    sink.write(Frame(flat()))
    assert [entry.name for entry in output.iterdir()] == [".a.part.mp4"]
    sink.close()
    assert [entry.name for entry in output.iterdir()] == ["a.mp4"]
    sink.close()
    assert len(read(output / "a.mp4")) == 1


@pytest.mark.parametrize("written", [0, 3])
def test_discard_removes_the_temporary_file(output: Path, written: int) -> None:
    sink = VideoFile(output / "a.mp4")
    for index in range(written):
        sink.write(Frame(flat(index=index)))
    sink.discard()
    assert list(output.iterdir()) == []


@pytest.mark.parametrize("name", ["tcp:x.mp4", "pipe:1.mkv", "file:x.avi", "concat:a|b.mov", "-x.mp4", "a b\nc.mkv"])
def test_a_name_is_never_a_protocol(output: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(output)
    sink = VideoFile(name, OutputSettings(codec="mjpeg"))
    sink.write(Frame(flat()))
    sink.close()
    assert [path.name for path in output.iterdir()] == [name]


def test_without_a_picture_there_is_no_file(output: Path) -> None:
    VideoFile(output / "a.mp4").close()
    assert list(output.iterdir()) == []


def test_an_existing_file_is_kept_until_the_new_one_is_finished(output: Path) -> None:
    path = output / "a.mp4"
    path.write_bytes(b"old")
    with pytest.raises(OutputExists, match="overwrite=True"):
        VideoFile(path)
    sink = VideoFile(path, OutputSettings(overwrite=True))
    sink.write(Frame(flat()))
    sink.discard()
    assert path.read_bytes() == b"old"
    assert len(save(path, [flat()], overwrite=True)) == 1


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("a.mp4", {"codec": "h265x"}, "no video encoder is called 'h265x': give h264, hevc"),
        ("a.mp4", {"codec": "aac"}, "no video encoder is called 'aac'"),
        ("a.webm", {"codec": "h264"}, "webm does not hold libx264: use .mkv"),
        ("a.mov", {"codec": "ffv1"}, "mov does not hold ffv1"),
        ("a.mov", {"codec": "av1"}, "mov does not hold libsvtav1: use .mkv, or another codec$"),
        ("a.mkv", {"codec": "huffyuv"}, "matroska does not hold huffyuv: use another codec$"),
        *(
            ("a.ts", {"codec": codec}, "MPEG-TS takes h264 or hevc, not .*: leave codec out$")
            for codec in ("vp9", "libvpx", "av1", "ffv1", "mjpeg", "huffyuv", "mpeg2video")
        ),
        ("a.xyz", {}, r"no output has that extension; use one of \.mp4 .* \.ts \.y4m \.m3u8 \.png \.jpg \.jpeg$"),
        *(
            (name, {}, rf"{name}: no output has that extension; pictures are \.png or \.jpg$")
            for name in ("a.webp", "A.TIF", "a.tiff", "a.bmp")
        ),
        ("none/a.mp4", {}, "No such file or directory.*create it"),
    ],
)
def test_invalid_outputs_are_refused_before_the_first_picture(
    output: Path, name: str, settings: dict[str, str], message: str
) -> None:
    with pytest.raises(SinkError, match=message) as caught:
        VideoFile(output / name, OutputSettings(codec=settings.get("codec")))
    assert "\n" not in str(caught.value)
    assert list(output.iterdir()) == []


def test_a_picture_of_another_size_is_refused(output: Path) -> None:
    sink = VideoFile(output / "a.mp4")
    sink.write(Frame(flat()))
    with pytest.raises(SinkError, match="picture 1 is 64x48, the first was 128x96"):
        sink.write(Frame(flat(64, 48, index=1)))
    sink.discard()


def test_a_file_that_cannot_be_finished_is_removed(output: Path) -> None:
    resource = needs("resource")
    sink = VideoFile(output / "a.mp4")
    sink.write(Frame(flat()))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, ((output / ".a.part.mp4").stat().st_size, hard))
    try:
        with pytest.raises(SinkError, match=r"a\.mp4: writing libx264 failed \(File too large\)"):
            sink.close()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list(output.iterdir()) == []


@pytest.mark.parametrize("name", ["a.mkv", "a.mp4", "a.y4m", "a.m3u8"])
def test_advice_about_a_folder_that_is_gone_is_not_about_the_codec(output: Path, name: str) -> None:
    sink = open_sink(output / name)
    for path in output.iterdir():
        path.unlink()
    output.rmdir()
    with pytest.raises(SinkError) as caught:
        sink.write(Frame(flat()))
        sink.close()
    sink.discard()
    assert str(caught.value).endswith(f"({os.strerror(errno.ENOENT)}): was the folder moved or deleted?")


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("a.mkv", ValueError("odd"), "writing libx264 failed (odd)"),
        ("a.mp4", ValueError("odd"), "writing libx264 failed (odd): does this container hold this codec?"),
        ("a.mp4", OSError(errno.EIO, "broken"), "writing libx264 failed (broken)"),
        ("a.mp4", OSError(errno.EROFS, "no"), "writing libx264 failed (no): choose a folder that can be written"),
    ],
)
def test_advice_fits_the_reason(
    output: Path, monkeypatch: pytest.MonkeyPatch, name: str, error: Exception, message: str
) -> None:
    def fail(self: VideoWriter, picture: Picture) -> None:
        raise error

    monkeypatch.setattr(VideoWriter, "write", fail)
    sink = VideoFile(output / name)
    with pytest.raises(SinkError) as caught:
        sink.write(Frame(flat()))
    sink.discard()
    found = str(caught.value).partition(": ")[2]
    assert found.removesuffix(" .mkv holds nearly all") == message


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_options_that_the_pictures_do_not_fit_are_named(output: Path, name: str) -> None:
    sink = VideoFile(output / name, OutputSettings(options={"video_size": "10x10", "bf": "0"}))
    with pytest.raises(SinkError, match=r"\): leave out what does not fit of the encoder's options, bf, video_size$"):
        sink.write(Frame(flat()))
    sink.discard()


def test_a_folder_at_the_target_is_an_error(output: Path) -> None:
    sink = VideoFile(output / "a.mp4")
    sink.write(Frame(flat()))
    (output / "a.mp4").mkdir()
    with pytest.raises(SinkError, match="has appeared meanwhile, and is kept"):
        sink.close()
    assert {entry.name for entry in output.iterdir()} == {"a-2.mp4", "a.mp4"}
    with pytest.raises(SinkError, match="is a folder"):
        VideoFile(output / "a.mp4")
