"""Q5, H1: tables that a stream defines once apply to all later pictures."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pictures import encode, insert, patch_frame, rename_huffman, segment, tables_alone, without

from mjpeg_restore.errors import JpegError
from mjpeg_restore.frames import CodedPicture, Packet
from mjpeg_restore.jpeg import HeaderWalk, Splitter, known_tables, read, scan, split
from mjpeg_restore.jpeg.segments import DHT, DQT, Table, tables_in
from mjpeg_restore.jpeg.tables import STANDARD_DHT
from mjpeg_restore.pipeline import run
from mjpeg_restore.restorer import Restorer
from mjpeg_restore.testing import Collect, ListSource

SIZE = (64, 48)
DECODE = Restorer("decode", "onnxruntime", threads=1, streams=1)


def plain(seed: int, sampling: str = "4:2:0") -> bytes:
    """A picture with the standard Huffman tables."""
    return encode(sampling, SIZE, seed)


def given_tables(seed: int, sampling: str = "4:2:0") -> bytes:
    """The same picture with Huffman tables of other numbers, which it defines."""
    return rename_huffman(plain(seed, sampling), 1)


def bare(seed: int, *markers: int) -> bytes:
    """The picture of `given_tables` without the segments with `markers`, DHT by default."""
    return without(given_tables(seed), *(markers or (DHT,)))


def assert_same(picture: CodedPicture, data: bytes) -> None:
    expected = read(data)
    assert picture.damage is None
    for ours, theirs in zip(picture.coefficients, expected.coefficients, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    for ours, theirs in zip(picture.tables, expected.tables, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def read_all(packets: list[bytes], walk: HeaderWalk | None = None) -> list[CodedPicture]:
    """Read all pictures of a stream's packets; unreadable packets are skipped."""
    walk = walk or HeaderWalk()
    found: list[CodedPicture] = []
    for packet in packets:
        try:
            parts = walk(packet)
        except JpegError:
            continue
        found += [read(part.data, header=part.header, tables=part.tables) for part in parts.pictures]
    return found


def test_the_pictures_of_these_tests_cannot_be_read_without_their_tables() -> None:
    assert_same(read(given_tables(0)), plain(0))
    lonely = read(bare(0))
    assert lonely.damage is not None or (lonely.coefficients[0] != read(plain(0)).coefficients[0]).any()


@pytest.mark.parametrize("empty", [False, True], ids=["none", "empty DHT"])
def test_huffman_tables_in_the_first_picture_alone(empty: bool, either_reader: str) -> None:
    others = [insert(bare(seed), segment(DHT, b"")) if empty else bare(seed) for seed in range(1, 4)]
    for seed, picture in enumerate(read_all([given_tables(0), *others])):
        assert_same(picture, plain(seed))


def test_both_kinds_of_tables_in_the_first_picture_alone(either_reader: str) -> None:
    packets = [given_tables(0), bare(1, DHT, DQT), bare(2, DHT), bare(3, DQT)]
    for seed, picture in enumerate(read_all(packets)):
        assert_same(picture, plain(seed))


def test_newer_tables_replace_older_ones(either_reader: str) -> None:
    packets = [given_tables(0), bare(1), plain(2), without(plain(3), DHT), given_tables(4), bare(5)]
    for seed, picture in enumerate(read_all(packets)):
        assert_same(picture, plain(seed))


def test_tables_of_other_numbers_are_added(either_reader: str) -> None:
    third = rename_huffman(plain(2), 2)
    half = insert(
        without(third, DHT),
        *(segment(DHT, table.body) for table in huffman_of(third) if table.name & 15 == 2),
    )
    packets = [given_tables(0), bare(1), half, bare(3), without(rename_huffman(plain(4), 2), DHT)]
    for seed, picture in enumerate(read_all(packets)):
        assert_same(picture, plain(seed))


def huffman_of(data: bytes) -> list[Table]:
    """The Huffman tables of a picture, one by one."""
    position, found = 0, []
    known = known_tables(b"", scan(data).tables, {DHT})
    while position < len(known):
        end = position + 2 + int.from_bytes(known[position + 2 : position + 4], "big")
        found += tables_in(DHT, known[position + 4 : end])
        position = end
    return found


@pytest.mark.parametrize("renewed", range(4))
def test_one_of_four_tables_is_renewed(renewed: int, either_reader: str) -> None:
    data = encode("4:2:0", SIZE, optimize=True)
    own = huffman_of(data)
    standard = {table.name: table for table in tables_in(DHT, STANDARD_DHT[4:])}
    first = [segment(DHT, (standard[t.name] if k == renewed else t).body) for k, t in enumerate(own)]
    second = insert(without(data, DHT), segment(DHT, own[renewed].body))
    (picture,) = read_all([b"\xff\xd8" + b"".join(first) + b"\xff\xd9", second])
    assert_same(picture, data)


@pytest.mark.parametrize("sampling", ["gray", "4:2:0"])
def test_progressive_pictures_lack_tables_too(sampling: str) -> None:
    first, second = encode(sampling, SIZE, progressive=True), encode(sampling, SIZE, progressive=True, quality=60)
    assert_same(read_all([first, without(second, DQT)])[1], second)
    # Each scan redefines the same tables, so the last ones do not fit the first scan of the next picture.
    assert scan(second).missing_huffman == ()
    assert scan(without(second, DHT)).missing_huffman != ()


def test_a_picture_that_defines_its_tables_lacks_none() -> None:
    header = scan(given_tables(0))
    assert header.missing_huffman == ()
    assert scan(bare(0)).missing_huffman == (0, 1, 16, 17)
    assert scan(without(plain(0, "gray"), DHT)).missing_huffman == (0, 16)
    assert scan(insert(bare(0), segment(DHT, b""))).missing_huffman == (0, 1, 16, 17)


def test_h1_a_stream_without_huffman_tables_uses_the_standard_ones(either_reader: str) -> None:
    for seed, picture in enumerate(read_all([without(plain(seed), DHT) for seed in range(3)])):
        assert_same(picture, plain(seed))


@pytest.mark.parametrize("cut", [1, 17, 30, 200])
def test_a_table_that_is_cut_off_is_ignored(cut: int) -> None:
    broken = segment(DHT, STANDARD_DHT[4:][:cut])
    walk = HeaderWalk()
    walk.pass_over(b"\xff\xd8" + broken + b"\xff\xd9")
    whole = sum(len(table.body) for table in tables_in(DHT, STANDARD_DHT[4:][:cut]) if table.whole)
    assert sum(len(table.body) for table in huffman_in(walk.tables)) == whole


def huffman_in(tables: bytes) -> list[Table]:
    """The Huffman tables among segments that `known_tables` made."""
    found, position = [], 0
    while position < len(tables):
        end = position + 2 + int.from_bytes(tables[position + 2 : position + 4], "big")
        found += tables_in(DHT, tables[position + 4 : end]) if tables[position + 1] == DHT else []
        position = end
    return found


# ---- tables in a datastream of their own ----


@pytest.mark.parametrize("markers", [(DHT,), (DQT,), (DHT, DQT)], ids=["DHT", "DQT", "both"])
def test_tables_in_front_in_the_same_packet(markers: tuple[int, ...], either_reader: str) -> None:
    data = given_tables(0)
    packet = tables_alone(data, *markers) + without(data, *markers)
    assert list(split(packet)) == [(0, len(packet))]
    assert_same(read(packet), plain(0))
    first, second = read_all([packet, bare(1, *markers)])
    assert_same(first, plain(0))
    assert_same(second, plain(1))


def test_tables_in_several_datastreams_in_front(either_reader: str) -> None:
    data = given_tables(0)
    packet = tables_alone(data, DHT) + b"garbage" + tables_alone(data, DQT) + bare(0, DHT, DQT)
    assert_same(read(packet), plain(0))


def test_tables_in_a_packet_of_their_own(either_reader: str) -> None:
    packets = [tables_alone(given_tables(0), DHT, DQT), bare(1, DHT, DQT), bare(2, DHT)]
    found = read_all(packets)
    assert len(found) == 2
    for seed, picture in enumerate(found, 1):
        assert_same(picture, plain(seed))


def test_the_picture_s_own_tables_replace_those_in_front(either_reader: str) -> None:
    packet = tables_alone(encode("4:2:0", SIZE, quality=10, optimize=True), DHT, DQT) + given_tables(1)
    assert_same(read(packet), plain(1))


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(
    size=st.integers(1, 2000),
    foreign=st.sampled_from([b"", b"\r\n--boundary\r\n\r\n", b"\xff\xd8", b"\xff\xd9", bytes(40)]),
)
def test_tables_in_front_of_pictures_of_a_raw_stream(size: int, foreign: bytes) -> None:
    data = given_tables(0)
    pieces = [tables_alone(data, DHT) + foreign + bare(0), bare(1), tables_alone(data, DQT) + foreign + bare(2, DQT)]
    stream = foreign.join(pieces)
    splitter = Splitter()
    found = [item for k in range(0, len(stream), size) for item in splitter.feed(stream[k : k + size])]
    found += splitter.flush()
    assert [(offset, offset + len(piece)) for offset, piece in found] == list(split(stream))
    assert len(found) == 3
    for seed, picture in enumerate(read_all([piece for _, piece in found])):
        assert_same(picture, plain(seed))


def test_tables_far_in_front_are_dropped() -> None:
    stream = tables_alone(given_tables(0), DHT) + bytes(200_000) + plain(1)
    assert [stream[start:end] for start, end in split(stream)] == [plain(1)]
    for size in (1000, len(stream)):
        splitter = Splitter()
        found = [item for k in range(0, len(stream), size) for item in splitter.feed(stream[k : k + size])]
        assert found == [(len(stream) - len(plain(1)), plain(1))]


# ---- fields, files, discontinuities ----


def test_the_second_field_uses_the_tables_of_the_first(either_reader: str) -> None:
    packet = given_tables(0) + bare(1, DHT, DQT)
    walk = HeaderWalk(2 * SIZE[1])
    for seed, picture in enumerate(read_all([packet, bare(2, DHT, DQT) + bare(3)], walk)):
        assert_same(picture, plain(seed))


def test_the_second_field_uses_the_tables_of_an_unreadable_first_one(either_reader: str) -> None:
    walk = HeaderWalk(2 * SIZE[1])
    walk(plain(0) + plain(1))
    (second,) = read_all([patch_frame(given_tables(2), 0, b"\x0c") + bare(3, DHT, DQT)], walk)
    assert_same(second, plain(3))


def test_pictures_in_files_of_their_own_use_the_standard_huffman_tables(either_reader: str) -> None:
    packets = [given_tables(0), without(plain(1), DHT), without(plain(2), DHT, DQT)]
    for seed, picture in enumerate(read_all(packets, HeaderWalk(independent=True))):
        assert_same(picture, plain(seed))


def test_a_discontinuity_clears_the_tables() -> None:
    walk = HeaderWalk()
    walk(given_tables(0))
    assert walk.tables
    walk.forget()
    assert walk.tables == b""
    assert walk(without(plain(1), DHT)).pictures[0].tables == b""


def test_s6_a_discontinuity_ends_a_stream_of_fields() -> None:
    walk = HeaderWalk(2 * SIZE[1])
    assert len(walk(plain(0) + plain(1)).pictures) == 2
    assert walk(plain(2)).unpaired
    walk.forget()
    assert not walk(plain(2)).unpaired


class Seams(ListSource):
    """A source with a discontinuity in front of some packets."""

    def __init__(self, pictures: list[bytes], seams: set[int]) -> None:
        super().__init__(pictures)
        self._seams = seams

    def __iter__(self) -> Iterator[Packet]:
        for packet in super().__iter__():
            yield replace(packet, discontinuity=packet.index in self._seams)


def planes(source: ListSource) -> list[list[np.ndarray]]:
    """The planes of the pictures that a run shows."""
    sink = Collect()
    report = run(source, DECODE, sink)
    assert (report.damaged, report.held) == (0, 0)
    return [list(picture.planes) for picture in sink.pictures]


def assert_shows(shown: list[list[np.ndarray]], pictures: list[bytes]) -> None:
    for ours, data in zip(shown, pictures, strict=True):
        for plane, theirs in zip(ours, DECODE.restore(read(data)).planes, strict=True):
            np.testing.assert_array_equal(plane, theirs)


def test_a_run_reads_the_pictures_of_a_stream() -> None:
    packets = [given_tables(0), bare(1), bare(2, DHT, DQT), tables_alone(given_tables(3), DHT) + bare(3)]
    assert_shows(planes(ListSource(packets)), [plain(seed) for seed in range(4)])


def test_a_run_forgets_at_a_discontinuity() -> None:
    packets = [given_tables(0), bare(1), without(plain(2), DHT), without(plain(3), DHT)]
    assert_shows(planes(Seams(packets, {2})), [plain(seed) for seed in range(4)])


def test_a_run_of_files_takes_no_huffman_tables_from_one_to_the_next() -> None:
    packets = [given_tables(0), without(plain(1), DHT)]
    assert_shows(planes(ListSource(packets, independent=True)), [plain(0), plain(1)])


def test_a_run_takes_the_tables_that_a_source_hands_over() -> None:
    class Late(ListSource):
        def __iter__(self) -> Iterator[Packet]:
            for packet in super().__iter__():
                yield replace(packet, tables=b"" if packet.index else scan(given_tables(0)).tables)

    assert_shows(planes(Late([bare(1, DHT, DQT), bare(2)])), [plain(1), plain(2)])
