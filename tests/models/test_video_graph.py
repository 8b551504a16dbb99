"""Exported graphs with a state: the contract, and the same frames in PyTorch, ONNX Runtime and OpenVINO."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.lacking import needs

needs("torch")
needs("onnx")
needs("onnxscript")

import onnx
import torch

from mjpeg_restore.catalogue import COMPONENTS, GraphFile, Model, Variant
from mjpeg_restore.frames import CodedPicture, Colour, Sampling
from mjpeg_restore.futures import INLINE
from mjpeg_restore.models.graph import Graph, export_variant, load_weights
from mjpeg_restore.models.stream import StreamConfig
from mjpeg_restore.models.stream_video import StreamVideo
from mjpeg_restore.restorer import Restorer
from mjpeg_restore.runtime import Inputs, Network, Planes, open_network
from mjpeg_restore.runtime.cpu import state
from mjpeg_restore.runtime.cpu.history import History
from mjpeg_restore.runtime.cpu.parts import Frame, HasParts, Parts
from mjpeg_restore.runtime.cpu.state import ComponentState
from mjpeg_restore.runtime.loading import Loader
from mjpeg_restore.verification import verify
from tests import state_formulas as formulas
from tests.agreement import assert_same, difference, plain_decode, rounded
from tests.lacking import needs_native_sparse, needs_native_state, needs_openvino
from tests.runtime.graphs import run

PLAIN = StreamConfig(width=16, blocks=1, hidden=16, chroma_width=16, chroma_blocks=1)
CONFIGS = {"grey": PLAIN, "colour": replace(PLAIN, coarse=16, significance=True)}
"""Each export takes seconds: one is of grey without a significance map, one of colour with it."""
GATE = 24
STATE_FORMS = ("int16 [{0}.high, {0}.wide, 64]", "float16 [{0}.high, {0}.wide, 64]", "int16 [{0}.high, {0}.wide, 64]")
STATE_FORMS += ("float32 [67]",)
LAYERS = 8
"""In eight bits or bf16, in a chain."""
BELIEF = 0.02
"""Of a gate in bf16: its logits, of up to 4, are wrong by a few 2^-8 in all, and its shares by a quarter of that."""

GRIDS: dict[str, list[tuple[int, int]]] = {
    "grey": [(5, 7)],
    "4:2:0": [(6, 8), (3, 4), (3, 4)],
    "4:2:2": [(5, 6), (5, 3), (5, 3)],
    "4:4:4": [(3, 5), (3, 5), (3, 5)],
    "4:1:1": [(3, 8), (3, 2), (3, 2)],
}


def tiny(config: StreamConfig) -> StreamVideo:
    """A network of random weights, which float16 holds, and none of which is zero."""
    torch.manual_seed(3)
    network = StreamVideo(config, GATE)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if "gate" not in name and "past" not in name:
                parameter.normal_(0, 1 if name.endswith("bias") else 0.1)
        for gate in (network.gate, network.chroma_gate):
            gate.decide.weight.normal_(0, 0.5)
            gate.decide.bias.normal_(2, 2)
        for parameter in network.parameters():
            parameter.copy_(parameter.half().float())
        for arrays in clip("4:2:0", 2):
            network(*[torch.from_numpy(array.astype(np.float32))[None] for array in arrays])  # sets the int8 steps
    return network.eval()


def clip(kind: str, count: int, seed: int = 1) -> list[Inputs]:
    """Frames of a scene that a part of moves: coefficients and table of each component in turn."""
    random = np.random.default_rng(seed)
    tables = [random.integers(4, 60, 64).astype(np.uint16) for _ in GRIDS[kind]]
    scenes = [random.integers(-4, 5, (*grid, 64)) for grid in GRIDS[kind]]
    found: list[Inputs] = []
    for _ in range(count):
        frame: list[NDArray[Any]] = []
        for scene, table in zip(scenes, tables, strict=True):
            scene[:, 0] = random.integers(-4, 5, scene[:, 0].shape)
            noise = random.integers(-1, 2, scene.shape) * (random.random(scene.shape) < 0.3)
            frame += [(scene + noise).astype(np.int16), table]
        found.append(frame)
    return found


class Exported(NamedTuple):
    """A network and its graph."""

    network: StreamVideo
    graph: GraphFile


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Exported]:
    """Of pictures in grey, and of those in colour."""
    networks = {kind: tiny(config) for kind, config in CONFIGS.items()}
    graphs = export_variant({**networks}, "tiny", tmp_path_factory.mktemp("video"), "state")
    return {kind: Exported(networks[kind], graph) for kind, graph in graphs.items()}


def of(exported: dict[str, Exported], kind: str) -> Exported:
    return exported["grey" if kind == "grey" else "colour"]


@pytest.fixture(autouse=True)
def fresh_loader(monkeypatch: pytest.MonkeyPatch) -> None:
    """Loads each network anew: tests change what a runtime finds when it loads one."""
    monkeypatch.setattr("mjpeg_restore.runtime._LOADER", Loader())


def parts_of(network: Network) -> Parts:
    """The network's parts."""
    assert isinstance(network, HasParts)
    parts = network.parts()
    assert parts is not None
    return parts


# ---- the contract ----


def test_the_ports(exported: dict[str, Exported]) -> None:
    for kind, components in (("grey", COMPONENTS[:1]), ("colour", COMPONENTS)):
        graph = exported[kind].graph
        assert graph.has_state
        assert [str(port) for port in graph.inputs] == [
            *(form for one in components for form in (f"int16 [{one}.high, {one}.wide, 64]", "uint16 [64]")),
            *(form.format(one) for one in components for form in STATE_FORMS),
        ]
        assert [port.name for port in graph.inputs] == [
            *(f"{one}.{what}" for one in components for what in ("coefficients", "table")),
            *(f"{one}.{what}" for one in components for what in ("mean", "evidence", "correction", "history")),
        ]
        assert [port.name for port in graph.outputs] == [
            *components,
            *(f"{one}.{what}_after" for one in components for what in ("mean", "evidence", "correction", "history")),
        ]
        assert [port.dtype for port in graph.outputs] == [
            *["uint8"] * len(components),
            *["int16", "float16", "int16", "float32"] * len(components),
        ]
        assert not graph.full_chroma


def test_inner_tensors_have_their_names(exported: dict[str, Exported]) -> None:
    for kind, components in (("grey", COMPONENTS[:1]), ("colour", COMPONENTS)):
        network, graph = exported[kind]
        found = {name for node in onnx.load(graph.path()).graph.node for name in node.output}
        wanted = {
            f"{one}.{what}" for one in components for what in ("deviation", "past", "believed", "share", "samples")
        }
        layers = ("enter", "chroma_enter")[: 1 if kind == "grey" else 2]
        wanted |= {f"{layer}.{what}" for layer in layers for what in ("entering", "left")}
        wanted |= {"predict.phases", "chroma_predict.phases"} if kind == "colour" else {"predict.phases"}
        if network.significance:
            wanted |= {"y.level"}
        assert wanted <= found
        ends = (".level", *(f".{name.rpartition('.')[2]}" for name in wanted))
        assert {name for name in found if name.endswith(ends)} == wanted


@pytest.mark.parametrize("kind", ["grey", "4:2:0"])
def test_inner_tensors_hold_what_they_are_said_to(exported: dict[str, Exported], kind: str) -> None:
    network, graph = of(exported, kind)
    first, frame = clip(kind, 2)
    components = COMPONENTS[: len(frame) // 2]
    after = onnx_runtime(graph.path().read_bytes(), [*first, *formulas.no_past(first)])
    before = after[len(components) :]
    names = [f"{one}.{what}" for one in components for what in ("deviation", "past", "believed", "share")]
    layers = ("enter", "chroma_enter")[: 1 if kind == "grey" else 2]
    names += [f"{layer}.{what}" for layer in layers for what in ("entering", "left")]
    names += ["y.level"] if network.significance else []
    model = onnx.load(graph.path())
    for name in names:
        model.graph.output.append(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None))
    held = dict(zip(names, onnx_runtime(model.SerializeToString(), [*frame, *before], names), strict=True))
    planes: list[tuple[NDArray[np.float64], NDArray[np.float64]]] = []
    for index, one in enumerate(components):
        coefficients, table = frame[2 * index : 2 * index + 2]
        known = ComponentState(*before[4 * index :][:3])
        deviation, past = formulas.observed(coefficients, table, known)
        np.testing.assert_allclose(held[f"{one}.deviation"][0], deviation, atol=1e-4)
        np.testing.assert_allclose(held[f"{one}.past"][0], past, atol=1e-4)
        believed = held[f"{one}.believed"][0]
        assert believed.shape == coefficients.shape
        assert 0 <= believed.min() < 0.5 < believed.max() <= 1
        mean, _, share = formulas.remembered(coefficients, table, known, believed.astype(float))
        np.testing.assert_allclose(held[f"{one}.share"][0], share, atol=1e-4)
        planes.append((formulas.network_input(mean), formulas.network_left(coefficients * table.astype(float) - mean)))
        if one == "y" and network.significance:
            np.testing.assert_allclose(np.clip(held["y.level"][0], -1, 1), np.clip(mean / table, -1, 1), atol=1e-3)
    for layer, some in zip(layers, (planes[:1], planes[1:]), strict=False):
        for name, number in (("entering", 0), ("left", 1)):
            found = held[f"{layer}.{name}"][0]
            np.testing.assert_allclose(found, np.stack([pair[number] for pair in some]), atol=1e-3)


def onnx_runtime(graph: bytes, arrays: Inputs, outputs: list[str] | None = None) -> list[NDArray[Any]]:
    session = needs("onnxruntime").InferenceSession(graph)
    feed = dict(zip([node.name for node in session.get_inputs()], arrays, strict=True))
    return [np.asarray(array) for array in session.run(outputs, feed)]


def test_weights_come_back(exported: dict[str, Exported]) -> None:
    network, graph = exported["colour"]
    again = StreamVideo(network.config, GATE)
    load_weights(again, graph.path())
    for name, weight in network.state_dict().items():
        torch.testing.assert_close(again.state_dict()[name], weight, rtol=1e-3, atol=1e-5)


# ---- the same frames everywhere ----


def frames_with_states(network: Network, kind: str, count: int = 4) -> Iterator[tuple[Inputs, list[NDArray[Any]]]]:
    """Each frame of a clip with the state before it, as a graph takes them, and what the network makes of them."""
    known: list[NDArray[Any]] = []
    for frame in clip(kind, count):
        inputs = [*frame, *(known or formulas.no_past(frame))]
        found = list(run(network, inputs))
        yield inputs, found
        known = found[len(frame) // 2 :]


def assert_states_agree(
    ours: list[NDArray[Any]],
    theirs: list[NDArray[Any]],
    inputs: Inputs,
    *,
    belief: float,
    correction: float,
    noise: float = 1e-3,
) -> None:
    """Compare states after a frame.

    Args:
        ours, theirs: all that the graphs gave.
        inputs: what they took.
        belief: by which the two gates may differ; else they differ by roundings to units of memory.
        correction: share of the corrections by which they may differ, in root mean squares.
        noise: by which its variance may differ.
    """
    count = len(inputs) // 6
    for index in range(count):
        coefficients, table = inputs[2 * index :][:2]
        before, known, _, _ = inputs[2 * count + 4 * index :][:4]
        (mean, evidence, added, history), (their_mean, their_evidence, their_added, their_history) = (
            all_[count + 4 * index :][:4] for all_ in (ours, theirs)
        )
        np.testing.assert_array_equal(history[:64], table)
        np.testing.assert_allclose(history, their_history, atol=noise)
        assert (mean.dtype, evidence.dtype, added.dtype) == (np.int16, np.float16, np.int16)
        away = np.abs(coefficients * table.astype(float) - before / 16)
        assert (np.abs(mean - their_mean.astype(float)) <= 1 + 16 * (belief + 1e-5) * away).all()
        one, other = evidence.astype(float), their_evidence.astype(float)
        assert (np.abs(one - other) <= 2**-10 * other + (belief + 1e-5) * known).all()
        apart = np.sqrt(np.square(added.astype(float) - their_added).mean())
        assert apart <= 1 + correction * np.sqrt(np.square(their_added.astype(float)).mean())


@pytest.mark.parametrize("kind", GRIDS)
def test_the_graph_gives_what_the_network_gives(exported: dict[str, Exported], kind: str) -> None:
    network, graph = of(exported, kind)
    opened = open_network(graph, "onnxruntime", 1)
    for inputs, found in frames_with_states(opened, kind):
        with torch.no_grad():
            wanted = [array.numpy() for array in Graph(network, "state")(*map(torch.from_numpy, inputs))]
        count = len(inputs) // 6
        assert [array.shape for array in found] == [array.shape for array in wanted]
        plain = plain_decode(inputs[: 2 * count])
        assert difference(found[:count], wanted[:count], plain) <= rounded(LAYERS)
        assert_states_agree(found, wanted, inputs, belief=0, correction=rounded(LAYERS))


@needs_openvino
@pytest.mark.parametrize("kind", GRIDS)
@pytest.mark.parametrize("bf16", [True, False])
@needs_native_state
def test_openvino_with_the_extension_agrees(
    exported: dict[str, Exported], kind: str, bf16: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not bf16:
        monkeypatch.setattr("mjpeg_restore.runtime.cpu.openvino.has_bf16", lambda *_: False)
    graph = of(exported, kind).graph
    opened = open_network(graph, "openvino", 1)
    parts_of(opened)
    in_bf16 = opened.name.endswith("bf16")
    assert not in_bf16 or bf16
    for inputs, wanted in frames_with_states(open_network(graph, "onnxruntime", 1), kind):
        copies = [array.copy() for array in inputs]
        found = list(run(opened, inputs))
        assert all(map(np.array_equal, inputs, copies))
        count = len(inputs) // 6
        # The gate sees float16, and gives it: its shares are 2^-11 wrong, and each way.
        belief = BELIEF if in_bf16 else 2e-3
        assert_states_agree(found, wanted, inputs, belief=belief, correction=rounded(LAYERS) + belief)
        plain = plain_decode(inputs[: 2 * count])
        assert difference(found[:count], wanted[:count], plain) <= rounded(LAYERS) + belief


@needs_openvino
@needs_native_state
@needs_native_sparse
def test_a_network_that_is_narrower_than_a_vector_is_left_to_openvino(
    exported: dict[str, Exported], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mjpeg_restore.runtime.cpu.sparse.LANES", 64)
    assert parts_of(open_network(exported["colour"].graph, "openvino", 1)).sparse is None


@needs_openvino
@pytest.mark.parametrize("kind", ["grey", "4:2:0", "4:1:1"])
def test_openvino_without_the_extension_agrees(
    exported: dict[str, Exported], kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state, "native", None)
    graph = of(exported, kind).graph
    opened = open_network(graph, "openvino", 1)
    assert opened.name.endswith("f32")
    for inputs, wanted in frames_with_states(open_network(graph, "onnxruntime", 1), kind):
        found, count = list(run(opened, inputs)), len(inputs) // 6
        assert_states_agree(found, wanted, inputs, belief=1e-5, correction=rounded(LAYERS))
        assert difference(found[:count], wanted[:count], plain_decode(inputs[: 2 * count])) <= rounded(LAYERS)


# ---- through a restorer ----


def coded(frame: Inputs, kind: str) -> CodedPicture:
    high, wide = frame[0].shape[:2]
    sampling = {"grey": Sampling.GRAY, "4:2:0": Sampling.YUV420, "4:4:4": Sampling.YUV444}[kind]
    return CodedPicture(8 * wide - 3, 8 * high - 2, sampling, tuple(frame[::2]), tuple(frame[1::2]), Colour())


@pytest.mark.parametrize("kind", ["grey", "4:2:0", "4:4:4"])
@pytest.mark.parametrize("device", ["onnxruntime", "openvino"])
def test_a_camera_is_restored_within_its_cells(exported: dict[str, Exported], kind: str, device: str) -> None:
    needs(device)
    graphs = {kind: one.graph for kind, one in exported.items()}
    model = Model("tiny", "x", 1, 1.0, 2, 100.0, {}, (Variant(None, {}, graphs),), projected=True)
    stream = Restorer(model, device, threads=1).stream()
    restored = [stream.restore(coded(frame, kind)) for frame in clip(kind, 5)]
    for picture, frame in zip(restored, clip(kind, 5), strict=True):
        assert verify(picture, coded(frame, kind)).outside == 0
    first = Restorer(model, device, threads=1).restore(coded(clip(kind, 1)[0], kind))
    assert_same(first.planes, restored[0].planes)


@needs_openvino
@needs_native_state
@pytest.mark.parametrize("kind", ["grey", "4:2:0"])
def test_frames_under_way_together_are_what_they_are_alone(exported: dict[str, Exported], kind: str) -> None:
    graphs = {kind: one.graph for kind, one in exported.items()}
    model = Model("tiny", "x", 1, 1.0, 2, 100.0, {}, (Variant(None, {}, graphs),), projected=True)
    restorer, pictures = Restorer(model, "openvino", threads=3), [coded(frame, kind) for frame in clip(kind, 30)]
    alone = restorer.stream()
    expected = [alone.restore(picture) for picture in pictures]
    with ThreadPoolExecutor(3) as pool:
        stream = restorer.stream(pool)
        futures = [stream.submit(picture) for picture in pictures]
        for future, wanted in zip(futures, expected, strict=True):
            assert_same(future.result(60).planes, wanted.planes)


def everywhere(frame: Frame) -> list[NDArray[np.bool_]]:
    """All blocks of each component."""
    return [np.ones(coefficients.shape[:2], np.bool_) for coefficients, _ in frame]


@needs_openvino
@needs_native_state
@pytest.mark.parametrize("kind", ["grey", "4:2:0"])
def test_a_part_is_restored_with_the_corrections_of_then_and_the_means_of_before(
    exported: dict[str, Exported], kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = open_network(of(exported, kind).graph, "openvino", 1)
    parts, run = parts_of(network), network.session(INLINE).submit
    random, (first, frame) = np.random.default_rng(5), clip(kind, 2)
    count = len(first) // 2
    after = run([*first, *formulas.no_past(first)]).result()[count:]
    states = [ComponentState(*after[4 * one :][:3]) for one in range(count)]
    histories = [History.unpacked(array) for array in after[3::4]]
    later = [random.integers(-200, 201, known.correction.shape).astype(np.int16) for known in states]
    given = list(after)
    given[2::4] = later
    expected = run([*frame, *given]).result()
    stale = run([*frame, *after]).result()
    assert not np.array_equal(stale[0], expected[0])

    means: list[NDArray[np.int16]] = []
    restore = state.restore

    def watched(
        phases: Any, k: Any, table: Any, mean_before: NDArray[np.int16], *further: Any, **options: Any
    ) -> NDArray[np.uint8]:
        means.append(mean_before.copy())
        return restore(phases, k, table, mean_before, *further, **options)

    monkeypatch.setattr(state, "restore", watched)
    own = list(zip(frame[::2], frame[1::2], strict=True))
    taken = parts.part().take(own, states, histories)
    part = parts.part()
    part.run(own, taken)
    following = [History.unpacked(array) for array in expected[count + 3 :: 4]]
    corrections = [one.copy() for one in later]
    before = [known.mean for known in states]
    planes = part.restore(before, corrections, everywhere(own), following)
    assert_same(planes, expected[:count])
    for index, known in enumerate(states):
        mean, evidence, correction, _ = expected[count + 4 * index :][:4]
        np.testing.assert_array_equal(taken[index][0], mean)
        np.testing.assert_array_equal(taken[index][1], evidence)
        np.testing.assert_array_equal(corrections[index], correction)
        np.testing.assert_array_equal(means[index], known.mean)
        assert not np.array_equal(known.mean, mean)


@needs_openvino
@needs_native_state
@pytest.mark.parametrize("kind", ["grey", "4:2:0"])
def test_what_is_kept_of_a_part_depends_on_the_noise_of_its_component(exported: dict[str, Exported], kind: str) -> None:
    network = open_network(of(exported, kind).graph, "openvino", 1)
    parts, (frame,) = parts_of(network), clip(kind, 1)
    random, count = np.random.default_rng(5), len(frame) // 2
    part = parts.part()
    grids = [coefficients.shape[:2] for coefficients in frame[::2]]
    states = [ComponentState.empty(*grid) for grid in grids]
    for known in states:  # much of it, or what was restored would not leave the frame's cell
        known.evidence[:] = 8
    own = list(zip(frame[::2], frame[1::2], strict=True))
    part.run(own, part.take(own, states, [History()] * count))
    before = [random.integers(-2000, 2001, (*grid, 64)).astype(np.int16) for grid in grids]
    silent = History(noise=0.0, remaining=1)  # and the mean does not tell

    def restored(histories: Sequence[History]) -> tuple[Planes, list[NDArray[np.int16]]]:
        corrections = [one.copy() for one in before]
        means = [known.mean for known in states]
        return part.restore(means, corrections, everywhere(own), histories), corrections

    expected, shown_is_kept = restored([silent] * count)
    for noisy in range(count):
        histories = [replace(silent, noise=100.0) if index == noisy else silent for index in range(count)]
        planes, corrections = restored(histories)
        others = [index for index in range(count) if index != noisy]
        assert_same(tuple(planes[index] for index in others), tuple(expected[index] for index in others))
        changed = [not np.array_equal(*pair) for pair in zip(corrections, shown_is_kept, strict=True)]
        assert changed == [index == noisy for index in range(count)]
