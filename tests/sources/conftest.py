"""Clips made on the spot: JPEGs by Pillow, put into containers by PyAV without decoding."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

REAL_FILES = Path(__file__).parents[3] / "shared" / "data" / "mjpeg"
TICK = Fraction(1, 1000)
MuxClip = Callable[..., Path]


def make_jpeg(number: int, width: int = 64, height: int = 48, format: str = "JPEG") -> bytes:
    """A small picture that differs from those with other numbers."""
    rng = np.random.default_rng(number)
    pixels = rng.integers(0, 256, (height // 8, width // 8, 3), np.uint8).repeat(8, 0).repeat(8, 1)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format, **({"quality": 60} if format == "JPEG" else {}))
    return buffer.getvalue()


@pytest.fixture(scope="session")
def jpegs() -> list[bytes]:
    """Ten different JPEGs of 64x48."""
    return [make_jpeg(number) for number in range(10)]


@pytest.fixture
def mux(tmp_path: Path, jpegs: list[bytes]) -> MuxClip:
    """`mux("clip.avi", ...)` writes a clip and returns its path."""

    def write(
        name: str,
        packets: Sequence[bytes] = jpegs,
        times: Sequence[int] | None = None,
        *,
        time_base: Fraction = Fraction(1, 25),
        codec: str = "mjpeg",
        sound: str | None = None,
        cover: bytes | None = None,
        options: dict[str, str] | None = None,
    ) -> Path:
        path = tmp_path / name
        with av.open(str(path), "w", options=options or {}) as container:
            video = container.add_mux_stream(codec, rate=25, width=64, height=48)
            video.time_base = time_base
            audio = container.add_stream(sound, rate=8000, layout="mono") if sound else None
            attached = _add_cover(container) if cover else None
            if attached is not None and cover is not None:
                _mux(container, attached, cover, 0, time_base)
            for number, data in enumerate(packets):
                pts = number if times is None else times[number]
                _mux(container, video, data, pts, time_base)
                if audio is not None:
                    _mux_sound(container, audio, number, time_base)
            if audio is not None:
                container.mux(audio.encode(None))
        return path

    return write


def _add_cover(container: av.container.OutputContainer) -> av.VideoStream:
    stream = container.add_mux_stream("mjpeg", rate=25, width=64, height=48)
    stream.disposition = av.stream.Disposition.attached_pic
    return stream


def _mux(
    container: av.container.OutputContainer, stream: av.VideoStream, data: bytes, pts: int, base: Fraction
) -> None:
    packet = av.Packet(data)
    packet.stream = stream
    packet.time_base = base
    packet.pts = packet.dts = pts
    packet.is_keyframe = True
    container.mux(packet)


def _mux_sound(
    container: av.container.OutputContainer, stream: av.AudioStream, number: int, base: Fraction
) -> None:
    """As much sound as one picture lasts: 320 samples at 8 kHz and 25 pictures a second."""
    frame = av.AudioFrame.from_ndarray(np.full((1, 320), number * 100, np.int16), "s16", "mono")
    frame.sample_rate = 8000
    frame.pts = number * 320
    frame.time_base = Fraction(1, 8000)
    container.mux(stream.encode(frame))


@pytest.fixture
def real_files() -> Path:
    """The folder of real recordings, where it is there."""
    if not REAL_FILES.is_dir():
        pytest.skip("the real recordings are not on this machine")
    return REAL_FILES
