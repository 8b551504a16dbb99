"""The header walk: reads a picture's markers, and refuses it before any C code runs if it is not restored.

A picture that passes is of a supported kind and no larger than its bytes can code. Any other raises an error that
names the reason and the offset.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mjpeg_restore.errors import BadJpeg, UnsupportedJpeg
from mjpeg_restore.frames import Sampling
from mjpeg_restore.jpeg import limits
from mjpeg_restore.jpeg.buffers import as_bytes
from mjpeg_restore.jpeg.header import JpegHeader
from mjpeg_restore.jpeg.metadata import Metadata
from mjpeg_restore.jpeg.sampling import Factors, subsampling
from mjpeg_restore.jpeg.segments import (
    APP0,
    COM,
    DHT,
    DNL,
    DQT,
    DRI,
    EOI,
    SOF,
    SOS,
    Segment,
    find_marker,
    find_start,
    following_start,
    known_tables,
    segments,
    tables_in,
)

if TYPE_CHECKING:
    from typing_extensions import Buffer

# Markers of frame headers (T.81, table B.1).
_PROGRESSIVE: Final = frozenset({0xC2, 0xCA})
_ARITHMETIC: Final = frozenset({0xC9, 0xCA})

_SEQUENTIAL_BLOCKS, _PROGRESSIVE_BLOCKS = 4, 8
"""B1: the most blocks that a byte of Huffman codes can hold. A block takes at least one bit for its DC and, where the
same scan codes its AC, one for its end. The arithmetic coder has no such limit: flat blocks cost it next to nothing."""


def scan(data: Buffer, *, height: int = 0, codec_tag: str = "", max_pixels: int = limits.MAX_PIXELS) -> JpegHeader:
    """Find the first picture in `data` and read its markers.

    Args:
        data: a packet, as bytes or any buffer of them; foreign bytes may stand before the picture (S4) and
            after it (S3).
        height: pixels down by the container, used where the picture's header says 0 and no DNL segment follows (P4);
            0 if not known.
        codec_tag: the container's four-character code, "MJPG" for instance; some codes change the meaning of a
            comment (C4). Empty where there is no container.
        max_pixels: the largest width times height allowed.

    Raises:
        BadJpeg: the data hold no picture, or it breaks off before its first scan.
        UnsupportedJpeg: the picture is of a kind that is not restored.
        TooLarge: it has more pixels than `max_pixels`, or more blocks than its bytes can code (B1).
        TypeError: `data` is not a buffer of bytes.
    """
    data = as_bytes(data)
    limits.refuse_codec(data, codec_tag)
    start = find_start(data)
    if start < 0:
        raise BadJpeg("no JPEG picture here: there is no FF D8 FF")
    front: list[bytes] = []
    count = 0
    while True:
        picture = _Picture(data, start, height, codec_tag, max_pixels, front)
        for segment in segments(data, start):
            count = _counted(count, segment.offset)
            picture.take(segment)
        start = following_start(data, picture.end)
        if picture.scans or start < 0:  # a doubled SOI, or tables alone, are not a picture yet
            return picture.header()
        count = _counted(count, start)
        front += picture.tables


def _counted(count: int, offset: int) -> int:
    """One more than `count`, unless that exceeds the limit on marker segments, SOIs included."""
    if count == limits.MAX_SEGMENTS:
        raise BadJpeg(f"more than {limits.MAX_SEGMENTS} marker segments", offset)
    return count + 1


class _Picture:
    """Collects the segments of one picture, in order, into a `JpegHeader`."""

    def __init__(
        self, data: bytes, start: int, height: int, codec_tag: str, max_pixels: int, front: list[bytes]
    ) -> None:
        self.data, self.start, self.end, self.stop = data, start, start + 2, 0
        self.height, self.container_height = 0, height
        self.codec_tag, self.max_pixels = codec_tag, max_pixels
        self.front = front  # table segments of datastreams in front of the SOI
        self.sof: Segment | None = None
        self.width = 0
        self.ids: tuple[int, ...] = ()
        self.factors: Factors = ()
        self.table_ids: tuple[int, ...] = ()
        self.scan_offset = self.scans = self.restart_interval = 0
        self.uncovered: set[int] = set()  # ids of the components that no scan has held yet
        self.has_eoi = self.wide_tables = self.zero_steps = False
        self.tables: list[bytes] = []
        self.given_tables: set[int] = set()
        self.given_huffman: set[int] = set()
        self.missing_huffman: set[int] = set()
        self.metadata = Metadata()

    def take(self, segment: Segment) -> None:
        """Read one segment."""
        marker = segment.marker
        self.end = segment.end
        if self.scans and self._is_noise(segment):
            self.stop = self.stop or segment.offset
        elif marker in limits.FRAME_MARKERS:
            self._take_frame(segment)
        elif marker == SOS:
            self._take_scan(segment)
        elif marker == DQT:
            self._take_quantisation(segment)
        elif marker == DHT:
            self._take_huffman(segment)
        elif marker == DNL:
            self.height = self.height or self._number(segment.body, 2)  # P4
        elif marker == DRI:
            self.restart_interval = self._number(segment.body, 2)
        elif marker == COM or APP0 <= marker < APP0 + 16:
            self.metadata.take(marker, self._body(segment))
        elif not segment.known:
            raise BadJpeg(f"marker FF{marker:02X} has no place in a JPEG header", segment.offset)
        self.has_eoi |= marker == EOI

    def _is_noise(self, segment: Segment) -> bool:
        """Whether a marker behind entropy-coded data is a flipped bit of those data (S11).

        The library may refuse the whole picture because of it; read up to the marker, the rows above it are kept.
        """
        if segment.marker in (EOI, DNL):
            return False
        sequential = self.sof is not None and self.sof.marker not in _PROGRESSIVE
        return not segment.known or segment.marker in SOF or (sequential and not self.uncovered)

    def _body(self, segment: Segment) -> bytes:
        return self.data[segment.body : segment.end]

    def _number(self, offset: int, size: int) -> int:
        return int.from_bytes(self.data[offset : offset + size], "big")

    def _take_frame(self, segment: Segment) -> None:
        body = self._body(segment)
        limits.refuse_process(segment, body[0] if body else 8)
        if self.sof is not None:
            raise BadJpeg("a second frame header", segment.offset)
        if len(body) < 6 or len(body) < 6 + 3 * body[5] or body[5] == 0:
            raise BadJpeg("the frame header is too short", segment.offset)
        self.sof = segment
        self.height = int.from_bytes(body[1:3], "big")
        self.width = int.from_bytes(body[3:5], "big")
        self.ids = tuple(body[6 : 6 + 3 * body[5] : 3])
        self.factors = tuple((byte >> 4, byte & 15) for byte in body[7 : 6 + 3 * body[5] : 3])
        self.table_ids = tuple(body[8 : 6 + 3 * body[5] : 3])
        self.uncovered = set(self.ids)
        if self.width == 0:
            raise BadJpeg("the width is 0", segment.offset)
        if not all(1 <= factor <= 4 for pair in self.factors for factor in pair):
            raise BadJpeg("a sampling factor that is not 1 to 4", segment.offset)
        if max(self.table_ids) > 3:
            raise BadJpeg("a quantisation table that is not 0 to 3", segment.offset)

    def _take_scan(self, segment: Segment) -> None:
        if self.sof is None:
            raise BadJpeg("a scan before the frame header", segment.offset)
        body = self._body(segment)
        self.scans += 1
        if self.scans > limits.MAX_SCANS:
            raise UnsupportedJpeg(f"more than {limits.MAX_SCANS} scans", segment.offset)  # P1
        if self.scans == 1:
            self.scan_offset = segment.offset
        if body:
            self.uncovered.difference_update(body[1 : 1 + 2 * body[0] : 2])
            self.missing_huffman |= self._huffman_of(body) - self.given_huffman

    def _huffman_of(self, body: bytes) -> set[int]:
        """The Huffman tables that a scan uses, by name (see `Table`).

        A progressive scan codes either DC or AC; one that refines DC uses no table.
        """
        count = body[0]
        selectors, spectral = body[2 : 2 + 2 * count : 2], body[1 + 2 * count : 4 + 2 * count]
        if self._arithmetic or len(spectral) < 3:
            return set()
        first, _, bits = spectral
        dc = {byte >> 4 for byte in selectors}
        ac = {16 | byte & 15 for byte in selectors}
        if not self._progressive:
            return dc | ac
        return ac if first else set() if bits >> 4 else dc

    def _take_quantisation(self, segment: Segment) -> None:
        for table in tables_in(DQT, self._body(segment)):
            if table.name > 3 or not table.whole:
                raise BadJpeg("a broken quantisation table", segment.offset)
            width, steps = 1 + (table.body[0] >= 16), table.body[1:]
            self.given_tables.add(table.name)
            self.wide_tables |= width == 2
            self.zero_steps |= any(not any(steps[k : k + width]) for k in range(0, len(steps), width))
        self._keep(segment)

    def _take_huffman(self, segment: Segment) -> None:
        self.given_huffman.update(table.name for table in tables_in(DHT, self._body(segment)) if table.whole)
        self._keep(segment)

    def _keep(self, segment: Segment) -> None:
        """Keep a table segment for pictures that lack tables (Q5); an empty one has no effect."""
        if segment.end > segment.body:
            self.tables.append(self.data[segment.offset : segment.end])

    @property
    def _progressive(self) -> bool:
        return self.sof is not None and self.sof.marker in _PROGRESSIVE

    @property
    def _arithmetic(self) -> bool:
        return self.sof is not None and self.sof.marker in _ARITHMETIC

    def header(self) -> JpegHeader:
        """The header, once the last segment has been taken.

        Raises:
            JpegError: as `scan` does.
        """
        sof = self._complete_frame()
        sampling = self._supported_sampling()
        front = known_tables(b"", b"".join(self.front))
        return JpegHeader(
            start=self.start,
            end=self.end,
            stop=self.stop or self.end,
            size_offset=sof.body + 1,
            scan_offset=self.scan_offset,
            width=self.width,
            height=self.height,
            sampling=sampling,
            factors=self.factors,
            component_ids=self.ids,
            table_ids=self.table_ids,
            progressive=self._progressive,
            arithmetic=self._arithmetic,
            scans=self.scans,
            restart_interval=self.restart_interval,
            has_eoi=self.has_eoi,
            tables=front + b"".join(self.tables),
            missing_tables=tuple(sorted({*self.table_ids} - self.given_tables)),
            missing_huffman=tuple(sorted(self.missing_huffman)),
            front=front,
            wide_tables=self.wide_tables,
            zero_steps=self.zero_steps,
            avi1_polarity=self.metadata.avi1_polarity,
            field_order=self.metadata.field_order(),
            orientation=self.metadata.orientation,
            colour=self.metadata.colour(self.codec_tag),
        )

    def _complete_frame(self) -> Segment:
        """The frame header of a picture that has a scan, a height (P4) and, once this returns, an end (S1)."""
        if self.sof is None or not self.scans:
            raise BadJpeg("the picture breaks off before its first scan", self.end)
        if not self.has_eoi:  # S1: the picture ends where the next one begins, or with the data
            self.stop = self.stop or find_marker(self.data, self.end)
            following = find_start(self.data, self.end)
            self.end = following if following >= 0 else len(self.data)
        self.height = self.height or self.container_height  # P4
        if self.height == 0:
            raise UnsupportedJpeg("the height is 0 and nothing else tells it", self.sof.offset)  # P4
        return self.sof

    def _supported_sampling(self) -> Sampling:
        """The chroma subsampling, unless the colour, the sampling or the size is refused (C1, C5, B1)."""
        limits.refuse_rgb(self.ids, self.metadata.jfif, self.metadata.adobe_transform)
        sampling = subsampling(self.factors)
        per_byte = 0 if self._arithmetic else _PROGRESSIVE_BLOCKS if self._progressive else _SEQUENTIAL_BLOCKS
        limits.refuse_bomb(self.width, self.height, self.factors, len(self.data), per_byte, self.max_pixels)
        return sampling
