"""Shipped graphs in the forms for GPUs give the planes of the originals."""

from __future__ import annotations

import sys
from collections.abc import Callable

import numpy as np
import pytest
from measuring.metrics import psnr
from measuring.pictures import encode, files, limited_luma, load, middle

from mjpeg_restore.errors import MissingExtra, RuntimeUnavailable
from mjpeg_restore.jpeg import read
from mjpeg_restore.restorer.arrays import components
from mjpeg_restore.runtime.rewriting import for_tensorrt, for_torch
from tests.lacking import DATA, needs, needs_data
from tests.runtime.rewriting.running import (
    GRAPHS,
    SAMPLINGS,
    Loaded,
    as_bytes,
    content,
    eight_bit,
    inputs,
    small_graph,
    types,
)

onnx = needs("onnx")
Kind = onnx.TensorProto

every_graph = pytest.mark.parametrize("file", GRAPHS)
FLOATING = [file for file in GRAPHS if not file.startswith("stream")]
"""Graphs without 8-bit steps."""
CONTRACT = (".samples", ".phases", ".place", ".entering")
"""Ends of the fixed names of inner tensors."""


def test_stream_alone_computes_in_eight_bits() -> None:
    assert [file for file in GRAPHS if not eight_bit(content(file))] == FLOATING


@pytest.mark.parametrize("file", FLOATING)
def test_planes_are_those_of_the_original_to_the_bit(file: str) -> None:
    graph, samplings = GRAPHS[file], SAMPLINGS if "colour" in file else {"": (1, 1)}
    original = Loaded(content(file))
    tensorrt = Loaded(for_tensorrt(content(file), half=False))
    torch = Loaded(for_torch(content(file), half=False))
    for seed, (step, chroma) in enumerate([*((step, (2, 3)) for step in samplings.values()), ((1, 1), (1, 1))]):
        picture = inputs(graph, chroma, step, seed)
        expected = original.run(picture)
        for ours in (tensorrt.run(as_bytes(picture)), torch.run(picture)):
            for one, other in zip(ours, expected, strict=True):
                np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("file", ["stream-video-lite.grey.onnx", "stream-video-lite.colour.onnx"])
def test_the_state_is_that_of_the_original(file: str) -> None:
    """Its mean and evidence are, to the last digit: what the network computes in eight bits has no say in them."""
    graph, picture = GRAPHS[file], inputs(GRAPHS[file], (4, 6), (2, 2) if "colour" in file else (1, 1))
    expected = Loaded(content(file)).run(picture)
    tensorrt = Loaded(for_tensorrt(content(file), half=False)).run(as_bytes(picture))
    torch = Loaded(for_torch(content(file), half=False)).run(picture)
    for port, right, *ours in zip(graph.outputs, expected, tensorrt, torch, strict=True):
        if port.kind in ("mean_after", "evidence_after"):
            last = 1 if port.kind == "mean_after" else 2.0**-10  # of 0.3 in float16
            for one in ours:
                assert np.abs(one.astype(float) - right.astype(float)).max() <= last
        elif port.kind == "correction_after":
            assert np.array_equal(ours[0], np.rint(ours[0]))
    for one, other in zip(tensorrt, torch, strict=True):
        assert np.array_equal(one, other)


@needs_data("eval/live1")
@pytest.mark.parametrize("rewrite", [for_tensorrt, for_torch])
@pytest.mark.parametrize("file", ["stream.grey.onnx", "stream-lite.grey.onnx"])
def test_no_quality_is_lost_without_eight_bits(file: str, rewrite: Callable[..., bytes]) -> None:
    original, rewritten = Loaded(content(file)), Loaded(rewrite(content(file), half=False))
    gains: list[float] = []
    for path in files(DATA / "eval" / "live1")[::6]:
        truth = middle(limited_luma(load(path)), 128)
        picture = components(read(encode(truth, 30)))
        (before,) = original.run(picture)
        (after,) = rewritten.run(as_bytes(picture) if rewrite is for_tensorrt else picture)
        gains.append(psnr(after, truth) - psnr(before, truth))
    assert 0 < np.mean(gains) < 0.05


@every_graph
@pytest.mark.parametrize("half", [False, True])
def test_tensorrt_gets_the_types_that_it_has(file: str, half: bool) -> None:
    graph, model = GRAPHS[file], onnx.load_model_from_string(for_tensorrt(content(file), half=half))
    onnx.checker.check_model(model, full_check=True)
    for port, tensor in zip(graph.inputs, model.graph.input, strict=True):
        kind, sizes = tensor.type.tensor_type, tensor.type.tensor_type.shape.dim
        assert tensor.name == port.name
        assert kind.elem_type == {"coefficients": Kind.UINT8, "evidence": Kind.FLOAT16}.get(port.kind, Kind.FLOAT)
        assert len(sizes) == len(port.shape) + (port.kind == "coefficients")
        assert [size.dim_value for size in sizes if size.dim_value] == [
            *(size for size in port.shape if isinstance(size, int)),
            *([2] if port.kind == "coefficients" else []),
        ]
    for port, tensor in zip(graph.outputs, model.graph.output, strict=True):
        kinds = {"samples": Kind.UINT8, "evidence_after": Kind.FLOAT16}
        assert (tensor.name, tensor.type.tensor_type.elem_type) == (port.name, kinds.get(port.kind, Kind.FLOAT))
    ends = {port.name for port in (*graph.inputs, *graph.outputs)}
    allowed = {Kind.FLOAT, Kind.INT64, Kind.BOOL, *([Kind.FLOAT16] if half else [])}
    assert {kind for name, kind in types(model).items() if name not in ends} <= allowed
    for node in model.graph.node:
        if not ends.isdisjoint(node.input):
            assert node.op_type == "Cast" or ".coefficients" not in node.input[0]
    planes = {port.name for port in graph.outputs if port.kind == "samples"}
    last = [node for node in model.graph.node if not planes.isdisjoint(node.output)]
    assert [node.op_type for node in last] == ["Cast"] * len(planes)


@every_graph
@pytest.mark.parametrize("half", [False, True])
def test_torch_gets_the_contract_without_eight_bits(file: str, half: bool) -> None:
    before, after = (onnx.load_model_from_string(data) for data in (content(file), for_torch(content(file), half=half)))
    onnx.checker.check_model(after, full_check=True)
    assert (list(after.graph.input), list(after.graph.output)) == (list(before.graph.input), list(before.graph.output))
    assert "DequantizeLinear" not in {node.op_type for node in after.graph.node}


@every_graph
@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("rewrite", [for_tensorrt, for_torch])
def test_inner_tensors_keep_the_names_of_the_contract(file: str, half: bool, rewrite: Callable[..., bytes]) -> None:
    def named(data: bytes) -> set[str]:
        nodes = onnx.load_model_from_string(data).graph.node
        return {name for node in nodes for name in node.output if name.endswith(CONTRACT)}

    assert named(rewrite(content(file), half=half)) == named(content(file))
    assert named(content(file)) or ".context." in file


@pytest.mark.parametrize(("rewrite", "extra"), [(for_tensorrt, "tensorrt"), (for_torch, "torch")])
def test_the_extra_is_named_where_onnx_is_missing(
    rewrite: Callable[..., bytes], extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(MissingExtra, match=rf"needs onnx: pip install onnx .*mjpeg-restore\[{extra}\]"):
        rewrite(b"", half=True)


def test_control_flow_is_refused_in_one_sentence() -> None:
    branch = onnx.helper.make_graph(
        [onnx.helper.make_node("Identity", ["x"], ["z"])],
        "branch",
        [],
        [onnx.helper.make_tensor_value_info("z", Kind.FLOAT, [2])],
    )
    node = onnx.helper.make_node("If", ["which"], ["y"], then_branch=branch, else_branch=branch)
    graph = small_graph([node], [("which", Kind.BOOL, []), ("x", Kind.FLOAT, [2])], [("y", Kind.FLOAT, [2])])
    with pytest.raises(RuntimeUnavailable, match=r"^a graph with control flow \(If\) cannot be rewritten for a GPU$"):
        for_torch(graph, half=False)
