"""Cuts graphs at the ends of their networks, as `openvino.py` says, and reads the weights of what runs natively."""

# OpenVINO's stubs leave many types open.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportGeneralTypeIssues=false

from __future__ import annotations

from collections.abc import Sequence

from mjpeg_restore.catalogue import COMPONENTS, Port
from mjpeg_restore.runtime.cpu.openvino_library import ov
from mjpeg_restore.runtime.cpu.parts import Sparse
from mjpeg_restore.runtime.cpu.sparse import Weights
from mjpeg_restore.runtime.cpu.sparse_model import SparseModel

CUTS = (".phases", ".place")
"""Suffixes of the names of the tensors at which graphs are cut."""
GATE = (".deviation", ".past", ".believed")
"""Those of a gate's inputs and its output."""
NETWORK = (".share", ".entering", ".left", ".level", ".phases")
"""Those of the inputs of a network with a state, and its output."""

_LAYERS, _FLOAT16 = "network.", ".half"
"""What the names of a graph's weights begin with, and end with if they are kept as float16."""
_NO_WEIGHTS = {"inverse_dct.matrix"}
"""Names of constants that no layer has."""


def sparse_of(model: ov.Model) -> Sparse | None:
    """Gate and network of a graph with a state, computed natively; None if they are others than are known, or have
    channels that do not fill vectors."""
    constants = [node for node in model.get_ops() if node.get_type_name() == "Constant"]
    named = {node.get_friendly_name(): node.get_data() for node in constants}
    arrays = {name.removesuffix(_FLOAT16): array for name, array in named.items() if name.startswith(_LAYERS)}
    weights = Weights({name.removeprefix(_LAYERS): array for name, array in arrays.items()})
    try:
        found = SparseModel(weights)
    except (KeyError, ValueError):
        return None
    return None if weights.unread - _NO_WEIGHTS else found


def names_of(tensors: Sequence[ov.Output], ports: Sequence[Port]) -> list[str]:
    """The tensors' names; of several for one tensor, a port's."""
    known = {port.name for port in ports}
    return [next(iter(tensor.names & known), tensor.any_name) for tensor in tensors]


def tensors_named(model: ov.Model, *suffixes: str) -> list[ov.Output]:
    """A model's tensors whose names end in one of the suffixes."""
    outputs = [output for node in model.get_ops() for output in node.outputs()]
    return [output for output in outputs if any(name.endswith(suffixes) for name in output.names)]


def channels(tensor: ov.Output) -> int:
    """How many channels a tensor has."""
    return tensor.get_partial_shape()[1].get_length()


def replace_by_input(tensor: ov.Output, kind: ov.Type = ov.Type.f32) -> ov.Node:
    """A new input, connected in place of one of a model's float32 tensors."""
    parameter = ov.opset13.parameter(tensor.get_partial_shape(), kind)
    entering = parameter if kind == ov.Type.f32 else ov.opset13.convert(parameter, "f32")
    for target in tensor.get_target_inputs():
        target.replace_source_output(entering.output(0))
    return parameter


def gate_and_network(model: ov.Model) -> tuple[ov.Model, ov.Model]:
    """Cut a graph with a state.

    The network's inputs after the graph's own are: the shares of each component; samples and deviations of luma, then
    of both chroma components; and luma's level, if it has a significance map.
    """
    gate, network = model, model.clone()
    known = {name: one for one in tensors_named(gate, *GATE) for name in one.names}
    present = [component for component in COMPONENTS if f"{component}.believed" in known]
    sides = [known[f"{component}{suffix}"] for component in present for suffix in GATE[:2]]
    decided = [known[f"{component}{GATE[2]}"] for component in present]
    known = {name: one for one in tensors_named(network, *NETWORK) for name in one.names}
    wanted = [(f"{component}.share", ov.Type.f16) for component in present]
    planes = [f"{layer}{suffix}" for layer in ("enter", "chroma_enter") for suffix in (".entering", ".left")]
    wanted += [*((name, ov.Type.f32) for name in planes), ("y.level", ov.Type.f16)]
    entering = [(known[name], kind) for name, kind in wanted if name in known]
    phases = sorted(tensors_named(network, ".phases"), key=channels)
    return (
        head_model(gate, decided, [replace_by_input(one, ov.Type.f16) for one in sides]),
        head_model(network, phases, [replace_by_input(*one) for one in entering]),
    )


def head_model(model: ov.Model, cuts: list[ov.Output], further_inputs: Sequence[ov.Node] = ()) -> ov.Model:
    """The part of a model up to the cuts.

    Its outputs are float16: half the memory of float32, and eight times as fine as the bf16 they were computed in.
    """
    results = [ov.opset13.result(ov.opset13.convert(cut, "f16")) for cut in cuts]
    return ov.Model(results, [*model.get_parameters(), *further_inputs], "head")


def split_model(model: ov.Model, cuts: list[ov.Output]) -> tuple[ov.Model, ov.Model]:
    """Cut a model into head and tail; the tail's inputs are the model's own, then the head's outputs."""
    consumers = [cut.get_target_inputs() for cut in cuts]
    head = head_model(model, cuts).clone()
    parameters = []
    for cut, targets in zip(cuts, consumers, strict=True):
        parameter = ov.opset13.parameter(cut.get_partial_shape(), ov.Type.f16)
        converted = ov.opset13.convert(parameter, "f32")
        for target in targets:
            target.replace_source_output(converted.output(0))
        parameters.append(parameter)
    return head, ov.Model(model.get_results(), model.get_parameters() + parameters, "tail")
