"""The index of a MOV or MP4: where it is, and how many samples it has, before FFmpeg allocates memory for them.

Any number of samples of equal size takes twelve bytes of the index, and FFmpeg allocates 35 bytes for each sample: a
file of 4 kB can make it allocate gigabytes. FFmpeg reads a table of sizes wherever it stands in the index, so the
tables are searched for by name.
"""

from __future__ import annotations

import io
import re
import struct
import zlib
from collections.abc import Iterator
from typing import BinaryIO, Final

MAX_SAMPLES: Final = 1 << 23
"""Limit for samples of equal size in all tracks together: four days of video. The file's size limits other samples."""

_CONTAINERS: Final = frozenset(b"moov trak mdia minf stbl stsd dinf edts udta meta mvex tref wave moof traf".split())
"""Boxes of the top level in which FFmpeg looks for others."""
_SIZES: Final = re.compile(rb"(?=stsz.{4}(.{4})(.{4}))", re.DOTALL)
"""A table of sizes: the size of all samples, or 0, and their number."""
_RUN: Final = re.compile(rb"(?=trun.(.{3})(.{4}))", re.DOTALL)
"""A run of samples in a fragment: flags that tell which properties each sample has, and the number of samples."""
_PER_SAMPLE: Final = 0xF00
"""Flags of a run whose samples have properties of their own; the file's size limits these."""
_HANDLER: Final = re.compile(rb"(?=hdlr.{8}(.{4}))", re.DOTALL)
_TIMES: Final = re.compile(rb"(?=stts.{4}(.{12}))", re.DOTALL)
_ONE_TICK: Final = struct.Struct(">I4xI")
"""A table of durations: the number of its entries, and the duration in the first."""
_MAX_INFLATED: Final = 1 << 26


def claimed_samples(file: BinaryIO) -> int:
    """Count the samples of equal size in all tracks; 0 if there are none, or if the file is no MOV or MP4.

    PCM, whose samples last one tick each, does not count: FFmpeg indexes it by chunks. Neither do fragments that claim
    no more samples than the file has bytes.

    Args:
        file: must be able to seek; its position is 0 afterwards.
    """
    try:
        size = file.seek(0, io.SEEK_END)
        indexed = in_fragments = 0
        for kind, begin, end in _boxes(file, 0, size):
            if kind == b"moov":
                indexed += sum(_indexed(_contents(file, *span), part) for part, *span in _boxes(file, begin, end))
            elif kind in _CONTAINERS:
                contents = _contents(file, begin, end)
                indexed += _indexed(contents, kind)
                in_fragments += sum(
                    int.from_bytes(count)
                    for flags, count in _RUN.findall(contents)
                    if not int.from_bytes(flags) & _PER_SAMPLE
                )
        return indexed + (in_fragments if in_fragments > size else 0)
    finally:
        file.seek(0)


def index_comes_last(head: bytes) -> bool:
    """Whether a file that begins with `head` is a MOV or MP4 with its pictures before its index."""
    kinds = (kind for kind, _, _ in _boxes(io.BytesIO(head), 0, len(head)))
    return next((kind == b"mdat" for kind in kinds if kind in (b"mdat", b"moov")), False)


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


def _contents(file: BinaryIO, begin: int, end: int) -> bytes:
    file.seek(begin)
    return file.read(max(0, end - begin))


def _indexed(box: bytes, kind: bytes) -> int:
    """The samples of equal size in a part of the index."""
    if kind == b"cmov":  # a compressed index
        _, _, packed = box.partition(b"cmvd")
        try:
            box = zlib.decompressobj().decompress(packed[4:], _MAX_INFLATED)
        except zlib.error:
            return 0
    elif kind == b"trak" and _is_pcm(box):
        return 0
    return sum(int.from_bytes(count) for size, count in _SIZES.findall(box) if any(size))


def _is_pcm(track: bytes) -> bool:
    """Whether FFmpeg indexes a track by chunks: sound of which each sample lasts one tick."""
    handlers, times = set(_HANDLER.findall(track)), _TIMES.findall(track)
    sound = b"soun" in handlers and b"vide" not in handlers
    return sound and len(times) == len(_SIZES.findall(track)) == 1 and _ONE_TICK.unpack(times[0]) == (1, 1)
