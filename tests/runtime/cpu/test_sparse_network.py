"""The network of `stream-video` where it is wanted: the graph's own result, whatever ran before or at the same time."""

# onnx's and onnxruntime's stubs leave many types open, and so do OpenVINO's.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

import sys
import threading
import tracemalloc
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from mjpeg_restore import catalogue
from mjpeg_restore.catalogue import COMPONENTS
from mjpeg_restore.catalogue.ports import HISTORY
from mjpeg_restore.runtime.cpu import sparse, state
from mjpeg_restore.runtime.cpu.cells import blocks_of, cells_of
from mjpeg_restore.runtime.cpu.projection import SAMPLE_SCALE
from mjpeg_restore.runtime.cpu.sparse import Cells, Weights
from mjpeg_restore.runtime.cpu.sparse_branch import Branch
from mjpeg_restore.runtime.cpu.sparse_gate import SparseGate
from mjpeg_restore.runtime.cpu.sparse_network import Component, SparseNetwork
from tests.jpeg.pictures import SAMPLINGS
from tests.lacking import needs, needs_native_sparse, needs_native_state, needs_openvino
from tests.runtime.graphs import picture, with_three_tables

pytestmark = [needs_native_sparse, needs_native_state]

MODELS = ["stream-video", "stream-video-lite"]
KINDS = {"gray": "grey"}
"""Graphs by the sampling of their pictures, if not colour."""
Residual = list[NDArray[np.float32]]
"""Of each component, `[2 blocks_high, 2 blocks_wide, 16]`."""


# ---- networks and pictures ----


@cache
def graph(model: str, kind: str) -> Any:
    return needs("onnx").load(catalogue.find(model).variants[0].graphs[kind].path())


@cache
def arrays(model: str, kind: str) -> dict[str, NDArray[Any]]:
    """Weights by the names of their layers."""
    named = {one.name: needs("onnx").numpy_helper.to_array(one) for one in graph(model, kind).graph.initializer}
    return {
        name.removeprefix("network.").removesuffix(".half"): array
        for name, array in named.items()
        if name.startswith("network.")
    }


def weights(model: str, kind: str) -> Weights:
    """The same as networks take them."""
    return Weights(arrays(model, kind))


@cache
def network(model: str, sampling: str = "4:2:0") -> SparseNetwork:
    """One for all tests: none of them may depend on what another one leaves in its memory."""
    return SparseNetwork(weights(model, KINDS.get(sampling, "colour")))


def camera(sampling: str, size: tuple[int, int] = (72, 56), seed: int = 0, quality: int = 50) -> list[Component]:
    """A frame, and the state after it: of some blocks much is known, and of some only the frame."""
    inputs, random = with_three_tables(picture(sampling, size, seed, quality)), np.random.default_rng(seed)
    found: list[Component] = []
    for coefficients, table in zip(inputs[::2], inputs[1::2], strict=True):
        frames = random.integers(1, 20, coefficients.shape[:2])[..., np.newaxis]
        away = random.uniform(-0.5, 0.5, coefficients.shape) * table * (1 - 1 / frames)
        mean = np.rint((coefficients * table.astype(float) + away) / state.UNIT).astype(np.int16)
        found.append((coefficients, table, mean, (frames * state.observation(table)).astype(np.float16)))
    return found


def grids(components: Sequence[Component]) -> list[tuple[int, int]]:
    return [coefficients.shape[:2] for coefficients, *_ in components]


def everywhere(components: Sequence[Component]) -> Cells:
    return np.ones(cells_of(grids(components)), np.bool_)


def some(components: Sequence[Component], seed: int, share: float = 0.25) -> Cells:
    """Random cells, one at least."""
    random = np.random.default_rng(seed)
    cells = random.random(cells_of(grids(components))) < share
    cells[random.integers(cells.shape[0]), random.integers(cells.shape[1])] = True
    return cells


def residual(network: SparseNetwork, components: Sequence[Component], cells: Cells) -> Residual:
    """What the network adds, grey levels; 0 where no cell is wanted."""
    with network.run(components, cells) as lent:
        found = [phases[:, :, group].astype(np.float32) * SAMPLE_SCALE for phases, _, group in lent]
    for one, blocks in zip(found, blocks_of(cells, grids(components)), strict=True):
        one[~np.repeat(np.repeat(blocks, 2, axis=0), 2, axis=1)] = 0
    return found


def assert_same(ours: Residual, theirs: Residual) -> None:
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(one, other)


# ---- the graph's own network ----


@cache
def session(model: str, kind: str) -> Any:
    """The part of a graph between its gate and its residual, in float32, for ONNX Runtime."""
    onnx, ort = needs("onnx"), needs("onnxruntime")
    whole = onnx.ModelProto()
    whole.CopyFrom(graph(model, kind))
    names = {name for node in whole.graph.node for name in node.output}
    suffixes = ".share", ".entering", ".left", ".level"
    cuts = sorted(name for name in names if name.endswith(suffixes))
    phases = [name for name in ("predict.phases", "chroma_predict.phases") if name in names]
    for node in whole.graph.node:
        for index, name in enumerate(node.output):
            if name in cuts:
                node.output[index] = f"{name}.unused"
    floats = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in cuts]
    whole.graph.input.extend(floats)
    del whole.graph.output[:]
    whole.graph.output.extend(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in phases)
    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.add_session_config_entry("session.disable_quant_qdq", "1")
    return ort.InferenceSession(whole.SerializeToString(), options, providers=["CPUExecutionProvider"])


def of_graph(model: str, components: Sequence[Component]) -> Residual:
    """What the graph's network adds."""
    kind = "grey" if len(components) == 1 else "colour"
    runs = session(model, kind)
    names = COMPONENTS[: len(components)]
    given: dict[str, NDArray[Any]] = {}
    planes: dict[str, list[NDArray[np.float32]]] = {}
    for name, component in zip(names, components, strict=True):
        coefficients, table, mean, evidence = component
        high, wide, _ = coefficients.shape
        share, level = np.empty((2, high, wide, 64), np.float16)
        samples, left = np.empty((2, 8 * high, 8 * wide), np.float32)
        state.enter(*component, samples, left, share=share, level=level)
        given |= {f"{name}.coefficients": coefficients, f"{name}.table": table}
        given |= {f"{name}.mean": mean, f"{name}.evidence": evidence, f"{name}.correction": mean}
        given |= {f"{name}.history": np.zeros(HISTORY, np.float32)}
        given |= {f"{name}.share": share[None].astype(np.float32), f"{name}.level": level[None].astype(np.float32)}
        layer = "enter" if name == "y" else "chroma_enter"
        planes.setdefault(f"{layer}.entering", []).append(samples)
        planes.setdefault(f"{layer}.left", []).append(left)
    given |= {name: np.stack(parts)[None] for name, parts in planes.items()}
    wanted = [one.name for one in runs.get_inputs()]
    found = [one for batch in runs.run(None, {name: given[name] for name in wanted}) for one in batch]
    phases = [part for one in found for part in np.split(one, one.shape[0] // 16)]
    return [(SAMPLE_SCALE * part.transpose(1, 2, 0)).astype(np.float32) for part in phases]


def roundings(model: str, index: int) -> float:
    """By how much two results differ, in root mean squares and grey levels, if the last layer's features are rounded
    independently: each by 1/sqrt(12) of a step."""
    layer = "chroma_predict.phases" if index else "predict.phases"
    named = arrays(model, "colour")
    norm = np.sqrt(np.square(named[f"{layer}.weight"].astype(float)).sum((1, 2, 3)).mean())
    return float(SAMPLE_SCALE * norm * named[f"{layer}.step"] * np.sqrt(2 / 12))


def multiply_as(monkeypatch: pytest.MonkeyPatch, *, pairs: bool = False, tiles: bool = False) -> None:
    """Networks that are made from now on multiply numbers as float32, or bfloat16 by pairs or tiles."""
    if pairs > sparse.native.pairs or tiles > sparse.TILES:
        pytest.skip("needs a CPU that has such products of bfloat16")
    monkeypatch.setattr(sparse, "FAST_PAIRS", pairs)
    monkeypatch.setattr(sparse, "TILES", tiles)


@pytest.fixture(params=[8, 16])
def lanes(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Networks that are made are computed with vectors of so many numbers."""
    if request.param > sparse.LANES:
        pytest.skip("needs a CPU that has AVX-512 with VNNI")
    monkeypatch.setattr(sparse, "LANES", request.param)
    multiply_as(monkeypatch)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("sampling", SAMPLINGS)
@pytest.mark.parametrize(("size", "quality"), [((72, 56), 50), ((40, 24), 10), ((8, 8), 90)])
@pytest.mark.usefixtures("lanes")
def test_it_computes_what_the_graph_does(model: str, sampling: str, size: tuple[int, int], quality: int) -> None:
    components = camera(sampling, size, quality=quality)
    ours = residual(SparseNetwork(weights(model, KINDS.get(sampling, "colour"))), components, everywhere(components))
    for index, (one, other) in enumerate(zip(ours, of_graph(model, components), strict=True)):
        # Both round the same features to the same steps, and add up in float32 in another order. A feature that lies
        # on the edge between two steps is rounded up in one and down in the other, and after a few layers roundings
        # that differ are everywhere. If in the last layer all did, it would be `roundings`. The layers before it make
        # as much again, at most: their steps are finer, but what they make wrong passes through those that follow. Into
        # chroma, luma's roundings pass as well. In pictures of few places chance makes it a quarter more.
        apart = np.abs(one - other)
        assert np.sqrt(np.square(apart).mean()) < 1.25 * (3 if index else 2) * roundings(model, index)
        if model == "stream-video-lite" and min(size) > 50:
            # It has few layers. Where no feature that enters a place was near an edge, what is left is the result's
            # rounding to float16, and a thousandth of a grey level for that of sums in float32. In smaller pictures
            # one feature enters nearly every place.
            assert (apart <= 2**-11 * np.abs(other) + 1e-3).mean() > 0.1


@pytest.mark.parametrize("products", ["pairs", "tiles"])
@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("sampling", ["gray", "4:2:0"])
def test_products_of_bfloat16_round_no_more_than_bytes(model: str, sampling: str, products: str) -> None:
    components, kind = camera(sampling, (200, 168)), KINDS.get(sampling, "colour")
    found: list[Residual] = []
    for wanted in ({}, {products: True}):
        with pytest.MonkeyPatch.context() as patch:
            multiply_as(patch, **wanted)
            found.append(residual(SparseNetwork(weights(model, kind)), components, everywhere(components)))
    for index, (one, other) in enumerate(zip(*found, strict=True)):
        # A bfloat16 has eight digits, as the bytes have that most layers take. So the layers of numbers make as much as
        # those of bytes, at most, of which both results are as far as in the test above.
        apart = float(np.sqrt(np.square(one - other).mean()))
        assert apart < 2 * (3 if index else 2) * roundings(model, index)
        assert apart > 0 or model == "stream-video-lite"  # all but whose first layer takes bytes


@pytest.mark.parametrize("missing", ["trunk.0", "predict.phases.step", "trunk.0.second.step", "enter.weight"])
def test_another_network_is_refused(missing: str) -> None:
    known = {
        name: array for name, array in arrays("stream-video-lite", "colour").items() if not name.startswith(missing)
    }
    assert len(known) < len(arrays("stream-video-lite", "colour"))
    with pytest.raises((KeyError, ValueError)):
        SparseNetwork(Weights(known))


def test_channels_that_do_not_fill_vectors_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sparse, "LANES", 12)
    monkeypatch.setattr(sparse, "TILES", False)
    with pytest.raises(ValueError, match="other layers"):
        SparseNetwork(weights("stream-video", "colour"))


# ---- cells ----

DEPENDENCE = {"gray": 0.25, "4:4:4": 0.25, "4:2:2": 0.5, "4:4:0": 0.6, "4:2:0": 0.8, "4:1:1": 1.0}
"""Mean of what other cells change in a component of a wanted one, at most, in grey levels: 8 samples of luma around it
are computed as well, and chroma beside them; at 4:1:1 two samples of it across. These pictures are much noisier than
photographs."""


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("sampling", SAMPLINGS)
def test_a_wanted_cell_hardly_depends_on_whether_others_are_wanted(model: str, sampling: str) -> None:
    components = camera(sampling, (200, 168))
    whole = residual(network(model, sampling), components, everywhere(components))
    for seed, share in enumerate((0.05, 0.3)):
        cells = some(components, seed, share)
        found = residual(network(model, sampling), components, cells)
        for index, blocks in enumerate(blocks_of(cells, grids(components))):
            places = np.repeat(np.repeat(blocks, 2, axis=0), 2, axis=1)
            apart = np.abs(found[index] - whole[index])[places]
            luma = 0.03 if model == "stream-video-lite" else DEPENDENCE["gray"]
            assert apart.mean() < (DEPENDENCE[sampling] if index else luma)
            correlation = np.corrcoef(found[index][places].ravel(), whole[index][places].ravel())[0, 1]
            assert correlation > (0.97 if sampling == "4:1:1" else 0.99)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("sampling", SAMPLINGS)
def test_what_is_far_away_changes_nothing(model: str, sampling: str) -> None:
    # No layer sees what lies three cells away, but for what it has been told of places between.
    components = camera(sampling, (264, 72))
    rows, columns = cells_of(grids(components))
    near = np.zeros((rows, columns), np.bool_)
    near[rows // 2, 1] = True
    far = near.copy()
    far[:, 6:] = True
    ours, theirs = (residual(network(model, sampling), components, cells) for cells in (near, far))
    for one, other, blocks in zip(ours, theirs, blocks_of(near, grids(components)), strict=True):
        places = np.repeat(np.repeat(blocks, 2, axis=0), 2, axis=1)
        assert one[places].any()
        np.testing.assert_array_equal(one[places], other[places])


def test_where_nothing_is_wanted_nothing_is_written() -> None:
    components = camera("4:2:0")
    fresh = SparseNetwork(weights("stream-video", "colour"))
    with fresh.run(components, ~everywhere(components)) as lent:
        for phases, *_ in lent:
            assert not phases.any()


def test_only_wanted_cells_are_written() -> None:
    components = camera("4:2:0")
    fresh, cells = SparseNetwork(weights("stream-video", "colour")), some(components, 1)
    with fresh.run(components, cells) as lent:
        for (phases, _, group), blocks in zip(lent, blocks_of(cells, grids(components)), strict=True):
            places = np.repeat(np.repeat(blocks, 2, axis=0), 2, axis=1)
            assert phases[:, :, group][places].any()
            assert not phases[:, :, group][~places].any()


# ---- memory ----

SEVERAL = [("4:2:0", (72, 56)), ("4:4:4", (72, 56)), ("4:2:0", (56, 72)), ("4:1:1", (72, 56)), ("4:2:0", (72, 56))]


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("sampling", SAMPLINGS)
def test_nothing_is_seen_of_what_ran_before(model: str, sampling: str) -> None:
    kind = KINDS.get(sampling, "colour")
    components, other = camera(sampling), camera(sampling, seed=1, quality=5)
    cells = some(components, 2, 0.15)
    wanted = residual(SparseNetwork(weights(model, kind)), components, cells)
    used = SparseNetwork(weights(model, kind))
    for before in (everywhere(other), ~cells, some(other, 3), cells):
        residual(used, other, before)
        assert_same(residual(used, components, cells), wanted)
        assert_same(residual(used, components, cells), wanted)


def test_pictures_of_several_sizes_take_turns() -> None:
    pictures = [camera(sampling, size, seed) for seed, (sampling, size) in enumerate(SEVERAL)]
    masks = [some(one, seed) for seed, one in enumerate(pictures)]
    used = SparseNetwork(weights("stream-video", "colour"))
    wanted = [
        residual(SparseNetwork(weights("stream-video", "colour")), *one) for one in zip(pictures, masks, strict=True)
    ]
    for order in ([0, 1, 2, 3, 4], [4, 4, 0, 3, 1], [2, 2, 1, 0, 2]):
        for index in order:
            assert_same(residual(used, pictures[index], masks[index]), wanted[index])


def test_a_result_that_is_lent_is_nobody_elses() -> None:
    components, other = camera("4:2:0"), camera("4:2:0", seed=1)
    used, cells = SparseNetwork(weights("stream-video", "colour")), everywhere(components)
    for _ in range(2):
        with used.run(components, cells) as lent:
            kept = [phases.copy() for phases, *_ in lent]
            with used.run(other, cells) as second:
                assert not any(np.shares_memory(one[0], two[0]) for one, two in zip(lent, second, strict=True))
            for (phases, *_), was in zip(lent, kept, strict=True):
                np.testing.assert_array_equal(phases, was)


def test_pictures_whose_results_are_lent_share_the_memory_for_features(monkeypatch: pytest.MonkeyPatch) -> None:
    new, made = SparseNetwork._new, list[object]()
    monkeypatch.setattr(SparseNetwork, "_new", lambda self, grids: made.append(grids) or new(self, grids))
    components, used = camera("4:2:0"), SparseNetwork(weights("stream-video-lite", "colour"))
    with used.run(components, everywhere(components)), used.run(components, everywhere(components)):
        assert len(made) == 1


@pytest.mark.parametrize("component", [0, 1, 2])
def test_a_change_of_one_table_changes_the_layers(component: int) -> None:
    first, used = camera("4:2:0"), SparseNetwork(weights("stream-video-lite", "colour"))
    second = list(first)
    coefficients, table, mean, evidence = first[component]
    second[component] = coefficients, (2 * table).astype(np.uint16), mean, evidence
    for components in (first, second, first):
        fresh = SparseNetwork(weights("stream-video-lite", "colour"))
        cells = everywhere(components)
        assert_same(residual(used, components, cells), residual(fresh, components, cells))


def test_layers_are_laid_out_once_for_frames_with_the_same_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    components, used = camera("4:2:0"), SparseNetwork(weights("stream-video-lite", "colour"))
    residual(used, components, everywhere(components))
    monkeypatch.setattr(Branch, "lay_out", None)
    residual(used, components, some(components, 1))


@pytest.mark.parametrize("part", [SparseNetwork, SparseGate])
def test_it_tells_how_many_bytes_a_picture_needs(part: type[SparseNetwork] | type[SparseGate]) -> None:
    of_size = ((32, 48),) * 3
    used = part(weights("stream-video", "colour"))
    used.nbytes(((2, 2),) * 3)  # what it needs once for all pictures
    tracemalloc.start()
    try:
        made = [used._new(of_size)] if isinstance(used, SparseGate) else [used._new(of_size), used._residual(of_size)]
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert used.nbytes(of_size) == sum(one.nbytes for one in made) == pytest.approx(taken, rel=0.05)


def test_memory_is_used_again() -> None:
    components, used = camera("4:2:0"), SparseNetwork(weights("stream-video-lite", "colour"))
    places = set[int]()
    for _ in range(5):
        with used.run(components, everywhere(components)) as lent:
            places.add(lent[0][0].ctypes.data)
    assert len(places) == 1


def test_threads_get_the_same_at_the_same_time() -> None:
    pictures = [camera(sampling, size, seed) for seed, (sampling, size) in enumerate(SEVERAL)]
    masks = [some(one, seed) for seed, one in enumerate(pictures)]
    used = SparseNetwork(weights("stream-video-lite", "colour"))
    wanted = [residual(used, *one) for one in zip(pictures, masks, strict=True)]
    together = threading.Barrier(4, timeout=60)

    def run(thread: int) -> None:
        together.wait()
        for turn in range(15):
            index = (0, 4)[turn % 2] if thread < 2 else (thread + turn) % len(SEVERAL)
            assert_same(residual(used, pictures[index], masks[index]), wanted[index])

    with ThreadPoolExecutor(4) as pool:
        for future in [pool.submit(run, thread) for thread in range(4)]:
            future.result(60)


def test_threads_do_not_take_each_others_memory() -> None:
    components, used = camera("4:2:0", (16, 16)), SparseNetwork(weights("stream-video-lite", "colour"))
    together, cells, own = threading.Barrier(4, timeout=60), everywhere(camera("4:2:0", (16, 16))), threading.Lock()
    busy = set[int]()

    def run() -> None:
        together.wait()
        for _ in range(60):
            with used.run(components, cells) as lent:
                place = lent[0][0].ctypes.data
                with own:
                    assert place not in busy
                    busy.add(place)
                with own:
                    busy.remove(place)

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(4) as pool:
            for future in [pool.submit(run) for _ in range(4)]:
                future.result(60)
    finally:
        sys.setswitchinterval(before)


# ---- other networks ----


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("name", ["enter.weight", "predict.phases.bias", "past.0.weight", "trunk.0.second.weight"])
def test_weights_of_another_network_are_refused(model: str, name: str) -> None:
    for kind in ("colour", "grey"):
        named = arrays(model, kind)
        with pytest.raises(KeyError, match=name):
            SparseNetwork(Weights({key: array for key, array in named.items() if key != name}))


@needs_openvino
@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(
    "name",
    [
        *(None, "network.enter.bias", "network.guide.weight", "network.chroma_enter_state.weight"),
        "network.inverse_dct.matrix",  # a weight that is not known
    ],
)
def test_a_graph_of_another_network_has_none(model: str, name: str | None) -> None:
    from mjpeg_restore.runtime.cpu import openvino_graphs

    read = openvino_graphs.ov.Core().read_model(catalogue.find(model).variants[0].graphs["colour"].path())
    names = {node.get_friendly_name(): node for node in read.get_ops()}
    if name:
        found = [node for key, node in names.items() if key.removesuffix(".half") == name]
        assert found
        for node in found:
            node.set_friendly_name(f"{node.get_friendly_name()}.other")
    assert (openvino_graphs.sparse_of(read) is None) == bool(name)


@needs_openvino
@pytest.mark.parametrize("model", ["stream", "decode"])
def test_a_graph_without_a_state_has_none(model: str) -> None:
    from mjpeg_restore.runtime.cpu import openvino_graphs

    read = openvino_graphs.ov.Core().read_model(catalogue.find(model).variants[0].graphs["colour"].path())
    assert openvino_graphs.sparse_of(read) is None


@needs_openvino
def test_a_network_that_is_narrower_than_a_vector_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    from mjpeg_restore.runtime.cpu import openvino_graphs

    monkeypatch.setattr(sparse, "LANES", 256)
    read = openvino_graphs.ov.Core().read_model(catalogue.find("stream-video").variants[0].graphs["colour"].path())
    assert openvino_graphs.sparse_of(read) is None
