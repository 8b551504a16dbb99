"""Pictures made to break a reader or to keep it busy: each is read or refused within bounds, and read correctly."""

from __future__ import annotations

import io

import numpy as np
import pytest
from pictures import encode, encode_scans, patch_frame, scan_span, segment, tables_alone
from PIL import Image

from mjpeg_restore.errors import BadJpeg, UnsupportedJpeg
from mjpeg_restore.jpeg import HeaderWalk, limits, read, reader, scan
from mjpeg_restore.jpeg.reader import read_native
from mjpeg_restore.jpeg.segments import DHT, DQT, SOS
from tests.lacking import needs_native_arithmetic, needs_native_reader, needs_native_walk

HIGH, WIDE = (2400).to_bytes(2, "big"), (2400).to_bytes(2, "big")


@needs_native_arithmetic
@pytest.mark.parametrize("flags", [["+ARITH_CODE"], ["+ARITH_CODE", "+PROGRESSIVE_MODE"]])
def test_p2_detail_is_not_decoded_far_behind_the_end_of_the_data(flags: list[str]) -> None:
    data = encode("4:4:4", (64, 64), quality=100, flags=flags)
    contents = read_native(patch_frame(data, 1, HIGH + WIDE))
    assert "DATA_ENDED" in {warning.name for warning in contents.warnings}
    behind = [part.coefficients[contents.components[0].coefficients.shape[0] // 2 :] for part in contents.components]
    assert not any(part[..., 1:].any() for part in behind)
    picture = read(patch_frame(data, 1, HIGH + WIDE))
    assert picture.damage is not None
    assert picture.damage.first_bad_row == 0


@needs_native_arithmetic
def test_p2_rows_above_the_end_of_the_data_are_exact() -> None:
    data = encode("4:2:0", (640, 480), quality=95, flags=["+ARITH_CODE"])
    start, stop = scan_span(data)
    whole, cut = read(data), read(data[: (start + stop) // 2])
    assert whole.damage is None
    assert cut.damage is not None
    row = cut.damage.first_bad_row
    assert row >= 10
    assert np.array_equal(cut.coefficients[0][: 2 * row], whole.coefficients[0][: 2 * row])


@needs_native_arithmetic
@pytest.mark.parametrize("header", [b"\xff\xda\0\2", segment(0xDA, b"\4"), segment(0xDA, b"\1\1")])
def test_a_broken_scan_header_behind_the_end_of_arithmetic_data(header: bytes) -> None:
    data = encode("4:4:4", (64, 64), quality=100, flags=["+ARITH_CODE"])
    picture = read(patch_frame(data, 1, HIGH + WIDE)[:-2] + header)
    assert picture.damage is not None


def test_segments_in_front_of_the_picture_are_counted_too() -> None:
    picture, tables = encode(), tables_alone(encode(), DQT, DHT)
    assert scan(tables * 500 + picture).front
    for flood in (tables * 2000, b"\xff\xd8" * 5000, b"\xff\xd8\xff" * 5000, b"\xff\xd8\xff\xd9" * 5000):
        with pytest.raises(BadJpeg, match=f"more than {limits.MAX_SEGMENTS} marker segments"):
            scan(flood + picture)


def test_tables_of_a_flood_are_remembered() -> None:
    picture, walk = encode(), HeaderWalk()
    with pytest.raises(BadJpeg):
        walk(tables_alone(picture, DQT, DHT) * 2000)
    assert walk.tables


@needs_native_walk
def test_d1_intervals_beyond_the_limit_are_not_walked() -> None:
    data = encode("gray", (2048, 1088), restart_marker_blocks=1)
    assert data.count(b"\xff\xd0") * 8 > limits.MAX_RESTARTS
    sound, start = read(data), scan_span(data)[0]
    assert sound.damage is None
    damaged = read(data[: start + 5000] + data[start + 5400 :])
    assert damaged.damage is not None


@needs_native_reader
def test_p1_scans_that_the_walk_takes_for_noise_are_counted_and_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    data, reads = encode_scans(), list[object]()
    scans = segment(SOS, b"\1\1\0\0\x3f\0") * 64
    native = reader.read_native
    monkeypatch.setattr(reader, "read_native", lambda *given: reads.append(given) or native(*given))
    with pytest.raises(UnsupportedJpeg, match="more than 64 scans"):
        read(data[:-2] + scans + data[-2:])
    assert len(reads) == 1


@needs_native_reader
def test_p1_all_reads_of_a_picture_have_one_limit() -> None:
    data, cost = encode("gray", (64, 64), progressive=True), reader.no_cost()
    read_native(data, cost)
    once = int(cost[0])
    assert once >= 4 * 64 + 2 * 7 * 64  # four scans, and two that refine AC coefficients
    read_native(data, cost)
    assert cost[0] == 2 * once
    with pytest.raises(OverflowError, match="the scans have more blocks in all than are read"):
        for _ in range(100_000):
            read_native(data, cost)
    with pytest.raises(ValueError, match="size_t"):
        read_native(data, cost[:0])


@needs_native_reader
@pytest.mark.slow
def test_p1_a_progressive_picture_of_64_million_pixels_is_read() -> None:
    data = io.BytesIO()
    Image.new("RGB", (8000, 8000), "gray").save(data, "JPEG", progressive=True, subsampling="4:4:4")
    assert read(data.getbuffer()).damage is None


@needs_native_reader
@pytest.mark.parametrize("wrong", [None, "text", 3, 1.5, [1, 2], np.zeros(4, complex)[::2], memoryview(b"1234")[::2]])
def test_the_native_reader_takes_contiguous_bytes_alone(wrong: object) -> None:
    with pytest.raises((TypeError, BufferError, ValueError)):
        reader._native.read(wrong, reader.no_cost())  # pyright: ignore


@needs_native_reader
@pytest.mark.parametrize("data", [b"", b"\xff", b"\xff\xd8", b"\xff\xd8\xff", bytes(1000), b"\xff" * 1000])
def test_the_native_reader_refuses_what_is_no_picture(data: bytes) -> None:
    with pytest.raises(ValueError):
        read_native(data)
