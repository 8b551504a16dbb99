"""What FFmpeg does not tell of an AVI: empty chunks, which repeat the picture before, and an index that is damaged."""

from __future__ import annotations

import re
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO, cast

from av.container import InputContainer
from av.video.stream import VideoStream

from mjpeg_restore.sources.probe import ByteStream

_BLOCK = 1 << 20
_LISTS = frozenset({b"RIFF", b"LIST"})
_VIDEO = frozenset({b"dc", b"db"})
_NAME = re.compile(rb"[ -~]{4}")


class ChunkCounter:
    """Counts the video chunks, empty ones included, as the bytes of an AVI file are read.

    Attributes:
        finished: whether no more chunks can follow.
    """

    def __init__(self) -> None:
        self._counts: Counter[bytes] = Counter()
        self._rest = b""
        self._skip = 0
        self.finished = False

    def count(self, track: int) -> int:
        """How many chunks of a track have begun; tracks are numbered from 0."""
        return self._counts[b"%02d" % track]

    def feed(self, data: bytes) -> None:
        """Take the next bytes of the file."""
        if self.finished:
            return
        data, at = self._rest + data, 0
        while True:
            step = min(self._skip, len(data) - at)
            at, self._skip = at + step, self._skip - step
            if self._skip or len(data) - at < 8:
                break
            name, size = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "little")
            if not _NAME.fullmatch(name):  # not an AVI, or zeros after its end
                self.finished = True
                break
            if name[2:] in _VIDEO:
                self._counts[name[:2]] += 1
            # A list is entered whatever its size: an unfinished file states none.
            self._skip = 12 if name in _LISTS else 8 + size + size % 2
        self._rest = b"" if self.finished else data[at:]


class CountingReader:
    """A stream that cannot seek; its chunks are counted as it is read."""

    def __init__(self, stream: ByteStream, chunks: ChunkCounter) -> None:
        """Read from `stream`, and feed `chunks`."""
        self._stream = stream
        self._chunks = chunks

    def read(self, size: int = -1, /) -> bytes:
        """Return up to `size` bytes; none at the end."""
        data = self._stream.read(size)
        self._chunks.feed(data)
        return data


def count_chunks(source: str | ByteStream) -> ChunkCounter:
    """Count the chunks of a whole file.

    Args:
        source: the file's name, or a stream that can seek; its position does not change.

    Raises:
        OSError: it cannot be read.
    """
    if isinstance(source, str):
        with Path(source).open("rb") as file:
            return count_chunks(file)
    stream, chunks = cast(BinaryIO, source), ChunkCounter()
    position = stream.tell()
    stream.seek(0)
    while not chunks.finished and (data := stream.read(_BLOCK)):
        chunks.feed(data)
    stream.seek(position)
    return chunks


def has_damaged_index(container: InputContainer) -> bool:
    """Whether an AVI that can seek has an index by which FFmpeg would lose or repeat pictures.

    The chunks of a track follow one another in the file. FFmpeg takes an index that leads back for one of tracks that
    are not interleaved, reads by it alone, and ends at the first chunk that is not there. Where all entries lead to
    one place it keeps a single entry, as it does without an index.
    """
    if container.format.name != "avi":
        return False
    for stream in container.streams:
        at = [entry.pos for entry in stream.index_entries]
        if any(after <= before for before, after in pairwise(at)):
            return True
        if isinstance(stream, VideoStream) and len(at) <= 1 < stream.frames:
            return True
    return False
