"""Inputs to begin with: a small picture in each coding and sampling, containers of one, and the files of a folder."""

from __future__ import annotations

import io
import tempfile
from fractions import Fraction
from pathlib import Path

import av
import jpeglib
import numpy as np

_SAMPLINGS = {
    "4:2:0": ((2, 2), (1, 1), (1, 1)),
    "4:2:2": ((2, 1), (1, 1), (1, 1)),
    "4:4:4": ((1, 1), (1, 1), (1, 1)),
    "4:4:0": ((1, 2), (1, 1), (1, 1)),
    "4:1:1": ((4, 1), (1, 1), (1, 1)),
    "4:4:4, a common divisor": ((1, 2), (1, 2), (1, 2)),
    "refused": ((1, 1), (2, 2), (1, 1)),
}
_CODINGS = ((), ("+PROGRESSIVE_MODE",), ("+ARITH_CODE",), ("+ARITH_CODE", "+PROGRESSIVE_MODE"))


def seeds(folder: Path | None, max_bytes: int) -> list[bytes]:
    """The files of a folder that are not longer than `max_bytes`, and the small pictures and containers."""
    files = sorted(path for path in folder.rglob("*") if path.is_file()) if folder else []
    found = [path.read_bytes() for path in files if path.stat().st_size <= max_bytes]
    pictures = encoded_pictures()
    return [*found, *pictures, contained(pictures[0], "avi"), contained(pictures[0], "mov"), chunked(pictures[0])]


def encoded_pictures() -> list[bytes]:
    """A noisy picture of 45x37 in each sampling and coding."""
    pixels = np.random.default_rng(0).integers(90, 160, (37, 45, 3), np.uint8)
    jpeglib.version.set("turbo210")
    try:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "picture.jpg")
            return [_encoded(pixels, factors, flags, path) for factors in _SAMPLINGS.values() for flags in _CODINGS]
    finally:
        jpeglib.version.set("6b")


def _encoded(pixels: np.ndarray, factors: tuple[tuple[int, int], ...], flags: tuple[str, ...], path: Path) -> bytes:
    picture = jpeglib.from_spatial(pixels)
    picture.samp_factor = np.array(factors)
    picture.write_spatial(str(path), qt=60, flags=list(flags))
    return path.read_bytes()


def contained(picture: bytes, container: str) -> bytes:
    """A recording of two equal pictures."""
    file = io.BytesIO()
    with av.open(file, "w", format=container) as output:
        stream = output.add_stream("mjpeg", rate=25, width=45, height=37, pix_fmt="yuvj420p")
        for index in range(2):
            packet = av.Packet(picture)
            packet.stream, packet.pts, packet.dts, packet.time_base = stream, index, index, Fraction(1, 25)
            output.mux(packet)
    return file.getvalue()


def chunked(picture: bytes) -> bytes:
    """An HTTP response of a camera: a multipart body, in chunks."""
    part = b"--b\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(picture) + picture + b"\r\n"
    chunk = b"%x\r\n" % len(part) + part + b"\r\n"
    head = (
        b"HTTP/1.1 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=b\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    return head + 2 * chunk + b"0\r\n\r\n"
