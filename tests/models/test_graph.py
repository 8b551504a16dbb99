from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.lacking import needs

needs("torch")
needs("onnx")
needs("onnxscript")

import onnx
import onnxruntime
import torch

from mjpeg_restore import catalogue
from mjpeg_restore.errors import ModelCorrupt
from mjpeg_restore.models.decode import Decode
from mjpeg_restore.models.graph import Graph, export, export_variant, load_weights
from mjpeg_restore.models.papers.hr_cnn import HrCnn
from mjpeg_restore.models.papers.l4_l8 import L4
from mjpeg_restore.models.papers.one_to_many import OneToMany, OneToManyConfig
from mjpeg_restore.models.stream import ResidualBlock, Stream, StreamConfig
from mjpeg_restore.runtime.cpu.projection import SAMPLE_SCALE
from tests.agreement import difference, plain_decode, rounded
from tests.exact_decode import to_pixels
from tests.models.layers import bias

TINY = StreamConfig(width=8, blocks=1, hidden=12, chroma_width=8, chroma_blocks=1, coarse=8, significance=True)
LAYERS = 8
"""In eight bits, in a chain."""


def tiny() -> Stream:
    torch.manual_seed(3)
    network = Stream(TINY)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            parameter.normal_(0, 1 if name.endswith("bias") else 0.1)
        network(*[torch.from_numpy(array.astype(np.float32))[None] for array in inputs((4, 6), (2, 3), (2, 3))])
    return network.eval()


def exported(network: torch.nn.Module, path: Path, *, colour: bool) -> Path:
    export(network, path, colour=colour)
    return path


@pytest.fixture(scope="module")
def colour(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return exported(tiny(), tmp_path_factory.mktemp("graphs") / "new" / "tiny.colour.onnx", colour=True)


@pytest.fixture(scope="module")
def grey(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return exported(tiny(), tmp_path_factory.mktemp("graphs") / "tiny.grey.onnx", colour=False)


def inputs(*grids: tuple[int, int]) -> list[np.ndarray]:
    random = np.random.default_rng(1)
    found = []
    for grid in grids:
        found += [random.integers(-5, 6, (*grid, 64)).astype(np.int16), random.integers(1, 99, 64).astype(np.uint16)]
    return found


def run(graph: Path | bytes, arrays: list[np.ndarray], outputs: list[str] | None = None) -> list[np.ndarray]:
    """What ONNX Runtime makes of inputs: all outputs, unless some are named."""
    session = onnxruntime.InferenceSession(graph)
    found = session.run(outputs, dict(zip([node.name for node in session.get_inputs()], arrays, strict=True)))
    return [np.asarray(array) for array in found]


def names(path: Path) -> set[str]:
    return {name for node in onnx.load(path).graph.node for name in node.output}


@pytest.mark.parametrize("grids", [((4, 6), (2, 3), (2, 3)), ((3, 3), (3, 3), (3, 3)), ((1, 8), (1, 2), (1, 2))])
def test_the_graph_gives_what_the_network_gives(colour: Path, grids: tuple[tuple[int, int], ...]) -> None:
    arrays = inputs(*grids)
    ours = run(colour, arrays)
    with torch.no_grad():
        theirs = Graph(tiny())(*[torch.from_numpy(array) for array in arrays])
    for one, other in zip(ours, theirs, strict=True):
        assert one.dtype == np.uint8
        assert one.shape == other.shape
    assert difference(ours, [plane.numpy() for plane in theirs], plain_decode(arrays)) <= rounded(LAYERS)


def test_a_bias_that_is_missing_is_more_than_may_be_rounded(colour: Path, tmp_path: Path) -> None:
    arrays = inputs((4, 6), (2, 3), (2, 3))
    model = onnx.load(colour)

    def planes() -> list[np.ndarray]:
        return run(model.SerializeToString(), arrays)

    right, found = planes(), {}
    for tensor in [tensor for tensor in model.graph.initializer if tensor.name.endswith(".bias")]:
        kept = onnx.TensorProto()
        kept.CopyFrom(tensor)
        tensor.CopyFrom(onnx.numpy_helper.from_array(0 * onnx.numpy_helper.to_array(kept), kept.name))
        found[kept.name] = difference(planes(), right, plain_decode(arrays))
        tensor.CopyFrom(kept)
    # What the inner layers of a block add, and the last layers in units of a cell, is lost among the roundings.
    seen = {name for name, share in found.items() if share > rounded(LAYERS)}
    assert seen >= {name for name in found if any(part in name for part in ("enter", "guide", "condition", "grow"))}
    assert len(seen) > 10


def test_the_grey_graph_is_lumas_part(grey: Path, colour: Path) -> None:
    arrays = inputs((4, 6), (2, 3), (2, 3))
    session, whole = onnxruntime.InferenceSession(grey), onnxruntime.InferenceSession(colour)
    (luma,) = session.run(None, {"y.coefficients": arrays[0], "y.table": arrays[1]})
    planes = whole.run(None, dict(zip([node.name for node in whole.get_inputs()], arrays, strict=True)))
    np.testing.assert_array_equal(luma, planes[0])


def test_the_contract_is_in_the_names(colour: Path, grey: Path) -> None:
    graph = onnx.load(colour).graph
    parts = [f"{name}.{part}" for name in ("y", "cb", "cr") for part in ("coefficients", "table")]
    assert [entry.name for entry in graph.input] == parts
    assert [entry.name for entry in graph.output] == ["y", "cb", "cr"]
    assert names(colour) >= {"y.samples", "cb.samples", "cr.samples", "predict.phases", "chroma_predict.phases"}
    assert names(colour) >= {"enter.entering", "chroma_enter.entering"}
    assert names(grey) >= {"y.samples", "predict.phases", "enter.entering"}


def test_samples_are_the_planes_before_rounding(colour: Path) -> None:
    model = onnx.load(colour)
    wanted = ["y", "cb", "cr"]
    for name in wanted:
        model.graph.output.append(onnx.helper.make_tensor_value_info(f"{name}.samples", onnx.TensorProto.FLOAT, None))
    arrays = inputs((4, 6), (2, 3), (2, 3))
    found = run(model.SerializeToString(), arrays)
    for plane, blocks in zip(found[:3], found[3:], strict=True):
        centred = blocks.reshape(plane.shape[0] // 8, plane.shape[1] // 8, 8, 8).swapaxes(1, 2).reshape(plane.shape)
        np.testing.assert_array_equal(plane, np.rint(centred + 128).clip(0, 255))


def test_what_enters_the_network_is_decoded(colour: Path) -> None:
    model = onnx.load(colour)
    entering = ["enter.entering", "chroma_enter.entering"]
    for name in entering:
        model.graph.output.append(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None))
    arrays = inputs((4, 6), (2, 3), (2, 3))
    luma, chroma = run(model.SerializeToString(), arrays, entering)
    assert (luma.shape, chroma.shape) == ((1, 1, 32, 48), (1, 2, 16, 24))
    for samples, blocks, table in zip([luma[0, 0], *chroma[0]], arrays[::2], arrays[1::2], strict=True):
        np.testing.assert_allclose(samples, (to_pixels(blocks, table) - 128) / SAMPLE_SCALE, atol=1e-4)


def test_shapes_are_dynamic(colour: Path) -> None:
    for entry in onnx.load(colour).graph.input:
        sizes = entry.type.tensor_type.shape.dim
        if entry.name.endswith("coefficients"):
            assert sizes[0].dim_param
            assert sizes[1].dim_param
            assert sizes[2].dim_value == 64


def test_weights_come_back(colour: Path) -> None:
    torch.manual_seed(99)
    network = Stream(TINY).eval()
    load_weights(network, colour)
    for ours, theirs in zip(network.state_dict().values(), tiny().state_dict().values(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-5)  # what is large is kept as float16


def test_large_weights_are_kept_as_halves_and_the_dct_is_not(colour: Path) -> None:
    kinds = {tensor.name: tensor.data_type for tensor in onnx.load(colour).graph.initializer}
    halves = {name for name, kind in kinds.items() if kind == onnx.TensorProto.FLOAT16}
    assert halves
    assert all(name.endswith(".half") for name in halves)
    assert kinds["network.inverse_dct.matrix"] == onnx.TensorProto.FLOAT


def test_convolutions_in_eight_bits_say_so(colour: Path) -> None:
    graph = onnx.load(colour).graph
    makers = {output: node for node in graph.node for output in node.output}
    zeros = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer}
    found = {}
    for node in graph.node:
        if node.op_type == "Conv" and makers.get(node.input[1]) and makers[node.input[1]].op_type == "DequantizeLinear":
            features, weight = (makers[name] for name in node.input[:2])
            assert [part.op_type for part in (features, makers[features.input[0]])] == [
                "DequantizeLinear",
                "QuantizeLinear",
            ]
            assert zeros[weight.input[1]].shape == zeros[weight.input[2]].shape  # a step for each channel
            assert zeros[weight.input[2]].dtype == np.int8
            found[makers[weight.input[0]].input[1]] = zeros[features.input[2]].dtype
    first, second = ("trunk.0.block", "chroma_trunk.0"), ("trunk.0.block", "trunk.1", "chroma_trunk.0")
    assert found == {
        **{f"network.{prefix}.first.weight_step": np.int8 for prefix in first},
        **{f"network.{prefix}.second.weight_step": np.uint8 for prefix in second},  # what a rectifier lets pass
        **{f"network.{prefix}.phases.weight_step": np.int8 for prefix in ("predict", "chroma_predict")},
    }


@pytest.mark.slow
def test_runtimes_agree_where_a_channel_has_died(tmp_path: Path) -> None:
    network = tiny()
    with torch.no_grad():
        block = network.trunk[1]
        assert isinstance(block, ResidualBlock)
        block.second.weight[2] = 0
        bias(block.second)[2] = 0.3
    path = exported(network.eval(), tmp_path / "dead.onnx", colour=False)
    arrays = inputs((4, 6))
    (luma,) = run(path, arrays)
    with torch.no_grad():
        (expected,) = Graph(network)(*[torch.from_numpy(array) for array in arrays])
    assert np.abs(luma.astype(int) - expected.numpy()).mean() < 0.2


def test_weights_that_are_not_there_are_named(grey: Path) -> None:
    with pytest.raises(ModelCorrupt, match=r"not a graph of this network, it has no.*chroma"):
        load_weights(Stream(TINY), grey)


def test_the_file_says_nothing_of_the_machine(colour: Path) -> None:
    for path in [colour, *catalogue.shipped_folder().glob("*.onnx")]:
        data = path.read_bytes()
        for trace in (b".py", b"/home/", b"/tmp", b"/root", b"/usr/", str(Path.cwd()).encode()):
            assert trace not in data, f"{path.name}: {trace!r}"


def test_decode_is_exported_too(tmp_path: Path) -> None:
    path = exported(Decode(), tmp_path / "decode.onnx", colour=False)
    coefficients = np.zeros((2, 2, 64), np.int16)
    coefficients[..., 0] = 4
    (luma,) = run(path, [coefficients, np.full(64, 10, np.uint16)])
    assert (luma == 128 + 5).all()  # a DC of 40 is 5 a sample


SMALL = OneToManyConfig(width=4, branch_units=1, aggregation_units=1)


@pytest.mark.parametrize(
    ("network", "kinds"),
    [
        (OneToMany(replace(SMALL, noise=False), chroma=True), ["grey"]),
        (L4(chroma=True), ["grey"]),
        (HrCnn(chroma=True), ["grey"]),
        (L4(chroma=False), ["grey", "colour"]),
        (tiny(), ["grey", "colour"]),
    ],
    ids=["One-to-Many's baseline", "L4", "HR-CNN", "L4 of luma alone", "stream"],
)
def test_a_network_whose_components_are_alike_has_one_graph(
    tmp_path: Path, network: torch.nn.Module, kinds: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mjpeg_restore.models.graph.export", lambda _, path, **__: path.touch())  # it takes seconds
    monkeypatch.setattr("mjpeg_restore.models.graph.described", lambda path: path)
    graphs = export_variant({"grey": network, "colour": network}, "tiny", tmp_path)
    assert list(graphs) == kinds
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(f"tiny.{kind}.onnx" for kind in kinds)
