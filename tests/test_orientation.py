"""Pictures turned upright."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from typing import Any, Literal

import numpy as np
import pytest
from numpy.typing import NDArray

from mjpeg_restore import colour
from mjpeg_restore.frames import FieldLayout, Picture, Sampling
from mjpeg_restore.interlace import weave
from mjpeg_restore.orientation import fit, orientation_of, upright, upright_aspect
from tests.random_pictures import apart, random_picture

Array = NDArray[Any]

UPRIGHT: dict[int, Callable[[Array], Array]] = {
    1: lambda image: image,
    2: np.fliplr,
    3: lambda image: np.rot90(image, 2),
    4: np.flipud,
    5: lambda image: image.swapaxes(0, 1),
    6: lambda image: np.rot90(image, -1),
    7: lambda image: np.rot90(image.swapaxes(0, 1), 2),
    8: np.rot90,
}
"""What each EXIF orientation asks for: row 0 and column 0 are, from 1 on, the picture's top and left, top and right,
bottom and right, bottom and left, left and top, right and top, right and bottom, left and bottom."""

SIZES = [(16, 12), (17, 12), (16, 13), (17, 13), (18, 14), (1, 1)]

INEXACT = {Sampling.YUV422, Sampling.YUV420, Sampling.YUV440}
"""Their chroma is interpolated; 4:1:1's is repeated."""

CHROMA_ROUNDING = 2
"""libjpeg's triangle rounds up at every second sample. Mirrored, it is the other one, so that chroma may differ by 1:
1.772 in blue, 1.402 in red, at most 0.344 + 0.714 in green, so 2 at most once that is rounded."""


def frame(width: int, height: int, sampling: Sampling, order: Literal["top", "bottom"] | None) -> Picture:
    if order is None:
        return random_picture(width, height, sampling)
    pair = (random_picture(width, height, sampling, seed) for seed in range(2))
    return weave(*pair, layout=FieldLayout("top", order))


@pytest.mark.parametrize("order", [None, "top", "bottom"])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("sampling", Sampling)
@pytest.mark.parametrize("orientation", UPRIGHT)
def test_h5_rgb_of_a_turned_picture_is_its_rgb_turned(
    orientation: int, sampling: Sampling, size: tuple[int, int], order: Literal["top", "bottom"] | None
) -> None:
    picture = frame(*size, sampling, order)
    turned = upright(picture, orientation)
    expected = UPRIGHT[orientation](picture.to_ndarray("rgb"))
    moved = turned.sampling in INEXACT and orientation != 1
    assert apart(turned.to_ndarray("rgb"), expected) <= (CHROMA_ROUNDING if moved else 0)
    assert np.array_equal(turned.planes[0], UPRIGHT[orientation](picture.planes[0]))
    assert all(plane.flags.c_contiguous for plane in turned.planes)


@pytest.mark.parametrize("size", [(16, 12), (18, 14)])
@pytest.mark.parametrize("orientation", UPRIGHT)
@pytest.mark.parametrize(
    ("sampling", "on_its_side"),
    [
        (Sampling.GRAY, Sampling.GRAY),
        (Sampling.YUV444, Sampling.YUV444),
        (Sampling.YUV420, Sampling.YUV420),
        (Sampling.YUV422, Sampling.YUV440),
        (Sampling.YUV440, Sampling.YUV422),
    ],
)
def test_h5_samples_are_moved_and_no_more(
    sampling: Sampling, on_its_side: Sampling, orientation: int, size: tuple[int, int]
) -> None:
    picture = random_picture(*size, sampling)
    turned = upright(picture, orientation)
    assert turned.sampling is (on_its_side if orientation > 4 else sampling)
    for plane, before in zip(turned.planes, picture.planes, strict=True):
        assert np.array_equal(plane, UPRIGHT[orientation](before))


@pytest.mark.parametrize(
    ("sampling", "size", "orientation", "expected"),
    [
        (Sampling.YUV420, (17, 12), 2, Sampling.YUV444),
        (Sampling.YUV420, (17, 12), 4, Sampling.YUV420),
        (Sampling.YUV420, (16, 13), 4, Sampling.YUV444),
        (Sampling.YUV422, (16, 13), 3, Sampling.YUV422),
        (Sampling.YUV420, (17, 12), 6, Sampling.YUV420),
        (Sampling.YUV420, (17, 12), 8, Sampling.YUV444),
        (Sampling.YUV420, (17, 13), 5, Sampling.YUV420),
        (Sampling.YUV411, (20, 12), 3, Sampling.YUV411),
        (Sampling.YUV411, (18, 12), 3, Sampling.YUV444),
        (Sampling.YUV411, (20, 12), 6, Sampling.YUV444),
    ],
)
def test_h5_chroma_that_does_not_fit_goes_to_444(
    sampling: Sampling, size: tuple[int, int], orientation: int, expected: Sampling
) -> None:
    assert upright(random_picture(*size, sampling), orientation).sampling is expected


@pytest.mark.parametrize(
    ("orientation", "order"), [(1, "top"), (2, "top"), (3, "bottom"), (4, "bottom"), (5, None), (6, None), (8, None)]
)
def test_h5_fields_change_places_upside_down_and_are_none_on_their_side(orientation: int, order: str | None) -> None:
    turned = upright(frame(16, 12, Sampling.YUV420, "top"), orientation)
    assert turned.field_order == order
    assert turned.sampling is (Sampling.YUV420 if order else Sampling.YUV444)


def test_h5_fields_of_422_stay_422_on_their_side() -> None:
    assert upright(frame(16, 12, Sampling.YUV422, "top"), 6).sampling is Sampling.YUV440


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
def test_a_containers_rotation_is_anticlockwise(rotation: int) -> None:
    picture = random_picture(16, 12, Sampling.YUV444)
    turned = upright(picture, orientation_of(rotation, exif=1))
    assert np.array_equal(turned.to_ndarray(), np.rot90(picture.to_ndarray(), rotation // 90))


@pytest.mark.parametrize("exif", UPRIGHT)
def test_a_containers_rotation_goes_before_exif(exif: int) -> None:
    assert orientation_of(0, exif) == exif
    assert orientation_of(180, exif) == 3


@pytest.mark.parametrize(("rotation", "expected"), [(0, "16/15"), (90, "15/16"), (180, "16/15"), (270, "15/16")])
def test_the_aspect_of_a_sample_turns_with_it(rotation: int, expected: str) -> None:
    assert upright_aspect(Fraction(16, 15), rotation) == Fraction(expected)


@pytest.mark.parametrize("order", [None, "top"])
@pytest.mark.parametrize("sampling", Sampling)
@pytest.mark.parametrize(("size", "target"), [((48, 64), (64, 48)), ((64, 48), (48, 64)), ((31, 57), (163, 117))])
def test_b2_a_standing_picture_among_lying_ones_keeps_its_shape(
    size: tuple[int, int], target: tuple[int, int], sampling: Sampling, order: Literal["top", "bottom"] | None
) -> None:
    check_bars(fit(grey(size, sampling, order), *target), size, target)


@pytest.mark.parametrize("order", [None, "top"])
@pytest.mark.parametrize("sampling", Sampling)
@pytest.mark.parametrize(
    ("size", "target"),
    [((64, 48), (96, 54)), ((96, 54), (64, 48)), ((48, 64), (64, 48)), ((160, 120), (64, 36)), ((63, 47), (163, 117))],
)
def test_b2_a_letterboxed_picture_keeps_its_shape(
    size: tuple[int, int], target: tuple[int, int], sampling: Sampling, order: Literal["top", "bottom"] | None
) -> None:
    check_bars(fit(grey(size, sampling, order), *target, letterbox=True), size, target)


@pytest.mark.parametrize("sampling", Sampling)
def test_b2_a_letterboxed_picture_of_the_same_shape_has_no_bars(sampling: Sampling) -> None:
    fitted = fit(grey((64, 48), sampling, None), 128, 96, letterbox=True)
    assert all((plane == 200).all() for plane in fitted.planes)


def test_b2_bars_of_limited_range_are_its_black() -> None:
    picture = replace(grey((64, 48), Sampling.YUV420, None), full_range=False)
    luma, *chroma = fit(picture, 96, 48, letterbox=True).planes
    assert (luma[:, 0] == 16).all()
    assert all((plane[:, 0] == 128).all() for plane in chroma)


def grey(size: tuple[int, int], sampling: Sampling, order: Literal["top", "bottom"] | None) -> Picture:
    """A picture of about that size whose samples are all 200."""
    picture = frame(size[0], size[1] // (1 if order is None else 2), sampling, order)
    return replace(picture, planes=tuple(np.full_like(plane, 200) for plane in picture.planes))


def check_bars(fitted: Picture, size: tuple[int, int], target: tuple[int, int]) -> None:
    """Check that the picture, of 200 among 0, has the shape of `size` and is in the middle of `target`."""
    sampling = fitted.sampling
    across, down = sampling.value or (1, 1)
    chroma = [(-(-target[1] // down), -(-target[0] // across))] * (len(fitted.planes) - 1)
    assert [plane.shape for plane in fitted.planes] == [target[::-1], *chroma]
    lit = np.argwhere(fitted.planes[0] == 200)
    assert np.isin(fitted.planes[0], (0, 200)).all()
    (top, left), (bottom, right) = lit.min(axis=0), lit.max(axis=0) + 1
    assert len(lit) == (bottom - top) * (right - left)
    scale = min(target[0] / size[0], target[1] / size[1])
    step = 8  # lines or columns: whole chroma samples of both fields, twice
    assert abs(right - left - size[0] * scale) < step
    assert abs(bottom - top - size[1] * scale) < step
    assert abs(left + right - target[0]) < step
    assert abs(top + bottom - target[1]) < step
    for plane in fitted.planes[1:]:
        share = (right - left) * (bottom - top) / (target[0] * target[1])
        assert (plane == 200).mean() == pytest.approx(share, abs=0.02)


def test_b2_pictures_of_another_size_are_scaled() -> None:
    picture = frame(64, 48, Sampling.YUV420, None)
    fitted, scaled = fit(picture, 90, 60), colour.resize(picture, 90, 60)
    assert all(np.array_equal(ours, theirs) for ours, theirs in zip(fitted.planes, scaled.planes, strict=True))
