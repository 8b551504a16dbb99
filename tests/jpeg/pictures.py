"""Makes JPEGs, gives them each quirk, and reads them with jpeglib as an oracle."""

from __future__ import annotations

import io
import tempfile
import threading
from pathlib import Path
from typing import Any

import jpeglib
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mjpeg_restore.jpeg.segments import DHT, EOI, SOF, SOS, segments, tables_in
from tests.lacking import DATA

SAMPLINGS = ["gray", "4:4:4", "4:2:2", "4:4:0", "4:2:0", "4:1:1"]
ODD_FILES = DATA / "odd-jpeg"

_PILLOW = {"4:4:4": 0, "4:2:2": 1, "4:2:0": 2}
_JPEGLIB = threading.Lock()  # its version is a global


def scene(width: int, height: int, seed: int = 0) -> NDArray[np.uint8]:
    """A picture with slopes, edges and noise, so that no row of blocks is like another: uint8 `[h, w, 3]`."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    slopes = np.stack([x * 2 + y, 255 - x + y * 3, x * y // 16], axis=-1) % 256
    return np.clip(slopes * 0.7 + rng.normal(30, 12, slopes.shape), 0, 255).astype(np.uint8)


def encode(sampling: str = "4:2:0", size: tuple[int, int] = (163, 117), seed: int = 0, **options: Any) -> bytes:
    """A JPEG; `options` are Pillow's, or `factors` and `flags` for jpeglib's encoder."""
    return encode_pixels(scene(*size, seed), sampling, **options)


def encode_pixels(pixels: NDArray[np.uint8], sampling: str = "4:2:0", **options: Any) -> bytes:
    """A JPEG of these pixels, uint8 `[h, w, 3]`; `options` as for `encode`."""
    if "qtables" not in options:
        options.setdefault("quality", 60)
    if {"factors", "flags"} & options.keys() or sampling in ("4:4:0", "4:1:1"):
        return _encode_with_jpeglib(pixels, sampling, **options)
    image = Image.fromarray(pixels)
    if sampling == "gray":
        image = image.convert("L")
    else:
        options["subsampling"] = _PILLOW[sampling]
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", **options)
    return buffer.getvalue()


def encode_scans(size: tuple[int, int] = (320, 240), seed: int = 0, **options: Any) -> bytes:
    """A baseline JPEG in 4:2:0, of even width and height, with a scan for each component; `options` as for `encode`.

    The scan of a grey picture is that of a component.
    """
    width, height = size
    grey = [
        encode("gray", extent, seed + part, **options)
        for part, extent in enumerate([size, *[(width // 2, height // 2)] * 2])
    ]
    *front, _, _ = segments(grey[0], 0)
    pieces = [b"\xff\xd8"]
    for found in front:
        body = grey[0][found.body : found.end]
        if found.marker in SOF:
            body = body[:5] + bytes([3, 1, 0x22, 0, 2, 0x11, 0, 3, 0x11, 0])
        pieces.append(segment(found.marker, body))
    for name, picture in enumerate(grey, 1):
        start, stop = scan_span(picture)
        pieces += [segment(SOS, bytes([1, name, 0, 0, 63, 0])), picture[start:stop]]
    return b"".join([*pieces, b"\xff\xd9"])


def _encode_with_jpeglib(
    pixels: NDArray[np.uint8],
    sampling: str,
    quality: int,
    factors: list[list[int]] | None = None,
    flags: list[str] | None = None,
) -> bytes:
    with _JPEGLIB, tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "picture.jpg"
        jpeglib.version.set("turbo210")
        try:
            picture = jpeglib.from_spatial(pixels)
            picture.samp_factor = sampling if factors is None else np.array(factors)
            picture.write_spatial(str(path), qt=quality, flags=flags or [])
        finally:
            jpeglib.version.set("6b")
        return path.read_bytes()


def oracle(data: bytes) -> tuple[list[NDArray[np.int16]], list[NDArray[np.uint16]]]:
    """Coefficients and tables per component as jpeglib reads them from a plain, sound picture."""
    with _JPEGLIB, tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "picture.jpg"
        path.write_bytes(data)
        jpeglib.version.set("turbo210")
        try:
            picture = jpeglib.read_dct(str(path))
            picture.load()
        finally:
            jpeglib.version.set("6b")
    planes = [picture.Y] if picture.Cb is None else [picture.Y, picture.Cb, picture.Cr]
    tables = [picture.qt[number].reshape(64) for number in picture.quant_tbl_no[: len(planes)]]
    return [plane.reshape(*plane.shape[:2], 64) for plane in planes], tables


def segment(marker: int, body: bytes) -> bytes:
    """A marker segment with its length."""
    return bytes([0xFF, marker]) + (len(body) + 2).to_bytes(2, "big") + body


def insert(data: bytes, *pieces: bytes) -> bytes:
    """Put `pieces` right behind the SOI."""
    return data[:2] + b"".join(pieces) + data[2:]


def without(data: bytes, *markers: int) -> bytes:
    """Drop every segment with one of `markers`."""
    kept, position = [data[:2]], 2
    for found in segments(data, 0):
        if found.marker in markers:
            kept.append(data[position : found.offset])
            position = found.end
    return b"".join([*kept, data[position:]])


def patch_frame(data: bytes, offset: int, value: bytes) -> bytes:
    """Overwrite part of the frame header: 0 precision, 1 height, 3 width, 5 components, 6 the first."""
    frame = next(found for found in segments(data, 0) if found.marker in SOF)
    start = frame.body + offset
    return data[:start] + value + data[start + len(value) :]


def change_marker(data: bytes, old: int, new: int) -> bytes:
    """Give the first segment with marker `old` another one."""
    found = next(found for found in segments(data, 0) if found.marker == old)
    return data[: found.offset + 1] + bytes([new]) + data[found.offset + 2 :]


def scan_span(data: bytes) -> tuple[int, int]:
    """Where the entropy-coded data of a picture with one scan begin and end."""
    *_, scan, eoi = segments(data, 0)
    assert eoi.marker == EOI
    return scan.end, eoi.offset


def huffman_tables(data: bytes) -> bytes:
    """The contents of all DHT segments."""
    return b"".join(data[found.body : found.end] for found in segments(data, 0) if found.marker == DHT)


def rename_huffman(data: bytes, luma: int, chroma: int = 0) -> bytes:
    """Renumber the Huffman tables of a picture, in DHT and SOS, so that the standard ones cannot read it."""
    names = {0: luma, 1: chroma, 16: 16 | luma, 17: 16 | chroma}
    pieces, position = [data[:2]], 2
    for found in segments(data, 0):
        body = data[found.body : found.end]
        if found.marker == DHT:
            body = b"".join(bytes([names[table.name]]) + table.body[1:] for table in tables_in(DHT, body))
        elif found.marker == SOS:
            count = body[0]
            selectors = bytes(17 * names[byte & 15] for byte in body[2 : 2 + 2 * count : 2])
            pairs = zip(body[1 : 1 + 2 * count : 2], selectors, strict=True)
            body = bytes([count, *(byte for pair in pairs for byte in pair)]) + body[1 + 2 * count :]
        else:
            continue
        pieces += [data[position : found.offset], segment(found.marker, body)]
        position = found.end
    return b"".join([*pieces, data[position:]])


def tables_alone(data: bytes, *markers: int) -> bytes:
    """A datastream of tables alone (SOI, tables, EOI): the segments of a picture with one of `markers`."""
    kept = [data[found.offset : found.end] for found in segments(data, 0) if found.marker in markers]
    return b"".join([b"\xff\xd8", *kept, b"\xff\xd9"])
