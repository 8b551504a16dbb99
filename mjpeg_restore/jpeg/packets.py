"""The contents of a stream's packets: one picture, two fields (S5, S6), tables alone (Q5), or a fragment (S10).

A field is a JPEG of its own, of half the height.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from typing import Final

from mjpeg_restore.errors import JpegError
from mjpeg_restore.frames import Sampling
from mjpeg_restore.jpeg.header import JpegHeader
from mjpeg_restore.jpeg.markers import scan
from mjpeg_restore.jpeg.segments import (
    DHT,
    DQT,
    defines_only_tables,
    find_start,
    known_tables,
    latest_tables,
    loose_tables,
    segments,
)
from mjpeg_restore.jpeg.splitter import split

_FIELD_HEIGHT: Final = 3 / 4
"""S5: a picture below this share of the container's height is a field, by FFmpeg's rule."""
_FRAGMENT_BYTES: Final = 128
"""S10: a shorter packet without a scan is a fragment; longer ones count as damaged pictures."""

_Format = tuple[int, int, Sampling, bool]
"""What all fields of a stream have in common: width, height, sampling, and whether AVI1 names the field (H2)."""


@dataclass(frozen=True, slots=True)
class Part:
    """One coded picture of a packet: its header has been read, its coefficients have not."""

    data: bytes = field(repr=False)
    """The packet from its first byte or, for a second field, from the end of the first."""
    header: JpegHeader
    tables: bytes = field(repr=False)
    """DQT and DHT segments of the previous pictures, for a picture that lacks tables (Q5)."""


@dataclass(frozen=True, slots=True)
class Parts:
    """The pictures of one packet."""

    pictures: tuple[Part, ...]
    """One picture, or the two fields of a frame."""
    extra: int = 0
    """Pictures that follow and are no fields (S5); `pictures` leaves them out."""
    unpaired: bool = False
    """True: the picture is a field whose other one is missing or unreadable (S6), and is used for both."""


class HeaderWalk:
    """Reads the headers of a stream's packets in order, and remembers their tables for pictures that lack them (Q5)."""

    def __init__(self, container_height: int | None = None, codec_tag: str = "", *, independent: bool = False) -> None:
        """Begin a stream.

        Args:
            container_height: pixels down by the container; None where it is not known.
            codec_tag: the container's four-character code; empty where there is none.
            independent: true for pictures from files of their own. Then only quantisation tables are remembered: a
                picture cannot be read without any, but one without Huffman tables uses the standard ones (H1).
        """
        self._independent = independent
        self._latest: bytes = b""  # the last tables remembered: most streams repeat theirs in every picture
        self.tables = b""
        """DQT and DHT segments: the latest definition of each table so far."""
        self._container_height = container_height
        self._codec_tag = codec_tag
        # Of the last two fields that shared a packet: another one alone in a packet lacks its partner (S6). Empty once
        # a picture of another format has followed them: the stream no longer consists of fields.
        self._field_formats: set[_Format] = set()

    def __call__(self, data: bytes) -> Parts:
        """Read the headers of the next packet.

        Raises:
            JpegError: the packet holds no picture that can be restored; its tables are remembered nevertheless.
        """
        try:
            parts = self._parts(data)
        except JpegError:
            self.remember(loose_tables(data))  # a packet may hold tables and no picture
            raise
        for part in parts.pictures:
            self.remember(part.header.tables)
        return parts

    def pass_over(self, data: bytes) -> None:
        """Remember the tables of a packet whose pictures are not shown."""
        with suppress(JpegError):
            self(data)

    def stands_alone(self, header: JpegHeader) -> bool:
        """Whether a later picture of the stream can be read without the pictures between it and the last one walked.

        It can if it defines all its quantisation tables and uses no Huffman table of an earlier picture: a picture in
        between may have redefined it.
        """
        if header.missing_tables:
            return False
        known = latest_tables(self.tables)
        return not any((DHT, name) in known for name in header.missing_huffman)

    def remember(self, tables: bytes) -> None:
        """Remember DQT and DHT segments, of a picture or from elsewhere."""
        if tables and tables != self._latest:
            self._latest = tables
            self.tables = known_tables(self.tables, tables, {DQT} if self._independent else {DQT, DHT})

    def forget(self) -> None:
        """Forget the pictures before: their tables, and whether they were fields."""
        self.tables = b""
        self._latest = b""
        self._field_formats = set()

    def _parts(self, data: bytes) -> Parts:
        try:
            first = scan(data, height=self._container_height or 0, codec_tag=self._codec_tag)
        except JpegError:
            second = self._second_field(data)
            if second is None:
                raise
            return Parts((second,), unpaired=True)
        part = Part(data, first, self.tables)
        if _format(first) not in self._field_formats:
            self._field_formats = set()
        unpaired = not self._independent and bool(self._field_formats)
        if find_start(data, first.end) < 0:
            return Parts((part,), unpaired=unpaired)
        rest = data[first.end :]
        try:
            second = scan(rest, codec_tag=self._codec_tag)
        except JpegError:  # S3: garbage
            return Parts((part,), unpaired=unpaired)
        if are_fields(first, second, self._container_height):
            self._field_formats = {_format(first), _format(second)}
            return Parts((part, Part(rest, second, known_tables(self.tables, first.tables))))
        return Parts((part,), extra=sum(1 for _ in split(rest)), unpaired=unpaired)

    def _second_field(self, data: bytes) -> Part | None:
        """The second field of a packet in which the header of the first one is unreadable (S6), or None."""
        if self._independent or not self._field_formats:
            return None
        for start, _ in islice(split(data), 2):  # whether or not the first one counts as a picture
            with suppress(JpegError):
                header = scan(data[start:], codec_tag=self._codec_tag)
                if _format(header) in self._field_formats:
                    self.remember(loose_tables(data[:start]))
                    return Part(data[start:], header, self.tables)
        return None


def _format(header: JpegHeader) -> _Format:
    return header.width, header.height, header.sampling, header.avi1_polarity in (1, 2)


def are_fields(first: JpegHeader, second: JpegHeader, container_height: int | None) -> bool:
    """Whether two pictures of one packet are the fields of a frame (S5): of one format, and well below its height.

    The upper field of a frame with an odd number of lines has one more.

    Where no container states the height, as with a camera, they are if their AVI1 segments name both fields (H2).
    """
    if (first.width, first.sampling) != (second.width, second.sampling) or abs(first.height - second.height) > 1:
        return False
    if container_height is None:
        return {first.avi1_polarity, second.avi1_polarity} == {1, 2}
    return first.height < _FIELD_HEIGHT * container_height


def is_fragment(data: bytes) -> bool:
    """Whether a packet is too short to be a damaged picture (S10): fewer than 128 bytes and no scan."""
    return len(data) < _FRAGMENT_BYTES and not any(split(data))


def is_tables_only(data: bytes) -> bool:
    """Whether a packet holds tables for later pictures, and no picture (Q5)."""
    if b"\xff\xda" in data or (start := find_start(data)) < 0:
        return False
    return defines_only_tables({segment.marker for segment in segments(data, start)})
