"""The marker segments of a JPEG, walked by their lengths.

Nothing is ever searched for inside a segment, so a thumbnail in an EXIF segment (H4) does not look like a
picture and a broken APP0 (H3) is stepped over.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
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


def known_tables(earlier: bytes, own: bytes) -> bytes:
    """What a stream has said of its quantisation tables so far, for pictures that lack some (Q5).

    Args:
        earlier: DQT segments of the pictures before.
        own: those of the next picture; it may renew one table and leave the others as they were.

    Returns:
        A DQT segment for each table, its last definition.
    """
    if not own:
        return earlier
    latest: dict[int, bytes] = {}
    dqt, position = earlier + own, 0
    while (segment := next_segment(dqt, position)) is not None:
        body, position = dqt[segment.body : segment.end], segment.end
        while body:
            size = 129 if body[0] >> 4 else 65
            latest[body[0] & 15], body = body[:size], body[size:]
    return b"".join(b"\xff\xdb" + (len(table) + 2).to_bytes(2, "big") + table for table in latest.values())
