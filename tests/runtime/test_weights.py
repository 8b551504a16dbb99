"""Weights mixed with a graph's own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from mjpeg_restore import catalogue
from mjpeg_restore.errors import MissingExtra, ModelCorrupt
from mjpeg_restore.runtime import Blend, Inputs, open_network
from mjpeg_restore.runtime.weights import blended
from tests.lacking import needs
from tests.runtime.graphs import graph_file, run

onnx = needs("onnx")

DEVICES = ["onnxruntime", "openvino"]
LEARNT = (".weight", ".weight.half", ".bias")

Graphs = tuple[Path, Path]
"""Two graphs that differ in their weights alone."""


@pytest.fixture(scope="module")
def graphs(tmp_path_factory: pytest.TempPathFactory) -> Graphs:
    """A shipped graph, and the same with weights drawn at random."""
    shipped = catalogue.find("stream-lite").variants[0].graphs["colour"].path()
    other = tmp_path_factory.mktemp("graphs") / "other.onnx"
    model = onnx.load(shipped)
    random = np.random.default_rng(7)
    for tensor in model.graph.initializer:
        if tensor.name.endswith(LEARNT):
            before = onnx.numpy_helper.to_array(tensor)
            after = random.normal(0, 0.1, before.shape).astype(before.dtype)
            tensor.CopyFrom(onnx.numpy_helper.from_array(after, tensor.name))
    onnx.save(model, other)
    return shipped, other


def weights(graph: Path) -> dict[str, NDArray[np.floating]]:
    """What a graph has learnt, as its file has it."""
    tensors = onnx.load(graph).graph.initializer
    return {t.name: onnx.numpy_helper.to_array(t) for t in tensors if t.name.endswith(LEARNT)}


def picture() -> Inputs:
    random = np.random.default_rng(1)
    found: list[NDArray[np.generic]] = []
    for grid in [(6, 8), (3, 4), (3, 4)]:
        blocks = random.integers(-3, 4, (*grid, 64)).astype(np.int16)
        found += [blocks, random.integers(8, 40, 64).astype(np.uint16)]
    return found


def planes(graph: Path, device: str, blend: Blend | None = None) -> list[NDArray[np.int_]]:
    if device == "openvino":
        needs("openvino")
    return [plane.astype(int) for plane in run(open_network(graph_file(graph), device, 1, 1, blend), picture())]


def test_halves_and_floats_are_among_them(graphs: Graphs) -> None:
    kinds = {array.dtype: name for name, array in weights(graphs[1]).items()}
    assert kinds.keys() == {np.dtype(np.float16), np.dtype(np.float32)}
    assert kinds[np.dtype(np.float16)].endswith(".half")


@pytest.mark.parametrize("device", DEVICES)
def test_a_graph_with_anothers_weights_is_the_other(graphs: Graphs, device: str) -> None:
    one, other = graphs
    replaced = planes(one, device, Blend(weights(other)))
    for ours, theirs in zip(replaced, planes(other, device), strict=True):
        assert np.abs(ours - theirs).max() <= (0 if device == "onnxruntime" else 1)
    assert np.abs(replaced[0] - planes(one, device)[0]).mean() > 1


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("kind", [np.float16, np.float32])
def test_each_kind_of_weight_counts(graphs: Graphs, device: str, kind: type[np.floating]) -> None:
    some = {name: array for name, array in weights(graphs[1]).items() if array.dtype == kind}
    assert np.abs(planes(graphs[0], device, Blend(some))[0] - planes(graphs[0], device)[0]).mean() > 0.1


@pytest.mark.parametrize("device", DEVICES)
def test_what_is_not_replaced_stays(graphs: Graphs, device: str) -> None:
    chroma = {name: array for name, array in weights(graphs[1]).items() if "chroma" in name}
    before, after = planes(graphs[0], device), planes(graphs[0], device, Blend(chroma))
    np.testing.assert_array_equal(before[0], after[0])
    assert all(np.abs(old - new).mean() > 1 for old, new in zip(before[1:], after[1:], strict=True))


def test_weights_of_another_shape_are_refused(graphs: Graphs) -> None:
    name, array = next(iter(weights(graphs[0]).items()))
    with pytest.raises(ModelCorrupt, match=f"weight {name} has another type or shape"):
        blended(graphs[0].read_bytes(), Blend({name: array.ravel()[1:]}))


def test_weights_of_another_graph_are_refused() -> None:
    graph = catalogue.find("decode").variants[0].graphs["grey"].path().read_bytes()
    with pytest.raises(ModelCorrupt, match="none of the weights"):
        blended(graph, Blend({"network.body.weight": np.zeros(3, np.float32)}))


def test_a_file_changes_in_its_weights_alone(graphs: Graphs) -> None:
    one, other = graphs
    assert blended(one.read_bytes(), Blend(weights(other))) == other.read_bytes()


@pytest.mark.parametrize("device", ["auto", *DEVICES])
def test_the_extra_is_named_where_onnx_is_missing(graphs: Graphs, device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    graph = graph_file(graphs[0])
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(MissingExtra, match=r"Texture needs onnx: pip install onnx .*mjpeg-restore\[texture\]"):
        open_network(graph, device, 1, 1, Blend({"network.body.weight": np.zeros(3, np.float32)}))


def test_onnx_is_imported_for_texture_alone() -> None:
    code = "import sys, mjpeg_restore; mjpeg_restore.Restorer('stream-lite'); print('onnx' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize("share", [0.0, 0.25, 0.5, 1.0])
def test_a_share_is_a_weighted_mean(graphs: Graphs, tmp_path: Path, share: float) -> None:
    one, other = graphs
    mixed = tmp_path / "mixed.onnx"
    mixed.write_bytes(blended(one.read_bytes(), Blend(weights(other), share)))
    own, theirs, found = (weights(graph) for graph in (one, other, mixed))
    assert found.keys() == own.keys()
    for name, array in found.items():
        assert array.dtype == own[name].dtype
        expected = (1 - share) * own[name].astype(np.float64) + share * theirs[name]
        np.testing.assert_allclose(array, expected, rtol=1e-3, atol=1e-4)
