"""The marker segments of a JPEG, walked by their lengths, and the tables in DQT and DHT segments.

The contents of a segment are never searched for markers, so a thumbnail in an EXIF segment (H4) does not look like a
picture, and a broken APP0 (H3) is stepped over.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from collections.abc import Set as AbstractSet
from typing import Final, NamedTuple

SOF: Final = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})
"""Start of frame of every process: baseline, progressive, lossless, hierarchical, arithmetic."""
DHT: Final = 0xC4
SOI: Final = 0xD8
EOI: Final = 0xD9
SOS: Final = 0xDA
DQT: Final = 0xDB
DNL: Final = 0xDC
DRI: Final = 0xDD
APP0: Final = 0xE0
COM: Final = 0xFE

_START: Final = b"\xff\xd8\xff"
_EXIF: Final = b"Exif\0\0"
# In entropy-coded data FF occurs only as FF00, as RSTn and as fill bytes in front of a marker (T.81, B.1.1). Between
# segments RSTn has no meaning either, so one search serves everywhere.
_MARKER: Final = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
_WITH_LENGTH: Final = frozenset({*range(0xC0, 0xC8), *range(0xC9, 0xD0), *range(SOS, 0xF0), COM})
"""Markers that a length follows (T.81, table B.1); FFC8 is reserved."""
_NOISE: Final = 0x02
"""Stands for a marker that is none: a code reserved by T.81, and refused in a header."""


class Segment(NamedTuple):
    """One marker and its contents."""

    marker: int
    """The byte after FF."""
    offset: int
    """Offset of the FF."""
    body: int
    """Offset of the contents, behind the length."""
    end: int
    """First byte behind the contents; behind SOS the entropy-coded data begin there."""

    @property
    def known(self) -> bool:
        """False for a marker that no supported picture holds: a flipped bit made it (S11)."""
        return self.marker in _WITH_LENGTH or self.marker in (0x01, SOI, EOI)


def find_start(data: bytes | bytearray, position: int = 0) -> int:
    """Offset of the next picture's SOI at or after `position`, or -1 (S4: anything may stand before it)."""
    return data.find(_START, position)


def find_marker(data: bytes | bytearray, position: int) -> int:
    """Offset of the first marker from `position` on; if there is none, the offset at which a later search begins."""
    match = _MARKER.search(data, position)
    if match is not None:
        return match.start()
    return max(position, len(data) - data.endswith(b"\xff"))


def next_segment(data: bytes | bytearray, position: int) -> Segment | None:
    """The first marker segment at or after `position`; None where it is not complete, or there is none."""
    match = _MARKER.search(data, position)
    if match is None:
        return None
    offset = match.start()
    marker = data[offset + 1]
    if marker == SOI:
        if offset + 2 >= len(data):
            return None
        if data[offset + 2] != 0xFF:  # no picture begins like this
            return Segment(_NOISE, offset, offset + 2, offset + 2)
    if marker not in _WITH_LENGTH:
        return Segment(marker, offset, offset + 2, offset + 2)
    if offset + 4 > len(data):
        return None
    length = data[offset + 2] << 8 | data[offset + 3]
    end = offset + 2 + max(length, 2)  # H3: a length of 0 or 1 is read as 2, its own size
    return Segment(marker, offset, offset + 4, end) if end <= len(data) else None


def segments(data: bytes | bytearray, start: int) -> Iterator[Segment]:
    """The segments of the picture whose SOI is at `start`, without that SOI.

    The last one is EOI. Without EOI (S1) they end in front of the next picture's SOI, or with the data.
    """
    position = start + 2
    while (segment := next_segment(data, position)) is not None and segment.marker != SOI:
        yield segment
        if segment.marker == EOI:
            return
        position = segment.end


def following_start(data: bytes | bytearray, end: int) -> int:
    """Offset of the SOI of the picture behind another one, or -1.

    Where the data end within an EXIF segment, nothing follows: what looks like a picture is the thumbnail that the
    segment holds (H4). Any other segment without an end has a wrong length or is a flipped bit (S11), and pictures may
    follow.

    Args:
        data: holds both.
        end: end of the first picture's last complete segment.
    """
    offset = find_marker(data, end)
    is_exif = data.startswith(_EXIF, offset + 4) and data[offset + 1] == APP0 + 1
    if is_exif and next_segment(data, offset) is None:
        return -1
    return find_start(data, end)


_NAMES: Final = {DQT: frozenset(range(4)), DHT: frozenset({*range(4), *range(16, 20)})}
"""Names of the tables to which a picture can refer: four of each kind."""


class Table(NamedTuple):
    """One table of a DQT or DHT segment."""

    marker: int
    """DQT or DHT."""
    name: int
    """DQT: its number, 0 to 15. DHT: its class (0 for DC, 16 for AC) plus its number."""
    body: bytes
    """Its definition, as in the segment."""

    @property
    def whole(self) -> bool:
        """False where the segment ends before the table does."""
        return len(self.body) == _table_size(self.marker, self.body)


def tables_in(marker: int, body: bytes) -> Iterator[Table]:
    """The tables in the contents of a DQT or DHT segment; the last one may be cut off (see `Table.whole`)."""
    position = 0
    while position < len(body):
        first = body[position]
        table = body[position : position + _table_size(marker, body[position : position + 17])]
        yield Table(marker, first & 15 if marker == DQT else first, table)
        position += len(table)


def _table_size(marker: int, head: bytes) -> int:
    """Bytes of the table that begins with `head`: DQT has 64 steps of 8 or 16 bits, DHT 16 counts and their values."""
    if marker == DQT:
        return 129 if head[0] >> 4 else 65
    return 17 + sum(head[1:17])


def known_tables(earlier: bytes, own: bytes, kinds: Collection[int] = (DQT, DHT)) -> bytes:
    """The tables that a stream has defined so far, for pictures that lack some (Q5).

    Args:
        earlier: DQT and DHT segments of the previous pictures.
        own: DQT and DHT segments of the next picture; a table that it does not redefine stays as it was.
        kinds: markers of the kinds of table that are kept.

    Returns:
        One segment for each table, with its latest definition.
    """
    if not own:
        return earlier
    return b"".join(
        bytes([0xFF, marker]) + (len(body) + 2).to_bytes(2, "big") + body
        for (marker, _), body in latest_tables(earlier + own).items()
        if marker in kinds
    )


def latest_tables(tables: bytes) -> dict[tuple[int, int], bytes]:
    """The latest definition of each table in DQT and DHT segments, by marker and name (see `Table`)."""
    latest: dict[tuple[int, int], bytes] = {}
    position = 0
    while (segment := next_segment(tables, position)) is not None:
        position = segment.end
        for table in tables_in(segment.marker, tables[segment.body : segment.end]):
            if table.whole and table.name in _NAMES[table.marker]:
                latest[table.marker, table.name] = table.body
    return latest


def loose_tables(data: bytes) -> bytes:
    """The tables in data that hold no readable picture, in the form of `known_tables`."""
    found: list[bytes] = []
    start = find_start(data)
    while start >= 0:
        end = start + 2
        for segment in segments(data, start):
            end = segment.end
            if segment.marker in (DQT, DHT):
                found.append(data[segment.offset : end])
        start = following_start(data, end)
    return known_tables(b"", b"".join(found))


def defines_only_tables(markers: AbstractSet[int]) -> bool:
    """Whether a datastream with these markers is complete and holds tables and no picture (Q5; T.81, B.5)."""
    return EOI in markers and bool({DQT, DHT} & markers) and not ({SOS} | SOF) & markers
