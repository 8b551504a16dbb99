"""What a run of bytes holds, judged by its first bytes and never by its name."""

from __future__ import annotations

import re
from enum import Enum
from typing import Protocol

from mjpeg_restore.sources.chunked import dechunker, may_be_chunked

HEAD_BYTES = 1 << 20
"""How far into the bytes the first picture is looked for."""

_ENOUGH_FOR_MAGIC = 192  # an MPEG transport stream shows itself at its second sync byte, 188


class Readable(Protocol):
    """The one method that is asked of a stream of bytes."""

    def read(self, size: int = -1, /) -> bytes:
        """Up to `size` bytes; none at the end."""
        ...


class Content(Enum):
    """What a run of bytes holds."""

    JPEG = "a JPEG picture from the first byte on"
    CHUNKED = "an HTTP response, in chunks or compressed"
    JPEG_LATER = "a JPEG picture after other bytes: multipart headers, or the rest of a picture"
    CONTAINER = "a file format that a demuxer reads"
    FOREIGN = "something that is known to hold no Motion-JPEG"
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
    b"ID3",  # sound whose cover picture is not a video
    b"fLaC",
)
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
_STILL_BRANDS = frozenset({b"heic", b"heix", b"hevc", b"mif1", b"msf1", b"avif", b"avis"})

# SOI and a first segment that is usual in a baseline or progressive picture. Three bytes alone turn up by
# chance once in 16 MiB of any compressed data.
_SOI = re.compile(rb"\xff\xd8(?=\xff[\xc0-\xcf\xda\xdb\xdd\xe0-\xef\xfe](..))", re.DOTALL)


def content_of(head: bytes) -> Content:
    """What bytes hold that begin with `head`; `TEXT` and `UNKNOWN` may change as `head` grows."""
    if foreign_name(head):
        return Content.FOREIGN
    if _is_container(head):
        return Content.CONTAINER
    if dechunker(head):
        return Content.CHUNKED
    if head.startswith(b"\xff\xd8\xff"):
        return Content.JPEG
    if _holds_picture(head):
        return Content.JPEG_LATER
    return Content.TEXT if _is_text(head) else Content.UNKNOWN


def read_head(stream: Readable) -> bytes:
    """The first bytes of a stream: as few as settle what it holds, `HEAD_BYTES` at most.

    A live stream is thus not held up for longer than its first picture takes to begin.
    """
    head = b""
    while len(head) < HEAD_BYTES:
        chunk = stream.read(min(1 << 16, HEAD_BYTES - len(head)))
        if not chunk:
            break
        head += chunk
        if len(head) < _ENOUGH_FOR_MAGIC or (content := content_of(head)) in (Content.TEXT, Content.UNKNOWN):
            continue
        if content is Content.CHUNKED or not may_be_chunked(head):
            break
    return head


def foreign_name(head: bytes) -> str | None:
    """What the bytes are, in words, if they are known to be no Motion-JPEG at all."""
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


def _is_container(head: bytes) -> bool:
    if head.startswith(_CONTAINERS) or head[:4] in (b"RIFF", b"RF64"):
        return True
    if head[4:8] in _MOV_ATOMS:
        return True
    return len(head) > 188 and head[0] == head[188] == 0x47  # MPEG transport stream


def _holds_picture(head: bytes) -> bool:
    """Whether a start of image is followed by one whole segment and the marker of the next."""
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
        return error.start >= min(len(head), 4096) - 3  # a character cut at the end of the sample
    return True
