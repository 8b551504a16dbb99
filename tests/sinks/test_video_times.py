"""Time stamps, rates and durations of video files."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import pytest

from mjpeg_restore.errors import SinkError
from mjpeg_restore.frames import Frame
from mjpeg_restore.sinks import OutputSettings, VideoFile
from tests.sinks.conftest import JITTER, flat, read, save, seconds, shown, times


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
def test_mp4_and_mov_store_exact_times(
    output: Path, extension: str, codec: str, time_base: Fraction, stamps: list[int]
) -> None:
    pictures = [flat(index=i, pts=pts, time_base=time_base) for i, pts in enumerate(stamps)]
    frames = save(output / f"a.{extension}", pictures, codec)
    assert times(frames) == [pts * time_base for pts in stamps]


@pytest.mark.parametrize("extension", ["mp4", "mov"])
@pytest.mark.parametrize("codec", ["h264", "mjpeg"])
@pytest.mark.parametrize("live", [False, True])
def test_mp4_and_mov_begin_at_0_where_the_first_picture_comes_before(
    output: Path, extension: str, codec: str, live: bool
) -> None:
    stamps = [stamp - 200 for stamp in JITTER]
    pictures = [flat(index=i, pts=pts, time_base=Fraction(1, 1000)) for i, pts in enumerate(stamps)]
    frames = save(output / f"a.{extension}", pictures, codec, live=live)
    assert times(frames) == [Fraction(stamp, 1000) for stamp in JITTER]


def test_av1_times_are_exact(output: Path) -> None:
    pictures = [flat(index=i, pts=pts, time_base=Fraction(1, 1000)) for i, pts in enumerate(JITTER)]
    assert times(save(output / "a.mp4", pictures, "av1")) == [Fraction(pts, 1000) for pts in JITTER]


@pytest.mark.parametrize("start", [0, 777])
def test_matroska_times_are_exact_in_milliseconds(output: Path, start: int) -> None:
    stamps = [start + stamp for stamp in JITTER]
    pictures = [flat(index=i, pts=pts, time_base=Fraction(1, 1000)) for i, pts in enumerate(stamps)]
    assert times(save(output / "a.mkv", pictures)) == [Fraction(pts, 1000) for pts in stamps]


@pytest.mark.parametrize(("extension", "codec"), [("mkv", "h264"), ("mkv", "ffv1"), ("webm", "vp9")])
@pytest.mark.parametrize("live", [False, True])
def test_matroska_keeps_times_apart_that_differ_by_less_than_a_millisecond(
    output: Path, extension: str, codec: str, live: bool
) -> None:
    stamps = [0, 1, 2, 30, 3600, 3640, 7200]  # 1/90000 s
    pictures = [flat(index=i, pts=pts, time_base=Fraction(1, 90_000)) for i, pts in enumerate(stamps)]
    frames = save(output / f"a.{extension}", pictures, codec, live=live)
    assert times(frames) == [Fraction(ms, 1000) for ms in (0, 1, 2, 3, 40, 41, 80)]


@pytest.mark.parametrize(("start", "options", "moved"), [(0, {}, 2), (25, {}, 0), (0, {"bf": "0"}, 0)])
def test_mpeg_ts_moves_what_would_be_decoded_before_0(
    output: Path, start: int, options: dict[str, str], moved: int
) -> None:
    sink = VideoFile(output / "a.ts", OutputSettings(options=options))
    for index in range(start, start + 12):
        sink.write(Frame(flat(index=index)))
    sink.close()
    assert times(read(output / "a.ts")) == [Fraction(index + moved, 25) for index in range(start, start + 12)]


def test_avi_rounds_times_to_frames(output: Path) -> None:
    stamps = [0, 41, 79, 121, 240, 281]
    pictures = [flat(index=i, pts=pts, time_base=Fraction(1, 1000)) for i, pts in enumerate(stamps)]
    frames = save(output / "a.avi", pictures, "mjpeg", fps=Fraction(25))
    assert times(frames) == [Fraction(frame, 25) for frame in (0, 1, 2, 3, 6, 7)]


def test_pictures_of_an_avi_keep_their_frame_numbers(output: Path) -> None:
    """Dropped pictures lower the nominal rate of the input."""
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
    ("extension", "stamps", "remark"),
    [
        ("avi", [0, 41, 79, 121], None),  # a constant rate, rounded
        ("avi", [0, 41, 95, 121], "AVI moves pictures to whole frames, by up to 15 ms: mp4, mov and mkv keep times"),
        ("mp4", [0, 41, 95, 121], None),
    ],
)
def test_changed_times_are_remarked(output: Path, extension: str, stamps: list[int], remark: str | None) -> None:
    sink = VideoFile(output / f"a.{extension}", OutputSettings(codec="mjpeg", fps=Fraction(25)))
    for index, pts in enumerate(stamps):
        sink.write(Frame(flat(index=index, pts=pts, time_base=Fraction(1, 1000))))
    sink.close()
    assert sink.remark == remark


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
    # A single picture lasts for one frame of the nominal rate.
    save(output / "b.mp4", [flat(time_base=Fraction(1, 1000))], fps=Fraction(10))
    with av.open(str(output / "b.mp4")) as container:
        assert container.duration == 100_000


def test_a_rate_out_of_ffmpegs_range_is_a_sink_error(output: Path) -> None:
    sink = VideoFile(output / "a.mkv", OutputSettings(fps=Fraction(10**12 + 1, 10**11)))
    with pytest.raises(SinkError, match="failed"):
        sink.write(Frame(flat()))
    sink.discard()
    assert list(output.iterdir()) == []


@pytest.mark.parametrize("suffix", ["avi", "mp4", "mkv"])
def test_a_pause_of_hours(output: Path, suffix: str) -> None:
    path = output / f"out.{suffix}"
    sink = VideoFile(path, OutputSettings(codec="mjpeg", fps=Fraction(10)))
    stamps = [0, 100, 200, 7_200_000, 7_200_100]
    for index, pts in enumerate(stamps):
        sink.write(Frame(flat(index=index, pts=pts, time_base=Fraction(1, 1000))))
    sink.close()
    found = shown(path)
    assert [time for time in found if time * 1000 in stamps] == [Fraction(pts, 1000) for pts in stamps]
    assert len(found) == 5 + (suffix == "avi")  # AVI repeats a picture in a long pause
    with av.open(str(path)) as container:
        assert seconds(container) == pytest.approx(7200.2)


@pytest.mark.parametrize("suffix", ["mp4", "mov", "mkv"])
@pytest.mark.parametrize(("ticks_a_second", "pause"), [(1000, 172_800), (90_000, 172_800), (1_000_000, 43_200)])
def test_a_pause_longer_than_a_step_of_mp4(output: Path, suffix: str, ticks_a_second: int, pause: int) -> None:
    path = output / f"out.{suffix}"
    sink = VideoFile(path, OutputSettings(codec="mjpeg"))
    stamps = [0, 1, pause, pause + 1]
    for index, second in enumerate(stamps):
        sink.write(Frame(flat(index=index, pts=second * ticks_a_second, time_base=Fraction(1, ticks_a_second))))
    sink.close()
    assert [time for time in shown(path) if time in stamps] == stamps


@pytest.mark.parametrize("suffix", ["mp4", "mov"])
@pytest.mark.parametrize(("codec", "options"), [("h264", {}), ("h264", {"bf": "16"}), ("hevc", {})])
@pytest.mark.parametrize(("ticks_a_second", "pause"), [(1000, 5 * 86_400), (90_000, 40_000)])
def test_a_pause_among_reordered_pictures(
    output: Path, suffix: str, codec: str, options: dict[str, str], ticks_a_second: int, pause: int
) -> None:
    """The pictures after the pause are decoded several pictures before they are shown."""
    path = output / f"out.{suffix}"
    sink = VideoFile(path, OutputSettings(codec=codec, options=options))
    stamps = [*range(40), *range(pause, pause + 40)]
    for index, second in enumerate(stamps):
        sink.write(Frame(flat(index=index, pts=second * ticks_a_second, time_base=Fraction(1, ticks_a_second))))
    sink.close()
    assert [time for time in shown(path) if time in stamps] == stamps


@pytest.mark.parametrize("suffix", ["avi", "mp4"])
def test_a_pause_that_would_fill_the_disk_is_refused(output: Path, suffix: str) -> None:
    sink = VideoFile(output / f"out.{suffix}", OutputSettings(codec="mjpeg", fps=Fraction(25)))
    sink.write(Frame(flat()))
    with pytest.raises(SinkError, match="picture 1 comes 4000000000 s after the one before, a pause that this"):
        sink.write(Frame(flat(index=1, pts=100_000_000_000)))
    sink.discard()
    assert not list(output.iterdir())


@pytest.mark.parametrize("suffix", ["avi", "mp4", "mov", "mkv"])
def test_an_absurd_duration_is_limited(output: Path, suffix: str) -> None:
    sink = VideoFile(output / f"a.{suffix}", OutputSettings(codec="mjpeg", fps=Fraction(25)))
    for index in range(3):
        sink.write(Frame(replace(flat(index=index), duration=1 << 62 if index == 2 else 1)))
    sink.close()
    assert len(shown(output / f"a.{suffix}")) == 3


@pytest.mark.parametrize("codec", ["mjpeg", "h264"])
def test_the_last_picture_is_shown_for_its_stated_duration(output: Path, codec: str) -> None:
    for suffix in ("mp4", "mov", "mkv", "avi"):
        sink = VideoFile(output / f"a.{suffix}", OutputSettings(codec=codec, fps=Fraction(25)))
        for index in range(10):
            sink.write(Frame(replace(flat(index=index), duration=26 if index == 9 else 1)))
        sink.close()
        with av.open(str(output / f"a.{suffix}")) as container:
            assert seconds(container) == pytest.approx(1.4, abs=0.05)


@pytest.mark.parametrize(("extension", "hours", "remarked"), [("ts", 26, True), ("ts", 25, False), ("mkv", 26, False)])
def test_a_ts_whose_times_begin_again_is_remarked(output: Path, extension: str, hours: int, remarked: bool) -> None:
    sink = VideoFile(output / f"a.{extension}", OutputSettings(live=True))
    for pts in (0, hours, hours + 1):
        sink.write(Frame(flat(pts=pts, time_base=Fraction(3600))))
    sink.close()
    remark = "MPEG-TS counts 26.5 hours, and then from 0 again: mp4, mov and mkv keep longer times"
    assert sink.remark == (remark if remarked else None)


def test_a_ts_that_begins_late_does_not_begin_again(output: Path) -> None:
    sink = VideoFile(output / "a.ts", OutputSettings(live=True))
    for pts in (30, 31):
        sink.write(Frame(flat(pts=pts, time_base=Fraction(3600))))
    sink.close()
    assert sink.remark is None
