"""MOV files with any edit lists, which FFmpeg's muxer cannot write."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

_CONTAINERS = (b"moov", b"trak")


def with_edits(path: Path, edits: Sequence[tuple[int, int]]) -> Path:
    """Replace the edit list of a file's track by (duration in movie units, media time or -1 for a pause)."""
    data = path.read_bytes()
    at, result = 0, b""
    while at < len(data):
        size = int.from_bytes(data[at : at + 4])
        box = data[at : at + size]
        result += _edited(box, edits) if box[4:8] == b"moov" else box
        at += size
    assert data.index(b"mdat") < data.index(b"moov")  # so that the offsets of samples stay valid
    path.write_bytes(result)
    return path


def _edited(box: bytes, edits: Sequence[tuple[int, int]]) -> bytes:
    at, inner = 8, b""
    while at < len(box):
        size = int.from_bytes(box[at : at + 4])
        child, name = box[at : at + size], box[at + 4 : at + 8]
        if name in _CONTAINERS:
            child = _edited(child, edits)
        elif name == b"edts":
            child = b""
        inner += child
        if name == b"tkhd":
            inner += _edit_list(edits)
        at += size
    return (len(inner) + 8).to_bytes(4) + box[4:8] + inner


def _edit_list(edits: Sequence[tuple[int, int]]) -> bytes:
    entries = b"".join(length.to_bytes(4) + start.to_bytes(4, signed=True) + b"\0\x01\0\0" for length, start in edits)
    content = bytes(4) + len(edits).to_bytes(4) + entries
    elst = (len(content) + 8).to_bytes(4) + b"elst" + content
    return (len(elst) + 8).to_bytes(4) + b"edts" + elst
