from __future__ import annotations

import numpy as np
import pytest

from tests.lacking import needs

needs("torch")

import torch

from mjpeg_restore.training.clips import Odds
from mjpeg_restore.training.clips.light import gains
from mjpeg_restore.training.clips.noise import STRONGEST, sensor_noise, smoothed
from mjpeg_restore.training.clips.timing import LONGEST_DROP, LONGEST_FREEZE, capture_times, cut_frames, shown_frames

FLAT = torch.full((4, 30, 32, 32, 3), 90.0)


@pytest.mark.parametrize("correlated", [0.0, 1.0])
def test_noise_has_the_sigma_that_is_told(correlated: float) -> None:
    noise, sigma = sensor_noise(FLAT, Odds(correlated=correlated, noiseless=0.3), np.random.default_rng(0))
    measured = noise.std(dim=(0, 2, 3, 4))
    torch.testing.assert_close(measured, sigma, rtol=0.08, atol=0.01)
    assert noise.mean(dim=(0, 2, 3, 4)).abs().max() < 0.5
    assert sigma.max() > STRONGEST / 2
    assert (sigma == 0).any()


def test_the_variance_is_linear_in_the_light_and_the_mean_is_what_is_told() -> None:
    ramp = torch.linspace(0, 255, 32).expand(40, 30, 32, 32)[..., None].expand(-1, -1, -1, -1, 3)
    noise, sigma = sensor_noise(ramp, Odds(noiseless=0.0, correlated=0.0), np.random.default_rng(0))
    torch.testing.assert_close(noise.std(dim=(0, 2, 3, 4)), sigma, rtol=0.05, atol=0.01)
    variances = noise.square().mean(dim=(0, 2, 4)) / sigma[:, None] ** 2
    middle = variances[:, 14:18].mean(dim=1)
    torch.testing.assert_close(middle, torch.ones(30), rtol=0.1, atol=0)
    assert (variances[:, -4:].mean(dim=1) - variances[:, :4].mean(dim=1)).max() > 1


def test_correlated_noise_has_the_same_variance_and_smooth_neighbours() -> None:
    white = torch.randn(8, 5, 32, 32, 3, generator=torch.Generator().manual_seed(0))
    found = smoothed(white, np.random.default_rng(0))
    torch.testing.assert_close(found.std(dim=(0, 2, 3, 4)), torch.ones(5), rtol=0.05, atol=0)
    neighbours = (found[:, :, 1:] * found[:, :, :-1]).mean(dim=(0, 2, 3, 4))
    assert neighbours.min() > 0.05
    frames = (found[1:] * found[:-1]).mean(dim=(0, 2, 3, 4))
    assert frames.abs().max() < 0.05


def test_black_pictures_have_noise_too() -> None:
    noise, _ = sensor_noise(torch.zeros(2, 20, 8, 8, 3), Odds(noiseless=0.0), np.random.default_rng(0))
    assert noise.isfinite().all()


def test_light_that_does_not_change_is_exactly_one() -> None:
    times = np.repeat(np.arange(6)[:, None], 20, axis=1)
    quiet = Odds(drift=0.0, flicker=0.0, exposure=0.0)
    assert (gains(times, 8, quiet, np.random.default_rng(0)) == 1).all()
    flickers = gains(times, 8, Odds(drift=0.0, flicker=1.0, exposure=0.0), np.random.default_rng(0))
    assert flickers.shape == (6, 20, 8)
    assert (np.ptp(flickers[:, :, 0], axis=0) > 0).all()
    rolling = np.ptp(flickers, axis=2).max(axis=0) > 0
    assert rolling.any()
    assert not rolling.all()


def test_frames_are_missing_at_one_place() -> None:
    steps = np.diff(capture_times(8, 200, 1.0, np.random.default_rng(0)), axis=0)
    assert ((steps > 1).sum(axis=0) == 1).all()
    assert set(steps.max(axis=0)) == set(range(2, LONGEST_DROP + 2))
    assert (np.diff(capture_times(8, 50, 0.0, np.random.default_rng(0)), axis=0) == 1).all()


def test_frozen_frames_are_repeated_and_time_goes_on() -> None:
    shown = shown_frames(8, 200, 1.0, np.random.default_rng(0))
    places = np.arange(8)[:, None]
    assert ((shown == places) | (shown == shown[np.maximum(places - 1, 0), np.arange(200)])).all()
    assert set((shown != places).sum(axis=0)) == set(range(LONGEST_FREEZE + 1))
    assert (shown_frames(8, 50, 0.0, np.random.default_rng(0)) == places).all()


@pytest.mark.parametrize("frames", [1, 2, 12])
def test_cuts_lie_within_the_clip(frames: int) -> None:
    cuts = cut_frames(frames, 200, 1.0, np.random.default_rng(0))
    assert cuts.min() >= 1
    assert cuts.max() <= max(frames - 1, 1)
    assert (cut_frames(frames, 50, 0.0, np.random.default_rng(0)) == frames).all()
