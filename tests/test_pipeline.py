"""What becomes of a stream: order, times, policies, and every quirk that concerns more than one picture."""

from __future__ import annotations

import contextlib
import re
import struct
import threading
import weakref
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from mjpeg_restore.compare import Comparison, compose
from mjpeg_restore.errors import SinkError, SourceError
from mjpeg_restore.frames import CodedPicture, FieldLayout, FieldOrder, Packet, Picture, Sampling
from mjpeg_restore.inspection import survey
from mjpeg_restore.jpeg import read
from mjpeg_restore.jpeg.segments import APP0, COM, DHT, DNL, DQT, SOS, segments
from mjpeg_restore.orientation import orientation_of, upright
from mjpeg_restore.pipeline import PipelineSettings, restore_pictures, run
from mjpeg_restore.planes import interleave
from mjpeg_restore.report import Report
from mjpeg_restore.restorer import Restorer
from mjpeg_restore.sources import open_source
from tests.in_memory import Collect, ListSource
from tests.jpeg.pictures import encode, insert, patch_frame, scan_span, segment, without

SIZE = (64, 48)
DECODE = Restorer("decode", "onnxruntime", threads=1, streams=2)


def still(seed: int = 0, sampling: str = "4:2:0", size: tuple[int, int] = SIZE, quality: int = 60) -> bytes:
    return encode(sampling, size, seed, quality=quality)


def cut(data: bytes, part: float = 0.5) -> bytes:
    """The picture without the rest of its scan (S2)."""
    start, end = scan_span(data)
    return data[: start + int((end - start) * part)]


def decoded(data: bytes) -> list[NDArray[np.uint8]]:
    return list(DECODE.restore(read(data)).planes)


def restore(
    pictures: list[bytes], *, height: int | None = None, tag: str = "", **policy: str | int
) -> tuple[list[Picture], Report]:
    sink = Collect()
    settings = PipelineSettings(**policy)  # pyright: ignore[reportArgumentType]
    report = run(ListSource(pictures, height=height, tag=tag), DECODE, sink, settings)
    assert sink.ended == ["closed"]
    assert report.frames == len(sink.pictures)
    return sink.pictures, report


def assert_shows(picture: Picture, data: bytes) -> None:
    for ours, theirs in zip(picture.planes, decoded(data), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def assert_same_planes(picture: Picture, expected: Picture) -> None:
    for ours, theirs in zip(picture.planes, expected.planes, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def troubles(report: Report) -> dict[str, int]:
    names = ("damaged", "repaired", "unreadable", "held", "dropped", "extra", "resized")
    return {name: getattr(report, name) for name in names if getattr(report, name)}


# ---- order, times, the report ----


def test_order_and_time_stamps_are_kept() -> None:
    times = [7, 40, 41, 300, 1001, 1002, 1500, 9000]
    sink = Collect()
    report = run(ListSource([still(seed) for seed in range(8)], times), DECODE, sink)
    assert [picture.pts for picture in sink.pictures] == times
    assert [picture.index for picture in sink.pictures] == list(range(8))
    assert {picture.time_base for picture in sink.pictures} == {Fraction(1, 1000)}
    for seed, picture in enumerate(sink.pictures):
        assert_shows(picture, still(seed))
    assert troubles(report) == {}


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


def test_the_report_says_what_went_through() -> None:
    qualities = [10, 50, 50, 90, 90, 90]
    _, report = restore([still(quality=quality) for quality in qualities])
    assert report.quality == {"min": 10, "median": 90, "max": 90}
    assert (report.size, report.sampling, report.model) == (SIZE, "4:2:0", "decode")
    assert report.runtime.startswith("ONNX Runtime")
    assert list(report.latency_ms) == ["p50", "p95", "p99"]
    assert report.seconds > 0
    assert report.speed is not None
    assert not report.interrupted
    assert report.first_trouble is None


def test_the_median_of_millions_is_found_from_counts() -> None:
    report = Report()
    report.qualities.update({20: 3_000_000_000, 50: 1, 80: 3_000_000_000})
    assert report.quality == {"min": 20, "median": 50, "max": 80}


def test_a_truncated_source_is_reported() -> None:
    source = ListSource([still()])
    source.truncated = "a list ends in the middle of a picture"
    assert run(source, DECODE, Collect()).truncated == source.truncated


def test_frames_limits_the_packets() -> None:
    source = ListSource([still()] * 50)
    report = run(source, DECODE, Collect(), PipelineSettings(frames=3))
    assert report.frames == 3
    assert source.yielded == 3


def test_memory_does_not_grow_with_the_length() -> None:
    planes: list[weakref.ref[NDArray[np.uint8]]] = []
    most = 0

    class Forget(Collect):
        def write(self, picture: Picture) -> None:
            nonlocal most
            planes.append(weakref.ref(picture.planes[0]))
            most = max(most, sum(plane() is not None for plane in planes))

    data = still()
    report = run(ListSource(data for _ in range(400)), DECODE, Forget())
    assert report.frames == 400
    assert most <= 4  # the one at hand, the one before it, the report's first and last


def test_a_source_is_not_read_far_ahead_of_a_slow_sink() -> None:
    source = ListSource([still()] * 100)
    ahead: list[int] = []

    class Slow(Collect):
        def write(self, picture: Picture) -> None:
            super().write(picture)
            threading.Event().wait(0.002)
            ahead.append(source.yielded - len(self.pictures))

    run(source, DECODE, Slow())
    assert max(ahead) <= 16


# ---- the end of a run ----


def test_a_stream_of_unreadable_pictures_ends_with_one_line() -> None:
    sink = Collect()
    with pytest.raises(SourceError, match="a list: no picture could be restored; packet 0: only 50 bytes") as caught:
        run(ListSource([bytes(50)] * 20), DECODE, sink)
    assert "\n" not in str(caught.value)
    assert sink.ended == ["discarded"]


def test_a_single_damaged_picture_names_the_way_to_have_it() -> None:
    data = still()
    cut = data[: len(data) * 2 // 3]
    with pytest.raises(SourceError, match=r"no picture could be restored; packet 0: .*: on_corrupt='pass' shows"):
        run(ListSource([cut]), DECODE, Collect())
    sink = Collect()
    run(ListSource([cut]), DECODE, sink, PipelineSettings(on_corrupt="pass"))
    assert len(sink.pictures) == 1


@pytest.mark.parametrize(
    "wrong", [{"on_corrupt": "mend"}, {"compare": "above"}, {"frames": -1}], ids=lambda wrong: next(iter(wrong))
)
def test_settings_that_there_are_not_are_refused_at_once(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        PipelineSettings(**wrong)


def test_no_packets_at_all_is_an_error() -> None:
    with pytest.raises(SourceError, match="no picture could be restored"):
        run(ListSource([]), DECODE, Collect())


def test_an_error_of_the_source_discards_the_output() -> None:
    def breaking() -> Iterator[bytes]:
        yield still()
        raise SourceError("the plug was pulled")

    sink = Collect()
    with pytest.raises(SourceError, match="plug"):
        run(ListSource(breaking()), DECODE, sink)
    assert sink.ended == ["discarded"]
    assert len(sink.pictures) == 1


def test_an_error_of_the_sink_discards_the_output() -> None:
    sink = Collect(fail_at=3)
    source = ListSource([still()] * 500)
    with pytest.raises(SinkError, match="the disk is full"):
        run(source, DECODE, sink)
    assert sink.ended == ["discarded"]
    assert source.yielded < 30
    assert not [thread for thread in threading.enumerate() if "feeder" in thread.name]


def test_an_error_of_the_network_discards_the_output() -> None:
    sink = Collect()
    with pytest.raises(Exception, match="no device 'tpu'"):
        run(ListSource([still()]), Restorer("decode", "tpu"), sink)
    assert sink.ended == ["discarded"]


def test_the_stop_event_finishes_the_output() -> None:
    stop = threading.Event()
    sink = Collect()
    source = ListSource([still()] * 500)
    report = run(source, DECODE, sink, progress=lambda report: stop.set() if report.frames == 4 else None, stop=stop)
    assert sink.ended == ["closed"]
    assert report.interrupted
    assert report.frames == 4
    assert source.yielded < 30


def test_a_sink_that_counts_as_closed_once_it_is_finished_was_not_interrupted() -> None:
    class Shut(Collect):
        def close(self) -> None:
            super().close()
            self.closed = True

    assert not run(ListSource([still()]), DECODE, Shut()).interrupted


def test_a_stopped_source_finishes_the_output() -> None:
    source = ListSource([still()] * 500)
    sink = Collect()
    report = run(source, DECODE, sink, progress=lambda report: source.stop() if report.frames == 4 else None)
    assert sink.ended == ["closed"]
    assert 4 <= report.frames < 30


def test_a_reader_that_goes_away_ends_the_run() -> None:
    sink = Collect(leave_at=2)
    report = run(ListSource([still()] * 500), DECODE, sink)
    assert sink.ended == ["closed"]
    assert report.frames == 2


# ---- comparison ----


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
        sink,
        PipelineSettings("hold", "side"),
    )
    luma = sink.pictures[0].planes[0]
    np.testing.assert_array_equal(luma[:, :64], decoded(still(1, quality=10))[0])
    assert (luma[:, 64:] != luma[:, :64]).mean() > 0.2


# ---- damage, by policy (S2, S8) ----


def test_s2_repair_takes_the_missing_rows_from_the_picture_before() -> None:
    pictures, report = restore([still(1), cut(still(2)), still(3)])
    assert troubles(report) == {"damaged": 1, "repaired": 1}
    assert report.first_trouble is not None
    assert report.first_trouble.startswith("packet 1: ")
    before, whole, mended = decoded(still(1))[0], decoded(still(2))[0], pictures[1].planes[0]
    np.testing.assert_array_equal(mended[:16], whole[:16])
    np.testing.assert_array_equal(mended[-16:], before[-16:])
    assert pictures[1].pts == 40


def test_s2_hold_shows_the_picture_before_again() -> None:
    pictures, report = restore([still(1), cut(still(2)), still(3)], on_corrupt="hold")
    assert troubles(report) == {"damaged": 1, "held": 1}
    assert_shows(pictures[1], still(1))
    assert [(picture.index, picture.pts) for picture in pictures] == [(0, 0), (1, 40), (2, 80)]


def test_s2_drop_leaves_a_gap() -> None:
    pictures, report = restore([still(1), cut(still(2)), still(3)], on_corrupt="drop")
    assert troubles(report) == {"damaged": 1, "dropped": 1}
    assert [picture.index for picture in pictures] == [0, 2]


def test_s2_pass_shows_it_as_it_is() -> None:
    pictures, report = restore([still(1), cut(still(2)), still(3)], on_corrupt="pass")
    assert troubles(report) == {"damaged": 1}
    assert_shows(pictures[1], cut(still(2)))


def test_s2_pictures_in_files_of_their_own_are_not_filled_from_one_another() -> None:
    sink = Collect()
    broken = [still(1), cut(still(2)), b"\xff\xd8" + bytes(500), still(4)]
    report = run(ListSource(broken, kind="stills"), DECODE, sink)
    assert troubles(report) == {"damaged": 1, "unreadable": 1, "dropped": 1}
    assert [picture.index for picture in sink.pictures] == [0, 1, 3]
    assert_shows(sink.pictures[1], cut(still(2)))
    assert [picture.damage is not None for picture in sink.pictures] == [False, True, False]


def test_s2_pictures_in_files_of_their_own_are_repaired_where_that_is_asked_for() -> None:
    sink = Collect()
    frames = [still(1), cut(still(2)), b"\xff\xd8" + bytes(500)]
    report = run(ListSource(frames, kind="stills"), DECODE, sink, PipelineSettings(on_corrupt="repair"))
    assert troubles(report) == {"damaged": 1, "repaired": 1, "unreadable": 1, "held": 1}
    assert not any(picture.damage for picture in sink.pictures)


def test_s2_what_cannot_be_repaired_is_held() -> None:
    pictures, report = restore([still(1, size=(32, 48)), cut(still(2))])
    assert troubles(report) == {"damaged": 1, "held": 1}
    assert pictures[1].width == 32


def test_s2_repairs_go_on_from_repaired_pictures() -> None:
    _, report = restore([still(1), cut(still(2)), cut(still(3)), cut(still(4))])
    assert troubles(report) == {"damaged": 3, "repaired": 3}


@pytest.mark.parametrize("policy", ["repair", "hold", "drop", "pass"])
def test_unreadable_pictures_never_end_the_run(policy: str) -> None:
    pictures, report = restore([still(1), b"\xff\xd8" + bytes(500), still(3)], on_corrupt=policy)
    gap = "dropped" if policy == "drop" else "held"
    assert troubles(report) == {"unreadable": 1, gap: 1}
    assert_shows(pictures[-1], still(3))


@pytest.mark.parametrize("policy", ["repair", "hold"])
def test_s8_damaged_pictures_at_the_start_are_dropped(policy: str) -> None:
    pictures, report = restore([cut(still(1)), cut(still(2)), still(3), still(4)], on_corrupt=policy)
    assert troubles(report) == {"damaged": 2, "dropped": 2}
    assert [picture.index for picture in pictures] == [2, 3]


def test_s8_where_all_are_damaged_they_are_shown_after_five() -> None:
    pictures, report = restore([cut(still(seed), 0.8) for seed in range(8)])
    assert troubles(report) == {"damaged": 8, "dropped": 5}
    assert [picture.index for picture in pictures] == [5, 6, 7]
    assert_shows(pictures[2], cut(still(7), 0.8))  # none of them is frozen


# ---- S: packets that hold more or less than a picture ----


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
    (picture,) = restore_pictures(source, DECODE, PipelineSettings(compare=comparison, verify=True), report)
    assert [len(plane) for plane in picture.planes] == [54, 28, 28]
    assert report.verified is not None
    assert report.verified.outside == 0
    if comparison is None:
        own = [DECODE.restore(read(data)).to_ndarray("rgb") for data in fields]
        np.testing.assert_array_equal(picture.to_ndarray("rgb"), interleave(*own))


def test_s6_a_damaged_field_is_repaired_from_its_own_field() -> None:
    fields = [still(seed, size=(64, 24)) for seed in range(4)]
    pictures, report = restore([fields[0] + fields[1], fields[2] + cut(fields[3])], height=48)
    assert troubles(report) == {"damaged": 1, "repaired": 1}
    np.testing.assert_array_equal(pictures[1].planes[0][1::2][-8:], decoded(fields[1])[0][-8:])
    np.testing.assert_array_equal(pictures[1].planes[0][0::2], decoded(fields[2])[0])


def test_s6_a_lost_field_ends_nothing() -> None:
    field = still(1, size=(64, 24))
    _, report = restore([field + field, field, field + field], height=48)
    assert report.frames == 3


@pytest.mark.parametrize("tag", ["mjpb", "AVRn"])
def test_s6_s7_other_codecs_by_the_same_name_are_refused(tag: str) -> None:
    with pytest.raises(SourceError, match="is not restored"):
        restore([still()], tag=tag)


def test_s9_warnings_on_every_picture_are_no_damage() -> None:
    data = encode("4:2:0", SIZE, restart_marker_blocks=3)
    start, end = scan_span(data)
    stuffed = re.sub(rb"\xff[\xd0-\xd7]", lambda marker: b"\0\0\0" + marker[0], data[start:end])
    noisy = data[:start] + stuffed + data[end:]
    pictures, report = restore([noisy] * 3)
    assert troubles(report) == {}
    assert_shows(pictures[0], data)


@pytest.mark.parametrize("garbage", [b"", b"\xff\xd8\xff\xd9", bytes(127)])
def test_s10_tiny_garbage_is_dropped(garbage: bytes) -> None:
    pictures, report = restore([still(1), garbage, still(2)])
    assert troubles(report) == {"dropped": 1}
    assert_shows(pictures[1], still(2))


@pytest.mark.parametrize("garbage", [bytes(1000), still()[:150]])
def test_s10_a_lost_picture_is_counted_and_the_one_before_held(garbage: bytes) -> None:
    pictures, report = restore([still(1), garbage, still(2)])
    assert troubles(report) == {"unreadable": 1, "held": 1}
    assert_shows(pictures[1], still(1))


def test_s10_the_first_trouble_is_the_one_that_came_first() -> None:
    _, report = restore([still(1), cut(still(2)), b"\xff\xd8tiny", still(3)])
    assert troubles(report) == {"damaged": 1, "repaired": 1, "dropped": 1}
    assert report.first_trouble is not None
    assert report.first_trouble.startswith("packet 1: ")


def test_s10_a_lost_picture_at_the_start_is_dropped() -> None:
    pictures, report = restore([bytes(1000), still(1)])
    assert troubles(report) == {"unreadable": 1, "dropped": 1}
    assert len(pictures) == 1


def test_s11_a_false_marker_costs_only_the_rows_below() -> None:
    data = still(2)
    start, end = scan_span(data)
    middle = (start + end) // 2
    pictures, report = restore([still(1), data[:middle] + b"\xff\xc0" + data[middle + 2 :]])
    assert troubles(report) == {"damaged": 1, "repaired": 1}
    np.testing.assert_array_equal(pictures[1].planes[0][-8:], decoded(still(1))[0][-8:])


# ---- H: headers ----


def exif(orientation: int, thumbnail: bytes = b"") -> bytes:
    tiff = struct.pack(">2sHIHHHIHHI", b"MM", 42, 8, 1, 0x0112, 3, 1, orientation, 0, 0)
    return segment(APP0 + 1, b"Exif\0\0" + tiff + thumbnail)


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


def test_b2_sizes_are_compared_once_pictures_are_upright() -> None:
    sink = Collect(fixed_size=True)
    report = run(ListSource([insert(still(1), exif(6)), still(2, size=(SIZE[1], SIZE[0]))]), DECODE, sink)
    assert report.resized == 0
    assert [(picture.width, picture.height) for picture in sink.pictures] == [SIZE[::-1]] * 2


# ---- C: colour and size ----


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


def test_b2_a_sink_of_fixed_size_gets_the_first_size() -> None:
    sink = Collect(fixed_size=True)
    sizes = [(64, 48), (64, 48), (128, 96), (31, 17), (64, 48)]
    report = run(ListSource([still(seed, size=size) for seed, size in enumerate(sizes)]), DECODE, sink)
    assert {(picture.width, picture.height) for picture in sink.pictures} == {(64, 48)}
    assert troubles(report) == {"resized": 2}


def test_b2_any_other_sink_gets_them_as_they_are() -> None:
    sizes = [(64, 48), (128, 96), (31, 17)]
    pictures, report = restore([still(size=size) for size in sizes])
    assert [(picture.width, picture.height) for picture in pictures] == sizes
    assert troubles(report) == {}


def test_the_sampling_may_change() -> None:
    pictures, report = restore([still(1, sampling) for sampling in ("4:2:0", "gray", "4:2:2")])
    assert [picture.sampling for picture in pictures] == [Sampling.YUV420, Sampling.GRAY, Sampling.YUV422]
    assert troubles(report) == {}


# ---- P: processes; B: bombs ----


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


# ---- Q: tables ----


def test_q1_tables_are_those_of_each_picture() -> None:
    pictures, report = restore([still(1, quality=quality) for quality in (20, 90, 55)])
    assert [picture.quality for picture in pictures] == [20, 90, 55]
    assert report.quality == {"min": 20, "median": 55, "max": 90}


def test_q1_repair_across_a_change_of_tables() -> None:
    pictures, report = restore([still(1, quality=90), cut(still(2, quality=30))])
    assert troubles(report) == {"damaged": 1, "repaired": 1}
    difference = pictures[1].planes[0][-8:].astype(int) - decoded(still(1, quality=90))[0][-8:]
    assert abs(difference).mean() < 12  # quantised anew, coarser


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


class Silent(ListSource):
    """Yields one picture, then says nothing until it is stopped."""

    def __init__(self) -> None:
        super().__init__([still()])
        self.woken = threading.Event()

    def __iter__(self) -> Iterator[Packet]:
        yield from super().__iter__()
        self.woken.wait(timeout=30)

    def stop(self) -> None:
        super().stop()
        self.woken.set()


@pytest.mark.parametrize("sink", [Collect(leave_at=1), Collect(fail_at=0)], ids=["the reader left", "the disk is full"])
def test_a_silent_camera_does_not_hold_up_the_end(sink: Collect) -> None:
    source = Silent()
    with contextlib.suppress(SinkError):
        run(source, DECODE, sink)
    assert source.woken.is_set()


def test_harmless_oddities_are_counted() -> None:
    table = next(found for found in segments(still(), 0) if found.marker == DQT)
    zero_step = still()[: table.body + 1] + b"\0" + still()[table.body + 2 :]
    _, report = restore([zero_step, still(), zero_step])
    assert report.warnings == {"a quantisation step of 0 was read as 1": 2}


def test_a_file_that_went_away_is_named_in_the_report(tmp_path: Path) -> None:
    for number in range(2):
        (tmp_path / f"{number}.jpg").write_bytes(still(number))
    with open_source(tmp_path) as source:
        (tmp_path / "1.jpg").unlink()
        report = run(source, DECODE, Collect())
    assert report.dropped == 1
    assert report.first_trouble == f"{tmp_path / '1.jpg'}: cannot be read: No such file or directory"


def test_a_file_that_is_broken_is_named_in_the_report(tmp_path: Path) -> None:
    (tmp_path / "0.jpg").write_bytes(still(0))
    (tmp_path / "1.jpg").write_bytes(still(1)[:300])
    with open_source(tmp_path) as source:
        report = run(source, DECODE, Collect())
    assert (report.first_trouble or "").startswith(f"{tmp_path / '1.jpg'}: the picture breaks off")


# ---- Q5, S11: what is remembered from picture to picture ----


def own_tables(seed: int) -> bytes:
    """A picture with Huffman tables of its own, which are not the standard ones."""
    return encode("4:2:0", SIZE, seed, quality=60, optimize=True)


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
    assert troubles(report) == {"unreadable": 1, "damaged": 1, "held": 2}
    assert str(report.first_trouble).startswith("packet 2: quantisation table 0 is not given")


def test_h1_pictures_in_files_of_their_own_mean_the_standard_tables() -> None:
    sink = Collect()
    run(ListSource([own_tables(1), without(still(2), DHT)], kind="stills"), DECODE, sink)
    assert_shows(sink.pictures[1], still(2))


def test_s11_levels_that_jump_are_repaired_and_stills_are_not_compared() -> None:
    data = encode("4:2:0", (320, 240), 1, quality=60)
    start, end = scan_span(data)
    for place in range((start + end) // 2, end):
        flipped = data[:place] + bytes([data[place] ^ 8]) + data[place + 1 :]
        if b"\xff" in flipped[place - 1 : place + 2]:
            continue
        found = read(flipped)
        whole = read(data)
        if found.damage is None and abs(found.coefficients[0][-1, -1, 0] - whole.coefficients[0][-1, -1, 0]) > 9:
            break
    pictures, report = restore([data, flipped, data])
    assert troubles(report) == {"damaged": 1, "repaired": 1}
    assert report.first_trouble is not None
    assert "levels are off" in report.first_trouble
    difference = pictures[1].planes[0].astype(int) - pictures[0].planes[0]
    assert (difference != 0).mean() < 0.02  # what is left lies in the row above
    sink = Collect()
    assert troubles(run(ListSource([data, flipped], kind="stills"), DECODE, sink)) == {}
