"""The values that flow between the stages.

    Source --Packet--> jpeg.read --CodedPicture--> Restorer --Picture--> pipeline --Frame--> Sink

Each value is frozen: one stage makes it, and no later stage changes it. The arrays are checked on creation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from fractions import Fraction
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from mjpeg_restore.planes import expand, to_rgb

PixelFormat = Literal["rgb", "bgr", "gray"]

FieldOrder = Literal["top", "bottom"]
"""A field: "top" has the upper lines, "bottom" the lower."""


@dataclass(frozen=True, slots=True)
class FieldLayout:
    """The order of the two fields of a frame in a stream (quirk S6)."""

    stored: FieldOrder = "top"
    """The field that is stored first."""
    shown: FieldOrder = "top"
    """The field that is shown first."""


@dataclass(frozen=True, slots=True)
class SoundPacket:
    """Coded sound, as the source holds it, on the pictures' clock."""

    track: int
    """Position of its track in `Source.sound`."""
    data: bytes = field(repr=False)
    pts: int | None
    """Presentation time in units of `time_base`; None where the source does not state it."""
    dts: int | None
    """Decoding time in units of `time_base`; likewise."""
    duration: int
    """In units of `time_base`; 0 where the source does not state it."""
    time_base: Fraction
    """Seconds per unit of `pts`, `dts` and `duration`."""

    @property
    def time(self) -> Fraction | None:
        """Presentation time in seconds, exact; None where it is not known."""
        return None if self.pts is None else self.pts * self.time_base

    def moved(self, ticks: int) -> SoundPacket:
        """The same sound, later by `ticks`, in units of `time_base`."""
        pts = None if self.pts is None else self.pts + ticks
        dts = None if self.dts is None else self.dts + ticks
        return replace(self, pts=pts, dts=dts)


@dataclass(frozen=True, slots=True)
class Packet:
    """One coded picture as the source holds it, with its time and its sound."""

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
    """Table segments of the packets that the source dropped just before this one (quirk Q5)."""
    discontinuity: bool = False
    """True: packets are missing before this one, or a new recording begins. Tables and coefficients of earlier packets
    do not apply to it."""
    fault: str = ""
    """The reason, in words, where the picture could not be read and `data` is empty."""
    duration: int = 0
    """How long it is shown according to the source, in units of `time_base`; 0 where the source does not state it."""
    arrived: float | None = None
    """Arrival of its last byte, in seconds of `time.monotonic()`; None where the source is a recording."""
    silent: bool = False
    """True: no picture, only the time, because a live source has not sent one for a while. `data` is empty, and `index`
    is that of the next picture."""
    sound: tuple[SoundPacket, ...] = field(default=(), repr=False)
    """The sound up to the next picture, in the order of the source; with the last picture, all that follows."""
    preroll: bool = False
    """True: it comes before the part of a recording that is restored, so that what is remembered of earlier pictures is
    known where that part begins. It is not counted."""

    @property
    def time(self) -> Fraction:
        """Presentation time in seconds, exact."""
        return self.pts * self.time_base

    def __repr__(self) -> str:
        return f"Packet(index={self.index}, {len(self.data)} bytes, time={float(self.time):.3f})"


class Sampling(Enum):
    """Chroma subsampling; the value is the number of luma samples that one chroma sample spans, (across, down)."""

    GRAY = None
    YUV444 = (1, 1)
    YUV422 = (2, 1)
    YUV420 = (2, 2)
    YUV440 = (1, 2)
    YUV411 = (4, 1)

    @property
    def label(self) -> str:
        """The usual notation: "4:2:0", ..., or "gray"."""
        if self is Sampling.GRAY:
            return "gray"
        return ":".join(self.name.removeprefix("YUV"))


@dataclass(frozen=True, slots=True)
class Colour:
    """The meaning of the components; JPEG is full-range BT.601 unless it says otherwise (quirks C4, C6)."""

    full_range: bool = True
    """False where a COM segment `CS=ITU601` declares limited range."""
    swapped_chroma: bool = False
    """True where the second component is Cr and the third Cb (COM `MTSJ`)."""
    bottom_up: bool = False
    """True where the first row of blocks is the bottom of the picture."""


@dataclass(frozen=True, slots=True)
class Damage:
    """The missing part of a coded picture.

    The rows are rows of MCUs: one MCU row spans `8 * v` luma lines, v the largest vertical sampling factor.
    """

    first_bad_row: int
    """First MCU row that is not to be trusted; everything above it is exact."""
    rows: int
    """MCU rows in the whole picture."""
    reason: str
    """The cause, in words."""


MOST_PIXELS = 65535
"""Pixels of a JPEG, down and across, at most (ITU-T T.81, table B.2); libjpeg reads up to 65500 of them (quirk B1)."""


@dataclass(frozen=True, slots=True, eq=False)
class CodedPicture:
    """A picture as the stream holds it: quantised DCT coefficients and quantisation tables."""

    width: int
    """Pixels across, 1 to 65535."""
    height: int
    """Pixels down, 1 to 65535."""
    sampling: Sampling
    coefficients: tuple[NDArray[np.int16], ...]
    """Per component (Y, or Y, Cb, Cr): int16 `[blocks_high, blocks_wide, 64]`, quantised, natural order."""
    tables: tuple[NDArray[np.uint16], ...]
    """Per component: uint16 `[64]`, natural order, 1 to 65535; they may change with each picture (quirks Q1, Q2)."""
    colour: Colour = Colour()
    warnings: tuple[str, ...] = ()
    """Harmless oddities found while reading, in words."""
    damage: Damage | None = None
    """None where every block was read."""

    def __post_init__(self) -> None:
        """Check the arrays.

        Raises:
            ValueError: the size, the number of components, a shape, a dtype or a step is wrong, or the shapes do not go
                together.
        """
        if not (1 <= self.width <= MOST_PIXELS and 1 <= self.height <= MOST_PIXELS):
            raise ValueError(f"a picture has 1 to {MOST_PIXELS} pixels down and across, not {self.width}x{self.height}")
        _check_components(self.sampling, self.coefficients)
        if len(self.tables) != len(self.coefficients):
            raise ValueError(f"one table for each component: {len(self.tables) = }, {len(self.coefficients) = }")
        for blocks, table in zip(self.coefficients, self.tables, strict=True):
            if blocks.dtype != np.int16 or blocks.ndim != 3 or blocks.shape[2] != 64:
                raise ValueError(f"coefficients are int16 [high, wide, 64], not {blocks.dtype} {blocks.shape}")
            if table.dtype != np.uint16 or table.shape != (64,):
                raise ValueError(f"a table is uint16 [64], not {table.dtype} {table.shape}")
            if not table.all():
                raise ValueError("a table has steps from 1 on, not 0")
        across, down = self.sampling.value or (1, 1)
        for index, blocks in enumerate(self.coefficients):
            samples = (8 * down, 8 * across) if index else (8, 8)
            least = [-(-length // of) for length, of in zip((self.height, self.width), samples, strict=True)]
            if blocks.shape[0] < least[0] or blocks.shape[1] < least[1]:
                raise ValueError(
                    f"{self.width}x{self.height} {self.sampling.label} has {least[0]}x{least[1]} blocks or more in "
                    f"component {index}, not {blocks.shape[0]}x{blocks.shape[1]}"
                )
        _check_grids(self.sampling, [blocks.shape for blocks in self.coefficients])

    def __repr__(self) -> str:
        grids = ", ".join("x".join(map(str, plane.shape[:2])) for plane in self.coefficients)
        return f"CodedPicture({self.width}x{self.height} {self.sampling.label}, blocks {grids}, damage={self.damage})"


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """A restored picture: planes at their own resolution, cropped to the picture's size.

    A model may restore chroma at luma's size: then `sampling` is 4:4:4, and `source_sampling` that of the stream.
    """

    planes: tuple[NDArray[np.uint8], ...]
    """Y, or Y, Cb, Cr: uint8 `[height, width]` each at its own sampling, top row first. In a woven picture
    each field has its own lines of chroma: in 4:2:0 with an odd field height, `height / 2 + 1` of them. Read-only:
    other outputs, and a picture that is shown again, have the same memory."""
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
    """The field that is shown first in a woven picture; None where the picture is no frame of two fields."""
    damage: Damage | None = None
    """The missing part of the coded picture, or of the worse one of two fields, in coded rows; None where it was
    repaired. A held picture keeps its original damage record."""
    duration: int = 0
    """How long it is shown according to the source, in units of `time_base`; 0 where the source does not state it."""
    coded_sampling: Sampling | None = None
    """That of the coded picture, where a model restored its chroma at a finer one; None where it is `sampling`."""
    computed: float | None = None
    """Share of it that the network computed, 0..1, or the mean of its fields' shares; the rest agreed with the pictures
    before. 0 where it is shown again. None where each picture is restored alone, as by most models."""

    def __post_init__(self) -> None:
        """Check the planes.

        Raises:
            ValueError: their number, a shape or a dtype is wrong.
        """
        _check_components(self.sampling, self.planes)
        for plane in self.planes:
            if plane.dtype != np.uint8 or plane.ndim != 2:
                raise ValueError(f"a plane is uint8 [height, width], not {plane.dtype} {plane.shape}")
        object.__setattr__(self, "planes", tuple(map(_read_only, self.planes)))

    @property
    def source_sampling(self) -> Sampling:
        """The sampling of the coded picture, in which it is encoded again where that loses details anyway."""
        return self.coded_sampling or self.sampling

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
        """The picture as one array; see `planes.to_rgb`.

        Args:
            format: "rgb" or "bgr" for uint8 `[height, width, 3]`, full range; "gray" for a copy of the restored luma
                plane, uint8 `[height, width]`, in the picture's own range.

        Raises:
            ValueError: an unknown format.
        """
        if format not in get_args(PixelFormat):
            raise ValueError(f"format {format!r}: there are {', '.join(get_args(PixelFormat))}")
        if format == "gray":
            return self.planes[0].copy()
        planes = self.planes if self.full_range else expand(self.planes)
        across, down = self.sampling.value or (1, 1)
        return to_rgb(planes, across, down, bgr=format == "bgr", woven=self.field_order is not None)

    def __repr__(self) -> str:
        return f"Picture({self.width}x{self.height} {self.sampling.label}, index={self.index}, pts={self.pts})"


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """What flows to the sinks: a restored picture and, where a sink asks for it, the plain decode beside it."""

    picture: Picture
    """Restored, upright, its fields woven."""
    original: Picture | None = None
    """The plain decode of the same coded picture, with the same size and time, at the stream's sampling; None where no
    sink asked."""
    arrived: float | None = None
    """When the last byte of the coded picture arrived, seconds of `time.monotonic()`; None where a picture is shown
    again."""
    preroll: bool = False
    """True: it comes before the part of a recording that is restored; see `Packet.preroll`. Only sources that yield
    such packets lead to such frames."""


def shown_again(picture: Picture) -> Picture:
    """A picture that was restored before, of which nothing is computed this time."""
    return picture if picture.computed is None else replace(picture, computed=0.0)


def _read_only(plane: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A plane that nobody writes to by mistake; the caller's own array stays as it is."""
    if plane.flags.writeable:
        plane = plane.view()
        plane.flags.writeable = False
    return plane


def _check_components(sampling: Sampling, components: tuple[NDArray[Any], ...]) -> None:
    count = 1 if sampling is Sampling.GRAY else 3
    if len(components) != count:
        raise ValueError(f"{sampling.label} has {count} component{'s' if count > 1 else ''}, not {len(components)}")


def _check_grids(sampling: Sampling, shapes: Sequence[tuple[int, ...]]) -> None:
    """C2: luma's grid may end before chroma's does, not behind it."""
    if sampling.value is None:
        return
    (across, down), ((luma_high, luma_wide, _), (high, wide, _), (red_high, red_wide, _)) = sampling.value, shapes
    if (high, wide) != (red_high, red_wide):
        raise ValueError(f"both components of chroma have as many blocks, not {high}x{wide} and {red_high}x{red_wide}")
    if luma_high > high * down or luma_wide > wide * across:
        raise ValueError(
            f"{sampling.label} with {high}x{wide} blocks of chroma has {high * down}x{wide * across} of luma at most, "
            f"not {luma_high}x{luma_wide}"
        )
