"""Light that changes: by how much, and means that are brought into it."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from mjpeg_restore.runtime.cpu.light import Change, brightened, change_of_light
from mjpeg_restore.runtime.cpu.state import UNIT, ComponentState

SHAPE = 20, 30
LEVEL = 1024
"""DC coefficient of a black block, negative."""


def scene(seed: int, low: float = 20, high: float = 200) -> NDArray[np.float64]:
    """Light of blocks, in units of their DC coefficient above black, `[blocks_high, blocks_wide]`."""
    return np.random.default_rng(seed).uniform(8 * low, 8 * high, SHAPE)


def state_of(light: NDArray[np.float64]) -> ComponentState:
    """The state after many frames of it."""
    state = ComponentState.empty(*SHAPE)
    state.mean[..., 0] = np.rint((light - LEVEL) / UNIT)
    state.evidence[:] = 10
    return state


def found(seen: NDArray[np.float64], state: ComponentState, step: int, noise: float, seed: int = 0) -> float:
    """What is found in a frame of such light, with noise."""
    return change_of_light([coded(seen - LEVEL, step, noise, seed)], [state], [noise**2]).brighter


def coded(
    seen: NDArray[np.float64], step: int, noise: float, seed: int = 0
) -> tuple[NDArray[np.int16], NDArray[np.uint16]]:
    """Coefficients and table of a component that has such DC coefficients."""
    coefficients = np.zeros((*seen.shape, 64), np.int16)
    coefficients[..., 0] = np.rint((seen + np.random.default_rng(seed).normal(0, noise, seen.shape)) / step)
    return coefficients, np.full(64, step, np.uint16)


@pytest.mark.parametrize("step", [2, 8, 16, 60])
@pytest.mark.parametrize("noise", [0.5, 3.0])
@pytest.mark.parametrize("change", [-0.2, -0.01, 0.004, 0.05, 0.2])
def test_by_how_much_the_light_has_changed(change: float, noise: float, step: int) -> None:
    light = scene(1)
    # The mean of so many blocks knows the change to six times its standard error.
    error = ((step**2 / 12 + noise**2) / np.square(light).sum()) ** 0.5
    seen = found((1 + change) * light, state_of(light), step, noise)
    assert abs(seen - change) < 6 * error or (seen == 0 and abs(change) < 11 * error)


@pytest.mark.parametrize("step", [2, 16, 60])
@pytest.mark.parametrize("noise", [0.0, 1.0, 6.0])
def test_of_the_same_light_nothing_is_found(noise: float, step: int) -> None:
    light = scene(2)
    assert not any(found(light, state_of(light), step, noise, seed) for seed in range(50))


@pytest.mark.parametrize("high", [130, 60])
@pytest.mark.parametrize("step", [80, 255])
def test_what_coarse_steps_make_of_blocks_that_are_alike_is_no_light(step: int, high: float) -> None:
    light = scene(3, high - 4, high)
    assert found(light, state_of(light), step, 1.0) == 0
    chroma = np.random.default_rng(4).uniform(40, 60, (2, *SHAPE))
    frame = [coded(light - LEVEL, step, 1.0), *(coded(one, step, 1.0) for one in chroma)]
    assert not change_of_light(frame, states_of(light, *chroma), [1.0] * 3)


@pytest.mark.parametrize(("moving", "known"), [(0.3, True), (0.8, False)])
def test_what_moves_does_not_count(moving: float, known: bool) -> None:
    light = scene(3)
    seen = 1.02 * light
    moved = np.random.default_rng(4).random(SHAPE) < moving
    seen[moved] = scene(5)[moved]
    change = found(seen, state_of(light), 8, 1.0)
    assert change == pytest.approx(0.02, abs=2e-3) if known else change == 0


def test_too_much_is_another_scene_and_darkness_tells_nothing() -> None:
    light = scene(6)
    assert found(0.5 * light, state_of(light), 8, 1.0) == 0
    dark = scene(7, 0, 9)
    assert found(1.1 * dark, state_of(dark), 2, 0.2) == 0
    nothing = ComponentState.empty(*SHAPE)
    assert found(light, nothing, 8, 1.0) == 0
    assert not Change(0.0, (0.0, 0.0))


def states_of(light: NDArray[np.float64], *chroma: NDArray[np.float64]) -> list[ComponentState]:
    """The states of luma, and of chroma that has such DC coefficients."""
    found = [state_of(light)]
    for one in chroma:
        state = ComponentState.empty(*one.shape)
        state.mean[..., 0] = np.rint(one / UNIT)
        state.evidence[:] = 10
        found.append(state)
    return found


@pytest.mark.parametrize("shape", [(20, 30), (10, 15), (20, 15), (10, 30)])
@pytest.mark.parametrize("brighter", [0.0, 0.03])
@pytest.mark.parametrize("tint", [0.0, -0.02])
def test_how_the_colour_of_light_has_changed(shape: tuple[int, int], brighter: float, tint: float) -> None:
    light, random = scene(9), np.random.default_rng(10)
    around = light.reshape(shape[0], 20 // shape[0], shape[1], 30 // shape[1]).mean(axis=(1, 3))
    chroma = [random.normal(0, 100, shape) for _ in range(2)]
    states = states_of(light, *chroma)
    frame = [
        coded((1 + brighter) * light - LEVEL, 6, 1.0, 1),
        coded((1 + brighter) * chroma[0] + tint * around, 10, 1.0, 2),
        coded((1 + brighter) * chroma[1], 10, 1.0, 3),
    ]
    change = change_of_light(frame, states, [1.0] * 3)
    assert change.brighter == pytest.approx(brighter, abs=3e-4)
    assert change.tints[0] == pytest.approx(tint, abs=1e-3)
    assert change.tints[1] == 0
    assert bool(change) == bool(brighter or tint)
    for state, (coefficients, table) in zip(brightened(frame, states, [1.0] * 3, change), frame, strict=True):
        apart = state.mean[..., 0] * UNIT - coefficients[..., 0] * table[0]
        assert abs(apart.mean()) < 1 and np.abs(apart).max() < 10


def test_means_are_brought_into_another_light() -> None:
    random = np.random.default_rng(8)
    light = scene(11)
    states = states_of(light, *random.normal(0, 100, (2, *SHAPE)))
    for state in states:
        state.mean[..., 1:] = random.integers(-3000, 3000, (*SHAPE, 63))
    states[1].mean[0, 0, 0] = 32767
    before = [state.mean.copy() for state in states]
    frame = [
        coded(np.multiply(was[..., 0], 1.03 * UNIT) + one, 8, 0) for was, one in zip(before, (31, 0, 0), strict=True)
    ]
    after = brightened(frame, states, [100.0] * 3, Change(0.03, (0.01, 0.0)))
    for index, (state, was, found) in enumerate(zip(states, before, after, strict=True)):
        np.testing.assert_array_equal(state.mean, was)
        np.testing.assert_array_equal(found.mean[..., 1:], was[..., 1:])
        more = (0.03 * LEVEL, 0.01 * light, 0.0)[index]
        wanted = 1.03 * was[..., 0] + np.asarray(more) / UNIT
        assert np.abs(found.mean[..., 0] - wanted.clip(-32768, 32767)).max() <= 0.51
        assert found.evidence is state.evidence and found.correction is state.correction


@pytest.mark.parametrize("change", [-0.1, 0.1])
def test_what_does_not_take_part_stays_as_it_was(change: float) -> None:
    light = scene(12)
    light[:6] = 2040  # white
    seen = (1 + change) * light
    seen[:6] = 2040
    states, frame = [state_of(light)], [coded(seen - LEVEL, 4, 1.0)]
    found = change_of_light(frame, states, [1.0])
    assert found.brighter == pytest.approx(change, abs=2e-3)
    (after,) = brightened(frame, states, [1.0], found)
    np.testing.assert_array_equal(after.mean[:6], states[0].mean[:6])
    assert np.abs(after.mean[6:, :, 0] * UNIT - (seen - LEVEL)[6:]).max() < 5


def test_what_coarse_steps_hide_takes_part() -> None:
    light, step = scene(14), 80
    state = state_of(np.rint((light - LEVEL) / step) * step + LEVEL)  # frames that are all alike tell no more
    frame = [coded(1.04 * light - LEVEL, step, 0)]
    (after,) = brightened(frame, [state], [1.0], Change(0.04))
    assert np.all(after.mean[..., 0] > state.mean[..., 0])


@pytest.mark.parametrize("rows", [slice(0, 7), slice(9, 16), slice(14, 20)])
def test_what_moves_slowly_in_a_part_of_the_picture_is_no_light(rows: slice) -> None:
    light = scene(13)
    seen = light.copy()
    seen[rows] += 25  # less than a step
    assert found(seen, state_of(light), 60, 1.0) == 0
    assert found(light + 25 * light / light.mean(), state_of(light), 60, 1.0) != 0
