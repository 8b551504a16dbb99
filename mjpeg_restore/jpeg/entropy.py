"""Scans: what they are made of, and a walk through the entropy-coded data of sequential Huffman ones.

libjpeg warns where it cannot go on decoding. That may be far behind the damage, for any bits decode into something. The
walk tells where MCUs begin, whether the data end with one, and which MCU no encoder can have written; `diagnosis.py`
draws the conclusions.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from mjpeg_restore.jpeg.header import JpegHeader
from mjpeg_restore.jpeg.segments import DHT, DRI, SOS, Segment, segments, tables_in
from mjpeg_restore.jpeg.tables import STANDARD_DHT

try:
    from mjpeg_restore.jpeg import _entropy
except ImportError:  # no C compiler when the package was installed
    _entropy = None

available: Final = _entropy is not None
"""False where the native walk was not built: then only `find_scans` can be called."""

End = Literal["clean", "short", "bad"]
"""How a walk ends. "clean": the data end with an MCU and the bits that fill its last byte. "short": they end within an
MCU. "bad": the next MCU is one that no encoder can have written."""

_ENDS: Final[tuple[End, ...]] = ("clean", "short", "bad")
_RESTART: Final = re.compile(rb"\xff[\xd0-\xd7]")


@dataclass(frozen=True, slots=True)
class Scan:
    """One scan of a picture."""

    offset: int
    """Offset of its SOS marker."""
    start: int
    """Offset of its entropy-coded data, which include the restart markers."""
    stop: int
    """First byte behind its data: the next marker, or the end of the picture."""
    components: tuple[int, ...]
    """The components that it holds, by their position in the frame header."""
    high: int
    """MCUs down."""
    wide: int
    """MCUs across."""
    restart_interval: int
    """MCUs between two restart markers, as DRI says; 0: none."""
    restarts: tuple[int, ...]
    """Offsets of its restart markers."""
    tables: tuple[bytes, ...]
    """Its Huffman tables, each 16 counts and the values; none for progressive and arithmetic coding."""
    layout: bytes
    """Two bytes for each block of an MCU: which of `tables` its DC and its AC is coded with."""

    @property
    def mcus(self) -> int:
        """MCUs that the picture has."""
        return self.high * self.wide


@dataclass(frozen=True, slots=True)
class Walk:
    """The MCUs between two markers."""

    starts: NDArray[np.uint32]
    """uint32 `[mcus + 1]`: for each MCU the first byte of which no earlier MCU has a bit, and the same for what follows
    the last MCU."""
    end: End
    stop: int
    """Offset of the marker behind the data, or their end."""

    @property
    def mcus(self) -> int:
        """Whole MCUs in the data, perhaps more than the picture has."""
        return len(self.starts) - 1


def walk(data: bytes, scan: Scan) -> list[Walk]:
    """Walk through the entropy-coded data of a scan, from each restart marker to the next."""
    assert _entropy is not None
    spans = np.array([[scan.start, *(at + 2 for at in scan.restarts)], [*scan.restarts, scan.stop]], np.uint32)
    found = _entropy.walk(data, spans.T.tobytes(), scan.tables, scan.layout)
    return [
        Walk(np.frombuffer(starts, np.uint32), _ENDS[end], int(stop))
        for (starts, end), stop in zip(found, spans[1], strict=True)
    ]


def find_scans(data: bytes, header: JpegHeader) -> list[Scan]:
    """The scans of the picture that begins at the first byte of `data`.

    Tables that are not given are the standard ones (H1). A scan whose header makes no sense ends the list.
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
    """A scan by its header; None where that names what there is not."""
    body = data[sos.body : sos.end]
    names, selectors = body[1 : 1 + 2 * body[0] : 2], body[2 : 2 + 2 * body[0] : 2]
    components = tuple(header.component_ids.index(name) for name in names if name in header.component_ids)
    used = [(selector >> 4, 16 | selector & 15) for selector in selectors]
    walkable = not header.progressive and not header.arithmetic
    kinds = sorted({name for pair in used for name in pair}) if walkable else []
    if not components or len(components) < len(selectors) or not huffman.keys() >= {*kinds}:
        return None
    high, wide, blocks = _grid(header, components)
    layout = [name for pair, count in zip(used, blocks, strict=True) for _ in range(count) for name in pair]
    return Scan(
        offset=sos.offset,
        start=sos.end,
        stop=stop,
        components=components,
        high=high,
        wide=wide,
        restart_interval=interval,
        restarts=tuple(match.start() for match in _RESTART.finditer(data, sos.end, stop)),
        tables=tuple(huffman[name] for name in kinds),
        layout=bytes(map(kinds.index, layout)) if walkable else b"",
    )


def _tables_of(body: bytes) -> dict[int, bytes]:
    return {table.name: table.body[1:] for table in tables_in(DHT, body) if table.whole}


def _grid(header: JpegHeader, components: tuple[int, ...]) -> tuple[int, int, list[int]]:
    """MCUs down and across of a scan, and how many blocks of each component are in one (T.81, A.2)."""
    h_max, v_max = (max(axis) for axis in zip(*header.factors, strict=True))
    if len(components) == 1:
        h, v = header.factors[components[0]]
        lines, columns = -(-header.height * v // v_max), -(-header.width * h // h_max)
        return -(-lines // 8), -(-columns // 8), [1]
    blocks = [h * v for h, v in (header.factors[part] for part in components)]
    return -(-header.height // (8 * v_max)), -(-header.width // (8 * h_max)), blocks
