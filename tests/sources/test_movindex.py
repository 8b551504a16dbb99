"""An index of a few bytes can claim millions of samples."""

from __future__ import annotations

import io
import struct
import zlib
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


def box(kind: bytes, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return struct.pack(">I4s", 8 + len(body), kind) + body


def handler(kind: bytes) -> bytes:
    return box(b"hdlr", bytes(8), kind, bytes(12))


def sizes(count: int) -> bytes:
    return box(b"stsz", struct.pack(">3I", 0, 4, count))


def times(count: int, delta: int) -> bytes:
    return box(b"stts", struct.pack(">4I", 0, 1, count, delta))


def track(kind: bytes, delta: int, *more: bytes) -> bytes:
    table = box(b"stbl", times(10**9, delta), sizes(10**9))
    return box(b"trak", box(b"mdia", handler(kind), box(b"minf", table)), *more)


def claimed(data: bytes) -> int:
    return claimed_samples(io.BytesIO(data))


def test_pcm_samples_do_not_count() -> None:
    assert claimed(box(b"moov", track(b"soun", 1))) == 0
    assert claimed(box(b"moov", track(b"soun", 2), track(b"soun", 2))) == 2 * 10**9


def test_only_sound_is_pcm() -> None:
    assert claimed(box(b"moov", track(b"vide", 1))) == 10**9
    assert claimed(box(b"moov", track(b"soun", 1, handler(b"vide")))) == 10**9
    assert claimed(box(b"moov", track(b"soun", 1, times(1, 2)))) == 10**9
    assert claimed(box(b"moov", track(b"soun", 1, sizes(1)))) == 10**9 + 1


@pytest.mark.parametrize("place", [b"trak", b"minf", b"udta", b"wave", b"stsd", b"dinf"])
def test_sizes_count_wherever_ffmpeg_reads_them(place: bytes) -> None:
    assert claimed(box(b"moov", box(b"trak", box(place, sizes(10**9))))) == 10**9
    assert claimed(box(b"moov", box(place, sizes(10**9)))) == 10**9
    assert claimed(box(place, sizes(10**9))) == 10**9


def test_a_compressed_index_is_read() -> None:
    packed = struct.pack(">I", 10**6) + zlib.compress(box(b"moov", track(b"vide", 2)))
    assert claimed(box(b"moov", box(b"cmov", box(b"dcom", b"zlib"), box(b"cmvd", packed)))) == 10**9
    assert claimed(box(b"moov", box(b"cmov", box(b"dcom", b"zlib"), box(b"cmvd", b"no zlib")))) == 0


@pytest.mark.parametrize(("flags", "count", "expected"), [(1, 10**9, 10**9), (0x201, 10**9, 0), (1, 60, 0)])
def test_runs_in_fragments_count_unless_the_file_can_hold_them(flags: int, count: int, expected: int) -> None:
    run = box(b"trun", struct.pack(">2I", flags, count), bytes(4))
    assert claimed(box(b"moof", box(b"traf", run)) + box(b"mdat", bytes(60))) == expected


@pytest.mark.parametrize("size", [0, 8 * 5000])
def test_boxes_may_be_nested_to_any_depth(size: int) -> None:
    head = struct.pack(">I4s", size, b"moov")
    assert claimed(head * 5000) == 0


@pytest.mark.parametrize("data", [b"", b"\0\0\0\x01moov", b"\0\0\0\0moov" + bytes(3), b"\0\0\0\x09moov\0", bytes(99)])
def test_other_data_claims_no_samples(data: bytes) -> None:
    file = io.BytesIO(data)
    assert claimed_samples(file) == 0
    assert file.tell() == 0
