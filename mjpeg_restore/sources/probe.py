"""Content detection: tells by its first bytes, never by its name, what a file holds."""

from __future__ import annotations

import re
from enum import Enum
from typing import Protocol

from mjpeg_restore.sources.chunked import dechunker_for, may_be_chunked

HEAD_BYTES = 1 << 20
"""The first picture is searched for in so many bytes."""

_MIN_BYTES = 192  # an MPEG transport stream is recognised by its second sync byte, at 188
_GROWTH = 8
"""Detection is tried again once an eighth more bytes have arrived: a stream may arrive in pieces of any size."""


class ByteStream(Protocol):
    """A binary file, of which only `read` is needed."""

    def read(self, size: int = -1, /) -> bytes:
        """Return up to `size` bytes; none at the end."""
        ...


class Closable(Protocol):
    """Something that holds a file or a connection."""

    def close(self) -> None:
        """Release it. More calls do nothing."""
        ...


class Content(Enum):
    """What a file holds."""

    JPEG = "a JPEG picture at the first byte"
    CHUNKED = "an HTTP response, chunked or compressed"
    JPEG_LATER = "a JPEG picture after other bytes: multipart headers, or the end of another picture"
    CONTAINER = "a container format"
    FOREIGN = "a format that cannot hold Motion-JPEG"
    TEXT = "text"
    UNKNOWN = "none of these"


_CONTAINERS = (
    b"\x1a\x45\xdf\xa3",  # Matroska
    b"\x30\x26\xb2\x75\x8e\x66\xcf\x11",  # ASF
    b"\x06\x0e\x2b\x34\x02\x05\x01\x01",  # MXF
    b"\x00\x00\x01\xba",  # MPEG program stream
    b"nut/multimedia container",
    b"\x00\nSMJPEG",
    b"FLV\x01",
    b"OggS",
    b"ID3",  # audio; a JPEG in it is a cover picture
    b"fLaC",
)
_START_CODE = re.compile(rb"\x00{2,3}\x01[\x09\x27\x40\x42\x46\x47\x67\xb0\xb3]")
"""The beginning of H.264, H.265, MPEG-4 or MPEG-2 video without a container: FFmpeg demuxes and names it."""
_MOV_ATOMS = frozenset({b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot"})

_FOREIGN = (
    (b"\x89PNG\r\n\x1a\n", "a PNG picture"),
    (b"GIF8", "a GIF picture"),
    (b"II*\x00", "a TIFF or camera raw picture"),
    (b"MM\x00*", "a TIFF or camera raw picture"),
    (b"\x00\x00\x00\x0cjP  ", "a JPEG 2000 picture"),
    (b"\xff\x4f\xff\x51", "a JPEG 2000 picture"),
    (b"\x00\x00\x00\x0cJXL ", "a JPEG XL picture"),
    (b"\xff\x0a", "a JPEG XL picture"),
    (b"8BPS", "a Photoshop document"),
    (b"%PDF-", "a PDF document"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"\x1f\x8b\x08", "a gzip archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
    (b"YUV4MPEG2", "uncompressed video (YUV4MPEG2)"),
)
_WEB_PAGE = re.compile(rb"<!doctype html|<html", re.IGNORECASE)
_STILL_BRANDS = frozenset({b"heic", b"heix", b"hevc", b"mif1", b"msf1", b"avif", b"avis"})

# SOI and the marker of a usual first segment of a baseline or progressive picture. Three bytes alone occur by chance
# once in 16 MiB of compressed data.
_SOI = re.compile(rb"\xff\xd8(?=\xff[\xc0-\xcf\xda\xdb\xdd\xe0-\xef\xfe](..))", re.DOTALL)


def detect_content(head: bytes) -> Content:
    """Detect what a file holds that begins with `head`; `TEXT` and `UNKNOWN` may change as `head` grows."""
    if foreign_format(head):
        return Content.FOREIGN
    if _is_container(head):
        return Content.CONTAINER
    if dechunker_for(head):
        return Content.CHUNKED
    if head.startswith(b"\xff\xd8\xff"):
        return Content.JPEG
    if _contains_picture(head):
        return Content.JPEG_LATER
    return Content.TEXT if _is_text(head) else Content.UNKNOWN


def read_head(stream: ByteStream) -> bytes:
    """Read the first bytes of a stream: `HEAD_BYTES` at most, and no more than detection needs.

    A live stream is therefore delayed little longer than until its first picture begins.
    """
    head, wanted = bytearray(), _MIN_BYTES
    while len(head) < HEAD_BYTES and (chunk := stream.read(min(1 << 16, HEAD_BYTES - len(head)))):
        head += chunk
        if len(head) < wanted:
            continue
        wanted = len(head) + len(head) // _GROWTH
        content = detect_content(bytes(head))
        if content in (Content.TEXT, Content.UNKNOWN):
            continue
        if content is Content.CHUNKED or not may_be_chunked(bytes(head)):
            break
    return bytes(head)


def foreign_format(head: bytes) -> str | None:
    """The name of a format that cannot hold Motion-JPEG, such as "a PNG picture"; None for other formats."""
    for magic, name in _FOREIGN:
        if head.startswith(magic):
            return name
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "a WebP picture"
    if head[4:8] == b"ftyp" and head[8:12] in _STILL_BRANDS:
        return "an AVIF picture" if head[8:11] == b"avi" else "a HEIF picture"
    if head[:2] == b"BM" and head[6:10] == bytes(4):
        return "a BMP picture"
    return None


def is_web_page(head: bytes) -> bool:
    """Whether text is HTML: a camera that asks for a password answers with a web page."""
    return _WEB_PAGE.search(head[:1024]) is not None


def _is_container(head: bytes) -> bool:
    if head.startswith(_CONTAINERS) or head[:4] in (b"RIFF", b"RF64"):
        return True
    if head[4:8] in _MOV_ATOMS or _START_CODE.match(head):
        return True
    return len(head) > 188 and head[0] == head[188] == 0x47  # MPEG transport stream


def _contains_picture(head: bytes) -> bool:
    """Whether an SOI is followed by a complete segment and the marker of the next one."""
    for found in _SOI.finditer(head):
        after = found.start() + 4 + int.from_bytes(found[1])
        if head[after : after + 1] == b"\xff":
            return True
    return False


def _is_text(head: bytes) -> bool:
    if b"\x00" in head:
        return False
    try:
        head[:4096].decode()
    except UnicodeDecodeError as error:
        return error.start >= min(len(head), 4096) - 3  # a character that is cut off
    return True
