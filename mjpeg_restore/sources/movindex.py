"""Counts the samples in the index of a MOV or MP4, before FFmpeg allocates memory for them.

Any number of samples of equal size takes twelve bytes of the index, and FFmpeg allocates 35 bytes for each sample: a
file of 4 kB can make it allocate gigabytes.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from typing import BinaryIO, Final

MAX_SAMPLES: Final = 1 << 23
"""Limit for samples of equal size in all tracks together: four days of video. The file's size limits other samples."""

_NESTED: Final = frozenset({b"moov", b"trak", b"mdia", b"minf", b"stbl"})


def claimed_samples(file: BinaryIO) -> int:
    """Count the samples of equal size in all tracks; 0 if there are none, or if the file is no MOV or MP4.

    PCM, whose samples last one tick each, does not count: FFmpeg indexes it by chunks.

    Args:
        file: must be able to seek; its position is 0 afterwards.
    """
    try:
        size = file.seek(0, io.SEEK_END)
        return sum(_samples_of_equal_size(file, start, end) for start, end in _sample_tables(file, 0, size))
    finally:
        file.seek(0)


def _boxes(file: BinaryIO, position: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Yield (type, begin, end of the contents) of each box between two offsets."""
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


def _sample_tables(file: BinaryIO, position: int, end: int) -> Iterator[tuple[int, int]]:
    """Yield (begin, end) of the contents of each sample table between two offsets."""
    for kind, begin, stop in _boxes(file, position, end):
        if kind == b"stbl":
            yield begin, stop
        elif kind in _NESTED:
            yield from _sample_tables(file, begin, stop)


def _samples_of_equal_size(file: BinaryIO, begin: int, end: int) -> int:
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
