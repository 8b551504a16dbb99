"""A picture that loses its contrast, and what only looks like it."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from mjpeg_restore.runtime.cpu.contrast import Contrast

SCATTER = 0.25
SHAPE = 24, 32

Sums = tuple[NDArray[np.float32], NDArray[np.float32]]


def sums(
    share: float, seed: int, *, each: int = 10, shape: tuple[int, int] = SHAPE, sigma: float = 0.0
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Of a frame with such a share of its means' contrast, of which each block has so many that are clear. Noise
    carries them into the next cell as often as not, or as far as this, in steps."""
    random = np.random.default_rng(seed)
    means = random.uniform(0.75, 4, (*shape, each))
    dither = random.normal(0, sigma, means.shape) if sigma else random.uniform(-0.5, 0.5, means.shape)
    shown = np.rint(share * means + dither)
    return (means * shown).sum(2).astype(np.float32), np.square(means).sum(2).astype(np.float32)


@pytest.mark.parametrize(("shape", "each"), [((1, 1), 1), ((1, 1), 10), ((3, 5), 1), ((3, 5), 10), (SHAPE, 10)])
@pytest.mark.parametrize("sigma", [0.0, 0.3, 1.0, 2.0, 4.0])
def test_what_noise_does_is_no_loss(shape: tuple[int, int], each: int, sigma: float) -> None:
    contrast, scatter = Contrast(), max(SCATTER, sigma**2 + 1 / 12)
    fades = [
        contrast.follow(*sums(1.0, seed, each=each, shape=shape, sigma=sigma), scatter, lit=False)
        for seed in range(400)
    ]
    assert np.mean(fades) < 0.01


@pytest.mark.parametrize("share", [0.8, 0.9])
def test_the_more_is_lost_and_the_longer_the_less_holds(share: float) -> None:
    contrast = Contrast()
    trust: list[float] = []
    for lost in (0.0, 0.02, 0.02):
        assert contrast.follow(*sums(share - lost, 1), SCATTER, lit=False)
        trust.append(contrast.trust)
    assert 1 > trust[0] > trust[1] == trust[2] >= 0
    assert not contrast.follow(*sums(1.0, 1), SCATTER, lit=False)
    assert contrast.trust == 1
    assert contrast.follow(*sums(share, 1), SCATTER, lit=False)
    assert contrast.trust == trust[0]


def test_what_a_part_of_the_picture_loses_is_its_own() -> None:
    shown, clear = sums(1.0, 2)
    shown[:, :12] *= 0.3
    contrast = Contrast()
    assert not contrast.follow(shown, clear, SCATTER, lit=False)
    shown[:, 12:24] *= 0.7
    assert contrast.follow(shown, clear, SCATTER, lit=False)


def test_a_picture_without_details_has_none_to_lose() -> None:
    contrast = Contrast()
    assert not contrast.follow(np.zeros(SHAPE, np.float32), np.zeros(SHAPE, np.float32), SCATTER, lit=False)
    assert contrast.trust == 1


def test_light_that_fades_takes_details_with_it_for_some_frames() -> None:
    contrast = Contrast()
    faded, black = sums(0.8, 2), sums(0.4, 2)
    assert not contrast.follow(*faded, SCATTER, lit=True)
    assert contrast.follow(*black, SCATTER, lit=True)
    assert not any(contrast.follow(*faded, SCATTER, lit=False) for _ in range(7))
    assert contrast.follow(*faded, SCATTER, lit=False)
