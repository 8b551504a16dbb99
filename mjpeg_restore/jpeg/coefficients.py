"""Bytes to coefficients: one packet in, one `CodedPicture` out."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from mjpeg_restore.errors import BadJpeg, TooLarge, UnsupportedJpeg
from mjpeg_restore.frames import CodedPicture, Damage
from mjpeg_restore.jpeg import entropy, fallback, reader, restarts
from mjpeg_restore.jpeg.buffers import as_bytes
from mjpeg_restore.jpeg.diagnosis import diagnose, foreign_bytes, has_foreign_bytes, is_padding
from mjpeg_restore.jpeg.header import JpegHeader
from mjpeg_restore.jpeg.markers import scan
from mjpeg_restore.jpeg.segments import known_tables

if TYPE_CHECKING:
    from typing_extensions import Buffer

_DAMAGE: Final = frozenset({"HIT_MARKER", "HUFF_BAD_CODE", "ARITH_BAD_CODE", "MUST_RESYNC"})
"""What the library warns of where it could not go on."""
_SUSPICIOUS: Final = _DAMAGE | {"EXTRANEOUS_DATA"}
"""S9: extraneous bytes may be harmless, or the picture's own last ones, pushed back by foreign bytes."""


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
        The picture; `damage` is set where blocks are missing or wrong, as far as the structure of the data tells, and
        everything above it is exact.

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
        picture, contents = _read_contents(data, header, tables)
        contents, damage = _examine(data, header, picture, contents)
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
        damage=damage,
    )


def _read_contents(data: bytes, header: JpegHeader, tables: bytes) -> tuple[bytes | memoryview, reader.Contents]:
    """Let the library read all of the picture or, if it gives up, all that comes before a false marker.

    Returns:
        The picture's own bytes, as far as they were read, and what the library makes of them.
    """
    picture = _single_picture(data, header, tables, _end(data, header))
    try:
        return picture, _read_one(picture)
    except ValueError as error:
        if header.stop == header.end:
            raise BadJpeg(str(error), header.start) from error
    picture = _single_picture(data, header, tables, header.stop)
    try:
        return picture, _read_one(picture)
    except ValueError as error:
        raise BadJpeg(str(error), header.start) from error


def _end(data: bytes, header: JpegHeader) -> int:
    """Where the picture's data end for the library.

    P2: without a warning the arithmetic decoder reads anything, and zeros behind the end of the data. Only where there
    is no EOI it tells the row in which the data ended; so neither EOI nor foreign bytes are shown to it.
    """
    if header.progressive or not header.arithmetic:
        return header.end
    return foreign_bytes(data, _scan_start(data, header), header.end - 2 * header.has_eoi)


def _scan_start(data: bytes, header: JpegHeader) -> int:
    return header.scan_offset + 2 + int.from_bytes(data[header.scan_offset + 2 : header.scan_offset + 4], "big")


def _read_one(picture: bytes | memoryview) -> reader.Contents:
    return reader.read_native(picture) if reader.native_version else fallback.read(picture)


def _examine(
    data: bytes, header: JpegHeader, picture: bytes | memoryview, contents: reader.Contents
) -> tuple[reader.Contents, Damage | None]:
    """Find the damage of a suspicious picture, which is read again where its restart markers are to be corrected."""
    if not _is_suspect(data, header, contents):
        return contents, None
    picture = bytes(picture)
    scans = entropy.find_scans(picture, header)
    scan = _only_one(scans, header)
    walks = entropy.walk(picture, scan) if scan else []
    mended = restarts.put_right(picture, scan, walks) if scan else restarts.put_right_by_count(picture, scans)
    if mended is not None:
        with suppress(ValueError):
            contents, picture = _read_one(mended), mended
            scan = _only_one(entropy.find_scans(mended, header), header)
            walks = entropy.walk(picture, scan) if scan else []
    if scan is None:
        return contents, _damage(
            header, contents, picture, place_known=_end(data, header) < header.end - 2 or not header.has_eoi
        )
    found = diagnose(picture, scan, walks, contents.components[0], broken=header.stop != header.end)
    return contents, _damage_from(header, found.row, found.reason) if found else None


def _only_one(scans: Sequence[entropy.Scan], header: JpegHeader) -> entropy.Scan | None:
    """The one scan of a sequential Huffman-coded picture; None where there are several, or another coding."""
    walkable = entropy.available and not header.progressive and not header.arithmetic
    return scans[0] if walkable and scans and len(scans[0].components) == len(header.factors) else None


def _is_suspect(data: bytes, header: JpegHeader, contents: reader.Contents) -> bool:
    """Whether a picture needs a closer look: after a warning, and where its scan holds bytes that no encoder writes."""
    if not reader.native_version or not all(part.complete for part in contents.components):
        return True  # jpeglib does not warn
    if any(warning.name in _SUSPICIOUS for warning in contents.warnings):
        return True
    if header.progressive:
        return False
    return header.arithmetic or has_foreign_bytes(data, _scan_start(data, header), header.end)


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
    ended_by_us = header.arithmetic and header.has_eoi  # see `_end`
    unsaid = _DAMAGE | {"JPEG_EOF"} if ended_by_us else _DAMAGE
    found = [warning.text for warning in contents.warnings if warning.name not in unsaid]
    if header.zero_steps:
        found.append("a quantisation step of 0 was read as 1")
    if header.progressive and header.has_eoi and not _complete(contents):
        found.append("progressive scans are missing, the last bits of some coefficients with them")
    return tuple(found)


def _complete(contents: reader.Contents) -> bool:
    return all(part.complete for part in contents.components)


def _damage(header: JpegHeader, contents: reader.Contents, picture: bytes, *, place_known: bool) -> Damage | None:
    """S1, S2, S9: the damage of a picture whose scans cannot be walked through, by the library's warnings."""
    bad = [warning for warning in contents.warnings if warning.name in _DAMAGE]
    # An early end alone says only that EOI is missing (S1). Coefficients that never came are another matter,
    # unless a progressive picture was ended on purpose, with an EOI, before its last refinement.
    if not _complete(contents) and not (header.progressive and header.has_eoi):
        return _damage_from(header, 0, bad[0].text if bad else "a scan is missing")
    if header.progressive and (bad or _is_pushed_back(contents, picture)):
        # Each scan holds a part of all rows, and a warning names the row where its scan could not go on.
        return _damage_from(header, 0, bad[0].text if bad else "bytes stand in a scan that do not belong there")
    if header.arithmetic:
        return _arithmetic_damage(header, contents, picture, place_known=place_known)
    if not bad:
        return None
    # The library counts rows by the factors in the SOF; ours are normalised (C3).
    row = min(warning.row for warning in bad) * max(down for _, down in header.factors) // _lines_of(header)
    return _damage_from(header, 0 if header.has_eoi and not header.restart_interval else row, bad[0].text)


def _arithmetic_damage(
    header: JpegHeader, contents: reader.Contents, picture: bytes, *, place_known: bool
) -> Damage | None:
    """P2: the damage of a picture in arithmetic coding, by the row in which its data end.

    Where EOI follows, the missing data may be missing anywhere, unless foreign bytes show the place (`place_known`).
    """
    rows = {warning.name: warning.row for warning in contents.warnings}
    end, bad = rows.get("JPEG_EOF", 0xFFFF), rows.get("ARITH_BAD_CODE", 0xFFFF)
    # Behind the end of the data any code may come; the rows of several scans cannot be compared.
    if bad < end or (bad < 0xFFFF and header.progressive) or _is_pushed_back(contents, picture):
        return _damage_from(header, 0, "the arithmetic code is broken")
    row = end * max(down for _, down in header.factors) // _lines_of(header)
    damage = _damage_from(header, row if place_known else 0, "the picture is cut off")
    # In the last row it may be the end marker alone that is missing (S1).
    cut_off = row < damage.rows - 1 and not header.progressive and _has_detail_below(contents, row, damage.rows)
    return damage if cut_off else None


def _has_detail_below(contents: reader.Contents, row: int, rows: int) -> bool:
    """Whether there is detail below a row of MCUs: flat blocks need no data, but zeros are decoded to detail."""
    found = blocks = 0
    for part in contents.components:
        below = part.coefficients[(row + 1) * -(-part.coefficients.shape[0] // rows) :]
        found += int(np.count_nonzero(below[..., 1:]))
        blocks += below.shape[0] * below.shape[1]
    return found > blocks // _DETAIL


_DETAIL: Final = 64
"""Blocks to one coefficient, at most, where the data of the arithmetic coder have ended."""


def _is_pushed_back(contents: reader.Contents, picture: bytes) -> bool:
    """Whether a scan goes on behind its last block with more than padding, or padding was decoded."""
    for warning in contents.warnings:
        found = _EXTRANEOUS.search(warning.text)
        if warning.name == "EXTRANEOUS_DATA" and found:
            marker = bytes([0xFF, int(found[2], 16)])
            end = len(picture) - 2 * picture.endswith(b"\xff\xd9")  # the library makes an EOI up where there is none
            at = end if marker == b"\xff\xd9" else picture.rfind(marker)
            rest = int(found[1])
            zeros = at - len(picture[:at].rstrip(b"\0"))
            return not is_padding(picture[max(0, at - rest) : at]) or zeros - rest > _ZEROS_DECODED
    return False


_ZEROS_DECODED: Final = 64
"""Zero bytes in front of the end of a scan, where more follow, that are no picture's own."""
_EXTRANEOUS: Final = re.compile(r"(\d+) extraneous bytes before marker 0x(\w\w)")


def _lines_of(header: JpegHeader) -> int:
    """Block rows of luma in a row of MCUs, with normalised factors (C3)."""
    return header.sampling.value[1] if header.sampling.value else 1


def _damage_from(header: JpegHeader, row: int, reason: str) -> Damage:
    rows = -(-header.height // (8 * _lines_of(header)))
    return Damage(first_bad_row=min(max(row, 0), rows - 1), rows=rows, reason=reason)
