"""The contract of exported models: coefficients and tables in (int16, uint16), samples out (uint8).

| input | type | shape |
|---|---|---|
| `y.coefficients`, `cb.coefficients`, `cr.coefficients` | int16 | `[blocks_high, blocks_wide, 64]`, natural order |
| `y.table`, `cb.table`, `cr.table` | uint16 | `[64]`, natural order |

| output | type | shape |
|---|---|---|
| `y`, `cb`, `cr` | uint8 | `[8 blocks_high, 8 blocks_wide]` of the component; or of luma, for both `cb` and `cr` |

Chroma at luma's size, whatever its sampling in the stream, is for networks that restore the colours of each pixel. Only
the shape tells: the manifest's form of the port follows from the graph. A network that projects into the quantisation
cell gives chroma at its own size, where the cells are.

A model may want one more input, last:

| input | type | shape | |
|---|---|---|---|
| `noise` | float32 | `[4 blocks_high, 4 blocks_wide]` of luma | standard normal; each draw gives another picture |
| `context` | float32 | `[n]` | output of the model's context graph for the whole picture, of which a tile is restored |

A model for video takes and gives what it remembers of each block (`runtime/cpu/state.py` has the units). A frame is
restored from what the frame before gave; before the first one there are zeros:

| input, last, of each component | type | shape |
|---|---|---|
| `y.mean` | int16 | `[blocks_high, blocks_wide, 64]`, natural order |
| `y.evidence` | float16 | likewise |
| `y.correction` | int16 | likewise |
| `y.history` | float32 | `[67]`; `runtime/cpu/history.py` has the numbers |

| output, last, of each component | type | |
|---|---|---|
| `y.mean_after`, `y.evidence_after`, `y.correction_after`, `y.history_after` | as above | the state after the frame |

The inputs of a context graph are a picture's components; its output is `context`. A grey graph has luma's inputs and
output only. In a colour graph luma's block grid is an exact multiple of chroma's, and the two chroma grids are equal.
The shapes are dynamic: one graph serves all sizes and samplings. A network that restores components independently has
a grey graph only, which runs on Y, Cb and Cr of a colour picture in turn.

Inner tensors have fixed names, so that tools and runtimes can find them:

* `y.samples`, `cb.samples` and `cr.samples`: the samples before rounding, centred on zero, float32
  `[1, blocks_high, blocks_wide, 64]`.
* `*.place` and `*.phases`: a network's prediction, after which the arithmetic is float32. `*.place` is the output of a
  layer `project` inside a layer `*predict`; if the layer is applied to chroma again, that output is `*.2.place`, and so
  on. `*.phases` is the output of a layer `phases`, `[1, 16 components, 2 blocks_high, 2 blocks_wide]`;
  `runtime/cpu/projection.py` describes the steps that follow.
* `*.entering`: the input of the first convolution, which is a layer `enter` or `chroma_enter`. It holds the decoded
  samples, centred, in units of `SAMPLE_SCALE` of `runtime/cpu/projection.py`: float32
  `[1, components, 8 blocks_high, 8 blocks_wide]`. Further input channels of that convolution are not part of it.

A graph with a state has more of them, `[1, blocks_high, blocks_wide, 64]` for each component C unless stated otherwise:

* `C.deviation` and `C.past` enter the gate, and `C.believed` is what it decides.
* `C.share` enters the network, and so do `y.level`, if it has a significance map, and `enter.left` and
  `chroma_enter.left`, `[1, components, 8 blocks_high, 8 blocks_wide]`. `runtime/cpu/state.py` says what they hold.
"""

from __future__ import annotations

import hashlib
import logging
import warnings
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import numpy as np
import onnx
import torch
from google.protobuf.message import DecodeError
from numpy.typing import NDArray
from torch import Tensor, nn

from mjpeg_restore.catalogue import COMPONENTS, GraphFile, Port, PortKind
from mjpeg_restore.catalogue.ports import HISTORY, STATE, STATE_AFTER
from mjpeg_restore.errors import ModelCorrupt
from mjpeg_restore.models.decode import blocks_to_plane, to_uint8
from mjpeg_restore.models.passes import FLOAT16_SUFFIX, fuse_rounding, name_inner_tensors, store_as_float16, strip
from mjpeg_restore.runtime.cpu.state import UNIT

OPSET = 18

Extra = Literal["noise", "context", "state"]
"""What a network may take besides coefficients and tables."""

_STATE_TYPES = (torch.int16, torch.float16, torch.int16)
"""Of mean, evidence and correction."""


class Graph(nn.Module):
    """A network with the contract's inputs and outputs."""

    def __init__(self, network: nn.Module, extra: Extra | None = None) -> None:
        super().__init__()
        self.network = network
        self.extra = extra

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Restore a picture's planes from coefficients and table of each component in turn, and the extra input."""
        tensors = [tensor.float()[None] for tensor in inputs]
        after: list[Tensor] = []
        match self.extra:
            case None:
                samples = self.network(*tensors)
            case "noise":
                samples = self.network(*tensors[:-1], tensors[-1][None])
            case "context":
                samples = self.network.restore_with(tensors[-1], *tensors[:-1])  # pyright: ignore[reportCallIssue]
            case "state":
                count = 2 * len(tensors) // (2 + len(STATE))
                units = [UNIT if kind in ("mean", "correction") else 1 for kind in STATE] * (count // 2)
                before = [tensor * unit for tensor, unit in zip(tensors[count:], units, strict=True)]
                samples, *after = self.network.with_state(before, *tensors[:count])  # pyright: ignore[reportCallIssue]
        # Rounding comes before the layout change: uint8 is a quarter of the bytes to move.
        planes = [blocks_to_plane(to_uint8(blocks))[0] for blocks in samples]
        kinds = STATE_AFTER * len(planes)
        return (*planes, *(_in_memory(tensor[0], kind) for tensor, kind in zip(after, kinds, strict=False)))


def _in_memory(tensor: Tensor, kind: PortKind) -> Tensor:
    """A part of the state as the contract has it."""
    if kind == "history_after":
        return tensor
    if kind == "evidence_after":
        return tensor.half()
    return torch.round(tensor / UNIT).clamp(-(2**15), 2**15 - 1).to(torch.int16)


class ContextGraph(nn.Module):
    """The context of a whole picture, for a network that uses one."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, *components: Tensor) -> Tensor:
        """Compute the context `[n]` from coefficients and table of each component in turn."""
        return self.network.context(*[tensor.float()[None] for tensor in components])[0]  # pyright: ignore[reportCallIssue]


def per_component(network: nn.Module) -> bool:
    """Whether one single-channel graph serves Y, Cb and Cr, each restored independently of the others."""
    return getattr(network, "per_component", False)


def export(network: nn.Module, path: Path, *, colour: bool, extra: Extra | None = None) -> None:
    """Write a network as ONNX under the contract.

    Args:
        network: its arguments are coefficients `[1, high, wide, 64]` and table `[1, 64]` of each component in turn,
            float32; its result is a tuple of blocks of centred samples `[1, high, wide, 64]`. Those of Cb and Cr are
            on their own grid, or both on luma's.
        path: of the ONNX file, which includes the weights.
        colour: whether it has three components; else luma only.
        extra: its further input: noise `[1, 1, 4 high, 4 wide]`, the last argument; the context `[1, n]`, the first
            argument of its `restore_with`; or the state: mean, evidence, correction and history `[1, 67]` of each
            component in turn, a list, the first argument of its `with_state`, which returns the samples, and then the
            state likewise.
    """
    components = _components(colour)
    arguments = list(components.values())
    names = list(components)
    given: list[str] = list(COMPONENTS[: 3 if colour else 1])
    match extra:
        case "state":
            for k in arguments[::2]:
                arguments += [torch.zeros_like(k, dtype=kind) for kind in _STATE_TYPES] + [torch.zeros(HISTORY)]
            names += [f"{component}.{kind}" for component in given for kind in STATE]
            given += [f"{component}.{kind}" for component in given for kind in STATE_AFTER]
        case "context":
            with torch.no_grad():
                arguments.append(ContextGraph(network).eval()(*arguments))
            names.append(extra)
        case "noise":
            high, wide, _ = arguments[0].shape
            arguments.append(torch.zeros(4 * high, 4 * wide))
            names.append(extra)
        case None:
            pass
    model = _exported(Graph(network, extra), arguments, names, given)
    fuse_rounding(model)
    name_inner_tensors(model)
    _write(model, path)


def export_context(network: nn.Module, path: Path, *, colour: bool) -> None:
    """Write a network's context graph as ONNX: its `context` has the arguments of `forward` and returns `[1, n]`."""
    components = _components(colour)
    _write(_exported(ContextGraph(network), list(components.values()), list(components), ["context"]), path)


def _components(colour: bool) -> dict[str, Tensor]:
    """Example inputs of a graph, by name."""
    inputs: dict[str, Tensor] = {}
    for name in COMPONENTS if colour else COMPONENTS[:1]:
        high, wide = (8, 12) if name == "y" else (4, 6)
        inputs[f"{name}.coefficients"] = torch.zeros(high, wide, 64, dtype=torch.int16)
        inputs[f"{name}.table"] = torch.ones(64, dtype=torch.uint16)
    return inputs


def _exported(graph: nn.Module, arguments: list[Tensor], inputs: list[str], outputs: list[str]) -> onnx.ModelProto:
    auto = torch.export.Dim.AUTO
    fixed = ("table", "context", "history")
    shapes = [None if name.endswith(fixed) else {0: auto, 1: auto} for name in inputs]
    with _quiet_exporter():
        program = torch.onnx.export(
            graph.eval(),
            tuple(arguments),
            dynamo=True,
            input_names=inputs,
            output_names=outputs,
            dynamic_shapes=(tuple(shapes),),
            opset_version=OPSET,
            external_data=False,
            verbose=False,
        )
    if program is None:
        raise AssertionError("the exporter returned nothing")
    return program.model_proto


def _write(model: onnx.ModelProto, path: Path) -> None:
    store_as_float16(model)
    strip(model)
    onnx.checker.check_model(model, full_check=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(model.SerializeToString())


def export_variant(
    networks: dict[str, nn.Module], name: str, folder: Path, extra: Extra | None = None
) -> dict[str, GraphFile]:
    """Write a variant's graphs, `NAME.grey.onnx` and `NAME.colour.onnx`, and their context graphs, if any.

    Args:
        networks: the network for "grey" and for "colour" pictures, often the same. No colour graph is written of a
            network that restores components independently.
        name: stem of the file names.
        folder: of the files.
        extra: the networks' further input.

    Returns:
        The files with their ports, as in the catalogue's `Variant.graphs`.
    """
    graphs: dict[str, GraphFile] = {}
    for kind, network in networks.items():
        if kind == "colour" and per_component(network):
            continue
        paths = {kind: folder / f"{name}.{kind}.onnx"}
        export(network, paths[kind], colour=kind == "colour", extra=extra)
        if extra == "context":
            paths[f"{kind}.context"] = context_path(paths[kind])
            export_context(network, paths[f"{kind}.context"], colour=kind == "colour")
        graphs |= {part: described(path) for part, path in paths.items()}
    return graphs


def described(path: Path) -> GraphFile:
    """A graph's file with its ports, which the manifest declares."""
    graph = onnx.load(path).graph
    luma = graph.output[0]
    inputs, outputs = (tuple(_port(tensor, luma) for tensor in side) for side in (graph.input, graph.output))
    return GraphFile(path.name, checksum(path), inputs, outputs, path.parent)


def _port(tensor: onnx.ValueInfoProto, luma: onnx.ValueInfoProto) -> Port:
    """A tensor as a port: the sizes that depend on the picture are those of the contract.

    Args:
        tensor: an input or an output.
        luma: the first output. Chroma whose sizes have the same names is on luma's grid.
    """
    kind, shape = tensor.type.tensor_type, tensor.type.tensor_type.shape.dim
    dtype = onnx.helper.tensor_dtype_to_np_dtype(kind.elem_type).name
    component, _, name = tensor.name.rpartition(".")
    sizes: list[str | int] = [size.dim_value for size in shape]
    match name:
        case "coefficients" | "mean" | "evidence" | "correction" | "mean_after" | "evidence_after" | "correction_after":
            sizes[:2] = f"{component}.high", f"{component}.wide"
        case "noise":
            sizes = ["4*y.high", "4*y.wide"]
        case "y" | "cb" | "cr":
            names = [[size.dim_param for size in one.type.tensor_type.shape.dim] for one in (tensor, luma)]
            grid = COMPONENTS[0] if all(names[0]) and names[0] == names[1] else name
            sizes = [f"8*{grid}.high", f"8*{grid}.wide"]
    return Port(tensor.name, dtype, tuple(sizes))


def context_path(path: Path) -> Path:
    """The path of the context graph that belongs to a graph."""
    return path.with_suffix(".context.onnx")


def checksum(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def initializers(path: Path) -> dict[str, NDArray[np.float32]]:
    """A graph's weights and constants by their names in the file; those stored as float16 end in `FLOAT16_SUFFIX`.

    Raises:
        ModelCorrupt: the file is no ONNX graph.
    """
    try:
        model = onnx.load(path, format="protobuf")  # whatever the name ends in: of .json, it would read JSON
    except DecodeError as error:
        raise ModelCorrupt(f"{path}: no ONNX graph") from error
    return {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer}


@contextmanager
def _quiet_exporter() -> Generator[None]:
    """Silence the exporter's deprecation warnings and hints about optional packages, which concern its authors."""
    log = logging.getLogger("torch.onnx")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(level)


def load_weights(network: nn.Module, path: Path, anew: tuple[str, ...] = ()) -> None:
    """Load a network's weights from a graph written by `export_variant` and its context graph, to train it further.

    Two kinds of graphs lack weights: those of an untrained network, as the exporter keeps one copy of equal weights,
    and One-to-Many's, as the exporter folds normalisations into the convolutions before them.

    Args:
        network: changed in place.
        path: of the graph.
        anew: name prefixes of weights that keep their present values.

    Raises:
        ModelCorrupt: the graph belongs to another network.
    """
    graphs = [path, *([context] if (context := context_path(path)).is_file() else [])]
    stored = [item for graph in graphs for item in initializers(graph).items()]
    found = {name.removesuffix(FLOAT16_SUFFIX): array.astype(np.float32) for name, array in stored}
    state = network.state_dict()
    for name, weight in state.items():
        if name.endswith("num_batches_tracked") or name.startswith(anew):
            continue
        array = found.get(f"network.{name}")
        if array is None or array.shape != weight.shape:
            what = f"it has no {name}" if array is None else f"its {name} is {array.shape}, not {tuple(weight.shape)}"
            raise ModelCorrupt(f"{path}: not a graph of this network, {what}")
        state[name] = torch.from_numpy(array)
    network.load_state_dict(state)
