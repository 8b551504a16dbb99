"""A graph that is not what its manifest says, as one of another package may be."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mjpeg_restore.catalogue import GraphFile, Model, Variant, find
from mjpeg_restore.errors import ModelCorrupt
from mjpeg_restore.jpeg import read
from mjpeg_restore.restorer import Restorer
from mjpeg_restore.runtime import open_network
from tests.jpeg.pictures import encode
from tests.lacking import needs

onnx = needs("onnx")

DEVICES = ["onnxruntime", "openvino", "torch:cpu"]


@pytest.fixture(params=DEVICES)
def device(request: pytest.FixtureRequest) -> str:
    needs(request.param.partition(":")[0])
    return request.param


def stored(path: Path, model: Any) -> GraphFile:
    """A graph that the manifest takes for the plain decode of grey pictures."""
    content = model.SerializeToString()
    path.write_bytes(content)
    ports = find("decode").variants[0].graphs["grey"]
    return GraphFile(path.name, hashlib.sha256(content).hexdigest(), ports.inputs, ports.outputs, path.parent, "acme")


def decode() -> Any:
    return onnx.load(find("decode").variants[0].graphs["grey"].path())


def test_other_inputs_are_named(device: str, tmp_path: Path) -> None:
    model = decode()
    old = model.graph.input[1].name
    model.graph.input[1].name = "steps"
    for node in model.graph.node:
        node.input[:] = ["steps" if name == old else name for name in node.input]
    with pytest.raises(ModelCorrupt) as caught:
        open_network(stored(tmp_path / "a.onnx", model), device, 1)
    told = "acme/a.onnx: its inputs are y.coefficients, steps, not y.coefficients, y.table"
    assert str(caught.value) == told


def test_inputs_in_another_order_are_named(device: str, tmp_path: Path) -> None:
    model = decode()
    inputs = [*model.graph.input]
    del model.graph.input[:]
    model.graph.input.extend(reversed(inputs))
    with pytest.raises(ModelCorrupt, match=r"its inputs are y\.table, y\.coefficients, not"):
        open_network(stored(tmp_path / "a.onnx", model), device, 1)


def test_other_outputs_are_named(device: str, tmp_path: Path) -> None:
    model = decode()
    model.graph.node.append(onnx.helper.make_node("Identity", ["y"], ["luma"]))
    model.graph.output[0].name = "luma"
    with pytest.raises(ModelCorrupt, match=r"acme/a\.onnx: its outputs are luma, not y$"):
        open_network(stored(tmp_path / "a.onnx", model), device, 1)


@pytest.mark.parametrize(
    ("operator", "told"),
    [("Transpose", r"uint8 \[64, 48\], not uint8 \[48, 64\]"), ("Cast", r"float32 \[48, 64\], not uint8 \[48, 64\]")],
)
def test_a_plane_of_another_size_or_type_is_refused(operator: str, told: str, device: str, tmp_path: Path) -> None:
    model, kind = decode(), onnx.TensorProto.FLOAT
    maker = next(node for node in model.graph.node if "y" in node.output)
    maker.output[0] = "plane"
    attributes = {"to": kind} if operator == "Cast" else {}
    model.graph.node.append(onnx.helper.make_node(operator, ["plane"], ["y"], **attributes))
    if operator == "Cast":
        model.graph.output[0].type.tensor_type.elem_type = kind
    del model.graph.value_info[:]
    for size in model.graph.output[0].type.tensor_type.shape.dim:
        size.Clear()
    graph = stored(tmp_path / "a.onnx", model)
    cost = {"parameters": 0, "macs_per_pixel": 0.0, "margin": 0, "bytes_per_pixel": 64.0}
    restorer = Restorer(
        Model("acme/a", "-", quality={}, variants=(Variant(None, {}, {"grey": graph}),), **cost), device
    )
    with pytest.raises(ModelCorrupt, match=rf"acme/a\.onnx gives a plane of {told}"):
        restorer.restore(read(encode("gray", (64, 48))))
    with pytest.raises(ModelCorrupt, match="gives a plane of"):
        restorer.stream().submit(read(encode("gray", (64, 48)))).result()


def test_weights_that_are_none_are_refused(tmp_path: Path) -> None:
    qgac = find("qgac")
    np.save(tmp_path / "a.npy", np.zeros(3))
    (tmp_path / "b.npz").write_bytes(b"PK\3\4")
    (tmp_path / "c.npz").write_bytes(b"")
    for path in tmp_path.iterdir():
        graphs = {kind: _moved(graph, tmp_path) for kind, graph in qgac.variants[0].graphs.items()}
        weights = {"file": path.name, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
        restorer = Restorer(_with(qgac, graphs, weights), "onnxruntime", texture=0.5)
        with pytest.raises(ModelCorrupt, match=rf"{path.name}: no weights in NumPy's \.npz format"):
            restorer.restore(read(encode("gray", (64, 48))))


def _moved(graph: GraphFile, folder: Path) -> GraphFile:
    return GraphFile(graph.file, graph.sha256, graph.inputs, graph.outputs, folder, "acme")


def _with(model: Model, graphs: dict[str, GraphFile], weights: dict[str, str]) -> Model:
    entry = {name: getattr(model, name) for name in ("parameters", "macs_per_pixel", "margin", "bytes_per_pixel")}
    return Model("acme/a", "-", quality={}, variants=(Variant(None, {}, graphs),), texture=weights, **entry)
