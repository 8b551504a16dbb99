"""The native functions of a camera's state agree with the formulas, and hold whatever they are given."""

from __future__ import annotations

import gc
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from mjpeg_restore.jpeg.dct import to_coefficients
from mjpeg_restore.jpeg.tables import scaled_tables
from mjpeg_restore.runtime.cpu import state as module
from mjpeg_restore.runtime.cpu.history import History, before_finer
from mjpeg_restore.runtime.cpu.projection import CELL, CHROMA_CONFIDENCE, LUMA_CONFIDENCE, SAMPLE_SCALE
from mjpeg_restore.runtime.cpu.state import (
    DEVIATION_GAIN,
    HOLD,
    LEAST,
    LONGEST,
    MOST_HELD,
    SENSOR,
    UNKNOWN,
    Compared,
    ComponentState,
    Telling,
    compare,
    doubted,
    enter,
    innovate,
    observation,
    observe,
    restore,
    restore_still,
    stray,
    take,
    take_still,
)
from mjpeg_restore.verification import ROUNDING
from tests import state_formulas as formulas
from tests.lacking import needs_native_state

pytestmark = needs_native_state

native: Any = module.native
"""The extension, for calls with wrong buffers."""

SINGLE = 2.0**-21
"""Share of the largest number in a sum that a few roundings of float32 make."""
HALF = 2.0**-11
"""Share of a number that a rounding to float16 makes."""
QUANTILE = 2.0**-15
"""Steps by which two of Newton's steps miss a quantile of the noise."""
SHIFTS = -4 * SINGLE, 4 * SINGLE
"""Float32 may take a mean that is a whole number of steps for more or less, and so for one of a cell's edges or the
other."""
TINY = 2.0**-25
"""Half of float16's least number."""


@pytest.fixture(params=[16, 8, 4], autouse=True)
def lanes(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run each test with AVX-512, if the CPU has it, with AVX2, and without."""
    for function in (compare, stray, innovate, doubted, observe, take, enter, restore, take_still, restore_still):
        assert function.__kwdefaults__
        monkeypatch.setitem(function.__kwdefaults__, "lanes", request.param)


def keep(
    coefficients: NDArray[np.int16],
    table: NDArray[np.uint16],
    state: ComponentState,
    agrees: NDArray[np.bool_],
    plane: NDArray[np.uint8],
    noise: float = SENSOR,
    mean_tells: Telling = Telling.NONE,
    frame: int = 0,
) -> None:
    """Take blocks that agree into the state, in place, and restore them."""
    before = copy_of(state)
    take_still(coefficients, table, before, agrees, state, frame)
    restore_still(coefficients, table, before, state, agrees, plane, noise, mean_tells, frame)


Case = tuple[NDArray[np.int16], NDArray[np.uint16], ComponentState]


def camera(high: int, wide: int, seed: int) -> Case:
    """A frame, its table, and a state that is near to it or unknown, as a camera has them."""
    random = np.random.default_rng(seed)
    table = random.integers(1, 60, 64).astype(np.uint16)
    coefficients = random.integers(-2, 3, (high, wide, 64)) * random.integers(0, 2, (high, wide, 64))
    coefficients[..., 0] = random.integers(-1000, 1000, (high, wide)) // table[0]
    mean = (coefficients + random.normal(0, 0.7, coefficients.shape)) * table * 16
    evidence = observation(table) * random.choice([0, 0.3, 1, 5, 32], coefficients.shape)
    evidence[random.random((high, wide)) < 0.2] = 0
    correction = random.integers(-60, 61, coefficients.shape)
    kept = ComponentState(mean.round().astype(np.int16), evidence.astype(np.float16), correction.astype(np.int16))
    return coefficients.astype(np.int16), table, kept


def extreme(high: int, wide: int, seed: int) -> Case:
    """The largest and the smallest that each array can hold."""
    random = np.random.default_rng(seed)
    size = high, wide, 64
    wide_range = np.array([-32768, -32767, -2048, -1, 0, 1, 1023, 32767], np.int16)
    known = np.array([0, 2.0**-24, LEAST / 2, LEAST, 0.5, 12 / 13 * LONGEST], np.float16)
    kept = ComponentState(random.choice(wide_range, size), random.choice(known, size), random.choice(wide_range, size))
    return random.choice(wide_range, size), random.choice(np.array([1, 2, 443, 65535], np.uint16), 64), kept


cases = st.builds(
    lambda make, high, wide, seed: make(high, wide, seed),
    st.sampled_from([camera, extreme]),
    *(st.integers(1, 5),) * 2,
    st.integers(0, 10_000),
)


def copy_of(state: ComponentState) -> ComponentState:
    return ComponentState(state.mean.copy(), state.evidence.copy(), state.correction.copy())


def largest(coefficients: NDArray[np.int16], table: NDArray[np.uint16], state: ComponentState) -> NDArray[np.float64]:
    """The largest number that stands in a coefficient's formula, in grey levels: rounding is a share of it."""
    known = np.abs(formulas.means(state)) + np.abs(formulas.corrections(state))
    return np.abs(coefficients * table.astype(float)) + known + table.astype(float)


def halves(*shape: int) -> NDArray[np.float16]:
    return np.full(shape, np.nan, np.float16)


def assert_half(found: NDArray[np.float16], wanted: NDArray[np.float64], single: Any = 0.0) -> None:
    """Float16, rounded to the nearest, of what float32 computes within `single`."""
    assert (np.abs(found.astype(float) - wanted) <= np.abs(wanted) * (HALF + SINGLE) + TINY + single).all()


@given(st.integers(0, 1000))
def test_the_evidence_of_a_frame(seed: int) -> None:
    table = np.random.default_rng(seed).choice(np.array([1, 2, 7, 16, 100, 442, 444, 65535], np.uint16), 64)
    found = observation(table)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, formulas.observation(table), rtol=1e-6)
    assert found.min() >= LEAST
    assert (found.astype(np.float16) > 0).all()


@given(cases)
def test_what_the_gate_sees(case: Case) -> None:
    coefficients, table, state = case
    deviation, share = halves(*coefficients.shape), halves(*coefficients.shape)
    before = copy_of(state)
    observe(*case, deviation, share)
    away, past = formulas.observed(*case)
    assert_half(share, past)
    assert_half(deviation, away, SINGLE * largest(*case) / table)
    assert (deviation[state.evidence == 0] == 0).all()
    assert_unchanged(state, before)


def assert_unchanged(state: ComponentState, before: ComponentState) -> None:
    for name in ("mean", "evidence", "correction"):
        np.testing.assert_array_equal(getattr(state, name), getattr(before, name))


def assert_remembered(found: ComponentState, case: Case, believed: Any) -> None:
    """Mean and evidence are those after the frame, in units of memory."""
    mean, evidence, _ = formulas.remembered(*case, believed)
    error = 0.5 + 16 * SINGLE * largest(*case)
    assert (np.abs(found.mean - formulas.in_memory(mean)) <= error).all()
    assert_half(found.evidence, evidence)


@given(cases, st.integers(0, 1000))
@settings(max_examples=60)
def test_taking_a_frame(case: Case, seed: int) -> None:
    coefficients, table, before = case
    random = np.random.default_rng(seed)
    believed = random.choice(np.array([0, 2.0**-24, 0.1, 0.5, 0.98, 1]), coefficients.shape).astype(np.float16)
    state = copy_of(before)
    found = ComponentState(*take(coefficients, table, state, believed), state.correction)
    assert_remembered(found, case, believed.astype(float))
    assert_unchanged(state, before)


@given(cases, st.booleans())
@settings(max_examples=60)
def test_what_the_network_sees(case: Case, has_level: bool) -> None:
    coefficients, table, state = case
    high, wide, _ = coefficients.shape
    before = copy_of(state)
    share, level = halves(*coefficients.shape), halves(*coefficients.shape)
    samples, left = np.full((2, 8 * high, 8 * wide), np.nan, np.float32)
    known = state.mean, state.evidence
    enter(coefficients, table, *known, samples, left, share=share, level=level if has_level else None)
    assert_unchanged(state, before)
    assert_half(share, formulas.share(table, state.evidence), SINGLE)
    mean, size = formulas.means(state), largest(*case)
    if has_level:
        assert_half(level, (mean / table).clip(-1, 1), SINGLE * size / table)
    else:
        assert np.isnan(level).all()
    error = SINGLE * np.kron(size.sum(axis=2), np.ones((8, 8)))
    assert (np.abs(samples - formulas.network_input(mean)) <= error / SAMPLE_SCALE).all()
    deviation = coefficients * table.astype(float) - mean
    assert (np.abs(left - formulas.network_left(deviation)) <= error * DEVIATION_GAIN / SAMPLE_SCALE).all()


@given(cases)
@settings(max_examples=30)
def test_without_a_past_the_network_sees_the_frame(case: Case) -> None:
    coefficients, table, _ = case
    most = 2047 // table.astype(int)  # as far as a mean reaches
    coefficients = np.clip(coefficients, -most, most).astype(np.int16)
    nothing = ComponentState.empty(*coefficients.shape[:2])
    found = take(coefficients, table, nothing, np.ones(coefficients.shape, np.float16))
    high, wide, _ = coefficients.shape
    share, samples, left = halves(high, wide, 64), *np.empty((2, 8 * high, 8 * wide), np.float32)
    enter(coefficients, table, *found, samples, left, share=share)
    assert not share.any() and not left.any()


Map = NDArray[np.float32]


def maps(seed: int) -> tuple[Map, Map]:
    """Of the past's share, without a bias, and of what is significant."""
    past, significance = np.random.default_rng(seed).standard_normal((2, 65, 64)).astype(np.float32)
    past[64] = 0
    return past, significance


def planes_of(high: int, wide: int, border: int = 0) -> NDArray[np.float32]:
    """Four planes that nothing has been written to: samples, what is left, the past, what is significant."""
    return np.full((4, 8 * high + 2 * border, 8 * wide + 2 * border), np.nan, np.float32)


def within(border: int) -> Any:
    """The part of planes that is not their border."""
    return (..., *(slice(border, -border or None),) * 2)


def enter_mapped(case: Case, planes: NDArray[np.float32], seed: int, **options: Any) -> None:
    """Compute all that a network may see, with maps of this seed."""
    coefficients, table, state = case
    (samples, left, past, significance), (one, other) = planes, maps(seed)
    known = state.mean, state.evidence
    enter(coefficients, table, *known, samples, left, past=(one, past), significance=(other, significance), **options)


@given(cases, st.integers(0, 1000), st.integers(0, 8))
@settings(max_examples=60)
def test_maps_of_what_is_known_enter_the_network(case: Case, seed: int, border: int) -> None:
    coefficients, table, state = case
    high, wide, _ = coefficients.shape
    before, planes = copy_of(state), planes_of(high, wide, border)
    enter_mapped(case, planes, seed, border=border)
    assert_unchanged(state, before)
    mean = formulas.means(state)
    share, size = formulas.share(table, state.evidence), np.abs(mean / table).clip(max=1)
    for found, given_map, numbers, error in (
        (planes[2], maps(seed)[0], share, np.full_like(share, SINGLE)),
        (planes[3], maps(seed)[1], size, SINGLE * largest(*case) / table),
    ):
        weight, bias = given_map[:64].T, given_map[64]
        wanted = formulas.mapped(numbers, weight, bias)
        # 64 products and a bias, each of which is rounded at most once when it is made and 64 times in the sum.
        rounding = formulas.mapped(numbers, np.abs(weight), np.abs(bias)) * 65 * 2.0**-24
        apart = formulas.mapped(error, np.abs(weight)) + rounding
        assert (np.abs(found[within(border)] - wanted) <= 1.01 * apart).all()


@given(cases, st.integers(0, 1000), st.integers(1, 8))
@settings(max_examples=30)
def test_a_border_is_left_alone_and_changes_nothing(case: Case, seed: int, border: int) -> None:
    high, wide, _ = case[0].shape
    plain, planes = planes_of(high, wide), planes_of(high, wide, border)
    enter_mapped(case, plain, seed)
    enter_mapped(case, planes, seed, border=border)
    np.testing.assert_array_equal(planes[within(border)], plain)
    planes[within(border)] = np.nan
    assert np.isnan(planes).all()


@given(cases, st.integers(0, 1000), st.integers(0, 2))
@settings(max_examples=30)
def test_blocks_that_are_not_wanted_are_left_alone(case: Case, seed: int, border: int) -> None:
    high, wide, _ = case[0].shape
    wanted = np.random.default_rng(seed).random((high, wide)) < 0.5
    planes, some = planes_of(high, wide, border), planes_of(high, wide, border)
    share, level, some_share, some_level = halves(4, high, wide, 64)
    enter_mapped(case, planes, seed, share=share, level=level, border=border)
    enter_mapped(case, some, seed, share=some_share, level=some_level, wanted=wanted, border=border)
    shown = np.kron(wanted, np.ones((8, 8), np.bool_))
    np.testing.assert_array_equal(some[within(border)], np.where(shown, planes[within(border)], np.float32(np.nan)))
    for found, all_ in ((some_share, share), (some_level, level)):
        np.testing.assert_array_equal(found[wanted], all_[wanted])
        assert np.isnan(found[~wanted]).all()
    enter_mapped(case, some, seed, wanted=~wanted, border=border)
    np.testing.assert_array_equal(some, planes)


def phases_of(high: int, wide: int, seed: int, spread: float) -> NDArray[np.float16]:
    return (np.random.default_rng(seed).standard_normal((16, 2 * high, 2 * wide)) * spread).astype(np.float16)


def assert_shown(
    plane: NDArray[np.uint8], between: Sequence[formulas.Blocks], case: Case, where: NDArray[np.bool_] | None = None
) -> None:
    """The samples of restored coefficients that are between these, to the nearest: of some blocks, or of all."""
    apart = np.abs(between[-1] - between[0]) + QUANTILE
    error = np.kron((SINGLE * largest(*case) + apart * case[1]).sum(axis=2), np.ones((8, 8)))
    near = np.abs(plane - formulas.shown(between[0], case[1])) <= 0.501 + error
    assert near[... if where is None else np.kron(where, np.ones((8, 8), np.bool_))].all()


def drifted(state: ComponentState, seed: int) -> ComponentState:
    """The state with another mean, as it may have been a frame earlier."""
    drift = np.random.default_rng(seed).integers(-40, 41, state.mean.shape)
    return ComponentState((state.mean + drift).clip(-32768, 32767).astype(np.int16), state.evidence, state.correction)


def earlier(before: ComponentState, after: ComponentState, table: NDArray[np.uint16]) -> formulas.Blocks:
    """What was restored before, in steps beyond the new mean."""
    return (formulas.means(before) + formulas.corrections(before) - formulas.means(after)) / table


@given(
    cases,
    st.sampled_from([0.0, 1e-3, 0.1, 3.0]),
    st.integers(0, 1000),
    st.booleans(),
    st.sampled_from([0.0, 0.05, 1.0, 100.0]),
    st.sampled_from(Telling),
)
@settings(max_examples=100)
def test_restoring_a_frame_that_was_taken(
    case: Case, spread: float, seed: int, chroma: bool, noise: float, mean_tells: Telling
) -> None:
    coefficients, table, known = case
    high, wide, _ = coefficients.shape
    phases, state, before = phases_of(high, wide, seed, spread), copy_of(known), drifted(known, seed)
    random = np.random.default_rng(seed)
    past = random.choice([0, 2.0**-9, 0.3, 31 / 32], coefficients.shape)
    known.evidence[:] = state.evidence[:] = observation(table) / (1 - past)
    share, wanted = formulas.share(table, known.evidence), random.random((high, wide)) < 0.8
    state.changed = random.random((high, wide)) < 0.5 if seed % 3 else None
    confidence = CHROMA_CONFIDENCE if chroma else LUMA_CONFIDENCE
    plane = restore(phases, coefficients, table, before.mean, state, wanted, confidence, noise, mean_tells)
    assert (plane.dtype, plane.shape) == (np.uint8, (8 * high, 8 * wide))
    np.testing.assert_array_equal(state.correction[~wanted], known.correction[~wanted])
    np.testing.assert_array_equal(state.mean, known.mean)
    np.testing.assert_array_equal(state.evidence, known.evidence)
    added, level = formulas.residual(phases, table, confidence), formulas.means(known) / table
    last = earlier(before, known, table)
    beside = formulas.Known(table, known.evidence, noise, mean_tells, state.changed)
    mixed = [formulas.mixed(coefficients, beside, level, added, last, share, shift) for shift in SHIFTS]
    kept = [formulas.kept(coefficients, beside, one, share) * table - formulas.means(known) for one in mixed]
    assert_corrected(state, kept, case, wanted)
    assert_shown(plane, [formulas.in_cell(coefficients, one) for one in mixed], case, wanted)


@given(cases, st.integers(1, 4), st.integers(0, 1000), st.sampled_from(Telling))
@settings(max_examples=40)
def test_the_phases_of_several_components_side_by_side_are_those_of_each(
    case: Case, groups: int, seed: int, mean_tells: Telling
) -> None:
    coefficients, table, known = case
    high, wide, _ = coefficients.shape
    each = [phases_of(high, wide, seed + group, 0.5) for group in range(groups)]
    together = np.ascontiguousarray(np.stack(each).transpose(2, 3, 0, 1))
    wanted = np.random.default_rng(seed).random((high, wide)) < 0.6
    frame, how = (coefficients, table, drifted(known, seed).mean), (wanted, LUMA_CONFIDENCE, 1.0, mean_tells)
    for group, phases in enumerate(each):
        state, same = copy_of(known), copy_of(known)
        planes = np.full((2, 8 * high, 8 * wide), 77, np.uint8)
        restore(phases, *frame, state, *how, planes[0])
        restore(together, *frame, same, *how, planes[1], groups=groups, group=group)
        np.testing.assert_array_equal(planes[0], planes[1])
        np.testing.assert_array_equal(state.correction, same.correction)
        assert (planes[0][~np.kron(wanted, np.ones((8, 8), np.bool_))] == 77).all()


def test_without_noise_what_is_shown_is_kept() -> None:
    # Although the network's part lies far outside of the cells, and what was restored before too.
    coefficients, table, state = camera(2, 3, 5)
    state.mean[..., 0] = coefficients[..., 0] * table[0] * 16 // 4  # samples far from black and white
    coefficients[..., 0] //= 4
    state.evidence[:] = 32 * observation(table)
    everywhere = np.ones((2, 3), np.bool_)
    plane = restore(phases_of(2, 3, 0, 3.0), coefficients, table, state.mean, state, everywhere, LUMA_CONFIDENCE)
    kept = formulas.shown((formulas.means(state) + formulas.corrections(state)) / table, table)
    assert np.abs(plane - kept).max() < 1  # which 64 roundings to memory make, and one to a sample


def assert_corrected(
    state: ComponentState, wanted: Sequence[formulas.Blocks], case: Case, where: NDArray[np.bool_] | None = None
) -> None:
    """The corrections are between these, in grey levels, as far as memory and float32 hold them: likewise."""
    error = 0.501 + 16 * SINGLE * largest(*case) + 16 * QUANTILE * case[1]
    blocks = ... if where is None else where
    assert (state.correction >= formulas.in_memory(np.min(wanted, axis=0)) - error)[blocks].all()
    assert (state.correction <= formulas.in_memory(np.max(wanted, axis=0)) + error)[blocks].all()


@pytest.mark.parametrize(
    ("frames", "step", "wanted"),
    [(0, 1000, 0), (1, 1000, 0), (2, 1000, 1), (1e4, 500, 80), (1e4, 16, 76), (1e4, 2, 16)],
)
def test_what_was_restored_before_lasts_where_the_past_is_believed_and_steps_are_coarse(
    frames: float, step: int, wanted: float
) -> None:
    # The network adds nothing. Of a step of 16, 0.955 of the variance is the quantiser's: 16^2 / 12 of that and 1.
    # With one of 2 the cell ends before. All but one of the frames in the mean are the past's.
    coefficients, state = np.zeros((2, 3, 64), np.int16), ComponentState.empty(2, 3)
    state.correction[:] = 80
    table, everywhere = np.full(64, step, np.uint16), np.ones((2, 3), np.bool_)
    state.evidence[:] = frames * observation(table)
    restore(phases_of(2, 3, 0, 0.0), coefficients, table, state.mean, state, everywhere, LUMA_CONFIDENCE)
    np.testing.assert_array_equal(state.correction, wanted)


@given(cases, st.integers(0, 1000))
@settings(max_examples=30)
def test_what_was_restored_before_is_nothing_where_nothing_of_the_past_is_believed(case: Case, seed: int) -> None:
    coefficients, table, before = case
    high, wide, _ = coefficients.shape
    state, other = copy_of(before), copy_of(before)
    other.correction[:] = np.random.default_rng(seed).integers(-32768, 32768, coefficients.shape)
    state.evidence[:] = other.evidence[:] = observation(table)
    everywhere, phases = np.ones((high, wide), np.bool_), phases_of(high, wide, seed, 0.1)
    plane, same = (
        restore(phases, coefficients, table, drifted(one, seed).mean, one, everywhere, LUMA_CONFIDENCE)
        for one in (state, other)
    )
    np.testing.assert_array_equal(plane, same)
    np.testing.assert_array_equal(state.correction, other.correction)


@given(cases, st.integers(0, 1000))
def test_taking_blocks_that_agree(case: Case, seed: int) -> None:
    coefficients, table, before = case
    frame = seed * 10_000
    agrees = np.random.default_rng(seed).random(coefficients.shape[:2]) < 0.7
    known, after = copy_of(before), before.following()
    after.mean[:], after.evidence[:] = 7, 7
    take_still(coefficients, table, before, agrees, after, frame)
    assert_unchanged(before, known)
    assert after.correction is before.correction
    assert (after.mean[~agrees] == 7).all() and (after.evidence[~agrees] == 7).all()
    mean, evidence, _ = formulas.remembered(coefficients, table, before, 1)
    mean += formulas.dither(frame) * formulas.UNIT
    error = 0.5 + 16 * SINGLE * largest(*case)
    assert (np.abs(after.mean - formulas.in_memory(mean)) <= error)[agrees].all()
    assert_half(after.evidence[agrees], evidence[agrees])


@given(cases, st.sampled_from([0.0, 1e-12, 0.05, 1.0, 100.0]), st.sampled_from(Telling), st.integers(0, 1000))
def test_restoring_blocks_that_agree(case: Case, noise: float, mean_tells: Telling, seed: int) -> None:
    frame = seed * 10_000  # any number: a stream may last
    coefficients, table, known = case
    high, wide, _ = coefficients.shape
    random = np.random.default_rng(seed)
    agrees = random.random((high, wide)) < 0.7
    state, before, plane = copy_of(known), drifted(known, seed), np.full((8 * high, 8 * wide), 77, np.uint8)
    state.changed = random.random((high, wide)) < 0.5 if seed % 3 else None
    restore_still(coefficients, table, before, state, agrees, plane, noise, mean_tells, frame)
    np.testing.assert_array_equal(state.mean, known.mean)
    np.testing.assert_array_equal(state.evidence, known.evidence)
    np.testing.assert_array_equal(state.correction[~agrees], known.correction[~agrees])
    shown = np.kron(agrees, np.ones((8, 8))) > 0
    assert (plane[~shown] == 77).all()
    beside = formulas.Known(table, known.evidence, noise, mean_tells, state.changed)
    kept = [formulas.held(coefficients, before, known, beside, shift) for shift in SHIFTS]
    moved = [one * table - formulas.means(known) + formulas.dither(frame) * formulas.UNIT for one in kept]
    state.correction[~agrees] = formulas.in_memory(moved[0])[~agrees].round()
    assert_corrected(state, moved, case)
    restored = [formulas.in_cell(coefficients, one) for one in kept]
    plane[~shown] = formulas.shown(restored[0], table)[~shown].round()
    assert_shown(plane, restored, case)


@given(cases, st.sampled_from([0.0, 0.05, 1.0, 100.0]), st.integers(0, 1000))
def test_samples_stay_as_they_were_shown_where_no_coefficient_leaves_its_cell(
    case: Case, noise: float, seed: int
) -> None:
    coefficients, table, known = case
    high, wide, _ = coefficients.shape
    random, everywhere = np.random.default_rng(seed), np.ones((high, wide), np.bool_)

    def restored(plane_before: NDArray[np.uint8] | None) -> NDArray[np.uint8]:
        plane = np.empty((8 * high, 8 * wide), np.uint8)
        restore_still(
            coefficients, table, known, copy_of(known), everywhere, plane, noise, Telling.NONE, seed, plane_before
        )
        return plane

    nearest = restored(None)
    shift = random.choice([-2, -1, 0, 1, 2], (high, wide)).repeat(8, 0).repeat(8, 1)  # the worst of all for the DC
    before = (nearest + np.where(random.random(nearest.shape) < 0.9, shift, 0)).clip(0, 255).astype(np.uint8)
    found = restored(before)
    held = found != nearest
    assert (found == before)[held].all() and (np.abs(found.astype(int) - nearest) <= 1).all()
    # A sample between two whole numbers is one or the other in any case.
    assert noise or held.mean() < 0.01
    unrounded = formulas.in_cell(
        coefficients, formulas.held(coefficients, known, known, formulas.Known(table, known.evidence, noise))
    )
    most = 0.5 + min(HOLD * noise**0.5, MOST_HELD)
    exact = formulas.shown(unrounded, table)
    near = np.abs(exact - before) <= most - 0.01
    blocks = (np.abs(to_coefficients(found) - coefficients * table.astype(float)) - table / 2 - ROUNDING).max(axis=2)
    ends = ((exact < 1) | (exact > 254)).reshape(high, 8, wide, 8).any(axis=(1, 3))
    assert (blocks <= 0.02)[~ends].all()
    # Either all of a block that may stays, or none of it.
    of_block = [
        one.reshape(high, 8, wide, 8).swapaxes(1, 2).reshape(high, wide, 64) for one in (near, held, found == before)
    ]
    assert (~of_block[1].any(axis=2) | (of_block[2] | ~of_block[0]).all(axis=2)).all()


def test_what_was_shown_stays_only_within_a_level_of_what_is_kept() -> None:
    table, state = np.full(64, 16, np.uint16), ComponentState.empty(1, 1)
    coefficients, plane = np.zeros((1, 1, 64), np.int16), np.empty((8, 8), np.uint8)
    state.evidence[:], state.correction[0, 0, 0] = 8 * observation(table), 45  # 128.35
    for shown, noise, expected in [(129, 4.0, 129), (129, 0.09, 128), (127, 4.0, 128), (128, 4.0, 128)]:
        before = np.full((8, 8), shown, np.uint8)
        arguments = np.ones((1, 1), np.bool_), plane, noise, Telling.NONE, 0, before
        restore_still(coefficients, table, state, copy_of(state), *arguments)
        assert (plane == expected).all(), shown
    # All samples of a block, 0.7 levels from where they should be, are 5.6 levels of its DC coefficient.
    fine, before = np.full(64, 6, np.uint16), np.full((8, 8), 129, np.uint8)
    state.correction[0, 0, 0] = 38  # 128.3, in the cell of 0, from whose middle 129 is 8 levels
    for steps, expected in [(table, 129), (fine, 128)]:
        arguments = np.ones((1, 1), np.bool_), plane, 4.0, Telling.NONE, 0, before
        restore_still(coefficients, steps, state, copy_of(state), *arguments)
        assert (plane == expected).all()


def test_what_was_restored_stays_where_the_mean_moves_within_the_cells() -> None:
    # A still scene: each frame moves the mean, and what was restored lies in the cell of all of them.
    random, table = np.random.default_rng(3), np.full(64, 40, np.uint16)
    state, agrees, plane = ComponentState.empty(2, 3), np.ones((2, 3), np.bool_), np.empty((16, 24), np.uint8)
    state.correction[:] = 19 * 16  # near the edge between the cells of 0 and 1
    first = np.zeros((2, 3, 64), np.int16)
    keep(first, table, state, agrees, plane, 0.0)
    shown = plane.copy()
    for _ in range(10):
        coefficients = random.integers(0, 2, first.shape).astype(np.int16)
        before = state.mean.copy()
        keep(coefficients, table, state, agrees, plane, 0.0)
        assert not np.array_equal(state.mean, before)
        restored = state.mean / 16 + state.correction / 16
        assert (np.abs(restored - 20) < 1.1).all()  # at the edge of the one cell or of the other
    assert np.abs(plane.astype(int) - shown).max() <= 9


def test_what_passed_leaves_no_texture_behind() -> None:
    # The gate has kept a part of a frame that showed something else: a mean of 20 frames lies at 0.06 steps, where
    # noise of a grey level would carry a coefficient only from the bound of its cell.
    table, agrees, plane = np.full(64, 190, np.uint16), np.ones((2, 2), np.bool_), np.empty((16, 16), np.uint8)
    state = ComponentState.empty(2, 2)
    state.mean[:], state.evidence[:] = 0.06 * 190 / formulas.UNIT, 20 * observation(table)
    state.changed = np.array([[True, True], [False, False]])
    nothing = np.zeros(state.mean.shape, np.int16)
    for _ in range(30):
        keep(nothing, table, state, agrees, plane, 1.0, Telling.ALL)
    kept = (formulas.means(state) + formulas.corrections(state)) / table
    assert np.abs(kept[0]).max() < 0.1  # it fades, as the mean does
    assert kept[1].min() > 0.4  # one that always showed the same must lie there


def test_noise_of_many_fine_steps_does_not_move_what_was_restored() -> None:
    table, truth, deviation = np.full(64, 4, np.uint16), 21.5, 4.0
    agrees, plane = np.ones((6, 8), np.bool_), np.empty((48, 64), np.uint8)
    errors: dict[float, float] = {}
    for noise in (0.05, deviation**2):
        random, state = np.random.default_rng(3), ComponentState.empty(6, 8)
        state.mean[:], state.evidence[:] = truth * 16, 16 * observation(table)
        for _ in range(30):
            seen = random.normal(truth, deviation, (6, 8, 64))
            keep(np.rint(seen / table).astype(np.int16), table, state, agrees, plane, noise)
        kept = formulas.means(state) + formulas.corrections(state)
        errors[noise] = float(np.sqrt(((kept - truth) ** 2).mean()))
    known, unknown = errors[deviation**2], errors[0.05]
    # The mean of 32 frames by itself is wrong by 4 / sqrt(32), and a frame by 4.
    assert known < 2 * 4 / 32**0.5 < unknown < 4


STEPS_AND_NOISE = [(2, 0.25), (4, 1.0), (4, 4.0), (6, 1.0), (10, 4.0), (10, 16.0), (20, 4.0), (30, 0.25), (40, 16.0)]


@pytest.mark.parametrize(("step", "noise"), STEPS_AND_NOISE)
def test_a_still_scene_is_known_as_well_after_many_frames(step: int, noise: float) -> None:
    random, table = np.random.default_rng(7), np.full(64, step, np.uint16)
    scene = random.uniform(-2, 2, (6, 8, 64)) * step
    agrees, plane, state = np.ones((6, 8), np.bool_), np.empty((48, 64), np.uint8), ComponentState.empty(6, 8)
    exact, errors = np.zeros(scene.shape), dict[str, list[formulas.Blocks]](early=[], late=[], exact=[])
    for number in range(600):
        seen = np.rint((scene + random.normal(0, noise**0.5, scene.shape)) / table).astype(np.int16)
        keep(seen, table, state, agrees, plane, noise, Telling.NONE, number)
        exact = formulas.likelier(seen, formulas.Known(table, state.evidence, noise), exact)
        kept = formulas.means(state) + formulas.corrections(state)
        if 32 <= number < 100:
            errors["early"].append(kept - scene)
        if number >= 532:
            errors["late"].append(kept - scene)
            errors["exact"].append(exact * table - scene)
    early, late, best = (float(np.sqrt(np.square(part).mean())) for part in errors.values())
    assert late < 1.05 * early
    # Rounding to memory costs little: dither differs from frame to frame.
    assert late < 1.1 * best + 0.02


@pytest.mark.parametrize(("step", "noise"), STEPS_AND_NOISE)
def test_the_mean_of_frames_with_one_table_tells_more_than_the_last_cell(step: int, noise: float) -> None:
    random, table = np.random.default_rng(7), np.full(64, step, np.uint16)
    scene = random.uniform(-2, 2, (6, 8, 64)) * step
    agrees, plane, errors = np.ones((6, 8), np.bool_), np.empty((48, 64), np.uint8), list[dict[int, float]]()
    for mean_tells in (Telling.NONE, Telling.ALL):
        state, random = ComponentState.empty(6, 8), np.random.default_rng(3)
        error: dict[int, float] = {}
        for number in range(1, 201):
            seen = np.rint((scene + random.normal(0, noise**0.5, scene.shape)) / table).astype(np.int16)
            keep(seen, table, state, agrees, plane, noise, mean_tells, number)
            error[number] = float(np.square(formulas.means(state) + formulas.corrections(state) - scene).mean())
        errors.append(error)
    by_cell, by_mean = errors
    worse = 1.02 if noise >= SENSOR else 1.5  # weaker noise is taken for that
    assert all(by_mean[number] < worse * by_cell[number] for number in (4, 8, 16, 32, 200))
    # Noise of many steps leaves no cell to tell of, and that of few hundredths of one leaves none.
    assert by_mean[16] < 0.9 * by_cell[16] or noise < SENSOR or not 1 / 20 < noise**0.5 / step < 1 / 3


def test_what_no_frame_has_left_is_known_no_better_than_its_cell() -> None:
    # After 32 frames in one cell what is kept stays where the network put it, but near the bounds.
    table, agrees, plane = np.full(64, 20, np.uint16), np.ones((1, 1), np.bool_), np.empty((8, 8), np.uint8)
    state = ComponentState.empty(1, 1)
    places = np.linspace(-9.9, 9.9, 64)
    state.correction[:] = (places * 16).round()
    for number in range(32):
        keep(np.zeros((1, 1, 64), np.int16), table, state, agrees, plane, 1.0, Telling.ALL, number)
    kept = (formulas.means(state) + formulas.corrections(state))[0, 0]
    inner = np.abs(places) < 6
    assert np.abs(kept - places)[inner].max() <= formulas.UNIT
    assert 6 < np.abs(kept).max() < 8  # more than two deviations of the noise from a bound


def test_what_a_frame_does_not_move_stays_as_it_is() -> None:
    random, table = np.random.default_rng(9), np.full(64, 40, np.uint16)
    agrees, plane, state = np.ones((2, 3), np.bool_), np.empty((16, 24), np.uint8), ComponentState.empty(2, 3)
    state.correction[:] = random.integers(-16 * 8, 16 * 8, state.correction.shape)
    known = state.correction.copy()
    for number in range(200):
        keep(np.zeros(known.shape, np.int16), table, state, agrees, plane, 4.0, Telling.NONE, number)
    np.testing.assert_array_equal(state.correction, known)


@pytest.mark.parametrize("mean_tells", [Telling.NONE, Telling.ALL])
@pytest.mark.parametrize(
    ("place", "deviation"), [(0.0, 4.0), (0.25, 4.0), (0.4, 4.0), (0.5, 4.0), (0.4, 2.0), (0.5, 1.0), (0.25, 8.0)]
)
def test_what_is_kept_comes_to_rest_at_the_truth_where_noise_crosses_a_bound(
    place: float, deviation: float, mean_tells: Telling
) -> None:
    random, step = np.random.default_rng(8), 20
    table, agrees, plane = np.full(64, step, np.uint16), np.ones((6, 8), np.bool_), np.empty((48, 64), np.uint8)
    state, kept = ComponentState.empty(6, 8), list[formulas.Blocks]()
    state.mean[:] = 2 * step * 16 + 160  # at the cell's bound
    for number in range(400):
        seen = (2 + place) * step + random.normal(0, deviation, (6, 8, 64))
        keep(np.rint(seen / table).astype(np.int16), table, state, agrees, plane, deviation**2, mean_tells, number)
        if number >= 200:
            kept.append(formulas.means(state) + formulas.corrections(state))
    assert np.mean(kept) / step - 2 == pytest.approx(place, abs=0.05)


def test_coarse_steps_have_told_less_than_their_evidence() -> None:
    # The mean of many frames of a still scene, and how wrong it is.
    random, noise = np.random.default_rng(6), 4.0
    coarse, fine = np.full(64, 60, np.uint16), np.full(64, 12, np.uint16)
    scene = random.uniform(-300, 300, (40, 40, 64))
    agrees, state = np.ones((40, 40), np.bool_), ComponentState.empty(40, 40)
    for number in range(40):
        seen = scene + random.normal(0, noise**0.5, scene.shape)
        before = copy_of(state)
        take_still(np.rint(seen / coarse).astype(np.int16), coarse, before, agrees, state, number)
    error = np.square(formulas.means(state) - scene).mean()
    assert 1 / state.evidence.astype(float).mean() < error / 10
    history = History(coarse, noise)
    known = before_finer(state, history, fine)
    assert error / 2 < 1 / known.evidence.astype(float).mean() < error * 2
    assert known.mean is state.mean and known.correction is state.correction
    # Steps that are hardly finer change nothing; nor does what noise has told anyway.
    assert before_finer(state, history, np.full(64, 20, np.uint16)) is state
    assert before_finer(state, History(), fine) is state
    np.testing.assert_array_equal(before_finer(state, History(coarse, 900.0), fine).evidence, state.evidence)
    mixed = np.where(np.arange(64) < 32, 12, 60).astype(np.uint16)
    evidence = before_finer(state, history, mixed).evidence
    np.testing.assert_array_equal(evidence[..., :32], known.evidence[..., :32])
    np.testing.assert_array_equal(evidence[..., 32:], state.evidence[..., 32:])


@given(cases, st.sampled_from([0.05, 1.0, 100.0]))
def test_comparing_a_frame_with_its_state(case: Case, noise: float) -> None:
    coefficients, table, state = case
    before = copy_of(state)
    found = compare(*case, noise)
    distance, spread, count, of_means, common, energy, added = found
    assert all(one.dtype == np.float32 for one in found)
    assert_unchanged(state, before)
    far, wide, counts, blurred = formulas.compared(*case, noise)
    np.testing.assert_array_equal(count, counts.sum(axis=2))
    np.testing.assert_allclose(of_means, blurred.sum(axis=2), atol=1e-5 * 64)
    # A deviation is known to a share of the numbers that it is the difference of, and enters as its square.
    error = SINGLE * largest(*case)
    known, steps = state.evidence.astype(float), table.astype(float)
    growth = 1 + formulas.observation(table) / np.maximum(known, 2.0**-20)
    away = np.abs(coefficients * steps - formulas.means(state))
    variance = noise * growth + steps**2 / 12
    room = ((2 * away * error + error**2) / variance).sum(axis=2)
    seen = ~(far == UNKNOWN)
    assert (distance[~seen] == np.float32(UNKNOWN)).all()
    assert (np.abs(distance - far) <= room + 1e-5 * far)[seen].all()
    terms = ((2 * away * error + error**2) / growth + 1e-5 * (away**2 / growth + steps**2)) * counts
    assert (np.abs(spread - (wide * counts).sum(axis=2)) <= terms.sum(axis=2)).all()
    same, all_of_it, clear = formulas.in_common(*case, noise)
    level = np.abs(formulas.means(state) / steps) * clear
    # A bound may be the mean itself, but for its roundoff.
    unsure = np.isclose(np.abs(formulas.means(state)), 0.75 * steps + 3 * noise**0.5, rtol=1e-6)
    unsure = (unsure | np.isclose(known, 3.5 * formulas.observation(table), rtol=1e-6)).any(axis=2)
    room = 1e-5 * (level * np.abs(coefficients.astype(float))).sum(axis=2)
    assert (unsure | (np.abs(common - same) <= room)).all()
    assert (unsure | (np.abs(energy - all_of_it) <= 1e-5 * all_of_it)).all()
    size, faint = np.abs(formulas.means(state)), np.where(steps > max(25, 12 * noise**0.5), 0.2 * steps, 0)
    is_added = (size < faint) & (coefficients != 0) & (np.arange(64) > 0)
    unsure = np.isclose(size, faint, rtol=1e-6).any(axis=2)
    assert (unsure | (added == is_added.sum(axis=2))).all()


@given(cases, st.integers(0, 1000))
def test_how_far_means_have_strayed(case: Case, seed: int) -> None:
    random, (coefficients, table, state) = np.random.default_rng(seed), case
    before, seen = copy_of(state), random.integers(-32768, 32768, state.mean.shape, np.int16)
    wanted, was = random.random(state.mean.shape[:2]) < 0.5, seen.copy()
    distance = stray(coefficients, table, state, seen, wanted)
    assert distance.dtype == np.float32
    assert_unchanged(state, before)
    np.testing.assert_array_equal(seen, np.where(wanted[..., None], state.mean, was))
    away = (state.mean.astype(float) - was) / 16 / table
    np.testing.assert_allclose(distance, np.where(wanted, 0, np.square(away).sum(axis=2)), rtol=1e-5)


def test_a_block_that_is_not_known_is_as_far_as_can_be() -> None:
    coefficients, table, state = camera(3, 4, 1)
    state.evidence[1, 2] = 0
    assert compare(coefficients, table, state, 1.0).distance[1, 2] == np.float32(UNKNOWN)


def test_a_frame_that_is_its_mean_is_no_distance_away() -> None:
    coefficients, table, state = camera(3, 4, 2)
    coefficients[..., 0] //= 8
    state.mean[:] = 16 * (coefficients * table.astype(np.int32)).clip(-2000, 2000)
    coefficients[np.abs(coefficients * table.astype(np.int32)) > 2000] = 0
    state.mean[coefficients == 0] = 0
    state.evidence[:] = 1
    distance, spread, count, _, common, energy, _ = compare(coefficients, table, state, 1.0)
    np.testing.assert_allclose(common, energy, rtol=1e-5)
    assert (distance == 0).all()
    assert (spread[count > 0] < 0).all()  # less than the quantiser makes of any scene with noise
    assert (spread[count == 0] == 0).all()


@given(cases, st.integers(0, 1000))
def test_how_a_frames_innovations_go_with_earlier_ones(case: Case, seed: int) -> None:
    coefficients, table, state = case
    before = copy_of(state)
    earlier = np.random.default_rng(seed).integers(-127, 128, coefficients.shape).astype(np.int8)
    earlier[..., 0] = 0
    now = earlier.copy()
    products = innovate(*case, now)
    assert (products.dtype, products.shape) == (np.float32, (3, *coefficients.shape[:2]))
    assert_unchanged(state, before)
    wanted = formulas.innovations(*case)
    assert (np.abs(now - wanted * 127) <= 0.501 + 127 * SINGLE * largest(*case) / table).all()
    one, other = now / 127, earlier / 127
    pairs = np.stack([one * other, one * one, other * other]).sum(axis=3)
    np.testing.assert_allclose(products, pairs, rtol=1e-5, atol=1e-5)


def test_a_frame_within_half_a_step_of_its_means_and_light_tell_nothing_new() -> None:
    coefficients, table, state = camera(3, 4, 2)
    coefficients[..., 0] //= 4
    state.evidence[:] = 1
    state.mean[:] = np.rint((coefficients + np.random.default_rng(1).uniform(-0.45, 0.45, (3, 4, 64))) * table * 16)
    state.mean[..., 0] = 0
    innovations = np.full(coefficients.shape, 9, np.int8)
    products = innovate(coefficients, table, state, innovations)
    assert not innovations.any()
    assert not products[:2].any()
    # What is not known tells nothing either.
    state.mean[:], state.evidence[:] = 0, 0
    innovate(coefficients, table, state, innovations)
    assert not innovations.any()


def test_a_share_of_the_evidence_holds() -> None:
    _, _, state = camera(3, 4, 2)
    known, share = copy_of(state), np.ones((3, 4))
    share[1, 2], share[2, 0] = 0.25, 0.5
    held = doubted(state, share)
    assert_unchanged(state, known)
    assert held.mean is state.mean
    assert held.correction is state.correction
    assert_half(held.evidence, known.evidence * share[:, :, np.newaxis])


@pytest.mark.parametrize("step", [2, 6, 12, 30])
@pytest.mark.parametrize("noise", [4.0, 16.0, 64.0])
def test_what_frames_deviate_beyond_the_quantisers_share_is_the_noise(step: int, noise: float) -> None:
    random = np.random.default_rng(8)
    table = np.full(64, step, np.uint16)
    scene = random.uniform(-500, 500, (20, 20, 64))
    agrees, state, seen = np.ones((20, 20), np.bool_), ComponentState.empty(20, 20), list[float]()
    for number in range(60):
        frame = np.rint((scene + random.normal(0, noise**0.5, scene.shape)) / table).astype(np.int16)
        _, spread, count, *_ = compare(frame, table, state, noise)
        if number >= 30:
            seen.append(float(spread.sum() / count.sum()))
        before = copy_of(state)
        take_still(frame, table, before, agrees, state, number)
    # Where the scene does not end with a cell, more or fewer coefficients than elsewhere lie near a bound.
    assert np.mean(seen) == pytest.approx(noise, rel=0.05, abs=0.02 * step**2 / 12)


def test_coefficients_near_zero_and_with_coarse_steps_tell_nothing_of_the_noise() -> None:
    coefficients, state = np.zeros((1, 2, 64), np.int16), ComponentState.empty(1, 2)
    state.evidence[:] = 1
    state.mean[0, 0] = 16 * 41
    coarse, fine = (np.full(64, step, np.uint16) for step in (41, 40))
    for table, wanted in ((coarse, [0, 0]), (fine, [64, 0])):
        _, spread, count, *_ = compare(coefficients, table, state, 1.0)
        np.testing.assert_array_equal(count[0], wanted)
        np.testing.assert_array_equal(spread[0] > 0, np.array(wanted) > 0)


# ---- a stream of frames ----


def test_a_mean_rests_on_so_many_frames_at_most() -> None:
    random = np.random.default_rng(1)
    table = scaled_tables(50)[0].reshape(64).astype(np.uint16)
    state, agrees, plane = ComponentState.empty(2, 3), np.ones((2, 3), np.bool_), np.empty((16, 24), np.uint8)
    frames = random.integers(-3, 4, (5, 2, 3, 64)).astype(np.int16)
    for coefficients in frames:
        keep(coefficients, table, state, agrees, plane)
    steps = table.astype(float)
    np.testing.assert_allclose(state.mean / 16, frames.mean(axis=0) * steps, atol=5 * 0.5 / 16 + 0.1)
    np.testing.assert_allclose(state.evidence, np.broadcast_to(5 * observation(table), (2, 3, 64)), rtol=5 * HALF)
    for _ in range(100):
        keep(frames[0], table, state, agrees, plane)
    longest = LONGEST * observation(table)
    assert (state.evidence <= longest * (1 + HALF)).all()
    assert (state.evidence >= longest * (1 - 32 * HALF)).all()
    # Each frame is a 32nd of the mean: when that is within half a unit of memory the mean stops moving.
    assert np.abs(state.mean / 16 - frames[0] * steps).max() < 32 / 32 + 3 * steps.max() * (31 / 32) ** 100


@pytest.mark.parametrize("noise", [0.0, 64.0])
def test_what_is_shown_lies_in_the_frames_cell_and_what_is_kept_near_the_cells_of_many(noise: float) -> None:
    random = np.random.default_rng(4)
    table = np.full(64, 40, np.uint16)
    scene = random.uniform(-1, 1, (3, 4, 64)) * 40
    state, agrees, plane = ComponentState.empty(3, 4), np.ones((3, 4), np.bool_), np.empty((24, 32), np.uint8)
    # Nothing of this lies in a cell, nor does the sum of it and a mean fit in memory.
    state.mean[:], state.correction[:] = random.choice(np.array([-32768, 32767], np.int16), (2, 3, 4, 64))
    frames = ((scene + random.normal(0, 8, (200, *scene.shape))) / table).round().astype(np.int16)
    for number, coefficients in enumerate(frames):
        keep(coefficients, table, state, agrees, plane, noise)
        offsets = to_coefficients(plane) / table - coefficients
        assert np.abs(offsets).max() < 0.5 + 4 / 40  # rounding to 8 bits moves a coefficient by at most 4
        if noise:
            continue
        # Then each cell has the truth.
        sums = (formulas.means(state) + formulas.corrections(state)) / table
        assert np.abs(sums - coefficients).max() <= CELL + 1 / 16 / 40  # mean and correction are rounded
        # The mean lies between the frames, so the correction is no more than their distance and half a step.
        apart = np.ptp(frames[: number + 1], axis=0)
        assert (np.abs(formulas.corrections(state)) <= (apart + CELL) * 40 + 1 / 16).all()
    kept = formulas.means(state) + formulas.corrections(state)
    assert np.abs(kept - scene).max() < 40


def test_the_cells_of_many_frames_tell_more_than_each() -> None:
    # A still scene between the levels of its coefficients, without a network: noise moves it from cell to cell.
    random = np.random.default_rng(5)
    table = np.full(64, 40, np.uint16)
    scene = random.uniform(-1, 1, (3, 4, 64)) * 40
    state, agrees, plane = ComponentState.empty(3, 4), np.ones((3, 4), np.bool_), np.empty((24, 32), np.uint8)
    errors: list[np.float64] = []
    for _ in range(30):
        coefficients = ((scene + random.normal(0, 4, scene.shape)) / table).round().astype(np.int16)
        keep(coefficients, table, state, agrees, plane)
        errors.append(np.square(formulas.means(state) + formulas.corrections(state) - scene).mean())
    assert np.mean(errors[-5:]) < 0.8 * errors[0]


@pytest.mark.parametrize("value", [-32768, 32767])
def test_corrections_that_memory_does_not_hold_are_the_largest_that_it_does(value: int) -> None:
    # The mean is at one end of memory, and the frame far beyond the other.
    table, agrees, plane = np.full(64, 60, np.uint16), np.ones((1, 1), np.bool_), np.empty((8, 8), np.uint8)
    coefficients = np.full((1, 1, 64), -100 if value > 0 else 100, np.int16)
    most = np.full((1, 1, 64), value, np.int16)
    known = np.full(most.shape, LONGEST * observation(table)[0], np.float16)
    kept, made = (ComponentState(most.copy(), known.copy(), most.copy()) for _ in range(2))
    keep(coefficients, table, kept, agrees, plane)
    restore(phases_of(1, 1, 0, 0.1), coefficients, table, made.mean.copy(), made, agrees, LUMA_CONFIDENCE)
    for state in (kept, made):
        np.testing.assert_array_equal(state.correction, np.full(most.shape, -32768 if value > 0 else 32767))


@pytest.mark.parametrize("frequency", range(0, 64, 5))
def test_kept_blocks_do_not_leave_their_cell(frequency: int) -> None:
    random = np.random.default_rng(frequency)
    table = np.full(64, 4, np.uint16)
    table[frequency] = 300  # so coarse that rounding to 8 bits, by at most 4, hardly moves it
    coefficients = np.zeros((4, 5, 64), np.int16)
    extremes = random.choice(np.array([-32768, 32767], np.int16), (4, 5, 64))
    evidence = np.where(random.random(extremes.shape) < 0.5, 29.5, 0).astype(np.float16)
    plane = np.empty((32, 40), np.uint8)
    agrees = np.ones((4, 5), np.bool_)
    state = ComponentState(extremes.copy(), evidence, extremes.copy())
    keep(coefficients, table, state, agrees, plane)
    found = to_coefficients(plane)[..., frequency] / 300
    assert np.abs(found).max() < CELL + 4 / 300
    assert np.abs(found).max() > CELL - 4 / 300  # it reached the edge of its cell


# ---- what is no number ----

NUMBERS = [np.inf, -np.inf, np.nan, -np.nan, -1.0, -65504.0, 65504.0]


@pytest.mark.parametrize("number", NUMBERS)
def test_a_gate_that_gives_no_number_leaves_a_state_that_is_sound(number: float) -> None:
    coefficients, table, before = camera(3, 4, 3)
    mean, evidence = take(coefficients, table, before, np.full(coefficients.shape, number, np.float16))
    one = observation(table)
    assert (evidence >= one * (1 - HALF)).all()
    assert (evidence <= LONGEST * one * (1 + HALF)).all()
    # The mean lies between the frame and the past.
    seen = coefficients * table.astype(float) * 16
    low, high = np.minimum(seen, before.mean), np.maximum(seen, before.mean)
    assert (mean >= low - 1).all() and (mean <= high + 1).all()


@pytest.mark.parametrize("number", NUMBERS)
def test_evidence_that_is_no_number_enters_the_network_as_one(number: float) -> None:
    coefficients, table, state = camera(3, 4, 3)
    share, level = halves(*coefficients.shape), halves(*coefficients.shape)
    planes, state.evidence[:] = planes_of(3, 4), number
    enter_mapped((coefficients, table, state), planes, 0, share=share, level=level)
    assert (share >= 0).all() and (share <= 1).all()
    assert np.isfinite(planes).all()


@pytest.mark.parametrize("number", [np.inf, -np.inf, np.nan, -np.nan])
def test_a_network_that_gives_no_number_does_not_leave_the_cell(number: float) -> None:
    coefficients, table, state = camera(3, 4, 4)
    coefficients[..., 1:] = 0
    coefficients[..., 0] //= 4
    table[:] = 8
    phases = phases_of(3, 4, 0, 0.1)
    phases[:, 1, 2] = number
    plane = restore(phases, coefficients, table, state.mean, state, np.ones((3, 4), np.bool_), LUMA_CONFIDENCE)
    assert_within_cells(plane, coefficients, table, state)


def assert_within_cells(
    plane: NDArray[np.uint8], coefficients: NDArray[np.int16], table: NDArray[np.uint16], state: ComponentState
) -> None:
    """Samples, and the sums of means and corrections, lie in the cells of the frame's coefficients."""
    sums = formulas.means(state) + formulas.corrections(state)
    assert (np.abs(sums - coefficients * table.astype(float)) <= CELL * table + 1 / 16).all()
    offsets = to_coefficients(plane) / table - coefficients
    assert np.abs(offsets).max() < 0.5 + 4 / 8  # rounding to 8 bits moves a coefficient by at most 4


@pytest.mark.parametrize("number", NUMBERS)
def test_evidence_that_is_no_number_does_not_leave_the_cell(number: float) -> None:
    coefficients, table, state = camera(3, 4, 4)
    coefficients[..., 1:] = 0
    coefficients[..., 0] //= 4
    table[:] = 8
    state.evidence[:] = number
    everywhere = np.ones((3, 4), np.bool_)
    for correction in (-32768, 0, 32767):
        state.correction[:] = correction
        plane = restore(phases_of(3, 4, 0, 0.1), coefficients, table, state.mean, state, everywhere, LUMA_CONFIDENCE)
        assert_within_cells(plane, coefficients, table, state)


def test_evidence_that_is_no_number_is_as_much_as_there_may_be() -> None:
    coefficients, table, state = camera(2, 3, 5)
    state.evidence[:] = np.nan
    keep(coefficients, table, state, np.ones((2, 3), np.bool_), np.empty((16, 24), np.uint8))
    np.testing.assert_allclose(state.evidence, np.broadcast_to(LONGEST * observation(table), (2, 3, 64)), rtol=HALF)


@pytest.mark.parametrize("number", [1e5, 1e30, np.inf, np.nan])
def test_more_than_a_float16_holds_is_the_largest_that_it_does(number: float) -> None:
    for lanes in (16, 8, 4):
        given = arguments("take_still")
        given["observation"] = np.full(64, number, np.float32)
        call("take_still", given, lanes=lanes)
        assert (given["evidence_after"] == 65504).all()


# ---- arrays that do not fit ----


def arguments(function: str) -> dict[str, Any]:
    """Fitting buffers of a function of the extension by name, for 2 by 3 blocks."""
    coefficients, table, state = camera(2, 3, 6)
    size = coefficients.shape
    given: dict[str, Any] = {
        "coefficients": coefficients,
        "table": table.astype(np.float32),
        "observation": observation(table),
        "mean": state.mean,
    }
    samples: Any = np.empty((16, 24), np.float32)
    match function:
        case "doubt":
            given = {"evidence": state.evidence, "held": np.ones((2, 3), np.float32), "evidence_after": halves(*size)}
        case "brighten":
            given = {"coefficients": coefficients, "mean": state.mean, "light": np.ones((2, 3), np.float32)}
            given |= {"mean_after": state.mean.copy()}
        case "observe":
            given |= {"evidence": state.evidence, "deviation": halves(*size), "share": halves(*size)}
        case "take":
            given |= {"evidence": state.evidence, "believed": np.ones(size, np.float16)}
            given |= {"mean_after": state.mean.copy(), "evidence_after": state.evidence.copy()}
        case "enter":
            given |= {"evidence": state.evidence, "wanted": np.ones((2, 3), np.uint8)}
            given |= {"share": halves(*size), "level": halves(*size)}
            given |= dict(zip(("past_map", "significance_map"), maps(0), strict=True))
            given |= {name: samples.copy() for name in ("samples", "left", "past", "significance")}
        case "restore":
            given |= {"evidence": state.evidence, "mean_before": state.mean.copy()}
            given |= {"phases": phases_of(2, 3, 0, 0.1), "lasting": np.ones(64, np.float32)}
            given |= {"correction": state.correction, "wanted": np.ones((2, 3), np.uint8)}
            given |= {"changed": np.ones((2, 3), np.uint8), "plane": np.empty((16, 24), np.uint8)}
        case "take_still":
            given |= {"evidence": state.evidence, "agrees": np.ones((2, 3), np.uint8)}
            given |= {"mean_after": state.mean.copy(), "evidence_after": state.evidence.copy()}
        case "restore_still":
            given |= {"evidence": state.evidence, "mean_before": state.mean.copy(), "correction": state.correction}
            given |= {"wanted": np.ones((2, 3), np.uint8), "changed": np.ones((2, 3), np.uint8)}
            given |= {"plane": np.empty((16, 24), np.uint8), "plane_before": np.zeros((16, 24), np.uint8)}
        case "innovate":
            given |= {"evidence": state.evidence, "innovations": np.zeros(size, np.int8)}
            given |= {"products": np.empty((3, 2, 3), np.float32)}
        case "stray":
            given |= {"evidence": state.evidence, "seen": state.mean.copy(), "wanted": np.ones((2, 3), np.uint8)}
            given |= {"distance": np.empty((2, 3), np.float32)}
        case _:
            given |= {"evidence": state.evidence, "least": np.ones(64, np.float32)}
            given |= {name: np.ones(64, np.float32) for name in ("expected", "clear", "faint")}
            given |= {name: np.empty((2, 3), np.float32) for name in Compared._fields}
    return given


NUMBERS_AFTER = {
    "observe": (),
    "take": (),
    "enter": (1.0, 1.0, 0),
    "restore": (1.0, CELL, 1.0, False, 0, 0),
    "take_still": (1,),
    "restore_still": (1.0, CELL, False, 1, 0.5),
    "compare": (1.0,),
    "stray": (),
    "innovate": (),
    "doubt": (),
    "brighten": (0.1, 0.1, 1.0, 1.0, 1.0),
}
"""What each function takes after buffers, size and lanes."""
BUFFERS = [(function, name) for function in NUMBERS_AFTER for name in arguments(function)]
WRITTEN = {
    "observe": ["deviation", "share"],
    "take": ["mean_after", "evidence_after"],
    "enter": ["share", "level", "samples", "left", "past", "significance"],
    "restore": ["correction", "plane"],
    "take_still": ["mean_after", "evidence_after"],
    "restore_still": ["correction", "plane"],
    "compare": [*Compared._fields],
    "stray": ["seen", "distance"],
    "innovate": ["innovations", "products"],
    "doubt": ["evidence_after"],
    "brighten": ["mean_after"],
}


OPTIONAL = {
    ("enter", "wanted"),
    ("enter", "share"),
    ("enter", "level"),
    ("restore", "changed"),
    ("restore_still", "changed"),
    ("restore_still", "plane_before"),
}
"""What may be None by itself."""
MAPS = {"past_map": "past", "significance_map": "significance"}
"""What may be None with its plane."""


def call(
    function: str, given: dict[str, Any], *, size: tuple[Any, Any] = (2, 3), lanes: Any = 8, numbers: Any = None
) -> None:
    after = NUMBERS_AFTER[function] if numbers is None else numbers
    getattr(native, function)(*given.values(), *size, lanes, *after)


@pytest.mark.parametrize("function", NUMBERS_AFTER)
def test_fitting_buffers_are_accepted(function: str) -> None:
    given = arguments(function)
    call(function, given)
    for optional in ([name] for of, name in OPTIONAL if of == function):
        call(function, given | dict.fromkeys(optional))
    for pair in MAPS.items() if function == "enter" else ():
        call(function, given | dict.fromkeys(pair))


@pytest.mark.parametrize(("function", "wrong"), BUFFERS)
@pytest.mark.parametrize("more", [-1, 1])
def test_buffers_of_another_size_are_refused(function: str, wrong: str, more: int) -> None:
    given = {name: bytearray(array.tobytes()) for name, array in arguments(function).items()}
    size = len(given[wrong])
    given[wrong] = bytearray(size + more)
    with pytest.raises(ValueError, match=f"^{wrong}: {size + more} bytes, not {size}$"):
        call(function, given)
    assert_released(given)


def assert_released(given: dict[str, Any]) -> None:
    """Nobody holds a buffer: a bytearray that is lent cannot grow."""
    for buffer in given.values():
        if isinstance(buffer, bytearray):
            buffer.append(0)


@pytest.mark.parametrize(("function", "wrong"), BUFFERS)
def test_what_is_no_buffer_is_refused(function: str, wrong: str) -> None:
    given = {name: bytearray(array.tobytes()) for name, array in arguments(function).items()}
    without_the_other = function == "enter" and wrong in {*MAPS, *MAPS.values()}
    for nothing in (7, "text") if (function, wrong) in OPTIONAL or without_the_other else (None, 7, "text"):
        with pytest.raises(TypeError):
            call(function, given | {wrong: nothing})
    if without_the_other:
        with pytest.raises(ValueError, match="a plane needs its map"):
            call(function, given | {wrong: None})
    assert_released(given)


@pytest.mark.parametrize("border", [-1, 9, 2**40, -(2**40)])
def test_a_border_that_no_plane_has_is_refused(border: int) -> None:
    given = {name: bytearray(array.tobytes()) for name, array in arguments("enter").items()}
    with pytest.raises(ValueError, match=f"^a border of {border} samples"):
        call("enter", given, numbers=(1.0, 1.0, border))
    assert_released(given)


@pytest.mark.parametrize("wrong", ["samples", "left", "past", "significance"])
def test_planes_without_their_border_are_refused(wrong: str) -> None:
    given = arguments("enter")
    bordered = {name: np.empty((18, 26), np.float32) for name in ("samples", "left", "past", "significance")}
    call("enter", given | bordered, numbers=(1.0, 1.0, 1))
    with pytest.raises(ValueError, match=f"^{wrong}: {4 * 16 * 24} bytes, not {4 * 18 * 26}$"):
        call("enter", given | bordered | {wrong: given[wrong]}, numbers=(1.0, 1.0, 1))


@pytest.mark.parametrize(
    ("groups", "group", "message"),
    [
        (-1, 0, "or -1 groups$"),
        (5, 0, "or 5 groups$"),
        (2**60, 0, "groups$"),
        (2, 2, "^there is no such group of phases$"),
        (2, -1, "^there is no such group of phases$"),
        (1, 0, f"^phases: {2 * 2 * 16 * 24} bytes, not {2 * 16 * 24}$"),
        (3, 0, f"^phases: {2 * 2 * 16 * 24} bytes, not {3 * 2 * 16 * 24}$"),
        (0, 0, f"^phases: {2 * 2 * 16 * 24} bytes, not {2 * 16 * 24}$"),
    ],
)
def test_groups_that_there_are_not_are_refused(groups: int, group: int, message: str) -> None:
    given = arguments("restore") | {"phases": halves(4, 6, 2, 16)}
    call("restore", given, numbers=(1.0, CELL, 1.0, False, 2, 1))
    given = {name: bytearray(array.tobytes()) for name, array in given.items()}
    with pytest.raises(ValueError, match=message):
        call("restore", given, numbers=(1.0, CELL, 1.0, False, groups, group))
    assert_released(given)


@pytest.mark.parametrize(("function", "wrong"), [(name, one) for name, some in WRITTEN.items() for one in some])
def test_what_is_written_is_not_read_only(function: str, wrong: str) -> None:
    given = arguments(function)
    given[wrong].flags.writeable = False
    with pytest.raises((ValueError, BufferError)):
        call(function, given)


@pytest.mark.parametrize(("function", "wrong"), BUFFERS)
def test_misaligned_memory_is_refused(function: str, wrong: str) -> None:
    given = arguments(function)
    size = given[wrong].itemsize
    if size == 1:
        return
    room = np.empty(given[wrong].nbytes + 1, np.uint8)
    given[wrong] = room[1 - room.ctypes.data % 2 :][: given[wrong].nbytes]
    assert given[wrong].ctypes.data % 2
    with pytest.raises(ValueError, match=f"^{wrong}: memory that is not aligned to {size} bytes$"):
        call(function, given)


@pytest.mark.parametrize("function", NUMBERS_AFTER)
def test_arguments_of_another_kind_are_refused(function: str) -> None:
    given = {name: bytearray(array.tobytes()) for name, array in arguments(function).items()}
    with pytest.raises(TypeError, match=f"^{function} takes [0-9]+ arguments, not 1$"):
        getattr(native, function)(next(iter(given.values())))
    for size in ((2.0, 3), (2, "3"), (None, 3)):
        with pytest.raises(TypeError):
            call(function, given, size=size)
    with pytest.raises(TypeError):
        call(function, given, lanes="8")
    if NUMBERS_AFTER[function]:
        with pytest.raises(TypeError):
            getattr(native, function)(*given.values(), 2, 3, 8, *["x"] * len(NUMBERS_AFTER[function]))
    assert_released(given)
    gc.collect()


@pytest.mark.parametrize("function", NUMBERS_AFTER)
@pytest.mark.parametrize(("high", "wide"), [(2**58, 1), (1, 2**58), (-1, 1), (0, 0), (-(2**58), 1)])
def test_impossible_sizes_are_refused(function: str, high: int, wide: int) -> None:
    with pytest.raises(ValueError, match="make no component"):
        call(function, dict.fromkeys(arguments(function), np.empty(0)), size=(high, wide))


def test_a_frame_may_be_strided_or_in_another_byte_order() -> None:
    coefficients, table, before = camera(3, 2, 7)
    agrees, expected = np.ones((3, 2), np.bool_), np.empty((24, 16), np.uint8)
    keep(coefficients, table, copy_of(before), agrees, expected)
    for other in (
        (np.repeat(coefficients, 2, axis=0)[::2], np.repeat(table, 2)[::2]),
        (coefficients.astype(coefficients.dtype.newbyteorder()), table.astype(table.dtype.newbyteorder())),
    ):
        plane: Any = np.empty((24, 16), np.uint8)
        keep(*other, copy_of(before), agrees, plane)
        np.testing.assert_array_equal(plane, expected)
