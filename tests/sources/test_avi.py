from __future__ import annotations

import io
from fractions import Fraction
from pathlib import Path

import pytest

from mjpeg_restore.sources import open_source
from mjpeg_restore.sources.avi import ChunkCounter, CountingReader, count_chunks
from tests.sources.clips import MuxClip


def chunk(name: bytes, data: bytes = b"") -> bytes:
    return name + len(data).to_bytes(4, "little") + data + b"\0" * (len(data) % 2)


def listed(name: bytes, kind: bytes, content: bytes, size: int | None = None) -> bytes:
    return name + (len(content) + 4 if size is None else size).to_bytes(4, "little") + kind + content


MOVIE = [chunk(b"00dc", b"abc"), chunk(b"01wb", b"sound"), chunk(b"00dc"), chunk(b"00db", b"00dc" * 5), chunk(b"01dc")]
FILES = {
    "whole": listed(b"RIFF", b"AVI ", listed(b"LIST", b"movi", b"".join(MOVIE)) + chunk(b"idx1", b"00dc" * 8)),
    "in records": listed(b"RIFF", b"AVI ", listed(b"LIST", b"movi", listed(b"LIST", b"rec ", b"".join(MOVIE)))),
    "unfinished": listed(b"RIFF", b"AVI ", listed(b"LIST", b"movi", b"".join(MOVIE), 0), 0),
    "in two parts": listed(b"RIFF", b"AVI ", listed(b"LIST", b"movi", b"".join(MOVIE[:2])))
    + listed(b"RIFF", b"AVIX", listed(b"LIST", b"movi", b"".join(MOVIE[2:]))),
    "with zeros behind": listed(b"RIFF", b"AVI ", listed(b"LIST", b"movi", b"".join(MOVIE))) + bytes(100) + MOVIE[0],
}


@pytest.mark.parametrize("at_once", [1, 7, 1000])
@pytest.mark.parametrize("name", FILES)
def test_chunks_are_counted_as_they_come(name: str, at_once: int) -> None:
    chunks, data = ChunkCounter(), FILES[name]
    for start in range(0, len(data), at_once):
        chunks.feed(data[start : start + at_once])
    assert (chunks.count(0), chunks.count(1), chunks.count(2)) == (3, 1, 0)


def test_chunks_are_counted_during_reading_or_afterwards(tmp_path: Path) -> None:
    path = tmp_path / "a.avi"
    path.write_bytes(FILES["whole"])
    assert count_chunks(str(path)).count(0) == 3
    stream = io.BytesIO(FILES["whole"])
    stream.seek(5)
    assert count_chunks(stream).count(0) == 3
    assert stream.tell() == 5
    chunks = ChunkCounter()
    counted = CountingReader(io.BytesIO(FILES["whole"]), chunks)
    assert b"".join(iter(lambda: counted.read(9), b"")) == FILES["whole"]
    assert chunks.count(0) == 3


def test_other_formats_are_not_searched_for_chunks() -> None:
    chunks = ChunkCounter()
    chunks.feed(b"\x1a\x45\xdf\xa3" + bytes(1000))
    assert chunks.finished
    chunks.feed(FILES["whole"])
    assert chunks.count(0) == 0


def test_an_avi_deleted_while_it_is_read_is_truncated(mux: MuxClip, jpegs: list[bytes]) -> None:
    path = mux("a.avi", jpegs * 5)
    data = path.read_bytes()
    path.write_bytes(data[: data.index(jpegs[5]) - 8])
    with open_source(path) as source:
        packets = iter(source)
        next(packets)
        path.unlink()
        assert len(list(packets)) == 4
    assert source.truncated == f"{path} ends after 0.20 s of 2.00 s"


def damage_index(data: bytes, how: str) -> bytes:
    """An AVI whose index leads elsewhere than to its chunks."""
    index = data.rindex(b"idx1") + 8
    whole = [data[at : at + 16] for at in range(index, len(data), 16)]

    def leading(entries: list[bytes], offset: bytes) -> list[bytes]:
        return [entry[:8] + offset + entry[12:] for entry in entries]

    nowhere = b"\xf0\xff\xff\xff"
    entries = {
        "first": [*leading(whole[:1], nowhere), *whole[1:]],
        "some": [*whole[:4], *leading(whole[4:6], nowhere), *whole[6:]],
        "all": leading(whole, nowhere),
        "half at the first chunk": [*whole[:5], *leading(whole[5:], whole[0][8:12])],
        "reversed": whole[::-1],
    }[how]
    return data[:index] + b"".join(entries)


@pytest.mark.parametrize("by_path", [True, False])
@pytest.mark.parametrize("how", ["first", "some", "all", "half at the first chunk", "reversed"])
def test_a_damaged_index_loses_no_picture(
    mux: MuxClip, jpegs: list[bytes], tmp_path: Path, how: str, by_path: bool
) -> None:
    data = damage_index(mux("whole.avi").read_bytes(), how)
    path = tmp_path / "damaged.avi"
    path.write_bytes(data)
    with open_source(path if by_path else data) as source:
        packets = list(source)
    assert [packet.data for packet in packets] == jpegs
    assert [packet.pts for packet in packets] == [*range(10)]
    assert any("damaged index" in remark for remark in source.remarks)
    with open_source(path if by_path else data, start=Fraction(5, 25)) as source:
        assert [packet.data for packet in source] == jpegs[5:]


def test_a_whole_index_is_used(mux: MuxClip) -> None:
    with open_source(mux("clip.avi", sound="pcm_s16le")) as source:
        assert not source.remarks
