"""What AVI and MOV have no times for: late recordings, late sound, pauses."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.audio.stream import AudioStream
from numpy.typing import NDArray

from mjpeg_restore.errors import SinkError
from mjpeg_restore.sinks import VideoFile
from mjpeg_restore.sinks.base import OutputSettings
from tests.sinks.conftest import flat, times
from tests.sources.clips import time_of

RATE = 48_000
FRAME = {"aac": 1024, "libmp3lame": 1152, "libopus": 960}
TENTH = Fraction(1, 10)


@dataclass
class Sound:
    """What a source hands over."""

    stream: AudioStream
    packets: deque[av.Packet] = field(default_factory=deque)
    enabled: bool = False


def record(path: Path, codec: str, spans: list[tuple[float, float]]) -> Path:
    """A tone that is there from each first to each second second."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=RATE, layout="mono")
        assert isinstance(stream, av.AudioStream)
        size = FRAME.get(codec, 960)
        for begin, end in spans:
            tone = (8000 * np.sin(np.arange(round((end - begin) * RATE)) * 2 * np.pi * 440 / RATE)).astype(np.int16)
            for start in range(0, len(tone) - size + 1, size):
                frame = av.AudioFrame.from_ndarray(tone[None, start : start + size], "s16", "mono")
                frame.sample_rate, frame.time_base = RATE, Fraction(1, RATE)
                frame.pts = round(begin * RATE) + start
                container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def join(target: Path, recording: Path, pictures: list[float], *, behind: float = 0.2) -> VideoFile:
    """Pictures at these seconds, and sound that comes up to `behind` seconds later than those in the file."""
    with av.open(str(recording)) as container:
        sound = Sound(container.streams.audio[0])
        sink = VideoFile(target, OutputSettings(codec="mjpeg", fps=Fraction(10)), audio=[sound])
        packets = deque(packet for packet in container.demux(audio=0) if packet.size)
        for index, time in enumerate(pictures):
            while packets and time_of(packets[0]) <= time - behind:
                sound.packets.append(packets.popleft())
            sink.write(flat(index=index, pts=round(1000 * time), time_base=Fraction(1, 1000)))
        sound.packets.extend(packets)
        sink.close()
    return sink


def heard(path: Path) -> list[tuple[float, float]]:
    """The spans of time in which there is a tone, as a player hears them: a gap of no packets is silence."""
    level: NDArray[np.float32] = np.zeros(0, np.float32)
    resampler = av.AudioResampler("flt", "mono", RATE)
    with av.open(str(path)) as container:
        begin = min(Fraction((stream.start_time or 0) * (stream.time_base or 0)) for stream in container.streams)
        for frame in container.decode(audio=0):
            place = round(float(time_of(frame) - begin) * RATE)
            for part in resampler.resample(frame):
                samples = np.abs(part.to_ndarray()[0])
                level = np.concatenate([level, np.zeros(max(place + len(samples) - len(level), 0), np.float32)])
                level[place : place + len(samples)] = samples
    windows = level[: len(level) // 480 * 480].reshape(-1, 480).max(axis=1) > 0.1
    edges = np.flatnonzero(np.diff(np.concatenate([[False], windows, [False]]).astype(int)))
    return [(begin / 100, end / 100) for begin, end in edges.reshape(-1, 2)]


def shown(path: Path) -> list[Fraction]:
    with av.open(str(path)) as container:
        stamps = times(list(container.decode(video=0)))
    return [stamp - stamps[0] for stamp in stamps]


def near(found: list[tuple[float, float]], wanted: list[tuple[float, float]]) -> bool:
    """Within 0.1 s, less what windows of 10 ms and a frame of a coder leave open."""
    pairs = [pair for spans in zip(found, wanted, strict=True) for pair in zip(*spans, strict=True)]
    return all(abs(a - b) < 0.1 for a, b in pairs)


EVEN = [number / 10 for number in range(30)]


@pytest.mark.parametrize("behind", [-0.5, 0.2])
@pytest.mark.parametrize("codec", ["pcm_s16le", "aac", "libmp3lame", "libopus"])
@pytest.mark.parametrize("suffix", ["avi", "mov", "mkv", "mp4"])
def test_sound_that_begins_late(output: Path, codec: str, suffix: str, behind: float) -> None:
    source = record(output / "in.mkv", codec, [(1.4, 2.4)])
    sink = join(output / f"out.{suffix}", source, EVEN, behind=behind)
    assert sink.remark is None
    assert near(heard(output / f"out.{suffix}"), [(1.4, 2.4)])
    assert shown(output / f"out.{suffix}") == [number * TENTH for number in range(30)]


@pytest.mark.parametrize("codec", ["pcm_s16le", "libopus"])
@pytest.mark.parametrize("suffix", ["avi", "mov", "mkv"])
def test_a_gap_in_the_sound(output: Path, codec: str, suffix: str) -> None:
    source = record(output / "in.mkv", codec, [(0, 1), (1.7, 2.7)])
    assert join(output / f"out.{suffix}", source, EVEN).remark is None
    assert near(heard(output / f"out.{suffix}"), [(0, 1), (1.7, 2.7)])


def test_a_gap_in_sound_that_avi_takes_as_it_is_coded_is_told(output: Path) -> None:
    source = record(output / "in.mkv", "libmp3lame", [(0, 1), (1.7, 2.7)])
    sink = join(output / "out.avi", source, EVEN)
    assert sink.remark == "AVI holds no pauses in this sound, which is early by up to 0.7 s: mp4 and mkv hold them"
    assert len(shown(output / "out.avi")) == 30


@pytest.mark.parametrize("suffix", ["avi", "mkv", "mov", "mp4"])
def test_sound_that_lacks_its_description_does_not_fail_the_video(output: Path, suffix: str) -> None:
    source = record(output / "in.mp4", "aac", [(0, 1)])
    data = source.read_bytes()
    assert data.count(b"\x05\x80\x80\x80") == 1  # what AAC is like, in `esds`
    source.write_bytes(data.replace(b"\x05\x80\x80\x80", b"\x06\x80\x80\x80"))
    join(output / f"out.{suffix}", source, EVEN)
    assert len(shown(output / f"out.{suffix}")) == 30


@pytest.mark.parametrize("begin", [370, 36_000, 1_760_000_000])
@pytest.mark.parametrize("codec", ["pcm_s16le", "aac"])
@pytest.mark.parametrize("suffix", ["avi", "mov", "mkv", "mp4"])
def test_a_recording_that_begins_late(output: Path, suffix: str, codec: str, begin: int) -> None:
    source = record(output / "in.mkv", codec, [(begin + 0.5, begin + 2)])
    sink = join(output / f"out.{suffix}", source, [begin + time for time in EVEN])
    assert sink.remark is None
    path = output / f"out.{suffix}"
    assert shown(path) == [number * TENTH for number in range(30)]
    assert near(heard(path), [(0.5, 2)])
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert (stream.start_time or 0) * (stream.time_base or 0) == (0 if suffix == "avi" else begin)
        assert suffix != "avi" or stream.frames <= 31


@pytest.mark.parametrize("codec", ["pcm_s16le", "aac"])
def test_sound_that_begins_first(output: Path, codec: str) -> None:
    source = record(output / "in.mkv", codec, [(369.2, 371.2)])
    assert join(output / "out.avi", source, [370 + time for time in EVEN]).remark is None
    assert near(heard(output / "out.avi"), [(0, 2)])
    # An AVI shows its first picture from the beginning on.
    assert shown(output / "out.avi") == [0, *((8 + number) * TENTH for number in range(1, 30))]


def test_sound_that_begins_an_hour_before_the_pictures(output: Path) -> None:
    source = record(output / "in.mkv", "pcm_s16le", [(0, 1)])
    with av.open(str(source)) as container:
        sound = Sound(container.streams.audio[0])
        sink = VideoFile(output / "out.avi", OutputSettings(codec="mjpeg", fps=Fraction(25)), audio=[sound])
        sound.packets.extend(packet for packet in container.demux(audio=0) if packet.size)
        for index in range(10):
            sink.write(flat(index=index, pts=90_000 + index))
        sink.close()
    assert sink.remark is None
    assert near(heard(output / "out.avi"), [(0, 1)])
    assert shown(output / "out.avi") == [0, 2000, *(Fraction(90_000 + index, 25) for index in range(10))]


@pytest.mark.parametrize("codec", ["pcm_s16le", "libopus"])
def test_sound_that_comes_later_in_the_file_than_a_picture_it_precedes_is_cut(output: Path, codec: str) -> None:
    source = record(output / "in.mkv", codec, [(369.2, 371.2)])
    sink = join(output / "out.avi", source, [370 + time for time in EVEN], behind=2)
    assert sink.remark is None
    assert near(heard(output / "out.avi"), [(0, 1.2)])
    assert shown(output / "out.avi") == [number * TENTH for number in range(30)]


@pytest.mark.parametrize("suffix", ["avi", "mp4", "mkv"])
def test_a_pause_of_hours(output: Path, suffix: str) -> None:
    path = output / f"out.{suffix}"
    sink = VideoFile(path, OutputSettings(codec="mjpeg", fps=Fraction(10)))
    stamps = [0, 100, 200, 7_200_000, 7_200_100]
    for index, pts in enumerate(stamps):
        sink.write(flat(index=index, pts=pts, time_base=Fraction(1, 1000)))
    sink.close()
    found = shown(path)
    assert [time for time in found if time * 1000 in stamps] == [Fraction(pts, 1000) for pts in stamps]
    assert len(found) == 5 + (suffix == "avi")  # where the pause is long for FFmpeg, a picture is coded once more
    with av.open(str(path)) as container:
        assert (container.duration or 0) / 1e6 == pytest.approx(7200.2)


@pytest.mark.parametrize("suffix", ["mp4", "mov", "mkv"])
@pytest.mark.parametrize(("ticks_a_second", "pause"), [(1000, 172_800), (90_000, 172_800), (1_000_000, 43_200)])
def test_a_pause_for_which_a_step_of_mp4_is_too_short(
    output: Path, suffix: str, ticks_a_second: int, pause: int
) -> None:
    path = output / f"out.{suffix}"
    sink = VideoFile(path, OutputSettings(codec="mjpeg"))
    stamps = [0, 1, pause, pause + 1]
    for index, second in enumerate(stamps):
        sink.write(flat(index=index, pts=second * ticks_a_second, time_base=Fraction(1, ticks_a_second)))
    sink.close()
    assert [time for time in shown(path) if time in stamps] == stamps


@pytest.mark.parametrize("suffix", ["avi", "mp4"])
def test_a_pause_that_would_fill_the_disk_is_refused(output: Path, suffix: str) -> None:
    sink = VideoFile(output / f"out.{suffix}", OutputSettings(codec="mjpeg", fps=Fraction(25)))
    sink.write(flat())
    with pytest.raises(SinkError, match="picture 1 comes 4000000000 s after the one before, a pause that this"):
        sink.write(flat(index=1, pts=100_000_000_000))
    sink.discard()
    assert not list(output.iterdir())


@pytest.mark.parametrize("suffix", ["avi", "mov"])
def test_silence_that_would_fill_the_disk_is_told_instead(output: Path, suffix: str) -> None:
    source = record(output / "in.mkv", "pcm_s16le", [(0, 0.2), (40_000, 40_001)])
    sink = join(output / f"out.{suffix}", source, [0, 0.1, 0.2])
    name = suffix.upper()
    assert (
        sink.remark == f"{name} holds no pauses in this sound, which is early by up to 39999.8 s: mp4 and mkv hold them"
    )
    assert near(heard(output / f"out.{suffix}"), [(0, 1.2)])


@pytest.mark.parametrize("suffix", ["avi", "mp4", "mov", "mkv"])
def test_a_length_that_no_picture_has_is_cut_off(output: Path, suffix: str) -> None:
    sink = VideoFile(output / f"a.{suffix}", OutputSettings(codec="mjpeg", fps=Fraction(25)))
    for index in range(3):
        sink.write(replace(flat(index=index), duration=1 << 62 if index == 2 else 1))
    sink.close()
    assert len(shown(output / f"a.{suffix}")) == 3


@pytest.mark.parametrize("codec", ["mjpeg", "h264"])
def test_the_last_picture_is_held_for_as_long_as_the_recording_says(output: Path, codec: str) -> None:
    for suffix in ("mp4", "mov", "mkv", "avi"):
        sink = VideoFile(output / f"a.{suffix}", OutputSettings(codec=codec, fps=Fraction(25)))
        for index in range(10):
            sink.write(replace(flat(index=index), duration=26 if index == 9 else 1))
        sink.close()
        with av.open(str(output / f"a.{suffix}")) as container:
            assert (container.duration or 0) / 1e6 == pytest.approx(1.4, abs=0.05)
