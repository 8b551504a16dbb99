"""What frames, packets and pictures check when they are made, and what they show of themselves."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import mjpeg_restore
from mjpeg_restore.frames import CodedPicture, Frame, Packet, Picture, PixelFormat, Sampling
from tests.jpeg.pictures import encode
from tests.random_pictures import random_picture


def coded(sampling: Sampling = Sampling.GRAY, **changes: Any) -> CodedPicture:
    """A picture of one block a component, with some arguments replaced."""
    count = 1 if sampling is Sampling.GRAY else 3
    arrays = {
        "coefficients": (np.zeros((1, 1, 64), np.int16),) * count,
        "tables": (np.ones(64, np.uint16),) * count,
    }
    return CodedPicture(8, 8, sampling, **(arrays | changes))


def plane(*shape: int, dtype: type = np.uint8) -> NDArray[Any]:
    return np.zeros(shape, dtype)


@pytest.mark.parametrize(
    ("sampling", "changes", "says"),
    [
        (Sampling.YUV420, {"coefficients": (np.zeros((1, 1, 64), np.int16),)}, "4:2:0 has 3 components, not 1"),
        (Sampling.GRAY, {"coefficients": (np.zeros((1, 1, 64), np.int16),) * 3}, "gray has 1 component, not 3"),
        (Sampling.YUV420, {"tables": (np.ones(64, np.uint16),)}, "one table for each component"),
        (
            Sampling.GRAY,
            {"coefficients": (np.zeros((1, 64), np.int16),)},
            r"int16 \[high, wide, 64\], not int16 \(1, 64\)",
        ),
        (Sampling.GRAY, {"coefficients": (np.zeros((1, 8, 8), np.int16),)}, r"not int16 \(1, 8, 8\)"),
        (Sampling.GRAY, {"coefficients": (np.zeros((1, 1, 64), np.int32),)}, "not int32"),
        (Sampling.GRAY, {"tables": (np.ones((8, 8), np.uint16),)}, r"a table is uint16 \[64\], not uint16 \(8, 8\)"),
        (Sampling.GRAY, {"tables": (np.ones(64, np.int64),)}, "not int64"),
        (Sampling.GRAY, {"tables": (np.zeros(64, np.uint16),)}, "from 1 on, not 0"),
        (
            Sampling.YUV420,
            {"coefficients": tuple(np.zeros((high, 1, 64), np.int16) for high in (1, 1, 0))},
            "8x8 4:2:0 has 1x1 blocks or more in component 2, not 0x1",
        ),
    ],
)
def test_the_arrays_of_a_coded_picture_are_checked(sampling: Sampling, changes: dict[str, Any], says: str) -> None:
    coded(sampling)
    with pytest.raises(ValueError, match=says):
        coded(sampling, **changes)


@pytest.mark.parametrize(("width", "height"), [(0, 8), (8, -5), (65536, 8)])
def test_the_size_of_a_coded_picture_is_that_of_a_jpeg(width: int, height: int) -> None:
    with pytest.raises(ValueError, match=f"1 to 65535 pixels down and across, not {width}x{height}"):
        replace(coded(), width=width, height=height)


@pytest.mark.parametrize(("sampling", "fits"), [(Sampling.YUV420, (17, 33)), (Sampling.YUV411, (9, 65))])
def test_the_blocks_of_a_coded_picture_cover_it(sampling: Sampling, fits: tuple[int, int]) -> None:
    height, width = fits
    across, down = sampling.value or (1, 1)
    grids = [(-(-height // 8), -(-width // 8)), *[(-(-height // (8 * down)), -(-width // (8 * across)))] * 2]
    blocks = tuple(np.zeros((*grid, 64), np.int16) for grid in grids)
    picture = CodedPicture(width, height, sampling, blocks, (np.ones(64, np.uint16),) * 3)
    for missing in range(3):
        short = tuple(one[:, :-1] if index == missing else one for index, one in enumerate(blocks))
        with pytest.raises(ValueError, match=f"blocks or more in component {missing}"):
            replace(picture, coefficients=short)


@pytest.mark.parametrize(
    ("sampling", "grids", "says"),
    [
        (Sampling.YUV420, [(5, 5), (3, 3), (4, 3)], "both components of chroma have as many blocks, not 3x3 and 4x3"),
        (Sampling.YUV444, [(5, 5), (6, 6), (7, 7)], "not 6x6 and 7x7"),
        (Sampling.YUV420, [(9, 5), (3, 3), (3, 3)], "4:2:0 with 3x3 blocks of chroma has 6x6 of luma at most, not 9x5"),
        (Sampling.YUV411, [(5, 9), (5, 2), (5, 2)], "4:1:1 with 5x2 blocks of chroma has 5x8 of luma at most, not 5x9"),
    ],
)
def test_c2_the_grids_of_a_coded_picture_go_together(
    sampling: Sampling, grids: list[tuple[int, int]], says: str
) -> None:
    blocks = tuple(np.zeros((*grid, 64), np.int16) for grid in grids)
    with pytest.raises(ValueError, match=says):
        CodedPicture(40, 40, sampling, blocks, (np.ones(64, np.uint16),) * 3)


@pytest.mark.parametrize(
    ("sampling", "planes", "says"),
    [
        (Sampling.YUV444, (plane(8, 8),), "4:4:4 has 3 components, not 1"),
        (Sampling.GRAY, (plane(8, 8),) * 3, "gray has 1 component, not 3"),
        (Sampling.GRAY, (plane(8, 8, 3),), r"a plane is uint8 \[height, width\], not uint8 \(8, 8, 3\)"),
        (Sampling.YUV444, (plane(8, 8), plane(8, 8), plane(8, 8, dtype=np.float32)), "not float32"),
    ],
)
def test_the_planes_of_a_picture_are_checked(sampling: Sampling, planes: tuple[NDArray[Any], ...], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Picture(planes, sampling)


def test_pictures_are_told_apart_by_being_another_object() -> None:
    for one in (coded(), random_picture(8, 8, Sampling.GRAY), Frame(random_picture(8, 8, Sampling.GRAY))):
        other = replace(one)
        assert one == one and one != other
        assert one in [other, one] and [other, one].index(one) == 1 and len({one, other}) == 2


def test_times_are_exact() -> None:
    assert Packet(b"", index=3, pts=3003, time_base=Fraction(1, 90_000)).time == Fraction(1001, 30_000)
    assert Picture((plane(8, 8),), Sampling.GRAY, pts=7, time_base=Fraction(1, 30)).time == Fraction(7, 30)


def test_the_reprs_of_packets_and_coded_pictures_show_no_data() -> None:
    packet = Packet(bytes(5000), index=3, pts=3, time_base=Fraction(1, 25), tables=bytes(500))
    assert repr(packet) == "Packet(index=3, 5000 bytes, time=0.120)"
    assert repr(coded(Sampling.YUV444)) == "CodedPicture(8x8 4:4:4, blocks 1x1, 1x1, 1x1, damage=None)"


def test_reprs_show_shapes_and_no_samples() -> None:
    picture = mjpeg_restore.restore(encode(), "decode")
    assert repr(picture) == "Picture(163x117 4:2:0, index=0, pts=0)"


# ---- as arrays ----


def test_bgr_is_rgb_backwards() -> None:
    picture = random_picture(33, 21, Sampling.YUV420)
    assert np.array_equal(picture.to_ndarray("bgr"), picture.to_ndarray("rgb")[:, :, ::-1])


def test_gray_is_the_luma_as_it_is() -> None:
    picture = replace(random_picture(33, 21, Sampling.YUV420), full_range=False)
    assert np.array_equal(picture.to_ndarray("gray"), picture.planes[0])


@pytest.mark.parametrize("format", ["rgb", "bgr", "gray"])
def test_who_draws_into_an_array_changes_no_picture(format: PixelFormat) -> None:
    picture = random_picture(33, 21, Sampling.YUV420)
    before = [plane.copy() for plane in picture.planes]
    picture.to_ndarray(format)[:] = 0
    assert all(map(np.array_equal, picture.planes, before))


def test_planes_are_read_only_and_the_callers_arrays_are_not() -> None:
    planes = tuple(np.zeros(size, np.uint8) for size in ((16, 16), (8, 8), (8, 8)))
    picture = Picture(planes, Sampling.YUV420)
    for given, plane in zip(planes, picture.planes, strict=True):
        with pytest.raises(ValueError, match="read-only"):
            plane[:] = 1
        given[:] = 1
        assert np.shares_memory(given, plane)


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
