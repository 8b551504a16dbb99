"""What the C library may not see: pictures that are not restored, and pictures that claim too much."""

from __future__ import annotations

import math
from typing import Final

from mjpeg_restore.errors import TooLarge, UnsupportedJpeg
from mjpeg_restore.frames import Sampling
from mjpeg_restore.jpeg.segments import Segment

Factors = tuple[tuple[int, int], ...]
"""Sampling factors (across, down) per component, as in the SOF."""

MAX_PIXELS: Final = 64_000_000
MAX_SCANS: Final = 64
MAX_SEGMENTS: Final = 4096
"""Marker segments of one picture. A large colour profile has some hundreds; to walk a megabyte of empty ones takes
seconds."""

_LOSSLESS: Final = frozenset({0xC3, 0xC7, 0xCB, 0xCF})
_HIERARCHICAL: Final = frozenset({0xC5, 0xC6, 0xCD, 0xCE, 0xDE, 0xDF})
_JPEG_LS: Final = frozenset({0xF7, 0xF8})
_RGB_IDS: Final = frozenset({(0x52, 0x47, 0x42), (0x51, 0x46, 0x41)})  # "RGB" and "QFA"
FRAME_MARKERS: Final = _LOSSLESS | _HIERARCHICAL | _JPEG_LS | {0xC0, 0xC1, 0xC2, 0xC9, 0xCA}


def refuse_codec(data: bytes, codec_tag: str) -> None:
    """Motion-JPEG in name only (S6, S7)."""
    if codec_tag.lower() == "avrn":
        raise UnsupportedJpeg("Avid AVRn is not restored")
    if codec_tag.lower() == "mjpb" or data[4:8] == b"mjpg":  # a table of offsets in the place of markers
        raise UnsupportedJpeg("Apple Motion-JPEG B has no markers and is not restored")


def refuse_process(segment: Segment, precision: int) -> None:
    """P3: only baseline, extended and progressive DCT of 8 bits, Huffman or arithmetic, go on."""
    if segment.marker in _LOSSLESS:
        raise UnsupportedJpeg("lossless JPEG has no DCT coefficients", segment.offset)
    if segment.marker in _HIERARCHICAL:
        raise UnsupportedJpeg("hierarchical JPEG is not restored", segment.offset)
    if segment.marker in _JPEG_LS:
        raise UnsupportedJpeg("JPEG-LS has no DCT coefficients", segment.offset)
    if precision != 8:
        raise UnsupportedJpeg(f"precision {precision}: only 8 bits a sample are restored", segment.offset)


def refuse_rgb(ids: tuple[int, ...], jfif: bool, adobe_transform: int | None) -> None:
    """C5, by the library's own rule: JFIF means YCbCr, else Adobe's flag decides, else the names do."""
    if len(ids) != 3 or jfif:
        return
    if adobe_transform == 0 or (adobe_transform is None and ids in _RGB_IDS):
        raise UnsupportedJpeg("coded as RGB; only YCbCr and gray are restored")


def normalised(factors: Factors) -> Sampling:
    """C3: what the factors mean, whatever they have in common.

    Raises:
        UnsupportedJpeg: a ratio, or a number of components, that is not restored (C1, C5).
    """
    if len(factors) == 1:
        return Sampling.GRAY
    if len(factors) != 3:
        raise UnsupportedJpeg(f"{len(factors)} components (CMYK?); only YCbCr and gray are restored")
    across, down = (math.gcd(*axis) for axis in zip(*factors, strict=True))
    luma, *chroma = ((h // across, v // down) for h, v in factors)
    for sampling in Sampling:
        if sampling.value == luma and chroma == [(1, 1), (1, 1)]:
            return sampling
    raise UnsupportedJpeg("sampling " + ",".join(f"{h}x{v}" for h, v in factors) + " is not restored")


def refuse_bomb(width: int, height: int, factors: Factors, size: int, blocks_per_byte: int, max_pixels: int) -> None:
    """B1: neither more pixels than allowed nor more blocks than `size` bytes can code.

    Args:
        width, height: of the picture.
        factors: its sampling factors.
        size: bytes there are.
        blocks_per_byte: blocks that a byte codes at most; 0 where there is no such limit.
        max_pixels: pixels allowed.
    """
    if width * height > max_pixels:
        raise TooLarge(f"{width}x{height} is more than {max_pixels} pixels")
    if not blocks_per_byte:
        return
    h_max, v_max = (max(axis) for axis in zip(*factors, strict=True))
    blocks = sum(-(-width * h // (8 * h_max)) * -(-height * v // (8 * v_max)) for h, v in factors)
    if blocks > blocks_per_byte * size:
        raise TooLarge(f"{width}x{height} cannot be held by {size} bytes: cut off, or not what it says")
