"""The pictures of a packet: one, or the two fields of one, each a JPEG of half the height (quirks S5, S6)."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field

from mjpeg_restore.errors import JpegError
from mjpeg_restore.jpeg.header import JpegHeader
from mjpeg_restore.jpeg.markers import scan
from mjpeg_restore.jpeg.segments import DHT, DQT, find_start, known_tables, latest_tables, loose_tables

_FIELD_HEIGHT = 3 / 4
"""A picture lower than this share of the container's height is a field."""


@dataclass(frozen=True, slots=True)
class Part:
    """One coded picture of a packet, walked but not read."""

    data: bytes = field(repr=False)
    header: JpegHeader
    tables: bytes = field(repr=False)
    """DQT and DHT segments of the pictures before, for one that lacks its own (Q5)."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What a packet holds."""

    pictures: tuple[Part, ...]
    """One picture, or the two fields of one."""
    extra: bool = False
    """A second picture follows that is no second field; it is not in `pictures`."""


class HeaderWalk:
    """Walks the headers of a stream's packets in their order, and remembers their tables: a picture that lacks its own
    means those of one before (Q5).
    """

    def __init__(self, container_height: int | None = None, codec_tag: str = "", *, independent: bool = False) -> None:
        """Begin a stream.

        Args:
            container_height: pixels down as the container says.
            codec_tag: the container's four-character code.
            independent: the pictures are no stream but come from files of their own. Then only quantisation tables are
                remembered: a picture without any cannot be read, one without Huffman tables means the standard ones.
        """
        self._independent = independent
        self._latest: bytes = b""  # what was remembered last: most streams say the same again and again
        self.tables = b""
        """The tables known so far, as DQT and DHT segments."""
        self._container_height = container_height
        self._codec_tag = codec_tag

    def __call__(self, data: bytes) -> Parts:
        """Walk the headers of the next packet.

        Raises:
            JpegError: there is no picture in it that can be restored.
        """
        try:
            parts = self._parts(data)
        except JpegError:
            self.remember(loose_tables(data))  # a packet may bring tables and no picture
            raise
        for part in parts.pictures:
            self.remember(part.header.tables)
        return parts

    def pass_over(self, data: bytes) -> None:
        """Take no more from a packet than its tables, where it has any."""
        with suppress(JpegError):
            self(data)

    def stands_alone(self, header: JpegHeader) -> bool:
        """Whether a picture somewhere in the stream can be read without those that lie between it and what was walked.

        It brings its quantisation tables and, where the pictures walked bring Huffman tables, these too: a picture that
        brings none may mean any that were given on the way.
        """
        if header.missing_tables:
            return False
        known = latest_tables(self.tables)
        return not any((DHT, name) in known for name in header.missing_huffman)

    def remember(self, tables: bytes) -> None:
        """Add tables that came by another way, as DQT and DHT segments."""
        if tables and tables != self._latest:
            self._latest = tables
            self.tables = known_tables(self.tables, tables, {DQT} if self._independent else {DQT, DHT})

    def forget(self) -> None:
        """Begin anew, at a discontinuity: tables of the pictures before hold no more."""
        self.tables = b""
        self._latest = b""

    def _parts(self, data: bytes) -> Parts:
        first = scan(data, height=self._container_height or 0, codec_tag=self._codec_tag)
        part = Part(data, first, self.tables)
        if find_start(data, first.end) < 0:
            return Parts((part,))
        rest = data[first.end :]
        try:
            second = scan(rest, codec_tag=self._codec_tag)
        except JpegError:  # S3: only garbage
            return Parts((part,))
        if are_fields(first, second, self._container_height):
            return Parts((part, Part(rest, second, known_tables(self.tables, first.tables))))
        return Parts((part,), extra=True)


def are_fields(first: JpegHeader, second: JpegHeader, container_height: int | None) -> bool:
    """Whether two pictures of one packet are the fields of a frame."""
    alike = (first.width, first.height, first.sampling) == (second.width, second.height, second.sampling)
    return alike and container_height is not None and first.height < _FIELD_HEIGHT * container_height
