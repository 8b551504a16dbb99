"""Graphs that are none of the contract: one sentence each, and no file but their own is read."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mjpeg_restore.catalogue import GraphFile, Port
from mjpeg_restore.errors import RuntimeUnavailable
from mjpeg_restore.runtime import Blend
from mjpeg_restore.runtime.rewriting import for_tensorrt, for_torch
from mjpeg_restore.runtime.tensorrt.cache import EngineCache
from mjpeg_restore.runtime.tensorrt.engines import engine
from mjpeg_restore.runtime.weights import blended
from tests.lacking import needs, needs_tensorrt_rtx
from tests.runtime.tensorrt.engine_requests import ignore, request

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
    for change in (partial(for_tensorrt, half=False), partial(for_torch, half=False), with_zeros):
        with pytest.raises(ValueError, match="files of their own"):
            change(graph)


def with_zeros(graph: bytes) -> bytes:
    return blended(graph, Blend({"w": np.zeros(4, np.float32)}))


@needs_tensorrt_rtx
@pytest.mark.parametrize(
    "nodes",
    [
        b"\0garbage",
        [],
        [node("Cast", ["x"], [], to=Kind.UINT8)],
        [node("Cast", [], ["y"], to=Kind.UINT8)],
        [node("Cast", ["x"], ["y"])],
        [node("QuantizeLinear", ["x"], ["y"])],
        [node("QuantizeLinear", ["x", "x", "x"], ["y"])],
        [node("Add", ["y", "x"], ["y"])],
        [node("Spell", ["x"], ["y"], domain="org.example")],
        [node("Cast", ["x"], ["y"], to=Kind.UINT8)],  # sound, but the manifest has another input
    ],
)
def test_what_no_engine_can_be_built_of_is_one_sentence_with_its_name(tmp_path: Path, nodes: list[Any] | bytes) -> None:
    content = nodes if isinstance(nodes, bytes) else unchecked(nodes)
    (tmp_path / "evil.onnx").write_bytes(content)
    inputs = (Port.parse("y.coefficients", "int16 [y.high, y.wide, 64]"),)
    outputs = (Port.parse("y", "uint8 [8*y.high, 8*y.wide]"),)
    graph = GraphFile("evil.onnx", hashlib.sha256(content).hexdigest(), inputs, outputs, tmp_path)
    with pytest.raises(RuntimeUnavailable, match="evil") as caught:
        engine(replace(request(), graph=graph), EngineCache(tmp_path / "engines"), ignore)
    assert "\n" not in str(caught.value)
