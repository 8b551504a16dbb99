"""Writes Matroska files with any time stamps: FFmpeg's muxer accepts only rising ones."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

RATE = 8000
"""Samples per second of the sound."""


def element(name: int, content: bytes) -> bytes:
    """An EBML element whose size takes 8 bytes."""
    return name.to_bytes((name.bit_length() + 7) // 8) + (len(content) | 1 << 56).to_bytes(8) + content


def number(name: int, value: int) -> bytes:
    return element(name, value.to_bytes(8))


def real(name: int, value: float) -> bytes:
    return element(name, struct.pack(">d", value))


def write_mkv(
    path: Path,
    blocks: Iterable[tuple[int, int, bytes]],
    *,
    sound: bool = False,
    step: int | None = 100,
    duration: float | None = None,
) -> Path:
    """Write blocks of (track, milliseconds, bytes) in this order, each in a cluster of its own. Track 1 holds pictures
    of 64x48, track 2 PCM sound of 16 bits, mono; `step` is the nominal one in milliseconds."""
    video = number(0xD7, 1) + number(0x73C5, 1) + number(0x83, 1) + element(0x86, b"V_MJPEG")
    video += element(0xE0, number(0xB0, 64) + number(0xBA, 48))
    video += number(0x23E383, step * 1_000_000) if step else b""
    tracks = element(0xAE, video)
    if sound:
        audio = number(0xD7, 2) + number(0x73C5, 2) + number(0x83, 2) + element(0x86, b"A_PCM/INT/LIT")
        audio += element(0xE1, real(0xB5, RATE) + number(0x9F, 1) + number(0x6264, 16))
        tracks += element(0xAE, audio)
    head = number(0x2AD7B1, 1_000_000) + (real(0x4489, duration) if duration is not None else b"")
    body = element(0x1549A966, head) + element(0x1654AE6B, tracks)
    for track, time, data in blocks:
        block = element(0xA3, bytes([0x80 | track, 0, 0, 0x80]) + data)
        body += element(0x1F43B675, number(0xE7, time) + block)
    ebml = number(0x4286, 1) + number(0x42F7, 1) + number(0x42F2, 4) + number(0x42F3, 8)
    ebml += element(0x4282, b"matroska") + number(0x4287, 4) + number(0x4285, 2)
    path.write_bytes(element(0x1A45DFA3, ebml) + element(0x18538067, body))
    return path


def loud(seconds: Fraction, value: int = 8000) -> bytes:
    """PCM sound of a constant level."""
    return struct.pack("<h", value) * round(seconds * RATE)
