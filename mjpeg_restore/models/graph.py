"""The contract that every model is exported under: coefficients in, pixels out (int16 and uint16 in, uint8 out).

| input | type | shape |
|---|---|---|
| `y.coefficients`, `cb.coefficients`, `cr.coefficients` | int16 | `[blocks_high, blocks_wide, 64]`, natural order |
| `y.table`, `cb.table`, `cr.table` | uint16 | `[64]`, natural order |

| output | type | shape |
|---|---|---|
| `y`, `cb`, `cr` | uint8 | `[8 blocks_high, 8 blocks_wide]` of the component |

A grey graph has luma's inputs and output only. In a colour graph luma's block grid is an exact multiple of chroma's,
and the two chroma grids are equal. The shapes are dynamic: one graph serves every size and sampling.

Two kinds of inner tensors carry names, so that a tool or a runtime can find them. `y.samples` and its like are the
samples before rounding, float32 `[1, blocks_high, blocks_wide, 64]`, centred on zero. The output of a layer called
`project` inside a layer called `*predict` is a `*.place`: the network's last word, from which float32 arithmetic
takes over.
"""

from __future__ import annotations

import hashlib
import logging
import warnings
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import onnx
import torch
from torch import Tensor, nn

from mjpeg_restore.models.decode import blocks_to_plane, to_uint8

COMPONENTS = ("y", "cb", "cr")
OPSET = 18


class Graph(nn.Module):
    """A network under the contract."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, *components: Tensor) -> tuple[Tensor, ...]:
        """Coefficients and table of each component in turn to a plane each; see the module's docstring."""
        samples = self.network(*[tensor.float()[None] for tensor in components])
        # Rounded first, laid out second: a quarter of the bytes to move.
        return tuple(blocks_to_plane(to_uint8(blocks))[0] for blocks in samples)


def export(network: nn.Module, path: Path, *, colour: bool) -> None:
    """Write a network as ONNX under the contract.

    Args:
        network: takes coefficients `[1, high, wide, 64]` and table `[1, 64]` of each component in turn, float32, and
            gives a tuple of blocks of centred samples `[1, high, wide, 64]`.
        path: where the ONNX file goes, weights included.
        colour: three components, or luma alone.
    """
    names = COMPONENTS if colour else COMPONENTS[:1]
    arguments: list[Tensor] = []
    shapes: list[dict[int, object] | None] = []
    for name in names:
        high, wide = (8, 12) if name == "y" else (4, 6)
        arguments += [torch.zeros(high, wide, 64, dtype=torch.int16), torch.ones(64, dtype=torch.uint16)]
        shapes += [{0: torch.export.Dim.AUTO, 1: torch.export.Dim.AUTO}, None]
    with _quiet_exporter():
        program = torch.onnx.export(
            Graph(network).eval(),
            tuple(arguments),
            dynamo=True,
            input_names=[f"{name}.{part}" for name in names for part in ("coefficients", "table")],
            output_names=list(names),
            dynamic_shapes=(tuple(shapes),),
            opset_version=OPSET,
            external_data=False,
            verbose=False,
        )
    if program is None:
        raise AssertionError("the exporter returned nothing")
    model = program.model_proto
    _round_in_one(model)
    _name_inner_tensors(model)
    _strip(model)
    onnx.checker.check_model(model, full_check=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(model.SerializeToString())


def publish(network: nn.Module, name: str, folder: Path) -> dict[str, dict[str, str]]:
    """Write a network's grey and colour graph, `NAME.gray.onnx` and `NAME.colour.onnx`.

    Returns:
        File name and checksum of each, as the catalogue's `Model.graphs` has them.
    """
    graphs: dict[str, dict[str, str]] = {}
    for kind in ("gray", "colour"):
        path = folder / f"{name}.{kind}.onnx"
        export(network, path, colour=kind == "colour")
        graphs[kind] = {"file": path.name, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
    return graphs


@contextmanager
def _quiet_exporter() -> Generator[None]:
    """The exporter's own deprecations, and what it says of packages that it could use, concern its authors."""
    log = logging.getLogger("torch.onnx")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(level)


def load_weights(network: nn.Module, path: Path) -> None:
    """Take a network's weights from a graph that `export` wrote, to train it further.

    Raises:
        KeyError: the graph lacks a weight of the network.
    """
    found = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in onnx.load(path).graph.initializer}
    state = {name: torch.from_numpy(found[f"network.{name}"].copy()) for name in network.state_dict()}
    network.load_state_dict(state)


def _round_in_one(model: onnx.ModelProto) -> None:
    """Make one QuantizeLinear of each level shift, rounding, clamping and cast: it does just these, in one pass."""
    makers = {output: node for node in model.graph.node for output in node.output}
    constants = {
        "rounding.step": np.array(1, np.float32),
        "rounding.shift": np.array(128, np.uint8),
    }
    model.graph.initializer.extend(onnx.numpy_helper.from_array(value, name) for name, value in constants.items())
    for cast in [node for node in model.graph.node if _casts_to_uint8(node)]:
        clip = makers[cast.input[0]]
        rounding = makers[clip.input[0]]
        shift = makers[rounding.input[0]]
        assert [node.op_type for node in (clip, rounding, shift)] == ["Clip", "Round", "Add"]
        whole = onnx.helper.make_node("QuantizeLinear", [shift.input[0], *constants], list(cast.output))
        model.graph.node.insert(list(model.graph.node).index(shift), whole)
        for node in (cast, clip, rounding, shift):
            model.graph.node.remove(node)
    used = {name for node in model.graph.node for name in node.input}
    for constant in [tensor for tensor in model.graph.initializer if tensor.name not in used]:
        model.graph.initializer.remove(constant)


def _casts_to_uint8(node: onnx.NodeProto) -> bool:
    return node.op_type == "Cast" and node.attribute[0].i == onnx.TensorProto.UINT8


def _name_inner_tensors(model: onnx.ModelProto) -> None:
    """Rename the tensors that the contract names; see the module's docstring."""
    renamed: dict[str, str] = {}
    components = iter(output.name for output in model.graph.output)
    for node in model.graph.node:
        if node.op_type == "QuantizeLinear":
            renamed[node.input[0]] = f"{next(components)}.samples"
        if node.op_type == "Conv" and "predict.project" in node.input[1]:
            layer = node.input[1].removeprefix("network.").removesuffix(".project.weight")
            renamed[node.output[0]] = f"{layer}.place"
    for node in model.graph.node:
        for tensors in (node.input, node.output):
            for index, tensor in enumerate(tensors):
                tensors[index] = renamed.get(tensor, tensor)


def _strip(model: onnx.ModelProto) -> None:
    """Drop what the exporter notes down about the machine and the source it came from."""
    for node in model.graph.node:
        del node.metadata_props[:]
        node.doc_string = ""
    for holder in (model, model.graph, *model.graph.value_info, *model.graph.input, *model.graph.output):
        del holder.metadata_props[:]
        holder.doc_string = ""
    del model.graph.value_info[:]
    del model.functions[:]
