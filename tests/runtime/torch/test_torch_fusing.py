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
from mjpeg_restore.runtime.torch.fusing import conv_add, conv_relu, fused, multiply_add
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
    joined = Counter(node.kind for node in fused(read._nodes, read._outputs) if "+" in node.kind)
    assert joined["Conv+Relu"] == 7  # each block's first convolution
    assert joined["Conv+Add"] == 8  # each block's second one, and chroma's guide
    assert joined["Mul+Add"] == 2  # the conditions on tables


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


@pytest.mark.parametrize(
    ("nodes", "outputs", "kinds"),
    [
        ([convolved(), onnx.helper.make_node("Relu", ["c"], ["out"])], ("out",), ["Conv+Relu"]),
        ([convolved(), onnx.helper.make_node("Add", ["c", "x"], ["out"])], ("out",), ["Conv+Add"]),
        ([convolved(), onnx.helper.make_node("Add", ["x", "c"], ["out"])], ("out",), ["Conv+Add"]),
        # What others need as well stays, and so does what is added to itself.
        ([convolved(), onnx.helper.make_node("Relu", ["c"], ["out"])], ("out", "c"), ["Conv", "Relu"]),
        ([convolved(), onnx.helper.make_node("Add", ["c", "c"], ["out"])], ("out",), ["Conv", "Add"]),
        (
            [convolved("c"), convolved("d"), onnx.helper.make_node("Add", ["d", "c"], ["out"])],
            ("out",),
            ["Conv", "Conv+Add"],
        ),
    ],
)
def test_only_what_nobody_else_needs_is_joined(nodes: list[Any], outputs: tuple[str, ...], kinds: list[str]) -> None:
    read = nodes_of(*nodes, outputs=outputs)
    assert [node.kind for node in fused(read._nodes, read._outputs)] == kinds
    x = torch.arange(2 * 5 * 7, dtype=torch.float32).reshape(1, 2, 5, 7)
    plain, joined = (read.plan((tuple(x.shape),), fuse=fuse)([x]) for fuse in (False, True))
    for one, other in zip(plain, joined, strict=True):
        torch.testing.assert_close(one, other)


def test_the_functions_are_what_their_parts_are() -> None:
    random = torch.Generator().manual_seed(1)
    x, weight = torch.randn(1, 4, 9, 6, generator=random), torch.randn(8, 4, 3, 3, generator=random)
    bias, other = torch.randn(8, generator=random), torch.randn(1, 8, 9, 6, generator=random)
    attributes: dict[str, Any] = {"pads": [1, 1, 1, 1], "strides": [1, 1]}
    plain = conv(x, weight, bias, **attributes)
    torch.testing.assert_close(conv_relu(x, weight, bias, **attributes), plain.relu())
    torch.testing.assert_close(conv_add(x, weight, bias, other, **attributes), plain + other)
    torch.testing.assert_close(conv_add(x, weight, None, other, **attributes), conv(x, weight, **attributes) + other)
    gain, shift = torch.randn(1, 8, 1, 1, generator=random), torch.randn(1, 8, 1, 1, generator=random)
    torch.testing.assert_close(multiply_add(plain, gain, shift), plain * gain + shift)
    torch.testing.assert_close(multiply_add(plain, torch.tensor(2.0), other), 2 * plain + other)
