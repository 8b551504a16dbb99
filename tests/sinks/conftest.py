"""Pictures to write, an audio track, and files read back by PyAV."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.container import InputContainer
from numpy.typing import NDArray

from mjpeg_restore.frames import Frame, Picture, Sampling, SoundPacket
from mjpeg_restore.sinks import OutputSettings, VideoFile
from mjpeg_restore.sound import SoundTrack
from tests.sources.clips import time_of

ORANGE = (150, 90, 200)
"""Y, Cb, Cr, full range: far from grey, so that a wrong matrix or range shows."""

PAIRS = [
    ("mp4", "h264"),
    ("mp4", "hevc"),
    ("mp4", "av1"),
    ("mp4", "ffv1"),
    ("mp4", "mjpeg"),
    ("mov", "h264"),
    ("mov", "hevc"),
    ("mov", "mjpeg"),
    ("mkv", "h264"),
    ("mkv", "hevc"),
    ("mkv", "av1"),
    ("mkv", "ffv1"),
    ("mkv", "mjpeg"),
    ("avi", "h264"),
    ("avi", "mjpeg"),
    ("webm", "av1"),
]

JITTER = [0, 40, 95, 120, 300, 301, 360, 400, 431, 490, 520]


@pytest.fixture
def output(tmp_path: Path) -> Path:
    """An empty folder, so that tests can list leftover files."""
    folder = tmp_path / "out"
    folder.mkdir()
    return folder


def plane_sizes(width: int, height: int, sampling: Sampling) -> list[tuple[int, int]]:
    if sampling.value is None:
        return [(height, width)]
    across, down = sampling.value
    return [(height, width)] + [(-(-height // down), -(-width // across))] * 2


def flat(
    width: int = 128,
    height: int = 96,
    sampling: Sampling = Sampling.YUV420,
    sample: tuple[int, ...] = ORANGE,
    *,
    index: int = 0,
    pts: int | None = None,
    time_base: Fraction = Fraction(1, 25),
) -> Picture:
    sizes = plane_sizes(width, height, sampling)
    planes = tuple(np.full(size, value, np.uint8) for size, value in zip(sizes, sample, strict=False))
    return Picture(planes, sampling, index=index, pts=index if pts is None else pts, time_base=time_base)


def noise(
    width: int = 64, height: int = 48, sampling: Sampling = Sampling.YUV420, seed: int = 0, index: int = 0
) -> Picture:
    random = np.random.default_rng(seed)
    sizes = plane_sizes(width, height, sampling)
    return Picture(tuple(random.integers(0, 256, size, np.uint8) for size in sizes), sampling, index=index, pts=index)


def read(path: Path) -> list[av.VideoFrame]:
    with av.open(str(path)) as container:
        return list(container.decode(video=0))


def times(frames: Iterable[av.VideoFrame]) -> list[Fraction]:
    return [time_of(frame) for frame in frames]


def seconds(container: InputContainer) -> float:
    """The duration that a container states."""
    assert container.duration is not None
    return container.duration / av.time_base


def planes_of(frame: av.VideoFrame) -> list[NDArray[np.uint8]]:
    """The decoded samples, unconverted."""
    planes: list[NDArray[np.uint8]] = []
    for plane in frame.planes:
        whole = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
        planes.append(whole[: plane.height, : plane.width].copy())
    return planes


def save(path: Path, pictures: list[Picture], codec: str | None = None, **settings: Any) -> list[av.VideoFrame]:
    """Write a video file and read its frames back."""
    sink = VideoFile(path, OutputSettings(codec=codec, **settings))
    for picture in pictures:
        sink.write(Frame(picture))
    sink.close()
    return read(path)


def shown(path: Path) -> list[Fraction]:
    """Seconds from the first picture to each."""
    with av.open(str(path)) as container:
        stamps = times(list(container.decode(video=0)))
    return [stamp - stamps[0] for stamp in stamps]


def sound_of(container: InputContainer) -> tuple[SoundTrack, list[SoundPacket]]:
    """The first audio track and its packets, as a source has them."""
    stream = container.streams.audio[0]
    packets = [
        SoundPacket(0, bytes(packet), packet.pts, packet.dts, packet.duration or 0, packet.time_base)
        for packet in container.demux(stream)
        if packet.size
    ]
    return SoundTrack(stream, stream.metadata), packets
