"""Small pictures, restored as a stream: without files, and by the plain decode."""

from __future__ import annotations

import struct

import numpy as np
from numpy.typing import NDArray

from mjpeg_restore.compare import Comparison
from mjpeg_restore.frames import Picture
from mjpeg_restore.jpeg import read
from mjpeg_restore.jpeg.segments import APP0
from mjpeg_restore.pipeline import PipelineSettings, run
from mjpeg_restore.report import Report
from mjpeg_restore.restorer import Restorer
from mjpeg_restore.sinks import Comparing
from mjpeg_restore.testing import Collect, ListSource
from tests.jpeg.pictures import encode, scan_span, segment

SIZE = (64, 48)
DECODE = Restorer("decode", "onnxruntime", threads=1, streams=2)


def still(seed: int = 0, sampling: str = "4:2:0", size: tuple[int, int] = SIZE, quality: int = 60) -> bytes:
    return encode(sampling, size, seed, quality=quality)


def cut(data: bytes, part: float = 0.5) -> bytes:
    """The picture without the rest of its scan (S2)."""
    start, end = scan_span(data)
    return data[: start + int((end - start) * part)]


def decoded(data: bytes) -> list[NDArray[np.uint8]]:
    return list(DECODE.restore(read(data)).planes)


def restore(
    pictures: list[bytes],
    *,
    height: int | None = None,
    tag: str = "",
    compare: Comparison | None = None,
    **policy: str | int,
) -> tuple[list[Picture], Report]:
    sink = Collect()
    settings = PipelineSettings(**policy)  # pyright: ignore[reportArgumentType]
    shown = Comparing(sink, compare) if compare else sink
    report = run(ListSource(pictures, height=height, codec_tag=tag), DECODE, shown, settings)
    assert sink.ended == ["closed"]
    assert report.frames == len(sink.pictures)
    return sink.pictures, report


def assert_shows(picture: Picture, data: bytes) -> None:
    for ours, theirs in zip(picture.planes, decoded(data), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def assert_same_planes(picture: Picture, expected: Picture) -> None:
    for ours, theirs in zip(picture.planes, expected.planes, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def troubles(report: Report) -> dict[str, int]:
    names = ("damaged", "repaired", "unreadable", "held", "dropped", "extra", "resized")
    return {name: getattr(report, name) for name in names if getattr(report, name)}


def exif(orientation: int, thumbnail: bytes = b"") -> bytes:
    tiff = struct.pack(">2sHIHHHIHHI", b"MM", 42, 8, 1, 0x0112, 3, 1, orientation, 0, 0)
    return segment(APP0 + 1, b"Exif\0\0" + tiff + thumbnail)
