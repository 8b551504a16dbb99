"""Each operator in PyTorch, beside ONNX Runtime, with attributes at random."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.lacking import needs

needs("torch")
needs("onnx")
needs("onnxruntime")

from tests.runtime.torch.single_nodes import assert_equal_results, by_pytorch, model

few = settings(max_examples=25)
seeds = st.integers(0, 2**31)
sizes = st.lists(st.integers(1, 5), min_size=1, max_size=4)
flags = st.integers(0, 1)


def normal(shape: list[int] | tuple[int, ...], seed: int = 0, kind: str = "f4") -> NDArray[Any]:
    return np.random.default_rng(seed).normal(0, 2, shape).astype(kind)


def whole(*numbers: int) -> NDArray[np.int64]:
    return np.array(numbers, np.int64)


UNARY = ["Abs", "Ceil", "Cos", "Erf", "Exp", "Floor", "HardSwish", "Identity", "Neg", "Reciprocal", "Relu", "Round"]
UNARY += ["Sigmoid", "Sign", "Sin", "Softplus", "Tanh", "GlobalAveragePool", "GlobalMaxPool"]


@pytest.mark.parametrize("kind", UNARY)
def test_functions_of_one_value(kind: str) -> None:
    x = normal((2, 3, 4, 5))
    x.flat[:4] = -0.5, 0.5, 1.5, 2.5  # halves go to the even neighbour
    assert_equal_results(kind, [x])


@pytest.mark.parametrize("kind", ["Log", "Sqrt"])
def test_functions_of_one_positive_value(kind: str) -> None:
    assert_equal_results(kind, [np.abs(normal((3, 4))) + 1e-3])


@pytest.mark.parametrize(
    ("kind", "attributes"),
    [
        ("Elu", {"alpha": 0.7}),
        ("HardSigmoid", {"alpha": 0.3, "beta": 0.4}),
        ("HardSigmoid", {}),
        ("LeakyRelu", {"alpha": 0.2}),
        ("LeakyRelu", {}),
        ("LogSoftmax", {"axis": 1}),
        ("Softmax", {"axis": 0}),
        ("Softmax", {}),
        ("Flatten", {}),
        ("Flatten", {"axis": -1}),
        ("Flatten", {"axis": 0}),
        ("Transpose", {}),
        ("Transpose", {"perm": [2, 0, 1]}),
        ("Shape", {}),
        ("Shape", {"start": 1}),
        ("Shape", {"start": -2, "end": -1}),
        ("Size", {}),
        *[("Cast", {"to": to}) for to in (1, 2, 3, 5, 6, 7, 9, 10, 11)],
    ],
)
def test_functions_of_one_value_with_attributes(kind: str, attributes: dict[str, Any]) -> None:
    assert_equal_results(kind, [np.abs(normal((3, 4, 5)))], attributes)


@few
@given(sizes, seeds, st.sampled_from(["Add", "Sub", "Mul", "Div", "Max", "Min", "Sum", "PRelu"]), st.data())
def test_functions_of_two_values(shape: list[int], seed: int, kind: str, data: st.DataObject) -> None:
    other = [data.draw(st.sampled_from([1, size])) for size in shape][data.draw(st.integers(0, len(shape))) :]
    constants = data.draw(st.sampled_from([(), (1,)]))
    assert_equal_results(kind, [normal(shape, seed), normal(other, seed + 1)], constants=constants)


@pytest.mark.parametrize("kind", ["Add", "Sub", "Mul", "Div", "Max", "Min"])
def test_a_single_number_may_come_first(kind: str) -> None:
    assert_equal_results(kind, [np.array(0.3, np.float32), normal((3, 4))], constants=(0,))


@pytest.mark.parametrize("kind", ["Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Mul", "Add", "Sub"])
@pytest.mark.parametrize("constants", [(), (1,)])
def test_whole_numbers(kind: str, constants: tuple[int, ...]) -> None:
    ours, theirs = (np.random.default_rng(seed).integers(-3, 4, (4, 5)) for seed in range(2))
    assert_equal_results(kind, [ours, theirs], constants=constants)


def test_division_of_whole_numbers_cuts_off() -> None:
    assert_equal_results("Div", [whole(7, -7, 7, -7), whole(2, 2, -2, -2)])


@pytest.mark.parametrize("kind", ["And", "Or"])
def test_logic(kind: str) -> None:
    a, b = np.array([True, True, False, False]), np.array([True, False, True, False])
    assert_equal_results(kind, [a, b])
    assert_equal_results("Not", [a])
    assert_equal_results("Where", [a, normal((2, 4)), normal((4,), 1)])


@pytest.mark.parametrize("exponent", [np.float32(1.7), np.float32(2), np.int64(2)])
@pytest.mark.parametrize("constants", [(), (1,)])
def test_powers(exponent: np.generic, constants: tuple[int, ...]) -> None:
    assert_equal_results("Pow", [np.abs(normal((3, 4))), np.array(exponent)], constants=constants)


@pytest.mark.parametrize("bounds", [(-1.0, 0.5), (None, 0.5), (-1.0, None), (None, None)])
@pytest.mark.parametrize("constants", [(), (1, 2)])
def test_clipping(bounds: tuple[float | None, float | None], constants: tuple[int, ...]) -> None:
    limits = [None if bound is None else np.array(bound, np.float32) for bound in bounds]
    constants = tuple(i for i in constants if limits[i - 1] is not None)
    assert_equal_results("Clip", [normal((3, 4)), *limits], constants=constants)


@pytest.mark.parametrize("approximate", ["none", "tanh"])
def test_gelu(approximate: str) -> None:
    x = normal((3, 4))
    found = by_pytorch(model("Gelu", [x], {"approximate": approximate}, version=20), [x])[0]
    from scipy.special import erf

    exact = x * 0.5 * (1 + erf(x / np.sqrt(2)))
    near = x * 0.5 * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))
    np.testing.assert_allclose(found, exact if approximate == "none" else near, atol=1e-5)


@few
@given(seeds, st.sampled_from(["u1", "i1"]), st.booleans(), st.booleans())
def test_eight_bits(seed: int, kind: str, along: bool, shifted: bool) -> None:
    rng = np.random.default_rng(seed)
    x = np.round(rng.normal(0, 60, (2, 3, 4)) * 2).astype(np.float32) / 2
    count = (3,) if along else ()
    step = np.float32(2.0) ** rng.integers(-1, 2, count)
    zero = rng.integers(0, 100, count).astype(kind) if shifted else np.zeros(count, kind)
    inputs = [x, np.array(step, np.float32), zero]
    assert_equal_results("QuantizeLinear", inputs, {"axis": 1}, constants=(1, 2))
    coded = rng.integers(0, 128, x.shape).astype(kind)
    assert_equal_results("DequantizeLinear", [coded, *inputs[1:]], {"axis": -2}, constants=(1, 2))


@few
@given(sizes, seeds, st.sampled_from(["ReduceMax", "ReduceMean", "ReduceMin", "ReduceSum"]), flags, flags, st.data())
def test_reductions(shape: list[int], seed: int, kind: str, keep: int, noop: int, data: st.DataObject) -> None:
    rank = len(shape)
    axes = data.draw(st.none() | st.lists(st.integers(0, rank - 1), unique=True, max_size=rank))
    signed = None if axes is None else whole(*(axis - rank * data.draw(flags) for axis in axes))
    attributes = {"keepdims": keep, "noop_with_empty_axes": noop}
    constants = () if signed is None else (1,)
    assert_equal_results(kind, [normal(shape, seed), *([] if signed is None else [signed])], attributes, constants)


@few
@given(seeds, flags, flags, st.sampled_from([0.5, 1.0]), st.sampled_from([(), (4,), (3, 4), (3, 1)]))
def test_products(seed: int, first: int, second: int, factor: float, shape: tuple[int, ...]) -> None:
    a, b = normal((5, 3) if first else (3, 5), seed), normal((4, 5) if second else (5, 4), seed + 1)
    attributes = {"transA": first, "transB": second, "alpha": factor, "beta": 2 * factor}
    assert_equal_results("Gemm", [a, b, normal(shape, seed + 2)], attributes, constants=(1, 2))
    assert_equal_results("Gemm", [a, b], {**attributes, "beta": 1.0})
    assert_equal_results("MatMul", [normal((2, 1, 3, 5), seed), normal((2, 5, 4), seed)])


@pytest.mark.parametrize(("x", "b"), [((2, 3, 4), (4,)), ((4,), (4, 5)), ((4,), (4,))])
def test_products_with_vectors(x: tuple[int, ...], b: tuple[int, ...]) -> None:
    assert_equal_results("MatMul", [normal(x), normal(b, 1)])
