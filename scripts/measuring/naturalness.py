"""Naturalness of pictures: the distance of their scene statistics from the originals', without a trained network.

PSNR rewards blur: the mean of all possible textures has the smallest expected error. Such a mean differs from a
photograph in the distribution of its local contrast. So each patch is described by the statistics of NIQE (Mittal,
Soundararajan and Bovik 2013), and two sets of patches are compared by the distance of FID (Heusel et al. 2017).
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np
from numpy.typing import NDArray

PATCH = 96
"""Side of a patch, samples."""
FEATURES = 36
"""Statistics of a patch."""

FARTHEST = 6.0
"""Clipping of a patch's statistics, in standard deviations from the originals' mean: without it, one odd patch, flat
but for a line, would outweigh a thousand. All sets that lie entirely beyond have the same distance."""


def scene_statistics(luma: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Natural scene statistics of all whole patches of 96x96: 18 at full size, then the same 18 at half size.

    In this order: shape and variance of the contrast-normalised samples; then shape, mean, left scale and right scale
    of the products of neighbours to the right, below, below right and below left.

    The differences from NIQE are: the half size is made by area averaging; products stay inside their patch; there is a
    variance instead of a scale; and all patches count, not only sharp ones, since restored skies are judged as well. A
    flat patch is the limit of peaked distributions: the smallest shape, all other statistics 0.

    Args:
        luma: uint8 `[height, width]`; samples beyond the last whole patch, right and bottom, are ignored.

    Returns:
        float64 `[patches, 36]`, all finite; no rows for a picture without a whole patch.
    """
    down, across = luma.shape[0] // PATCH, luma.shape[1] // PATCH
    if not down * across:
        return np.empty((0, FEATURES))
    plane = luma[: down * PATCH, : across * PATCH].astype(np.float64)
    half = plane.reshape(plane.shape[0] // 2, 2, plane.shape[1] // 2, 2).mean(axis=(1, 3))
    return np.concatenate(
        [
            _patch_statistics(_patches(contrast_normalised(plane), PATCH)),
            _patch_statistics(_patches(contrast_normalised(half), PATCH // 2)),
        ],
        axis=1,
    )


def frechet_distance(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Squared Frechet distance between Gaussians fitted to two sets (Dowson and Landau 1982); 0 for equal sets.

    Features are in units of their standard deviation in `b`, so that their own units do not matter (a feature that is
    constant in `b` keeps its unit), and are clipped at `FARTHEST` from the mean. Covariances are shrunk towards their
    diagonal by f / (f + samples): little for many samples, and enough for few samples not to show false correlations.

    Args:
        a: statistics of the pictures in question, float64 `[samples, f]`.
        b: statistics of the originals, float64 `[samples, f]`.

    Raises:
        ValueError: one of the sets is empty.
    """
    if not (len(a) and len(b)):
        raise ValueError("no samples to fit a Gaussian to: was every picture smaller than a patch?")
    centre, deviation = b.mean(axis=0), b.std(axis=0)
    unit = np.where(deviation > 1e-9 * (1 + np.abs(centre)), deviation, 1.0)
    mean_a, covariance_a = _gaussian(((a - centre) / unit).clip(-FARTHEST, FARTHEST))
    mean_b, covariance_b = _gaussian(((b - centre) / unit).clip(-FARTHEST, FARTHEST))
    values, vectors = np.linalg.eigh(covariance_a)
    root = vectors * np.sqrt(values.clip(0)) @ vectors.T
    # This symmetric matrix has the eigenvalues of the product of the covariances, so the traces of their roots are
    # equal.
    cross = np.sqrt(np.linalg.eigvalsh(root @ covariance_b @ root).clip(0)).sum()
    spread = np.trace(covariance_a) + np.trace(covariance_b) - 2 * cross
    return max(float(np.sum((mean_a - mean_b) ** 2) + spread), 0.0)


def _gaussian(samples: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    count, features = samples.shape
    mean = samples.mean(axis=0)
    covariance = (samples - mean).T @ (samples - mean) / count
    shrinkage = features / (features + count)
    return mean, (1 - shrinkage) * covariance + shrinkage * np.diag(np.diag(covariance))


def contrast_normalised(plane: NDArray[np.float64]) -> NDArray[np.float64]:
    """Samples minus their local mean, divided by their local standard deviation plus 1."""
    mean = _window_mean(plane)
    deviation = np.sqrt((_window_mean(plane * plane) - mean * mean).clip(0))
    return (plane - mean) / (deviation + 1)


def _window_mean(plane: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean in a 7x7 Gaussian window, with replicate padding."""
    window = _window()
    height, width = plane.shape
    reach = len(window) // 2
    padded = np.pad(plane, reach, mode="edge")
    rows = sum((weight * padded[i : i + height] for i, weight in enumerate(window)), np.zeros(1))
    return sum((weight * rows[:, i : i + width] for i, weight in enumerate(window)), np.zeros(1))


@cache
def _window() -> tuple[float, ...]:
    """Seven weights of a Gaussian of sigma 7/6, with sum 1.

    As they are multiples of 2^-16, sums over 8-bit samples, their squares, and quarters of both are exact in float64.
    So the normalised contrast of a flat area is 0, not the sign of a rounding error.
    """
    weights = [math.exp(-((i - 3) ** 2) / (2 * (7 / 6) ** 2)) for i in range(7)]
    exact = [round(2**16 * weight / sum(weights)) / 2**16 for weight in weights]
    exact[3] += 1 - sum(exact)
    return tuple(exact)


def _patches(plane: NDArray[np.float64], side: int) -> NDArray[np.float64]:
    """Cut a plane into patches `[patches, side, side]`, row by row."""
    height, width = plane.shape
    return plane.reshape(height // side, side, width // side, side).swapaxes(1, 2).reshape(-1, side, side)


def _patch_statistics(patches: NDArray[np.float64]) -> NDArray[np.float64]:
    """The 18 statistics of patches at one size, `[patches, 18]`."""
    products = (
        patches[:, :, :-1] * patches[:, :, 1:],
        patches[:, :-1] * patches[:, 1:],
        patches[:, :-1, :-1] * patches[:, 1:, 1:],
        patches[:, :-1, 1:] * patches[:, 1:, :-1],
    )
    of_products = [value for product in products for value in asymmetric_gaussian(product)]
    return np.stack([*generalised_gaussian(patches), *of_products], axis=1)


def generalised_gaussian(samples: NDArray[np.float64]) -> tuple[NDArray[np.float64], ...]:
    """Fit a generalised Gaussian of mean 0 to each patch `[patches, height, width]`, by moments: shape and variance."""
    variance = np.mean(samples * samples, axis=(1, 2))
    return _shape(_moment_ratio(np.mean(np.abs(samples), axis=(1, 2)), variance)), variance


def asymmetric_gaussian(samples: NDArray[np.float64]) -> tuple[NDArray[np.float64], ...]:
    """Fit an asymmetric generalised Gaussian to each patch: shape, mean, left and right scale.

    Fitted by moments, as in NIQE (Lasmar, Stitou and Berthoumieu 2009). Their formula uses the ratio of the two
    deviations; here it uses both, so that a side without samples causes no division by 0.
    """
    squared = samples * samples
    below, above = samples < 0, samples > 0
    left = _root_mean(np.sum(squared, axis=(1, 2), where=below), np.count_nonzero(below, axis=(1, 2)))
    right = _root_mean(np.sum(squared, axis=(1, 2), where=above), np.count_nonzero(above, axis=(1, 2)))
    ratio = _moment_ratio(np.mean(np.abs(samples), axis=(1, 2)), np.mean(squared, axis=(1, 2)))
    shape = _shape(ratio * _quotient((left**3 + right**3) * (left + right), (left**2 + right**2) ** 2))
    first, second, third = (_log_gamma(order / shape) for order in (1, 2, 3))
    scale = np.exp((first - third) / 2)
    mean = (right - left) * scale * np.exp(second - first)
    return shape, mean, left * scale, right * scale


def _root_mean(total: NDArray[np.float64], count: NDArray[np.intp]) -> NDArray[np.float64]:
    return np.sqrt(total / np.maximum(count, 1))


def _moment_ratio(absolute: NDArray[np.float64], squared: NDArray[np.float64]) -> NDArray[np.float64]:
    return _quotient(absolute**2, squared)


def _quotient(above: NDArray[np.float64], below: NDArray[np.float64]) -> NDArray[np.float64]:
    """The quotient; 0 where the divisor is 0."""
    return np.divide(above, below, out=np.zeros_like(above), where=below > 0)


def _shape(ratio: NDArray[np.float64]) -> NDArray[np.float64]:
    """The shape, 0.2 to 10, whose (E|x|)^2 / E[x^2] is nearest to the ratio."""
    shapes, ratios = _shape_table()
    return np.interp(ratio, ratios, shapes)


@cache
def _shape_table() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Shapes s and their ratios, Gamma(2/s)^2 / (Gamma(1/s) Gamma(3/s)), both increasing."""
    shapes = np.linspace(0.2, 10, 981)
    return shapes, np.exp(2 * _log_gamma(2 / shapes) - _log_gamma(1 / shapes) - _log_gamma(3 / shapes))


def _log_gamma(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.array([math.lgamma(value) for value in values])
