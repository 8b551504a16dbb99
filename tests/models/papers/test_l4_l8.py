from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.lacking import needs

needs("torch")

import torch
from torch import nn

from mjpeg_restore.models.cost import macs_per_pixel
from mjpeg_restore.models.decode import Decode
from mjpeg_restore.models.papers.l4_l8 import (
    L4,
    L4_LAYERS,
    L8,
    L8_LAYERS,
    FullyConvolutional,
    Layer,
    sobel,
)
from tests.models.layers import bias, conv
from tests.models.planes import components, restored_alike

TINY = (Layer(5, 4), Layer(3, 6, skip=True), Layer(1, 4), Layer(3, 1))
SPANS = [(1, 1), (2, 1), (2, 2), (4, 1)]


@pytest.fixture(autouse=True)
def _the_same_numbers() -> None:
    torch.manual_seed(5)


def scrambled(layers: tuple[Layer, ...] = TINY, *, residual: bool = True, chroma: bool = False) -> FullyConvolutional:
    """A network whose weights are all positive, so that what it looks at is seen in what it gives."""
    network = FullyConvolutional(layers, residual=residual, chroma=chroma).eval()
    with torch.no_grad():
        for weight in network.parameters():
            weight.uniform_(0.5, 1).div_(weight[0].numel())
    return network


def convolutions(network: nn.Module) -> list[nn.Conv2d]:
    return [module for module in network.modules() if isinstance(module, nn.Conv2d)]


# ---- what the paper states ----


@pytest.mark.parametrize(
    ("network", "weights", "biases"),
    [(L4(), 71_920, 177), (L8(), 220_064, 481)],  # 71,920 is HR-CNN's table III; "approx 70 K and 220 K"
    ids=["L4", "L8"],
)
def test_parameters(network: FullyConvolutional, weights: int, biases: int) -> None:
    assert sum(layer.weight.numel() for layer in convolutions(network)) == weights
    assert sum(parameter.numel() for parameter in network.parameters()) == weights + biases


@pytest.mark.parametrize(("network", "kflop"), [(L4(), 140), (L8(), 440)], ids=["L4", "L8"])
def test_operations_for_a_pixel(network: FullyConvolutional, kflop: int) -> None:
    of_decode = macs_per_pixel(Decode(), colour=False)
    assert 2 * (macs_per_pixel(network, colour=False) - of_decode) / 1000 == pytest.approx(kflop, rel=0.03)


@pytest.mark.parametrize(("layers", "side"), [(L4_LAYERS, 19), (L8_LAYERS, 25)], ids=["L4", "L8"])
def test_receptive_field(layers: tuple[Layer, ...], side: int) -> None:
    plane = torch.ones(1, 1, 29, 31, requires_grad=True)
    scrambled(layers).restore_plane(plane)[0, 0, 14, 15].backward()
    assert plane.grad is not None
    rows, columns = plane.grad[0, 0].nonzero().T
    for seen, centre in [(rows, 14), (columns, 15)]:
        assert centre - seen.min() == seen.max() - centre == side // 2


def test_the_first_layer_is_concatenated_to_the_fourth_and_the_sixth() -> None:
    shapes = [(layer.in_channels, layer.out_channels, layer.kernel_size[0]) for layer in convolutions(L8())]
    assert shapes == [
        (1, 32, 11),
        (32, 64, 3),
        (64, 64, 3),
        (64, 64, 3),
        (96, 64, 1),
        (64, 64, 5),
        (96, 128, 1),
        (128, 1, 5),
    ]


# ---- initialisation ----


@pytest.mark.parametrize("make", [L4, L8])
@pytest.mark.parametrize("residual", [True, False])
def test_filters_begin_with_a_mean_of_zero(make: type[L4 | L8], residual: bool) -> None:
    *inner, last = convolutions(make(residual=residual))
    for layer in (*inner, last):
        assert layer.weight.mean(dim=(1, 2, 3)).abs().max() < 1e-6
        assert layer.weight.std() > 5e-4
        assert not bias(layer).any()
    assert last.weight.std() < 0.1 * min(layer.weight.std() for layer in inner)


def test_a_flat_picture_excites_nothing_to_begin_with() -> None:
    body = L4().body[0](torch.full((1, 1, 16, 16), 0.7))
    assert body.abs().max() < 1e-5


# ---- direct and residual ----


def test_a_residual_of_nothing_is_the_decode() -> None:
    inputs, network = components(), scrambled()
    with torch.no_grad():
        for parameter in network.last.parameters():
            parameter.zero_()
    (restored, *_), (decoded, *_) = network(*inputs), Decode()(*inputs)
    torch.testing.assert_close(restored, decoded.round().clamp(-128, 127), atol=1e-3, rtol=0)


def test_direct_is_residual_without_the_plane() -> None:
    residual, direct = scrambled(), scrambled(residual=False)
    weights = residual.state_dict()
    direct.load_state_dict({name.replace("predict.project", "reconstruct"): weights[name] for name in weights})
    plane = torch.rand(2, 1, 16, 8)
    torch.testing.assert_close(direct.restore_plane(plane), residual.restore_plane(plane) - plane)


@pytest.mark.parametrize("residual", [True, False])
def test_only_a_residual_may_be_computed_coarsely(residual: bool) -> None:
    names = [name for name, _ in L4(residual=residual).named_parameters()]
    assert any("predict.project" in name for name in names) is residual
    assert names[-1] == ("predict.project.bias" if residual else "reconstruct.bias")


def test_a_picture_drawn_directly_is_not_rounded_to_bf16() -> None:
    network, plane = scrambled(residual=False), torch.rand(1, 1, 16, 16)
    with torch.autocast("cpu", torch.bfloat16):
        drawn = network.restore_plane(plane)
    assert drawn.dtype == torch.float32
    assert not torch.equal(drawn, drawn.bfloat16().float())


def test_without_what_goes_past_the_middle_the_picture_is_another() -> None:
    network, plane = scrambled(), torch.rand(1, 1, 16, 16)
    before = network.restore_plane(plane)
    with torch.no_grad():
        conv(network.body[2]).weight[:, TINY[1].channels :] = 0
    assert (network.restore_plane(plane) - before).abs().min() > 1e-3


# ---- the contract ----


@pytest.mark.parametrize("chroma", [True, False])
@pytest.mark.parametrize("span", SPANS)
def test_blocks_of_each_component_come_back(span: tuple[int, int], chroma: bool) -> None:
    inputs, network = components(span, batch=2), scrambled(chroma=chroma)
    restored = network(*inputs)
    assert [blocks.shape for blocks in restored] == [blocks.shape for blocks in inputs[::2]]
    for index, decoded in enumerate(Decode()(*inputs)[1:], 1):
        assert torch.equal(restored[index], decoded) is not chroma
        if chroma:  # as if it were luma
            assert torch.equal(restored[index], network(*inputs[2 * index : 2 * index + 2])[0])


def test_one_grey_block() -> None:
    (luma,) = L8()(torch.zeros(1, 1, 1, 64), torch.ones(1, 64))
    torch.testing.assert_close(luma, torch.zeros(1, 1, 1, 64), atol=1, rtol=0)


def test_a_flat_picture_stays_flat_up_to_its_edges() -> None:
    flat = scrambled().restore_plane(torch.full((1, 1, 16, 24), 0.4))
    torch.testing.assert_close(flat, flat[:, :, 8:9, 12:13].expand_as(flat))


@pytest.mark.parametrize("residual", [True, False])
def test_every_weight_learns(residual: bool) -> None:
    network = scrambled(residual=residual)
    network(*components())[0].square().mean().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


@pytest.mark.parametrize(("layers", "margin"), [(TINY, 1), (L4_LAYERS, 2), (L8_LAYERS, 2)], ids=["tiny", "L4", "L8"])
def test_nothing_beyond_the_margin_is_seen(layers: tuple[Layer, ...], margin: int) -> None:
    network = scrambled(layers)
    coefficients, table = torch.zeros(1, 1, 7, 64), torch.full((1, 64), 4.0)
    with torch.no_grad():
        before = network(coefficients, table)[0]
        coefficients[:, :, 3, :] = 20
        seen = (network(coefficients, table)[0] - before).abs().amax(dim=(0, 1, 3)) > 1e-3
    reached = seen.nonzero().flatten()
    assert 3 - reached.min() == reached.max() - 3 == network.margin == margin


# ---- the edge-preserving objective ----


def test_sobel_of_a_slope() -> None:
    down, along = torch.meshgrid(torch.arange(6.0), torch.arange(9.0), indexing="ij")
    edges = sobel((3 * down - 2 * along)[None, None])
    assert edges.shape == (1, 2, 6, 9)
    assert (edges[0, 0, 1:-1, 1:-1] == 24).all()
    assert (edges[0, 1, 1:-1, 1:-1] == -16).all()


def test_sobel_sees_no_edge_in_a_flat_plane() -> None:
    assert not sobel(torch.full((2, 1, 8, 8), 0.3)).abs().gt(1e-6).any()


# ---- as a graph ----


@pytest.mark.slow
def test_it_is_exported(tmp_path: Path) -> None:
    needs("onnxscript")
    from mjpeg_restore.models.graph import Graph, export

    network, path = FullyConvolutional(TINY, residual=True, chroma=True).eval(), tmp_path / "l4.onnx"
    with torch.no_grad():
        conv(network.last).weight.mul_(100)
    export(network, path, colour=True)
    cases = [((2, 2), (3, 5)), ((2, 1), (1, 2)), ((1, 1), (2, 3))]
    for inputs, expected in restored_alike(network, path, [components(span, grid) for span, grid in cases]):
        plain = [plane.numpy() for plane in Graph(Decode())(*inputs)]
        assert all(2 < np.abs(a.astype(int) - b).mean() < 40 for a, b in zip(expected, plain, strict=True))
