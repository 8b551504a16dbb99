from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.lacking import needs

needs("torch")
needs("onnxscript")

import torch
from torch import nn

from mjpeg_restore.jpeg.tables import scaled_tables
from mjpeg_restore.models.cost import macs_per_pixel
from mjpeg_restore.models.decode import Decode, dct_matrix
from mjpeg_restore.models.graph import Graph, export, load_weights
from mjpeg_restore.models.papers.manifold import (
    SAMPLE_SPREAD,
    BlockDecoder,
    BlockRepresentation,
    Manifold,
)
from mjpeg_restore.models.papers.qgac import (
    QGAC_COMPACT,
    FrequencyNet,
    Qgac,
    QgacConfig,
)
from mjpeg_restore.models.papers.rrdb import DenseBlock, Rrdb
from mjpeg_restore.runtime import open_network
from tests.agreement import ROUNDED, assert_same, difference
from tests.models.layers import conv
from tests.models.networks import components
from tests.runtime.graphs import graph_file, run

TINY = QgacConfig(width=64, growth=8, chroma_width=64, chroma_growth=4, manifold=4)
SPANS = [(1, 1), (2, 1), (2, 2), (1, 2), (4, 1)]


@pytest.fixture(autouse=True)
def seeded() -> Iterator[None]:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


def scrambled(seed: int = 0) -> Qgac:
    """A network whose last layers are not zero."""
    torch.manual_seed(seed)
    network = Qgac(TINY).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.05)
    return network


def shortened(*, colour: bool = True) -> Qgac:
    """With a dense block of each kind, for the exporter's sake, which takes seconds for each; in grey with none."""
    network = scrambled()
    kept = (network.first.body, network.frequency.body) if colour else ()
    for module in network.modules():
        if isinstance(module, Rrdb):
            module.blocks = nn.Sequential(*([module.blocks[0]] if module in kept else []))
    return network


# ---- what training starts from ----


@pytest.mark.parametrize("quality", [10, 40, 90])
@pytest.mark.parametrize("width", [64, 128])
def test_a_blocknet_starts_as_a_change_to_samples_and_back(quality: int, width: int) -> None:
    torch.manual_seed(1)
    network = Qgac(replace(TINY, width=width, manifold=32))
    table = torch.tensor(scaled_tables(quality)[0].astype(np.float32))[None]
    coefficients = torch.randn(1, 3, 4, 64)
    with torch.no_grad():
        represented = network.first.represent(coefficients, table)
        back = network.first.decode(represented, table)
    samples = network.samples(coefficients * network.statistics.std).permute(0, 3, 1, 2) / SAMPLE_SPREAD
    torch.testing.assert_close(represented[:, :64], samples, atol=0.2, rtol=0)
    assert (back - coefficients).square().mean().sqrt() < 0.1


def test_frequencynet_starts_by_handing_on_what_it_gets() -> None:
    torch.manual_seed(1)
    coefficients = torch.randn(1, 3, 4, 64)
    with torch.no_grad():
        handed = FrequencyNet(128, 64)(coefficients)
    assert torch.corrcoef(torch.stack([handed.flatten(), coefficients.flatten()]))[0, 1] > 0.9


# ---- convolutional filter manifolds ----


WIDTH = 70


def representation() -> BlockRepresentation:
    return BlockRepresentation(WIDTH, 4, torch.full((64,), 20.0))


def decoder() -> BlockDecoder:
    return BlockDecoder(WIDTH, 4, torch.randn(WIDTH, 64))


@pytest.mark.parametrize("make", [representation, decoder])
def test_every_weight_is_generated_from_the_table(make: Callable[[], BlockRepresentation | BlockDecoder]) -> None:
    layer = make()
    table = torch.randint(1, 99, (1, 64)).float().requires_grad_()
    kernels = layer.manifold(table)
    assert kernels.shape == (1, WIDTH, 64)
    assert (layer.manifold(table + 40) != kernels).all()
    # Nothing else in the layer could hold a kernel.
    assert {name for name, _ in layer.named_parameters() if not name.startswith("manifold.")} <= {
        "bias",
        "activation.slope",
    }
    # Each weight comes from the entries of the table around its own frequency.
    (slope,) = torch.autograd.grad(kernels[0, :, 0].sum(), table)
    near = slope.reshape(8, 8) != 0
    assert near[:4, :4].all()
    assert not near[4:].any()
    assert not near[:, 4:].any()


def test_the_representation_is_an_8x8_convolution_of_stride_8() -> None:
    layer = representation()
    blocks, table = torch.randn(1, 2, 3, 64), torch.full((1, 64), 20.0)
    image = blocks.reshape(2, 3, 8, 8).transpose(1, 2).reshape(1, 1, 16, 24)
    kernels = layer.manifold(table).reshape(WIDTH, 1, 8, 8)
    expected = layer.activation(nn.functional.conv2d(image, kernels, layer.bias, stride=8))
    torch.testing.assert_close(layer(blocks, table), expected)


def test_the_decoder_is_a_transposed_8x8_convolution_of_stride_8() -> None:
    layer = decoder()
    features, table = torch.randn(1, WIDTH, 2, 3), torch.full((1, 64), 20.0)
    kernels = layer.manifold(table).reshape(WIDTH, 1, 8, 8)
    image = nn.functional.conv_transpose2d(features, kernels, stride=8)
    expected = image.reshape(2, 8, 3, 8).transpose(1, 2).reshape(1, 2, 3, 64)
    torch.testing.assert_close(layer(features, table), expected)


def test_each_picture_of_a_batch_has_kernels_of_its_own() -> None:
    layer = representation()
    blocks, tables = torch.randn(2, 2, 3, 64), torch.tensor([[3.0], [90.0]]).expand(2, 64)
    alone = [layer(blocks[i : i + 1], tables[i : i + 1]) for i in range(2)]
    torch.testing.assert_close(layer(blocks, tables), torch.cat(alone))


def test_steps_beyond_eight_bits_count_as_the_most_quantisation() -> None:
    manifold = Manifold(8, 4, terms=64)
    assert torch.equal(manifold(torch.full((1, 64), 255.0)), manifold(torch.full((1, 64), 4000.0)))


def test_the_manifold_of_a_network_by_layer() -> None:
    network = scrambled()
    coarse, fine = (network.manifold(torch.full((1, 64), step)) for step in (60.0, 2.0))
    layers = {"first.represent", "first.decode", "second.represent", "second.decode"}
    colour = {"colour.represent", "colour.represent_luma", "colour.predict_residual"}
    assert set(coarse) == layers | colour
    assert all(coarse[name].shape == (1, 64, 8, 8) for name in layers)
    assert not any(torch.equal(coarse[name], fine[name]) for name in coarse)


# ---- the subnetworks ----


@pytest.mark.parametrize("body", [lambda n: n.first.body, lambda n: n.frequency.body, lambda n: n.colour.joint])
def test_an_rrdb_has_15_convolutions_and_no_normalisation(body: Callable[[Qgac], Rrdb]) -> None:
    kinds = [type(module) for module in body(Qgac(TINY)).modules()]
    assert kinds.count(DenseBlock) == 3
    assert kinds.count(nn.Conv2d) == 15
    assert not any("Norm" in kind.__name__ for kind in kinds)


def test_a_frequency_is_processed_in_isolation() -> None:
    network = FrequencyNet(128, 128)
    coefficients = torch.randn(1, 3, 3, 64, requires_grad=True)
    (slope,) = torch.autograd.grad(network(coefficients)[0, 1, 1, 11], coefficients)
    assert slope[..., 11].all()
    assert not slope[..., [f for f in range(64) if f != 11]].any()


def test_each_convolution_of_a_dense_block_sees_all_before_it() -> None:
    block = DenseBlock(64, 64, groups=64)
    assert [conv(layer).weight.shape[1] for layer in block.convolutions] == [1, 2, 3, 4, 5]
    joined = block.join(torch.arange(64.0)[None, :, None, None], -torch.arange(64.0)[None, :, None, None])
    assert joined[0, :6, 0, 0].tolist() == [0, 0, 1, -1, 2, -2]


@pytest.mark.parametrize("silent", [0, 1, 2])
def test_all_three_subnetworks_reach_the_fusion(silent: int) -> None:
    network, inputs = scrambled(), components(None)
    weight = conv(network.fusion[0]).weight
    before = network(*inputs)[0]
    with torch.no_grad():
        weight[:, 64 * silent : 64 * silent + 64] = 0
    assert not torch.equal(network(*inputs)[0], before)
    loss = network(*inputs)[0].square().mean()
    loss.backward()
    for part in (network.first, network.frequency, network.second)[: 3 - (silent == 2)]:
        assert all(parameter.grad is not None and parameter.grad.any() for parameter in part.parameters())


def test_block_then_frequency_then_block() -> None:
    network, inputs = scrambled(), components(None)
    seen: dict[str, tuple[torch.Tensor, torch.Tensor]] = {}
    for name in ("first", "frequency", "second"):
        getattr(network, name).register_forward_hook(
            lambda _, given, result, name=name: seen.__setitem__(name, (given[0], result))
        )
    network(*inputs)
    assert list(seen) == ["first", "frequency", "second"]
    assert seen["frequency"][0] is seen["first"][1]
    assert seen["second"][0] is seen["frequency"][1]


def test_coefficients_are_normalised() -> None:
    network = Qgac(TINY)
    for statistics in (network.statistics, network.colour.statistics):
        with torch.no_grad():
            statistics.mean.normal_()
        rows = torch.stack([statistics.mean, statistics.mean + statistics.std])
        torch.testing.assert_close(statistics(rows), torch.stack([torch.zeros(64), torch.ones(64)]))


# ---- the network ----


def test_an_untrained_network_is_the_plain_decode() -> None:
    inputs = components()
    with torch.no_grad():
        for ours, plain in zip(Qgac(TINY)(*inputs), Decode()(*inputs), strict=True):
            torch.testing.assert_close(ours, plain, atol=1e-3, rtol=0)


@pytest.mark.parametrize("span", SPANS)
@pytest.mark.parametrize("grid", [(1, 1), (2, 3)])
def test_every_sampling_down_to_one_block(span: tuple[int, int], grid: tuple[int, int]) -> None:
    inputs = components(span, grid)
    with torch.no_grad():
        blocks = scrambled()(*inputs)
    assert [part.shape for part in blocks] == [part.shape for part in inputs[::2]]
    assert all(part.isfinite().all() for part in blocks)


def test_grey_is_lumas_part_alone() -> None:
    network, inputs = scrambled(), components()
    with torch.no_grad():
        (luma,) = network(*inputs[:2])
        assert torch.equal(luma, network(*inputs)[0])


def test_batches_are_as_good_as_one_by_one() -> None:
    network = scrambled()
    one, other = components(), components()
    with torch.no_grad():
        both = network(*[torch.cat(pair) for pair in zip(one, other, strict=True)])
        for index, inputs in enumerate((one, other)):
            for part, alone in zip(both, network(*inputs), strict=True):
                torch.testing.assert_close(part[index], alone[0], atol=1e-2, rtol=1e-4)


def test_cb_and_cr_pass_the_same_network_independently() -> None:
    network, inputs = scrambled(), components()
    swapped = [*inputs[:2], *inputs[4:], *inputs[2:4]]
    with torch.no_grad():
        _, cb, cr = network(*inputs)
        _, first, second = network(*swapped)
    torch.testing.assert_close((first, second), (cr, cb), atol=1e-2, rtol=1e-4)


@pytest.mark.parametrize("changed", [0, 1, 2])
def test_a_changed_table_changes_what_is_made_of_the_same_coefficients(changed: int) -> None:
    network, inputs = scrambled(), components()
    other = list(inputs)
    other[2 * changed] = inputs[2 * changed] / 2
    other[2 * changed + 1] = inputs[2 * changed + 1] * 2  # dequantised, they are the same
    with torch.no_grad():
        before, after = network(*inputs)[changed], network(*other)[changed]
    assert (before - after).abs().max() > 0.1


@pytest.mark.parametrize("span", SPANS)
def test_luma_comes_down_to_chromas_grid(span: tuple[int, int]) -> None:
    network = Qgac(TINY)
    across, down = span
    level = torch.arange(6.0).reshape(1, 2, 3)  # of chroma's blocks
    samples = level.repeat_interleave(down, 1).repeat_interleave(across, 2)[..., None].expand(-1, -1, -1, 64)
    found = network.at_chroma(samples, 2, 3) * network.statistics.std + network.statistics.mean
    torch.testing.assert_close(found @ dct_matrix(), level[..., None].expand(-1, -1, -1, 64), atol=0.6, rtol=0)
    torch.testing.assert_close(found[..., 0] / 8, level, atol=0.05, rtol=0)


def test_luma_guides_chroma() -> None:
    network, inputs = scrambled(), components()
    other = [inputs[0].flip(1), *inputs[1:]]
    with torch.no_grad():
        assert not torch.equal(network(*inputs)[1], network(*other)[1])


def test_restored_coefficients_are_those_of_the_samples() -> None:
    network, inputs = scrambled(), components()
    with torch.no_grad():
        for samples, found in zip(network(*inputs), network.restore(*inputs), strict=True):
            torch.testing.assert_close(samples @ dct_matrix().T, found, atol=2e-2, rtol=1e-4)


def test_frozen_luma_gets_no_gradients() -> None:
    network = scrambled()
    network.freeze_luma()
    torch.stack([part.square().mean() for part in network(*components())[1:]]).sum().backward()
    for name, parameter in network.named_parameters():
        assert (parameter.grad is not None) == name.startswith("colour.")


def test_nothing_reaches_beyond_the_margin() -> None:
    network = scrambled().double()
    assert network.margin == 15 + 1 + 15 + 1 + 15 + 3 + 15  # luma's, then chroma's behind it
    grid = (1, network.margin + 3)
    inputs = [tensor.double() for tensor in components((1, 1), grid)]
    inputs[0].requires_grad_()
    luma, cb, _ = network(*inputs)
    for blocks, reach in ((luma, network.margin - 15), (cb, network.margin)):
        (slope,) = torch.autograd.grad(blocks[0, 0, 0].sum(), inputs[0], retain_graph=True)
        assert slope[0, 0].any(dim=1).nonzero().max() == reach


@pytest.mark.parametrize(("colour", "least", "most"), [(False, 25, 30), (True, 30, 45)])
def test_the_compact_networks_cost(colour: bool, least: int, most: int) -> None:
    assert least < macs_per_pixel(Qgac(QGAC_COMPACT), colour=colour) / 1000 < most


def test_the_colour_network_is_the_smaller_one() -> None:
    network = Qgac(QGAC_COMPACT)
    whole, part = (sum(p.numel() for p in module.parameters()) for module in (network, network.colour))
    assert part < whole - part


# ---- as a graph ----


SAMPLINGS = [[(4, 6), (2, 3), (2, 3)], [(3, 6), (3, 3), (3, 3)], [(2, 3)] * 3]
"""Block grids at 4:2:0, 4:2:2 and 4:4:4."""


@pytest.fixture(scope="module")
def graphs(tmp_path_factory: pytest.TempPathFactory) -> dict[bool, Path]:
    folder = tmp_path_factory.mktemp("graphs")
    for colour in (False, True):
        export(shortened(colour=colour), folder / f"{colour}.onnx", colour=colour)
    return {colour: folder / f"{colour}.onnx" for colour in (False, True)}


def picture(grids: list[tuple[int, int]], step: int) -> list[NDArray[np.generic]]:
    random = np.random.default_rng(step)
    found: list[NDArray[np.generic]] = []
    for grid in grids:
        found += [
            random.integers(-2, 3, (*grid, 64)).astype(np.int16),
            random.integers(step // 2, step, 64).astype(np.uint16),
        ]
    return found


@pytest.mark.slow
@pytest.mark.parametrize("colour", [False, True])
@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
def test_a_runtime_gives_what_the_network_gives(graphs: dict[bool, Path], runtime: str, colour: bool) -> None:
    needs(runtime)
    network, opened = shortened(colour=colour), open_network(graph_file(graphs[colour]), runtime, 1)
    load_weights(network, graphs[True])  # large ones are kept as float16
    for grids, step in product(SAMPLINGS if colour else [[(3, 5)], [(1, 1)]], (8, 60)):
        inputs = picture(grids, step)
        tensors = [torch.from_numpy(array) for array in inputs]
        with torch.no_grad():
            expected, plain = Graph(network)(*tensors), Graph(Decode())(*tensors)
        wanted, decoded = ([plane.numpy() for plane in planes] for planes in (expected, plain))
        assert all((new != old).any() for new, old in zip(wanted, decoded, strict=True))
        if opened.name.endswith("bf16"):
            assert difference(run(opened, inputs), wanted, decoded) <= ROUNDED
        else:
            assert_same(run(opened, inputs), wanted)


@pytest.mark.slow
def test_the_weights_come_back_from_a_graph(graphs: dict[bool, Path]) -> None:
    network = shortened()
    expected = {name: weight.clone() for name, weight in network.state_dict().items()}
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
    load_weights(network, graphs[True])
    for name, weight in network.state_dict().items():
        torch.testing.assert_close(weight, expected[name], atol=1e-6, rtol=1e-3)  # a graph holds large ones as float16
