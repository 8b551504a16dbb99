from __future__ import annotations

import io
from dataclasses import replace

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from mjpeg_restore import colour
from mjpeg_restore.frames import FieldLayout, Picture, Sampling
from mjpeg_restore.interlace import weave
from mjpeg_restore.planes import interleave, upsample

COLOURED = [sampling for sampling in Sampling if sampling is not Sampling.GRAY]


def random_picture(width: int, height: int, sampling: Sampling, seed: int = 0) -> Picture:
    random = np.random.default_rng(seed)
    across, down = sampling.value or (1, 1)
    sizes = [(height, width)]
    if sampling is not Sampling.GRAY:
        sizes += [(-(-height // down), -(-width // across))] * 2
    return Picture(tuple(random.integers(0, 256, size, np.uint8) for size in sizes), sampling)


def jfif(luma: NDArray[np.uint8], cb: NDArray[np.uint8], cr: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The formulas of JFIF in floating point."""
    y, u, v = (plane.astype(np.float64) - offset for plane, offset in ((luma, 0), (cb, 128), (cr, 128)))
    rgb = np.stack((y + 1.402 * v, y - 0.344136 * u - 0.714136 * v, y + 1.772 * u), axis=-1)
    return np.clip(np.rint(rgb), 0, 255).astype(np.uint8)


def slow_double(line: list[int], bias: tuple[int, int], shift: int) -> list[int]:
    """libjpeg's triangle, sample by sample."""
    out: list[int] = []
    for i, near in enumerate(line):
        before, after = line[max(i - 1, 0)], line[min(i + 1, len(line) - 1)]
        out += [(3 * near + before + bias[0]) >> shift, (3 * near + after + bias[1]) >> shift]
    return out


def apart(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> int:
    return int(np.abs(one.astype(int) - other.astype(int)).max())


@pytest.mark.parametrize("cr", range(0, 256, 5))
def test_conversion_is_within_one_of_the_formulas_for_every_colour(cr: int) -> None:
    luma, cb = np.meshgrid(np.arange(256, dtype=np.uint8), np.arange(256, dtype=np.uint8))
    planes = (luma, cb, np.full_like(luma, cr))
    assert apart(Picture(planes, Sampling.YUV444).to_ndarray(), jfif(*planes)) <= 1


@pytest.mark.parametrize(("subsampling", "sampling"), [(0, "YUV444"), (1, "YUV422"), (2, "YUV420")])
@pytest.mark.parametrize("size", [(192, 128), (163, 117)])
def test_rgb_is_within_one_of_pillows_for_the_same_planes(
    subsampling: int, sampling: str, size: tuple[int, int]
) -> None:
    # Blocks of one colour each, so that every decoder finds the very same planes: what differs is upsampling.
    random = np.random.default_rng(subsampling)
    blocks = Image.fromarray(random.integers(0, 256, (12, 16, 3), np.uint8))
    image = blocks.resize((256, 192), Image.Resampling.NEAREST).crop((0, 0, *size))
    file = io.BytesIO()
    image.save(file, "jpeg", quality=100, subsampling=subsampling)
    context = av.CodecContext.create("mjpeg", "r")
    (frame,) = context.decode(av.Packet(file.getvalue()))
    planes: list[NDArray[np.uint8]] = []
    for plane in frame.planes:
        samples = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
        planes.append(samples[: plane.height, : plane.width])
    picture = Picture(tuple(planes), Sampling[sampling])
    assert apart(picture.to_ndarray("rgb"), np.asarray(Image.open(file).convert("RGB"))) <= 1


@settings(deadline=None)
@given(st.sampled_from(COLOURED), st.integers(1, 40), st.integers(1, 90), st.integers(0, 9))
def test_strips_and_crop_agree_with_whole_planes(sampling: Sampling, width: int, height: int, seed: int) -> None:
    picture = random_picture(width, height, sampling, seed)
    across, down = sampling.value or (1, 1)
    whole = [upsample(plane, across, down)[:height, :width] for plane in picture.planes[1:]]
    assert apart(picture.to_ndarray(), jfif(picture.planes[0], *whole)) <= 1


@given(st.lists(st.lists(st.integers(0, 255), min_size=5, max_size=5), min_size=1, max_size=6))
def test_upsampling_is_libjpegs_triangle(rows: list[list[int]]) -> None:
    plane = np.array(rows, np.uint8)
    across = [slow_double(row, (1, 2), 2) for row in rows]
    down = np.array([slow_double(column, (1, 2), 2) for column in np.array(rows).T.tolist()]).T
    sums = np.array([slow_double(column, (0, 0), 0) for column in np.array(rows).T.tolist()]).T.tolist()
    both = [slow_double(row, (8, 7), 4) for row in sums]
    assert np.array_equal(upsample(plane, 2, 1), across)
    assert np.array_equal(upsample(plane, 1, 2), down)
    assert np.array_equal(upsample(plane, 2, 2), both)
    assert np.array_equal(upsample(plane, 4, 1), plane.repeat(4, axis=1))


def test_bgr_is_rgb_backwards() -> None:
    picture = random_picture(33, 21, Sampling.YUV420)
    assert np.array_equal(picture.to_ndarray("bgr"), picture.to_ndarray("rgb")[:, :, ::-1])


def test_gray_is_the_luma_as_it_is() -> None:
    picture = replace(random_picture(33, 21, Sampling.YUV420), full_range=False)
    assert np.array_equal(picture.to_ndarray("gray"), picture.planes[0])


def test_grey_picture_repeats_its_luma() -> None:
    picture = random_picture(33, 21, Sampling.GRAY)
    assert np.array_equal(picture.to_ndarray("rgb"), picture.planes[0][:, :, None].repeat(3, axis=2))


def test_other_formats_are_refused() -> None:
    with pytest.raises(ValueError, match="yuv"):
        random_picture(8, 8, Sampling.GRAY).to_ndarray("yuv")  # pyright: ignore[reportArgumentType]


def test_limited_range_is_expanded() -> None:
    white, black = ((np.full((2, 2), y, np.uint8),) + (np.full((2, 2), 128, np.uint8),) * 2 for y in (235, 16))
    assert np.all(Picture(white, Sampling.YUV444, full_range=False).to_ndarray() == 255)
    assert np.all(Picture(black, Sampling.YUV444, full_range=False).to_ndarray() == 0)


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


def two_fields(height: int, sampling: Sampling, *, width: int = 163) -> tuple[Picture, Picture, Picture]:
    """The upper field, the lower one, and their frame."""
    upper, lower = (random_picture(width, height, sampling, seed) for seed in (1, 2))
    return upper, lower, weave(upper, lower, FieldLayout())


@pytest.mark.parametrize("full_range", [True, False])
@pytest.mark.parametrize("height", [48, 117, 1])
@pytest.mark.parametrize("sampling", Sampling)
def test_s6_rgb_of_woven_fields_is_each_fields_own(sampling: Sampling, height: int, full_range: bool) -> None:
    pictures = [replace(picture, full_range=full_range) for picture in two_fields(height, sampling)]
    for format in ("rgb", "bgr", "gray"):
        upper, lower, woven = (picture.to_ndarray(format) for picture in pictures)
        assert np.array_equal(woven, interleave(upper, lower))


@pytest.mark.parametrize("sampling", COLOURED)
def test_s6_no_colour_runs_from_one_field_into_the_other(sampling: Sampling) -> None:
    orange, blue = ((150, 90, 200), (60, 220, 90))
    planes = random_picture(64, 24, sampling).planes
    parts = [
        Picture(tuple(np.full_like(plane, level) for plane, level in zip(planes, levels, strict=True)), sampling)
        for levels in (orange, blue)
    ]
    pixels = weave(parts[0], parts[1], FieldLayout()).to_ndarray("rgb")
    for lines, part in zip((pixels[0::2], pixels[1::2]), parts, strict=True):
        assert np.all(lines == part.to_ndarray("rgb")[0, 0])


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
