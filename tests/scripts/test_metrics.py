from __future__ import annotations

import math

import numpy as np
import pytest
from measuring.metrics import psnr, psnr_b, ssim
from numpy.typing import NDArray

RNG = np.random.default_rng(0)
ORIGINAL = RNG.integers(0, 256, (24, 40), np.uint8)


def noisy(picture: NDArray[np.uint8], sigma: float) -> NDArray[np.uint8]:
    return (picture + np.random.default_rng(1).normal(0, sigma, picture.shape)).clip(0, 255).astype(np.uint8)


def blocky(height: int = 32, width: int = 48) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """A slope made of flat blocks of 8x8, and the slope."""
    slope = np.add.outer(np.arange(height), 2 * np.arange(width)).astype(np.float64)
    blocks = slope.reshape(height // 8, 8, width // 8, 8).mean(axis=(1, 3)).repeat(8, 0).repeat(8, 1)
    return blocks.astype(np.uint8), slope.astype(np.uint8)


def slow_blocking_effect(luma: NDArray[np.uint8]) -> float:
    """Yim and Bovik's equations 9 to 13, sample by sample."""
    height, width = luma.shape
    sums, counts = {True: 0.0, False: 0.0}, {True: 0, False: 0}
    for row in range(height):
        for column in range(width):
            if column + 1 < width:
                edge = (column + 1) % 8 == 0
                sums[edge] += (float(luma[row, column]) - float(luma[row, column + 1])) ** 2
                counts[edge] += 1
            if row + 1 < height:
                edge = (row + 1) % 8 == 0
                sums[edge] += (float(luma[row, column]) - float(luma[row + 1, column])) ** 2
                counts[edge] += 1
    at_edges, elsewhere = sums[True] / counts[True], sums[False] / counts[False]
    weight = math.log2(8) / math.log2(min(height, width)) if at_edges > elsewhere else 0
    return weight * (at_edges - elsewhere)


def slow_ssim(x: NDArray[np.uint8], y: NDArray[np.uint8]) -> float:
    """Every window by itself."""
    values = []
    for row in range(x.shape[0] - 7):
        for column in range(x.shape[1] - 7):
            a, b = (picture[row : row + 8, column : column + 8].astype(np.float64) for picture in (x, y))
            covariance = ((a - a.mean()) * (b - b.mean())).mean()
            c1, c2 = 6.5025, 58.5225
            values.append(
                (2 * a.mean() * b.mean() + c1)
                * (2 * covariance + c2)
                / (a.mean() ** 2 + b.mean() ** 2 + c1)
                / (a.var() + b.var() + c2)
            )
    return float(np.mean(values))


def test_psnr_of_a_known_error() -> None:
    picture = np.full((8, 8), 100, np.uint8)
    assert psnr(picture + np.uint8(5), picture) == pytest.approx(20 * math.log10(255 / 5))
    assert psnr(picture - np.uint8(5), picture) == psnr(picture + np.uint8(5), picture)


def test_psnr_of_the_same_picture_is_infinite() -> None:
    assert psnr(ORIGINAL, ORIGINAL) == math.inf
    assert psnr_b(np.full((16, 16), 7, np.uint8), np.full((16, 16), 7, np.uint8)) == math.inf


def test_psnr_takes_all_channels() -> None:
    original = np.zeros((8, 8, 3), np.uint8)
    picture = original.copy()
    picture[..., 2] = 3
    assert psnr(picture, original) == pytest.approx(10 * math.log10(255**2 / 3))


def test_psnr_b_is_lower_where_block_edges_show() -> None:
    blocks, slope = blocky()
    assert psnr_b(blocks, slope) < psnr(blocks, slope) - 0.5


def test_psnr_b_is_psnr_where_none_show() -> None:
    picture = ORIGINAL.copy()
    picture[:, 8::8] = picture[:, 7:-1:8]
    picture[8::8] = picture[7:-1:8]
    assert psnr_b(picture, ORIGINAL) == psnr(picture, ORIGINAL)


@pytest.mark.parametrize("size", [(32, 48), (24, 40), (64, 16)])
def test_psnr_b_is_the_slow_loops(size: tuple[int, int]) -> None:
    blocks, slope = blocky(*size)
    picture = noisy(blocks, 1)
    error = np.mean((picture.astype(float) - slope) ** 2) + slow_blocking_effect(picture)
    assert psnr_b(picture, slope) == pytest.approx(10 * math.log10(255**2 / error))


def test_psnr_b_of_a_picture_without_block_edges() -> None:
    block = ORIGINAL[:8, :8]
    assert psnr_b(noisy(block, 9), block) == psnr(noisy(block, 9), block)


def test_ssim_of_the_same_picture_is_1() -> None:
    assert ssim(ORIGINAL, ORIGINAL) == pytest.approx(1)


def test_ssim_falls_with_noise() -> None:
    values = [ssim(noisy(ORIGINAL, sigma), ORIGINAL) for sigma in (1, 10, 50)]
    assert 1 > values[0] > values[1] > values[2] > 0


@pytest.mark.parametrize("sigma", [2, 20])
def test_ssim_is_the_slow_loops(sigma: float) -> None:
    picture = noisy(ORIGINAL, sigma)
    assert ssim(picture, ORIGINAL) == pytest.approx(slow_ssim(picture, ORIGINAL), abs=1e-9)
