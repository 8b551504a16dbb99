"""Sound at its times in every container: late recordings, late sound, gaps."""

from __future__ import annotations

from collections import deque
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.audio.stream import AudioStream
from av.stream import Stream
from numpy.typing import NDArray

from mjpeg_restore.frames import Frame
from mjpeg_restore.sinks import OutputSettings, VideoFile
from tests.sinks.conftest import flat, shown, sound_of
from tests.sources.clips import time_of

RATE = 48_000

FRAME = {"aac": 1024, "libmp3lame": 1152, "libopus": 960}

TENTH = Fraction(1, 10)


def record(path: Path, codec: str, spans: list[tuple[float, float]]) -> Path:
    """A recording with a tone in each span, from its first to its second number of seconds."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=RATE, layout="mono")
        assert isinstance(stream, AudioStream)
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
    """Write pictures at these seconds and the recording, whose packets arrive `behind` seconds after the pictures."""
    with av.open(str(recording)) as container:
        track, packets = sound_of(container)
        sink = VideoFile(target, OutputSettings(codec="mjpeg", fps=Fraction(10)), sound=[track])
        waiting = deque(packets)
        for index, time in enumerate(pictures):
            while waiting and (waiting[0].time or 0) <= time - behind:
                sink.write_sound(waiting.popleft())
            sink.write(Frame(flat(index=index, pts=round(1000 * time), time_base=Fraction(1, 1000))))
        for packet in waiting:
            sink.write_sound(packet)
        sink.close()
    return sink


def heard(path: Path) -> list[tuple[float, float]]:
    """The spans with a tone, in seconds, as a player plays them: without packets there is silence."""
    level: NDArray[np.float32] = np.zeros(0, np.float32)
    resampler = av.AudioResampler("flt", "mono", RATE)
    with av.open(str(path)) as container:
        begin = min(start_of(stream) for stream in container.streams)
        for frame in container.decode(audio=0):
            place = round((time_of(frame) - begin) * RATE)
            for part in resampler.resample(frame):
                samples = np.abs(part.to_ndarray()[0])
                level = np.concatenate([level, np.zeros(max(place + len(samples) - len(level), 0), np.float32)])
                level[place : place + len(samples)] = samples
    windows = level[: len(level) // 480 * 480].reshape(-1, 480).max(axis=1) > 0.1
    edges = np.flatnonzero(np.diff(np.concatenate([[False], windows, [False]]).astype(int)))
    return [(begin / 100, end / 100) for begin, end in edges.reshape(-1, 2)]


def start_of(stream: Stream) -> Fraction:
    """The start time that a container states for a stream, in seconds."""
    assert stream.start_time is not None and stream.time_base is not None
    return stream.start_time * stream.time_base


def near(found: list[tuple[float, float]], wanted: list[tuple[float, float]]) -> bool:
    """Whether spans agree within 0.1 s: `heard` has steps of 10 ms, and codecs have frames."""
    pairs = [pair for spans in zip(found, wanted, strict=True) for pair in zip(*spans, strict=True)]
    return all(abs(a - b) < 0.1 for a, b in pairs)


EVEN = [number / 10 for number in range(30)]


@pytest.mark.parametrize("behind", [-0.5, 0.2])
@pytest.mark.parametrize("codec", ["pcm_s16le", "aac", "libmp3lame", "libopus"])
@pytest.mark.parametrize("suffix", ["avi", "mov", "mkv", "mp4"])
def test_sound_that_starts_late(output: Path, codec: str, suffix: str, behind: float) -> None:
    source = record(output / "in.mkv", codec, [(1.4, 2.4)])
    sink = join(output / f"out.{suffix}", source, EVEN, behind=behind)
    assert sink.remark is None
    assert near(heard(output / f"out.{suffix}"), [(1.4, 2.4)])
    assert shown(output / f"out.{suffix}") == [number * TENTH for number in range(30)]


@pytest.mark.parametrize(
    ("codec", "suffix"),
    [
        *((codec, suffix) for codec in ("pcm_s16le", "libopus") for suffix in ("avi", "mov", "mkv")),
        ("libmp3lame", "avi"),
    ],
)
def test_a_gap_in_the_sound_is_kept(output: Path, codec: str, suffix: str) -> None:
    source = record(output / "in.mkv", codec, [(0, 1), (1.7, 2.7)])
    assert join(output / f"out.{suffix}", source, EVEN).remark is None
    assert near(heard(output / f"out.{suffix}"), [(0, 1), (1.7, 2.7)])


def test_many_small_gaps_do_not_add_up(output: Path) -> None:
    """Each is one packet, 24 ms; without them the sound would end half a second early."""
    source = record(output / "in.mkv", "libmp3lame", [(0, 2.6)])
    with av.open(str(source)) as container:
        track, packets = sound_of(container)
        sink = VideoFile(output / "out.avi", sound=[track])
        sink.write(Frame(flat()))
        for number, packet in enumerate(packets):
            if number % 5 != 3:
                sink.write_sound(packet)
        sink.close()
    assert sink.remark is None
    with av.open(str(output / "out.avi")) as container:
        stored = sum(frame.samples for frame in container.decode(audio=0))
    assert abs(stored / RATE - 2.6) < 0.08 + 0.05  # the tolerance of gaps, and two packets of priming


@pytest.mark.parametrize("codec", ["pcm_s16le", "flac"])
def test_sound_less_than_a_picture_before_the_pictures_is_cut_exactly(output: Path, codec: str) -> None:
    source = record(output / "in.mkv", codec, [(0, 1)])
    sink = join(output / "out.avi", source, [0.05 + time for time in EVEN], behind=0)
    assert sink.remark is None
    assert shown(output / "out.avi") == [number * TENTH for number in range(30)]
    with av.open(str(output / "out.avi")) as container:
        stored = sum(frame.samples for frame in container.decode(audio=0))
    assert stored == RATE // 960 * 960 - RATE // 20


def test_an_avi_begins_a_picture_earlier_rather_than_lose_more_sound(output: Path) -> None:
    source = record(output / "in.mkv", "pcm_s16le", [(0, 1)])
    assert join(output / "out.avi", source, [0.09 + time for time in EVEN], behind=0).remark is None
    assert shown(output / "out.avi") == [0, *((1 + number) * TENTH for number in range(1, 30))]
    assert near(heard(output / "out.avi"), [(0.01, 1.01)])
    with av.open(str(output / "out.avi")) as container:
        stored = sum(frame.samples for frame in container.decode(audio=0))
    assert stored == RATE // 960 * 960 + RATE // 100  # silence before it, and nothing lost


@pytest.mark.parametrize("suffix", ["avi", "mkv", "mov", "mp4"])
def test_aac_without_extradata_does_not_fail_the_video(output: Path, suffix: str) -> None:
    source = record(output / "in.mp4", "aac", [(0, 1)])
    data = source.read_bytes()
    assert data.count(b"\x05\x80\x80\x80") == 1  # the tag of AAC's extradata in `esds`
    source.write_bytes(data.replace(b"\x05\x80\x80\x80", b"\x06\x80\x80\x80"))
    join(output / f"out.{suffix}", source, EVEN)
    assert len(shown(output / f"out.{suffix}")) == 30


@pytest.mark.parametrize("begin", [370, 36_000, 1_760_000_000])
@pytest.mark.parametrize("codec", ["pcm_s16le", "aac"])
@pytest.mark.parametrize("suffix", ["avi", "mov", "mkv", "mp4"])
def test_a_recording_that_starts_late(output: Path, suffix: str, codec: str, begin: int) -> None:
    source = record(output / "in.mkv", codec, [(begin + 0.5, begin + 2)])
    sink = join(output / f"out.{suffix}", source, [begin + time for time in EVEN])
    assert sink.remark is None
    path = output / f"out.{suffix}"
    assert shown(path) == [number * TENTH for number in range(30)]
    assert near(heard(path), [(0.5, 2)])
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert start_of(stream) == (0 if suffix == "avi" else begin)
        assert suffix != "avi" or stream.frames <= 31


@pytest.mark.parametrize("codec", ["pcm_s16le", "aac"])
def test_sound_that_starts_before_the_pictures(output: Path, codec: str) -> None:
    source = record(output / "in.mkv", codec, [(369.2, 371.2)])
    assert join(output / "out.avi", source, [370 + time for time in EVEN]).remark is None
    assert near(heard(output / "out.avi"), [(0, 2)])
    # An AVI shows its first picture from time 0 on.
    assert shown(output / "out.avi") == [0, *((8 + number) * TENTH for number in range(1, 30))]


def test_sound_that_starts_an_hour_before_the_pictures(output: Path) -> None:
    source = record(output / "in.mkv", "pcm_s16le", [(0, 1)])
    with av.open(str(source)) as container:
        track, packets = sound_of(container)
        sink = VideoFile(output / "out.avi", OutputSettings(codec="mjpeg", fps=Fraction(25)), sound=[track])
        for packet in packets:
            sink.write_sound(packet)
        for index in range(10):
            sink.write(Frame(flat(index=index, pts=90_000 + index)))
        sink.close()
    assert sink.remark is None
    assert near(heard(output / "out.avi"), [(0, 1)])
    assert shown(output / "out.avi") == [0, 2000, *(Fraction(90_000 + index, 25) for index in range(10))]


@pytest.mark.parametrize("codec", ["pcm_s16le", "libopus"])
def test_early_sound_that_follows_the_first_picture_in_the_file_is_cut(output: Path, codec: str) -> None:
    source = record(output / "in.mkv", codec, [(369.2, 371.2)])
    sink = join(output / "out.avi", source, [370 + time for time in EVEN], behind=2)
    assert sink.remark is None
    assert near(heard(output / "out.avi"), [(0, 1.2)])
    assert shown(output / "out.avi") == [number * TENTH for number in range(30)]


@pytest.mark.parametrize("suffix", ["avi", "mov"])
def test_silence_that_would_fill_the_disk_is_remarked_instead(output: Path, suffix: str) -> None:
    source = record(output / "in.mkv", "pcm_s16le", [(0, 0.2), (40_000, 40_001)])
    sink = join(output / f"out.{suffix}", source, [0, 0.1, 0.2])
    name = suffix.upper()
    assert (
        sink.remark == f"{name} cannot store the gaps in this sound, which plays up to 39999.8 s early: mp4 and mkv can"
    )
    assert near(heard(output / f"out.{suffix}"), [(0, 1.2)])
