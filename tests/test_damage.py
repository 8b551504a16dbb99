"""What becomes of damaged and of unreadable pictures, by policy."""

from __future__ import annotations

import re

import numpy as np
import pytest

from mjpeg_restore.jpeg import read
from mjpeg_restore.pipeline import PipelineSettings, run
from mjpeg_restore.testing import Collect, ListSource
from tests.jpeg.pictures import encode, scan_span
from tests.streams import DECODE, SIZE, assert_shows, cut, decoded, restore, still, troubles


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
    assert troubles(report) == {"damaged": 1, "held": 1, "dropped": 1}
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
    report = run(ListSource(broken, independent=True), DECODE, sink)
    assert troubles(report) == {"damaged": 1, "unreadable": 1}
    assert [picture.index for picture in sink.pictures] == [0, 1, 3]
    assert_shows(sink.pictures[1], cut(still(2)))
    assert [picture.damage is not None for picture in sink.pictures] == [False, True, False]


def test_s2_pictures_in_files_of_their_own_are_repaired_where_that_is_asked_for() -> None:
    sink = Collect()
    frames = [still(1), cut(still(2)), b"\xff\xd8" + bytes(500)]
    report = run(ListSource(frames, independent=True), DECODE, sink, PipelineSettings(on_corrupt="repair"))
    assert troubles(report) == {"damaged": 1, "repaired": 1, "unreadable": 1, "held": 1}
    assert not any(picture.damage for picture in sink.pictures)


def test_s2_what_cannot_be_repaired_is_held() -> None:
    pictures, report = restore([still(1, size=(32, 48)), cut(still(2))])
    assert troubles(report) == {"damaged": 1, "held": 1, "dropped": 1}
    assert pictures[1].width == 32


def test_s2_repairs_go_on_from_repaired_pictures() -> None:
    _, report = restore([still(1), cut(still(2)), cut(still(3)), cut(still(4))])
    assert troubles(report) == {"damaged": 3, "repaired": 3}


@pytest.mark.parametrize("policy", ["repair", "hold", "drop", "pass"])
def test_unreadable_pictures_never_end_the_run(policy: str) -> None:
    pictures, report = restore([still(1), b"\xff\xd8" + bytes(500), still(3)], on_corrupt=policy)
    held = {} if policy == "drop" else {"held": 1}
    assert troubles(report) == {"unreadable": 1, **held}
    assert report.packets == 3 == report.frames - report.held + report.dropped + report.unreadable
    assert_shows(pictures[-1], still(3))


def test_s6_a_damaged_field_is_repaired_from_its_own_field() -> None:
    fields = [still(seed, size=(64, 24)) for seed in range(4)]
    pictures, report = restore([fields[0] + fields[1], fields[2] + cut(fields[3])], height=48)
    assert troubles(report) == {"damaged": 1, "repaired": 1}
    np.testing.assert_array_equal(pictures[1].planes[0][1::2][-8:], decoded(fields[1])[0][-8:])
    np.testing.assert_array_equal(pictures[1].planes[0][0::2], decoded(fields[2])[0])


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


def test_s9_warnings_on_every_picture_are_no_damage() -> None:
    data = encode("4:2:0", SIZE, restart_marker_blocks=3)
    start, end = scan_span(data)
    stuffed = re.sub(rb"\xff[\xd0-\xd7]", lambda marker: b"\0\0\0" + marker[0], data[start:end])
    noisy = data[:start] + stuffed + data[end:]
    pictures, report = restore([noisy] * 3)
    assert troubles(report) == {}
    assert_shows(pictures[0], data)


@pytest.mark.parametrize("garbage", [bytes(1000), still()[:150]])
def test_s10_a_lost_picture_is_counted_and_the_one_before_held(garbage: bytes) -> None:
    pictures, report = restore([still(1), garbage, still(2)])
    assert troubles(report) == {"unreadable": 1, "held": 1}
    assert_shows(pictures[1], still(1))


def test_s10_a_lost_picture_at_the_start_is_dropped() -> None:
    pictures, report = restore([bytes(1000), still(1)])
    assert troubles(report) == {"unreadable": 1}
    assert len(pictures) == 1


def test_s11_a_false_marker_costs_only_the_rows_below() -> None:
    data = still(2)
    start, end = scan_span(data)
    middle = (start + end) // 2
    pictures, report = restore([still(1), data[:middle] + b"\xff\xc0" + data[middle + 2 :]])
    assert troubles(report) == {"damaged": 1, "repaired": 1}
    np.testing.assert_array_equal(pictures[1].planes[0][-8:], decoded(still(1))[0][-8:])


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
    assert troubles(run(ListSource([data, flipped], independent=True), DECODE, sink)) == {}


def test_q1_repair_across_a_change_of_tables() -> None:
    pictures, report = restore([still(1, quality=90), cut(still(2, quality=30))])
    assert troubles(report) == {"damaged": 1, "repaired": 1}
    difference = pictures[1].planes[0][-8:].astype(int) - decoded(still(1, quality=90))[0][-8:]
    assert abs(difference).mean() < 12  # quantised anew, coarser
