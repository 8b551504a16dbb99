"""What test clips are made of: JPEGs by Pillow, put into containers by PyAV without decoding."""

from __future__ import annotations

import io
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from PIL import Image

from mjpeg_restore.jpeg.segments import DHT, DQT, segments

TICK = Fraction(1, 1000)
MuxClip = Callable[..., Path]
"""The fixture `mux`."""


def make_jpeg(number: int, width: int = 64, height: int = 48, format: str = "JPEG", quality: int = 60) -> bytes:
    """A small picture that differs from those with other numbers."""
    rng = np.random.default_rng(number)
    pixels = rng.integers(0, 256, (height // 8, width // 8, 3), np.uint8).repeat(8, 0).repeat(8, 1)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format, **({"quality": quality} if format == "JPEG" else {}))
    return buffer.getvalue()


def tables_of(data: bytes) -> bytes:
    """The DQT and DHT segments of a picture."""
    return b"".join(data[found.offset : found.end] for found in segments(data, 0) if found.marker in (DHT, DQT))


def add_cover(container: av.container.OutputContainer) -> av.VideoStream:
    """A track for a cover picture."""
    stream = container.add_mux_stream("mjpeg", rate=25, width=64, height=48)
    stream.disposition = av.stream.Disposition.attached_pic
    return stream


def mux_packet(
    container: av.container.OutputContainer, stream: av.VideoStream, data: bytes, pts: int, base: Fraction
) -> None:
    """One coded picture into its track."""
    packet = av.Packet(data)
    packet.stream = stream
    packet.time_base = base
    packet.pts = packet.dts = pts
    packet.is_keyframe = True
    container.mux(packet)


def mux_sound(container: av.container.OutputContainer, stream: av.AudioStream, number: int, base: Fraction) -> None:
    """As much sound as one picture lasts: 320 samples at 8 kHz and 25 pictures a second."""
    frame = av.AudioFrame.from_ndarray(np.full((1, 320), number * 100, np.int16), "s16", "mono")
    frame.sample_rate = 8000
    frame.pts = number * 320
    frame.time_base = Fraction(1, 8000)
    container.mux(stream.encode(frame))
