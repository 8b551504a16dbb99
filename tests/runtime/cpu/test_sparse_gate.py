"""The gate of `stream-video` where it is wanted: the graph's own result, whatever ran before or at the same time."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from mjpeg_restore import catalogue
from mjpeg_restore.futures import INLINE
from mjpeg_restore.runtime import open_network
from mjpeg_restore.runtime.cpu import sparse, state
from mjpeg_restore.runtime.cpu.cells import blocks_of, cells_of
from mjpeg_restore.runtime.cpu.history import History
from mjpeg_restore.runtime.cpu.parts import Frame, Remembered, graph_inputs
from mjpeg_restore.runtime.cpu.sparse import Cells
from mjpeg_restore.runtime.cpu.sparse_gate import SparseGate
from mjpeg_restore.runtime.cpu.state import ComponentState
from tests.jpeg.pictures import SAMPLINGS
from tests.lacking import needs, needs_native_sparse, needs_native_state
from tests.runtime.cpu.test_sparse_network import KINDS, MODELS, multiply_as, weights
from tests.runtime.graphs import picture, with_three_tables

pytestmark = [needs_native_sparse, needs_native_state]

States = list[ComponentState]


@cache
def gate(model: str, kind: str) -> SparseGate:
    """One for all tests: none of them may depend on what another one leaves in its memory."""
    with pytest.MonkeyPatch.context() as patch:
        multiply_as(patch)
        return SparseGate(weights(model, kind))


def camera(sampling: str, size: tuple[int, int] = (136, 104), seed: int = 1) -> tuple[Frame, States]:
    """A frame, and the state before it: some blocks have no past, some a like one, and some another one."""
    inputs, random = with_three_tables(picture(sampling, size, seed, 50)), np.random.default_rng(seed)
    frame = list(zip(inputs[::2], inputs[1::2], strict=True))
    before: States = []
    for coefficients, table in frame:
        frames = random.integers(0, 20, coefficients.shape[:2])[..., np.newaxis]
        away = random.normal(0, 0.7, coefficients.shape) * random.choice([0.3, 1, 2], coefficients.shape[:2])[..., None]
        mean = np.rint((coefficients * table.astype(float) + away * table) / state.UNIT).clip(-32768, 32767)
        evidence = (frames * state.observation(table)).astype(np.float16)
        before.append(ComponentState(mean.astype(np.int16), evidence, np.zeros_like(coefficients)))
    return frame, before


def grids(frame: Frame) -> tuple[tuple[int, int], ...]:
    return tuple(coefficients.shape[:2] for coefficients, _ in frame)


def taken(gate: SparseGate, frame: Frame, before: States, cells: Cells | None = None) -> States:
    """The state after the frame, at these cells; elsewhere zeros."""
    after = [ComponentState.empty(*known.mean.shape[:2]) for known in before]
    gate.take(frame, before, after, np.ones(cells_of(grids(frame)), np.bool_) if cells is None else cells)
    return after


def of_graph(model: str, kind: str, frame: Frame, before: States) -> Remembered:
    """Mean and evidence after the frame as the graph computes them, in float32."""
    needs("onnxruntime")
    network = open_network(catalogue.find(model).variants[0].graphs[kind], "onnxruntime", 1)
    inputs = graph_inputs(frame, before, [History() for _ in frame])
    outputs: Sequence[NDArray[Any]] = network.session(INLINE).submit(inputs).result()
    states = outputs[len(frame) :]
    return [(states[4 * index], states[4 * index + 1]) for index in range(len(frame))]


@pytest.mark.parametrize("lanes", [8, 16])
@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("sampling", SAMPLINGS)
def test_it_takes_what_the_graph_does(model: str, sampling: str, lanes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    if lanes > sparse.LANES:
        pytest.skip("needs a CPU that has AVX-512 with VNNI")
    monkeypatch.setattr(sparse, "LANES", lanes)
    for function in (state.sense, state.take_judged):
        assert function.__kwdefaults__
        monkeypatch.setitem(function.__kwdefaults__, "lanes", lanes)
    multiply_as(monkeypatch)
    kind = KINDS.get(sampling, "colour")
    frame, before = camera(sampling)
    ours = taken(SparseGate(weights(model, kind)), frame, before)
    for found, (mean, evidence) in zip(ours, of_graph(model, kind, frame, before), strict=True):
        # Both add up in float32 in another order: what lies half way between two numbers becomes one or the other.
        apart = np.abs(found.mean.astype(int) - mean)
        assert apart.max() <= 1 and apart.mean() < 1e-3
        np.testing.assert_allclose(found.evidence.astype(float), evidence.astype(float), rtol=2**-10)


@pytest.mark.parametrize("products", ["pairs", "tiles"])
@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("sampling", ["gray", "4:2:0"])
def test_products_of_bfloat16_change_little(model: str, sampling: str, products: str) -> None:
    kind = KINDS.get(sampling, "colour")
    frame, before = camera(sampling)
    exact = taken(gate(model, kind), frame, before)
    with pytest.MonkeyPatch.context() as patch:
        multiply_as(patch, **{products: True})
        found = taken(SparseGate(weights(model, kind)), frame, before)
    for one, other, (_, table) in zip(found, exact, frame, strict=True):
        # A bfloat16 has eight digits: about so much changes what the gate believes, and by that share of a step a mean.
        apart = (one.mean.astype(float) - other.mean) * state.UNIT / table
        assert 0 < np.sqrt(np.square(apart).mean()) < 2**-7


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("sampling", SAMPLINGS)
def test_a_wanted_cell_hardly_depends_on_whether_others_are_wanted(model: str, sampling: str) -> None:
    kind = KINDS.get(sampling, "colour")
    frame, before = camera(sampling, (264, 168))
    whole = taken(gate(model, kind), frame, before)
    random = np.random.default_rng(3)
    cells = random.random(cells_of(grids(frame))) < 0.2
    found = taken(gate(model, kind), frame, before, cells)
    luma, *chroma = blocks_of(cells, grids(frame))
    for one, other, blocks, (_, table) in zip(found, whole, [luma, *chroma], frame, strict=True):
        apart = ((one.mean.astype(float) - other.mean) * state.UNIT / table)[blocks]
        if blocks is luma:  # as many blocks are judged around a cell as luma's gate sees
            assert not apart.any()
        assert np.sqrt(np.square(apart).mean()) < (0.15 if sampling == "4:1:1" else 0.01)
        assert not one.mean[~blocks].any() and not one.evidence[~blocks].any()
