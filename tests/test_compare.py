from __future__ import annotations

import numpy as np
import pytest

from mjpeg_restore.compare import side_by_side, split
from mjpeg_restore.frames import Picture, Sampling


def flat(width: int, height: int, sampling: Sampling, level: int, index: int = 0) -> Picture:
    across, down = sampling.value or (1, 1)
    sizes = [(height, width)] + [(-(-height // down), -(-width // across))] * (2 * (sampling is not Sampling.GRAY))
    return Picture(tuple(np.full(size, level, np.uint8) for size in sizes), sampling, index=index, pts=index)


@pytest.mark.parametrize("sampling", Sampling)
@pytest.mark.parametrize("size", [(64, 48), (163, 117), (5, 3)])
def test_side_by_side_holds_both_whole(sampling: Sampling, size: tuple[int, int]) -> None:
    width, height = size
    both = side_by_side(flat(width, height, sampling, 40), flat(width, height, sampling, 90, index=7))
    across, down = sampling.value or (1, 1)
    left = -(-width // across) * across
    assert (both.width, both.height, both.index, both.pts) == (left + width, height, 7, 7)
    for i, plane in enumerate(both.planes):
        cut = left if i == 0 else left // across
        assert np.all(plane[:, :cut] == 40)
        assert np.all(plane[:, cut:] == 90)
    for plane in both.planes[1:]:
        assert plane.shape == (-(-height // down), -(-both.width // across))


@pytest.mark.parametrize("sampling", Sampling)
@pytest.mark.parametrize("size", [(64, 48), (163, 117), (5, 3)])
def test_split_keeps_the_size_and_draws_a_white_line(sampling: Sampling, size: tuple[int, int]) -> None:
    before, after = flat(*size, sampling, 40), flat(*size, sampling, 90)
    result = split(before, after)
    assert [plane.shape for plane in result.planes] == [plane.shape for plane in after.planes]
    luma = result.planes[0][0]
    (line,) = {int(np.flatnonzero(row == 255)[0]) for row in result.planes[0]}
    assert np.all(luma[:line] == 40)
    assert np.all(luma[line : line + 2] == 255)
    assert np.all(luma[line + 2 :] == 90)
    for plane in result.planes[1:]:
        across = (sampling.value or (1, 1))[0]
        assert np.all(plane[:, : line // across] == 40)
        assert plane[0, line // across] == 128
    assert np.all(before.planes[0] == 40)


def test_split_cuts_between_blocks() -> None:
    luma = split(flat(640, 48, Sampling.YUV420, 40), flat(640, 48, Sampling.YUV420, 90)).planes[0][0]
    assert np.flatnonzero(luma == 255).tolist() == [320, 321]


def test_pictures_that_differ_are_refused() -> None:
    with pytest.raises(ValueError, match="width"):
        split(flat(64, 48, Sampling.GRAY, 0), flat(32, 48, Sampling.GRAY, 0))
    with pytest.raises(ValueError, match="sampling"):
        side_by_side(flat(64, 48, Sampling.GRAY, 0), flat(64, 48, Sampling.YUV420, 0))
