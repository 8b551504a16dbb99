"""Rounding to 8 bits, and the ends of a graph, in the forms for GPUs: compared with ONNX Runtime on each value."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from mjpeg_restore.runtime.rewriting import for_tensorrt, for_torch
from tests.lacking import needs
from tests.runtime.rewriting.running import Loaded, as_bytes, content, small_graph

onnx = needs("onnx")
node, Kind = onnx.helper.make_node, onnx.TensorProto

EVERY_INT16 = np.arange(-32768, 32768, dtype=np.int16).reshape(32, 32, 64)
EVERY_UINT16 = np.arange(65536, dtype=np.uint16)


def operators(graph: bytes) -> list[str]:
    return [node.op_type for node in onnx.load_model_from_string(graph).graph.node]


def test_bytes_are_put_together_to_every_coefficient() -> None:
    graph = small_graph(
        [node("Cast", ["y.coefficients"], ["out"], to=Kind.FLOAT)],
        [("y.coefficients", Kind.INT16, ["high", "wide", 64])],
        [("out", Kind.FLOAT, ["high", "wide", 64])],
    )
    (found,) = Loaded(for_tensorrt(graph, half=False)).run(as_bytes([EVERY_INT16]))
    np.testing.assert_array_equal(found, EVERY_INT16)


def test_sizes_and_integers_of_the_inputs_stay() -> None:
    graph = small_graph(
        [
            node("Shape", ["y.coefficients"], ["sizes"]),
            node("Cast", ["y.coefficients"], ["whole"], to=Kind.INT32),
            node("Cast", ["y.table"], ["steps"], to=Kind.INT32),
        ],
        [("y.coefficients", Kind.INT16, ["high", "wide", 64]), ("y.table", Kind.UINT16, [65536])],
        [("sizes", Kind.INT64, [3]), ("whole", Kind.INT32, ["high", "wide", 64]), ("steps", Kind.INT32, [65536])],
    )
    sizes, whole, steps = Loaded(for_tensorrt(graph, half=False)).run(as_bytes([EVERY_INT16, EVERY_UINT16]))
    assert sizes.tolist() == [32, 32, 64]
    np.testing.assert_array_equal(whole, EVERY_INT16)
    np.testing.assert_array_equal(steps, EVERY_UINT16)


@pytest.mark.parametrize("step", [1.0, 0.3])
@pytest.mark.parametrize("zero", [None, 0, 128])
def test_samples_are_rounded_as_before(step: float, zero: int | None) -> None:
    graph = small_graph(
        [node("QuantizeLinear", ["x", "step", *([] if zero is None else ["zero"])], ["y"])],
        [("x", Kind.FLOAT, ["n"])],
        [("y", Kind.UINT8, ["n"])],
        step=np.array(step, np.float32),
        zero=np.array(zero or 0, np.uint8),
    )
    halves = np.arange(-600, 601, dtype=np.float32) / 2 * np.float32(step)  # each tie between two samples
    values = np.concatenate([np.nextafter(halves, np.float32(end)) for end in (-1e9, 1e9)] + [halves])
    rewritten = for_tensorrt(graph, half=False)
    assert operators(rewritten)[-2:] == ["Clip", "Cast"]
    (expected,), (found,) = Loaded(graph).run([values]), Loaded(rewritten).run([values])
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, expected)


def test_a_cast_that_cuts_off_still_does() -> None:
    graph = small_graph(
        [
            node("Cast", ["x"], ["bytes"], to=Kind.UINT8),
            node("Reshape", ["bytes", "shape"], ["y"]),
        ],
        [("x", Kind.FLOAT, ["n"])],
        [("y", Kind.UINT8, ["n", 1])],
        shape=np.array([-1, 1], np.int64),
    )
    values = np.linspace(0, 255.9, 1000, dtype=np.float32)
    np.testing.assert_array_equal(
        Loaded(for_tensorrt(graph, half=False)).run([values])[0], Loaded(graph).run([values])[0]
    )


def pair(kind: type[np.integer[Any]], zero: int, *before: Any, after: str = "x") -> bytes:
    """A pair of QuantizeLinear and DequantizeLinear, between the nodes `before` and a Neg."""
    return small_graph(
        [
            *before,
            node("QuantizeLinear", [after, "step", "zero"], ["rounded"]),
            node("DequantizeLinear", ["rounded", "step", "zero"], ["again"]),
            node("Neg", ["again"], ["y"]),
        ],
        [("x", Kind.FLOAT, ["n"])],
        [("y", Kind.FLOAT, ["n"])],
        step=np.array(0.5, np.float32),
        zero=np.array(zero, kind),
    )


VALUES = np.array([-1000, -3.3, 0, 0.2, 7.7, 1000], np.float32)


@pytest.mark.parametrize(
    ("graph", "left"),
    [
        (pair(np.int8, 0), ["Neg"]),
        (pair(np.uint8, 128), ["Neg"]),
        (pair(np.uint8, 0), ["Relu", "Neg"]),  # the range rectified
        (pair(np.uint8, 0, node("Relu", ["x"], ["r"]), after="r"), ["Relu", "Neg"]),
    ],
    ids=["signed", "shifted", "unsigned", "rectified"],
)
def test_pairs_are_removed_and_rectify_as_before(graph: bytes, left: list[str]) -> None:
    found = for_torch(graph, half=False)
    assert operators(found) == left
    expected = np.maximum(VALUES, 0) if "Relu" in left else VALUES
    np.testing.assert_array_equal(Loaded(found).run([VALUES])[0], -expected)


def test_pairs_that_follow_each_other_are_removed() -> None:
    model = onnx.load_model_from_string(pair(np.int8, 0))
    model.graph.node[2].CopyFrom(node("QuantizeLinear", ["again", "step", "zero"], ["once more"]))
    model.graph.node.append(node("DequantizeLinear", ["once more", "step", "zero"], ["last"]))
    model.graph.node.append(node("Neg", ["last"], ["y"]))
    assert operators(for_torch(model.SerializeToString(), half=False)) == ["Neg"]


@given(st.integers(0, 2**32 - 1), st.sampled_from([np.int8, np.uint8]), st.sampled_from([0, 1, None]), st.booleans())
def test_weights_keep_their_rounded_values(
    seed: int, kind: type[np.integer[Any]], axis: int | None, zero: bool
) -> None:
    random = np.random.default_rng(seed)
    count = () if axis is None else ((4, 6)[axis],)
    limits = np.iinfo(kind)
    zeros = random.integers(limits.min, limits.max, count, endpoint=True) if zero else np.zeros(count)
    graph = small_graph(
        [
            node("Cast", ["stored"], ["weights"], to=Kind.FLOAT),
            node("QuantizeLinear", ["weights", "step", "zero"], ["rounded"], axis=axis or 0),
            node("DequantizeLinear", ["rounded", "step", "zero"], ["again"], axis=axis or 0),
            node("MatMul", ["x", "again"], ["y"]),
        ],
        [("x", Kind.FLOAT, [4, 4])],
        [("y", Kind.FLOAT, [4, 6])],
        stored=random.normal(0, 1, (4, 6)).astype(np.float16),
        step=random.uniform(0.003, 0.03, count).astype(np.float32),
        zero=zeros.astype(kind),
    )
    found = for_torch(graph, half=False)
    assert operators(found) == ["MatMul"]
    unit = np.eye(4, dtype=np.float32)  # the product is the weights
    np.testing.assert_array_equal(Loaded(found).run([unit])[0], Loaded(graph).run([unit])[0])


@pytest.mark.parametrize("file", ["stream.colour.onnx", "stream-lite.colour.onnx"])
def test_shipped_weights_are_whole_multiples_of_their_steps(file: str) -> None:
    def constants(graph: bytes) -> dict[str, NDArray[Any]]:
        tensors = onnx.load_model_from_string(graph).graph.initializer
        return {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in tensors}

    before, after = constants(content(file)), constants(for_tensorrt(content(file), half=False))
    nodes = onnx.load_model_from_string(content(file)).graph.node
    pairs = [node for node in nodes if node.op_type == "DequantizeLinear" and node.input[1].endswith(".weight_step")]
    assert pairs
    for again in pairs:
        whole = after[again.output[0]] / before[again.input[1]].reshape(-1, 1, 1, 1)
        np.testing.assert_allclose(whole, np.rint(whole), atol=1e-4)
        assert 1 < np.abs(whole).max() < 128.5
