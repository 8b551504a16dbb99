"""Recordings in several files."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from mjpeg_restore.errors import SinkError
from mjpeg_restore.frames import Frame, Picture, Sampling, SoundPacket
from mjpeg_restore.sinks import OutputSettings, SegmentLimit, Segments, open_sink, segments
from tests.sinks.conftest import flat, noise, planes_of, read, shown, sound_of, times
from tests.sinks.test_audio import RATE as SOUND_RATE
from tests.sinks.test_audio import record, samples_of, tone

CLOCK = Fraction(1, 90000)

NAME = re.compile(r"a-\d{8}T\d{6}\.\d{3}Z\.mp4")


def settings(
    seconds: Fraction | int | None = None, size: int | None = None, *, codec: str | None = None, live: bool = True
) -> OutputSettings:
    limit = SegmentLimit(None if seconds is None else Fraction(seconds), size)
    return OutputSettings(codec=codec, live=live, fps=Fraction(30), segment=limit)


def on_resize() -> OutputSettings:
    return OutputSettings(codec="ffv1", live=True, new_file_on_resize=True)


def numbered(count: int, rate: int = 30) -> Iterator[Picture]:
    """Pictures that are told apart by their luma."""
    for index in range(count):
        picture = flat(64, 48, sample=(index, 128, 128), index=index, pts=5000 + index * 90000 // rate)
        yield replace(picture, time_base=CLOCK)


def files(folder: Path) -> list[Path]:
    return sorted(folder.iterdir())


@pytest.mark.parametrize("live", [True, False])
@pytest.mark.parametrize("extension", ["mp4", "mkv"])
def test_no_picture_is_lost_or_doubled(output: Path, extension: str, live: bool) -> None:
    sink = Segments(output / f"a.{extension}", settings(1, codec="ffv1", live=live))
    for picture in numbered(75):
        sink.write(Frame(picture))
    sink.close()
    found = [read(path) for path in files(output)]
    assert [len(frames) for frames in found] == [30, 30, 15]
    assert [int(planes_of(frame)[0][0, 0]) for frames in found for frame in frames] == list(range(75))
    for frames in found:
        assert frames[0].key_frame
        for index, stamp in enumerate(times(frames)):
            assert abs(stamp - Fraction(index, 30)) <= (0 if extension == "mp4" else Fraction(1, 1000))


def test_a_segment_begins_after_a_gap(output: Path) -> None:
    sink = Segments(output / "a.mkv", settings(10))
    for second in (0, 4, 100, 104):
        sink.write(Frame(flat(index=second, pts=second * 90000, time_base=CLOCK)))
    sink.close()
    assert [shown(path) for path in files(output)] == [[0, 4], [0, 4]]


@pytest.mark.parametrize("extension", ["mp4", "mkv"])
def test_a_segment_has_about_the_size(output: Path, extension: str) -> None:
    sink = Segments(output / f"a.{extension}", settings(size=200_000, codec="mjpeg"))
    picture = noise()  # 4.5 kB
    for index in range(150):
        sink.write(Frame(replace(picture, index=index, pts=index * 3000, time_base=CLOCK)))
    sink.close()
    sizes = [path.stat().st_size for path in files(output)]
    assert len(sizes) >= 3
    assert all(200_000 <= size < 280_000 for size in sizes[:-1])
    assert sum(len(read(path)) for path in files(output)) == 150


def test_names_are_utc_and_rise(output: Path) -> None:
    before = datetime.now(UTC)
    sink = Segments(output / "a.mp4", settings(Fraction(1, 30), codec="mjpeg"))
    paths: list[Path] = []
    for picture in numbered(20):
        sink.write(Frame(picture))
        paths += [path for path in output.iterdir() if path not in paths and not path.name.startswith(".")]
    sink.close()
    names = [path.name for path in files(output)]
    assert len(names) == 20
    assert all(NAME.fullmatch(name) for name in names)
    assert [int(planes_of(read(path)[0])[0][0, 0]) for path in files(output)] == list(range(20))
    first = datetime.strptime(names[0], "a-%Y%m%dT%H%M%S.%fZ.mp4").replace(tzinfo=UTC)
    assert before - timedelta(milliseconds=1) <= first <= datetime.now(UTC)


def test_names_are_free_after_a_restart_and_when_the_clock_is_set_back(
    output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Clock(datetime):
        moments = iter([10, 10, 5, 5, 5, 5])

        @classmethod
        def now(cls, tz: object = None) -> datetime:
            return datetime(2026, 11, 26, 19, 41, next(cls.moments), 250_999, tzinfo=UTC)

    monkeypatch.setattr(segments, "datetime", Clock)
    (output / "a-20261126T194110.252Z.mp4").write_bytes(b"before the restart")
    sink = Segments(output / "a.mp4", settings(1, codec="mjpeg"))
    for picture in numbered(4, rate=1):
        sink.write(Frame(picture))
    sink.close()
    seconds = [path.name.removeprefix("a-20261126T1941").removesuffix("Z.mp4") for path in files(output)]
    assert seconds == ["10.251", "10.252", "10.253", "10.254", "10.255"]
    assert (output / "a-20261126T194110.252Z.mp4").read_bytes() == b"before the restart"


def test_names_follow_a_clock_that_was_wrong(
    output: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class Clock(datetime):
        years = iter([2095, 2095, 2095, 2026, 2026, 2026])

        @classmethod
        def now(cls, tz: object = None) -> datetime:
            return datetime(next(cls.years), 11, 26, 19, 41, 10, 0, tzinfo=UTC)

    monkeypatch.setattr(segments, "datetime", Clock)
    sink = Segments(output / "a.mp4", settings(1, codec="mjpeg"))
    for picture in numbered(5, rate=1):
        sink.write(Frame(picture))
    sink.close()
    times = [path.name.removeprefix("a-").removesuffix("Z.mp4") for path in files(output)]
    assert times == [*(f"20261126T194110.00{n}" for n in range(3)), "20951126T194110.001", "20951126T194110.002"]
    (line,) = caplog.messages
    assert line == f"{output / 'a.mp4'}: the clock was set back by 2177452800 s, and the names of files with it"


def test_invalid_outputs_are_refused_at_once(output: Path) -> None:
    for name, message in (("a.xyz", "no output has"), ("none/a.mp4", "create it"), ("a.avi", "cannot be played")):
        with pytest.raises(SinkError, match=message):
            Segments(output / name, settings(1))
    Segments(output / "a.mp4", settings(1)).close()
    assert list(output.iterdir()) == []


@pytest.mark.parametrize("live", [True, False])
def test_whole_segments_are_kept_when_the_run_fails(output: Path, live: bool) -> None:
    sink = Segments(output / "a.mp4", settings(1, live=live))
    for picture in numbered(45):
        sink.write(Frame(picture))
    sink.discard()
    assert [len(read(path)) for path in files(output)] == ([30, 15] if live else [30])


def test_a_new_size_or_sampling_begins_a_new_file(output: Path) -> None:
    sink = open_sink(output / "a.mkv", on_resize())
    assert not sink.fixed_size
    shapes = [(64, 48, Sampling.YUV422)] * 2 + [(32, 24, Sampling.YUV422)] * 3 + [(32, 24, Sampling.YUV420)]
    for index, (width, height, sampling) in enumerate(shapes):
        sink.write(Frame(flat(width, height, sampling, index=index)))
    sink.close()
    found = [[(frame.width, frame.height, frame.format.name) for frame in read(path)] for path in files(output)]
    assert found == [[(64, 48, "yuv422p")] * 2, [(32, 24, "yuv422p")] * 3, [(32, 24, "yuv420p")]]


def test_segments_alone_need_one_size(output: Path) -> None:
    sink = open_sink(output / "a.mkv", settings(1))
    assert sink.fixed_size
    sink.write(Frame(flat()))
    with pytest.raises(SinkError, match="picture 1 is 64x48, the first was 128x96"):
        sink.write(Frame(flat(64, 48, index=1)))
    sink.discard()


def write_with_sound(sink: Segments, packets: Iterable[SoundPacket], lag: float = 0) -> None:
    """Write 60 pictures, 30 a second, each after the sound from up to `lag` seconds before it, and the rest at last."""
    waiting = deque(packets)
    for index in range(60):
        while waiting and (waiting[0].time or 0) + Fraction(lag) <= Fraction(index, 30):
            sink.write_sound(waiting.popleft())
        sink.write(Frame(flat(64, 48, index=index, pts=index, time_base=Fraction(1, 30))))
    for packet in waiting:
        sink.write_sound(packet)


@pytest.mark.parametrize(("live", "lag"), [(True, 0), (False, 0), (False, 0.4)])
@pytest.mark.parametrize(
    ("recording", "codec", "extension"),
    [("wav", "pcm_s16le", "mp4"), ("wav", "pcm_s16le", "mov"), ("m4a", "aac", "mp4"), ("mka", "mp3", "mkv")],
)
def test_sound_goes_on_in_the_next_file(
    tmp_path: Path, output: Path, recording: str, codec: str, extension: str, live: bool, lag: float
) -> None:
    with av.open(str(record(tmp_path / f"a.{recording}", codec))) as container:
        track, packets = sound_of(container)
        sink = Segments(output / f"a.{extension}", settings(Fraction(2, 3), live=live), [track])
        assert sink.sound
        write_with_sound(sink, packets, lag)
        sink.close()
    assert sink.remark is None
    assert len(files(output)) == 3
    whole = np.zeros(3 * SOUND_RATE, np.float32)
    for number, path in enumerate(files(output)):
        assert times(read(path))[0] == 0
        samples, start = samples_of(path)
        assert -0.1 < start < 0.1
        assert 0.5 < len(samples) / SOUND_RATE < 0.85
        at = max(round((number * 2 / 3 + start) * SOUND_RATE), 0)
        whole[at : at + len(samples)] = samples
    # The same tone, without a gap of more than a packet where the files meet; but players of MP3 in MKV skip the first
    # 69 ms of each file, the codec's delay.
    quiet = np.abs(whole[: 2 * SOUND_RATE].reshape(-1, 1600)).max(axis=1) < np.abs(tone()).max() / 32768 / 4
    assert quiet.sum() <= (codec == "mp3")


@pytest.mark.parametrize("extension", ["mp4", "mkv"])
def test_sound_that_comes_when_its_file_is_finished_is_left_out(tmp_path: Path, output: Path, extension: str) -> None:
    with av.open(str(record(tmp_path / "a.m4a", "aac"))) as container:
        track, packets = sound_of(container)
        sink = Segments(output / f"a.{extension}", settings(Fraction(2, 3)), [track])
        write_with_sound(sink, packets, 0.4)
        sink.close()
    assert sink.remark == "0.8 s of sound came when the file of its pictures was finished, and is left out"
    for path in files(output):
        assert times(read(path))[0] == 0
        assert samples_of(path)[1] >= 0


def test_a_file_waits_for_three_seconds_at_most(tmp_path: Path, output: Path) -> None:
    with av.open(str(record(tmp_path / "a.wav", "pcm_s16le"))) as container:
        track, packets = sound_of(container)
        sink = Segments(output / "a.mkv", settings(4, live=False), [track])
        sink.write_sound(packets[0])
        finished: list[int] = []
        for second in range(8):
            sink.write(Frame(flat(index=second, pts=second * 90000, time_base=CLOCK)))
            finished.append(sum(not path.name.startswith(".") for path in output.iterdir()))
        sink.discard()
    assert finished == [0] * 7 + [1]
    assert [shown(path) for path in files(output)] == [[0, 1, 2, 3]]


def test_a_whole_file_that_waits_for_sound_is_kept_when_the_run_fails(tmp_path: Path, output: Path) -> None:
    with av.open(str(record(tmp_path / "a.wav", "pcm_s16le"))) as container:
        sink = Segments(output / "a.mkv", settings(1, live=False), [sound_of(container)[0]])
        for picture in numbered(45):
            sink.write(Frame(picture))
        sink.discard()
    assert [len(read(path)) for path in files(output)] == [30]


@pytest.mark.parametrize("value", [{}, {"seconds": 0}, {"size": -1}, {"seconds": 1, "size": 0}])
def test_a_limit_is_positive(value: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="more than 0"):
        SegmentLimit(**value)


@pytest.mark.parametrize("target", ["a.y4m", "a.png", "folder", "-"])
def test_only_video_files_have_segments(output: Path, target: str) -> None:
    for chosen, name in ((settings(1), "segment"), (on_resize(), "new file on resize")):
        with pytest.raises(SinkError, match=f"{name} has no effect on"):
            open_sink(target if target == "-" else f"{output}/{target}", replace(chosen, codec=None))
    assert list(output.iterdir()) == []
