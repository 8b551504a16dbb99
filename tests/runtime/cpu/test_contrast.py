"""A picture that loses its contrast, and what only looks like it."""

from __future__ import annotations

import numpy as np
import pytest

from mjpeg_restore.runtime.cpu.contrast import Contrast


def sums(share: float, coefficients: int, seed: int) -> tuple[float, float]:
    """Of a frame with such a share of its means' contrast, whose coefficients noise carries into the next cell as often
    as not."""
    random = np.random.default_rng(seed)
    means = random.uniform(0.75, 4, coefficients)
    shown = np.floor(share * means + random.uniform(0, 1, coefficients))
    return float((means * shown).sum()), float(np.square(means).sum())


@pytest.mark.parametrize("coefficients", [1, 10, 100, 10_000])
def test_what_noise_does_is_no_loss(coefficients: int) -> None:
    contrast = Contrast()
    fades = [contrast.follow(*sums(1.0, coefficients, seed), lit=False) for seed in range(500)]
    assert np.mean(fades) < 0.01


@pytest.mark.parametrize("share", [0.6, 0.8, 0.9])
def test_the_more_is_lost_the_less_holds(share: float) -> None:
    contrast = Contrast()
    assert contrast.follow(*sums(share, 10_000, 1), lit=False)
    trusted = contrast.trust
    assert 0 <= trusted < 0.6
    assert contrast.follow(*sums(share - 0.02, 10_000, 1), lit=False)
    assert contrast.trust < trusted or trusted == 0
    assert not contrast.follow(*sums(1.0, 10_000, 1), lit=False)
    assert contrast.trust == 1


def test_a_picture_without_details_has_none_to_lose() -> None:
    contrast = Contrast()
    assert not contrast.follow(0.0, 0.0, lit=False)
    assert contrast.trust == 1


def test_light_that_fades_takes_details_with_it_for_some_frames() -> None:
    contrast = Contrast()
    faded, black = sums(0.8, 10_000, 2), sums(0.4, 10_000, 2)
    assert not contrast.follow(*faded, lit=True)
    assert contrast.follow(*black, lit=True)
    assert not any(contrast.follow(*faded, lit=False) for _ in range(7))
    assert contrast.follow(*faded, lit=False)
