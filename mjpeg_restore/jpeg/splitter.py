"""Pictures out of a run of bytes: a packet that holds several, a raw `.mjpeg` file, a multipart dump."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from mjpeg_restore.jpeg.buffers import as_bytes
from mjpeg_restore.jpeg.segments import DHT, DQT, EOI, SOF, SOI, SOS, find_marker, find_start, next_segment, segments

if TYPE_CHECKING:
    from typing_extensions import Buffer

MAX_PICTURE_BYTES: Final = 32 << 20
"""A coded picture longer than this is taken for noise and dropped."""

MAX_FRONT_BYTES: Final = 1 << 16
"""How far in front of a picture a datastream of tables may begin that belongs to it."""

_SCRAP_BYTES: Final = 128

_TABLES: Final = frozenset({DQT, DHT})


class Splitter:
    """Cuts a stream of bytes into pictures as the bytes arrive.

    Between pictures anything may stand: HTTP headers, boundaries, garbage (S3, S4). A picture ends with its
    EOI or, where that is missing (S1), with the SOI of the next one. Tables in a datastream of their own, SOI to EOI,
    stay in front of the next picture (Q5). Memory is bounded by one picture.
    """

    def __init__(self, max_picture_bytes: int = MAX_PICTURE_BYTES) -> None:
        """Pictures longer than `max_picture_bytes` are dropped and counted."""
        self._max = max_picture_bytes
        self._buffer = bytearray()
        self._offset = 0  # of the buffer's first byte in the stream
        self._front = 0  # length of what stands at the buffer's first byte and belongs to the next picture
        self._position = 0  # in the buffer: everything before it has been looked at
        self._inside = False  # a picture begins behind `_front`, or at the buffer's first byte
        self._markers: set[int] = set()  # of that picture
        self.dropped = 0
        """Pictures dropped so far because they were too long."""

    def feed(self, data: bytes) -> list[tuple[int, bytes]]:
        """Take the next bytes; return (offset in the stream, picture) for each picture that they end."""
        self._buffer += data
        done: list[tuple[int, bytes]] = []
        while self._seek_start() and (end := self._seek_end()):
            self._take(end, done)
        if self._inside and len(self._buffer) > self._max:
            self.dropped += 1
            self._discard(self._position)
        return done

    def flush(self) -> list[tuple[int, bytes]]:
        """The stream has ended: return what is still held, pictures without EOI and pictures behind them."""
        rest = bytes(self._buffer)
        done = [(self._offset + start, rest[start:end]) for start, end in split(rest)]
        self._discard(len(rest))
        return done

    def _seek_start(self) -> bool:
        """Find the next SOI, and drop what stands before it and belongs to nothing."""
        if self._inside:
            return True
        start = find_start(self._buffer, self._front)
        if start < 0:
            if not self._front or len(self._buffer) > MAX_FRONT_BYTES + 2:
                self._discard(max(0, len(self._buffer) - 2))  # an SOI may lie across two pieces
            return False
        if not self._front or start > MAX_FRONT_BYTES:
            self._discard(start)
            start = 0
        self._inside, self._position = True, start + 2
        return True

    def _seek_end(self) -> int:
        """Length of the picture at the front of the buffer, or 0 where more bytes are needed."""
        while True:
            # kept, so that a picture that arrives in many pieces is searched only once
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
        """Move the picture at the front of the buffer to `done`; without a scan it is no picture (S10)."""
        if _tables_alone(self._markers) or (self._front and not self._markers):  # or an SOI twice over
            self._front, self._inside = end, False
            self._markers.clear()
            return
        if end > self._max:
            self.dropped += 1
        elif SOS in self._markers:
            done.append((self._offset, bytes(self._buffer[:end])))
        self._discard(end)

    def _discard(self, count: int) -> None:
        """Forget the buffer's first bytes and what was known about them."""
        del self._buffer[:count]
        self._offset += count
        self._position = self._front = 0
        self._inside = False
        self._markers.clear()


def split(data: Buffer) -> Iterator[tuple[int, int]]:
    """(start, end) of each picture in `data`, in order; bytes that belong to none are left out.

    Two fields of one frame, or two frames, may share a packet (S5). What has no scan is no picture (S10). Tables in a
    datastream of their own belong to the picture behind them (Q5).

    Raises:
        TypeError: `data` is no buffer of bytes.
    """
    data = as_bytes(data)
    start = find_start(data)
    front = -1  # where tables begin that belong to the next picture
    while start >= 0:
        end, markers = start + 2, set[int]()
        for segment in segments(data, start):
            end = segment.end
            markers.add(segment.marker)
        following = find_start(data, end)
        if EOI not in markers:  # S1: it ends where the next one begins, or with the data
            end = following if following >= 0 else len(data)
        first = front if front >= 0 and start - front <= MAX_FRONT_BYTES else start
        if SOS in markers:
            yield first, end
        front = first if _tables_alone(markers) or (first < start and not markers) else -1
        start = following


def is_scrap(data: bytes) -> bool:
    """S10: whether a packet is one of the remains that cameras send, no damaged picture: a few bytes without a scan."""
    return len(data) < _SCRAP_BYTES and not any(split(data))


def is_tables(data: bytes) -> bool:
    """Whether a packet holds tables for the pictures behind it (Q5), and no picture."""
    if b"\xff\xda" in data or (start := find_start(data)) < 0:
        return False
    return _tables_alone({segment.marker for segment in segments(data, start)})


def _tables_alone(markers: set[int]) -> bool:
    """Whether a datastream, by its markers, is whole and brings tables and no picture."""
    return EOI in markers and bool(_TABLES & markers) and not ({SOS} | SOF) & markers
