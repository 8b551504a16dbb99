"""The contract that every model is exported under: coefficients in, pixels out (int16 and uint16 in, uint8 out).

| input | type | shape |
|---|---|---|
| `y.coefficients`, `cb.coefficients`, `cr.coefficients` | int16 | `[blocks_high, blocks_wide, 64]`, natural order |
| `y.table`, `cb.table`, `cr.table` | uint16 | `[64]`, natural order |

| output | type | shape |
|---|---|---|
| `y`, `cb`, `cr` | uint8 | `[8 blocks_high, 8 blocks_wide]` of the component |

A model may want one more input, last:

| input | type | shape | |
|---|---|---|---|
| `noise` | float32 | `[4 blocks_high, 4 blocks_wide]` of luma | standard normal: another draw, another picture |
| `context` | float32 | `[n]` | what its context graph makes of the whole picture, where a tile is restored |

A context graph takes the components of a picture and gives `context`. A grey graph has luma's inputs and output only.
In a colour graph luma's block grid is an exact multiple of chroma's, and the two chroma grids are equal. The shapes are
dynamic: one graph serves every size and sampling. A network that restores planes one by one has its grey graph alone,
and the components of a colour picture pass it in turn.

Three kinds of inner tensors carry names, so that a tool or a runtime can find them. `y.samples` and its like are the
samples before rounding, float32 `[1, blocks_high, blocks_wide, 64]`, centred on zero. Others are what a network
predicts, and from there float32 arithmetic takes over: the output of a layer called `project` inside a layer called
`*predict` is a `*.place`, `*.2.place` and so on where the layer is applied to chroma again; that of a layer called
`phases` is a `*.phases`, `[1, 16 components, 2 blocks_high, 2 blocks_wide]`, and `projection.py` says what follows.
What a network's convolution called `enter` or `chroma_enter` takes, or takes first, is an `*.entering`, the decoded
samples, centred, in units of that module's `SAMPLE_SCALE`: float32 `[1, components, 8 blocks_high, 8 blocks_wide]`.
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
from google.protobuf.message import DecodeError
from numpy.typing import NDArray
from torch import Tensor, nn

from mjpeg_restore.catalogue import Extra
from mjpeg_restore.errors import ModelCorrupt
from mjpeg_restore.models.decode import blocks_to_plane, to_uint8
from mjpeg_restore.models.passes import HALF, halve, name_inner_tensors, round_in_one, strip

COMPONENTS = ("y", "cb", "cr")
OPSET = 18


class Graph(nn.Module):
    """A network under the contract."""

    def __init__(self, network: nn.Module, extra: Extra | None = None) -> None:
        super().__init__()
        self.network = network
        self.extra = extra

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Coefficients and table of each component in turn, and what else is wanted, to a plane each."""
        tensors = [tensor.float()[None] for tensor in inputs]
        match self.extra:
            case None:
                samples = self.network(*tensors)
            case "noise":
                samples = self.network(*tensors[:-1], tensors[-1][None])
            case "context":
                samples = self.network.restore_with(tensors[-1], *tensors[:-1])  # pyright: ignore[reportCallIssue]
        # Rounded first, laid out second: a quarter of the bytes to move.
        return tuple(blocks_to_plane(to_uint8(blocks))[0] for blocks in samples)


class ContextGraph(nn.Module):
    """What a network with a context makes of a whole picture."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, *components: Tensor) -> Tensor:
        """Coefficients and table of each component in turn to the context, `[n]`."""
        return self.network.context(*[tensor.float()[None] for tensor in components])[0]  # pyright: ignore[reportCallIssue]


def per_component(network: nn.Module) -> bool:
    """Whether one single-channel graph serves Y, Cb and Cr, each restored independently of the others."""
    return getattr(network, "per_component", False)


def export(network: nn.Module, path: Path, *, colour: bool, extra: Extra | None = None) -> None:
    """Write a network as ONNX under the contract.

    Args:
        network: takes coefficients `[1, high, wide, 64]` and table `[1, 64]` of each component in turn, float32, and
            gives a tuple of blocks of centred samples `[1, high, wide, 64]`.
        path: where the ONNX file goes, weights included.
        colour: three components, or luma alone.
        extra: what it takes besides: noise `[1, 1, 4 high, 4 wide]` as its last argument, or the context `[1, n]` as
            the first one of its `restore_with`.
    """
    components = _components(colour)
    arguments = list(components.values())
    names = list(components)
    if extra:
        high, wide, _ = arguments[0].shape
        with torch.no_grad():
            context = ContextGraph(network).eval()(*arguments) if extra == "context" else None
        arguments.append(torch.zeros(4 * high, 4 * wide) if context is None else context)
        names.append(extra)
    model = _exported(Graph(network, extra), arguments, names, list(COMPONENTS[: 3 if colour else 1]))
    round_in_one(model)
    name_inner_tensors(model)
    _write(model, path)


def export_context(network: nn.Module, path: Path, *, colour: bool) -> None:
    """Write the context of a network as ONNX: its `context` takes what its `forward` takes and gives `[1, n]`."""
    components = _components(colour)
    _write(_exported(ContextGraph(network), list(components.values()), list(components), ["context"]), path)


def _components(colour: bool) -> dict[str, Tensor]:
    """An empty picture, by the names of a graph's inputs."""
    inputs: dict[str, Tensor] = {}
    for name in COMPONENTS if colour else COMPONENTS[:1]:
        high, wide = (8, 12) if name == "y" else (4, 6)
        inputs[f"{name}.coefficients"] = torch.zeros(high, wide, 64, dtype=torch.int16)
        inputs[f"{name}.table"] = torch.ones(64, dtype=torch.uint16)
    return inputs


def _exported(graph: nn.Module, arguments: list[Tensor], inputs: list[str], outputs: list[str]) -> onnx.ModelProto:
    auto = torch.export.Dim.AUTO
    fixed = ("table", "context")
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
    halve(model)
    strip(model)
    onnx.checker.check_model(model, full_check=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(model.SerializeToString())


def publish(
    networks: dict[str, nn.Module], name: str, folder: Path, extra: Extra | None = None
) -> dict[str, dict[str, str]]:
    """Write a variant's graphs, `NAME.grey.onnx` and `NAME.colour.onnx`, and those of its context where it has one.

    Args:
        networks: what makes the graph of "grey", and of "colour"; often the same one. Of one that restores planes one
            by one there is but the grey graph.
        name: begins the files' names.
        folder: where they go.
        extra: what the networks take besides the picture.

    Returns:
        File name and checksum of each, as the catalogue's `Variant.graphs` has them.
    """
    graphs: dict[str, dict[str, str]] = {}
    for kind, network in networks.items():
        if kind == "colour" and per_component(network):
            continue
        paths = {kind: folder / f"{name}.{kind}.onnx"}
        export(network, paths[kind], colour=kind == "colour", extra=extra)
        if extra == "context":
            paths[f"{kind}.context"] = context_path(paths[kind])
            export_context(network, paths[f"{kind}.context"], colour=kind == "colour")
        graphs |= {part: {"file": path.name, "sha256": checksum(path)} for part, path in paths.items()}
    return graphs


def context_path(path: Path) -> Path:
    """Where the context graph of a graph lies, if it has one."""
    return path.with_suffix(".context.onnx")


def checksum(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def initializers(path: Path) -> dict[str, NDArray[np.float32]]:
    """A graph's weights and constants, by the names that they have in the file, which end in `HALF` for some.

    Raises:
        ModelCorrupt: the file is no graph.
    """
    try:
        model = onnx.load(path)
    except DecodeError as error:
        raise ModelCorrupt(f"{path}: no ONNX graph") from error
    return {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer}


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


def load_weights(network: nn.Module, path: Path, anew: tuple[str, ...] = ()) -> None:
    """Take a network's weights from a graph that `publish` wrote, and its context's, to train it further.

    Not from an untrained network's: the exporter keeps one copy of equal weights. Not One-to-Many's: the exporter folds
    normalisations into the convolutions before them.

    Args:
        network: under the contract.
        path: of the graph.
        anew: beginnings of the names of weights that stay as they are.

    Raises:
        ModelCorrupt: the graph is another network's.
    """
    graphs = [path, *([context] if (context := context_path(path)).is_file() else [])]
    stored = [item for graph in graphs for item in initializers(graph).items()]
    found = {name.removesuffix(HALF): array.astype(np.float32) for name, array in stored}
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
