"""The reader of machines without the native extension: the `jpeglib` package.

It reads files, decodes through C globals, and prints warnings to stderr instead of returning them. So it runs under a
lock, on a copy of the picture without the segments that it cannot handle. Where the scan cannot be walked
(`entropy.py`), the zero blocks at the end of a picture tell where it was cut off.
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
from mjpeg_restore.jpeg.reader import Component, Contents, LibraryWarning
from mjpeg_restore.jpeg.segments import APP0, COM, EOI, segments
from mjpeg_restore.jpeg.tables import STANDARD_DHT

_LOCK: Final = threading.Lock()  # jpeglib decodes through C globals


def load() -> ModuleType:
    """The `jpeglib` module.

    Raises:
        MissingExtra: it is not installed.
    """
    try:
        import jpeglib  # pyright: ignore[reportMissingTypeStubs]
    except ImportError as error:
        without = "which is built where a C compiler and libjpeg-turbo's headers (Debian: libjpeg-dev) are"
        raise MissingExtra("jpeglib", "", f"Reading JPEG without the native reader, {without},") from error
    binding = getattr(jpeglib, "_bind", None)
    if binding is not None:
        binding.print = _print_nothing  # it prints the path before it raises, and standard output may carry the video
    return jpeglib


def _print_nothing(*_: object) -> None:
    """Replaces the builtin `print` in jpeglib's module."""


def read(picture: bytes | memoryview) -> Contents:
    """Read a picture with `jpeglib`; the arguments and the result are those of `reader.read_native`.

    Warnings are reconstructed: only those of an early end, and only in pictures without EOI (S2).

    Raises:
        ValueError: the library cannot read it.
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
        except Exception as error:  # jpeglib raises many types, and all mean that it cannot read the picture
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
    """The picture without APPn and COM segments, and with the standard Huffman tables in front (H1).

    jpeglib stores such segments in an array of 50 without a check. libjpeg 6b has no standard tables; tables that the
    picture defines replace those put in front.
    """
    pieces, position = [b"\xff\xd8", STANDARD_DHT], 2
    for segment in segments(data, 0):
        if segment.marker == COM or APP0 <= segment.marker < APP0 + 16:
            pieces.append(data[position : segment.offset])
            position = segment.end
    return b"".join([*pieces, data[position:]])


def _missing_end(
    data: bytes, blocks: list[NDArray[np.int16]], factors: list[int], rows: int
) -> tuple[LibraryWarning, ...]:
    """S2: warnings for a picture without EOI; if its last blocks are zero, DC included, it breaks off above them.

    The row that the second warning names may hold some coefficients. A cut in front of an EOI is not recognised.
    """
    if any(segment.marker == EOI for segment in segments(data, 0)):
        return ()
    end = LibraryWarning("JPEG_EOF", rows, "Premature end of JPEG file")
    if any(plane[-1, -1].any() for plane in blocks):
        return (end,)
    filled = [
        (int(lines[-1]) // factor if (lines := np.flatnonzero(plane.any(axis=(1, 2)))).size else 0)
        for plane, factor in zip(blocks, factors, strict=True)
    ]
    return (end, LibraryWarning("HIT_MARKER", max(filled), "Corrupt JPEG data: premature end of data segment"))
