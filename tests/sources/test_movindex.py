"""An index of a few bytes can claim millions of samples."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import pytest

from mjpeg_restore.errors import SourceError
from mjpeg_restore.sources import open_source
from mjpeg_restore.sources.movindex import claimed_samples
from tests.sources.clips import MuxClip, pipe


def claiming(data: bytes, count: int) -> bytes:
    """A MOV whose index claims `count` samples of one byte."""
    changed = bytearray(data)
    for box, words in ((b"stsz", (1, count)), (b"stts", (1, count)), (b"stsc", (1, 1, count, 1))):
        struct.pack_into(f">{len(words)}I", changed, changed.index(box) + 8, *words)
    return bytes(changed)


def front(data: bytes) -> bytes:
    """The same boxes with the index first, as in a pipe; the offsets in the index become invalid."""
    at = data.index(b"moov") - 4
    size = int.from_bytes(data[at : at + 4])
    start = int.from_bytes(data[:4])
    return data[:start] + data[at : at + size] + data[start:at] + data[at + size :]


@pytest.mark.parametrize("suffix", ["mov", "mp4"])
def test_an_index_that_claims_millions_is_refused(mux: MuxClip, tmp_path: Path, suffix: str) -> None:
    whole = Path(mux(f"clip.{suffix}")).read_bytes()
    assert claimed_samples(io.BytesIO(whole)) == 0
    bomb = claiming(whole, 88_000_000)
    assert claimed_samples(io.BytesIO(bomb)) == 88_000_000
    path = tmp_path / f"bomb.{suffix}"
    path.write_bytes(bomb)
    for spec in (path, bomb, pipe(front(bomb))):
        with pytest.raises(SourceError, match=r"claims 88,000,000 samples in its index"):
            open_source(spec)


def test_pcm_samples_do_not_count() -> None:
    def box(kind: bytes, *parts: bytes) -> bytes:
        body = b"".join(parts)
        return struct.pack(">I4s", 8 + len(body), kind) + body

    def table(delta: int) -> bytes:
        sizes = box(b"stsz", bytes(4), struct.pack(">II", 4, 10**9))
        times = box(b"stts", bytes(4), struct.pack(">III", 1, 10**9, delta))
        return box(b"trak", box(b"mdia", box(b"minf", box(b"stbl", times, sizes))))

    assert claimed_samples(io.BytesIO(box(b"moov", table(1)))) == 0
    assert claimed_samples(io.BytesIO(box(b"moov", table(2), table(2)))) == 2 * 10**9


@pytest.mark.parametrize("data", [b"", b"\0\0\0\x01moov", b"\0\0\0\0moov" + bytes(3), b"\0\0\0\x09moov\0", bytes(99)])
def test_other_data_claims_no_samples(data: bytes) -> None:
    file = io.BytesIO(data)
    assert claimed_samples(file) == 0
    assert file.tell() == 0
