"""What a picture's APPn and COM segments tell: field order, orientation and colour (H2, H3, H5, S6, C4, C6)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from mjpeg_restore.frames import Colour, FieldOrder
from mjpeg_restore.jpeg import exif
from mjpeg_restore.jpeg.segments import APP0, COM

_AVID: Final[dict[str, FieldOrder]] = {"\x01": "bottom", "\x02": "top"}
"""S6: byte 12 of Avid's comment names the video standard: 1 is NTSC, which stores its lower field first, 2 is PAL."""


@dataclass(slots=True)
class Metadata:
    """Collects the APPn and COM segments of one picture."""

    jfif: bool = False
    """True where a JFIF segment declares YCbCr (C5)."""
    adobe_transform: int | None = None
    """The colour transform of Adobe's segment (C5); None without one."""
    avi1_polarity: int | None = None
    """See `JpegHeader.avi1_polarity` (H2)."""
    orientation: int = 1
    """EXIF orientation, 1 to 8 (H5)."""
    comments: list[str] = field(default_factory=list[str])
    """The texts of the COM segments."""

    def take(self, marker: int, body: bytes) -> None:
        """Read one segment; H3: a segment that is too short for its format has no effect."""
        if marker == COM:
            self.comments.append(body.decode("latin-1").strip("\0 \r\n"))
        elif marker == APP0 and body[:5] == b"JFIF\0":
            self.jfif = True
        elif marker == APP0 and body[:4] == b"AVI1" and len(body) > 4:
            self.avi1_polarity = body[4]
        elif marker == APP0 + 1 and body[:6] == b"Exif\0\0":
            self.orientation = exif.orientation(body[6:])
        elif marker == APP0 + 14 and body[:5] == b"Adobe" and len(body) >= 12:
            self.adobe_transform = body[11]

    def field_order(self) -> FieldOrder | None:
        """The field that is stored first (S6): by the AVI1 polarity, else by Avid's comment; None without either."""
        if self.avi1_polarity in (1, 2):
            return "top" if self.avi1_polarity == 1 else "bottom"
        return next((_AVID[c[12:13]] for c in self.comments if c.startswith("AVID") and c[12:13] in _AVID), None)

    def colour(self, codec_tag: str) -> Colour:
        """Range, chroma order and row order, by the comments and the container's codec tag."""
        return Colour(
            full_range="CS=ITU601" not in self.comments,  # C6
            swapped_chroma="MTSJ" in self.comments or codec_tag == "MTSJ",  # C4
            bottom_up=any(
                comment.startswith("Metasoft MJPEG Codec")
                or (codec_tag != "" and comment.startswith("Intel(R) JPEG Library, version 1"))
                for comment in self.comments
            ),
        )
