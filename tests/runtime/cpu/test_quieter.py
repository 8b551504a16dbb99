"""What a camera's noise leaves in the means of its frames, once frames have far less of it."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from mjpeg_restore.jpeg.tables import scaled_tables
from mjpeg_restore.runtime.cpu.activity import Activity
from mjpeg_restore.runtime.cpu.history import FORGOTTEN
from mjpeg_restore.runtime.cpu.noise_limits import Limits
from mjpeg_restore.runtime.cpu.quieter import Quieter, Seen, is_blank
from mjpeg_restore.runtime.cpu.state import ComponentState, observation, take_still
from tests.lacking import needs_native_state

pytestmark = needs_native_state

HIGH, WIDE = 24, 32
FLAT = np.s_[:, : WIDE // 2]
"""Blocks without any detail; the others have much of it."""
ALL = np.ones((HIGH, WIDE), np.bool_)


class Scene:
    """A still scene, half of which is flat, as a camera codes it, and the means of its frames."""

    def __init__(self, table: NDArray[np.uint16], seed: int = 1) -> None:
        self.random, self.table = np.random.default_rng(seed), table
        self.scene = self.random.laplace(0, 60 / (1 + np.arange(64) / 8), (HIGH, WIDE, 64))
        self.scene[FLAT][..., 1:] = 0
        self.state, self.number = ComponentState.empty(HIGH, WIDE), 0

    def frame(self, noise: float) -> NDArray[np.int16]:
        """The next frame, with noise of this deviation; after it, it is part of the means."""
        seen = self.scene + self.random.normal(0, noise, self.scene.shape)
        return np.rint(seen / self.table).astype(np.int16)

    def take(self, coefficients: NDArray[np.int16]) -> None:
        """Take a frame into the means."""
        after = self.state.following()
        take_still(coefficients, self.table, self.state, ALL, after, self.number)
        self.state, self.number = after, self.number + 1

    def follow(self, quieter: Quieter, noise: float, known: float, seen: Seen | None) -> NDArray[np.bool_] | None:
        """What is new in the next frame, which is then taken into the means."""
        coefficients = self.frame(noise)
        new, _ = quieter.follow(coefficients, self.table, self.state, ALL, known, seen)
        self.take(coefficients)
        return new


def table_of(step: int) -> NDArray[np.uint16]:
    return np.full(64, step, np.uint16)


def assert_flat(new: NDArray[np.bool_] | None) -> None:
    assert new is not None
    assert new[FLAT].mean() > 0.9
    assert new[:, WIDE // 2 :].mean() < 0.1


def test_what_is_flat_is_new_when_the_noise_has_fallen() -> None:
    scene, quieter = Scene(table_of(24)), Quieter()
    for _ in range(12):
        assert scene.follow(quieter, 11.0, 121.0, Seen(118.0, 4.0)) is None
    coefficients = scene.frame(2.0)
    new, noise = quieter.follow(coefficients, scene.table, scene.state, ALL, 121.0, Seen(9.0, 2.0))
    assert_flat(new)
    assert noise == 9.0


@pytest.mark.parametrize("seen", [Seen(31.0, 0.1), Seen(9.0, 11.0), Seen(60.0, 1.0)])
def test_noise_that_may_be_as_it_was_has_not_fallen(seen: Seen) -> None:
    scene, quieter = Scene(table_of(10)), Quieter()
    for _ in range(12):
        scene.follow(quieter, 11.0, 121.0, None)
    assert quieter.follow(scene.frame(11.0), scene.table, scene.state, ALL, 121.0, seen) == (None, 121.0)


def test_coarse_steps_tell_it_by_what_stays_in_its_cell() -> None:
    scene, quieter = Scene(table_of(50)), Quieter()
    for _ in range(20):
        assert scene.follow(quieter, 12.0, 1.0, None) is None
    rumour = np.abs(scene.state.mean[FLAT][..., 1:]).astype(float).mean()
    assert rumour > 0.5  # of noise
    assert_flat(scene.follow(quieter, 2.0, 1.0, None))
    for _ in range(FORGOTTEN - 1):  # what is left in the others is no sign of another fall
        assert scene.follow(quieter, 2.0, 1.0, None) is None


@pytest.mark.parametrize("steps", [(20, 60), (60, 20)])
def test_means_of_other_steps_tell_nothing(steps: tuple[int, int]) -> None:
    before, after = map(table_of, steps)
    scene, quieter = Scene(before), Quieter()
    for _ in range(20):
        assert scene.follow(quieter, 2.0, 1.0, None) is None
    scene.table = after
    assert all(scene.follow(quieter, 2.0, 1.0, None) is None for _ in range(100))


@pytest.mark.parametrize("step", [30, 50, 120])
@pytest.mark.parametrize("noise", [0.0, 1.0, 4.0, 16.0])
def test_steady_noise_never_falls(step: int, noise: float) -> None:
    scene, quieter = Scene(table_of(step), seed=step), Quieter()
    assert all(scene.follow(quieter, noise, 1.0, None) is None for _ in range(200))


def test_where_nothing_agrees_nothing_is_told() -> None:
    scene, quieter = Scene(table_of(50)), Quieter()
    for _ in range(20):
        scene.follow(quieter, 16.0, 1.0, None)
    found = quieter.follow(scene.frame(2.0), scene.table, scene.state, ~ALL, 1.0, None)
    assert found == (None, 1.0)


def test_a_camera_that_becomes_grey_has_no_colour_left() -> None:
    scene, grey = Scene(table_of(20)), np.zeros((HIGH, WIDE, 64), np.int16)
    assert not is_blank(grey, scene.table, scene.state)  # as it may have been before
    frame = scene.frame(1.0)
    scene.take(frame)
    assert not is_blank(frame, scene.table, scene.state)
    assert is_blank(grey, scene.table, scene.state)
    assert not is_blank(grey, table_of(2000), scene.state)  # whose steps are too coarse for any colour


def test_a_camera_that_had_hardly_any_colour_may_lose_it() -> None:
    scene, frame = Scene(table_of(20)), np.zeros((HIGH, WIDE, 64), np.int16)
    frame[0, :, 0] = 100
    scene.take(frame)
    assert not is_blank(np.zeros_like(frame), scene.table, scene.state)


def test_colour_that_is_lost_has_no_past_in_whatever_light() -> None:
    table, random = table_of(30), np.random.default_rng(3)
    scene, activity = Scene(table), Activity([(HIGH, WIDE)] * 2)
    colour = random.normal(0, 80, (HIGH, WIDE, 64))
    states = [scene.state, ComponentState.empty(HIGH, WIDE)]
    for number in range(12):
        seen = (scene.scene + 200) * (0.7 if number == 11 else 1.0), colour * (number < 11)
        frame = [(np.rint(one / table).astype(np.int16), table) for one in seen]
        states = activity.lit(frame, states)
        cells = activity.choose(frame, states)
        doubted = activity.doubt(states)
        activity.learn([np.ones((HIGH, WIDE), np.float32) * (one.evidence[..., 0] > 0) for one in states])
        if number == 11:
            assert cells.all()
            assert not doubted[1].evidence.any()
            assert states[1].evidence.any()
        for (coefficients, _), state in zip(frame, states, strict=True):
            take_still(coefficients, table, state, ALL, state, number)


@pytest.mark.parametrize(("quality", "believed"), [(20, 1.0), (50, 1.0), (80, 1.0), (80, 0.0)])
def test_the_past_of_what_is_flat_counts_nothing_then(quality: int, believed: float) -> None:
    # Where the gate believes nothing, as it may while noise is strong, no block tells how strong it is.
    table = scaled_tables(quality)[0].reshape(64).astype(np.uint16)
    scene, activity = Scene(table), Activity([(HIGH, WIDE)])
    for number in range(24):
        noise = 12.0 if number < 20 else 1.5
        coefficients = scene.frame(noise)
        before = activity.lit([(coefficients, table)], [scene.state])
        cells = activity.choose([(coefficients, table)], before)
        seen = activity.doubt(before)[0].evidence
        activity.learn([np.float32(believed) * (scene.state.evidence[..., 0] > 0)])
        if number == 20:
            # Alone, but for a block that happens to have been quiet.
            assert cells[:, : WIDE // 4].mean() > 0.9
            assert (seen[FLAT] == 0).all(axis=2).mean() > 0.8
            assert seen[:, WIDE // 2 :].mean() > 5 * observation(table).mean()
        elif number > 4 and believed:
            assert (seen[FLAT] > 0).mean() > 0.9
        scene.state = ComponentState(scene.state.mean, seen.copy(), scene.state.correction)
        scene.take(coefficients)


def test_motion_that_ends_is_no_noise_that_falls() -> None:
    table = scaled_tables(50)[0].reshape(64).astype(np.uint16)
    scene, activity = Scene(table), Activity([(HIGH, WIDE)])
    still, moves = ALL.astype(np.float32), np.s_[:, WIDE * 5 // 8 :]
    still[moves] = 0
    for number in range(24):
        if 8 <= number < 20:
            scene.scene[moves] += scene.random.normal(0, 12, scene.scene[moves].shape)
        coefficients = scene.frame(1.5)
        before = activity.lit([(coefficients, table)], [scene.state])
        activity.choose([(coefficients, table)], before)
        seen = activity.doubt(before)[0].evidence
        activity.learn([still * (scene.state.evidence[..., 0] > 0)])
        if number > 4:
            assert (seen[FLAT] > 0).mean() > 0.9
        scene.state = ComponentState(scene.state.mean, seen.copy(), scene.state.correction)
        scene.take(coefficients)


def test_what_moves_without_a_rest_is_no_noise_however_little_is_left_of_it() -> None:
    table = scaled_tables(50)[0].reshape(64).astype(np.uint16)
    scene, limits, still = Scene(table), Limits(), np.zeros((HIGH, WIDE), np.bool_)
    for number in range(30):
        size = 60 if number < 15 else 20
        scene.scene = scene.random.laplace(0, size / (1 + np.arange(64) / 8), scene.scene.shape)
        coefficients = scene.frame(1.0)
        limits.moved(coefficients, table, scene.state, steady=True)
        limits.learn(still, ALL)
        assert limits.begun is None
        scene.take(coefficients)
