"""The marker segments of a JPEG, walked by their lengths.

Nothing is ever searched for inside a segment, so a thumbnail in an EXIF segment (H4) does not look like a
picture and a broken APP0 (H3) is stepped over.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from typing import Final, NamedTuple

SOF: Final = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})
"""Start of frame, of every kind: baseline, progressive, lossless, hierarchical, arithmetic."""
DHT: Final = 0xC4
DAC: Final = 0xCC
SOI: Final = 0xD8
EOI: Final = 0xD9
SOS: Final = 0xDA
DQT: Final = 0xDB
DNL: Final = 0xDC
DRI: Final = 0xDD
APP0: Final = 0xE0
COM: Final = 0xFE

_START = b"\xff\xd8\xff"
# Entropy-coded data knows only FF00, RSTn and, before a marker, FF as filling; a restart marker between two
# segments means nothing either, so that one search serves everywhere.
_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
_WITH_LENGTH = frozenset({*range(0xC0, 0xC8), *range(0xC9, 0xD0), *range(SOS, 0xF0), COM})


class Segment(NamedTuple):
    """One marker with what belongs to it."""

    marker: int
    """The byte after FF."""
    offset: int
    """Where the FF stands."""
    body: int
    """Where the contents begin, after the length."""
    end: int
    """First byte after the contents; for SOS that is where the entropy-coded data begins."""

    @property
    def known(self) -> bool:
        """False for a marker that no picture of ours can hold: the trace of a flipped bit."""
        return self.marker in _WITH_LENGTH or self.marker in (0x01, SOI, EOI)


def find_start(data: bytes | bytearray, position: int = 0) -> int:
    """Offset of the next picture's SOI at or after `position`, or -1 (S4: anything may stand before it)."""
    return data.find(_START, position)


def find_marker(data: bytes | bytearray, position: int) -> int:
    """Offset of the first marker from `position` on, else of the first byte that may yet begin one."""
    match = _MARKER.search(data, position)
    if match is not None:
        return match.start()
    return max(position, len(data) - data.endswith(b"\xff"))


def next_segment(data: bytes | bytearray, position: int) -> Segment | None:
    """The first marker segment at or after `position`; None where the data end before it does."""
    match = _MARKER.search(data, position)
    if match is None:
        return None
    offset = match.start()
    marker = data[offset + 1]
    if marker == SOI:
        if offset + 2 >= len(data):
            return None
        if data[offset + 2] != 0xFF:  # no picture begins like this: two bytes of noise
            return Segment(0x02, offset, offset + 2, offset + 2)
    if marker not in _WITH_LENGTH:
        return Segment(marker, offset, offset + 2, offset + 2)
    if offset + 4 > len(data):
        return None
    length = data[offset + 2] << 8 | data[offset + 3]
    end = offset + 2 + max(length, 2)  # H3: a length of 0 or 1 still takes its own two bytes
    return Segment(marker, offset, offset + 4, end) if end <= len(data) else None


def segments(data: bytes | bytearray, start: int) -> Iterator[Segment]:
    """The segments of the picture whose SOI stands at `start`.

    The last one is EOI where there is one; without it (S1) the walk ends at the SOI of the next picture,
    which is not part of it, or at the end of the data.
    """
    position = start + 2
    while (segment := next_segment(data, position)) is not None and segment.marker != SOI:
        yield segment
        if segment.marker == EOI:
            return
        position = segment.end


_NAMES: Final = {DQT: frozenset(range(4)), DHT: frozenset({*range(4), *range(16, 20)})}
"""What a picture can refer to: four tables of each kind."""


class Table(NamedTuple):
    """One table of a DQT or DHT segment."""

    marker: int
    """DQT or DHT."""
    name: int
    """DQT: its number, 0 to 15. DHT: its class (0 DC, 16 AC) and its number."""
    body: bytes
    """Its definition, as it stands in the segment."""

    @property
    def whole(self) -> bool:
        """False where the segment ends before the table does."""
        return len(self.body) == _table_size(self.marker, self.body)


def tables_in(marker: int, body: bytes) -> Iterator[Table]:
    """The tables in the contents of a DQT or DHT segment; the last one may be cut off."""
    position = 0
    while position < len(body):
        first = body[position]
        table = body[position : position + _table_size(marker, body[position : position + 17])]
        yield Table(marker, first & 15 if marker == DQT else first, table)
        position += len(table)


def _table_size(marker: int, head: bytes) -> int:
    """Bytes of the table that begins so: DQT has 64 steps of 8 or 16 bits, DHT 16 counts and as many values."""
    if marker == DQT:
        return 129 if head[0] >> 4 else 65
    return 17 + sum(head[1:17])


def known_tables(earlier: bytes, own: bytes, kinds: Collection[int] = (DQT, DHT)) -> bytes:
    """What a stream has said of its tables so far, for pictures that lack some (Q5).

    Args:
        earlier: DQT and DHT segments of the pictures before.
        own: those of the next picture; it may renew one table and leave the others as they were.
        kinds: markers of the kinds that are kept.

    Returns:
        A segment for each table, its last definition.
    """
    if not own:
        return earlier
    return b"".join(
        bytes([0xFF, marker]) + (len(body) + 2).to_bytes(2, "big") + body
        for (marker, _), body in latest_tables(earlier + own).items()
        if marker in kinds
    )


def latest_tables(tables: bytes) -> dict[tuple[int, int], bytes]:
    """The last definition of each table in DQT and DHT segments, by marker and name (see `Table`)."""
    latest: dict[tuple[int, int], bytes] = {}
    position = 0
    while (segment := next_segment(tables, position)) is not None:
        position = segment.end
        for table in tables_in(segment.marker, tables[segment.body : segment.end]):
            if table.whole and table.name in _NAMES[table.marker]:
                latest[table.marker, table.name] = table.body
    return latest


def loose_tables(data: bytes) -> bytes:
    """The tables in bytes of which no picture can be made, as `known_tables` gives them."""
    found: list[bytes] = []
    start = find_start(data)
    while start >= 0:
        end = start + 2
        for segment in segments(data, start):
            end = segment.end
            if segment.marker in (DQT, DHT):
                found.append(data[segment.offset : end])
        start = find_start(data, end)
    return known_tables(b"", b"".join(found))
