"""float16 where learnt layers compute, float32 elsewhere.

ONNX Runtime has few operators in float16 on an x86-64 CPU. It casts to float32, computes, and casts back only where a
result leaves a run of such nodes: rounding between them is left out. So planes are computed with `round_as_float16`
here, which rounds the result of every node, as a GPU would that fuses none.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from mjpeg_restore.jpeg.dct import DCT_MATRIX
from mjpeg_restore.runtime import Inputs
from mjpeg_restore.runtime.rewriting import for_tensorrt, for_torch
from tests.lacking import needs
from tests.runtime.rewriting.running import GRAPHS, Loaded, as_bytes, content, inputs, small_graph, types

onnx = needs("onnx")
needs("PIL")

from measuring.precision import round_as_float16

from mjpeg_restore.runtime.rewriting.precision import ELEMENTWISE, LAYOUT

node, Kind = onnx.helper.make_node, onnx.TensorProto

RANDOM = np.random.default_rng(0)
RESTORING = [file for file in GRAPHS if ".context." not in file]
LEARNT = [file for file in RESTORING if not file.startswith("decode")]
LARGEST = 65504.0

DCT = DCT_MATRIX.astype(np.float32)
WEIGHTS = {
    "masks": RANDOM.normal(0, 0.2, (4, 4, 3, 3)).astype(np.float32),
    "matrix": RANDOM.normal(0, 0.2, (64, 64)).astype(np.float32),
    "dct": DCT,
}


def halved(*nodes: Any, **constants: Any) -> set[str]:
    """The tensors in float16 of a graph whose inputs are pictures `x` and `x2`, blocks `b` and a row `r`."""
    used = {name for made in nodes for name in made.input}
    arrays = WEIGHTS | {name: np.asarray(value) for name, value in constants.items()}
    shapes = {"x": [1, 4, "h", "w"], "x2": [1, 4, "h", "w"], "b": [1, "n", 64], "r": [1, 64]}
    graph = small_graph(
        [
            *nodes,
            node("Reshape", ["out", "flat"], ["row of all"]),
            node("QuantizeLinear", ["row of all", "one", "middle"], ["y"]),
        ],
        [(name, Kind.FLOAT, shape) for name, shape in shapes.items() if name in used],
        [("y", Kind.UINT8, ["all"])],
        **{name: array for name, array in arrays.items() if name in used},
        flat=np.array([-1], np.int64),
        one=np.array(1, np.float32),
        middle=np.array(128, np.uint8),
    )
    model = onnx.load_model_from_string(for_torch(graph, half=True))
    onnx.checker.check_model(model, full_check=True)
    made = {name for node in model.graph.node if node.op_type not in ("Cast",) for name in node.output}
    return {name for name, kind in types(model).items() if kind == Kind.FLOAT16 and name in made}


def conv(before: str, after: str) -> Any:
    return node("Conv", [before, "masks"], [after], pads=[1, 1, 1, 1])


def test_a_residual_is_added_in_float32_at_the_end_and_in_float16_before() -> None:
    trunk = [conv("x", "a"), conv("a", "b1"), node("Relu", ["b1"], ["b2"]), node("Add", ["a", "b2"], ["c"])]
    end = [conv("c", "d"), node("Add", ["x", "d"], ["out"])]
    assert halved(*trunk, *end) == {"a", "b1", "b2", "c", "d"}


def test_what_follows_the_last_layer_is_in_float32() -> None:
    assert halved(conv("x", "a"), node("Relu", ["a"], ["r1"]), node("Transpose", ["r1"], ["out"])) == {"a"}


def test_a_side_input_is_cast_before_it_is_joined() -> None:
    joined = node("Concat", ["a", "x2"], ["c"], axis=0)
    assert halved(conv("x", "a"), joined, conv("c", "out")) == {"a", "c", "out"}


def test_mixed_operands_are_added_in_float32() -> None:
    assert halved(conv("x", "a"), node("Add", ["a", "x2"], ["c"]), conv("c", "out")) == {"a", "out"}


def test_statistics_are_in_float32() -> None:
    nodes = [conv("x", "a"), node("GlobalAveragePool", ["a"], ["m"]), node("Mul", ["a", "m"], ["s"]), conv("s", "out")]
    assert halved(*nodes) == {"a", "out"}


def test_sizes_are_taken_without_a_cast() -> None:
    nodes = [conv("x", "a"), node("Shape", ["a"], ["size"]), node("Reshape", ["a", "size"], ["c"]), conv("c", "out")]
    assert halved(*nodes) == {"a", "c", "out"}


def test_scales_of_a_resize_stay_in_float32() -> None:
    nodes = [conv("x", "a"), node("Resize", ["a", "", "scales"], ["c"]), conv("c", "out")]
    assert halved(*nodes, scales=np.array([1, 1, 2, 2], np.float32)) == {"a", "c", "out"}


@pytest.mark.parametrize("value", [1e6, np.inf, 1e-9])
def test_a_constant_that_float16_cannot_hold_keeps_its_node_in_float32(value: float) -> None:
    nodes = [conv("x", "a"), node("Add", ["a", "value"], ["c"]), conv("c", "out")]
    assert halved(*nodes, value=np.float32(value)) == {"a", "out"}


def test_a_learnt_matrix_is_in_float16() -> None:
    assert halved(node("MatMul", ["b", "matrix"], ["out"])) == {"out"}


def test_a_matrix_that_layers_make_is_in_float16() -> None:
    nodes = [node("MatMul", ["r", "matrix"], ["row"]), node("Transpose", ["row"], ["column"])]
    assert halved(*nodes, node("MatMul", ["b", "column"], ["out"])) == {"row", "column", "out"}


@pytest.mark.parametrize("matrix", [DCT, DCT.T, 8 * DCT], ids=["forward", "inverse", "scaled"])
def test_a_transform_and_what_is_made_of_it_is_in_float32(matrix: Any) -> None:
    table = [node("Mul", ["r", "dct"], ["scaled"]), node("MatMul", ["b", "scaled"], ["samples"])]
    layer = [node("MatMul", ["samples", "matrix"], ["features"]), node("MatMul", ["features", "dct"], ["out"])]
    assert halved(*table, *layer, dct=np.ascontiguousarray(matrix)) == {"features"}


def test_masks_that_are_a_transform_are_in_float32() -> None:
    masks = DCT.reshape(64, 1, 8, 8)
    nodes = [node("Slice", ["x", "from", "to", "axis"], ["s"]), node("Conv", ["s", "dct"], ["out"], strides=[8, 8])]
    ends = {name: np.array([value], np.int64) for name, value in {"from": 0, "to": 1, "axis": 1}.items()}
    assert halved(*nodes, dct=masks, **ends) == set()


@pytest.mark.parametrize("file", [file for file in GRAPHS if ".context." in file])
def test_a_context_is_in_float32(file: str) -> None:
    assert for_tensorrt(content(file), half=True) == for_tensorrt(content(file), half=False)


@pytest.mark.parametrize("file", LEARNT)
def test_shipped_trunks_are_in_float16_without_a_cast(file: str) -> None:
    model = onnx.load_model_from_string(for_tensorrt(content(file), half=True))
    kinds, constants = types(model), {tensor.name: tensor for tensor in model.graph.initializer}
    makers = {name: node for node in model.graph.node for name in node.output}
    for made in model.graph.node:
        floating = {kinds[name] for name in made.input if kinds.get(name) in (Kind.FLOAT, Kind.FLOAT16)}
        if made.op_type in ("Conv", "ConvTranspose", "Gemm") and made.input[1] != "network.masks":
            assert floating == {Kind.FLOAT16}
        if any("dct" in name or (name.startswith("permute_") and name in constants) for name in made.input):
            assert floating == {Kind.FLOAT}
        assert not (made.op_type == "Cast" and made.input[0] in constants)
    planes = [port.name for port in GRAPHS[file].outputs if port.kind == "samples"]
    for plane in planes:
        assert kinds[f"{plane}.samples"] == Kind.FLOAT

    @cache
    def origins(name: str) -> set[str]:
        """The tensors from which layout changes and elementwise operators make this one."""
        made = makers.get(name)
        if made is None or made.op_type not in LAYOUT | ELEMENTWISE:
            return {name}
        return set().union(*map(origins, made.input))

    ends = {end.name for end in (*model.graph.input, *model.graph.output)}
    into = [node for node in model.graph.node if node.op_type == "Cast" and kinds[node.output[0]] == Kind.FLOAT16]
    for cast in [node for node in into if node.output[0] not in ends]:
        assert makers[cast.input[0]].op_type == "Clip"
        if GRAPHS[file].has_state:
            continue  # what the gate decides is done in float32, and enters the network
        for origin in origins(cast.input[0]):
            assert origin not in makers or kinds[makers[origin].input[0]] != Kind.FLOAT16  # nothing goes there and back


def rounded(graph: bytes, outputs: list[str] | None = None) -> Loaded:
    """A graph for TensorRT with the rounding of float16, and further outputs."""
    model = onnx.load_model_from_string(graph)
    round_as_float16(model)
    model.graph.output.extend(onnx.helper.make_tensor_value_info(name, Kind.FLOAT, None) for name in outputs or [])
    return Loaded(model.SerializeToString())


@pytest.mark.parametrize("file", RESTORING)
def test_planes_differ_by_rounding_alone(file: str) -> None:
    single, half = Loaded(for_tensorrt(content(file), half=False)), rounded(for_tensorrt(content(file), half=True))
    for chroma, step in [((3, 4), (2, 2)), ((1, 1), (1, 1))]:
        picture = as_bytes(inputs(GRAPHS[file], chroma, step if "colour" in file else (1, 1)))
        count = sum(port.kind == "samples" for port in GRAPHS[file].outputs)
        for ours, theirs in zip(half.run(picture)[:count], single.run(picture)[:count], strict=True):
            apart = np.abs(ours.astype(int) - theirs)
            # A residual of up to 100 levels has 11 bits, after a few dozen roundings that are independent of each
            # other: it is off by some tenths of a level, and the sample by one where that crosses a half.
            assert apart.max() <= 2
            assert apart.mean() < 0.25


def extreme(picture: Inputs, step: int, draw: Any) -> Inputs:
    """A picture with other coefficients, and with tables of one step."""
    return [
        draw(array.shape)
        if array.dtype == np.int16
        else np.full_like(array, step)
        if array.dtype == np.uint16
        else array
        for array in picture
    ]


PATTERNS = {
    "highest": lambda shape: np.full(shape, 2047, np.int16),
    "lowest": lambda shape: np.full(shape, -2047, np.int16),
    "signs": lambda shape: np.random.default_rng(1).choice(np.array([-2047, 2047], np.int16), shape),
    "mean": lambda shape: np.pad(np.full((*shape[:2], 1), 2047, np.int16), [(0, 0), (0, 0), (0, 63)]),
}


def watched(file: str) -> tuple[Loaded, list[str]]:
    """A graph with the samples before rounding, and all its tensors in float16, as further outputs; their names."""
    graph = for_tensorrt(content(file), half=True)
    model = onnx.load_model_from_string(graph)
    constants = {tensor.name for tensor in model.graph.initializer}
    halves = [name for name, kind in types(model).items() if kind == Kind.FLOAT16 and name not in constants]
    names = [*(f"{port.name}.samples" for port in GRAPHS[file].outputs if port.kind == "samples"), *halves]
    return rounded(graph, names), names


def overflowing(watch: tuple[Loaded, list[str]], picture: Inputs) -> list[str]:
    """The tensors that are too large for float16, and the samples that are no numbers."""
    loaded, names = watch
    found = loaded.run(as_bytes(picture))[-len(names) :]
    limits = (np.inf if name.endswith(".samples") else LARGEST for name in names)
    return [name for name, values, limit in zip(names, found, limits, strict=True) if not np.abs(values).max() < limit]


@pytest.mark.parametrize("file", LEARNT)
def test_no_picture_overflows(file: str) -> None:
    watch = watched(file)
    for draw in PATTERNS.values():
        for step, chroma in [(65535, (2, 2)), (16, (2, 2)), (1, (1, 1))]:
            assert not overflowing(watch, extreme(inputs(GRAPHS[file], chroma), step, draw))


STEEP = "hr-cnn-q50.grey.onnx"
"""The network whose features grow most."""


@settings(max_examples=20)
@given(st.integers(0, 2**32 - 1), st.sampled_from([1, 8, 255, 65535]), st.floats(0, 1))
def test_no_pattern_overflows_in_the_steepest_network(seed: int, step: int, share: float) -> None:
    random, values = np.random.default_rng(seed), np.array([-2047, 0, 2047], np.int16)

    def draw(shape: tuple[int, ...]) -> NDArray[np.int16]:
        return random.choice(values, shape, p=[share / 2, 1 - share, share / 2])

    assert not overflowing(steepest(), extreme(inputs(GRAPHS[STEEP], (2, 2)), step, draw))


@cache
def steepest() -> tuple[Loaded, list[str]]:
    return watched(STEEP)


@pytest.mark.parametrize("file", LEARNT)
def test_samples_far_out_of_range_are_restored_alike(file: str) -> None:
    single, half = Loaded(for_tensorrt(content(file), half=False)), rounded(for_tensorrt(content(file), half=True))
    for draw in PATTERNS.values():
        picture = as_bytes(extreme(inputs(GRAPHS[file], (2, 2)), 1, draw))
        count = sum(port.kind == "samples" for port in GRAPHS[file].outputs)
        for ours, theirs in zip(half.run(picture)[:count], single.run(picture)[:count], strict=True):
            assert np.abs(ours.astype(int) - theirs).mean() < 3
