"""Q5 in containers: Huffman tables only in the first picture, or before a picture; and a start after them."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from mjpeg_restore.jpeg import read
from mjpeg_restore.jpeg.segments import DHT, DQT
from mjpeg_restore.pipeline import run
from mjpeg_restore.restorer import Restorer
from mjpeg_restore.sources import open_source
from mjpeg_restore.testing import Collect
from tests.jpeg.pictures import insert, rename_huffman, segment, tables_alone, without
from tests.sources.clips import MuxClip, make_jpeg

CONTAINERS = ("avi", "mov", "mkv", "mp4")
DECODE = Restorer("decode", "onnxruntime", threads=1, streams=1)


def given_tables(number: int) -> bytes:
    """A picture that contains Huffman tables other than the standard ones."""
    return rename_huffman(make_jpeg(number), 1)


def bare(number: int) -> bytes:
    """The same picture without these tables."""
    return without(given_tables(number), DHT)


def assert_shows(path: Path, numbers: list[int], start: int | None = None) -> None:
    """Check that a run shows these pictures as if each had its own tables, none of them damaged."""
    sink = Collect()
    with open_source(path, start=None if start is None else Fraction(start)) as source:
        report = run(source, DECODE, sink)
    assert (report.damaged, report.unreadable) == (0, 0)
    assert len(sink.pictures) == len(numbers)
    for picture, number in zip(sink.pictures, numbers, strict=True):
        for ours, theirs in zip(picture.planes, DECODE.restore(read(make_jpeg(number))).planes, strict=True):
            np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("empty", [False, True], ids=["none", "empty DHT"])
@pytest.mark.parametrize("suffix", CONTAINERS)
def test_huffman_tables_only_in_the_first_picture(mux: MuxClip, suffix: str, empty: bool) -> None:
    others = [insert(bare(number), segment(DHT, b"")) if empty else bare(number) for number in range(1, 6)]
    assert_shows(mux(f"clip.{suffix}", [given_tables(0), *others]), list(range(6)))


@pytest.mark.parametrize("suffix", CONTAINERS)
def test_tables_in_front_of_each_picture(mux: MuxClip, suffix: str) -> None:
    packets = [tables_alone(given_tables(n), DHT, DQT) + without(given_tables(n), DHT, DQT) for n in range(4)]
    assert_shows(mux(f"clip.{suffix}", packets), list(range(4)))


@pytest.mark.parametrize("suffix", CONTAINERS)
def test_tables_before_the_first_picture_apply_to_all(mux: MuxClip, suffix: str) -> None:
    packets = [tables_alone(given_tables(0), DHT) + bare(0), bare(1), bare(2)]
    assert_shows(mux(f"clip.{suffix}", packets), list(range(3)))


@pytest.mark.parametrize("start", [1, 3])
@pytest.mark.parametrize("suffix", CONTAINERS)
def test_a_start_after_the_only_huffman_tables_uses_them(mux: MuxClip, suffix: str, start: int) -> None:
    packets = [given_tables(0), *map(bare, range(1, 100))]
    assert_shows(mux(f"clip.{suffix}", packets), list(range(25 * start, 100)), start)


@pytest.mark.parametrize("start", [1, 3])
@pytest.mark.parametrize("suffix", CONTAINERS)
def test_the_latest_huffman_tables_are_used(mux: MuxClip, suffix: str, start: int) -> None:
    packets = [bare(number) for number in range(100)]
    packets[0], packets[10] = make_jpeg(0), given_tables(10)
    packets[1:10] = [without(make_jpeg(number), DHT) for number in range(1, 10)]
    assert_shows(mux(f"clip.{suffix}", packets), list(range(25 * start, 100)), start)


@pytest.mark.parametrize("suffix", CONTAINERS)
def test_a_start_in_a_stream_without_huffman_tables(mux: MuxClip, suffix: str) -> None:
    packets = [without(make_jpeg(number), DHT) for number in range(60)]
    assert_shows(mux(f"clip.{suffix}", packets), list(range(50, 60)), 2)


def test_tables_before_a_raw_stream_and_a_start_in_it(tmp_path: Path) -> None:
    path = tmp_path / "clip.mjpeg"
    path.write_bytes(tables_alone(given_tables(0), DHT) + b"".join(map(bare, range(60))))
    assert_shows(path, list(range(60)))
    assert_shows(path, list(range(50, 60)), 2)
