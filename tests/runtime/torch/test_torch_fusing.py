"""Steps that are joined give what they give one by one."""

from __future__ import annotations

import numpy as np
import pytest

from tests.lacking import needs

torch = needs("torch")
onnx = needs("onnx")

from collections import Counter
from typing import Any

from mjpeg_restore import catalogue
from mjpeg_restore.runtime.rewriting import for_torch
from mjpeg_restore.runtime.torch.fusing import MOST_INPUTS, Expression, conv_relu, fused, pointwise
from mjpeg_restore.runtime.torch.layers import conv
from mjpeg_restore.runtime.torch.program import Program
from tests.runtime.graphs import picture


def program(model: str, *, colour: bool = True, half: bool = False) -> Program:
    graph = catalogue.find(model).variants[0].graphs["colour" if colour else "grey"]
    return Program(for_torch(graph.path().read_bytes(), half=half), graph.file, torch.device("cpu"))


def planes(read: Program, sampling: str, *, fuse: bool) -> list[np.ndarray]:
    inputs = picture(sampling)
    tensors = [
        torch.from_numpy(array.astype(np.int32)).to(kind) for array, kind in zip(inputs, read.types, strict=True)
    ]
    with torch.inference_mode():
        made = read.plan(tuple(array.shape for array in inputs), fuse=fuse)(tensors)
    return [one.numpy().copy() for one in made]


@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize(
    ("model", "sampling"), [("stream", "4:2:0"), ("stream-lite", "4:2:2"), ("l8", "gray"), ("hr-cnn", "gray")]
)
def test_networks_restore_the_same(model: str, sampling: str, half: bool) -> None:
    read = program(model, colour=sampling != "gray", half=half)
    for ours, right in zip(*(planes(read, sampling, fuse=fuse) for fuse in (True, False)), strict=True):
        # A sum in another order, rounded once more or less: a sample changes by one at most.
        assert np.abs(ours.astype(int) - right).max() <= 1


def test_what_a_real_time_network_joins() -> None:
    read = program("stream")
    nodes = fused(read._nodes, read.outputs)
    kinds = Counter(node.kind for node in nodes)
    assert kinds["Conv+Relu"] == 7  # each block's first convolution
    # No residual is a pass of its own, but the one from before the block on the coarse grid, which has two users.
    assert not {"Add", "Mul"} & {node.kind for node in nodes if any("conv" in name for name in node.inputs)}
    assert kinds["Pointwise"] >= 10
    assert all(len(node.inputs) <= MOST_INPUTS for node in nodes if node.kind == "Pointwise")


def nodes_of(*made: Any, outputs: tuple[str, ...] = ("out",)) -> Program:
    tensor = onnx.helper.make_tensor_value_info
    floats = onnx.TensorProto.FLOAT
    weights = [
        onnx.numpy_helper.from_array(np.ones((2, 2, 3, 3), np.float32), "w"),
        onnx.numpy_helper.from_array(np.ones(2, np.float32), "b"),
    ]
    graph = onnx.helper.make_graph(
        list(made),
        "joined",
        [tensor("x", floats, [1, 2, "high", "wide"])],
        [tensor(name, floats, None) for name in outputs],
        weights,
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)])
    return Program(model.SerializeToString(), "joined", torch.device("cpu"))


def convolved(name: str = "c") -> Any:
    return onnx.helper.make_node("Conv", ["x", "w", "b"], [name], pads=[1, 1, 1, 1])


def node(kind: str, *names: str) -> Any:
    *inputs, output = names
    return onnx.helper.make_node(kind, inputs, [output])


@pytest.mark.parametrize(
    ("nodes", "outputs", "kinds"),
    [
        ([convolved(), node("Relu", "c", "out")], ("out",), ["Conv+Relu"]),
        ([convolved(), node("Add", "c", "x", "out")], ("out",), ["Conv", "Pointwise"]),
        ([convolved(), node("Sub", "x", "c", "out")], ("out",), ["Conv", "Pointwise"]),
        ([convolved(), node("Mul", "c", "x", "m"), node("Add", "m", "x", "out")], ("out",), ["Conv", "Pointwise"]),
        ([node("Mul", "x", "x", "m"), node("Add", "m", "x", "a"), node("Relu", "a", "out")], ("out",), ["Pointwise"]),
        ([node("Sub", "x", "x", "m"), node("Mul", "m", "m", "out")], ("out",), ["Sub", "Mul"]),
        # What others need as well stays as it is.
        ([convolved(), node("Relu", "c", "out")], ("out", "c"), ["Conv", "Relu"]),
        ([convolved(), node("Add", "c", "c", "out")], ("out",), ["Conv", "Add"]),
        ([convolved(), node("Add", "c", "x", "a"), node("Mul", "a", "c", "out")], ("out",), ["Conv", "Pointwise"]),
        ([convolved("c"), convolved("d"), node("Add", "d", "c", "out")], ("out",), ["Conv", "Conv", "Pointwise"]),
        ([node("Add", "x", "x", "out")], ("out",), ["Add"]),
    ],
)
def test_only_what_nobody_else_needs_is_joined(nodes: list[Any], outputs: tuple[str, ...], kinds: list[str]) -> None:
    read = nodes_of(*nodes, outputs=outputs)
    assert [one.kind for one in fused(read._nodes, read.outputs)] == kinds
    x = torch.arange(2 * 5 * 7, dtype=torch.float32).reshape(1, 2, 5, 7)
    plain, joined = (read.plan((tuple(x.shape),), fuse=fuse)([x]) for fuse in (False, True))
    for one, other in zip(plain, joined, strict=True):
        torch.testing.assert_close(one, other)


def test_a_long_chain_is_several_kernels() -> None:
    chain = [node("Add", f"s{n}" if n else "x", "x", "out" if n == 19 else f"s{n + 1}") for n in range(20)]
    read = nodes_of(*chain)
    found = fused(read._nodes, read.outputs)
    assert 3 <= len(found) < 20
    assert all(len(one.inputs) <= MOST_INPUTS for one in found)
    x = torch.ones(1, 2, 3, 4)
    assert (read.plan((tuple(x.shape),), fuse=True)([x])[0] == 21).all()


def test_an_expression_in_cpp() -> None:
    one, bias = Expression("", index=0), Expression("bias", index=1)
    whole = Expression("Relu", (Expression("Mul", (Expression("Add", (one, bias)), Expression("", index=2))),))
    assert whole.code() == "(((v0 + v1) * v2) > T(0) ? ((v0 + v1) * v2) : T(0))"
    assert whole.biases == {1}
    x, weights, gain = torch.randn(1, 3, 4, 5), torch.randn(3), torch.randn(1, 3, 1, 1)
    torch.testing.assert_close(pointwise(whole, x, weights, gain), ((x + weights[:, None, None]) * gain).relu())


def test_a_rectified_convolution_is_what_its_parts_are() -> None:
    x, weight, bias = torch.randn(1, 4, 9, 6), torch.randn(8, 4, 3, 3), torch.randn(8)
    attributes: dict[str, Any] = {"pads": [1, 1, 1, 1], "strides": [1, 1]}
    torch.testing.assert_close(conv_relu(x, weight, bias, **attributes), conv(x, weight, bias, **attributes).relu())
