from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

import av
import numpy as np
import pytest
from av import logging

from mjpeg_restore import colour
from mjpeg_restore.errors import OutputExists, SinkError
from mjpeg_restore.frames import FieldLayout, Picture, Sampling
from mjpeg_restore.interlace import weave
from mjpeg_restore.sinks import VideoFile, pixels
from mjpeg_restore.sinks.base import OutputSettings
from tests.sinks.conftest import flat, noise, planes_of, read, times

SMPTE170M, BT470BG, BT709, SRGB = 6, 5, 1, 13
LIMITED, FULL = 1, 2

PAIRS = [
    ("mp4", "h264"),
    ("mp4", "hevc"),
    ("mp4", "av1"),
    ("mp4", "ffv1"),
    ("mp4", "mjpeg"),
    ("mov", "h264"),
    ("mov", "hevc"),
    ("mov", "mjpeg"),
    ("mkv", "h264"),
    ("mkv", "hevc"),
    ("mkv", "av1"),
    ("mkv", "ffv1"),
    ("mkv", "mjpeg"),
    ("avi", "h264"),
    ("avi", "mjpeg"),
    ("webm", "av1"),
]
BEST = {"h264": 1, "hevc": 1, "av1": 5, "mjpeg": 1}

JITTER = [0, 40, 95, 120, 300, 301, 360, 400, 431, 490, 520]


def save(path: Path, pictures: list[Picture], codec: str | None = None, **settings: object) -> list[av.VideoFrame]:
    sink = VideoFile(path, OutputSettings(codec=codec, **settings))  # pyright: ignore[reportArgumentType]
    for picture in pictures:
        sink.write(picture)
    sink.close()
    return read(path)


@pytest.mark.parametrize("range", ["full", "limited"])
@pytest.mark.parametrize(("extension", "codec"), PAIRS)
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
        if (extension, codec) != ("avi", "mjpeg"):  # neither the container nor the codec has room for these
            assert (context.color_primaries, context.color_trc) == (BT709, SRGB)
        assert context.color_range == (LIMITED if range == "limited" and codec != "mjpeg" else FULL)
    expected = picture.to_ndarray("rgb")[40, 40].astype(int)
    # Limited range has fewer levels: libswscale then errs by 2 on its own.
    tolerance = 1 if frame.color_range == FULL else 2
    assert np.abs(frame.to_ndarray(format="rgb24")[40, 40].astype(int) - expected).max() <= tolerance
    planes = tuple(planes_of(frame))
    decoded = Picture(planes, Sampling.YUV420, full_range=frame.color_range == FULL)
    assert np.abs(decoded.to_ndarray("rgb").astype(int) - expected).max() <= 1


@pytest.mark.parametrize(("extension", "codec"), [("avi", "ffv1"), ("mov", "mpeg4")])
def test_what_cannot_be_tagged_full_is_written_limited(output: Path, extension: str, codec: str) -> None:
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
def test_h264_keeps_the_sampling_or_takes_a_richer_one(output: Path, sampling: Sampling, format: str) -> None:
    picture = noise(64, 48, sampling)
    frame = save(output / "a.mp4", [picture], "h264", crf=0)[0]
    assert frame.format.name == format
    target = {"yuvj444p": Sampling.YUV444, "yuvj422p": Sampling.YUV422, "yuvj420p": Sampling.YUV420}[format]
    expected = colour.to_sampling(picture, target)
    assert all(map(np.array_equal, expected.planes, planes_of(frame)))


@pytest.mark.parametrize(
    ("codec", "sampling", "told"),
    [("av1", Sampling.YUV422, True), ("av1", Sampling.GRAY, False), ("h264", Sampling.YUV440, False)],
)
def test_chroma_that_the_encoder_cannot_hold_is_told_of(
    output: Path, codec: str, sampling: Sampling, told: bool
) -> None:
    sink = VideoFile(output / "a.mkv", OutputSettings(codec=codec))
    sink.write(flat(sampling=sampling))
    sink.close()
    expected = "4:2:2 is written as 4:2:0 by libsvtav1: h264, hevc, vp9 and ffv1 keep its chroma"
    assert sink.remark == (expected if told else None)


@pytest.mark.parametrize(
    ("codec", "first", "then", "kept"),
    [
        ("h264", Sampling.YUV420, Sampling.YUV444, "4:4:4 is written as 4:2:0, for the first picture is 4:2:0"),
        ("ffv1", Sampling.GRAY, Sampling.YUV420, "4:2:0 is written as gray, for the first picture is gray"),
        ("h264", Sampling.YUV444, Sampling.YUV420, None),
    ],
)
def test_a_sampling_that_changes_for_a_richer_one_is_told_of(
    output: Path, codec: str, first: Sampling, then: Sampling, kept: str | None
) -> None:
    sink = VideoFile(output / "a.mkv", OutputSettings(codec=codec))
    for index, sampling in enumerate((first, then)):
        sink.write(flat(sampling=sampling, index=index))
    sink.close()
    assert sink.remark == kept


@pytest.mark.parametrize(("extension", "codec"), PAIRS)
def test_s6_woven_fields_are_said_and_nothing_else_changes(output: Path, extension: str, codec: str) -> None:
    paths = [output / f"{name}.{extension}" for name in ("woven", "plain")]
    for path, order in zip(paths, ("bottom", None), strict=True):
        pictures = [replace(noise(64, 48, index=i), pts=pts, field_order=order) for i, pts in enumerate(JITTER)]
        frames = save(path, [replace(p, time_base=Fraction(1, 1000)) for p in pictures], codec, fps=Fraction(25))
        assert frames[0].interlaced_frame == (order is not None and codec in ("h264", "ffv1"))
    woven, plain = (about(path) for path in paths)
    assert woven == plain


def about(path: Path) -> tuple[object, ...]:
    with av.open(str(path)) as container:
        context = container.streams.video[0].codec_context
        tags = (context.color_range, context.colorspace, context.color_primaries, context.color_trc)
        return (*tags, context.format and context.format.name, [frame.time for frame in container.decode(video=0)])


@pytest.mark.parametrize("order", ["top", "bottom"])
@pytest.mark.parametrize(
    ("file", "codec", "size"),
    [
        ("a.mkv", "h264", (64, 48)),
        ("a.mp4", "h264", (64, 48)),
        ("a.mov", "h264", (64, 48)),
        ("a.mkv", "h264", (64, 54)),
        ("a.mkv", "ffv1", (63, 53)),
        ("a.mkv", "mjpeg", (64, 48)),
        ("a.mkv", "mpeg1video", (64, 48)),
    ],
)
def test_s6_the_order_of_fields_is_the_containers_too(
    output: Path, file: str, codec: str, size: tuple[int, int], order: Literal["top", "bottom"]
) -> None:
    picture = replace(noise(*size), field_order=order)
    frame = save(output / file, [picture], codec, **({"crf": 0} if codec == "h264" else {}))[0]
    with av.open(str(output / file)) as container:
        found = container.streams.video[0].codec_context.field_order
    if file == "a.mkv":
        tt, bb, tb, bt = 2, 3, 4, 5  # FFmpeg's numbers
        pair = (tt, bb) if codec == "mjpeg" else (tb, bt)
        assert found == pair[order == "bottom"]
    else:
        assert found in {"top": (2, 4), "bottom": (3, 5)}[order]
    if codec in ("h264", "ffv1"):
        assert all(map(np.array_equal, picture.planes, planes_of(frame)))


@pytest.mark.parametrize("sampling", Sampling)
@pytest.mark.parametrize("codec", ["h264", "ffv1"])
def test_s6_fields_of_an_odd_height_lose_no_more_than_the_last_line_of_chroma(
    output: Path, codec: str, sampling: Sampling
) -> None:
    woven = weave(noise(64, 27, sampling), noise(64, 27, sampling, seed=1), FieldLayout())
    frame = save(output / "a.mkv", [woven], codec, **({"crf": 0} if codec == "h264" else {}))[0]
    assert (frame.width, frame.height) == (64, 54)
    target, _ = pixels.choose_format(av.Codec({"h264": "libx264"}.get(codec, codec), "w"), sampling)
    for expected, found in zip(colour.to_sampling(woven, target).planes, planes_of(frame), strict=True):
        assert len(found) in (len(expected), len(expected) - 1)
        assert np.array_equal(found, expected[: len(found)])


def test_odd_size_in_420_repeats_the_edge(output: Path) -> None:
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
def test_odd_size_is_exact_where_the_codec_can(output: Path, codec: str, sampling: Sampling) -> None:
    frame = save(output / "a.mkv", [noise(163, 117, sampling)], codec)[0]
    exact = sampling is Sampling.YUV444 or codec in ("mjpeg", "ffv1")
    assert (frame.width, frame.height) == ((163, 117) if exact else (164, 118))


@pytest.mark.parametrize("extension", ["mp4", "mov"])
@pytest.mark.parametrize("codec", ["h264", "hevc", "mjpeg"])
@pytest.mark.parametrize(
    ("time_base", "stamps"),
    [
        (Fraction(1, 25), list(range(12))),
        (Fraction(1, 1000), JITTER),
        (Fraction(1, 1000), [stamp + 1234567 for stamp in JITTER]),
        (Fraction(1001, 30000), [7, 8, 9, 11, 12, 13, 20]),
        (Fraction(1, 30), [1, 2, 3, 4, 5]),
        (Fraction(1, 90000), [100003 + 3003 * i for i in range(10)]),
        (Fraction(1, 1200000), [48000 * i for i in range(10)]),
        (Fraction(1, 1000000000), [0, 33333333, 66666666, 100000001]),
    ],
)
def test_times_come_back_exactly(
    output: Path, extension: str, codec: str, time_base: Fraction, stamps: list[int]
) -> None:
    pictures = [flat(index=i, pts=pts, time_base=time_base) for i, pts in enumerate(stamps)]
    frames = save(output / f"a.{extension}", pictures, codec)
    assert times(frames) == [pts * time_base for pts in stamps]


def test_av1_times_come_back_exactly(output: Path) -> None:
    pictures = [flat(index=i, pts=pts, time_base=Fraction(1, 1000)) for i, pts in enumerate(JITTER)]
    assert times(save(output / "a.mp4", pictures, "av1")) == [Fraction(pts, 1000) for pts in JITTER]


@pytest.mark.parametrize("start", [0, 777])
def test_matroska_times_are_exact_in_milliseconds(output: Path, start: int) -> None:
    stamps = [start + stamp for stamp in JITTER]
    pictures = [flat(index=i, pts=pts, time_base=Fraction(1, 1000)) for i, pts in enumerate(stamps)]
    assert times(save(output / "a.mkv", pictures)) == [Fraction(pts, 1000) for pts in stamps]


def test_avi_counts_frames_of_its_rate(output: Path) -> None:
    stamps = [0, 41, 79, 121, 240, 281]
    pictures = [flat(index=i, pts=pts, time_base=Fraction(1, 1000)) for i, pts in enumerate(stamps)]
    frames = save(output / "a.avi", pictures, "mjpeg", fps=Fraction(25))
    assert times(frames) == [Fraction(frame, 25) for frame in (0, 1, 2, 3, 6, 7)]


def test_pictures_of_another_avi_keep_their_frames(output: Path) -> None:
    """Its nominal rate is lower where it has dropped pictures."""
    stamps = [*range(50), *range(76, 125)]
    pictures = [flat(index=i, pts=pts) for i, pts in enumerate(stamps)]
    assert times(save(output / "a.avi", pictures, "mjpeg", fps=Fraction(98 * 25, 124))) == [
        Fraction(pts, 25) for pts in stamps
    ]


def test_an_avi_has_no_more_frames_than_pictures(output: Path) -> None:
    pictures = [flat(index=i, pts=10 * i, time_base=Fraction(1, 100)) for i in range(10)]
    assert len(save(output / "a.avi", pictures, "mjpeg", fps=Fraction(10))) == 10
    with av.open(str(output / "a.avi")) as container:
        assert container.streams.video[0].frames == 10


@pytest.mark.parametrize(
    ("extension", "stamps", "told"),
    [
        ("avi", [0, 41, 79, 121], None),  # a constant rate, rounded
        ("avi", [0, 41, 95, 121], "AVI moves pictures to whole frames, by up to 15 ms: mp4, mov and mkv keep times"),
        ("mp4", [0, 41, 95, 121], None),
    ],
)
def test_times_that_a_container_cannot_hold_are_told(
    output: Path, extension: str, stamps: list[int], told: str | None
) -> None:
    sink = VideoFile(output / f"a.{extension}", OutputSettings(codec="mjpeg", fps=Fraction(25)))
    for index, pts in enumerate(stamps):
        sink.write(flat(index=index, pts=pts, time_base=Fraction(1, 1000)))
    sink.close()
    assert sink.remark == told


@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("codec", ["h264", "hevc", "av1", "ffv1", "mjpeg"])
def test_very_short_videos(output: Path, codec: str, count: int) -> None:
    frames = save(output / "a.mp4", [flat(index=i) for i in range(count)], codec)
    assert times(frames) == [Fraction(i, 25) for i in range(count)]


def test_times_in_another_unit_are_converted(output: Path) -> None:
    second = flat(index=1, pts=80, time_base=Fraction(1, 1000))
    assert times(save(output / "a.mp4", [flat(), second])) == [0, Fraction(2, 25)]


def test_a_time_that_does_not_rise_moves_by_one_unit(output: Path) -> None:
    pictures = [flat(index=i, pts=pts, time_base=Fraction(1, 1000)) for i, pts in enumerate([0, 40, 40, 39, 80])]
    assert times(save(output / "a.mp4", pictures)) == [Fraction(pts, 1000) for pts in (0, 40, 41, 42, 80)]


def test_the_last_picture_lasts_as_long_as_the_one_before(output: Path) -> None:
    save(output / "a.mp4", [flat(index=i) for i in range(10)])
    with av.open(str(output / "a.mp4")) as container:
        assert container.duration == 400_000
    # One picture alone lasts one frame of the nominal rate.
    save(output / "b.mp4", [flat(time_base=Fraction(1, 1000))], fps=Fraction(10))
    with av.open(str(output / "b.mp4")) as container:
        assert container.duration == 100_000


def test_limited_pictures_become_full_and_the_other_way(output: Path) -> None:
    limited = colour.to_range(flat(), full=False)
    frames = save(output / "a.mkv", [limited, replace(flat(), pts=1)], "ffv1")
    assert all(frame.color_range == FULL for frame in frames)
    assert [int(planes_of(frame)[0][0, 0]) for frame in frames] == [150, 150]


def test_a_second_sampling_is_converted_to_the_first(output: Path) -> None:
    frames = save(output / "a.mkv", [flat(), flat(sampling=Sampling.YUV422, index=1)], "ffv1")
    assert {frame.format.name for frame in frames} == {"yuv420p"}


def test_the_file_appears_under_its_name_only_when_it_is_whole(output: Path) -> None:
    sink = VideoFile(output / "a.mp4")
    sink.write(flat())
    assert [entry.name for entry in output.iterdir()] == [".a.part.mp4"]
    sink.close()
    assert [entry.name for entry in output.iterdir()] == ["a.mp4"]
    sink.close()
    assert len(read(output / "a.mp4")) == 1


@pytest.mark.parametrize("written", [0, 3])
def test_discard_leaves_nothing(output: Path, written: int) -> None:
    sink = VideoFile(output / "a.mp4")
    for index in range(written):
        sink.write(flat(index=index))
    sink.discard()
    assert list(output.iterdir()) == []


@pytest.mark.parametrize("name", ["tcp:x.mp4", "pipe:1.mkv", "file:x.avi", "concat:a|b.mov", "-x.mp4", "a b\nc.mkv"])
def test_a_name_is_never_a_protocol(output: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(output)
    sink = VideoFile(name, OutputSettings(codec="mjpeg"))
    sink.write(flat())
    sink.close()
    assert [path.name for path in output.iterdir()] == [name]


def test_no_picture_no_file(output: Path) -> None:
    VideoFile(output / "a.mp4").close()
    assert list(output.iterdir()) == []


def test_an_existing_file_is_kept_until_the_new_one_is_whole(output: Path) -> None:
    path = output / "a.mp4"
    path.write_bytes(b"old")
    with pytest.raises(OutputExists, match="overwrite=True"):
        VideoFile(path)
    sink = VideoFile(path, OutputSettings(overwrite=True))
    sink.write(flat())
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
        ("a.xyz", {}, r"no container has that extension; use one of .mp4"),
        ("none/a.mp4", {}, "No such file or directory.*create it"),
    ],
)
def test_what_cannot_work_is_refused_at_once(output: Path, name: str, settings: dict[str, str], message: str) -> None:
    with pytest.raises(SinkError, match=message) as caught:
        VideoFile(output / name, OutputSettings(codec=settings.get("codec")))
    assert "\n" not in str(caught.value)
    assert list(output.iterdir()) == []


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"crf": float("nan")}, "quality of nan: crf is 0 or more"),
        ({"crf": -1}, "quality of -1: crf"),
        ({"crf": float("inf")}, "quality of inf: crf"),
        ({"codec": "mjpeg", "crf": float("nan")}, "quality of nan: crf is 0 or more"),
        ({"crf": 52}, "libx264 has no quality of 52: crf is 0 .best. to 51"),
        ({"codec": "mjpeg", "crf": 32}, "'32' is no quality of JPEG: give 1 .best. to 31"),
        ({"codec": "mjpeg", "options": {"q": "abc"}}, "'abc' is no quality of JPEG"),
        ({"codec": "mjpeg", "options": {"q": "nan"}}, "'nan' is no quality of JPEG"),
        ({"preset": "nope"}, "libx264 has no preset 'nope': give ultrafast, superfast"),
        ({"options": {"tune": "film,nope"}}, "libx264 has no tune 'film,nope'"),
        ({"options": {"profile": "nope"}}, "libx264 has no profile 'nope'"),
    ],
)
def test_numbers_and_words_that_make_no_sense(output: Path, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(SinkError, match=message):
        VideoFile(output / "a.mkv", OutputSettings(**settings))
    assert list(output.iterdir()) == []


def test_a_rate_that_ffmpeg_cannot_hold_is_one_line(output: Path) -> None:
    sink = VideoFile(output / "a.mkv", OutputSettings(fps=Fraction(10**12 + 1, 10**11)))
    with pytest.raises(SinkError, match="failed"):
        sink.write(flat())
    sink.discard()
    assert list(output.iterdir()) == []


def test_an_encoder_says_why_it_refuses(output: Path) -> None:
    log = logging.get_level(), logging.get_skip_repeated()
    for codec, reason in (
        ("mpeg4", "timebase 1/90000 not"),
        ("mpeg4", "timebase"),
        ("mpeg2video", "MPEG-1/2 does not"),
    ):
        sink = VideoFile(output / "a.mkv", OutputSettings(codec=codec))
        with pytest.raises(SinkError, match=rf"{codec} cannot be opened for 128x96 yuv420p \({reason} [^\n]*\): check"):
            sink.write(flat(time_base=Fraction(1, 90000)))
        sink.discard()
    assert (logging.get_level(), logging.get_skip_repeated()) == log


@pytest.mark.parametrize("settings", [{"preset": "7"}, {"options": {"tune": "film,fastdecode", "profile": "high"}}])
def test_what_x264_understands_is_passed_on(output: Path, settings: dict[str, Any]) -> None:
    assert len(save(output / "a.mkv", [flat()], **settings)) == 1


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"codec": "h264_nvenc"}, "h264_nvenc cannot be opened for .*hardware.*codec='h264'"),
        ({"codec": "prores_ks"}, "no 8-bit YCbCr.*try codec='h264'"),
        ({"preset": "warp", "codec": "av1"}, "libsvtav1 cannot be opened.*preset"),
        ({"codec": "ffv1", "crf": 20}, "ffv1 has no option 'crf'"),
        ({"options": {"nonsense": "1"}}, "libx264 has no option 'nonsense'"),
    ],
)
def test_what_the_encoder_refuses_is_one_line(output: Path, settings: dict[str, object], message: str) -> None:
    sink = VideoFile(output / "a.mkv", OutputSettings(**settings))  # pyright: ignore[reportArgumentType]
    with pytest.raises(SinkError, match=message) as caught:
        sink.write(flat())
    assert "\n" not in str(caught.value)
    sink.discard()
    assert list(output.iterdir()) == []


def test_another_size_is_refused(output: Path) -> None:
    sink = VideoFile(output / "a.mp4")
    sink.write(flat())
    with pytest.raises(SinkError, match="picture 1 is 64x48, the first was 128x96"):
        sink.write(flat(64, 48, index=1))
    sink.discard()


def test_a_file_that_cannot_be_finished_is_removed(output: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("mjpeg_restore.sinks.video._Writer.finish", fail)
    sink = VideoFile(output / "a.mp4")
    sink.write(flat())
    with pytest.raises(SinkError, match=r"a\.mp4: writing libx264 failed \(No space left on device\)"):
        sink.close()
    assert list(output.iterdir()) == []


def test_a_folder_in_the_way_is_named(output: Path) -> None:
    sink = VideoFile(output / "a.mp4")
    sink.write(flat())
    (output / "a.mp4").mkdir()
    with pytest.raises(SinkError, match="cannot rename the finished file"):
        sink.close()
    assert [entry.name for entry in output.iterdir()] == ["a.mp4"]
    with pytest.raises(SinkError, match="is a folder"):
        VideoFile(output / "a.mp4")


def test_encoders_that_take_nv12_get_interleaved_chroma() -> None:
    picture = noise(63, 47)
    luma, pairs = planes_of(pixels.to_frame(picture, "nv12", 64, 48))
    assert np.array_equal(luma[:47, :63], picture.planes[0])
    frame = pixels.to_frame(picture, "nv12", 64, 48).reformat(format="yuv420p")
    assert all(map(np.array_equal, planes_of(frame)[1:], picture.planes[1:]))
    assert pairs.shape == (24, 32)


@pytest.mark.parametrize("codec", ["hevc", "av1"])
def test_encoders_print_nothing(output: Path, codec: str, capfd: pytest.CaptureFixture[str]) -> None:
    save(output / "a.mkv", [flat()], codec)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("settings", [{"preset": "nope"}, {"options": {"profile": "nope"}}])
@pytest.mark.parametrize("codec", ["h264", "hevc", "av1"])
def test_encoders_print_nothing_of_what_they_refuse(
    output: Path, codec: str, settings: dict[str, Any], capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SinkError):
        save(output / "a.mkv", [flat()], codec, **settings)
    assert capfd.readouterr() == ("", "")


def test_hevc_is_tagged_as_apple_wants_it(output: Path) -> None:
    save(output / "a.mp4", [flat()], "hevc")
    with av.open(str(output / "a.mp4")) as container:
        assert container.streams.video[0].codec_context.codec_tag == "hvc1"


def test_crf_and_options_reach_the_encoder(output: Path) -> None:
    pictures = [noise(index=i, seed=i) for i in range(4)]
    sizes: list[int] = []
    for crf in (10, 40):
        save(output / f"{crf}.mkv", pictures, crf=crf, preset="ultrafast", options={"g": "1"})
        sizes.append((output / f"{crf}.mkv").stat().st_size)
        with av.open(str(output / f"{crf}.mkv")) as container:
            assert all(packet.is_keyframe for packet in container.demux(video=0) if packet.size)
    assert sizes[0] > 2 * sizes[1]
