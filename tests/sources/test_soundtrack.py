"""Which packets of a track of sound are taken, and how."""

from __future__ import annotations

import struct
from fractions import Fraction
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
