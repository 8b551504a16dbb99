"""What the markers of a coded picture say: the record that `markers.scan` makes."""

from __future__ import annotations

from dataclasses import dataclass, field

from mjpeg_restore.frames import Colour, FieldOrder, Sampling


@dataclass(frozen=True, slots=True)
class JpegHeader:
    """One coded picture within a packet. All offsets count from the packet's first byte."""

    start: int
    """Offset of the SOI (S4: not always 0)."""
    end: int
    """First byte after the picture (S3: not always the packet's end)."""
    stop: int
    """Where a reader that gives up on the whole picture should stop; `end` unless there is a false marker."""
    size_offset: int
    """Offset of the height, two bytes, in the SOF segment."""
    scan_offset: int
    """Offset of the first SOS marker."""
    width: int
    """Pixels across, 1 to 65535."""
    height: int
    """Pixels down, 1 to 65535; from the caller or from a DNL segment where the SOF says 0 (P4)."""
    sampling: Sampling
    """Normalised: 2x2,2x2,2x2 is 4:4:4, and gray is gray whatever its factors (C3)."""
    factors: tuple[tuple[int, int], ...]
    """Sampling factors (across, down) per component as in the SOF, 1 to 4."""
    component_ids: tuple[int, ...]
    """Per component: the name by which scans call it."""
    table_ids: tuple[int, ...]
    """Per component: the quantisation table that it uses, 0 to 3 (Q2)."""
    progressive: bool
    """True: the coefficients come bit by bit in several scans (P1)."""
    arithmetic: bool
    """True: coded with the arithmetic coder (P2)."""
    scans: int
    """1 in nearly every stream; refused above 64 (P1)."""
    restart_interval: int
    """MCUs between two restart markers (D1); 0: none."""
    has_dht: bool
    """True: the picture brings at least one Huffman table."""
    has_eoi: bool
    """False: the picture ends without its last marker (S1); often, but not always, it is cut short."""
    tables: bytes = field(repr=False)
    """DQT and DHT segments of this picture and of what stands in front of it in the packet, with their markers: for
    later pictures that lack theirs (Q5)."""
    missing_tables: tuple[int, ...]
    """Quantisation tables that the picture uses but does not give (Q5)."""
    missing_huffman: tuple[int, ...]
    """Huffman tables likewise, 16 added to the numbers of those for AC. The stream's last ones are meant (Q5) or, where
    it never gave any, the standard ones (H1)."""
    front: bytes = field(repr=False)
    """Of `tables`, those that stand in front of the picture's SOI, in a datastream of tables alone for instance."""
    wide_tables: bool
    """True: at least one table has 16-bit steps (Q3)."""
    zero_steps: bool
    """True: at least one step is 0 (Q4); it is read as 1."""
    avi1_polarity: int | None
    """0: a whole frame; 1 or 2: the odd or the even field; None: no AVI1 segment (H2)."""
    field_order: FieldOrder | None
    """The field that is stored first, as the picture's own marks say (S6): an AVI1 segment names the field of this very
    picture, Avid's comment its video standard. None where neither does."""
    orientation: int
    """EXIF orientation, 1 to 8; 1 is upright (H5)."""
    colour: Colour
    """Range, chroma order and direction, as comments and the codec tag say (C4, C6)."""
