"""Each quirk of a single picture: made from an encoder's output, and read by both readers."""

from __future__ import annotations

import io
import re
import struct

import numpy as np
import pytest
from pictures import (
    SAMPLINGS,
    change_marker,
    encode,
    huffman_tables,
    insert,
    oracle,
    patch_frame,
    scan_span,
    scene,
    segment,
    without,
)
from PIL import Image

from mjpeg_restore.errors import BadJpeg, JpegError, TooLarge, UnsupportedJpeg
from mjpeg_restore.frames import CodedPicture, Sampling
from mjpeg_restore.jpeg import entropy, estimate_quality, read, repair, scan, split
from mjpeg_restore.jpeg.segments import APP0, COM, DHT, DNL, DQT, EOI, SOS, loose_tables, segments
from mjpeg_restore.jpeg.tables import STANDARD_DHT
from tests.lacking import needs_native_reader

pytestmark = pytest.mark.usefixtures("either_reader")


def assert_same(picture: CodedPicture, expected: CodedPicture) -> None:
    """The picture is undamaged, and equal in size, sampling, tables and coefficients."""
    assert picture.damage is None
    assert (picture.width, picture.height, picture.sampling) == (
        expected.width,
        expected.height,
        expected.sampling,
    )
    for ours, theirs in zip(picture.coefficients, expected.coefficients, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    for ours, theirs in zip(picture.tables, expected.tables, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def exif(orientation: int, thumbnail: bytes = b"") -> bytes:
    """An APP1 segment with the orientation tag, and a thumbnail to which no tag points."""
    tiff = struct.pack(">2sHIHHHIHHI", b"MM", 42, 8, 1, 0x0112, 3, 1, orientation, 0, 0)
    return segment(APP0 + 1, b"Exif\0\0" + tiff + thumbnail)


# ---- H: headers ----


@pytest.mark.parametrize("sampling", ["gray", "4:2:2", "4:2:0"])
def test_h1_missing_huffman_tables_are_the_standard_ones(sampling: str) -> None:
    data = encode(sampling)
    bare = without(data, DHT)
    assert scan(bare).missing_huffman
    assert not scan(data).missing_huffman
    assert_same(read(bare), read(data))
    if sampling != "gray":
        assert huffman_tables(data) == STANDARD_DHT[4:]


@pytest.mark.parametrize("polarity", [0, 1, 2])
def test_h2_avi1_segment_tells_the_field(polarity: int) -> None:
    data = encode()
    avi = insert(without(data, APP0, DHT), segment(APP0, b"AVI1" + bytes([polarity]) + bytes(9)))
    assert scan(avi).avi1_polarity == polarity
    assert scan(avi).field_order == {0: None, 1: "top", 2: "bottom"}[polarity]
    assert scan(data).avi1_polarity is scan(data).field_order is None
    assert_same(read(avi), read(data))


@pytest.mark.parametrize(("standard", "order"), [(1, "bottom"), (2, "top"), (0, None), (None, None)])
def test_s6_avids_comment_tells_the_field(standard: int | None, order: str | None) -> None:
    comment = b"AVID\x11\0\0\0\0\0\0\0" + (b"" if standard is None else bytes([standard])) + bytes(20)
    assert scan(insert(encode(), segment(COM, comment))).field_order == order


@pytest.mark.parametrize("length", [0, 1, 2, 3, 6])
def test_h3_short_application_segment_is_stepped_over(length: int) -> None:
    data = encode()
    short = insert(data, b"\xff\xe0" + length.to_bytes(2, "big") + bytes(max(0, length - 2)))
    assert_same(read(short), read(data))


def test_h4_thumbnail_in_exif_is_not_a_picture() -> None:
    data = encode()
    nested = insert(data, exif(1, thumbnail=encode(size=(32, 24))))
    assert list(split(nested)) == [(0, len(nested))]
    assert_same(read(nested), read(data))


def test_h4_a_thumbnail_does_not_replace_a_picture_that_ends_within_it() -> None:
    thumbnail = exif(1, thumbnail=encode(size=(32, 24)) + bytes(20))
    nested = insert(encode(), thumbnail)
    too_long = nested.replace(thumbnail[:4], b"\xff\xe1\xff\xff")
    for broken in (nested[: nested.index(thumbnail) + len(thumbnail) - 10], too_long):
        with pytest.raises(BadJpeg, match="breaks off before its first scan"):
            read(broken)
        assert not list(split(broken))
        assert not loose_tables(broken)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_h5_orientation_is_told(orientation: int) -> None:
    data = encode()
    turned = insert(data, exif(orientation))
    assert scan(turned).orientation == orientation
    assert_same(read(turned), read(data))


@pytest.mark.parametrize("cut", [0, 5, 9, 20, 25])
def test_h5_broken_exif_means_upright(cut: int) -> None:
    broken = exif(6)[4 : 4 + cut]
    assert scan(insert(encode(), segment(APP0 + 1, broken))).orientation == 1


# ---- S: streams ----


@pytest.mark.parametrize("sampling", SAMPLINGS)
def test_s1_missing_eoi_is_no_damage(sampling: str) -> None:
    data = encode(sampling)
    header = scan(data[:-2])
    assert not header.has_eoi
    assert header.end == len(data) - 2
    assert_same(read(data[:-2]), read(data))


@pytest.mark.parametrize("sampling", SAMPLINGS)
@pytest.mark.parametrize("part", [0.02, 0.3, 0.5, 0.77, 0.99])
def test_s2_truncation_names_the_row_and_is_repaired(sampling: str, part: float) -> None:
    data = encode(sampling)
    whole, before = read(data), read(encode(sampling, seed=1))
    start, end = scan_span(data)
    cut = read(data[: start + int((end - start) * part)])
    damage = cut.damage
    assert damage is not None
    down = 1 if cut.sampling is Sampling.GRAY else cut.sampling.value[1]
    assert damage.rows == -(-117 // (8 * down))
    differing = [
        int(np.flatnonzero((ours != theirs).any(axis=(1, 2)))[0]) // (down if component == 0 else 1)
        for component, (ours, theirs) in enumerate(zip(cut.coefficients, whole.coefficients, strict=True))
        if (ours != theirs).any()
    ]
    assert damage.first_bad_row == min(differing)

    repaired = repair(cut, before)
    assert repaired is not None
    assert repaired.damage is None
    for component, ours in enumerate(repaired.coefficients):
        row = damage.first_bad_row * (down if component == 0 else 1)
        np.testing.assert_array_equal(ours[:row], whole.coefficients[component][:row])
        np.testing.assert_array_equal(ours[row:], before.coefficients[component][row:])


@pytest.mark.parametrize("either_reader", [pytest.param("native", marks=needs_native_reader)], indirect=True)
def test_s2_an_eoi_after_the_cut_hides_nothing() -> None:
    data = encode()
    start, end = scan_span(data)
    half = data[: (start + end) // 2]
    assert read(half + data[-2:]).damage is not None
    both = half + encode(seed=1)  # the next picture began in the middle of this one
    assert list(split(both)) == [(0, len(half)), (len(half), len(both))]
    assert read(both).damage is not None


def test_s3_s4_foreign_bytes_around_the_picture() -> None:
    data = encode()
    packet = b"--boundary\r\nContent-Length: 5\r\n\r\n\xff\xd8\x00" + data + b"\0" * 100
    header = scan(packet)
    assert packet[header.start : header.end] == data
    assert_same(read(packet), read(data))
    assert_same(read(packet, header=header), read(data))


def test_s5_first_of_two_pictures() -> None:
    first, second = encode(seed=1), encode(seed=2)
    packet = first + b"\xff\xd9" + second
    assert [packet[start:end] for start, end in split(packet)] == [first, second]
    assert_same(read(packet), read(first))


def test_s6_s7_other_codecs_by_the_same_name() -> None:
    data = encode()
    with pytest.raises(UnsupportedJpeg, match="AVRn"):
        scan(data, codec_tag="AVRn")
    with pytest.raises(UnsupportedJpeg, match="JPEG B"):
        scan(data, codec_tag="mjpb")
    with pytest.raises(UnsupportedJpeg, match="JPEG B"):
        read(b"\0\0\0\0mjpg" + bytes(40) + data)


def test_s9_extraneous_bytes_before_restart_markers_are_harmless(either_reader: str) -> None:
    data = encode(restart_marker_blocks=6)
    start, end = scan_span(data)
    stuffed = re.sub(rb"\xff[\xd0-\xd7]", lambda marker: b"\0\0\0" + marker[0], data[start:end])
    assert len(stuffed) > end - start
    noisy = data[:start] + stuffed + data[end:]
    picture = read(noisy)
    assert_same(picture, read(data))
    if either_reader == "native":
        assert any("extraneous" in words for words in picture.warnings)


@pytest.mark.parametrize("data", [b"", b"\xff\xd8\xff", b"\xff\xd8\xff\xd9", bytes(100), encode()[:100]])
def test_s10_tiny_garbage(data: bytes) -> None:
    assert list(split(data)) == []
    with pytest.raises(BadJpeg):
        read(data)


def test_s11_false_marker_costs_only_the_rows_below(either_reader: str) -> None:
    data = encode()
    start, end = scan_span(data)
    middle = (start + end) // 2
    for false in (0x3A, 0xF3, 0xC0, 0xE1):
        flipped = data[:middle] + bytes([0xFF, false]) + data[middle + 2 :]
        picture = read(flipped)
        assert picture.damage is not None
        row = picture.damage.first_bad_row
        assert row < picture.damage.rows
        assert row > 0 or not entropy.available  # the fallback does not tell the row
        np.testing.assert_array_equal(
            picture.coefficients[1][: max(row - 1, 0)], read(data).coefficients[1][: max(row - 1, 0)], either_reader
        )


# ---- C: colour and sampling ----


@pytest.mark.parametrize("size", [(163, 117), (16, 16), (1, 1), (8, 40), (250, 9)])
@pytest.mark.parametrize("sampling", SAMPLINGS)
def test_c1_c2_every_sampling_at_odd_sizes(sampling: str, size: tuple[int, int]) -> None:
    data = encode(sampling, size)
    picture = read(data)
    planes, tables = oracle(data)
    assert picture.sampling.label == sampling
    assert (picture.width, picture.height) == size
    across, down = picture.sampling.value or (1, 1)
    for component, (ours, theirs) in enumerate(zip(picture.coefficients, planes, strict=True)):
        h, v = (1, 1) if component == 0 else (across, down)
        assert ours.shape == (-(-size[1] // (8 * v)), -(-size[0] // (8 * h)), 64)
        assert ours.dtype == np.int16
        np.testing.assert_array_equal(ours, theirs)
    for ours, theirs in zip(picture.tables, tables, strict=True):
        assert ours.dtype == np.uint16
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("factors", [0x12, 0x21, 0x22, 0x41, 0x44])
def test_c3_gray_with_any_factors(factors: int) -> None:
    data = encode("gray")
    odd = patch_frame(data, 7, bytes([factors]))
    assert_same(read(odd), read(data))
    start, end = scan_span(odd)
    damage = read(odd[: (start + end) // 2]).damage
    assert damage is not None
    assert damage.rows == 15
    assert 0 < damage.first_bad_row < 15


@pytest.mark.parametrize(
    ("factors", "sampling"),
    [
        ([[1, 2], [1, 2], [1, 2]], Sampling.YUV444),
        ([[2, 2], [2, 1], [2, 1]], Sampling.YUV422),
        ([[2, 2], [1, 2], [1, 2]], Sampling.YUV440),
    ],
)
def test_c3_factors_are_normalised(factors: list[list[int]], sampling: Sampling) -> None:
    data = encode(factors=factors)
    assert max(scan(data).factors[1]) == 2
    picture = read(data)
    assert picture.sampling is sampling
    for ours, theirs in zip(picture.coefficients, oracle(data)[0], strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_c4_comments_that_swap_or_flip() -> None:
    data = encode()
    swapped = insert(data, segment(COM, b"MTSJ"))
    intel = insert(data, segment(COM, b"Intel(R) JPEG Library, version 1.51"))
    metasoft = insert(data, segment(COM, b"Metasoft MJPEG Codec\0"))
    assert read(swapped).colour.swapped_chroma
    assert scan(data, codec_tag="MTSJ").colour.swapped_chroma
    assert not read(data).colour.swapped_chroma
    assert not scan(intel).colour.bottom_up
    assert read(intel, header=scan(intel, codec_tag="MJPG")).colour.bottom_up
    assert read(metasoft).colour.bottom_up


def test_c5_rgb_and_cmyk_are_refused() -> None:
    pixels = Image.fromarray(scene(64, 48))
    rgb, cmyk = io.BytesIO(), io.BytesIO()
    pixels.save(rgb, "JPEG", keep_rgb=True)
    pixels.convert("CMYK").save(cmyk, "JPEG")
    with pytest.raises(UnsupportedJpeg, match="RGB"):
        read(rgb.getvalue())
    with pytest.raises(UnsupportedJpeg, match="4 components"):
        read(cmyk.getvalue())
    adobe = segment(APP0 + 14, b"Adobe\0\x64" + bytes(5))
    with pytest.raises(UnsupportedJpeg, match="RGB"):
        read(insert(without(encode("4:4:4"), APP0), adobe))
    assert read(insert(encode("4:4:4"), adobe)).sampling is Sampling.YUV444  # JFIF has the last word


@pytest.mark.parametrize("factors", [b"\x22\x11\x12", b"\x31\x11\x11", b"\x11\x22\x22"])
def test_c1_other_samplings_are_refused(factors: bytes) -> None:
    data = encode("4:2:0")
    for component in range(3):
        data = patch_frame(data, 7 + 3 * component, factors[component : component + 1])
    with pytest.raises(UnsupportedJpeg, match="sampling"):
        read(data)


def test_c6_limited_range() -> None:
    data = encode()
    assert read(data).colour.full_range
    assert not read(insert(data, segment(COM, b"CS=ITU601\0"))).colour.full_range


# ---- P: processes ----


@pytest.mark.parametrize("sampling", ["gray", "4:4:4", "4:2:2", "4:2:0"])
def test_p1_progressive(sampling: str) -> None:
    data = encode(sampling, progressive=True)
    header = scan(data)
    assert header.progressive
    assert header.scans > 1
    assert_same(read(data), read(encode(sampling)))


def test_p1_scan_bomb() -> None:
    data = encode(progressive=True)
    last = [found for found in segments(data, 0) if found.marker == SOS][-1]
    bomb = data[:-2] + data[last.offset : -2] * 64 + data[-2:]
    with pytest.raises(UnsupportedJpeg, match="64 scans"):
        read(bomb)


def test_p1_progressive_that_ends_early_says_so(either_reader: str) -> None:
    data = encode(progressive=True)
    last = [found for found in segments(data, 0) if found.marker == SOS][-1]
    if either_reader == "native":
        assert any("scans are missing" in words for words in read(data[: last.offset] + data[-2:]).warnings)
        damage = read(data[: last.offset]).damage
        assert damage is not None
        assert damage.first_bad_row == 0


def test_p2_arithmetic(either_reader: str) -> None:
    data = encode(flags=["+ARITH_CODE"])
    assert scan(data).arithmetic
    if either_reader == "native":
        assert_same(read(data), read(encode(flags=[])))
    else:
        with pytest.raises(UnsupportedJpeg, match="arithmetic"):
            read(data)


def test_p3_other_processes_are_refused() -> None:
    data = encode()
    with pytest.raises(UnsupportedJpeg, match="precision 12"):
        read(patch_frame(data, 0, b"\x0c"))
    for marker, words in [(0xC3, "lossless"), (0xCB, "lossless"), (0xC5, "hierarchical"), (0xF7, "JPEG-LS")]:
        with pytest.raises(UnsupportedJpeg, match=words):
            read(change_marker(data, 0xC0, marker))


def test_p4_height_zero() -> None:
    data = encode()
    flat = patch_frame(data, 1, b"\0\0")
    with pytest.raises(UnsupportedJpeg, match="height"):
        read(flat)
    assert_same(read(flat, header=scan(flat, height=117)), read(data))
    end = scan_span(data)[1]
    told = flat[:end] + segment(DNL, (117).to_bytes(2, "big")) + flat[end:]
    assert_same(read(told), read(data))
    for other in (80, 117, 234):  # a container's height may be that of two fields, or padded to whole blocks
        assert_same(read(told, header=scan(told, height=other)), read(data))


# ---- Q: quantisation tables ----


def test_q1_tables_are_those_of_the_picture() -> None:
    for quality in (20, 60, 95):
        assert estimate_quality(read(encode(quality=quality)).tables[0]) == quality


def test_q2_a_table_of_its_own_for_cr() -> None:
    data = patch_frame(encode(), 14, b"\x02")
    three = insert(data, segment(DQT, b"\x02" + bytes(range(1, 65))))
    tables = read(three).tables
    assert tables[2][0] == 1
    assert tables[2][63] == 64
    assert tables[1][0] != 1


def test_q3_tables_of_16_bits(capfd: pytest.CaptureFixture[str]) -> None:
    data = encode(qtables=[[300 + k for k in range(64)], [1000] * 64])
    assert scan(data).wide_tables
    picture = read(data)
    assert sorted(picture.tables[0]) == list(range(300, 364))
    for ours, theirs in zip(picture.coefficients, oracle(data)[0], strict=True):
        np.testing.assert_array_equal(ours, theirs)
    capfd.readouterr()  # libjpeg's encoder warns of coarse tables


def test_q4_zero_steps_become_one() -> None:
    data = encode()
    table = next(found for found in segments(data, 0) if found.marker == DQT)
    zeroed = data[: table.body + 1] + b"\0" + data[table.body + 2 :]
    assert scan(zeroed).zero_steps
    assert not scan(data).zero_steps
    picture = read(zeroed)
    assert picture.tables[0][0] == 1
    assert any("step of 0" in words for words in picture.warnings)
    wide = insert(data, segment(DQT, b"\x13" + b"\0\1" * 63 + b"\0\0"))
    assert scan(wide).zero_steps


def test_q5_tables_of_an_earlier_picture() -> None:
    data = encode()
    header = scan(data)
    bare = without(data, DQT)
    assert scan(bare).missing_tables == (0, 1)
    assert header.missing_tables == ()
    with pytest.raises(BadJpeg, match="table 0"):
        read(bare)
    with pytest.raises(JpegError):
        read(bare, tables=header.tables[: len(header.tables) // 2])
    assert_same(read(bare, tables=header.tables), read(data))
    other = scan(encode(quality=10)).tables
    assert_same(read(data, tables=other), read(data))


# ---- B: bombs; D: restart markers ----


@pytest.mark.parametrize("size", [(30000, 30000), (65500, 65500), (2000, 2000)])
def test_b1_size_bomb(size: tuple[int, int]) -> None:
    width, height = (side.to_bytes(2, "big") for side in size)
    with pytest.raises(TooLarge):
        read(patch_frame(encode(), 1, height + width))


def test_b1_longer_sides_than_libjpeg_reads(either_reader: str) -> None:
    data = encode("gray", (65500, 8))
    assert read(data).width == 65500
    for side in (65501, 65535):
        with pytest.raises(TooLarge, match=f"{side}x8 is more than 65500 pixels down or across"):
            read(patch_frame(data, 3, side.to_bytes(2, "big")))


def test_b1_limit_of_pixels() -> None:
    assert scan(encode(), max_pixels=163 * 117).width == 163
    with pytest.raises(TooLarge, match="pixels"):
        scan(encode(), max_pixels=163 * 117 - 1)


@pytest.mark.parametrize("sampling", ["gray", "4:4:4", "4:2:2", "4:2:0"])
def test_d1_restart_markers(sampling: str) -> None:
    data = encode(sampling, restart_marker_blocks=7)
    assert scan(data).restart_interval == 7
    assert_same(read(data), read(encode(sampling)))


def test_eoi_is_the_end() -> None:
    data = encode()
    assert [found.marker for found in segments(data, 0)][-1] == EOI
