"""PSNR, PSNR-B and SSIM of a picture and its original, computed as for the field's tables."""

from __future__ import annotations

import math

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

PEAK = 255.0


def psnr(picture: NDArray[np.uint8], original: NDArray[np.uint8]) -> float:
    """Peak signal-to-noise ratio in dB, over all samples of all channels; inf for identical pictures.

    Args:
        picture, original: uint8 of the same shape, `[height, width]` or `[height, width, channels]`.
    """
    return _decibel(_mean_squared_error(picture, original))


def psnr_b(picture: NDArray[np.uint8], original: NDArray[np.uint8]) -> float:
    """PSNR-B in dB: PSNR with the steps at block edges counted as further error (Yim and Bovik 2011, equations 9-13).

    Args:
        picture, original: luma, uint8 `[height, width]`, blocks of 8x8 from the top left corner.
    """
    return _decibel(_mean_squared_error(picture, original) + _blocking_effect(picture.astype(np.float64)))


def ssim(picture: NDArray[np.uint8], original: NDArray[np.uint8]) -> float:
    """Structural similarity (Wang et al. 2004) with a uniform 8x8 window, as AR-CNN's code and its successors have it.

    Args:
        picture, original: luma, uint8 `[height, width]`, at least 8x8.
    """
    x, y = picture.astype(np.float64), original.astype(np.float64)
    c1, c2 = (0.01 * PEAK) ** 2, (0.03 * PEAK) ** 2
    mean_x, mean_y = _window_mean(x), _window_mean(y)
    variance_x = _window_mean(x * x) - mean_x**2
    variance_y = _window_mean(y * y) - mean_y**2
    covariance = _window_mean(x * y) - mean_x * mean_y
    luminance = (2 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1)
    structure = (2 * covariance + c2) / (variance_x + variance_y + c2)
    return float(np.mean(luminance * structure))


def _decibel(error: float) -> float:
    return 10 * math.log10(PEAK**2 / error) if error > 0 else math.inf


def _mean_squared_error(picture: NDArray[np.uint8], original: NDArray[np.uint8]) -> float:
    difference = picture.astype(np.float64) - original.astype(np.float64)
    return float(np.mean(difference**2))


def _blocking_effect(luma: NDArray[np.float64], side: int = 8) -> float:
    """Excess of the squared steps at block edges over those elsewhere, weighted by the picture's size."""
    edge: list[NDArray[np.float64]] = []
    inner: list[NDArray[np.float64]] = []
    for steps in (np.diff(luma, axis=1), np.diff(luma, axis=0).T):
        squared = steps**2
        column = 1 + np.arange(squared.shape[1], dtype=np.int64)
        edge.append(squared[:, column % side == 0].ravel())
        inner.append(squared[:, column % side != 0].ravel())
    if not any(part.size for part in edge):
        return 0.0
    at_edges = float(np.mean(np.concatenate(edge)))
    elsewhere = float(np.mean(np.concatenate(inner)))
    if at_edges <= elsewhere:
        return 0.0
    return math.log2(side) / math.log2(min(luma.shape)) * (at_edges - elsewhere)


def _window_mean(plane: NDArray[np.float64], side: int = 8) -> NDArray[np.float64]:
    """Means over all whole windows."""
    rows = sliding_window_view(plane, side, axis=0).mean(axis=-1)
    return sliding_window_view(rows, side, axis=1).mean(axis=-1)


def fine_detail(plane: NDArray[np.uint8]) -> float:
    """Mean square of the Laplacian of a plane, `[height, width]`, in squared grey levels."""
    samples = plane.astype(np.float64)
    inner = samples[1:-1, 1:-1]
    around = samples[:-2, 1:-1] + samples[2:, 1:-1] + samples[1:-1, :-2] + samples[1:-1, 2:]
    return float(np.mean((4 * inner - around) ** 2))
