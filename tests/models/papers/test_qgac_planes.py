from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from tests.lacking import needs

needs("torch")

import torch
from torch import nn

from mjpeg_restore.jpeg.tables import scaled_tables
from mjpeg_restore.models.decode import Decode, blocks_to_plane, plane_to_blocks
from mjpeg_restore.models.graph import export, load_weights
from mjpeg_restore.models.papers.manifold import Prelu
from mjpeg_restore.models.papers.qgac import QgacConfig
from mjpeg_restore.models.papers.qgac_planes import (
    PLANES,
    PLANES_64,
    QGAC,
    QGAC_64,
    BlockDecoder,
    BlockRepresentation,
    FilterManifold,
    FrequencyNet,
    FullColourNet,
    QgacPlanes,
)
from mjpeg_restore.models.papers.rrdb import DenseBlock, Rrdb
from mjpeg_restore.runtime import open_network
from tests.models.layers import conv
from tests.models.networks import assert_restored_alike, components
from tests.runtime.graphs import graph_file

TINY = QgacConfig(width=64, growth=64, chroma_width=64, chroma_growth=4, manifold=4)
WIDTH, COUNT = 70, 3
"""Channels of a representation and planes of coefficients of a layer on its own."""


@pytest.fixture(autouse=True)
def seeded() -> Iterator[None]:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


def table(quality: int) -> torch.Tensor:
    return torch.tensor(scaled_tables(quality)[0].astype(np.float32))[None]


def scrambled() -> QgacPlanes:
    """A network whose last layers are not zero, with one dense block where the paper has three."""
    network = QgacPlanes(TINY, 2).eval()
    for module in network.modules():
        if isinstance(module, Rrdb):
            module.blocks = nn.Sequential(module.blocks[0])
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.02)
    return network


def shuffled(coefficients: torch.Tensor, planes: int) -> torch.Tensor:
    """Blocks `[1, high, wide, 64 planes]` as images `[1, planes, 8 high, 8 wide]`."""
    _, high, wide, _ = coefficients.shape
    return coefficients.reshape(1, high, wide, 8, 8, planes).permute(0, 5, 1, 3, 2, 4).reshape(1, planes, 8 * high, -1)


# ---- convolutional filter manifolds, section 3.1 ----


def test_a_manifold_is_an_8x8_convolution_a_1x1_and_a_transposed_8x8() -> None:
    manifold = FilterManifold(6, 2, 5)
    layers = [manifold.first, manifold.second, manifold.last]
    assert [type(layer) for layer in layers] == [nn.Conv2d, nn.Conv2d, nn.ConvTranspose2d]
    assert [layer.kernel_size for layer in layers] == [(8, 8), (1, 1), (8, 8)]
    kernels, bias = manifold(torch.full((3, 64), 20.0))
    assert (kernels.shape, bias.shape) == ((3, 6, 64), (3, 1, 2))


@pytest.mark.parametrize("kind", ["representation", "decoder"])
def test_kernels_and_bias_are_generated_from_the_whole_table(kind: str) -> None:
    spread = torch.full((64,), 20.0)
    layer = (
        BlockRepresentation(WIDTH, 4, spread, COUNT)
        if kind == "representation"
        else BlockDecoder(WIDTH, 4, torch.randn(WIDTH, 64), COUNT)
    )
    assert {name for name, _ in layer.named_parameters() if not name.startswith("manifold.")} == {"activation.slope"}
    nn.init.normal_(layer.manifold.bias.weight)
    steps = torch.randint(1, 99, (1, 64)).float().requires_grad_()
    for generated in layer.manifold(steps):
        (slope,) = torch.autograd.grad(generated.sum(), steps, retain_graph=True)
        assert slope.all()


def test_the_representation_is_an_8x8_convolution_of_stride_8_over_all_planes() -> None:
    layer = BlockRepresentation(WIDTH, 4, torch.full((64,), 20.0), COUNT)
    nn.init.normal_(layer.manifold.bias.weight)
    blocks, steps = torch.randn(1, 2, 3, 64 * COUNT), table(20)
    kernels, bias = layer.manifold(steps)
    expected = nn.functional.conv2d(
        shuffled(blocks, COUNT), kernels.reshape(WIDTH, COUNT, 8, 8), bias.flatten(), stride=8
    )
    torch.testing.assert_close(layer(blocks, steps), layer.activation(expected), atol=1e-4, rtol=1e-4)


def test_the_decoder_is_a_transposed_8x8_convolution_of_stride_8_and_a_prelu() -> None:
    layer = BlockDecoder(WIDTH, 4, torch.randn(WIDTH, 64), COUNT)
    nn.init.normal_(layer.manifold.bias.weight)
    assert isinstance(layer.activation, Prelu)
    nn.init.constant_(layer.activation.slope, 0.3)
    features, steps = torch.randn(1, WIDTH, 2, 3), table(20)
    kernels, bias = layer.manifold(steps)
    image = nn.functional.conv_transpose2d(features, kernels.reshape(WIDTH, COUNT, 8, 8), bias.flatten(), stride=8)
    expected = nn.functional.leaky_relu(image, 0.3)
    torch.testing.assert_close(shuffled(layer(features, steps), COUNT), expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("quality", [10, 40, 90])
def test_a_blocknet_starts_by_carrying_the_first_plane_on(quality: int) -> None:
    network = QgacPlanes(TINY, 4)
    coefficients = torch.randn(1, 3, 4, 64)
    with torch.no_grad():
        represented = network.first.represent(coefficients, table(quality))
        back = network.first.decode(represented, table(quality)).unflatten(3, (64, 4))
    correlation = torch.corrcoef(torch.stack([back[..., 0].flatten(), coefficients.flatten()]))[0, 1]
    assert correlation > 0.9
    assert (back[..., 0] - coefficients).square().mean().sqrt() < 0.5
    assert back[..., 1:].std() < 0.5


# ---- the sub-networks ----


def test_the_papers_size() -> None:
    with torch.device("meta"):
        network = QgacPlanes(QGAC, PLANES)
    assert network.first.decode.manifold.last.out_channels == 256 * 64
    assert network.second.represent.manifold.last.out_channels == 256 * 64
    assert network.frequency.enter.weight.shape == (256, 64, 3, 3)  # 64 planes of a frequency to its 4 channels
    assert network.frequency.leave.weight.shape == (64 * 64, 4, 3, 3)  # and back (section 3.2)
    fusion = [layer for layer in network.fusion if isinstance(layer, nn.Conv2d)] + [conv(network.predict["project"])]
    assert [(layer.weight.shape[1], layer.out_channels // 64) for layer in fusion] == [(192, 4), (4, 4), (4, 1)]
    assert all(layer.groups == 64 for layer in fusion)
    blocks = [m for part in (network.first, network.second) for m in part.modules() if isinstance(m, DenseBlock)]
    assert all([conv(layer).out_channels for layer in block.convolutions] == [256] * 5 for block in blocks)
    whole, colour = (sum(p.numel() for p in part.parameters()) for part in (network, network.colour))
    assert 250e6 < whole - colour < 265e6
    assert colour < 0.1 * whole


def test_the_smaller_one_has_the_same_structure() -> None:
    with torch.device("meta"):
        large, small = QgacPlanes(QGAC, PLANES), QgacPlanes(QGAC_64, PLANES_64)
    assert [name for name, _ in small.named_parameters()] == [name for name, _ in large.named_parameters()]
    assert sum(parameter.numel() for parameter in small.parameters()) < 6e6


def test_a_frequency_is_processed_in_isolation() -> None:
    network = FrequencyNet(128, 3)
    coefficients = torch.randn(1, 3, 3, 192, requires_grad=True)
    (slope,) = torch.autograd.grad(network(coefficients)[0, 1, 1, 33:36].sum(), coefficients)
    assert slope[..., 33:36].any(dim=(0, 1, 2)).all()
    assert not slope[..., [f for f in range(192) if f not in (33, 34, 35)]].any()


def test_the_fusion_keeps_to_a_frequency_and_sees_all_three_subnetworks() -> None:
    network = scrambled()
    seen: list[torch.Tensor] = []
    network.fusion.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    parts: list[torch.Tensor] = []

    def keep(module: nn.Module, given: object, result: torch.Tensor) -> None:
        parts.append(result)

    for part in (network.first, network.frequency, network.second):
        part.register_forward_hook(keep)
    network(*components(None))
    of_seven = torch.cat([part[0, 0, 0, 14:16] for part in parts])
    assert torch.equal(seen[0][0, 42:48, 0, 0], of_seven)


# ---- the colour network, section 3.3 ----


def repeated(blocks: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    """Blocks of samples, those of chroma repeated to luma's size."""
    luma, *chroma = map(blocks_to_plane, blocks)
    down, across = (luma.shape[side] // chroma[0].shape[side] for side in (1, 2))
    chroma = [plane.repeat_interleave(down, 1).repeat_interleave(across, 2) for plane in chroma]
    return [plane_to_blocks(plane) for plane in (luma, *chroma)]


def test_chroma_is_up_sampled_by_a_learnt_4x4_of_stride_2() -> None:
    layer = FullColourNet(64, 4, 4, torch.ones(64)).up_sample
    assert (layer.kernel_size, layer.stride) == ((4, 4), (2, 2))
    nn.init.zeros_(layer.bias)  # pyright: ignore[reportArgumentType]
    blocks = torch.randn(1, 3, 5, 64)
    _, doubled = repeated([torch.zeros(1, 6, 10, 64), blocks])
    with torch.no_grad():
        layer.weight[layer.weight != 1] = 0
        found = layer(blocks.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
    torch.testing.assert_close(found, doubled)  # as it starts, but for small random weights


@pytest.mark.parametrize("span", [(1, 1), (2, 1), (2, 2), (4, 1)])
def test_nothing_reaches_beyond_the_margin(span: tuple[int, int]) -> None:
    network = scrambled().double()
    across, _ = span
    wide = network.margin + 3
    inputs = [tensor.double() for tensor in components(span, (1, wide))]
    for index in (0, 2):
        inputs[index].requires_grad_()
    luma, cb, _ = network(*inputs)
    for blocks in (luma, cb):
        slopes = torch.autograd.grad(
            blocks[0, 0, 0].sum(), [inputs[0], inputs[2]], retain_graph=True, allow_unused=True
        )
        for slope, step in zip(slopes, (across, 1), strict=True):
            if slope is not None:
                assert slope[0, 0].any(dim=1).nonzero().max() // step <= network.margin


# ---- the network ----


def test_an_untrained_network_is_the_plain_decode() -> None:
    inputs = components()
    with torch.no_grad():
        for ours, plain in zip(QgacPlanes(TINY, 2)(*inputs), repeated(Decode()(*inputs)), strict=True):
            torch.testing.assert_close(ours, plain, atol=1e-2, rtol=0)


@pytest.mark.parametrize("span", [(1, 1), (2, 1), (2, 2), (4, 1)])
def test_every_sampling_down_to_one_block(span: tuple[int, int]) -> None:
    inputs = components(span, (1, 1))
    with torch.no_grad():
        blocks = scrambled()(*inputs)
    assert [part.shape for part in blocks] == 3 * [inputs[0].shape]
    assert all(part.isfinite().all() for part in blocks)


def test_every_weight_learns() -> None:
    network = scrambled().train()
    torch.stack([part.square().mean() for part in network(*components())]).sum().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.any(), name


def test_the_manifold_of_a_network_by_layer() -> None:
    network = scrambled()
    found = network.manifold(torch.full((1, 64), 60.0))
    assert found["first.represent"].shape == (1, 64, 8, 8)
    assert found["first.decode"].shape == found["second.represent"].shape == (1, 128, 8, 8)
    assert {"colour.represent", "colour.represent_luma", "colour.predict_residual"} < set(found)


@pytest.mark.slow
def test_both_runtimes_give_what_the_network_gives(tmp_path: Path) -> None:
    for module in ("onnxscript", "onnxruntime", "openvino"):
        needs(module)
    network, path = scrambled(), tmp_path / "qgac.onnx"
    for module in network.modules():  # dense blocks are in the smaller QGAC's graphs: each takes the exporter seconds
        if isinstance(module, Rrdb):
            module.blocks = nn.Sequential()
    export(network, path, colour=True)
    load_weights(network, path)
    random = np.random.default_rng(3)
    pictures = []
    for grids in ([(4, 6), (2, 3), (2, 3)], [(2, 3)] * 3):
        blocks = [random.integers(-2, 3, (*grid, 64)).astype(np.int16) for grid in grids]
        pictures.append([array for block in blocks for array in (block, np.full(64, 30, np.uint16))])
    for runtime in ("onnxruntime", "openvino"):
        opened = open_network(graph_file(path), runtime, 1)
        for inputs in pictures:
            assert_restored_alike(opened, network, inputs, bf16=runtime == "openvino")
