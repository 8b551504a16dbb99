"""Which packets of a track of sound are taken, and how."""

from __future__ import annotations

import struct
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av

from mjpeg_restore.frames import SoundPacket
from mjpeg_restore.sources import open_source
from tests.sources.clips import MuxClip, make_jpeg
from tests.sources.edits import with_edits

PICTURES = [make_jpeg(number) for number in range(20)]
SAMPLES = 320
"""The sound of one picture; see `mux_sound`."""
IN_SAMPLES = {"movie_timescale": "1000", "video_track_timescale": "8000"}
"""Edits count in the same unit in both tracks."""


def heard(path: Path, start: Fraction | None = None, duration: Fraction | None = None) -> list[SoundPacket]:
    with open_source(path, start=start, duration=duration) as source:
        return [sound for packet in source for sound in packet.sound]


def levels(packets: list[SoundPacket]) -> list[tuple[int, Fraction | None]]:
    """The number of the picture that each packet's first sample belongs to, and the packet's time."""
    return [(struct.unpack_from("<h", packet.data)[0] // 100, packet.time) for packet in packets]


def test_sound_that_an_edit_list_cuts_out_is_not_heard(mux: MuxClip) -> None:
    path = mux("a.mov", PICTURES, sound="pcm_s16le", options=IN_SAMPLES)
    with_edits(path, [(200, 4 * SAMPLES), (200, 12 * SAMPLES)])
    assert levels(heard(path)) == [
        (level, Fraction(number, 25)) for number, level in enumerate([*range(4, 9), *range(12, 17)])
    ]


def test_compressed_sound_keeps_what_its_first_packet_is_decoded_with(mux: MuxClip) -> None:
    path = mux("a.mov", PICTURES, sound="aac", options=IN_SAMPLES)
    with_edits(path, [(200, 3072), (200, 4096)])  # in packets of 1024 samples
    with av.open(str(path)) as container:
        packets = [(p.pts, bytes(p), p.is_discard) for p in container.demux(audio=0) if p.size]
    first = next(number for number, (*_, discarded) in enumerate(packets) if not discarded)
    assert first > 1
    assert any(discarded for *_, discarded in packets[first:])
    expected = [packets[first - 1], *(packet for packet in packets[first:] if not packet[2])]
    assert [(sound.pts, sound.data) for sound in heard(path)] == [(pts, data) for pts, data, _ in expected]


def avi_of_seconds(path: Path, rate: int = 8000, channels: int = 1, width: int = 1, seconds: int = 4) -> Path:
    """An AVI with a chunk of PCM for each second, before its pictures; each sample frame counts up, modulo 256."""
    align = channels * width
    header = [
        _video_header(25 * seconds),
        _sound_header(rate, channels, width, rate * seconds),
    ]
    chunks: list[tuple[bytes, bytes]] = []
    for second in range(seconds):
        counted = range(second * rate, (second + 1) * rate)
        chunks.append((b"01wb", b"".join(bytes([number % 256]) * align for number in counted)))
        chunks += [(b"00dc", data) for data in (PICTURES * 2)[:25]]
    movi, index = b"movi", b""
    for name, data in chunks:
        index += name + struct.pack("<III", 16, len(movi), len(data))
        movi += chunk(name, data)
    main = chunk(b"avih", struct.pack("<14I", 40_000, 0, 0, 0x110, 25 * seconds, 0, 2, 0, 64, 48, *[0] * 4))
    body = b"AVI " + chunk(b"LIST", b"hdrl" + main + b"".join(header)) + chunk(b"LIST", movi) + chunk(b"idx1", index)
    path.write_bytes(chunk(b"RIFF", body))
    return path


def chunk(name: bytes, data: bytes) -> bytes:
    return name + struct.pack("<I", len(data)) + data + bytes(len(data) % 2)


def _video_header(pictures: int) -> bytes:
    strh = struct.pack("<4s4sIHH8I4H", b"vids", b"MJPG", 0, 0, 0, 0, 1, 25, 0, pictures, 0, 0, 0, 0, 0, 64, 48)
    strf = struct.pack("<IiiHH4s5I", 40, 64, 48, 1, 24, b"MJPG", 9216, 0, 0, 0, 0)
    return chunk(b"LIST", b"strl" + chunk(b"strh", strh) + chunk(b"strf", strf))


def _sound_header(rate: int, channels: int, width: int, samples: int) -> bytes:
    align = channels * width
    strh = struct.pack("<4sIIHH8I4H", b"auds", 0, 0, 0, 0, 0, align, rate * align, 0, samples, 0, 0, align, *[0] * 4)
    strf = struct.pack("<HHIIHHH", 1, channels, rate, rate * align, align, 8 * width, 0)
    return chunk(b"LIST", b"strl" + chunk(b"strh", strh) + chunk(b"strf", strf))


def test_a_cut_takes_the_samples_within_it_of_long_packets(tmp_path: Path) -> None:
    path = avi_of_seconds(tmp_path / "a.avi")
    with av.open(str(path)) as container:
        assert max(packet.duration or 0 for packet in container.demux(audio=0)) == 8000
    packets = heard(path, Fraction("1.52"), Fraction("1.4"))
    assert packets[0].time == 0
    sound = b"".join(packet.data for packet in packets)
    assert sound == bytes(number % 256 for number in range(12160, 23360))
    for before, after in pairwise(packets):
        assert after.pts == (before.pts or 0) + before.duration == (before.pts or 0) + len(before.data)
    assert max(packet.duration for packet in packets) <= 160


def test_a_cut_of_compressed_sound_takes_whole_packets_from_its_start_on(mux: MuxClip) -> None:
    path = mux("a.mkv", PICTURES, sound="aac")
    packets = heard(path, Fraction(1, 5), Fraction(2, 5))
    assert all(0 <= (packet.time or 0) < Fraction(2, 5) for packet in packets)
    assert len(packets) >= 3


def test_sound_that_ffmpeg_yields_sample_by_sample_is_joined(tmp_path: Path) -> None:
    path = avi_of_seconds(tmp_path / "a.avi", 8000, 32, 1, seconds=1)
    with av.open(str(path)) as container:
        sizes = {packet.size for packet in container.demux(audio=0) if packet.size}
    assert sizes == {32}
    packets = heard(path)
    assert [(packet.pts, packet.duration, len(packet.data)) for packet in packets] == [
        (number * 160, 160, 32 * 160) for number in range(50)
    ]
    assert b"".join(packet.data[::32] for packet in packets) == bytes(number % 256 for number in range(8000))
