"""What each stage does to a packet: every quirk of packets, headers, fields and colour, in a stream."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from mjpeg_restore.compare import Comparison, compose
from mjpeg_restore.errors import SourceError
from mjpeg_restore.frames import CodedPicture, FieldLayout, FieldOrder, Sampling
from mjpeg_restore.jpeg import read
from mjpeg_restore.jpeg.segments import APP0, COM, DHT, DNL, SOS, segments
from mjpeg_restore.orientation import orientation_of, upright
from mjpeg_restore.pipeline import PipelineSettings, restore_pictures, run
from mjpeg_restore.planes import interleave
from mjpeg_restore.report import Report
from mjpeg_restore.restorer import Restorer
from mjpeg_restore.sinks import Comparing
from mjpeg_restore.stages import UNPAIRED
from mjpeg_restore.testing import Collect, ListSource
from tests.jpeg.pictures import encode, insert, patch_frame, scan_span, segment, without
from tests.streams import DECODE, SIZE, assert_same_planes, assert_shows, decoded, exif, restore, still, troubles

# ---- header walk and coefficients ----


def test_b3_two_pictures_are_read_at_the_same_time_and_order_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    both = threading.Barrier(2)

    def read_in_pairs(*words: Any, **options: Any) -> CodedPicture:
        both.wait(timeout=30)  # raises where the other one does not come
        return read(*words, **options)

    monkeypatch.setattr("mjpeg_restore.stages.read", read_in_pairs)
    sizes = [(64, 48), (640, 480)] * 4  # the larger ones take longer
    pictures, report = restore([still(seed, size=size) for seed, size in enumerate(sizes)])
    assert troubles(report) == {}
    assert [(picture.width, picture.height) for picture in pictures] == sizes


def test_s1_missing_end_markers_are_no_trouble() -> None:
    pictures, report = restore([still(1)[:-2], still(2)[:-2]])
    assert troubles(report) == {}
    assert_shows(pictures[1], still(2))


def test_s3_garbage_behind_the_picture_is_no_trouble() -> None:
    pictures, report = restore([still(1) + bytes(300), still(2) + b"--boundary\r\n" * 30])
    assert troubles(report) == {}
    assert_shows(pictures[1], still(2))


def test_s4_garbage_before_the_picture_is_no_trouble() -> None:
    pictures, report = restore([b"Content-Type: image/jpeg\r\n\r\n" + still(1), bytes(99) + still(2)])
    assert troubles(report) == {}
    assert_shows(pictures[1], still(2))


def test_s5_a_second_picture_that_is_no_field_is_counted() -> None:
    pictures, report = restore([still(1) + still(2), still(3)], height=48)
    assert troubles(report) == {"extra": 1}
    assert_shows(pictures[0], still(1))


def test_s5_all_further_pictures_are_counted() -> None:
    pictures, report = restore([still(1) + b"--boundary" + b"".join(map(still, range(2, 6))) + bytes(30), still(3)])
    assert troubles(report) == {"extra": 4}
    assert_shows(pictures[0], still(1))


@pytest.mark.parametrize("tag", ["mjpb", "AVRn"])
def test_s6_s7_other_codecs_by_the_same_name_are_refused(tag: str) -> None:
    with pytest.raises(SourceError, match="is not restored"):
        restore([still()], tag=tag)


@pytest.mark.parametrize("garbage", [b"", b"\xff\xd8\xff\xd9", bytes(127)])
def test_s10_tiny_garbage_is_dropped(garbage: bytes) -> None:
    pictures, report = restore([still(1), garbage, still(2)])
    assert troubles(report) == {"dropped": 1}
    assert_shows(pictures[1], still(2))


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(without(still(), DHT), id="H1 no Huffman tables"),
        pytest.param(insert(without(still(), APP0, DHT), segment(APP0, b"AVI1" + bytes(10))), id="H2 AVI1"),
        pytest.param(insert(still(), b"\xff\xe0\0\3A"), id="H3 short APP0"),
        pytest.param(insert(still(), exif(1, still(9, size=(32, 24)))), id="H4 thumbnail"),
        pytest.param(insert(still(), exif(1)), id="H5 orientation"),
        pytest.param(encode("4:2:0", SIZE, progressive=True), id="P1 progressive"),
    ],
)
def test_headers_of_all_kinds_show_the_same_picture(data: bytes) -> None:
    pictures, report = restore([data, data])
    assert troubles(report) == {}
    assert_shows(pictures[1], still())


def test_p1_scan_bomb_is_one_unreadable_picture() -> None:
    data = encode("4:2:0", SIZE, progressive=True)
    last = [found for found in segments(data, 0) if found.marker == SOS][-1]
    bomb = data[:-2] + data[last.offset : -2] * 64 + data[-2:]
    _, report = restore([still(1), bomb])
    assert troubles(report) == {"unreadable": 1, "held": 1}
    assert report.first_trouble is not None
    assert "64 scans" in report.first_trouble


def test_p2_arithmetic_coding_is_read_or_named() -> None:
    data = encode("4:2:0", SIZE, flags=["+ARITH_CODE"])
    _, report = restore([still(1), data])
    assert troubles(report) in ({}, {"unreadable": 1, "held": 1})


def test_p3_twelve_bits_are_named() -> None:
    _, report = restore([still(1), patch_frame(still(2), 0, b"\x0c")])
    assert report.first_trouble is not None
    assert report.first_trouble.startswith("packet 1: precision 12: only 8 bits")
    assert troubles(report) == {"unreadable": 1, "held": 1}


def test_p4_height_zero_is_the_containers() -> None:
    flat = patch_frame(still(1), 1, b"\0\0")
    pictures, report = restore([flat], height=48)
    assert_shows(pictures[0], still(1))
    assert troubles(report) == {}
    with pytest.raises(SourceError, match="the height is 0"):
        restore([flat])


def test_p4_height_zero_with_a_dnl_segment() -> None:
    flat = patch_frame(still(1), 1, b"\0\0")
    end = scan_span(flat)[1]
    pictures, _ = restore([flat[:end] + segment(DNL, (48).to_bytes(2, "big")) + flat[end:]])
    assert_shows(pictures[0], still(1))


def test_b1_size_bomb_is_one_unreadable_picture() -> None:
    bomb = patch_frame(still(2), 1, (30000).to_bytes(2, "big") * 2)
    _, report = restore([still(1), bomb, still(3)])
    assert troubles(report) == {"unreadable": 1, "held": 1}
    assert report.first_trouble is not None
    assert "30000x30000" in report.first_trouble


# ---- restoration: comparison, fields, orientation, colour ----


def test_compare_side_shows_both() -> None:
    pictures, _ = restore([still(1)], compare="side")
    (before, *_) = decoded(still(1))
    assert (pictures[0].width, pictures[0].height) == (128, 48)
    np.testing.assert_array_equal(pictures[0].planes[0][:, :64], before)
    np.testing.assert_array_equal(pictures[0].planes[0][:, 64:], before)


def test_compare_split_keeps_the_size_and_draws_a_line() -> None:
    pictures, _ = restore([still(1)], compare="split")
    assert (pictures[0].width, pictures[0].height) == SIZE
    assert (pictures[0].planes[0][:, 32:34] == 255).all()


def test_compare_shows_the_network_on_the_right() -> None:
    sink = Collect()
    run(
        ListSource([still(1, quality=10)]),
        Restorer("stream-lite", "onnxruntime"),
        Comparing(sink, "side"),
        PipelineSettings("hold"),
    )
    luma = sink.pictures[0].planes[0]
    np.testing.assert_array_equal(luma[:, :64], decoded(still(1, quality=10))[0])
    assert (luma[:, 64:] != luma[:, :64]).mean() > 0.2


@pytest.mark.parametrize(("polarity", "first"), [(None, 0), (1, 0), (2, 1)])
def test_s6_two_fields_are_woven(polarity: int | None, first: int) -> None:
    avi1 = segment(APP0, b"AVI1" + bytes([polarity or 0]) + bytes(9))
    fields = [still(1, size=(64, 24)), still(2, size=(64, 24))]
    marked = [insert(without(field, APP0), avi1) if polarity else field for field in fields]
    pictures, report = restore([marked[0] + marked[1]] * 2, height=48)
    assert troubles(report) == {}
    assert pictures[0].field_order == ("top", "bottom")[first]
    assert (pictures[0].width, pictures[0].height) == (64, 48)
    for woven, upper, lower in zip(pictures[0].planes, *map(decoded, fields), strict=True):
        np.testing.assert_array_equal(woven[first::2], upper)
        np.testing.assert_array_equal(woven[1 - first :: 2], lower)


@pytest.mark.parametrize("polarity", [None, 1, 2])
@pytest.mark.parametrize("stored", ["top", "bottom"])
@pytest.mark.parametrize("shown", ["top", "bottom"])
def test_s6_the_container_names_the_order_where_the_pictures_do_not(
    polarity: int | None, stored: FieldOrder, shown: FieldOrder
) -> None:
    avi1 = segment(APP0, b"AVI1" + bytes([polarity or 0]) + bytes(9))
    fields = [insert(without(still(seed, size=(64, 24)), APP0), avi1 if polarity else b"") for seed in (1, 2)]
    source = ListSource([fields[0] + fields[1]], height=48)
    source.info = replace(source.info, fields=FieldLayout(stored, shown))
    (picture,) = restore_pictures(source, DECODE)
    first = {None: stored, 1: "top", 2: "bottom"}[polarity]
    assert picture.field_order == (shown if first == stored else first)
    for lines, data in zip((0, 1) if first == "top" else (1, 0), fields, strict=True):
        np.testing.assert_array_equal(picture.planes[0][lines::2], decoded(data)[0])


@pytest.mark.parametrize("comparison", [None, "side", "split"])
@pytest.mark.parametrize("sampling", ["4:2:0", "4:4:0"])
def test_s6_fields_of_an_odd_height_keep_all_their_lines(sampling: str, comparison: Comparison | None) -> None:
    fields = [still(seed, sampling, (64, 27)) for seed in (1, 2)]
    source = ListSource([fields[0] + fields[1]], height=54)
    report = Report()
    sink = Collect()
    run(
        source,
        DECODE,
        Comparing(sink, comparison) if comparison else sink,
        PipelineSettings(verify=True),
        report=report,
    )
    (picture,) = sink.pictures
    assert [len(plane) for plane in picture.planes] == [54, 28, 28]
    assert report.verified is not None
    assert report.verified.outside == 0
    if comparison is None:
        own = [DECODE.restore(read(data)).to_ndarray("rgb") for data in fields]
        np.testing.assert_array_equal(picture.to_ndarray("rgb"), interleave(*own))


@pytest.mark.parametrize("taller", [0, 1])
@pytest.mark.parametrize("order", ["top", "bottom"])
@pytest.mark.parametrize(("sampling", "lines"), [("4:2:0", 49), ("4:2:0", 51), ("4:2:0", 53), ("4:2:2", 49)])
def test_s6_frames_of_an_odd_number_of_lines(sampling: str, lines: int, order: FieldOrder, taller: int) -> None:
    fields = [still(number, sampling, (64, lines // 2 + (number == taller))) for number in range(2)]
    source = ListSource([fields[0] + fields[1]], height=lines)
    source.info = replace(source.info, fields=FieldLayout(order, order))
    (picture,) = restore_pictures(source, DECODE)
    assert picture.height == lines
    assert picture.field_order == ("top", "bottom")[taller]
    for woven, *own in zip(picture.planes, *map(decoded, fields), strict=True):
        np.testing.assert_array_equal(woven[0::2], own[taller])
        np.testing.assert_array_equal(woven[1::2], own[1 - taller])
    upper, lower = (DECODE.restore(read(data)).to_ndarray("rgb") for data in (fields[taller], fields[1 - taller]))
    np.testing.assert_array_equal(picture.to_ndarray("rgb"), interleave(upper, lower))


BROKEN_FIELDS = {"lost": b"", "padding": bytes(50), "cut": still(2, size=(64, 24))[:100], "other": still(2)}


@pytest.mark.parametrize("broken", BROKEN_FIELDS)
def test_s6_a_field_alone_is_used_for_both(broken: str) -> None:
    fields = [still(seed, size=(64, 24)) for seed in (1, 2)]
    lonely = fields[0] + BROKEN_FIELDS[broken]
    pictures, report = restore([fields[0] + fields[1], lonely, fields[0] + fields[1]], height=48)
    assert troubles(report) == ({"extra": 1} if broken == "other" else {})
    assert report.warnings == {UNPAIRED: 1}
    assert [(picture.width, picture.height) for picture in pictures] == [(64, 48)] * 3
    for woven, plane in zip(pictures[1].planes, decoded(fields[0]), strict=True):
        np.testing.assert_array_equal(woven, np.repeat(plane, 2, axis=0))


def test_s6_a_second_field_alone_is_used_for_both() -> None:
    fields = [still(seed, size=(64, 24)) for seed in (1, 2)]
    after_app0 = 20
    pictures, report = restore([fields[0] + fields[1], fields[0][:after_app0] + fields[1]], height=48)
    assert report.warnings == {UNPAIRED: 1}
    np.testing.assert_array_equal(pictures[1].planes[0], np.repeat(decoded(fields[1])[0], 2, axis=0))


def unreadable(data: bytes) -> bytes:
    """The picture with a Huffman table that has more codes of one bit than there are, which no header walk sees."""
    offset = next(found.body for found in segments(data, 0) if found.marker == DHT) + 1
    return data[:offset] + b"\x09" + data[offset + 1 :]


@pytest.mark.parametrize("broken", [0, 1])
@pytest.mark.parametrize("damage", [unreadable, lambda data: patch_frame(data, 0, b"\x0c")], ids=["tables", "header"])
def test_s6_a_field_beside_an_unreadable_one_is_used_for_both(damage: Callable[[bytes], bytes], broken: int) -> None:
    fields = [still(number, size=(64, 24)) for number in (1, 2)]
    damaged = [damage(data) if number == broken else data for number, data in enumerate(fields)]
    pictures, report = restore([b"".join(fields), b"".join(damaged)], height=48)
    assert troubles(report) == {}
    assert report.warnings == {UNPAIRED: 1}
    np.testing.assert_array_equal(pictures[1].planes[0], np.repeat(decoded(fields[1 - broken])[0], 2, axis=0))


def test_s6_two_unreadable_fields_are_an_unreadable_picture() -> None:
    fields = [still(number, size=(64, 24)) for number in (1, 2)]
    _, report = restore([b"".join(fields), b"".join(map(unreadable, fields))], height=48)
    assert troubles(report) == {"unreadable": 1, "held": 1}


def test_s6_a_low_picture_in_a_stream_without_fields_is_a_whole_one() -> None:
    pictures, report = restore([still(1), still(2, size=(64, 24))], height=48)
    assert report.warnings == {}
    assert (pictures[1].width, pictures[1].height) == (64, 24)


def named_fields() -> list[bytes]:
    """The two fields of a frame, named by AVI1."""
    stills = [still(number, size=(64, 24)) for number in (1, 2)]
    return [
        insert(without(data, APP0), segment(APP0, b"AVI1" + bytes([number]) + bytes(9)))
        for number, data in enumerate(stills, 1)
    ]


@pytest.mark.parametrize("height", [None, 48])
def test_s6_pictures_behind_fields_may_have_their_size(height: int | None) -> None:
    whole = still(3, size=(64, 24))
    pictures, report = restore([b"".join(named_fields()), whole, whole], height=height)
    assert report.warnings == {}
    assert [picture.height for picture in pictures] == [48, 24, 24]


def test_s6_a_picture_of_another_size_ends_a_stream_of_fields() -> None:
    fields = [still(number, size=(64, 24)) for number in (1, 2)]
    pictures, report = restore([b"".join(fields), still(3), fields[0], b"".join(fields)], height=48)
    assert report.warnings == {}
    assert [picture.height for picture in pictures] == [48, 48, 24, 48]


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_h5_pictures_are_turned_upright_once_they_are_checked(rotation: int, orientation: int) -> None:
    data = insert(still(1, "4:4:4"), exif(orientation))
    source = ListSource([data, still(2, "4:4:4")[:200], data])
    source.info = replace(source.info, rotation=rotation)
    report = Report()
    pictures = list(restore_pictures(source, DECODE, PipelineSettings(verify=True), report))
    expected = upright(DECODE.restore(read(data)), orientation_of(rotation, orientation))
    assert (len(pictures), report.held) == (3, 1)
    for picture in pictures:
        assert_same_planes(picture, expected)
    assert report.verified is not None
    assert report.verified.outside == 0


@pytest.mark.parametrize("comparison", ["side", "split"])
def test_h5_what_is_compared_is_upright(comparison: Comparison) -> None:
    data = insert(still(1), exif(6))
    composed, _ = restore([data], compare=comparison)
    turned, _ = restore([data])
    assert_same_planes(composed[0], compose(turned[0], turned[0], comparison))


@pytest.mark.parametrize("sampling", ["gray", "4:4:4", "4:2:2", "4:4:0", "4:2:0", "4:1:1"])
def test_c2_odd_sizes_are_cropped(sampling: str) -> None:
    pictures, _ = restore([still(1, sampling, (163, 117))])
    across, down = pictures[0].sampling.value or (1, 1)
    sizes = [(117, 163)] + [(-(-117 // down), -(-163 // across))] * (2 * (sampling != "gray"))
    assert [plane.shape for plane in pictures[0].planes] == sizes


def test_c4_swapped_chroma_is_put_right() -> None:
    pictures, _ = restore([insert(still(1), segment(COM, b"MTSJ"))])
    luma, cb, cr = decoded(still(1))
    for ours, theirs in zip(pictures[0].planes, (luma, cr, cb), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_c4_bottom_up_is_turned() -> None:
    flipped = insert(still(1), segment(COM, b"Intel(R) JPEG Library, version 1.51"))
    pictures, _ = restore([flipped], tag="MJPG")
    for ours, theirs in zip(pictures[0].planes, decoded(still(1)), strict=True):
        np.testing.assert_array_equal(ours, theirs[::-1])


def test_c6_limited_range_is_carried_along() -> None:
    pictures, _ = restore([insert(still(1), segment(COM, b"CS=ITU601")), still(2)])
    assert [picture.full_range for picture in pictures] == [False, True]


def test_the_sampling_may_change() -> None:
    pictures, report = restore([still(1, sampling) for sampling in ("4:2:0", "gray", "4:2:2")])
    assert [picture.sampling for picture in pictures] == [Sampling.YUV420, Sampling.GRAY, Sampling.YUV422]
    assert troubles(report) == {}
