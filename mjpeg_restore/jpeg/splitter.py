"""Splits bytes into pictures: packets that hold several, raw `.mjpeg` files, multipart dumps."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from mjpeg_restore.jpeg.buffers import as_bytes
from mjpeg_restore.jpeg.segments import (
    EOI,
    SOI,
    SOS,
    defines_only_tables,
    find_marker,
    find_start,
    following_start,
    next_segment,
    segments,
)

if TYPE_CHECKING:
    from typing_extensions import Buffer

MAX_PICTURE_BYTES: Final = 32 << 20
"""A coded picture longer than this counts as noise and is dropped."""

MAX_FRONT_BYTES: Final = 1 << 16
"""A datastream of tables belongs to the next picture if it begins at most this far in front of it (Q5)."""


class Splitter:
    """Splits a stream of bytes into pictures as the bytes arrive.

    Foreign bytes may stand between pictures: HTTP headers, boundaries, garbage (S3, S4). A picture ends with its EOI
    or, without EOI (S1), in front of the SOI of the next one. A datastream of tables alone, SOI to EOI, is kept in
    front of the next picture (Q5). Memory is bounded by one picture and the tables in front of it.
    """

    def __init__(self, max_picture_bytes: int = MAX_PICTURE_BYTES) -> None:
        """Begin a stream.

        Args:
            max_picture_bytes: longer pictures are dropped and counted.
        """
        self._max = max_picture_bytes
        self._buffer = bytearray()
        self._offset = 0  # offset of the buffer's first byte in the stream
        self._front = 0  # bytes at the beginning of the buffer that precede the next picture's SOI and belong to it
        self._position = 0  # offset in the buffer up to which it has been searched
        self._inside = False  # True: the SOI of a picture has been found behind `_front`
        self._markers: set[int] = set()  # the markers found in that picture
        self.dropped = 0
        """Pictures dropped so far because they were longer than allowed."""

    def feed(self, data: bytes) -> list[tuple[int, bytes]]:
        """Take the next bytes of the stream; return (offset in the stream, picture) for each complete picture."""
        self._buffer += data
        done: list[tuple[int, bytes]] = []
        while self._seek_start() and (end := self._seek_end()):
            self._take(end, done)
        if self._inside and len(self._buffer) > self._max:
            self.dropped += 1
            self._discard(self._position)
        return done

    def flush(self) -> list[tuple[int, bytes]]:
        """End the stream; return the pictures still in the buffer: one without EOI (S1), and those behind it."""
        rest = bytes(self._buffer)
        done = [(self._offset + start, rest[start:end]) for start, end in split(rest)]
        self._discard(len(rest))
        return done

    def _seek_start(self) -> bool:
        """Find the next SOI, and drop the foreign bytes in front of it; False where more bytes are needed."""
        if self._inside:
            return True
        start = find_start(self._buffer, self._front)
        if start < 0:
            if not self._front or len(self._buffer) > MAX_FRONT_BYTES + 2:
                self._discard(max(0, len(self._buffer) - 2))  # the next bytes may complete an SOI
            return False
        if not self._front or start > MAX_FRONT_BYTES:
            self._discard(start)
            start = 0
        self._inside, self._position = True, start + 2
        return True

    def _seek_end(self) -> int:
        """Length of the picture at the beginning of the buffer; 0 where more bytes are needed."""
        while True:
            # Kept, so that a picture which arrives in many pieces is searched only once.
            self._position = find_marker(self._buffer, self._position)
            segment = next_segment(self._buffer, self._position)
            if segment is None:
                return 0
            if segment.marker == SOI:
                return segment.offset
            self._position = segment.end
            self._markers.add(segment.marker)
            if segment.marker == EOI:
                return segment.end

    def _take(self, end: int, done: list[tuple[int, bytes]]) -> None:
        """Move the picture at the beginning of the buffer to `done`; without a scan it is no picture (S10)."""
        if defines_only_tables(self._markers) or (self._front and not self._markers):  # or a doubled SOI
            self._front, self._inside = end, False
            self._markers.clear()
            return
        if end > self._max:
            self.dropped += 1
        elif SOS in self._markers:
            done.append((self._offset, bytes(self._buffer[:end])))
        self._discard(end)

    def _discard(self, count: int) -> None:
        """Drop the buffer's first bytes and the state of the search."""
        del self._buffer[:count]
        self._offset += count
        self._position = self._front = 0
        self._inside = False
        self._markers.clear()


def split(data: Buffer) -> Iterator[tuple[int, int]]:
    """Yield (start, end) of each picture in `data`, in order; foreign bytes are left out.

    Two fields of one frame, or two frames, may share a packet (S5). Data without a scan are no picture (S10). A
    datastream of tables alone belongs to the picture behind it (Q5).

    Raises:
        TypeError: `data` is not a buffer of bytes.
    """
    data = as_bytes(data)
    start = find_start(data)
    front = -1  # start of the datastreams of tables that belong to the next picture; -1: none
    while start >= 0:
        end, markers = start + 2, set[int]()
        for segment in segments(data, start):
            end = segment.end
            markers.add(segment.marker)
        following = following_start(data, end)
        if EOI not in markers:  # S1: the picture ends where the next one begins, or with the data
            end = following if following >= 0 else len(data)
        first = front if front >= 0 and start - front <= MAX_FRONT_BYTES else start
        if SOS in markers:
            yield first, end
        front = first if defines_only_tables(markers) or (first < start and not markers) else -1
        start = following
