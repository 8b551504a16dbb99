"""What an exported graph keeps: the formulas of a camera's state, as tensors."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.lacking import needs

needs("torch")

import torch
from torch import Tensor

from mjpeg_restore.models.kept import Histories, Rules, systematic, telling
from mjpeg_restore.runtime.cpu import state
from mjpeg_restore.runtime.cpu.history import History, before_finer
from mjpeg_restore.runtime.cpu.state import LONGEST, UNIT, ComponentState
from tests import state_formulas as formulas


class Case(NamedTuple):
    """A frame of a component that mostly stands still, the state before it, and the evidence after it."""

    coefficients: NDArray[np.int16]
    table: NDArray[np.uint16]
    before: ComponentState
    after: NDArray[np.float16]
    history: History


@st.composite
def cases(draw: st.DrawFn) -> Case:
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    shape = draw(st.integers(1, 4)), draw(st.integers(1, 5)), 64
    table = random.integers(1, draw(st.sampled_from([4, 60, 255, 65535])) + 1, 64).astype(np.uint16)
    deviation = draw(st.sampled_from([0.0, 0.5, 4.0, 60.0]))
    scene = random.laplace(0, 60, shape)
    coefficients = np.rint((scene + random.normal(0, deviation + 1e-9, shape)) / table).astype(np.int16)
    one = formulas.observation(table)
    evidence = (one * random.uniform(0, LONGEST, (*shape[:2], 1))).astype(np.float16)
    evidence[random.random(shape[:2]) < 0.2] = 0  # nothing is known there
    before = ComponentState(
        np.rint(np.where(evidence > 0, scene, 0) / UNIT).clip(-(2**15), 2**15 - 1).astype(np.int16),
        evidence,
        np.rint(random.normal(0, 0.3, shape) * table / UNIT).clip(-(2**15), 2**15 - 1).astype(np.int16),
    )
    evidence[random.random(shape[:2]) < 0.2] = (one / 32).astype(np.float16)  # and little there
    believed = random.choice([0, 0.5, 1], (*shape[:2], draw(st.sampled_from([1, 64]))))
    after = (np.minimum(believed * evidence, (LONGEST - 1) * one) + one).astype(np.float16)
    table_before = table if draw(st.booleans()) else random.integers(1, 256, 64).astype(np.uint16)
    loudest = draw(st.sampled_from([1.0, 10.0, 30.0]))
    remaining = draw(st.sampled_from([0, 1, 2, 255]))
    known = History(table_before, draw(st.sampled_from([0.05, 1.0, 9.0])), loudest, remaining)
    return Case(coefficients, table, before, after, draw(st.sampled_from([known, History()])))


def tensor(array: NDArray[np.generic]) -> Tensor:
    """With a batch of one, in double precision: what differs from the reference is no rounding."""
    return torch.from_numpy(array.astype(np.float64))[None]


def packed(history: History) -> Tensor:
    numbers = [history.noise - state.SENSOR, history.loudest - state.SENSOR, history.remaining]
    return tensor(np.concatenate([history.table, numbers]))


@given(cases())
def test_a_graph_learns_what_the_formulas_learn(case: Case) -> None:
    k, table, before, after, history = case
    known = before.mean * UNIT, before.evidence, after
    found = telling(tensor(k), tensor(table), *map(tensor, known))
    ours = Histories.unpacked(packed(history)).following(tensor(table), *found)
    theirs = formulas.learnt(history, k, table, before, after)
    np.testing.assert_array_equal(ours.table[0], theirs.table)
    assert float(ours.noise) == pytest.approx(theirs.noise, rel=1e-5)
    assert float(ours.loudest) == pytest.approx(theirs.loudest, rel=1e-5)
    assert int(ours.remaining) == theirs.remaining
    torch.testing.assert_close(ours.packed(), packed(theirs), rtol=1e-5, atol=1e-5)


@given(cases())
def test_a_graph_trusts_coarse_steps_as_little_as_a_session_does(case: Case) -> None:
    most = Histories.unpacked(packed(case.history)).most_evidence(tensor(case.table))
    ours = tensor(case.before.evidence).minimum(most[:, None, None])
    theirs = before_finer(case.before, case.history, case.table).evidence
    torch.testing.assert_close(ours, tensor(theirs), rtol=2**-10, atol=1e-7)


@given(cases(), st.floats(-3, 3))
def test_a_graph_moves_what_it_keeps_as_the_formulas_do(case: Case, added: float) -> None:
    k, table, before, after, history = case
    one = formulas.observation(table)
    level = (before.mean * UNIT) / table
    share = np.maximum(after.astype(float) - one, 0) / after
    last = level + before.correction * UNIT / table
    known = formulas.Known(table, after, history.noise, history.mean_tells)
    (rules,) = Rules.of(tensor(table), Histories.unpacked(packed(history)))
    blocks = tensor(k), tensor(level), tensor(after), tensor(share)
    shown, kept = rules.moved(*blocks, tensor(level + added), tensor(last))
    mixed = formulas.mixed(k, known, level, np.full_like(level, added), last - level, share)
    torch.testing.assert_close(shown, tensor(mixed), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(kept, tensor(formulas.kept(k, known, mixed, share)), rtol=1e-4, atol=1e-4)


@given(cases())
def test_the_error_that_frames_have_in_common(case: Case) -> None:
    noise = torch.full((1, 1), case.history.noise, dtype=torch.float64)
    theirs = state.systematic(case.table, case.history.noise)
    torch.testing.assert_close(systematic(tensor(case.table), noise), tensor(theirs))
