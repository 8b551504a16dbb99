"""The scans of a picture, and the walk through the entropy-coded data of sequential Huffman scans.

libjpeg warns only where it cannot go on decoding. That may be far behind the damage, because most bits decode to some
code. The walk finds where each MCU begins, whether the data end with an MCU, and which MCU no encoder writes;
`diagnosis.py` draws the conclusions.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from mjpeg_restore.jpeg.header import JpegHeader
from mjpeg_restore.jpeg.sampling import largest_factors
from mjpeg_restore.jpeg.segments import DHT, DRI, SOS, Segment, segments, tables_in
from mjpeg_restore.jpeg.tables import STANDARD_DHT

try:
    from mjpeg_restore.jpeg._entropy import walk as native_walk
except ImportError:  # no C compiler when the package was installed
    native_walk = None

available: Final = native_walk is not None
"""False where the native walk was not built; then `walk` must not be called."""

End = Literal["clean", "short", "bad"]
"""How a walk ends. "clean": the data end with an MCU and the bits that pad its last byte. "short": they end within an
MCU. "bad": no encoder writes the next MCU."""

_ENDS: Final[tuple[End, ...]] = ("clean", "short", "bad")
"""By the numbers that the native walk returns."""
_RESTART: Final = re.compile(rb"\xff[\xd0-\xd7]")


@dataclass(frozen=True, slots=True)
class Scan:
    """One scan of a picture."""

    offset: int
    """Offset of its SOS marker."""
    start: int
    """Offset of its entropy-coded data, restart markers included."""
    stop: int
    """First byte behind these data: the next marker, or the end of the picture."""
    components: tuple[int, ...]
    """Its components, by their positions in the frame header."""
    high: int
    """MCUs down."""
    wide: int
    """MCUs across."""
    lines: int
    """Lines of the picture in a row of MCUs."""
    restart_interval: int
    """MCUs between two restart markers, by DRI; 0: none."""
    restarts: tuple[int, ...]
    """Offsets of its restart markers."""
    tables: tuple[bytes, ...]
    """Its Huffman tables, each 16 counts and the values; empty for progressive and arithmetic coding."""
    layout: bytes
    """For each block of an MCU, two indices into `tables`: its DC table and its AC table."""

    @property
    def mcus(self) -> int:
        """MCUs of a complete scan."""
        return self.high * self.wide


@dataclass(frozen=True, slots=True)
class Walk:
    """The MCUs found between two markers."""

    starts: NDArray[np.uint32]
    """uint32 `[mcus + 1]`: for each MCU the offset of the first byte without a bit of an earlier MCU; the last entry is
    that offset for the data behind all MCUs."""
    end: End
    stop: int
    """Offset of the marker behind the data, or the end of the data."""

    @property
    def mcus(self) -> int:
        """Whole MCUs in the data; damaged data may hold more than the picture."""
        return len(self.starts) - 1


def walk(data: bytes, scan: Scan) -> list[Walk]:
    """Walk through the entropy-coded data of a sequential Huffman scan.

    Returns:
        One walk for each restart interval, in order; one in all without restart markers.
    """
    assert native_walk is not None
    spans = np.array([[scan.start, *(at + 2 for at in scan.restarts)], [*scan.restarts, scan.stop]], np.uint32)
    found = native_walk(data, spans.T.tobytes(), scan.tables, scan.layout)
    return [
        Walk(np.frombuffer(starts, np.uint32), _ENDS[end], int(stop))
        for (starts, end), stop in zip(found, spans[1], strict=True)
    ]


def entropy_offset(data: bytes, header: JpegHeader) -> int:
    """Offset of the entropy-coded data of the first scan."""
    return header.scan_offset + 2 + int.from_bytes(data[header.scan_offset + 2 : header.scan_offset + 4], "big")


def find_scans(data: bytes, header: JpegHeader) -> list[Scan]:
    """Find the scans of the picture that begins at the first byte of `data`.

    Huffman tables that the picture does not define are the standard ones (H1). A scan with an invalid header ends the
    list.
    """
    huffman = _tables_of(STANDARD_DHT[4:])
    interval = 0
    found: list[Scan] = []
    walked = list(segments(data, 0))
    for segment, following in zip(walked, [*walked[1:], None], strict=True):
        body = data[segment.body : segment.end]
        if segment.marker == DHT:
            huffman |= _tables_of(body)
        elif segment.marker == DRI and len(body) >= 2:
            interval = int.from_bytes(body[:2], "big")
        elif segment.marker == SOS:
            stop = following.offset if following else len(data)
            scan = _scan(data, segment, stop, header, interval, huffman)
            if scan is None:
                break
            found.append(scan)
    return found


def _scan(
    data: bytes, sos: Segment, stop: int, header: JpegHeader, interval: int, huffman: dict[int, bytes]
) -> Scan | None:
    """The scan of an SOS segment; None where it names components or tables that do not exist."""
    body = data[sos.body : sos.end]
    if not body or len(body) <= 2 * body[0]:  # the library need not have come so far
        return None
    names, selectors = body[1 : 1 + 2 * body[0] : 2], body[2 : 2 + 2 * body[0] : 2]
    components = tuple(header.component_ids.index(name) for name in names if name in header.component_ids)
    used = [(selector >> 4, 16 | selector & 15) for selector in selectors]
    walkable = not header.progressive and not header.arithmetic
    kinds = sorted({name for pair in used for name in pair}) if walkable else []
    if not components or len(components) < len(selectors) or not huffman.keys() >= {*kinds}:
        return None
    high, wide, lines, blocks = _grid(header, components)
    layout = [name for pair, count in zip(used, blocks, strict=True) for _ in range(count) for name in pair]
    return Scan(
        offset=sos.offset,
        start=sos.end,
        stop=stop,
        components=components,
        high=high,
        wide=wide,
        lines=lines,
        restart_interval=interval,
        restarts=tuple(match.start() for match in _RESTART.finditer(data, sos.end, stop)),
        tables=tuple(huffman[name] for name in kinds),
        layout=bytes(map(kinds.index, layout)) if walkable else b"",
    )


def _tables_of(body: bytes) -> dict[int, bytes]:
    return {table.name: table.body[1:] for table in tables_in(DHT, body) if table.whole}


def _grid(header: JpegHeader, components: tuple[int, ...]) -> tuple[int, int, int, list[int]]:
    """MCUs down, MCUs across, lines in an MCU, and the blocks of each component in it (T.81, A.2)."""
    h_max, v_max = largest_factors(header.factors)
    if len(components) == 1:
        h, v = header.factors[components[0]]
        lines, columns = -(-header.height * v // v_max), -(-header.width * h // h_max)
        return -(-lines // 8), -(-columns // 8), 8 * v_max // v, [1]
    blocks = [h * v for h, v in (header.factors[part] for part in components)]
    return -(-header.height // (8 * v_max)), -(-header.width // (8 * h_max)), 8 * v_max, blocks
