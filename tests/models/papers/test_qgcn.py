from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.lacking import needs

needs("torch")

import torch
from torch import nn
from torch.nn import functional

from mjpeg_restore.errors import ModelCorrupt
from mjpeg_restore.models.cost import macs_per_pixel
from mjpeg_restore.models.decode import Decode
from mjpeg_restore.models.graph import (
    Graph,
    context_path,
    described,
    export,
    export_context,
    export_variant,
    load_weights,
)
from mjpeg_restore.models.papers.qgcn import (
    GlobalBranch,
    Qgcn,
    QgcnConfig,
    ResidualBlock,
    ResidualGroup,
)
from mjpeg_restore.models.planes import from_unit, resize, to_grid, to_unit
from mjpeg_restore.training.optimiser import MuonBeside
from tests.models.layers import bias, conv

TINY = QgcnConfig(blocks=1, width=4, hidden=16)
QCN = replace(TINY, global_branch=False)
EDSR = replace(QCN, quantisation_maps=False)
OWN_CHROMA = replace(TINY, full_chroma=False)
AUTHORS = replace(TINY, authors_layers=True)
SPANS = [(1, 1), (2, 1), (2, 2), (1, 2), (4, 1)]

TABLE_I = {
    "conv1-1": (3, 32, 4),
    "conv1-2": (32, 32, 3),
    "conv2-1": (32, 64, 4),
    "conv2-2": (64, 64, 3),
    "conv3-1": (64, 128, 4),
    "conv3-2": (128, 128, 3),
    "conv4-1": (128, 256, 4),
    "conv4-2": (256, 256, 3),
}
"""Channels in and out, and kernel, of the colour network's global branch."""


@pytest.fixture(autouse=True)
def _the_same_numbers() -> None:
    torch.manual_seed(5)


def components(
    span: tuple[int, int] | None = (2, 2), grid: tuple[int, int] = (2, 1), batch: int = 1
) -> list[torch.Tensor]:
    """Coefficients and tables of Y, Cb, Cr, `grid` being chroma's (high, wide); of luma alone without a span."""
    high, wide = grid
    across, down = span or (1, 1)
    grids = [(high * down, wide * across), *([grid, grid] if span else [])]
    found = []
    for h, w in grids:
        found += [2 * torch.randint(-2, 3, (batch, h, w, 64)).float(), torch.randint(1, 10, (batch, 64)).float()]
    return found


def scrambled(config: QgcnConfig = TINY, *, colour: bool = True) -> Qgcn:
    """A network that changes a picture by some grey levels, none of its layers at zero; weights are float16's."""
    network = Qgcn(config, colour=colour).eval()
    with torch.no_grad():
        if network.global_branch is not None:
            network.global_branch.fc2.weight.normal_(0, 0.5)
        for parameter in network.predict.parameters():
            parameter.normal_(0, 0.05)
        for parameter in network.parameters():
            parameter.copy_(parameter.half())
    return network


def plain(config: QgcnConfig, inputs: list[torch.Tensor]) -> list[torch.Tensor]:
    """The plain decode on the grids of a network's output."""
    luma, *chroma = (to_unit(blocks) for blocks in Decode()(*inputs))
    if config.full_chroma:
        chroma = [to_grid(plane, *luma.shape[2:]) for plane in chroma]
    return [from_unit(plane) for plane in (luma, *chroma)]


def parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def layer(before: int, after: int, side: int) -> int:
    """Parameters of a convolution."""
    return before * after * side * side + after


# ---- the layers, section III.C and table I ----


@pytest.mark.parametrize("hidden", [1024, 64])
def test_the_global_branch_is_table_i(hidden: int) -> None:
    branch = GlobalBranch(3, hidden)
    convolutions = [module for module in branch.modules() if isinstance(module, nn.Conv2d)]
    assert [(m.in_channels, m.out_channels, m.kernel_size[0]) for m in convolutions] == list(TABLE_I.values())
    assert [m.stride[0] for m in convolutions] == [2, 1] * 4
    assert {m.padding for m in convolutions} == {(1, 1)}
    dense = layer(256 * 7 * 7, hidden, 1) + layer(hidden, 64, 1)
    assert parameters(branch) == sum(layer(*row) for row in TABLE_I.values()) + dense
    assert parameters(branch) == {1024: 14_385_664, 64: 2_281_024}[hidden]


def test_the_global_branch_sees_any_picture_at_112x112() -> None:
    seen = []
    branch = GlobalBranch(2, 4)
    branch.convolutions.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].shape))
    for size in [(8, 8), (112, 112), (200, 136)]:
        assert branch(torch.zeros(3, 2, *size)).shape == (3, 64)
    assert seen == 3 * [(3, 2, 112, 112)]


def test_a_residual_block_adds_a_tenth() -> None:
    block, features = ResidualBlock(4), torch.randn(1, 4, 5, 6)
    made = block.second(block.first(features).clamp(min=0))
    torch.testing.assert_close(block(features), features + 0.1 * made)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in block.modules())


def test_a_skip_connection_spans_a_group() -> None:
    group, features = ResidualGroup(4, 2), torch.randn(1, 4, 5, 6)
    one, other = group.blocks
    torch.testing.assert_close(group(features), features + other(one(features)))


@pytest.mark.parametrize(("blocks", "whole"), [(8, 15_793_539), (32, 19_338_627)])
def test_the_parameters_of_the_colour_network(blocks: int, whole: int) -> None:
    network = Qgcn(QgcnConfig(blocks), colour=True)
    groups = 2 * blocks * 2 * layer(64, 64, 3)
    rest = layer(5, 64, 3) + layer(128, 64, 3) + layer(64, 256, 3) + layer(64, 3, 3)
    assert parameters(network) == parameters(GlobalBranch(3, 1024)) + groups + rest == whole


def test_the_layers_of_the_authors_code() -> None:
    network = Qgcn(AUTHORS, colour=True)
    more = layer(4, 4, 4) + layer(4, 4, 3)
    assert parameters(network) == parameters(Qgcn(TINY, colour=True)) + more
    assert network.merge is not None
    entered, merged = network.down_sample(torch.randn(1, 5, 16, 16)), network.merge(torch.randn(1, 4 + 64, 8, 8))
    assert entered.shape == merged.shape == (1, 4, 8, 8)
    assert entered.min() == merged.min() == 0  # rectified
    assert network.up_sample(merged).shape == (1, 4, 16, 16)


@pytest.mark.parametrize(
    ("config", "colour", "channels"),
    [(TINY, True, 5), (TINY, False, 2), (QCN, True, 5), (QCN, False, 2), (EDSR, True, 3), (EDSR, False, 1)],
)
def test_the_channels_of_the_feature_map(config: QgcnConfig, colour: bool, channels: int) -> None:
    network = Qgcn(config, colour=colour)
    assert network.down_sample.in_channels == channels
    assert network.predict["project"].out_channels == (3 if colour else 1)
    network(*components((2, 2) if colour else None))


# ---- the feature map, section III.B ----


def test_the_maps_are_the_tables_tiled_in_step_with_the_blocks() -> None:
    tables = [torch.full((1, 64), 16.0), torch.full((1, 64), 4.0), torch.full((1, 64), 64.0)]
    tables[0][0, 8 * 3 + 5] = 128
    planes = [torch.rand(1, 1, 32, 16), torch.rand(1, 1, 16, 8), torch.rand(1, 1, 16, 8)]
    network = Qgcn(TINY, colour=True)
    feature_map = network.feature_map(network.picture(planes), tables)
    assert feature_map.shape == (1, 5, 32, 16)
    assert torch.equal(feature_map[:, :1], planes[0])
    luma, chroma = feature_map[0, 3:]
    assert (luma == 7 / 8).nonzero().tolist() == [[y, x] for y in range(3, 32, 8) for x in (5, 13)]
    assert set(luma.unique().tolist()) == {4 / 8, 7 / 8}
    assert torch.equal(chroma, torch.full((32, 16), 4 / 8))  # between log2(4) and log2(64)


@pytest.mark.parametrize("changed", [0, 1, 2])
def test_another_table_with_the_same_samples_gives_another_picture(changed: int) -> None:
    inputs = components()
    other = list(inputs)
    other[2 * changed], other[2 * changed + 1] = inputs[2 * changed] / 2, inputs[2 * changed + 1] * 2
    for config, told in [(TINY, True), (QCN, True), (EDSR, False)]:
        network = scrambled(config)
        for before, after in zip(network(*inputs), network(*other), strict=True):
            assert torch.equal(before, after) is not told


# ---- the global branch and the rest ----


def far_apart(change: float) -> list[torch.Tensor]:
    """A grey picture of one row of blocks, the last one changed."""
    coefficients, table = torch.zeros(1, 1, 12, 64), torch.full((1, 64), 8.0)
    coefficients[0, 0, -1, :4] = change
    return [coefficients, table]


def test_the_whole_picture_counts_everywhere() -> None:
    network = scrambled(colour=False)
    difference = network(*far_apart(20))[0] - network(*far_apart(0))[0]
    assert (difference.abs() > 0).float().mean() > 0.99


def test_it_does_so_through_the_context_alone() -> None:
    network = scrambled(colour=False)
    context = network.context(*far_apart(0))
    difference = network.restore_with(context, *far_apart(20))[0] - network.restore_with(context, *far_apart(0))[0]
    changed = difference.abs().amax(dim=(0, 1, 3)).nonzero().flatten()
    assert 11 - changed.min() == network.margin


def test_another_context_counts_at_every_sample() -> None:
    network, inputs = scrambled(), components(batch=2)
    contexts = torch.randn(2, 2, 64)
    for one, other in zip(*(network.restore_with(context, *inputs) for context in contexts), strict=True):
        assert (one != other).float().mean() > 0.99


def test_the_two_branches_joined_are_the_network() -> None:
    network, inputs = scrambled(), components(batch=2)
    context = network.context(*inputs)
    assert context.shape == (2, 64)
    for whole, joined in zip(network(*inputs), network.restore_with(context, *inputs), strict=True):
        assert torch.equal(whole, joined)


@pytest.mark.parametrize("size", [(8, 8), (112, 112), (200, 136), (512, 768), (16, 2000)])
def test_the_picture_is_resized_as_pillow_does_it(size: tuple[int, int]) -> None:
    picture = torch.rand(2, 3, *size)
    expected = functional.interpolate(picture, size=(112, 112), mode="bicubic", antialias=True)
    torch.testing.assert_close(resize(picture, 112), expected, atol=1e-5, rtol=0)


def test_the_branch_sees_the_picture_and_not_the_table() -> None:
    network, inputs = scrambled(), components()
    seen: list[torch.Tensor] = []
    assert network.global_branch is not None
    network.global_branch.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    network(*inputs)
    picture = network.picture([to_unit(blocks) for blocks in Decode()(*inputs)])
    assert torch.equal(seen[0], picture)


def test_the_context_starts_at_nothing_and_learns_to_tell_pictures_apart() -> None:
    network, inputs = Qgcn(TINY, colour=True), components(batch=4)
    assert not network.context(*inputs).any()
    nn.init.normal_(conv(network.predict["project"]).weight, 0, 0.1)
    branch = MuonBeside("global_branch")(network, 1e-2)[-1]
    torch.stack([blocks.square().mean() for blocks in network(*inputs)]).sum().backward()
    branch.step()
    assert network.context(*inputs).std(dim=0).mean() > 1e-3


def test_units_of_fc1_fire_however_training_moves_them_together() -> None:
    branch = GlobalBranch(1, 64)
    fired: list[torch.Tensor] = []
    nn.init.normal_(branch.fc2.weight)
    branch.fc2.register_forward_pre_hook(lambda _, given: fired.append((given[0] > 0).float().mean(dim=1)))
    nn.init.constant_(branch.fc1.bias, -55)
    branch(torch.rand(4, 1, 64, 64))
    assert ((fired[0] > 0.3) & (fired[0] < 0.7)).all()


def test_qcn_has_no_context() -> None:
    with pytest.raises(ValueError, match="without a global branch"):
        Qgcn(QCN, colour=True).context(*components())


@pytest.mark.parametrize("authors", [True, False])
@pytest.mark.parametrize("compact", [True, False])
@pytest.mark.parametrize("blocks", [1, 2, 3])
def test_nothing_beyond_the_margin_is_seen(blocks: int, compact: bool, authors: bool) -> None:
    config = replace(QCN, blocks=blocks, compact_output=compact, authors_layers=authors)
    network = scrambled(config, colour=False)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            parameter.fill_(1 if name.endswith("weight") else 0)
    coefficients, table = torch.zeros(1, 1, 17, 64), torch.ones(1, 64)
    coefficients[..., 0] = -1024  # black, and a map of zeros: what comes out is what the change makes of it
    before = network(coefficients, table)[0]
    coefficients[0, 0, 8, 0] = 0
    reached = (network(coefficients, table)[0] != before).any(dim=3).nonzero()[:, 2]
    assert 8 - reached.min() == reached.max() - 8 == network.margin


@pytest.mark.parametrize("full", [True, False])
@pytest.mark.parametrize("span", SPANS)
def test_nor_through_chromas_resize(span: tuple[int, int], full: bool) -> None:
    across, _ = span
    network = scrambled(replace(QCN, full_chroma=full))
    inputs = components(span, (1, 12))
    before = network(*inputs)
    for index in (0, 2, 4):
        inputs[index] = inputs[index].clone()
        inputs[index][:, :, -1] += 5
    chroma = 1 if full else across
    for one, other, spans in zip(before, network(*inputs), (1, chroma, chroma), strict=True):
        reached = (one != other).any(dim=3).nonzero()[:, 2].min().item()
        first_changed = 11 * across  # chroma's last block, and luma's above it, in blocks of luma
        assert first_changed - network.margin <= (reached + 1) * spans - 1 < first_changed


# ---- the network ----


@pytest.mark.parametrize("config", [TINY, replace(TINY, compact_output=True), QCN, EDSR, OWN_CHROMA, AUTHORS])
def test_it_starts_as_the_plain_decode(config: QgcnConfig) -> None:
    inputs = components()
    for ours, decoded in zip(Qgcn(config, colour=True)(*inputs), plain(config, inputs), strict=True):
        torch.testing.assert_close(ours, decoded, atol=1e-3, rtol=0)


@pytest.mark.parametrize("config", [TINY, replace(TINY, compact_output=True), OWN_CHROMA])
@pytest.mark.parametrize("span", [*SPANS, None])
@pytest.mark.parametrize("grid", [(1, 1), (2, 3)])
def test_any_size_and_sampling(span: tuple[int, int] | None, grid: tuple[int, int], config: QgcnConfig) -> None:
    network = scrambled(config, colour=span is not None)
    inputs = components(span, grid, batch=2)
    both = network(*inputs)
    own = [blocks.shape for blocks in inputs[::2]]
    assert [blocks.shape for blocks in both] == (len(own) * own[:1] if config.full_chroma else own)
    second = network(*[tensor[1:] for tensor in inputs])
    for blocks, alone, decoded in zip(both, second, plain(config, inputs), strict=True):
        torch.testing.assert_close(blocks[1:], alone, atol=1e-3, rtol=0)
        assert (blocks - decoded).abs().mean() > 1


@pytest.mark.parametrize("full", [True, False])
def test_chroma_is_predicted_at_lumas_grid_and_added_there_or_at_its_own(full: bool) -> None:
    config = replace(EDSR, full_chroma=full)
    network, inputs = scrambled(config), components()
    nn.init.zeros_(conv(network.predict["project"]).weight)
    with torch.no_grad():
        bias(network.predict["project"]).copy_(torch.tensor([1, 2, 3]) / 255)
    for ours, decoded, more in zip(network(*inputs), plain(config, inputs), (1, 2, 3), strict=True):
        torch.testing.assert_close(ours, decoded + more, atol=1e-3, rtol=0)


def test_both_kinds_of_chroma_have_the_same_weights() -> None:
    """A network that restored chroma at its own size is trained further for luma's."""
    before, after = Qgcn(OWN_CHROMA, colour=True), Qgcn(TINY, colour=True)
    assert {name: weight.shape for name, weight in before.state_dict().items()} == {
        name: weight.shape for name, weight in after.state_dict().items()
    }


@pytest.mark.parametrize("config", [TINY, replace(TINY, compact_output=True), AUTHORS])
def test_every_weight_learns(config: QgcnConfig) -> None:
    network = scrambled(config).train()
    torch.stack([blocks.square().mean() for blocks in network(*components(batch=2))]).sum().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


@pytest.mark.parametrize("compact", [True, False])
def test_the_cost(compact: bool) -> None:
    config = QgcnConfig(8, compact_output=compact, global_branch=False)
    cell = 5 * 64 + 2 * 8 * 2 * 64 * 64 + (64 * 12 if compact else 64 * 256 + 4 * 64 * 3)  # taps of 3x3 kernels
    decode = 64 * 1.5
    assert macs_per_pixel(Qgcn(config, colour=True)) == pytest.approx(9 * cell / 4 + decode)


# ---- exported ----


def arrays(*grids: tuple[int, int]) -> list[NDArray[Any]]:
    random = np.random.default_rng(1)
    found: list[NDArray[Any]] = []
    for grid in grids:
        found += [random.integers(-3, 4, (*grid, 64)).astype(np.int16), random.integers(1, 12, 64).astype(np.uint16)]
    return found


@pytest.fixture(scope="module")
def grey(tmp_path_factory: pytest.TempPathFactory) -> tuple[Qgcn, Path]:
    """A network for grey pictures, and the folder of its two graphs: each export takes seconds."""
    needs("onnxscript")
    torch.manual_seed(3)
    folder, network = tmp_path_factory.mktemp("grey"), scrambled(colour=False)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if name.endswith("bias"):
                parameter.normal_(0, 0.1)  # as none of equal weights is left
    export_variant({"grey": network}, "qgcn", folder, "context")
    return network, folder


@pytest.fixture(scope="module")
def colour(tmp_path_factory: pytest.TempPathFactory) -> tuple[Qgcn, Path]:
    """A network for pictures in colour, and its context graph, which chroma's size does not concern."""
    needs("onnxscript")
    network, path = scrambled(replace(TINY, compact_output=True)), tmp_path_factory.mktemp("colour") / "context.onnx"
    export_context(network, path, colour=True)
    return network, path


def both_runtimes(path: Path) -> list[Callable[[list[NDArray[Any]]], list[NDArray[Any]]]]:
    onnxruntime, openvino = needs("onnxruntime"), needs("openvino")
    session = onnxruntime.InferenceSession(path)
    compiled = openvino.Core().compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    names = [entry.name for entry in session.get_inputs()]
    return [
        lambda inputs: session.run(None, dict(zip(names, inputs, strict=True))),
        lambda inputs: list(compiled(dict(zip(names, inputs, strict=True))).values()),
    ]


def assert_alike(planes: list[NDArray[Any]], network: nn.Module, inputs: list[NDArray[Any]]) -> None:
    """The planes are what the network makes of the inputs, but for what lies on the edge of rounding."""
    with torch.no_grad():
        expected = Graph(network)(*[torch.from_numpy(array) for array in inputs])
    for plane, wanted in zip(planes, expected, strict=True):
        assert plane.dtype == np.uint8
        difference = np.abs(plane.astype(int) - wanted.numpy())
        assert difference.max() <= 1
        assert difference.mean() < 0.01


def assert_joined_alike(tile: Path, context: Path, network: Qgcn, pictures: list[list[NDArray[Any]]]) -> None:
    """The two graphs of a network, one after the other, do what the network does, in both runtimes."""
    for run_tile, run_context in zip(both_runtimes(tile), both_runtimes(context), strict=True):
        for inputs in pictures:
            (vector,) = run_context(inputs)
            wanted = network.context(*[torch.from_numpy(array).float()[None] for array in inputs])
            np.testing.assert_allclose(vector, wanted[0].detach().numpy(), atol=1e-4)
            assert_alike(run_tile([*inputs, vector]), network, inputs)


@pytest.mark.slow
def test_the_grey_graphs_of_context_and_tile_do_what_the_network_does(grey: tuple[Qgcn, Path]) -> None:
    onnx = needs("onnx")
    network, folder = grey
    tile = folder / "qgcn.grey.onnx"
    assert_joined_alike(tile, context_path(tile), network, [arrays(grid) for grid in [(4, 6), (1, 1), (18, 17)]])
    last = [node.op_type for node in onnx.load(tile).graph.node if "predict.place" in node.output]
    assert last == ["Conv"]


@pytest.mark.slow
@pytest.mark.parametrize("full", [True, False])
def test_the_colour_graphs_of_context_and_tile_do_what_the_network_does(
    tmp_path: Path, colour: tuple[Qgcn, Path], full: bool
) -> None:
    (other, context), tile = colour, tmp_path / "tile.onnx"
    network = Qgcn(replace(other.config, full_chroma=full), colour=True).eval()
    network.load_state_dict(other.state_dict())
    export(network, tile, colour=True, extra="context")
    assert described(tile).full_chroma is full
    grids = [((4, 6), (2, 3)), ((3, 2), (3, 1)), ((1, 1), (1, 1)), ((18, 17), (18, 17))]
    assert_joined_alike(tile, context, network, [arrays(luma, chroma, chroma) for luma, chroma in grids])


@pytest.mark.slow
def test_weights_come_back_from_both_graphs(grey: tuple[Qgcn, Path], tmp_path: Path) -> None:
    (trained, folder), network = grey, Qgcn(TINY, colour=False)
    load_weights(network, folder / "qgcn.grey.onnx")
    for ours, theirs in zip(network.state_dict().values(), trained.state_dict().values(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-4)  # what is large is kept as float16
    alone = shutil.copy(folder / "qgcn.grey.onnx", tmp_path)
    with pytest.raises(ModelCorrupt, match="global_branch"):
        load_weights(network, Path(alone))


@pytest.mark.slow
def test_a_branch_may_begin_anew_beside_the_weights_of_a_graph(grey: tuple[Qgcn, Path]) -> None:
    (trained, folder), network = grey, Qgcn(replace(TINY, hidden=32), colour=False)
    before = {name: weight.clone() for name, weight in network.state_dict().items()}
    load_weights(network, folder / "qgcn.grey.onnx", ("global_branch.",))
    for name, weight in network.state_dict().items():
        expected = before[name] if name.startswith("global_branch.") else trained.state_dict()[name]
        torch.testing.assert_close(weight, expected, rtol=1e-3, atol=1e-4)
