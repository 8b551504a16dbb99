"""Refusals before any C code runs: unsupported kinds of JPEG, and headers that claim more than is allowed (B1)."""

from __future__ import annotations

from typing import Final

from mjpeg_restore.errors import TooLarge, UnsupportedJpeg
from mjpeg_restore.jpeg.sampling import Factors, largest_factors
from mjpeg_restore.jpeg.segments import Segment

MAX_PIXELS: Final = 64_000_000
"""B1: the default limit on width times height; 8000x8000 passes."""
MAX_SIDE: Final = 65_500
"""B1: pixels down or across that libjpeg reads at most; a header may say 65535."""
MAX_SCANS: Final = 64
"""P1: scans of one picture; each scan costs a pass over all blocks, even if it holds no data."""
MAX_SEGMENTS: Final = 4096
"""Marker segments of one picture, with those of the datastreams in front of it. A large colour profile has some
hundreds; a megabyte of empty segments would take seconds to walk."""
MAX_RESTARTS: Final = 1 << 15
"""D1: restart markers of a scan whose intervals are walked, which takes 5 us each. A picture of 3840x2160 in 4:2:0 with
a marker behind each MCU has 32,399."""

_LOSSLESS: Final = frozenset({0xC3, 0xC7, 0xCB, 0xCF})
_HIERARCHICAL: Final = frozenset({0xC5, 0xC6, 0xCD, 0xCE, 0xDE, 0xDF})
_JPEG_LS: Final = frozenset({0xF7, 0xF8})
_RGB_IDS: Final = frozenset({(0x52, 0x47, 0x42), (0x51, 0x46, 0x41)})
"""C5: the component ids "RGB" and "QFA", by which encoders mark RGB."""
FRAME_MARKERS: Final = _LOSSLESS | _HIERARCHICAL | _JPEG_LS | {0xC0, 0xC1, 0xC2, 0xC9, 0xCA}
"""All markers of frame headers, including those of processes that are refused (P3)."""


def refuse_codec(data: bytes, codec_tag: str) -> None:
    """Refuse codecs that have no JPEG markers, or Avid's own: AVRn (S6) and Motion-JPEG B (S7).

    Raises:
        UnsupportedJpeg: the tag or the data name one of them.
    """
    if codec_tag.lower() == "avrn":
        raise UnsupportedJpeg("Avid AVRn is not restored")
    if codec_tag.lower() == "mjpb" or data[4:8] == b"mjpg":  # its table of offsets, where JPEG has markers
        raise UnsupportedJpeg("Apple Motion-JPEG B has no markers and is not restored")


def refuse_process(segment: Segment, precision: int) -> None:
    """P3: refuse all but baseline, extended and progressive DCT at 8 bits, Huffman or arithmetic.

    Raises:
        UnsupportedJpeg: the frame header is of another process or precision.
    """
    if segment.marker in _LOSSLESS:
        raise UnsupportedJpeg("lossless JPEG has no DCT coefficients", segment.offset)
    if segment.marker in _HIERARCHICAL:
        raise UnsupportedJpeg("hierarchical JPEG is not restored", segment.offset)
    if segment.marker in _JPEG_LS:
        raise UnsupportedJpeg("JPEG-LS has no DCT coefficients", segment.offset)
    if precision != 8:
        raise UnsupportedJpeg(f"precision {precision}: only 8 bits a sample are restored", segment.offset)


def refuse_rgb(ids: tuple[int, ...], jfif: bool, adobe_transform: int | None) -> None:
    """Refuse RGB by libjpeg's own rule (C5): JFIF means YCbCr, else Adobe's flag decides, else the component ids do.

    Raises:
        UnsupportedJpeg: the components are RGB.
    """
    if len(ids) != 3 or jfif:
        return
    if adobe_transform == 0 or (adobe_transform is None and ids in _RGB_IDS):
        raise UnsupportedJpeg("coded as RGB; only YCbCr and grey are restored")


def refuse_bomb(width: int, height: int, factors: Factors, size: int, blocks_per_byte: int, max_pixels: int) -> None:
    """B1: refuse more pixels than are allowed, and more blocks than `size` bytes can code.

    Args:
        width: pixels across.
        height: pixels down.
        factors: sampling factors.
        size: bytes in the packet.
        blocks_per_byte: the most blocks that one byte can code; 0 where there is no such limit.
        max_pixels: pixels allowed.

    Raises:
        TooLarge: one of these limits is exceeded, or libjpeg's own on a side.
    """
    if max(width, height) > MAX_SIDE:
        raise TooLarge(f"{width}x{height} is more than {MAX_SIDE} pixels down or across")
    if width * height > max_pixels:
        raise TooLarge(f"{width}x{height} is more than {max_pixels} pixels")
    if not blocks_per_byte:
        return
    h_max, v_max = largest_factors(factors)
    blocks = sum(-(-width * h // (8 * h_max)) * -(-height * v // (8 * v_max)) for h, v in factors)
    if blocks > blocks_per_byte * size:
        raise TooLarge(f"{width}x{height} cannot be held by {size} bytes: cut off, or not what it says")
