"""Splits what a camera sends over HTTP into pictures: multipart streams as they really are, and bare JPEGs.

Neither the announced boundary nor the headers are relied upon. A picture is found by its SOI, whatever precedes it
(M2, M8), and ends at the first of

- its EOI, found by walking its markers (M4);
- the end that its Content-Length states, if an EOI stands there or a boundary follows (M3): it then need not have an
  EOI, and its markers may be broken;
- a boundary, that is any line of a multipart syntax (M1): the picture is cut off (S2);
- the SOI of the next picture, without the headers in front of it (S1).

So a picture is complete with its last byte, and never waits for the next one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Final

from mjpeg_restore.jpeg.segments import (
    EOI,
    SOF,
    SOI,
    SOS,
    Segment,
    defines_only_tables,
    find_marker,
    find_start,
    next_segment,
)
from mjpeg_restore.jpeg.splitter import MAX_FRONT_BYTES, MAX_PICTURE_BYTES
from mjpeg_restore.sources.live.headers import PartHeaders, header_start

MAX_GAP_BYTES: Final = 1 << 14
"""Bytes between two pictures, headers included; what precedes the last ones of a longer gap is lost."""

_WAIT: Final = -1
"""Instead of a length: more bytes are needed to tell it."""
_CR: Final = 0x0D
_EOI: Final = b"\xff\xd9"
# A boundary within data that may hold any bytes: a line that begins with two hyphens, and either ends with two (M7) or
# is followed by a header or an empty line. Its name is not compared with the announced one (M1, M6).
_HYPHENS = re.compile(rb"\n--")  # faster than bytearray.find
_BOUNDARY = re.compile(rb"\n--[!-~][ -~]{0,200}?(?:--[ \t]*\r?\n|\r?\n(?:\r?\n|[A-Za-z][A-Za-z0-9-]{0,40}[ \t]*:))")
_BOUNDARY_BEGUN = re.compile(
    rb"\n--(?:[!-~][ -~]{0,200}[ \t]*(?:\r?(?:\n(?:\r|[A-Za-z][A-Za-z0-9-]{0,40}[ \t]*)?)?)?)?\Z"
)
_BOUNDARY_FOLLOWS = re.compile(rb"(?:\r?\n)?--")
_BOUNDARY_BEGINS: Final = (b"", b"\r", b"\n", b"-", b"\r\n", b"\n-", b"\r\n-")
_FIELD = re.compile(rb"\xff\xd8\xff\xe0..AVI1([\x01\x02])", re.DOTALL)
_FIELD_BYTES: Final = 11
"""A picture's first bytes, in which `_FIELD` finds the polarity of a field."""
_HEADER_SEGMENTS: Final = 64
"""Segments of a picture among which its frame header is searched: they are walked again as more bytes arrive."""


@dataclass(frozen=True, slots=True)
class PartPicture:
    """A picture of the stream."""

    data: bytes = field(repr=False)
    """From its SOI, or from the tables sent in front of it (Q5). Two fields of one part are together, and so are a
    picture and its preview, once a length has proved true (S5, S6)."""
    stamp: Fraction | None
    """X-Timestamp, in seconds."""
    lost: bool
    """True: more than the limits allow was dropped before it."""


class MultipartReader:
    """Finds the pictures in a stream as its bytes arrive. The bytes alone decide, not the pieces in which they come.

    Memory is bounded by one picture of at most `MAX_PICTURE_BYTES`, and `MAX_GAP_BYTES` in front of it.
    """

    def __init__(self, max_picture_bytes: int = MAX_PICTURE_BYTES) -> None:
        """Begin a stream.

        Args:
            max_picture_bytes: longer pictures are dropped.
        """
        self._max = max_picture_bytes
        self._buffer = bytearray()
        self._inside = False  # True: the buffer begins with the SOI of a picture
        self._position = 0  # offset up to which the buffer has been searched for an SOI or for a marker
        self._searched = 0  # offset up to which the buffer has been searched for a boundary
        self._gap = 0  # bytes dropped since the last picture
        self._markers: set[int] = set()  # the markers found in the picture
        self._limit: int | None = None  # offset of the end that Content-Length states, while it may be true
        self._ended = 0  # offset of an EOI at which the picture ends, unless its length proves true; 0: none
        self._true_lengths = False  # True: the last picture ended where its length said
        self._without_eoi = False  # True: and it had no EOI there
        self._stamp: Fraction | None = None
        self._tables = b""  # datastreams of tables for the next picture (Q5)
        self._lost = False

    def feed(self, data: bytes) -> list[PartPicture]:
        """Take the next bytes of the stream; return the pictures that they complete."""
        self._buffer += data
        done: list[PartPicture] = []
        while self._seek_start() and (end := self._seek_end()):
            self._take(end, done)
        if self._inside and len(self._buffer) > self._max:
            self._drop(len(self._buffer))
        return done

    def flush(self) -> list[PartPicture]:
        """End the stream; return the picture that has begun, if it has a scan (S2)."""
        done: list[PartPicture] = []
        if self._inside:
            self._take(self._ended or len(self._buffer), done)
        return done

    def _seek_start(self) -> bool:
        """Find the next SOI, and read the headers in front of it; False where more bytes are needed."""
        if self._inside:
            return True
        start = find_start(self._buffer, self._position)
        if start < 0:
            self._position = max(self._position, len(self._buffer) - 2)
            if len(self._buffer) > 2 * MAX_GAP_BYTES:
                self._discard(len(self._buffer) - MAX_GAP_BYTES)
            return False
        gap = bytes(self._buffer[max(0, start - MAX_GAP_BYTES) : start])
        self._lost |= self._gap + start > MAX_GAP_BYTES
        if gap.strip():
            headers = PartHeaders.parse(gap)
            self._limit = None if headers.length is None else start - len(gap) + headers.end + headers.length
            self._stamp = headers.stamp
        self._discard(start)
        if self._limit is not None and not 2 < self._limit <= self._max:
            self._limit = None
        self._inside, self._gap = True, 0
        self._position = 2
        return True

    def _seek_end(self) -> int:
        """Length of the picture at the beginning of the buffer; 0 where more bytes are needed."""
        while True:
            if self._ended:
                segment = self._next_picture()
            else:
                # Kept, so that a picture which arrives in many pieces is searched only once.
                self._position = find_marker(self._buffer, self._position)
                segment = next_segment(self._buffer, self._position)
            reach = len(self._buffer) if segment is None else segment.end
            limit = self._limit
            if limit is not None and limit < reach + (segment is None or self._ended > 0):
                end = self._seek_boundary(limit) or self._end_at_limit(limit)
            else:
                end = self._seek_boundary(reach) or (_WAIT if segment is None else self._pass(segment))
            if end:
                return max(end, 0)

    def _pass(self, segment: Segment) -> int:
        """Step over a marker segment; the picture's length if it ends there, else 0 or `_WAIT`."""
        if segment.marker == SOI and self._ended:
            return self._pass_second(segment)
        if segment.marker == SOI:
            return header_start(self._buffer, segment.offset, MAX_GAP_BYTES)
        self._position = segment.end
        self._markers.add(segment.marker)
        if segment.marker != EOI:
            return 0
        ends_early = self._limit is not None and segment.end < self._limit and SOS in self._markers
        # S5, S6: the second field may follow. S11: a flipped bit may have made an EOI, if lengths are known to be true.
        if ends_early and (self._true_lengths or _FIELD.match(self._buffer)):
            self._ended = segment.end
            return 0
        self._learn(true=self._limit == segment.end)
        return segment.end

    def _next_picture(self) -> Segment | None:
        """The SOI behind the EOI of a picture whose length says that more follows."""
        start = find_start(self._buffer, self._position)
        self._position = start if start >= 0 else max(self._position, len(self._buffer) - 2)
        return Segment(SOI, start, start + 2, start + 2) if start >= 0 else None

    def _pass_second(self, segment: Segment) -> int:
        """Continue with a second picture if it belongs to the first; see `_pass`.

        It does if it is the other field of the frame, by the AVI1 segments, or has fewer pixels, as a preview has. Any
        other one is a frame of its own.
        """
        if len(self._buffer) < segment.offset + _FIELD_BYTES:
            return _WAIT
        first, second = _FIELD.match(self._buffer), _FIELD.match(self._buffer, segment.offset)
        if first and second and first[1] != second[1]:
            self._position, self._ended = segment.end, 0
            return 0
        limit = self._limit or 0
        pixels = _pixels(self._buffer, segment.offset, limit)
        if pixels is None and len(self._buffer) < limit:
            return _WAIT
        if (pixels or 0) >= (_pixels(self._buffer, 0, limit) or 0):
            return self._ended
        self._position = segment.end  # S5: the part ends where its length says, else with the first picture
        return 0

    def _seek_boundary(self, reach: int) -> int:
        """The picture's length if a boundary ends it before `reach`, else 0 or `_WAIT`."""
        while True:
            line = _HYPHENS.search(self._buffer, self._searched, reach)
            if line is None:
                self._searched = max(self._searched, reach - 2)
                return 0
            self._searched = found = line.start()
            if _BOUNDARY.match(self._buffer, found):
                self._learn(true=False)
                return self._ended or found - (self._buffer[found - 1] == _CR)
            if _BOUNDARY_BEGUN.match(self._buffer, found):
                return _WAIT
            self._searched = found + 1

    def _end_at_limit(self, limit: int) -> int:
        """The picture's length if its Content-Length is true (M3), else 0 or `_WAIT`."""
        if self._buffer.endswith(_EOI, 0, limit):
            self._learn(true=True)
            return limit
        after = bytes(self._buffer[limit : limit + 4])
        if self._without_eoi or _BOUNDARY_FOLLOWS.match(after):
            self._learn(true=True)
            self._without_eoi = not self._ended
            return limit
        if after in _BOUNDARY_BEGINS:
            return _WAIT
        self._learn(true=False)
        self._limit = None
        return self._ended

    def _learn(self, *, true: bool) -> None:
        self._true_lengths, self._without_eoi = true, False

    def _take(self, end: int, done: list[PartPicture]) -> None:
        """Move the picture at the beginning of the buffer to `done`, even if it was cut off in its header."""
        if end > self._max:
            self._drop(end)
            return
        if EOI in self._markers and defines_only_tables(self._markers):
            if len(self._tables) + end <= MAX_FRONT_BYTES:
                self._tables += self._buffer[:end]
        elif self._markers - {EOI}:
            done.append(PartPicture(self._tables + self._buffer[:end], self._stamp, self._lost))
            self._tables, self._stamp, self._lost = b"", None, False
        self._discard(end)

    def _drop(self, end: int) -> None:
        self._lost, self._tables = True, b""
        self._discard(end)

    def _discard(self, count: int) -> None:
        """Drop the buffer's first bytes and the state of the search."""
        del self._buffer[:count]
        if self._limit is not None:
            self._limit = self._limit - count if self._limit > count else None  # another picture in the same part (S5)
        if not self._inside:
            self._gap += count
        self._inside = False
        # A preview that proved to belong to no part has been passed already.
        self._position = 0 if self._ended else max(0, self._position - count)
        self._searched = self._ended = 0
        self._markers.clear()


def _pixels(data: bytearray, start: int, end: int) -> int | None:
    """Pixels of the picture whose SOI is at `start`; 0 if its first segments do not tell.

    None: a segment is not complete before `end`.
    """
    position = start + 2
    for _ in range(_HEADER_SEGMENTS):
        segment = next_segment(data, position)
        if segment is None or segment.end > end:
            return None
        if segment.marker in SOF:
            height, width = data[segment.body + 1 : segment.body + 3], data[segment.body + 3 : segment.body + 5]
            return int.from_bytes(height, "big") * int.from_bytes(width, "big")
        if segment.marker in (SOI, SOS, EOI):
            break
        position = segment.end
    return 0
