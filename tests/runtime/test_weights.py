"""Weights that take the place of a graph's own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

torch = pytest.importorskip("torch")
pytest.importorskip("onnxscript")

from mjpeg_restore.models.graph import HALF, export, initializers  # noqa: E402
from mjpeg_restore.models.stream import Stream, StreamConfig  # noqa: E402
from mjpeg_restore.runtime import Inputs, Weights, open_runtime  # noqa: E402

DEVICES = ["onnxruntime", "openvino"]
TINY = StreamConfig(width=8, blocks=1, chroma_width=8, chroma_blocks=1)

Graphs = tuple[Path, Path]
"""Two graphs that differ in their weights alone."""


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def graphs(tmp_path_factory: pytest.TempPathFactory) -> Graphs:
    folder = tmp_path_factory.mktemp("graphs")
    paths = (folder / "one.onnx", folder / "other.onnx")
    for seed, path in enumerate(paths):
        torch.manual_seed(seed)
        network = Stream(TINY)
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.normal_(0, 0.1)
        export(network.eval(), path, colour=True)
    return paths


def changed(graphs: Graphs) -> dict[str, NDArray[np.floating]]:
    """The second graph's weights, where they are not the first one's."""
    one, other = map(initializers, graphs)
    assert one.keys() == other.keys()
    return {name: array for name, array in other.items() if not np.array_equal(array, one[name])}


def picture() -> Inputs:
    random = np.random.default_rng(1)
    found: list[NDArray[np.generic]] = []
    for grid in [(6, 8), (3, 4), (3, 4)]:
        blocks = random.integers(-3, 4, (*grid, 64)).astype(np.int16)
        found += [blocks, random.integers(8, 40, 64).astype(np.uint16)]
    return found


def planes(graph: Path, device: str, weights: Weights | None = None) -> list[NDArray[np.int_]]:
    if device == "openvino":
        pytest.importorskip("openvino")
    return [plane.astype(int) for plane in open_runtime(graph, device, 1, 1, weights).run(picture())]


def test_halves_and_floats_are_among_them(graphs: Graphs) -> None:
    weights = changed(graphs)
    assert {array.dtype for name, array in weights.items() if name.endswith(HALF)} == {np.dtype(np.float16)}
    assert {array.dtype for name, array in weights.items() if not name.endswith(HALF)} == {np.dtype(np.float32)}


@pytest.mark.parametrize("device", DEVICES)
def test_a_graph_with_anothers_weights_is_the_other(graphs: Graphs, device: str) -> None:
    one, other = graphs
    replaced = planes(one, device, changed(graphs))
    for ours, theirs in zip(replaced, planes(other, device), strict=True):
        assert np.abs(ours - theirs).max() <= (0 if device == "onnxruntime" else 1)
    assert np.abs(replaced[0] - planes(one, device)[0]).mean() > 1


@pytest.mark.parametrize("device", DEVICES)
def test_what_is_not_replaced_stays(graphs: Graphs, device: str) -> None:
    chroma = {name: array for name, array in changed(graphs).items() if "chroma" in name}
    before, after = planes(graphs[0], device), planes(graphs[0], device, chroma)
    np.testing.assert_array_equal(before[0], after[0])
    assert all(np.abs(old - new).mean() > 1 for old, new in zip(before[1:], after[1:], strict=True))
