"""Damage by the reader's warnings (S1, S2, S9, P2).

The warnings of libjpeg tell whether a picture is suspected of damage. In pictures whose scans cannot be walked
(progressive, arithmetic, no native walk) or are not complete they also tell the first damaged row; in the others
`diagnosis.py` finds it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np

from mjpeg_restore.jpeg import reader
from mjpeg_restore.jpeg.diagnosis import Diagnosis
from mjpeg_restore.jpeg.entropy import Scan, entropy_offset
from mjpeg_restore.jpeg.foreign_bytes import has_foreign_bytes, is_padding
from mjpeg_restore.jpeg.header import JpegHeader
from mjpeg_restore.jpeg.sampling import largest_factors
from mjpeg_restore.jpeg.segments import EOI

DAMAGE: Final = frozenset({"HIT_MARKER", "HUFF_BAD_CODE", "ARITH_BAD_CODE", "MUST_RESYNC", "DATA_ENDED"})
"""Names of the warnings that the library, or the native reader (DATA_ENDED), gives where it cannot go on decoding."""
_SUSPICIOUS: Final = DAMAGE | {"EXTRANEOUS_DATA"}
"""S9: extraneous bytes may be harmless, or the picture's own last bytes, displaced by foreign ones."""

_DETAIL: Final = 64
"""Rows have detail if they hold more than one non-zero AC coefficient in this many blocks."""
_ZEROS_DECODED: Final = 64
"""If more zero bytes than this were decoded at the end of a scan, they were padding and no data of the picture."""
_EXTRANEOUS: Final = re.compile(r"(\d+) extraneous bytes before marker 0x(\w\w)")
"""The library's words for EXTRANEOUS_DATA: the bytes left unread, and the marker behind them."""
_NEVER: Final = 0xFFFF
"""Stands for the row of a warning that was not given; no picture has so many rows."""


def is_suspect(data: bytes, header: JpegHeader, contents: reader.Contents) -> bool:
    """Whether a picture may be damaged: after a warning, or where its scan holds foreign bytes."""
    if not reader.native_version or not is_complete(contents):
        return True  # jpeglib gives no warnings
    if any(warning.name in _SUSPICIOUS for warning in contents.warnings):
        return True
    if header.progressive:
        return False
    return header.arithmetic or has_foreign_bytes(data, entropy_offset(data, header), header.end)


def is_complete(contents: reader.Contents) -> bool:
    """Whether the scans cover all bits of all components."""
    return all(part.complete for part in contents.components)


def damage_by_warnings(
    header: JpegHeader, contents: reader.Contents, picture: bytes, scans: Sequence[Scan], *, end_known: bool
) -> Diagnosis | None:
    """The damage of a picture whose scans cannot be walked.

    Args:
        header: of the picture.
        contents: the library's coefficients and warnings.
        picture: the bytes that the library read.
        scans: the scans in them.
        end_known: true where `picture` ends where its own data end, so that the row in which they end is damaged.
    """
    bad = [warning for warning in contents.warnings if warning.name in DAMAGE]
    # The warning of an early end alone means a missing EOI (S1). Missing coefficients are damage, except in a
    # progressive picture that an encoder ended with EOI before its last refinement.
    if not is_complete(contents) and not (header.progressive and header.has_eoi):
        return Diagnosis(0, bad[0].text if bad else "a scan is missing")
    if header.progressive and (bad or _is_displaced(contents, picture, scans)):
        # Each scan holds a part of all rows, and a warning names the row at which its own scan stopped.
        return Diagnosis(0, bad[0].text if bad else "bytes stand in a scan that do not belong there")
    if header.arithmetic:
        return _arithmetic_damage(header, contents, picture, scans, end_known=end_known)
    if not bad:
        return None
    row = _mcu_row(header, min(warning.row for warning in bad))
    return Diagnosis(0 if header.has_eoi and not header.restart_interval else row, bad[0].text)


def _mcu_row(header: JpegHeader, row: int) -> int:
    """C3: a row of MCUs by normalised factors; the library counts rows by the factors in the SOF."""
    return row * largest_factors(header.factors)[1] // header.block_rows_per_mcu


def _arithmetic_damage(
    header: JpegHeader, contents: reader.Contents, picture: bytes, scans: Sequence[Scan], *, end_known: bool
) -> Diagnosis | None:
    """P2: the damage of an arithmetic-coded picture, by the row in which its data end.

    If EOI follows, bytes may be missing anywhere above, unless foreign bytes show where the data end (`end_known`).
    """
    rows = {warning.name: warning.row for warning in contents.warnings}
    stopped = rows.get("DATA_ENDED", _NEVER)  # the rows below were not decoded
    end, bad = min(rows.get("JPEG_EOF", _NEVER), stopped), rows.get("ARITH_BAD_CODE", _NEVER)
    # Behind the end of the data any code may be decoded; rows of different scans cannot be compared.
    if bad < end or (bad < _NEVER and header.progressive) or _is_displaced(contents, picture, scans):
        return Diagnosis(0, "the arithmetic code is broken")
    row = _mcu_row(header, end)
    # Data that end in the last row may lack nothing but EOI (S1).
    more = stopped < _NEVER or _has_detail_below(contents, row, header.mcu_rows)
    cut_off = row < header.mcu_rows - 1 and not header.progressive and more
    return Diagnosis(row if end_known else 0, "the picture is cut off") if cut_off else None


def _has_detail_below(contents: reader.Contents, row: int, rows: int) -> bool:
    """Whether blocks below a row of MCUs have detail: sound flat blocks need no data; missing data decode to detail."""
    found = blocks = 0
    for part in contents.components:
        below = part.coefficients[(row + 1) * -(-part.coefficients.shape[0] // rows) :]
        found += int(np.count_nonzero(below[..., 1:]))
        blocks += below.shape[0] * below.shape[1]
    return found > blocks // _DETAIL


def _is_displaced(contents: reader.Contents, picture: bytes, scans: Sequence[Scan]) -> bool:
    """Whether the end of a scan was displaced: more than padding follows its last block, or padding was decoded.

    The library tells how many bytes it left unread and the marker behind them: one of several of its kind, or one
    further on. So the bytes are padding if there is as much of it at any place, as no scan ends like that by itself.
    """
    found = next((_EXTRANEOUS.search(each.text) for each in contents.warnings if each.name == "EXTRANEOUS_DATA"), None)
    if found is None:
        return False
    rest, marker = int(found[1]), int(found[2], 16)
    decoded = rest + _ZEROS_DECODED
    named: list[bool] = []
    others: list[bool] = []
    for start, stop in _spans(scans):
        if stop - start >= rest and is_padding(picture[stop - rest : stop]):
            following = picture[stop + 1] if stop < len(picture) else EOI  # the library inserts a missing one
            was_decoded = stop - start > decoded and not any(picture[stop - decoded - 1 : stop])
            (named if following == marker else others).append(was_decoded)
    return all(named or others)


def _spans(scans: Sequence[Scan]) -> Iterator[tuple[int, int]]:
    """Start and end of the entropy-coded data between markers."""
    for scan in scans:
        yield from zip((scan.start, *(at + 2 for at in scan.restarts)), (*scan.restarts, scan.stop), strict=True)
