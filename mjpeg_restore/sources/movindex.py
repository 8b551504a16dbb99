"""How many samples the index of a MOV or MP4 claims, before FFmpeg believes it.

Samples of one size take twelve bytes of the index, however many there are; FFmpeg makes an entry for each, 35 bytes of
memory: a file of 4 kB can ask for gigabytes.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from typing import BinaryIO, Final

MOST_SAMPLES: Final = 1 << 23
"""In all tracks together: the pictures of four days. Samples with sizes of their own are bounded by the file's."""

_INSIDE: Final = frozenset({b"moov", b"trak", b"mdia", b"minf", b"stbl"})


def claimed_samples(file: BinaryIO) -> int:
    """Samples of one size in all tracks of a MOV or MP4; 0 where the file is none, or says nothing of the kind.

    PCM is left out: FFmpeg indexes it by the chunk, where each of its samples lasts one tick.

    Args:
        file: can seek; its position is 0 afterwards.
    """
    try:
        size = file.seek(0, io.SEEK_END)
        return sum(_of_one_size(file, start, end) for start, end in _tables(file, 0, size))
    finally:
        file.seek(0)


def _boxes(file: BinaryIO, position: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """(type, begin, end) of the contents of each box between two offsets."""
    while position + 8 <= end:
        file.seek(position)
        size, kind = struct.unpack(">I4s", file.read(8))
        head = 8
        if size == 1 and len(large := file.read(8)) == 8:
            size, head = int.from_bytes(large), 16
        elif size == 0:
            size = end - position
        if size < head:
            return
        yield kind, position + head, min(position + size, end)
        position += size


def _tables(file: BinaryIO, position: int, end: int) -> Iterator[tuple[int, int]]:
    """Where the contents of each sample table lie."""
    for kind, begin, stop in _boxes(file, position, end):
        if kind == b"stbl":
            yield begin, stop
        elif kind in _INSIDE:
            yield from _tables(file, begin, stop)


def _of_one_size(file: BinaryIO, begin: int, end: int) -> int:
    count, ticks = 0, b""
    for kind, start, _ in _boxes(file, begin, end):
        file.seek(start + 4)  # past version and flags
        if kind == b"stsz":
            sample, claimed = struct.unpack(">II", file.read(8).ljust(8, b"\0"))
            count = claimed if sample else 0
        elif kind == b"stts":
            ticks = file.read(12)
    by_chunk = ticks[:4] == b"\0\0\0\x01" and ticks[8:] == b"\0\0\0\x01"
    return 0 if by_chunk else count
