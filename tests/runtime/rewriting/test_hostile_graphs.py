"""Graphs that are none of the contract: one sentence each, and no file but their own is read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mjpeg_restore.errors import MjpegRestoreError, ModelCorrupt
from mjpeg_restore.runtime import Blend
from mjpeg_restore.runtime.rewriting import for_tensorrt, for_torch
from mjpeg_restore.runtime.weights import blended
from tests.lacking import needs

onnx = needs("onnx")
node, Kind = onnx.helper.make_node, onnx.TensorProto


def unchecked(nodes: list[Any], *weights: Any) -> bytes:
    """A graph of coefficients to samples that nobody has checked."""
    made = onnx.helper.make_graph(
        nodes,
        "graph",
        [onnx.helper.make_tensor_value_info("x", Kind.INT16, ["n"])],
        [onnx.helper.make_tensor_value_info("y", Kind.UINT8, ["n"])],
        weights,
    )
    return onnx.helper.make_model(made, opset_imports=[onnx.helper.make_opsetid("", 18)]).SerializeToString()


def elsewhere(file: str, place: str) -> bytes:
    """A graph with weights in a file of their own."""
    weights = onnx.TensorProto(name="w", data_type=Kind.FLOAT, dims=[4], data_location=Kind.EXTERNAL)
    weights.external_data.add(key="location", value=file)
    first = [] if place == "initializer" else [node(place, ["n"][: place != "Constant"], ["w"], value=weights)]
    nodes = [
        *first,
        node("Cast", ["x"], ["f"], to=Kind.FLOAT),
        node("Mul", ["f", "w"], ["g"]),
        node("Cast", ["g"], ["y"], to=Kind.UINT8),
    ]
    return unchecked(nodes, *([] if first else [weights]))


@pytest.mark.parametrize("place", ["initializer", "Constant", "ConstantOfShape"])
@pytest.mark.parametrize("file", ["secret", "../secret", "/etc/passwd"])
def test_weights_in_other_files_are_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str, file: str
) -> None:
    (tmp_path / "secret").write_bytes(bytes(16))
    monkeypatch.chdir(tmp_path)
    graph = elsewhere(file, place)
    for change in (for_tensorrt, for_torch):
        with pytest.raises(ModelCorrupt, match="files of their own"):
            change(graph, half=False)
    with pytest.raises(ModelCorrupt, match="files of their own"):
        blended(graph, Blend({"w": np.zeros(4, np.float32)}))


@pytest.mark.parametrize(
    "nodes",
    [
        [],
        [node("Cast", ["x"], [], to=Kind.UINT8)],
        [node("Cast", [], ["y"], to=Kind.UINT8)],
        [node("Cast", ["x"], ["y"])],
        [node("QuantizeLinear", ["x"], ["y"])],
        [node("QuantizeLinear", ["x", "x", "x"], ["y"])],
        [node("Add", ["y", "x"], ["y"])],
        [node("Spell", ["x"], ["y"], domain="org.example")],
    ],
    ids=lambda nodes: " ".join(str(node.op_type) for node in nodes) or "none",
)
@pytest.mark.parametrize("half", [False, True])
def test_a_graph_that_is_no_graph_is_one_sentence(nodes: list[Any], half: bool) -> None:
    graph = unchecked(nodes)
    for change in (for_tensorrt, for_torch):
        try:
            change(graph, half=half)  # what the passes do not look at is the runtime's
        except MjpegRestoreError as error:
            assert "\n" not in str(error)


@pytest.mark.parametrize("content", [b"\0garbage" * 9, unchecked([])[:-3]])
def test_what_is_no_onnx_is_said(content: bytes) -> None:
    with pytest.raises(ModelCorrupt, match="no ONNX file"):
        for_tensorrt(content, half=True)
    with pytest.raises(ModelCorrupt, match="no ONNX file"):
        blended(content, Blend({}))
