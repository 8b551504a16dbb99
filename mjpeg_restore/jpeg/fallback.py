"""The reader for machines without the native extension: the `jpeglib` package.

It takes a path, decodes through C globals, prints damage to stderr and does not report it. So it is called
under a lock, on a copy of the picture that holds nothing but what the decoder needs. Where a picture's data cannot be
walked through (`entropy.py`), damage is found from what it left blank.
"""

from __future__ import annotations

import tempfile
import threading
from pathlib import Path
from types import ModuleType
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mjpeg_restore.errors import MissingExtra
from mjpeg_restore.jpeg.reader import Component, Contents, Notice
from mjpeg_restore.jpeg.segments import APP0, COM, EOI, segments
from mjpeg_restore.jpeg.tables import STANDARD_DHT

_LOCK: Final = threading.Lock()


def load() -> ModuleType:
    """The `jpeglib` module.

    Raises:
        MissingExtra: it is not installed.
    """
    try:
        import jpeglib  # pyright: ignore[reportMissingTypeStubs]
    except ImportError as error:
        raise MissingExtra("jpeglib", "", "Reading JPEG without the native reader") from error
    binding = getattr(jpeglib, "_bind", None)
    if binding is not None:
        binding.print = _say_nothing  # it prints the path before it raises; standard output may carry the video
    return jpeglib


def _say_nothing(*_: object) -> None:
    """Stands where a module would find the builtin `print`."""


def read(picture: bytes | memoryview) -> Contents:
    """Read with `jpeglib`; the same contract as `reader.read_native`.

    Raises:
        ValueError: the library gave up.
        MemoryError: memory ran out.
        MissingExtra: the library is not installed.
    """
    jpeglib, data = load(), bytes(picture)
    with _LOCK, tempfile.TemporaryDirectory(prefix="mjpeg-restore-") as folder:
        path = Path(folder) / "picture.jpg"
        path.write_bytes(_plain(data))
        try:
            found = jpeglib.read_dct(path)
            found.load()
        except MemoryError:
            raise
        except Exception as error:  # of whatever kind: all mean that it could not read
            raise ValueError(f"jpeglib cannot read it: {error}") from error
    planes = [found.Y] if found.Cb is None else [found.Y, found.Cb, found.Cr]
    blocks = [np.ascontiguousarray(plane).reshape(*plane.shape[:2], 64) for plane in planes]
    tables = [found.qt[number].reshape(64) for number in found.quant_tbl_no[: len(planes)]]
    components = tuple(
        Component(plane, table if table.any() else None, complete=True)
        for plane, table in zip(blocks, tables, strict=True)
    )
    factors = [int(down) for down, _ in found.samp_factor[: len(planes)]]
    rows = -(-blocks[0].shape[0] // factors[0])
    return Contents(components, _missing_end(data, blocks, factors, rows))


def _plain(data: bytes) -> bytes:
    """The picture without APPn and COM segments, with the standard Huffman tables where it has none.

    jpeglib has room for 50 such segments and does not count; libjpeg 6b knows no standard tables (H1), and a
    table that the picture defines itself replaces the one put before it.
    """
    pieces, position = [b"\xff\xd8", STANDARD_DHT], 2
    for segment in segments(data, 0):
        if segment.marker == COM or APP0 <= segment.marker < APP0 + 16:
            pieces.append(data[position : segment.offset])
            position = segment.end
    return b"".join([*pieces, data[position:]])


def _missing_end(data: bytes, blocks: list[NDArray[np.int16]], factors: list[int], rows: int) -> tuple[Notice, ...]:
    """S2: a picture without EOI whose last blocks are zero, DC included, breaks off in the row before them.

    The row itself may be filled in part. A picture that was cut and then given an EOI is not recognised.
    """
    if any(segment.marker == EOI for segment in segments(data, 0)):
        return ()
    end = Notice("JPEG_EOF", rows, "Premature end of JPEG file")
    if any(plane[-1, -1].any() for plane in blocks):
        return (end,)
    filled = [
        (int(lines[-1]) // factor if (lines := np.flatnonzero(plane.any(axis=(1, 2)))).size else 0)
        for plane, factor in zip(blocks, factors, strict=True)
    ]
    return (end, Notice("HIT_MARKER", max(filled), "Corrupt JPEG data: premature end of data segment"))
