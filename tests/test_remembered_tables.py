"""The tables of a stream: what is remembered from picture to picture."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction

import pytest

from mjpeg_restore.errors import SourceError
from mjpeg_restore.frames import Packet
from mjpeg_restore.inspection import survey
from mjpeg_restore.jpeg.segments import DHT, DQT, segments
from mjpeg_restore.pipeline import restore_pictures, run
from mjpeg_restore.sources import open_source
from mjpeg_restore.testing import Collect, ListSource
from tests.jpeg.pictures import encode, insert, segment, without
from tests.streams import DECODE, SIZE, assert_shows, cut, restore, still, troubles


def own_tables(seed: int) -> bytes:
    """A picture with Huffman tables of its own, which are not the standard ones."""
    return encode("4:2:0", SIZE, seed, quality=60, optimize=True)


def test_q1_tables_are_those_of_each_picture() -> None:
    pictures, report = restore([still(1, quality=quality) for quality in (20, 90, 55)])
    assert [picture.quality for picture in pictures] == [20, 90, 55]
    assert report.quality == {"min": 20, "median": 55, "max": 90}


def test_q3_tables_of_16_bits(capfd: pytest.CaptureFixture[str]) -> None:
    data = encode("4:2:0", SIZE, qtables=[[300 + k for k in range(64)], [1000] * 64])
    _, report = restore([data])
    assert troubles(report) == {}
    capfd.readouterr()  # libjpeg's encoder warns of coarse tables


def test_q4_a_step_of_zero() -> None:
    data = still()
    table = next(found for found in segments(data, 0) if found.marker == DQT)
    _, report = restore([data[: table.body + 1] + b"\0" + data[table.body + 2 :]])
    assert troubles(report) == {}


def test_q5_missing_tables_are_those_of_the_picture_before() -> None:
    bare = without(still(2), DQT)
    pictures, report = restore([still(1), bare, bare])
    assert troubles(report) == {}
    assert_shows(pictures[2], still(2))


def test_q5_one_table_renewed_leaves_the_other_as_it_was() -> None:
    data = still(1)
    luma, chroma = (data[found.offset : found.end] for found in segments(data, 0) if found.marker == DQT)
    assert luma[4] == 0
    assert chroma[4] == 1
    bare = without(data, DQT)
    pictures, report = restore([data, insert(bare, luma), bare])
    assert troubles(report) == {}
    assert_shows(pictures[2], data)


def test_q5_tables_of_pictures_that_were_passed_over_count() -> None:
    data = still(1) + without(still(2), DQT) + without(still(3), DQT)
    with open_source(data, start=Fraction(2, 25)) as source:
        (picture,) = restore_pictures(source, DECODE)
    assert_shows(picture, still(3))
    with open_source(data, start=Fraction(2, 25)) as source:
        assert survey(source).qualities == {60: 1}


def test_q5_a_packet_that_is_too_small_takes_no_tables_with_it() -> None:
    tiny = b"\xff\xd8\xff\xfe\x00\x04ab\xff\xd9"
    data = still(1) + tiny + without(still(3), DQT)
    with open_source(data, start=Fraction(1, 25)) as source:
        (picture,) = restore_pictures(source, DECODE)
    assert_shows(picture, still(3))


def test_q5_tables_that_never_came_are_named() -> None:
    with pytest.raises(SourceError, match="quantisation table 0 is not given"):
        restore([without(still(1), DQT)])


def test_q5_huffman_tables_given_once_hold_for_the_pictures_behind() -> None:
    first = own_tables(1)
    bare = without(first, DHT)
    pictures, report = restore([first, bare, insert(bare, segment(DHT, b"")), bare])
    assert troubles(report) == {}
    for picture in pictures:
        assert_shows(picture, first)


def test_q5_newer_tables_replace_older_ones() -> None:
    pictures, report = restore([own_tables(1), own_tables(2), without(own_tables(2), DHT)])
    assert troubles(report) == {}
    assert_shows(pictures[2], own_tables(2))


def test_q5_tables_in_front_of_a_picture_hold_for_it_and_for_those_behind() -> None:
    first = own_tables(1)
    tables = b"".join(first[found.offset : found.end] for found in segments(first, 0) if found.marker in (DHT, DQT))
    alone, bare = b"\xff\xd8" + tables + b"\xff\xd9", without(first, DHT, DQT)
    for packets in ([alone + bare, bare], [alone, bare, bare]):
        pictures, report = restore(packets)
        assert troubles(report) == {}
        assert len(pictures) == 2
        for picture in pictures:
            assert_shows(picture, first)


def test_q5_nothing_is_remembered_over_a_discontinuity() -> None:
    first, bare = own_tables(1), without(own_tables(1), DQT)

    class Broken(ListSource):
        def __iter__(self) -> Iterator[Packet]:
            for packet in super().__iter__():
                yield replace(packet, discontinuity=packet.index == 2)

    sink = Collect()
    report = run(Broken([first, bare, bare, cut(still(2)), still(3)]), DECODE, sink)
    assert troubles(report) == {"unreadable": 1, "damaged": 1, "held": 2, "dropped": 1}
    assert str(report.first_trouble).startswith("packet 2: quantisation table 0 is not given")


def test_h1_pictures_in_files_of_their_own_mean_the_standard_tables() -> None:
    sink = Collect()
    run(ListSource([own_tables(1), without(still(2), DHT)], independent=True), DECODE, sink)
    assert_shows(sink.pictures[1], still(2))
