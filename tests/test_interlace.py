"""Two fields become one picture."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mjpeg_restore.frames import Damage, FieldLayout, FieldOrder, Picture, Sampling
from mjpeg_restore.interlace import resolve_layout, split_fields, weave
from tests.random_pictures import random_picture

TOP = FieldLayout("top", "top")
BOTTOM = FieldLayout("bottom", "bottom")
STORED_ALONE = FieldLayout("bottom", "top")
SHOWN_ALONE = FieldLayout("top", "bottom")


def field(level: int, bad_row: int | None) -> Picture:
    planes = tuple(np.full(size, level, np.uint8) for size in ((24, 64), (12, 32), (12, 32)))
    damage = None if bad_row is None else Damage(bad_row, 3, "cut off")
    return Picture(planes, Sampling.YUV420, damage=damage)


@pytest.mark.parametrize("known", [TOP, BOTTOM, STORED_ALONE, SHOWN_ALONE])
def test_s6_lines_lie_as_stored_and_the_order_is_that_of_showing(known: FieldLayout) -> None:
    woven = weave(field(1, None), field(2, None), known)
    assert woven.field_order == known.shown
    upper, lower = (1, 2) if known.stored == "top" else (2, 1)
    for plane in woven.planes:
        assert np.unique(plane[0::2]).tolist() == [upper]
        assert np.unique(plane[1::2]).tolist() == [lower]


@pytest.mark.parametrize(
    ("rows", "worse"), [((None, None), None), ((2, None), 2), ((None, 0), 0), ((2, 1), 1), ((0, 2), 0)]
)
def test_s6_damage_is_the_worse_fields(rows: tuple[int | None, int | None], worse: int | None) -> None:
    damage = weave(*(field(0, row) for row in rows), layout=TOP).damage
    assert (None if damage is None else damage.first_bad_row) == worse


@pytest.mark.parametrize(
    ("marked", "container", "expected"),
    [
        (None, None, TOP),
        (None, BOTTOM, BOTTOM),
        (None, STORED_ALONE, STORED_ALONE),
        ("top", None, TOP),
        ("bottom", None, BOTTOM),
        ("bottom", TOP, BOTTOM),
        ("top", BOTTOM, TOP),
        ("bottom", STORED_ALONE, STORED_ALONE),
        ("top", SHOWN_ALONE, SHOWN_ALONE),
        ("top", STORED_ALONE, TOP),
    ],
)
def test_s6_marks_go_before_the_container_and_that_before_the_usual_order(
    marked: FieldOrder | None, container: FieldLayout | None, expected: FieldLayout
) -> None:
    assert resolve_layout(marked, container) == expected


@pytest.mark.parametrize("known", [TOP, STORED_ALONE])
@pytest.mark.parametrize("height", [48, 117, 1])
@pytest.mark.parametrize("sampling", Sampling)
def test_fields_are_what_was_woven(sampling: Sampling, height: int, known: FieldLayout) -> None:
    pair = [random_picture(33, height, sampling, seed) for seed in range(2)]
    woven = weave(pair[0], pair[1], known)
    assert (woven.width, woven.height) == (33, 2 * height)
    upper, lower = pair if known.stored == "top" else pair[::-1]
    for found, expected in zip(split_fields(woven), (upper, lower), strict=True):
        assert found.field_order is None
        assert all(map(np.array_equal, found.planes, expected.planes))


def test_a_lower_field_without_its_last_line_of_chroma_repeats_the_one_above() -> None:
    woven = weave(random_picture(33, 117, Sampling.YUV420, 0), random_picture(33, 117, Sampling.YUV420, 1), TOP)
    whole = split_fields(woven)[1]
    short = split_fields(
        replace(woven, planes=tuple(plane[: 234 if i == 0 else 117] for i, plane in enumerate(woven.planes)))
    )[1]
    for plane, complete in zip(short.planes[1:], whole.planes[1:], strict=True):
        assert plane.shape == complete.shape == (59, 17)
        assert np.array_equal(plane[:58], complete[:58])
        assert np.array_equal(plane[58], plane[57])
