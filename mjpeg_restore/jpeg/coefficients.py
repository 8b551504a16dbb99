"""Bytes to coefficients: `read` turns one packet into one `CodedPicture`."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mjpeg_restore.errors import BadJpeg, TooLarge, UnsupportedJpeg
from mjpeg_restore.frames import CodedPicture, Damage
from mjpeg_restore.jpeg import entropy, fallback, limits, reader, restarts
from mjpeg_restore.jpeg.buffers import as_bytes
from mjpeg_restore.jpeg.diagnosis import Diagnosis, diagnose
from mjpeg_restore.jpeg.foreign_bytes import foreign_offset
from mjpeg_restore.jpeg.header import JpegHeader
from mjpeg_restore.jpeg.markers import scan
from mjpeg_restore.jpeg.reader_warnings import DAMAGE, damage_by_warnings, is_complete, is_suspect
from mjpeg_restore.jpeg.segments import known_tables

if TYPE_CHECKING:
    from typing_extensions import Buffer

_Walked = tuple[entropy.Scan, list[entropy.Walk]]
"""A scan and its MCUs, by restart intervals."""


def reader_name() -> str:
    """The library that reads, with its version: "libjpeg-turbo 2.1.5 (native)" or "jpeglib 1.0.2 (fallback)".

    Raises:
        MissingExtra: neither is installed.
    """
    if reader.native_version is not None:
        return f"libjpeg-turbo {reader.native_version} (native)"
    return f"jpeglib {fallback.load().__version__} (fallback)"


def read(data: Buffer, *, header: JpegHeader | None = None, tables: bytes = b"") -> CodedPicture:
    """Read the quantised coefficients of the first picture in a packet.

    Threads may call it at the same time; with the native reader they run in parallel.

    Args:
        data: the packet, as bytes or any buffer of them; foreign bytes may stand around the picture.
        header: the result of `scan` for these very bytes, if the caller has it already.
        tables: DQT and DHT segments of earlier pictures of the stream (`JpegHeader.tables`), used if this picture
            refers to tables that it does not define (Q5).

    Returns:
        The picture. `damage` is set where blocks are missing or wrong, as far as the structure of the data tells;
        all rows above the damage are exact.

    Raises:
        BadJpeg: the data hold no picture, or it is too broken to read.
        UnsupportedJpeg: the picture is of a kind that is not restored, or has more scans, or blocks in them, than are
            read.
        TooLarge: it has more pixels than are allowed, or more blocks than its bytes can code, or memory ran out.
        MissingExtra: neither the native reader nor `jpeglib` is installed.
        TypeError: `data` is not a buffer of bytes.
    """
    data = as_bytes(data)
    header = header or scan(data)
    tables = known_tables(tables, header.front)
    if header.missing_tables and not tables:
        raise BadJpeg(f"quantisation table {header.missing_tables[0]} is not given", header.scan_offset)
    if header.arithmetic and not reader.native_arithmetic:
        raise UnsupportedJpeg("this reader cannot decode arithmetic coding", header.start)
    cost = reader.no_cost()
    try:
        picture, contents = _read_contents(data, header, tables, cost)
        contents, diagnosis = _examine(data, header, picture, contents, cost)
    except OverflowError as error:
        raise UnsupportedJpeg(str(error), header.start) from error  # P1
    except MemoryError as error:
        size = f"{header.width}x{header.height}"
        raise TooLarge(f"not enough memory for the coefficients of a {size} picture", header.start) from error
    return _coded_picture(header, contents, diagnosis)


def _coded_picture(header: JpegHeader, contents: reader.Contents, diagnosis: Diagnosis | None) -> CodedPicture:
    return CodedPicture(
        width=header.width,
        height=header.height,
        sampling=header.sampling,
        coefficients=tuple(part.coefficients for part in contents.components),
        tables=tuple(_positive(part.table) for part in contents.components),
        colour=header.colour,
        warnings=_harmless_warnings(header, contents, damaged=diagnosis is not None),
        damage=_damage(header, diagnosis) if diagnosis else None,
    )


def _positive(table: NDArray[np.uint16] | None) -> NDArray[np.uint16]:
    if table is None:
        raise BadJpeg("a component without quantisation table")
    return np.maximum(table, 1)  # Q4


def _harmless_warnings(header: JpegHeader, contents: reader.Contents, *, damaged: bool) -> tuple[str, ...]:
    """Oddities of the picture that are no damage, in words."""
    # The warning of an early end adds nothing to a known damage, and `_end` causes it by leaving the EOI out.
    early_end_known = damaged or (header.arithmetic and header.has_eoi)
    hidden = DAMAGE | {"JPEG_EOF"} if early_end_known else DAMAGE
    found = [warning.text for warning in contents.warnings if warning.name not in hidden]
    if header.zero_steps:
        found.append("a quantisation step of 0 was read as 1")
    if header.progressive and header.has_eoi and not is_complete(contents):
        found.append("progressive scans are missing, the last bits of some coefficients with them")
    return tuple(found)


def _damage(header: JpegHeader, diagnosis: Diagnosis) -> Damage:
    rows = header.mcu_rows
    return Damage(first_bad_row=min(max(diagnosis.row, 0), rows - 1), rows=rows, reason=diagnosis.reason)


def _read_contents(
    data: bytes, header: JpegHeader, tables: bytes, cost: reader.Cost
) -> tuple[bytes | memoryview, reader.Contents]:
    """Read the whole picture or, if the library cannot, the part in front of a false marker (S11).

    Returns:
        The bytes that were read, and their contents.
    """
    picture = _single_picture(data, header, tables, _end(data, header))
    try:
        return picture, _read_one(picture, cost)
    except ValueError as error:
        if header.stop == header.end:
            raise BadJpeg(str(error), header.start) from error
    picture = _single_picture(data, header, tables, header.stop)
    try:
        return picture, _read_one(picture, cost)
    except ValueError as error:
        raise BadJpeg(str(error), header.start) from error


def _end(data: bytes, header: JpegHeader) -> int:
    """Offset of the end of the bytes that the library gets.

    P2: the arithmetic decoder decodes any bytes, and zeros after the end of the data, without a warning. It names the
    row in which the data ended only if the EOI is missing; so it gets neither EOI nor foreign bytes.
    """
    if header.progressive or not header.arithmetic:
        return header.end
    return foreign_offset(data, entropy.entropy_offset(data, header), header.end - 2 * header.has_eoi)


def _single_picture(data: bytes, header: JpegHeader, tables: bytes, end: int) -> bytes | memoryview:
    """The picture from SOI to `end`, with missing tables (Q5) and height (P4) filled in; copied only if need be."""
    pieces: list[bytes | memoryview] = []
    position = header.start
    view = memoryview(data)
    if tables and (header.missing_tables or header.missing_huffman):
        # Q5: right behind the SOI, so that tables which the picture defines replace them
        position += 2
        pieces += [view[header.start : position], tables]
    if data[header.size_offset : header.size_offset + 2] == b"\0\0":  # P4
        pieces += [view[position : header.size_offset], header.height.to_bytes(2, "big")]
        position = header.size_offset + 2
    rest = view[position:end]
    return b"".join([*pieces, rest]) if pieces else rest


def _read_one(picture: bytes | memoryview, cost: reader.Cost) -> reader.Contents:
    return reader.read_native(picture, cost) if reader.native_version else fallback.read(picture)


def _examine(
    data: bytes, header: JpegHeader, picture: bytes | memoryview, contents: reader.Contents, cost: reader.Cost
) -> tuple[reader.Contents, Diagnosis | None]:
    """Look for damage in a suspect picture; if its restart markers need correction (D1), it is read again.

    If the second read would cost too much (P1), the first one holds.
    """
    if not is_suspect(data, header, contents):
        return contents, None
    picture = bytes(picture)
    scans = entropy.find_scans(picture, header)
    walked = _walk(picture, scans, header)
    corrected = restarts.correct(picture, *walked[0]) if len(walked) == 1 else restarts.correct_by_count(picture, scans)
    if corrected is not None:
        with suppress(ValueError, OverflowError):
            contents, picture = _read_one(corrected, cost), corrected
            scans = entropy.find_scans(picture, header)
            walked = _walk(picture, scans, header)
    if walked and is_complete(contents):
        return contents, _topmost_damage(picture, header, walked, contents)
    end_known = _end(data, header) < header.end - 2 or not header.has_eoi
    return contents, damage_by_warnings(header, contents, picture, scans, end_known=end_known)


def _walk(picture: bytes, scans: Sequence[entropy.Scan], header: JpegHeader) -> list[_Walked]:
    """Walk the scans of a sequential Huffman-coded picture, which hold each component once.

    Returns:
        The scans, in order, and their MCUs; empty where they cannot be walked.
    """
    if not entropy.available or header.progressive or header.arithmetic:
        return []
    missing = set(range(len(header.factors)))
    found: list[entropy.Scan] = []
    for one in scans:
        if not missing or not missing.issuperset(one.components):
            break
        missing.difference_update(one.components)
        found.append(one)
    if missing or sum(len(one.restarts) for one in found) > limits.MAX_RESTARTS:
        return []
    return [(one, entropy.walk(picture, one)) for one in found]


def _topmost_damage(
    picture: bytes, header: JpegHeader, walked: Sequence[_Walked], contents: reader.Contents
) -> Diagnosis | None:
    """The topmost damage of all scans, by normalised factors (C3)."""
    found: list[Diagnosis] = []
    for one, walks in walked:
        broken = header.stop != header.end and one is walked[-1][0]
        diagnosis = diagnose(picture, one, walks, contents.components, broken=broken)
        if diagnosis is not None:
            row = diagnosis.row * one.lines // (8 * header.block_rows_per_mcu)
            found.append(Diagnosis(row, diagnosis.reason))
    return min(found, key=lambda diagnosis: diagnosis.row, default=None)
