"""The vocabulary that the stages share: what a source yields, what is read from it, what a sink takes.

    Source --Packet--> jpeg.read --CodedPicture--> Restorer --Picture--> Sink

Each value is frozen: one stage makes it, and no later stage changes it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from fractions import Fraction
from typing import Literal

import numpy as np
from numpy.typing import NDArray

PixelFormat = Literal["rgb", "bgr", "gray"]

FieldOrder = Literal["top", "bottom"]
"""Which of two fields is shown first: that of the upper lines, or that of the lower."""


@dataclass(frozen=True, slots=True)
class FieldLayout:
    """How the two fields of a frame lie in a stream (quirk S6)."""

    stored: FieldOrder = "top"
    """The field that is stored first."""
    shown: FieldOrder = "top"
    """The field that is shown first."""


@dataclass(frozen=True, slots=True)
class Packet:
    """One coded picture as the source holds it, with its time."""

    data: bytes
    """The JPEG, SOI to EOI; foreign bytes may stand around it."""
    index: int
    """Position in the source, from 0."""
    pts: int
    """Presentation time in units of `time_base`."""
    time_base: Fraction
    """Seconds per unit of `pts`."""
    offset: int = 0
    """Byte offset of `data` in the source, for messages; 0 where the source has no such thing."""
    name: str = ""
    """The file that holds this picture alone, for messages; empty where the source is one file."""
    tables: bytes = field(default=b"", repr=False)
    """Table segments of the pictures that were passed over just before this one (quirk Q5)."""
    discontinuity: bool = False
    """True: packets are missing before it, or a new recording begins. Tables and coefficients of the pictures before
    do not apply to it."""
    fault: str = ""
    """Why `data` is empty, in words, where it could not be read."""
    duration: int = 0
    """For how long it is shown as the source says, in units of `time_base`; 0 where it does not say."""

    @property
    def time(self) -> Fraction:
        """Presentation time in seconds, exact."""
        return self.pts * self.time_base

    def __repr__(self) -> str:
        return f"Packet(index={self.index}, {len(self.data)} bytes, time={float(self.time):.3f})"


class Sampling(Enum):
    """Chroma subsampling; the value is how many luma samples one chroma sample spans, (across, down)."""

    GRAY = None
    YUV444 = (1, 1)
    YUV422 = (2, 1)
    YUV420 = (2, 2)
    YUV440 = (1, 2)
    YUV411 = (4, 1)

    @property
    def label(self) -> str:
        """The field's usual name: "4:2:0", ..., or "gray"."""
        if self is Sampling.GRAY:
            return "gray"
        return ":".join(self.name.removeprefix("YUV"))


@dataclass(frozen=True, slots=True)
class Colour:
    """How the planes map to colour; JPEG is full-range BT.601 unless it says otherwise (quirks C4, C6)."""

    full_range: bool = True
    """False where a COM segment `CS=ITU601` declares limited range."""
    swapped_chroma: bool = False
    """True where the second component is Cr and the third Cb (COM `MTSJ`)."""
    bottom_up: bool = False
    """True where the first row of blocks is the bottom of the picture."""


@dataclass(frozen=True, slots=True)
class Damage:
    """What is missing from a coded picture.

    The rows are rows of MCUs: one MCU row spans `8 * v` luma lines, v the largest vertical sampling factor.
    """

    first_bad_row: int
    """First MCU row that is not to be trusted; everything above it is exact."""
    rows: int
    """MCU rows in the whole picture."""
    reason: str
    """In words, for the report."""


@dataclass(frozen=True, slots=True)
class CodedPicture:
    """A picture as the stream really holds it: quantised DCT coefficients and quantisation tables."""

    width: int
    """Pixels across, 1 to 65535."""
    height: int
    """Pixels down, 1 to 65535."""
    sampling: Sampling
    coefficients: tuple[NDArray[np.int16], ...]
    """Per component (Y, or Y, Cb, Cr): int16 `[blocks_high, blocks_wide, 64]`, quantised, natural order."""
    tables: tuple[NDArray[np.uint16], ...]
    """Per component: uint16 `[64]`, natural order, 1 to 65535; those of this very frame (quirks Q1, Q2)."""
    colour: Colour = Colour()
    warnings: tuple[str, ...] = ()
    """Harmless oddities found while reading, in words."""
    damage: Damage | None = None
    """None where every block was read."""

    def __repr__(self) -> str:
        grids = ", ".join("x".join(map(str, plane.shape[:2])) for plane in self.coefficients)
        return f"CodedPicture({self.width}x{self.height} {self.sampling.label}, blocks {grids}, {self.damage=})"


@dataclass(frozen=True, slots=True)
class Picture:
    """A restored picture: planes at their own resolution, cropped to the picture's size."""

    planes: tuple[NDArray[np.uint8], ...]
    """Y, or Y, Cb, Cr: uint8 `[height, width]` each at its own sampling, top row first. In a woven picture
    each field has its own lines of chroma: of 4:2:0 and an odd field height, one more than half of the picture's."""
    sampling: Sampling
    full_range: bool = True
    """True: 0..255 for luma and chroma; False: 16..235 and 16..240."""
    index: int = 0
    """Index of the packet that it came from."""
    pts: int = 0
    """Presentation time in units of `time_base`."""
    time_base: Fraction = field(default=Fraction(1, 25))
    """Seconds per unit of `pts`."""
    quality: int = 0
    """Estimated IJG quality of the coded picture, 1 to 100; 0 where it is not known."""
    field_order: FieldOrder | None = None
    """Which of the two fields that were woven into this picture is shown first; None where it is of one piece."""
    damage: Damage | None = None
    """What is missing from the coded picture, in rows as it is coded, of a woven one from its worse field; None where
    that was repaired. A held picture keeps its original damage record."""
    duration: int = 0
    """For how long it is shown as the source says, in units of `time_base`; 0 where it does not say."""

    @property
    def width(self) -> int:
        """Pixels across."""
        return int(self.planes[0].shape[1])

    @property
    def height(self) -> int:
        """Pixels down."""
        return int(self.planes[0].shape[0])

    @property
    def time(self) -> Fraction:
        """Presentation time in seconds, exact."""
        return self.pts * self.time_base

    def to_ndarray(self, format: PixelFormat = "rgb") -> NDArray[np.uint8]:
        """The picture as one array.

        Args:
            format: "rgb" or "bgr" for uint8 `[height, width, 3]`, 0..255, full range; "gray" for the
                restored luma as it is, uint8 `[height, width]`.

        Raises:
            ValueError: the format is none of the three.
        """
        from mjpeg_restore import colour

        return colour.to_ndarray(self, format)

    def __repr__(self) -> str:
        return f"Picture({self.width}x{self.height} {self.sampling.label}, index={self.index}, pts={self.pts})"
