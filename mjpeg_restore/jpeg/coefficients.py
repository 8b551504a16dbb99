"""Bytes to coefficients: one packet in, one `CodedPicture` out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from mjpeg_restore.errors import BadJpeg, TooLarge, UnsupportedJpeg
from mjpeg_restore.frames import CodedPicture, Damage, Sampling
from mjpeg_restore.jpeg import fallback, reader
from mjpeg_restore.jpeg.buffers import as_bytes
from mjpeg_restore.jpeg.header import JpegHeader
from mjpeg_restore.jpeg.markers import scan
from mjpeg_restore.jpeg.segments import known_tables

if TYPE_CHECKING:
    from typing_extensions import Buffer

_DAMAGE: Final = frozenset({"HIT_MARKER", "HUFF_BAD_CODE", "ARITH_BAD_CODE", "MUST_RESYNC"})
"""S9: what else the library warns of (extraneous bytes, above all) leaves the picture as it was."""


def reader_name() -> str:
    """Which library reads: "libjpeg-turbo 2.1.5 (native)" or "jpeglib 1.0.2 (fallback)".

    Raises:
        MissingExtra: neither is installed.
    """
    if reader.native_version is not None:
        return f"libjpeg-turbo {reader.native_version} (native)"
    return f"jpeglib {fallback.load().__version__} (fallback)"


def read(data: Buffer, *, header: JpegHeader | None = None, tables: bytes = b"") -> CodedPicture:
    """Read the quantised coefficients of the first picture in a packet.

    Safe from several threads; with the native reader they work at the same time.

    Args:
        data: the packet, as bytes or any buffer of them; foreign bytes may stand around the picture.
        header: what `scan` found in these very bytes, where the caller has it already.
        tables: DQT and DHT segments of earlier pictures of the stream (`JpegHeader.tables`), used where this one
            refers to tables that it does not bring (Q5).

    Returns:
        The picture; `damage` is set where blocks are missing, and everything above it is exact.

    Raises:
        BadJpeg: no picture, or one that is broken beyond reading.
        UnsupportedJpeg: a sound picture of a kind that is not restored.
        TooLarge: more pixels than are allowed, than the bytes can hold, or than there is memory for.
        MissingExtra: there is neither the native reader nor `jpeglib`.
        TypeError: `data` is no buffer of bytes.
    """
    data = as_bytes(data)
    header = header or scan(data)
    tables = known_tables(tables, header.front)
    if header.missing_tables and not tables:
        raise BadJpeg(f"quantisation table {header.missing_tables[0]} is not given", header.scan_offset)
    if header.arithmetic and not reader.native_arithmetic:
        raise UnsupportedJpeg("this reader cannot decode arithmetic coding", header.start)
    try:
        contents = _read_contents(data, header, tables)
    except MemoryError as error:
        size = f"{header.width}x{header.height}"
        raise TooLarge(f"not enough memory for the coefficients of a {size} picture", header.start) from error
    return CodedPicture(
        width=header.width,
        height=header.height,
        sampling=header.sampling,
        coefficients=tuple(part.coefficients for part in contents.components),
        tables=tuple(_sound_table(part.table) for part in contents.components),
        colour=header.colour,
        warnings=_oddities(header, contents),
        damage=_damage(header, contents),
    )


def _read_contents(data: bytes, header: JpegHeader, tables: bytes) -> reader.Contents:
    """Let the library read all of the picture or, if it gives up, all that comes before a false marker."""
    read_one = reader.read_native if reader.native_version else fallback.read
    try:
        return read_one(_single_picture(data, header, tables, header.end))
    except ValueError as error:
        if header.stop == header.end:
            raise BadJpeg(str(error), header.start) from error
    try:
        return read_one(_single_picture(data, header, tables, header.stop))
    except ValueError as error:
        raise BadJpeg(str(error), header.start) from error


def _single_picture(data: bytes, header: JpegHeader, tables: bytes, end: int) -> bytes | memoryview:
    """The picture's own bytes up to `end`, with what has to be put right in them; copied only if need be."""
    pieces: list[bytes | memoryview] = []
    position = header.start
    view = memoryview(data)
    if tables and (header.missing_tables or header.missing_huffman):
        # Q5: at the very front, so that tables of the picture's own come later
        position += 2
        pieces += [view[header.start : position], tables]
    if data[header.size_offset : header.size_offset + 2] == b"\0\0":  # P4
        pieces += [view[position : header.size_offset], header.height.to_bytes(2, "big")]
        position = header.size_offset + 2
    rest = view[position:end]
    return b"".join([*pieces, rest]) if pieces else rest


def _sound_table(table: NDArray[np.uint16] | None) -> NDArray[np.uint16]:
    if table is None:
        raise BadJpeg("a component without quantisation table")
    return np.maximum(table, 1)  # Q4


def _oddities(header: JpegHeader, contents: reader.Contents) -> tuple[str, ...]:
    """What a curious user may want to know, in words."""
    found = [warning.text for warning in contents.warnings if warning.name not in _DAMAGE]
    if header.zero_steps:
        found.append("a quantisation step of 0 was read as 1")
    if header.orientation != 1:
        found.append(f"EXIF orientation {header.orientation} is not applied")  # H5
    if header.progressive and header.has_eoi and not _complete(contents):
        found.append("progressive scans are missing, the last bits of some coefficients with them")
    return tuple(found)


def _complete(contents: reader.Contents) -> bool:
    return all(part.complete for part in contents.components)


def _damage(header: JpegHeader, contents: reader.Contents) -> Damage | None:
    """S1, S2, S9: whether blocks are missing, and from which MCU row on."""
    bad = [warning for warning in contents.warnings if warning.name in _DAMAGE]
    # An early end alone says only that EOI is missing (S1). Coefficients that never came are another matter,
    # unless a progressive picture was ended on purpose, with an EOI, before its last refinement.
    unfinished = not _complete(contents) and not (header.progressive and header.has_eoi)
    if not bad and not unfinished:
        return None
    # The library counts rows by the factors in the SOF; ours are normalised (C3).
    coded = max(down for _, down in header.factors)
    down = header.sampling.value[1] if header.sampling is not Sampling.GRAY else 1
    rows = -(-header.height // (8 * down))
    first = 0 if unfinished else min(warning.row for warning in bad) * coded // down
    reason = bad[0].text if bad else "a scan is missing"
    return Damage(first_bad_row=min(first, rows - 1), rows=rows, reason=reason)
