"""Planes become RGB: JFIF's formulas and libjpeg's upsampling, each field of a woven picture by itself."""

from __future__ import annotations

import io
from dataclasses import replace

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from mjpeg_restore.frames import FieldLayout, Picture, Sampling
from mjpeg_restore.interlace import weave
from mjpeg_restore.planes import interleave, upsample
from tests.random_pictures import apart, random_picture, two_fields

COLOURED = [sampling for sampling in Sampling if sampling is not Sampling.GRAY]


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


@pytest.mark.parametrize("cr", range(0, 256, 5))
def test_conversion_is_within_one_of_the_formulas_for_every_colour(cr: int) -> None:
    luma, cb = np.meshgrid(np.arange(256, dtype=np.uint8), np.arange(256, dtype=np.uint8))
    planes = (luma, cb, np.full_like(luma, cr))
    assert apart(Picture(planes, Sampling.YUV444).to_ndarray(), jfif(*planes)) <= 1


@pytest.mark.parametrize(("subsampling", "sampling"), [(0, "YUV444"), (1, "YUV422"), (2, "YUV420")])
@pytest.mark.parametrize("size", [(192, 128), (163, 117), *((width, 40) for width in range(1, 8)), (40, 1)])
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
