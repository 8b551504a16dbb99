from __future__ import annotations

import contextlib
import os
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import av.logging
import pytest

from mjpeg_restore.errors import SinkError
from mjpeg_restore.frames import Frame, Sampling
from mjpeg_restore.sinks import OutputSettings, VideoFile
from tests.lacking import needs_proc
from tests.sinks.conftest import flat, noise, read, save


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"crf": float("nan")}, "quality of nan: crf is 0 or more"),
        ({"crf": -1}, "quality of -1: crf"),
        ({"crf": float("inf")}, "quality of inf: crf"),
        ({"codec": "mjpeg", "crf": float("nan")}, "quality of nan: crf is 0 or more"),
        ({"crf": 52}, "libx264 has no quality of 52: crf is 0 .best. to 51"),
        ({"codec": "mjpeg", "crf": 32}, "JPEG has no quality of 32: give 1 .best. to 31 for crf"),
        ({"codec": "mjpeg", "options": {"q": "abc"}}, "JPEG has no quality of abc"),
        ({"codec": "mjpeg", "options": {"q": "nan"}}, "JPEG has no quality of nan"),
        ({"preset": "nope"}, "libx264 has no preset 'nope': give ultrafast, superfast"),
        ({"options": {"tune": "film,nope"}}, "libx264 has no tune 'film,nope'"),
        ({"options": {"profile": "nope"}}, "libx264 has no profile 'nope'"),
    ],
)
def test_invalid_values_of_options_are_refused(output: Path, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(SinkError, match=message):
        VideoFile(output / "a.mkv", OutputSettings(**settings))
    assert list(output.iterdir()) == []


def test_the_error_has_the_encoders_reason(output: Path) -> None:
    log = av.logging.get_level(), av.logging.get_skip_repeated()
    for codec, reason in (
        ("mpeg4", "timebase 1/90000 not"),
        ("mpeg4", "timebase"),
        ("mpeg2video", "MPEG-1/2 does not"),
    ):
        sink = VideoFile(output / "a.mp4", OutputSettings(codec=codec))
        with pytest.raises(SinkError, match=rf"{codec} cannot be opened for 128x96 yuv420p \({reason} [^\n]*\): check"):
            sink.write(Frame(flat(time_base=Fraction(1, 90000))))
        sink.discard()
    assert (av.logging.get_level(), av.logging.get_skip_repeated()) == log


@pytest.mark.parametrize("settings", [{"preset": "7"}, {"options": {"tune": "film,fastdecode", "profile": "high"}}])
def test_valid_options_reach_x264(output: Path, settings: dict[str, Any]) -> None:
    assert len(save(output / "a.mkv", [flat()], **settings)) == 1


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"codec": "h264_nvenc"}, "h264_nvenc cannot be opened for .*hardware.*codec='h264'"),
        ({"codec": "prores_ks"}, "no 8-bit YCbCr.*try codec='h264'"),
        ({"preset": "warp", "codec": "av1"}, "libsvtav1 cannot be opened.*preset"),
        ({"codec": "ffv1", "crf": 20}, "ffv1 has no crf: leave crf out"),
        ({"options": {"nonsense": "1"}}, "libx264 has no option 'nonsense'"),
    ],
)
def test_an_encoders_refusal_is_an_error_of_one_line(output: Path, settings: dict[str, object], message: str) -> None:
    sink = VideoFile(output / "a.mkv", OutputSettings(**settings))  # pyright: ignore[reportArgumentType]
    with pytest.raises(SinkError, match=message) as caught:
        sink.write(Frame(flat()))
    assert "\n" not in str(caught.value)
    sink.discard()
    assert list(output.iterdir()) == []


@pytest.mark.parametrize("codec", ["hevc", "av1"])
def test_encoders_print_nothing(output: Path, codec: str, capfd: pytest.CaptureFixture[str]) -> None:
    save(output / "a.mkv", [flat()], codec)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("settings", [{"preset": "nope"}, {"options": {"profile": "nope"}}])
@pytest.mark.parametrize("codec", ["h264", "hevc", "av1"])
def test_refusing_encoders_print_nothing(
    output: Path, codec: str, settings: dict[str, Any], capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SinkError):
        save(output / "a.mkv", [flat()], codec, **settings)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("size", [(31, 640), (640, 31), (9, 65), (3, 9), (64, 8706), (16386, 64)])
def test_pictures_that_svt_av1_does_not_take(
    output: Path, size: tuple[int, int], capfd: pytest.CaptureFixture[str]
) -> None:
    sink = VideoFile(output / "b.webm", OutputSettings(codec="av1"))
    with pytest.raises(SinkError, match=f"takes no pictures as .* as {size[0]}x{size[1]}: .*try codec='vp9'"):
        sink.write(Frame(flat(*size)))
    sink.discard()
    assert not list(output.iterdir())
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("size", [(9, 64), (32, 640), (16, 16)])
def test_other_small_pictures_that_it_takes(output: Path, size: tuple[int, int]) -> None:
    assert len(save(output / "a.webm", [flat(*size)], "av1")) == 1
    with av.open(str(output / "a.webm")) as container:
        assert container.streams.video[0].codec_context.name == "libdav1d"


def test_webm_is_vp9_by_default(output: Path) -> None:
    assert len(save(output / "a.webm", [flat()])) == 1
    with av.open(str(output / "a.webm")) as container:
        assert container.streams.video[0].codec_context.name == "vp9"


@pytest.mark.parametrize(
    ("name", "codec", "options", "size", "advice"),
    [
        ("a.mkv", "h264", {}, (65500, 16), "in .mkv codec='vp9' takes pictures of that size"),
        ("a.ts", "h264", {}, (16, 65500), "in .mkv codec='vp9' takes pictures of that size"),
        ("a.mkv", "hevc", {}, (65500, 16), "in .mkv codec='vp9' takes pictures of that size"),
        ("a.mp4", "h264", {"crf": "abc"}, (64, 48), "check crf, preset and the encoder's options"),
        ("a.webm", "av1", {}, (64, 48), "check crf, preset and the encoder's options, or try codec='vp9'"),
        ("a.mp4", "av1", {}, (64, 48), "check crf, preset and the encoder's options, or try codec='h264'"),
    ],
)
def test_advice_about_an_encoder_that_cannot_be_opened_helps(
    output: Path, name: str, codec: str, options: dict[str, str], size: tuple[int, int], advice: str
) -> None:
    preset = "warp" if codec == "av1" else None
    sink = VideoFile(output / name, OutputSettings(codec=codec, preset=preset, options=options))
    with pytest.raises(SinkError, match="cannot be opened for ") as caught:
        sink.write(Frame(flat(*size)))
    assert str(caught.value.hint) == advice
    sink.discard()


@pytest.mark.parametrize(
    ("profile", "sampling", "advice"),
    [("high", Sampling.YUV444, "give high444"), ("main", Sampling.YUV422, "give high422")],
)
def test_a_profile_without_the_chroma_is_one_error(
    output: Path, profile: str, sampling: Sampling, advice: str, capfd: pytest.CaptureFixture[str]
) -> None:
    sink = VideoFile(output / "a.mkv", OutputSettings(options={"profile": profile}))
    with pytest.raises(SinkError, match=f"the profile '{profile}' of libx264 has no {sampling.label}: {advice}, or"):
        sink.write(Frame(flat(sampling=sampling)))
    sink.discard()
    assert capfd.readouterr() == ("", "")
    assert save(output / "b.mkv", [flat(sampling=sampling)], options={"profile": advice.split()[1]})


def test_hevc_in_mp4_has_the_tag_hvc1(output: Path) -> None:
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


@needs_proc
@pytest.mark.parametrize("live", [True, False])
def test_an_encoder_with_one_thread_makes_no_other(live: bool, output: Path) -> None:
    def threads() -> int:
        return len(os.listdir("/proc/self/task"))

    before = threads()
    sink = VideoFile(output / "a.mkv", OutputSettings(threads=1, live=live))
    for index in range(3):
        sink.write(Frame(flat(index=index)))
    assert threads() == before
    sink.close()
    assert len(read(output / "a.mkv")) == 3


@needs_proc
def test_no_encoder_takes_the_machine(tmp_path: Path) -> None:
    """SVT-AV1 makes its threads and the caller's real-time, where it may: as root."""

    def scheduling() -> set[int]:
        found: set[int] = set()
        for thread in os.listdir("/proc/self/task"):
            with contextlib.suppress(OSError):  # it has ended
                found.add(os.sched_getscheduler(int(thread)))
        return found

    before = scheduling()
    sink = VideoFile(tmp_path / "a.mkv", OutputSettings(codec="av1"))
    for index in range(3):
        sink.write(Frame(flat(64, 48, index=index)))
    assert scheduling() == before
    sink.close()
