from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Literal

import av
import numpy as np
import pytest
from av.audio.stream import AudioStream

from mjpeg_restore.frames import Frame
from mjpeg_restore.sinks import VideoFile
from mjpeg_restore.sound import SoundDecoder
from tests.sinks.conftest import flat, read, sound_of, times
from tests.sources.clips import time_of

RATE = 16_000

SECONDS = 2


def tone() -> np.ndarray:
    return (8000 * np.sin(np.arange(RATE * SECONDS) * 2 * np.pi * 440 / RATE)).astype(np.int16)


def record(path: Path, codec: str, **metadata: str) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=RATE)
        assert isinstance(stream, AudioStream)
        stream.codec_context.layout = "mono"
        stream.metadata.update(metadata)
        samples = tone()
        for start in range(0, len(samples), 800):
            frame = av.AudioFrame.from_ndarray(samples[None, start : start + 800], format="s16", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = RATE, start, Fraction(1, RATE)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def samples_of(path: Path) -> tuple[np.ndarray, float]:
    """All samples as float32 mono, and the time of the first in seconds."""
    resampler = av.AudioResampler("flt", "mono", RATE)
    with av.open(str(path)) as container:
        frames = list(container.decode(audio=0))
        parts = [part.to_ndarray()[0] for frame in frames for part in resampler.resample(frame)]
        return np.concatenate(parts), float(time_of(frames[0]))


def join(target: Path, recording: Path, *, late: int = 0) -> VideoFile:
    """Two seconds of video with the recording; the last `late` packets arrive after the last picture."""
    with av.open(str(recording)) as container:
        track, packets = sound_of(container)
        sink = VideoFile(target, sound=[track])
        assert sink.sound
        prompt, rest = packets[: len(packets) - late], packets[len(packets) - late :]
        for index in range(50):
            for packet in prompt[index * len(prompt) // 50 : (index + 1) * len(prompt) // 50]:
                sink.write_sound(packet)
            sink.write(Frame(flat(index=index)))
        for packet in rest:
            sink.write_sound(packet)
        sink.close()
    return sink


@pytest.mark.parametrize("late", [0, 5])
@pytest.mark.parametrize(
    ("recording", "codec", "target", "kept"),
    [
        ("in.avi", "pcm_s16le", "out.mkv", "pcm_s16le"),
        ("in.avi", "pcm_s16le", "out.mov", "pcm_s16le"),
        ("in.avi", "pcm_s16le", "out.avi", "pcm_s16le"),
        ("in.avi", "pcm_s16le", "out.mp4", "aac"),
        ("in.mkv", "aac", "out.mp4", "aac"),
        ("in.mkv", "aac", "out.mkv", "aac"),
        ("in.mkv", "aac", "out.webm", "opus"),
        ("in.mkv", "flac", "out.mp4", "flac"),
        ("in.mkv", "flac", "out.mov", "aac"),
        ("in.mkv", "libopus", "out.avi", "pcm_s16le"),
        ("in.mkv", "aac", "out.avi", "pcm_s16le"),
        ("in.mkv", "mp2", "out.avi", "pcm_s16le"),
        ("in.mkv", "libmp3lame", "out.avi", "pcm_s16le"),
        ("in.avi", "pcm_mulaw", "out.avi", "pcm_mulaw"),
    ],
)
def test_audio_is_copied_or_transcoded(
    output: Path, recording: str, codec: str, target: str, kept: str, late: int
) -> None:
    source = record(output / recording, codec)
    sink = join(output / target, source, late=late)
    assert sink.remark is None
    assert len(read(output / target)) == 50
    with av.open(str(output / target)) as container:
        assert container.streams.audio[0].codec_context.codec.canonical_name == kept
    heard, start = samples_of(output / target)
    assert abs(start) < 0.07
    assert abs(len(heard) / RATE - SECONDS) < 0.15
    middle = heard[RATE // 2 : RATE]
    assert np.argmax(np.abs(np.fft.rfft(middle))) == 220  # half a second of 440 Hz
    assert abs(float(np.abs(middle).max()) - 8000 / 32768) < 0.03


@pytest.mark.parametrize(
    ("recording", "codec", "target"),
    [
        ("in.mkv", "flac", "out.avi"),
        ("in.mkv", "pcm_s16be", "out.avi"),
        ("in.avi", "pcm_mulaw", "out.mkv"),
        ("in.avi", "pcm_alaw", "out.mkv"),
        ("in.avi", "adpcm_ima_wav", "out.mkv"),
        ("in.avi", "adpcm_ms", "out.mkv"),
    ],
)
def test_what_16_bits_hold_is_decoded_exactly(output: Path, recording: str, codec: str, target: str) -> None:
    def decoded(path: Path) -> np.ndarray:
        with av.open(str(path)) as container:
            frames = [frame.to_ndarray()[0] for frame in container.decode(audio=0)]
            assert container.streams.audio[0].codec_context.sample_rate == RATE
        return np.concatenate(frames)

    source = record(output / recording, codec)
    assert join(output / target, source).remark is None
    assert np.array_equal(decoded(output / target), decoded(source))


def test_copied_packets_keep_their_bytes_and_times(output: Path) -> None:
    source = record(output / "in.mkv", "aac")
    join(output / "out.mkv", source)

    def packets(path: Path) -> list[tuple[bytes, Fraction]]:
        with av.open(str(path)) as container:
            return [(bytes(p), time_of(p)) for p in container.demux(audio=0) if p.size]

    assert packets(output / "out.mkv") == packets(source)


@pytest.mark.parametrize(
    ("recording", "codec", "target"),
    [("in.mp4", "aac", "out.mkv"), ("in.mp4", "aac", "out.mp4"), ("in.mkv", "libopus", "out.mkv")],
)
def test_encoder_priming_does_not_move_the_pictures(output: Path, recording: str, codec: str, target: str) -> None:
    source = record(output / recording, codec)
    with av.open(str(source)) as container:
        assert time_of(next(container.demux(audio=0))) < 0
    assert join(output / target, source).remark is None
    assert times(read(output / target)) == [Fraction(index, 25) for index in range(50)]
    heard, _ = samples_of(output / target)
    assert abs(len(heard) / RATE - SECONDS) < 0.1


@pytest.mark.parametrize(
    ("codec", "extension"),
    [("libmp3lame", "webm"), ("pcm_s16le", "webm"), ("flac", "webm"), ("pcm_s16le", "mp4")],  # planar and interleaved
)
def test_transcoded_sound_from_before_0_does_not_move_the_pictures(output: Path, codec: str, extension: str) -> None:
    """Half of it comes before 0, which is no whole number of frames."""
    with av.open(str(record(output / "in.mkv", codec))) as container:
        track, packets = sound_of(container)
        sink = VideoFile(output / f"a.{extension}", sound=[track])
        for packet in packets:
            early = round(Fraction(1023, 1000) / packet.time_base)
            sink.write_sound(replace(packet, pts=(packet.pts or 0) - early, dts=(packet.dts or 0) - early))
        for index in range(50):
            sink.write(Frame(flat(index=index)))
        sink.close()
    assert times(read(output / f"a.{extension}")) == [Fraction(index, 25) for index in range(50)]
    heard, start = samples_of(output / f"a.{extension}")
    assert abs(start) < 0.07
    assert abs(len(heard) / RATE - 0.977) < 0.1


def test_sound_whose_source_is_closed_is_left_out(output: Path) -> None:
    with av.open(str(record(output / "in.mkv", "flac"))) as container:
        track, packets = sound_of(container)
    for name in ("a.mkv", "b.avi", "c.webm"):
        sink = VideoFile(output / name, sound=[track])
        sink.write(Frame(flat()))
        sink.write_sound(packets[0])
        sink.close()
        assert sink.remark == "the audio is left out: its source is closed"
        assert len(read(output / name)) == 1
    with pytest.raises(ValueError, match="its source is closed"):
        SoundDecoder(track)


def test_opus_is_decoded_without_a_gap_after_its_priming(output: Path) -> None:
    with av.open(str(record(output / "in.mkv", "libopus"))) as container:
        track, packets = sound_of(container)
        decode = SoundDecoder(track)
        frames = [frame for packet in packets[:3] for frame in decode(packet)]
    first, second = frames[:2]
    end = time_of(first) + Fraction(first.samples, first.sample_rate)
    assert abs(end - time_of(second)) <= Fraction(1, 1000)  # Matroska's ticks


def test_audio_and_video_are_interleaved(output: Path) -> None:
    join(output / "out.mkv", record(output / "in.avi", "pcm_s16le"))
    with av.open(str(output / "out.mkv")) as container:
        kinds = [packet.stream.type for packet in container.demux() if packet.size]
    assert max(map(len, "".join(kind[0] for kind in kinds).split("v"))) <= 4


def test_a_broken_packet_is_left_out_and_remarked(output: Path) -> None:
    with av.open(str(record(output / "in.mkv", "flac"))) as container:
        track, packets = sound_of(container)
        sink = VideoFile(output / "out.mov", sound=[track])
        packets[3] = replace(packets[3], data=b"not a flac frame", dts=packets[3].pts, duration=0)
        for packet in packets:
            sink.write_sound(packet)
        for index in range(50):
            sink.write(Frame(flat(index=index)))
        sink.close()
    assert sink.remark is not None
    assert sink.remark.startswith("audio packets left out: 1, the last because of: Invalid data")
    assert len(read(output / "out.mov")) == 50
    assert len(samples_of(output / "out.mov")[0]) > RATE


def test_audio_without_an_encoder_is_left_out_and_remarked(output: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    find = av.Codec

    def without_aac(name: str, mode: Literal["r", "w"]) -> av.Codec:
        if name == "aac":
            raise ValueError("no encoder for it")
        return find(name, mode)

    monkeypatch.setattr(av, "Codec", without_aac)
    sink = join(output / "out.mp4", record(output / "in.avi", "pcm_s16le"))
    assert sink.remark == "the audio is left out: no encoder for it"
    assert len(read(output / "out.mp4")) == 50


def test_packets_without_times_are_left_out(output: Path) -> None:
    with av.open(str(record(output / "in.avi", "pcm_s16le"))) as container:
        track, (good, timeless, without_dts, *_) = sound_of(container)
        sink = VideoFile(output / "out.mkv", sound=[track])
        for packet in (good, replace(timeless, pts=None, dts=None), replace(without_dts, dts=None)):
            sink.write_sound(packet)
        sink.write(Frame(flat()))
        sink.close()
    assert sink.remark is None
    with av.open(str(output / "out.mkv")) as container:
        assert len([packet for packet in container.demux(audio=0) if packet.size]) == 2


def test_language_and_title_are_kept(output: Path) -> None:
    source = record(output / "in.mkv", "aac", language="deu", title="Mikrofon")
    join(output / "out.mkv", source)
    with av.open(str(output / "out.mkv")) as container:
        metadata = container.streams.audio[0].metadata
    assert (metadata["language"], metadata["title"]) == ("deu", "Mikrofon")


def test_a_packet_with_a_repeated_time_is_left_out(output: Path) -> None:
    with av.open(str(record(output / "in.avi", "pcm_s16le"))) as container:
        track, (first, second, *_) = sound_of(container)
        sink = VideoFile(output / "out.mkv", sound=[track])
        for packet in (first, replace(second, pts=first.dts, dts=first.dts)):
            sink.write_sound(packet)
        sink.write(Frame(flat()))
        sink.close()
    assert sink.remark is None
    with av.open(str(output / "out.mkv")) as container:
        assert len([packet for packet in container.demux(audio=0) if packet.size]) == 1


@pytest.mark.parametrize(
    ("recording", "codec", "target"),
    [
        ("in.mkv", "aac", "out.mp4"),
        ("in.avi", "pcm_s16le", "out.mov"),
        ("in.avi", "pcm_s16le", "out.mp4"),
        ("in.avi", "pcm_s16le", "out.mkv"),
        ("in.mkv", "flac", "out.webm"),
    ],
)
def test_sound_moves_with_pictures_from_before_0(tmp_path: Path, recording: str, codec: str, target: str) -> None:
    with av.open(str(record(tmp_path / recording, codec))) as container:
        track, packets = sound_of(container)
        sink = VideoFile(tmp_path / target, sound=[track])
        for packet in packets:
            early = round(1 / packet.time_base)
            sink.write_sound(replace(packet, pts=(packet.pts or 0) - early, dts=(packet.dts or 0) - early))
        for index in range(50):
            sink.write(Frame(flat(index=index, pts=index - 25)))
        sink.close()
    assert sink.remark is None
    assert times(read(tmp_path / target)) == [Fraction(index, 25) for index in range(50)]
    samples, start = samples_of(tmp_path / target)
    assert start == pytest.approx(0, abs=0.1)
    assert len(samples) == pytest.approx(RATE * SECONDS, abs=0.1 * RATE)
