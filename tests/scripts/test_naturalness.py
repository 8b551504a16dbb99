from __future__ import annotations

import io
import math
from collections.abc import Callable

import numpy as np
import pytest
from measuring.naturalness import (
    FEATURES,
    PATCH,
    asymmetric_gaussian,
    contrast_normalised,
    frechet_distance,
    generalised_gaussian,
    scene_statistics,
)
from numpy.typing import NDArray
from PIL import Image


def textured(seed: int, height: int = 4 * PATCH, width: int = 5 * PATCH) -> NDArray[np.uint8]:
    """Noise whose amplitude falls with frequency as that of photographs does, stronger here than there."""
    rng = np.random.default_rng(seed)
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None])

    def noise(exponent: float) -> NDArray[np.float64]:
        spectrum = np.fft.rfft2(rng.normal(size=(height, width))) / np.maximum(frequency, 1 / width) ** exponent
        plane = np.fft.irfft2(spectrum, s=(height, width))
        return (plane - plane.mean()) / plane.std()

    return (128 + 30 * noise(1.0) * np.exp(0.5 * noise(1.5))).clip(0, 255).astype(np.uint8)


def blurred(picture: NDArray[np.uint8], sigma: float) -> NDArray[np.uint8]:
    """Under a Gaussian window, edges repeated."""
    reach = math.ceil(3 * sigma)
    window = np.exp(-(np.arange(-reach, reach + 1) ** 2) / (2 * sigma**2))
    plane = np.pad(picture.astype(np.float64), reach, mode="edge")
    for axis in (0, 1):
        plane = np.apply_along_axis(lambda line: np.convolve(line, window / window.sum(), mode="valid"), axis, plane)
    return plane.round().astype(np.uint8)


def blocky(picture: NDArray[np.uint8], share: float) -> NDArray[np.uint8]:
    """Blended with the means of its blocks of 8x8."""
    height, width = picture.shape
    means = picture.reshape(height // 8, 8, width // 8, 8).mean(axis=(1, 3)).repeat(8, 0).repeat(8, 1)
    return ((1 - share) * picture + share * means).round().astype(np.uint8)


def compressed(picture: NDArray[np.uint8], quality: int) -> NDArray[np.uint8]:
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "JPEG", quality=quality)
    with Image.open(file) as image:
        return np.asarray(image)


Draw = Callable[[np.random.Generator], NDArray[np.float64]]

PICTURES = [textured(seed) for seed in range(3)]
ORIGINALS = np.concatenate([scene_statistics(picture) for picture in PICTURES])


def distances(*degraded: list[NDArray[np.uint8]]) -> list[float]:
    """From the originals, of each list of pictures."""
    return [frechet_distance(np.concatenate([scene_statistics(p) for p in ps]), ORIGINALS) for ps in degraded]


def slow_contrast(plane: NDArray[np.float64], row: int, column: int) -> float:
    """NIQE's contrast-normalised sample, of one place that has the whole window around it."""
    weights = np.array([[math.exp(-(x * x + y * y) / (2 * (7 / 6) ** 2)) for x in range(-3, 4)] for y in range(-3, 4)])
    weights /= weights.sum()
    window = plane[row - 3 : row + 4, column - 3 : column + 4]
    mean = (weights * window).sum()
    return (plane[row, column] - mean) / (math.sqrt((weights * (window - mean) ** 2).sum()) + 1)


@pytest.mark.parametrize(
    ("draw", "shape", "variance"),
    [
        (lambda rng: rng.laplace(0, 2, (3, 400, 400)), 1, 8),
        (lambda rng: rng.normal(0, 3, (3, 400, 400)), 2, 9),
        (lambda rng: rng.gamma(2, 1, (3, 400, 400)) ** 2 * rng.choice([-1, 1], (3, 400, 400)), 0.5, 120),
    ],
)
def test_generalised_gaussian_of_known_samples(draw: Draw, shape: float, variance: float) -> None:
    samples = draw(np.random.default_rng(0))
    found_shape, found_variance = generalised_gaussian(samples)
    np.testing.assert_allclose(found_shape, shape, rtol=0.02)
    np.testing.assert_allclose(found_variance, variance, rtol=0.04)


def test_asymmetric_fit_of_a_laplacian_with_two_scales() -> None:
    """Of shape 1 the density is exp(-|x| / scale) on each side, its mean right - left."""
    rng = np.random.default_rng(0)
    left, right = 1.0, 3.0
    is_left = rng.random((2, 500, 500)) < left / (left + right)
    samples = rng.exponential(1, is_left.shape) * np.where(is_left, -left, right)
    for found, expected in zip(asymmetric_gaussian(samples), (1, right - left, left, right), strict=True):
        np.testing.assert_allclose(found, expected, rtol=0.03)


def test_asymmetric_fit_of_mirrored_samples_is_mirrored() -> None:
    samples = np.random.default_rng(0).gumbel(0, 1, (2, 100, 100))
    shape, mean, left, right = asymmetric_gaussian(samples)
    for found, expected in zip(asymmetric_gaussian(-samples), (shape, -mean, right, left), strict=True):
        np.testing.assert_allclose(found, expected)


def test_asymmetric_fit_of_one_side() -> None:
    shape, mean, left, right = asymmetric_gaussian(np.random.default_rng(0).exponential(2, (1, 300, 300)))
    assert left[0] == 0
    np.testing.assert_allclose((shape[0], mean[0], right[0]), (1, 2, 2), rtol=0.03)


def test_contrast_is_the_slow_loops() -> None:
    plane = PICTURES[0].astype(np.float64)
    fast = contrast_normalised(plane)
    for row, column in ((3, 3), (50, 71), (200, 333), (380, 476)):
        assert fast[row, column] == pytest.approx(slow_contrast(plane, row, column), abs=1e-3)


def test_contrast_of_what_is_flat_is_0_exactly() -> None:
    plane = np.full((40, 40), 201.25)
    plane[:, 20:] = 17
    contrast = contrast_normalised(plane)
    assert not contrast[:, :17].any()
    assert not contrast[:, 23:].any()
    assert contrast[:, 17:23].all()


def test_one_row_for_each_whole_patch() -> None:
    picture = PICTURES[0][: 2 * PATCH + 95, : 3 * PATCH + 1]
    statistics = scene_statistics(picture)
    assert statistics.shape == (6, FEATURES)
    np.testing.assert_array_equal(statistics, scene_statistics(picture[: 2 * PATCH, : 3 * PATCH]))


def test_rows_go_by_place() -> None:
    picture = np.full((2 * PATCH, 3 * PATCH), 90, np.uint8)
    picture[PATCH + 10 : -10, PATCH + 10 : -PATCH - 10] = PICTURES[0][: PATCH - 20, : PATCH - 20]
    assert scene_statistics(picture)[:, 1].nonzero()[0].tolist() == [4]


def test_picture_smaller_than_a_patch_has_none() -> None:
    assert scene_statistics(np.zeros((PATCH - 1, 500), np.uint8)).shape == (0, FEATURES)


def test_a_transposed_picture_swaps_across_and_down() -> None:
    """Of each product's four, those of right and below change places; below left is the same pairs of samples."""
    picture = PICTURES[0][:PATCH, :PATCH]
    upright, lying = scene_statistics(picture)[0], scene_statistics(picture.T)[0]
    for start in (0, 18):
        order = start + np.array([0, 1, *range(6, 10), *range(2, 6), *range(10, 18)])
        np.testing.assert_allclose(lying[start : start + 18], upright[order], rtol=1e-9)


@pytest.mark.parametrize("value", [0, 77, 255])
def test_flat_picture_is_the_limit_of_peaked_ones(value: int) -> None:
    flat = scene_statistics(np.full((PATCH, 2 * PATCH), value, np.uint8))
    peaked = [0.2, 0] + 4 * [0.2, 0, 0, 0]
    np.testing.assert_array_equal(flat, [peaked + peaked] * 2)


def test_one_odd_sample_in_a_flat_picture_is_finite() -> None:
    picture = np.full((PATCH, PATCH), 128, np.uint8)
    picture[40, 40] = 129
    assert np.isfinite(scene_statistics(picture)).all()


def test_distance_from_flat_pictures_is_finite() -> None:
    flat = scene_statistics(np.full((2 * PATCH, PATCH), 50, np.uint8))
    assert 0 < frechet_distance(flat, ORIGINALS) < math.inf
    assert 0 < frechet_distance(ORIGINALS, flat) < math.inf
    assert frechet_distance(flat, flat) == 0


def test_distance_of_the_same_pictures_is_0() -> None:
    assert frechet_distance(ORIGINALS, ORIGINALS) == pytest.approx(0, abs=1e-6)
    assert frechet_distance(ORIGINALS[::-1], ORIGINALS) == pytest.approx(0, abs=1e-6)


def test_distance_grows_with_blur() -> None:
    found = distances(*([blurred(picture, sigma) for picture in PICTURES] for sigma in (0.4, 0.7, 1, 2)))
    assert found == sorted(found)
    assert found[0] > 0.1


def test_distance_grows_with_blocks() -> None:
    found = distances(*([blocky(picture, share) for picture in PICTURES] for share in (0.2, 0.4, 0.6, 0.8)))
    assert found == sorted(found)
    assert found[0] > 0.1


def test_distance_grows_with_compression() -> None:
    found = distances(*([compressed(picture, quality) for picture in PICTURES] for quality in (90, 40, 20, 10)))
    assert found == sorted(found)


def test_other_pictures_of_the_kind_are_nearer_than_a_slight_blur() -> None:
    """The distance is of distributions: it asks for texture of the right kind, not for the same texture."""
    others, blur = distances([textured(seed) for seed in (7, 8, 9)], [blurred(p, 0.7) for p in PICTURES])
    assert others < blur


def test_distance_of_two_gaussians_by_hand() -> None:
    """In one dimension it is the squared difference of the means and of the deviations, here in units of b's."""
    a, b = np.array([[9.0], [13.0]]), np.array([[10.0], [11.0]])
    assert frechet_distance(a, b) == pytest.approx(((10.5 - 11) ** 2 + (0.5 - 2) ** 2) / 0.5**2)


def test_one_odd_patch_does_not_decide() -> None:
    odd = np.concatenate([np.tile(ORIGINALS, (10, 1)), ORIGINALS.mean(axis=0)[None] + 1e6])
    assert frechet_distance(odd, ORIGINALS) < 5


def test_distance_sees_correlation() -> None:
    """Of unit variances with correlation r against none: 4 - 2 (sqrt(1 + r) + sqrt(1 - r))."""
    b = np.random.default_rng(0).normal(size=(100_000, 2))
    a = np.stack([b[:, 0], 0.8 * b[:, 0] + 0.6 * b[:, 1]], axis=1)
    assert frechet_distance(a, b) == pytest.approx(4 - 2 * (math.sqrt(1.8) + math.sqrt(0.2)), rel=0.03)


def test_distance_is_symmetric_where_the_units_are_the_same() -> None:
    rng = np.random.default_rng(0)
    mixed = rng.normal(size=(500, 4)) @ rng.normal(size=(4, 4))
    mixed, plain = mixed / mixed.std(axis=0), rng.normal(size=(300, 4))
    plain /= plain.std(axis=0)
    assert frechet_distance(mixed + 0.3, plain) == pytest.approx(frechet_distance(plain, mixed + 0.3))


def test_distance_knows_no_units() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.gamma(2, 1, (80, 5)), rng.normal(size=(60, 5))
    units = np.array([1e-3, 1, 50, 2, 1e4])
    assert frechet_distance(a * units + units, b * units + units) == pytest.approx(frechet_distance(a, b))


@pytest.mark.parametrize("samples", [1, 2, 10])
def test_distance_of_few_samples(samples: int) -> None:
    few = ORIGINALS[:samples]
    assert frechet_distance(few, few) == pytest.approx(0, abs=1e-5)
    assert 0 < frechet_distance(few, ORIGINALS) < math.inf


def test_distance_of_nothing_is_an_error() -> None:
    with pytest.raises(ValueError, match="smaller than a patch"):
        frechet_distance(scene_statistics(np.zeros((8, 8), np.uint8)), ORIGINALS)
