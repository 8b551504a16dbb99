"""What drifts is told from what stands still with noise of any kind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from mjpeg_restore.jpeg.tables import scaled_tables
from mjpeg_restore.runtime.cpu.activity import Activity
from mjpeg_restore.runtime.cpu.drift import DRIFTING, Drift, lag_for, trust
from mjpeg_restore.runtime.cpu.state import ComponentState, take_still
from tests.lacking import needs_native_state

pytestmark = needs_native_state

HIGH, WIDE = 24, 32
Scene = Callable[[int], NDArray[np.float64]]
"""The coefficients of a frame by its number, without noise, `[HIGH, WIDE, 64]`."""


def coefficients(seed: int) -> NDArray[np.float64]:
    """As a picture has them: few are large."""
    return np.random.default_rng(seed).laplace(0, 40 / (1 + np.arange(64) / 4), (HIGH, WIDE, 64))


def still(number: int) -> NDArray[np.float64]:
    return coefficients(1)


def creeping(number: int) -> NDArray[np.float64]:
    """Each coefficient changes by a hundredth of a difference between pictures in each frame."""
    return coefficients(1) + number / 100 * (coefficients(2) - coefficients(1))


def other_each_time(number: int) -> NDArray[np.float64]:
    return coefficients(number)


def half_creeping(number: int) -> NDArray[np.float64]:
    scene = still(number)
    scene[:, WIDE // 2 :] = creeping(number)[:, WIDE // 2 :]
    return scene


class Noise:
    """A sensor's, of 2 grey levels, of which a share is left from the frame before.

    Attributes:
        lasting: the share, 0..1.
    """

    def __init__(self, lasting: float = 0.0) -> None:
        self.lasting = lasting
        self._random = np.random.default_rng(3)
        self._last = self._drawn()

    def _drawn(self) -> NDArray[np.float64]:
        return self._random.normal(0, 2, (HIGH, WIDE, 64))

    def __call__(self) -> NDArray[np.float64]:
        self._last = self.lasting * self._last + (1 - self.lasting**2) ** 0.5 * self._drawn()
        return self._last


def correlations(
    scene: Scene, step: int, noise: Callable[[], NDArray[np.float64]], frames: int = 24, lag: int = 1
) -> list[NDArray[np.floating]]:
    """Those of each frame, of blocks that all agree with the state, one for the whole picture."""
    table, drift = np.full(64, step, np.uint16), Drift((HIGH, WIDE), lambda values: values.mean(keepdims=True))
    state, agrees = ComponentState.empty(HIGH, WIDE), np.ones((HIGH, WIDE), np.bool_)
    found: list[NDArray[np.floating]] = []
    for number in range(frames):
        frame = np.rint((scene(number) + noise()) / table).astype(np.int16)
        found.append(drift.follow(frame, table, state, lag))
        take_still(frame, table, state, agrees, state, 0)
    return found


@pytest.mark.parametrize("lag", [1, 3])
@pytest.mark.parametrize("step", [12, 30, 40])
def test_innovations_of_a_still_scene_have_nothing_in_common(step: int, lag: int) -> None:
    found = correlations(still, step, Noise(), lag=lag)
    assert found[0] == 0
    # Of what is beyond half a step some always has, where noise carries a coefficient across a bound.
    assert np.max(np.abs(found[3:])) < 0.15
    assert (trust(np.array(found)) == 1).all()


@pytest.mark.parametrize("lag", [1, 3])
@pytest.mark.parametrize("step", [12, 30, 40])
def test_innovations_of_a_scene_that_creeps_agree(step: int, lag: int) -> None:
    assert np.min(correlations(creeping, step, Noise(), lag=lag)[-4:]) > DRIFTING


def test_noise_that_lasts_has_less_in_common_with_that_of_a_few_frames_before() -> None:
    together, apart = (
        np.mean(correlations(still, 12, Noise(0.8), 40, lag)[8:]) for lag in (1, lag_for(np.full(64, 12, np.uint16)))
    )
    assert apart < 0.6 * together


@pytest.mark.parametrize(("quality", "lag"), [(10, 1), (22, 1), (36, 1), (37, 3), (50, 3), (60, 3), (61, 0), (90, 0)])
def test_frames_are_compared_across_as_many_as_their_steps_hide(quality: int, lag: int) -> None:
    assert lag_for(scaled_tables(quality)[0].ravel()) == lag


def test_where_steps_change_frames_that_were_not_followed_tell_nothing() -> None:
    table, drift = np.full(64, 30, np.uint16), Drift((HIGH, WIDE), lambda values: values.mean(keepdims=True))
    state, agrees, noise = ComponentState.empty(HIGH, WIDE), np.ones((HIGH, WIDE), np.bool_), Noise()
    found: list[float] = []
    for number, lag in enumerate([1] * 12 + [3] * 12 + [1] * 12):
        frame = np.rint((creeping(number) + noise()) / table).astype(np.int16)
        found.append(float(drift.follow(frame, table, state, lag).max()))
        take_still(frame, table, state, agrees, state, 0)
    assert found[12] < found[11] and found[13] < found[12]
    assert min(found[23], found[35]) > DRIFTING


def test_another_picture_in_each_frame_is_no_drift() -> None:
    assert np.max(correlations(other_each_time, 12, Noise())[3:]) < DRIFTING / 2


def test_noise_that_lasts_is_no_drift_where_steps_are_fine() -> None:
    table, activity, noise = np.full(64, 4, np.uint16), Activity([(HIGH, WIDE)]), Noise(0.8)
    state = ComponentState.empty(HIGH, WIDE)
    for number in range(30):
        frame = np.rint((still(number) + noise()) / table).astype(np.int16)
        activity.choose([(frame, table)], [state])
        assert activity.doubt([state])[0] is state
        take_still(frame, table, state, np.ones((HIGH, WIDE), np.bool_), state, 0)
        activity.learn([np.ones((HIGH, WIDE), np.float32)])


def test_frames_that_come_again_are_no_drift() -> None:
    noise, last = Noise(), np.zeros(0)

    def repeated(number: int) -> NDArray[np.float64]:
        nonlocal last
        if number % 3 == 0:
            last = still(number) + noise()
        seen = last.copy()
        seen[0, :8] = coefficients(number)[0, :8]  # a clock
        return seen

    found = correlations(repeated, 30, lambda: np.zeros((HIGH, WIDE, 64)), 60)
    assert np.max(found) < DRIFTING
    assert found[31] == found[32] == 0


def test_what_creeps_in_high_frequencies_alone_does_not_come_again() -> None:
    noise = Noise()

    def high(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.where(np.arange(64) < 32, 0, values)

    seen = correlations(lambda number: 4 * high(creeping(number)), 30, lambda: high(noise()), 30)
    assert np.median(seen[-1]) > DRIFTING


def test_coefficients_may_lie_anywhere_in_memory() -> None:
    table, random = np.full(64, 30, np.uint16), np.random.default_rng(1)
    state = ComponentState.empty(HIGH, WIDE)
    state.evidence[:] = 1
    followed = [Drift((HIGH, WIDE), lambda values: values) for _ in range(2)]
    for _ in range(3):
        frame = random.integers(-2, 3, (HIGH, WIDE, 64)).astype(np.int16)
        apart = np.asfortranarray(frame)
        found = [one.follow(values, table, state, 1) for one, values in zip(followed, (frame, apart), strict=True)]
        np.testing.assert_array_equal(found[0], found[1])


def test_trust_falls_with_the_correlation() -> None:
    np.testing.assert_allclose(trust(np.array([-1, 0, 0.15, 0.2, 0.6, 1])), [1, 1, 1, 0.95, 0.55, 0.15])


@pytest.mark.parametrize("step", [30, 40])
def test_what_drifts_is_computed_and_trusts_its_past_less(step: int) -> None:
    grids = [(HIGH, WIDE), (HIGH // 2, WIDE // 2), (HIGH // 2, WIDE // 2)]
    table, activity, noise = np.full(64, step, np.uint16), Activity(grids), Noise()
    states = [ComponentState.empty(*grid) for grid in grids]
    computed: list[NDArray[np.bool_]] = []
    for number in range(30):
        luma = np.rint((half_creeping(number) + noise()) / table).astype(np.int16)
        frame = [(luma, table), *[(np.zeros((*grid, 64), np.int16), table) for grid in grids[1:]]]
        computed.append(activity.choose(frame, states))
        seen = activity.doubt(states)
        if number > 20:
            for before, held in zip(states, seen, strict=True):
                less = held.evidence < before.evidence
                middle = less.shape[1] // 2
                assert less[:, middle + 2 :].mean() > 0.5
                assert less[:, : middle - 4].mean() < 0.1
        for (quantised, _), state in zip(frame, seen, strict=True):
            take_still(quantised, table, state, np.ones(state.mean.shape[:2], np.bool_), state, 0)
        activity.learn([np.ones(grid, np.float32) for grid in grids])
        states = [replace(state, evidence=state.evidence.copy()) for state in seen]
    shares = np.mean(computed[20:], axis=0)
    middle = WIDE // 4
    assert shares[:, middle + 1 :].mean() > 0.5
    assert shares[:, : middle - 2].mean() < 0.1


def test_the_states_of_a_still_scene_are_not_copied() -> None:
    table, activity, noise = np.full(64, 12, np.uint16), Activity([(HIGH, WIDE)]), Noise()
    state = ComponentState.empty(HIGH, WIDE)
    for number in range(6):
        frame = np.rint((still(number) + noise()) / table).astype(np.int16)
        activity.choose([(frame, table)], [state])
        (seen,) = activity.doubt([state])
        assert seen is state
        take_still(frame, table, state, np.ones((HIGH, WIDE), np.bool_), state, 0)
        activity.learn([np.ones((HIGH, WIDE), np.float32)])


def drifting() -> Activity:
    """Of a picture that drifts everywhere."""
    grids = [(HIGH, WIDE), (HIGH // 2, WIDE // 2), (HIGH // 2, WIDE // 2)]
    table, activity, noise = np.full(64, 30, np.uint16), Activity(grids), Noise()
    states = [ComponentState.empty(*grid) for grid in grids]
    for number in range(20):
        luma = np.rint((creeping(number) + noise()) / table).astype(np.int16)
        frame = [(luma, table), *[(np.zeros((*grid, 64), np.int16), table) for grid in grids[1:]]]
        activity.choose(frame, states)
        for (quantised, _), state in zip(frame, states, strict=True):
            take_still(quantised, table, state, np.ones(state.mean.shape[:2], np.bool_), state, 0)
        activity.learn([np.ones(grid, np.float32) for grid in grids])
    return activity


def test_what_is_doubted_is_the_state_that_is_given_whatever_was_doubted_before() -> None:
    random, grids = np.random.default_rng(1), [(HIGH, WIDE), (HIGH // 2, WIDE // 2), (HIGH // 2, WIDE // 2)]
    several = [[ComponentState.empty(*grid) for grid in grids] for _ in range(3)]
    for states in several:
        for state in states:
            state.evidence[:] = random.uniform(0.1, 1, state.evidence.shape)
    again, places = drifting(), list[list[int]]()
    for states in several:
        alone, held = drifting().doubt(states), again.doubt(states)
        places.append([one.evidence.ctypes.data for one in held])
        assert not any(np.shares_memory(one.evidence, other.evidence) for one, other in pairwise(held))
        for known, one, other in zip(states, alone, held, strict=True):
            assert (one.evidence < known.evidence).mean() > 0.5
            np.testing.assert_array_equal(one.evidence, other.evidence)
    assert places[0] == places[1] == places[2]
