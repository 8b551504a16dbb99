"""Test clips: JPEGs encoded by Pillow, muxed by PyAV without decoding."""

from __future__ import annotations

import io
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO, cast

import av
import numpy as np
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.stream import Disposition, Stream
from av.video.stream import VideoStream
from PIL import Image

from mjpeg_restore.jpeg.segments import DHT, DQT, segments

TICK = Fraction(1, 1000)
MuxClip = Callable[..., Path]
"""The fixture `mux`."""


def pipe(data: bytes) -> BinaryIO:
    """A stream that cannot seek, like standard input to which another program writes."""
    return cast(BinaryIO, _Pipe(data))


class _Pipe:
    def __init__(self, data: bytes) -> None:
        self._stream = io.BytesIO(data)

    def read(self, size: int = -1) -> bytes:
        return self._stream.read(min(size, 1000))


def make_jpeg(number: int, width: int = 64, height: int = 48, format: str = "JPEG", quality: int = 60) -> bytes:
    """A small picture that depends on its number."""
    rng = np.random.default_rng(number)
    pixels = rng.integers(0, 256, (height // 8, width // 8, 3), np.uint8).repeat(8, 0).repeat(8, 1)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format, **({"quality": quality} if format == "JPEG" else {}))
    return buffer.getvalue()


def tables_of(data: bytes) -> bytes:
    """The DQT and DHT segments of a picture."""
    return b"".join(data[found.offset : found.end] for found in segments(data, 0) if found.marker in (DHT, DQT))


def add_cover(container: OutputContainer) -> Stream:
    """Add a track for a cover picture."""
    stream = container.add_mux_stream("mjpeg", rate=25, width=64, height=48)
    stream.disposition = Disposition.attached_pic
    return stream


def add_encoder(container: OutputContainer, codec: str, options: dict[str, str] | None = None) -> VideoStream:
    """Add a track of 64x48 in another codec."""
    stream = container.add_stream(codec, rate=25, options=options)
    assert isinstance(stream, VideoStream)
    stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
    return stream


def add_sound(container: OutputContainer, codec: str) -> AudioStream:
    """Add a mono audio track of 8 kHz."""
    stream = container.add_stream(codec, rate=8000, layout="mono")
    assert isinstance(stream, AudioStream)
    return stream


def mux_packet(
    container: OutputContainer, stream: Stream, data: bytes, pts: int, base: Fraction, duration: int = 0
) -> None:
    """Mux one coded picture."""
    packet = av.Packet(data)
    packet.stream = stream
    packet.time_base = base
    packet.pts = packet.dts = pts
    packet.duration = duration
    packet.is_keyframe = True
    container.mux(packet)


def time_of(stamped: av.VideoFrame | av.AudioFrame | av.Packet) -> Fraction:
    """The time stamp in seconds."""
    assert stamped.pts is not None
    assert stamped.time_base is not None
    return stamped.pts * stamped.time_base


def mux_sound(container: OutputContainer, stream: AudioStream, number: int, level: int | None = None) -> None:
    """Mux the sound of one picture: 320 samples, at 8 kHz and 25 pictures per second, by default of its number."""
    value = 100 * (number if level is None else level)
    frame = av.AudioFrame.from_ndarray(np.full((1, 320), value, np.int16), "s16", "mono")
    frame.sample_rate = 8000
    frame.pts = number * 320
    frame.time_base = Fraction(1, 8000)
    container.mux(stream.encode(frame))


RATE = Fraction(1, 25)
FRONT = [make_jpeg(number) for number in range(10)]
REAR = [make_jpeg(100 + number, 80, 64) for number in range(10)]


def dashcam(path: Path, rear: list[bytes] = REAR, sounds: int = 0) -> Path:
    """A clip of a front camera, a rear camera, and microphones whose samples are 100 times their number."""
    with av.open(str(path), "w") as container:
        front = container.add_mux_stream("mjpeg", rate=25, width=64, height=48)
        back = container.add_mux_stream("mjpeg", rate=25, width=80, height=64) if rear else None
        codec = "aac" if path.suffix == ".mp4" else "pcm_s16le"
        microphones = [add_sound(container, codec) for _ in range(sounds)]
        for number, stream in enumerate(microphones):
            stream.metadata.update(language=("eng", "deu", "fra")[number], title=f"microphone {number}")
        for number, data in enumerate(FRONT):
            mux_packet(container, front, data, number, RATE)
            if back is not None and number < len(rear):
                mux_packet(container, back, rear[number], number, RATE)
            for level, stream in enumerate(microphones):
                mux_sound(container, stream, number, level)
        for stream in microphones:
            container.mux(stream.encode(None))
    return path


def film(path: Path, pictures: list[bytes], frames: int = 30, codec: str = "libx264", late: int = 0) -> Path:
    """A recording in another codec beside a Motion-JPEG track that begins `late` frames later."""
    with av.open(str(path), "w") as container:
        main = add_encoder(container, codec, {"preset": "ultrafast"} if codec == "libx264" else {})
        preview = container.add_mux_stream("mjpeg", rate=25, width=64, height=48)
        for number in range(frames):
            for packet in main.encode(av.VideoFrame(64, 48, "yuv420p")):
                container.mux(packet)
            if 0 <= number - late < len(pictures):
                mux_packet(container, preview, pictures[number - late], number, RATE)
        container.mux(main.encode(None))
    return path
