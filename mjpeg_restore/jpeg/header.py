"""The header of a coded picture: what `markers.scan` reads from its markers."""

from __future__ import annotations

from dataclasses import dataclass, field

from mjpeg_restore.frames import Colour, FieldOrder, Sampling
from mjpeg_restore.jpeg.sampling import Factors


@dataclass(frozen=True, slots=True)
class JpegHeader:
    """The header of one coded picture in a packet. All offsets count from the packet's first byte."""

    start: int
    """Offset of the SOI (S4: not always 0)."""
    end: int
    """First byte after the picture (S3: not always the packet's end)."""
    stop: int
    """Offset of the first false marker (S11), up to which a reader can still read; `end` without one."""
    size_offset: int
    """Offset of the height, two bytes, in the SOF segment."""
    scan_offset: int
    """Offset of the first SOS marker."""
    width: int
    """Pixels across, 1 to 65500 (B1)."""
    height: int
    """Pixels down, 1 to 65500; by the container or a DNL segment where the SOF says 0 (P4)."""
    sampling: Sampling
    """By normalised factors: 2x2,2x2,2x2 is 4:4:4, and one component is grey whatever its factors (C3)."""
    factors: Factors
    """Sampling factors (across, down) per component as in the SOF, 1 to 4."""
    component_ids: tuple[int, ...]
    """Per component: its id, by which scans refer to it."""
    table_ids: tuple[int, ...]
    """Per component: the number of its quantisation table, 0 to 3 (Q2)."""
    progressive: bool
    """True: several scans refine the coefficients (P1)."""
    arithmetic: bool
    """True: coded with the arithmetic coder (P2)."""
    scans: int
    """How many scans there are: 1 in nearly every stream, at most 64 (P1)."""
    restart_interval: int
    """MCUs between two restart markers (D1); 0: none."""
    has_eoi: bool
    """False: EOI is missing (S1); the picture is often, but not always, cut off."""
    tables: bytes = field(repr=False)
    """DQT and DHT segments, markers included, of this picture and of the datastreams in front of it in the packet.
    Later pictures may refer to these tables (Q5)."""
    missing_tables: tuple[int, ...]
    """Numbers of the quantisation tables that the picture uses and does not define (Q5)."""
    missing_huffman: tuple[int, ...]
    """Names (see `Table`) of the Huffman tables that the picture uses and does not define. The stream's latest apply
    (Q5) or, if the stream never defined any, the standard ones (H1)."""
    front: bytes = field(repr=False)
    """The part of `tables` that precedes the picture's SOI, in datastreams that hold only tables."""
    wide_tables: bool
    """True: at least one quantisation table has 16-bit steps (Q3)."""
    zero_steps: bool
    """True: at least one quantisation step is 0 (Q4); it is read as 1."""
    avi1_polarity: int | None
    """0: a whole frame; 1 or 2: the field of the odd or the even lines, counted from 1; None: no AVI1 segment (H2)."""
    field_order: FieldOrder | None
    """The field that is stored first (S6), by the AVI1 segment, which names the field of this picture, or by Avid's
    comment, which names the video standard. None without either."""
    orientation: int
    """EXIF orientation, 1 to 8; 1 is upright (H5)."""
    colour: Colour
    """Range, chroma order and row order, by comments and the codec tag (C4, C6)."""

    @property
    def block_rows_per_mcu(self) -> int:
        """Rows of luma blocks in an MCU, by normalised factors (C3)."""
        return self.sampling.value[1] if self.sampling.value else 1

    @property
    def mcu_rows(self) -> int:
        """Rows of MCUs in the picture, by normalised factors (C3), as `Damage` counts them."""
        return -(-self.height // (8 * self.block_rows_per_mcu))
