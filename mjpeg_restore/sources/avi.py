"""What an AVI file holds, chunk by chunk: FFmpeg says nothing of empty ones, which show the picture before again."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import BinaryIO, cast

from mjpeg_restore.sources.probe import Readable

_AT_ONCE = 1 << 20
_LISTS = frozenset({b"RIFF", b"LIST"})
_PICTURES = frozenset({b"dc", b"db"})
_NAME = re.compile(rb"[ -~]{4}")


class ChunkCount:
    """Counts the chunks of video, empty ones too, in the bytes of an AVI file as they come.

    Attributes:
        over: True once no chunk can follow.
    """

    def __init__(self) -> None:
        self._counts: Counter[bytes] = Counter()
        self._rest = b""
        self._skip = 0
        self.over = False

    def of(self, track: int) -> int:
        """How many chunks of a track, by its number from 0, have begun so far."""
        return self._counts[b"%02d" % track]

    def feed(self, data: bytes) -> None:
        """Take the next bytes of the file."""
        if self.over:
            return
        data, at = self._rest + data, 0
        while True:
            step = min(self._skip, len(data) - at)
            at, self._skip = at + step, self._skip - step
            if self._skip or len(data) - at < 8:
                break
            name, size = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "little")
            if not _NAME.fullmatch(name):  # no AVI, or one that goes on with zeros
                self.over = True
                break
            if name[2:] in _PICTURES:
                self._counts[name[:2]] += 1
            # What is within a list is counted too, whatever size it states: an unfinished file states none.
            self._skip = 12 if name in _LISTS else 8 + size + size % 2
        self._rest = b"" if self.over else data[at:]


class Counted:
    """A stream that cannot seek, counted while it is read."""

    def __init__(self, stream: Readable, chunks: ChunkCount) -> None:
        """Read from `stream`, and let `chunks` see it."""
        self._stream = stream
        self._chunks = chunks

    def read(self, size: int = -1, /) -> bytes:
        """Up to `size` bytes; none at the end."""
        data = self._stream.read(size)
        self._chunks.feed(data)
        return data


def chunks_of(source: str | Readable) -> ChunkCount:
    """The chunks of a whole file.

    Args:
        source: the file's name, or a stream that can seek.

    Raises:
        OSError: it cannot be read.
    """
    if isinstance(source, str):
        with Path(source).open("rb") as file:
            return chunks_of(file)
    stream, chunks = cast(BinaryIO, source), ChunkCount()
    place = stream.tell()  # whoever else reads from it goes on there
    stream.seek(0)
    while not chunks.over and (data := stream.read(_AT_ONCE)):
        chunks.feed(data)
    stream.seek(place)
    return chunks
