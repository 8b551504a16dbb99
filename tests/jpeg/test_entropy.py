"""The walk finds the MCUs where the plain reader does, and hostile arguments do no harm."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pictures import DHT, SAMPLINGS, encode, insert, scan_span, segment, without
from plain_reader import Reader

from mjpeg_restore.jpeg import entropy, scan
from mjpeg_restore.jpeg.segments import tables_in
from mjpeg_restore.jpeg.tables import STANDARD_DHT
from tests.lacking import needs_native_walk

pytestmark = needs_native_walk

TABLES = tuple(table.body[1:] for table in tables_in(DHT, STANDARD_DHT[4:]))
"""DC and AC of luma, then of chroma."""


def only_scan(data: bytes) -> entropy.Scan:
    (found,) = entropy.find_scans(data, scan(data))
    return found


def native_walk(
    data: bytes, spans: list[tuple[int, int]], tables: tuple[bytes, ...] = TABLES, layout: bytes = b"\0\1"
) -> tuple[tuple[bytes, int], ...]:
    packed = b"".join(number.to_bytes(4, sys.byteorder) for span in spans for number in span)
    return entropy.native_walk(data, packed, tables, layout)  # type: ignore[union-attr]


# ---- the same as the plain reader ----


@pytest.mark.parametrize("optimize", [False, True])
@pytest.mark.parametrize("blocks", [0, 1, 4])
@pytest.mark.parametrize("sampling", ["gray", "4:4:4", "4:2:2", "4:2:0"])
def test_mcus_begin_where_the_plain_reader_finds_them(sampling: str, blocks: int, optimize: bool) -> None:
    data = encode(sampling, (45, 37), quality=90, optimize=optimize, restart_marker_blocks=blocks)
    plain = Reader(data)
    plain.read()
    found = only_scan(data)
    walks = entropy.walk(data, found)
    assert found.mcus == len(plain.starts) == sum(walk.mcus for walk in walks)
    assert [int(start) for walk in walks for start in walk.starts[:-1]] == plain.starts
    assert [walk.end for walk in walks] == ["clean"] * len(walks)
    assert [int(walk.starts[-1]) for walk in walks] == [walk.stop for walk in walks]
    assert [walk.stop for walk in walks] == [*found.restarts, scan_span(data)[1]]
    assert found.restart_interval == blocks
    assert all(walk.mcus == blocks for walk in walks[:-1])


@pytest.mark.parametrize("sampling", SAMPLINGS)
def test_a_scan_by_its_header(sampling: str) -> None:
    data = encode(sampling)
    header, found = scan(data), only_scan(data)
    across, down = header.sampling.value or (1, 1)
    assert (found.high, found.wide) == (-(-117 // (8 * down)), -(-163 // (8 * across)))
    assert (found.start, found.stop) == scan_span(data)
    assert found.offset == header.scan_offset
    assert found.components == tuple(range(len(header.factors)))
    luma_blocks = across * down
    assert len(found.layout) == 2 * (luma_blocks + (2 if sampling != "gray" else 0))


def test_tables_that_are_not_given_are_the_standard_ones() -> None:
    data = encode()
    bare = without(data, DHT)
    assert only_scan(bare).tables == only_scan(data).tables
    (walk,) = entropy.walk(bare, only_scan(bare))
    assert (walk.mcus, walk.end) == (88, "clean")


def test_a_scan_with_an_invalid_header_is_left_out() -> None:
    data = encode()
    header = scan(data)
    at = header.scan_offset + 5
    assert entropy.find_scans(data[:at] + b"\x09" + data[at + 1 :], header) == []
    assert entropy.find_scans(data[: at + 1] + b"\x22" + data[at + 2 :], header) == []
    assert entropy.find_scans(data[: at - 1] + b"\0" + data[at:], header) == []


@pytest.mark.parametrize("part", np.linspace(0.01, 0.99, 23))
def test_data_that_are_cut_off_end_within_an_mcu(part: float) -> None:
    data = encode("4:4:4", quality=95)
    start, end = scan_span(data)
    at = start + int((end - start) * part)
    plain = Reader(data)
    plain.read()
    (walk,) = entropy.walk(data[:at], only_scan(data[:at]))
    whole = sum(following <= at for following in [*plain.starts[1:], end])
    assert walk.stop == at
    assert walk.mcus in (whole, whole - 1)  # the last byte of a whole MCU may hold bits of the next
    assert [int(start) for start in walk.starts[: walk.mcus]] == plain.starts[: walk.mcus]


@pytest.mark.parametrize("fill", [b"\0", b"\xff"])
def test_padding_of_the_last_byte_is_no_mcu(fill: bytes) -> None:
    data = encode("gray", (64, 64))
    end = scan_span(data)[1]
    last = data[end - 1]
    ones = last & ~(last + 1)  # the encoder's padding: the code for the end of a block ends with a zero
    padded = data[: end - 1] + bytes([last & ~ones | fill[0] & ones]) + data[end:]
    (walk,) = entropy.walk(padded, only_scan(padded))
    assert (walk.mcus, walk.end) == (64, "clean")


# ---- what no encoder makes ----

GRAY_DC, GRAY_AC = TABLES[:2]
FLAT = "00" + "1010"
"""A block of the level before, in the standard codes of luma."""


def bits(*codes: str) -> bytes:
    """The bytes of some codes: padded with ones, zeros stuffed behind FF (F.1.2.3)."""
    text = "".join(codes)
    text += "1" * (-len(text) % 8)
    return int(text, 2).to_bytes(len(text) // 8, "big").replace(b"\xff", b"\xff\0")


@pytest.mark.parametrize(
    ("codes", "mcus", "end"),
    [
        ([FLAT] * 4, 4, 0),
        ([FLAT, "00"], 1, 0),
        ([FLAT, "00", "00"], 1, 1),
        ([FLAT, "00", "11111111001" * 4, "1010"], 1, 2),  # four runs of 16 zeros: a 65th coefficient
        ([FLAT, "00", "11111111001" * 3, "1010"], 2, 0),
        ([FLAT, "00", "11111111001" * 3, "1111111111110101" + "0", "1010"], 1, 2),  # 48 + 15 zeros, then one more
        ([FLAT, "1" * 16, "0" * 16], 1, 2),  # no such code
        ([FLAT, "00", "1" * 16, "0" * 16], 1, 2),
        ([], 0, 0),
    ],
)
def test_blocks_bit_by_bit(codes: list[str], mcus: int, end: int) -> None:
    data = bits(*codes) if codes else b""
    ((starts, found),) = native_walk(data, [(0, len(data))])
    assert (len(starts) // 4 - 1, found) == (mcus, end)


def test_sizes_that_8_bits_a_sample_do_not_have() -> None:
    dc = bytes([0, 2] + [0] * 14) + b"\x0b\x0c"  # codes 00 and 01
    ac = bytes([0, 3] + [0] * 14) + b"\0\x0a\x0b"
    for codes, end in [("00" + "0" * 11 + "00", 0), ("01" + "0" * 12 + "00", 2), ("00" + "0" * 11 + "10", 2)]:
        data = bits(codes, "1" * 40)
        ((starts, found),) = native_walk(data, [(0, len(bits(codes)))], (dc, ac))
        assert (found, len(starts) // 4 - 1) == (end, 1 if end == 0 else 0)
    ((starts, found),) = native_walk(bits("00" + "0" * 11 + "01" + "1" * 10 + "00"), [(0, 5)], (dc, ac))
    assert (found, len(starts) // 4 - 1) == (0, 1)


def test_a_marker_ends_the_data_before_the_span_does() -> None:
    data = bits(*[FLAT] * 4) + b"\xff\xd0" + bits(*[FLAT] * 4)
    ((starts, end),) = native_walk(data, [(0, len(data))])
    assert (len(starts) // 4 - 1, end) == (4, 0)
    ((starts, end),) = native_walk(bits(*[FLAT] * 4) + b"\xff", [(0, 4)])  # half a marker
    assert (len(starts) // 4 - 1, end) == (4, 0)


# ---- hostile arguments ----


def test_memory_is_bounded() -> None:
    data = b"\xaa" * (6 << 20)  # 24 million MCUs of two bits
    table = b"\2" + bytes(15) + b"\0\0"
    ((starts, end),) = native_walk(data, [(0, len(data))], (table, table))
    assert (len(starts) // 4 - 1, end) == (1 << 24, 1)


@pytest.mark.parametrize("spans", [[(1, 0)], [(0, 101)], [(100, 101)], [(0, 0xFFFFFFFF)], [(0, 5), (7, 6)]])
def test_spans_outside_of_the_data_are_refused(spans: list[tuple[int, int]]) -> None:
    with pytest.raises(ValueError, match="span"):
        native_walk(bytes(100), spans)


@pytest.mark.parametrize("layout", [b"", b"\0", b"\0\1\0", b"\0\4", b"\4\0", b"\xff\0", b"\0\1" * 41])
def test_invalid_layouts_are_refused(layout: bytes) -> None:
    with pytest.raises(ValueError, match="layout"):
        native_walk(bytes(100), [(0, 100)], layout=layout)


@pytest.mark.parametrize("tables", [(), (b"",), (bytes(15),) * 2, (bytes(16),) * 9])
def test_invalid_tables_are_refused(tables: tuple[bytes, ...]) -> None:
    with pytest.raises(ValueError, match="table"):
        native_walk(bytes(100), [(0, 100)], tables)


def test_arguments_of_other_kinds_are_refused() -> None:
    for arguments in [("text", b"", (), b""), (b"", b"", [b""], b""), (b"", 5, (), b""), (b"",), ()]:
        with pytest.raises(TypeError):
            entropy.native_walk(*arguments)  # type: ignore[union-attr]
    with pytest.raises(TypeError):
        native_walk(b"", [], ("text", "text"))  # type: ignore[arg-type]


@pytest.mark.parametrize("counts", [bytes(16), b"\xff" * 16, bytes(15) + b"\xff", b"\2" + bytes(15), b"\1" * 16])
@pytest.mark.parametrize("values", [b"", b"\0", bytes(range(256)), b"\xff" * 4096])
def test_any_table_is_walked_with(counts: bytes, values: bytes) -> None:
    data = np.random.default_rng(1).integers(0, 255, 3000, np.uint8).tobytes()
    ((starts, end),) = native_walk(data, [(0, len(data))], (counts + values, counts + values))
    found = np.frombuffer(starts, np.uint32)
    assert end in (0, 1, 2)
    assert (np.diff(found.astype(int)) >= 0).all()
    assert found[-1] <= len(data)


@settings(max_examples=300)
@given(
    data=st.binary(max_size=200),
    cuts=st.lists(st.integers(0, 200), max_size=6),
    tables=st.lists(st.binary(min_size=16, max_size=60), min_size=1, max_size=8),
    layout=st.binary(min_size=2, max_size=80),
)
def test_random_bytes_do_no_harm(data: bytes, cuts: list[int], tables: list[bytes], layout: bytes) -> None:
    ends = sorted(min(cut, len(data)) for cut in cuts[: len(cuts) // 2 * 2])
    spans = list(zip(ends[::2], ends[1::2], strict=True))
    places = bytes(place % len(tables) for place in layout[: len(layout) // 2 * 2])
    found = native_walk(data, spans, tuple(tables), places)
    assert len(found) == len(spans)
    for (starts, end), (start, stop) in zip(found, spans, strict=True):
        offsets = np.frombuffer(starts, np.uint32).astype(int)
        assert end in (0, 1, 2)
        assert offsets[0] == start
        assert (np.diff(offsets) >= 0).all()
        assert offsets[-1] <= stop


def test_several_threads_walk_the_same() -> None:
    pictures = [encode(sampling, (320, 240), restart_marker_blocks=3) for sampling in ("gray", "4:2:0", "4:4:4")]
    expected = [entropy.walk(data, only_scan(data)) for data in pictures]

    def check(turn: int) -> None:
        found = entropy.walk(pictures[turn % 3], only_scan(pictures[turn % 3]))
        for ours, theirs in zip(found, expected[turn % 3], strict=True):
            np.testing.assert_array_equal(ours.starts, theirs.starts)
            assert (ours.end, ours.stop) == (theirs.end, theirs.stop)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(check, range(60)))


def test_the_picture_s_own_tables_are_used() -> None:
    data = encode("gray", (64, 48), optimize=True)
    assert only_scan(data).tables != TABLES[:2]
    renewed = insert(data, segment(DHT, STANDARD_DHT[4:]))  # in front, so that the picture's own replace them
    assert only_scan(renewed).tables == only_scan(data).tables
