from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mjpeg_restore import colour
from mjpeg_restore.frames import Picture, Sampling
from mjpeg_restore.planes import interleave
from tests.random_pictures import apart, random_picture, two_fields


def test_range_there_and_back_is_within_one() -> None:
    every = np.arange(256, dtype=np.uint8).reshape(16, 16)
    picture = Picture((every, every, every), Sampling.YUV444)
    limited = colour.to_range(picture, full=False)
    assert not limited.full_range
    assert (limited.planes[0].min(), limited.planes[0].max()) == (16, 235)
    assert (limited.planes[1].min(), limited.planes[1].max()) == (16, 240)
    back = colour.to_range(limited, full=True)
    assert max(map(apart, back.planes, picture.planes)) <= 1
    # Expanding spreads the values, so nothing is lost that way round.
    assert all(map(np.array_equal, colour.to_range(back, full=False).planes, limited.planes))


@given(st.integers(0, 255))
def test_range_rounds_to_nearest(sample: int) -> None:
    plane = np.full((1, 1), sample, np.uint8)
    limited = colour.to_range(Picture((plane, plane, plane), Sampling.YUV444), full=False)
    assert abs(int(limited.planes[0][0, 0]) - (16 + sample * 219 / 255)) <= 0.5
    assert abs(int(limited.planes[1][0, 0]) - (128 + (sample - 128) * 224 / 255)) <= 0.5


@pytest.mark.parametrize("target", Sampling)
@pytest.mark.parametrize("source", Sampling)
def test_resampling_keeps_luma_sizes_and_flat_chroma(source: Sampling, target: Sampling) -> None:
    picture = random_picture(163, 117, source)
    flat = replace(picture, planes=(picture.planes[0], *(np.full_like(p, 77) for p in picture.planes[1:])))
    result = colour.to_sampling(flat, target)
    assert result.sampling is target
    assert np.array_equal(result.planes[0], picture.planes[0])
    if target is Sampling.GRAY:
        assert len(result.planes) == 1
        return
    across, down = target.value
    for plane in result.planes[1:]:
        assert plane.shape == (-(-117 // down), -(-163 // across))
        assert np.all(plane == (128 if source is Sampling.GRAY else 77))


def test_resampling_keeps_the_centre_of_chroma() -> None:
    ramp = np.arange(0, 240, 4, dtype=np.uint8)[None, :].repeat(40, axis=0)
    fine = Picture((ramp, ramp, ramp), Sampling.YUV444)
    back = colour.to_sampling(colour.to_sampling(fine, Sampling.YUV420), Sampling.YUV444)
    assert apart(back.planes[1][:, 2:-2], ramp[:, 2:-2]) <= 1


@pytest.mark.parametrize("sampling", Sampling)
def test_resize_scales_every_plane(sampling: Sampling) -> None:
    picture = random_picture(64, 48, sampling)
    flat = replace(picture, planes=tuple(np.full_like(p, 200 - 50 * i) for i, p in enumerate(picture.planes)))
    result = colour.resize(flat, 101, 77)
    assert (result.width, result.height) == (101, 77)
    across, down = sampling.value or (1, 1)
    for i, plane in enumerate(result.planes):
        assert plane.shape == ((77, 101) if i == 0 else (-(-77 // down), -(-101 // across)))
        assert np.all(plane == 200 - 50 * i)


def test_resize_refuses_nothing_and_returns_the_same_for_the_same_size() -> None:
    picture = random_picture(16, 16, Sampling.YUV420)
    assert colour.resize(picture, 16, 16) is picture
    with pytest.raises(ValueError, match="0x16"):
        colour.resize(picture, 0, 16)


# ---- woven fields ----


@pytest.mark.parametrize("height", [48, 117])
@pytest.mark.parametrize("target", Sampling)
@pytest.mark.parametrize("source", Sampling)
def test_s6_woven_fields_are_resampled_one_by_one(source: Sampling, target: Sampling, height: int) -> None:
    *parts, woven = two_fields(height, source)
    result = colour.to_sampling(woven, target)
    assert (result.sampling, result.field_order) == (target, "top")
    assert result.planes[0] is woven.planes[0]
    upper, lower = (colour.to_sampling(part, target).planes for part in parts)
    for plane, expected in zip(result.planes, map(interleave, upper, lower), strict=True):
        assert np.array_equal(plane, expected)


@pytest.mark.parametrize("target", [(101, 77), (163, 96), (200, 240)])
@pytest.mark.parametrize("sampling", Sampling)
def test_b2_woven_fields_are_scaled_one_by_one(sampling: Sampling, target: tuple[int, int]) -> None:
    *parts, woven = two_fields(48, sampling)
    result = colour.resize(woven, *target)
    assert ((result.width, result.height), result.field_order) == (target, "top")
    width, height = target
    upper, lower = (
        colour.resize(part, width, lines).planes
        for part, lines in zip(parts, (-(-height // 2), height // 2), strict=True)
    )
    for plane, expected in zip(result.planes, map(interleave, upper, lower), strict=True):
        assert np.array_equal(plane, expected)


def test_b2_a_single_line_has_no_fields() -> None:
    assert colour.resize(two_fields(8, Sampling.YUV420)[2], 20, 1).field_order is None
