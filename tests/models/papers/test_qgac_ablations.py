"""The networks of QGAC's table 5. Ehrlich et al. 2020, section 4.4."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.lacking import needs

needs("torch")
needs("onnxscript")

import torch
from torch import nn

from mjpeg_restore.models.graph import export
from mjpeg_restore.models.papers.manifold import Manifold
from mjpeg_restore.models.papers.qgac import BlockNet
from mjpeg_restore.models.papers.qgac_ablations import ABLATIONS, Ablation, QgacAblation
from mjpeg_restore.models.papers.rrdb import Rrdb
from mjpeg_restore.runtime import open_network
from tests.models.networks import assert_restored_alike, components
from tests.runtime.graphs import graph_file

NAMES = list(ABLATIONS)


@pytest.fixture(autouse=True)
def seeded() -> Iterator[None]:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


def scrambled(ablation: Ablation) -> QgacAblation:
    """A network whose last layers are not zero."""
    network = QgacAblation(ablation).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.02)
    return network


@pytest.mark.parametrize("name", NAMES)
def test_untrained_it_is_the_plain_decode(name: str) -> None:
    network = QgacAblation(ABLATIONS[name])
    coefficients, table = components(None)
    with torch.no_grad():
        (samples,) = network(coefficients, table)
    torch.testing.assert_close(samples, network.samples(coefficients * table[:, None, None]))


@pytest.mark.parametrize("name", NAMES)
def test_all_have_about_as_many_parameters(name: str) -> None:
    counts = [sum(p.numel() for p in QgacAblation(ABLATIONS[each]).parameters()) for each in (name, "complete")]
    assert 0.8 < counts[0] / counts[1] < 1.2


@pytest.mark.parametrize("name", NAMES)
def test_every_weight_learns(name: str) -> None:
    network = scrambled(ABLATIONS[name])
    network(*components(None))[0].square().sum().backward()
    assert all(parameter.grad is not None and parameter.grad.any() for parameter in network.parameters())


@pytest.mark.parametrize(
    ("name", "depends"), [("complete", True), ("table-concatenated", True), ("table-unused", False)]
)
def test_what_the_table_is_to_a_blocknet(name: str, depends: bool) -> None:
    network = scrambled(ABLATIONS[name])
    assert any(isinstance(module, Manifold) for module in network.modules()) == (name == "complete")
    coefficients = torch.randn(1, 2, 3, 64)
    with torch.no_grad():
        fine, coarse = (network.parts[0](coefficients, torch.full((1, 64), step)) for step in (2.0, 90.0))
    assert torch.equal(fine, coarse) is not depends


def test_a_table_is_concatenated_as_channels_that_are_the_same_for_every_block() -> None:
    network = scrambled(ABLATIONS["table-concatenated"])
    block = network.parts[0]
    assert isinstance(block, BlockNet)
    coefficients = torch.randn(1, 1, 1, 64).expand(1, 2, 3, 64)
    represented = block.represent(coefficients, torch.randint(1, 99, (1, 64)).float())
    torch.testing.assert_close(represented, represented[:, :, :1, :1].expand_as(represented))
    assert {tuple(weight.shape) for weight in block.represent.parameters() if weight.ndim == 2} == {(64, 128)}


def test_a_sub_network_alone() -> None:
    for name in ("block", "frequency"):
        network = QgacAblation(ABLATIONS[name])
        assert sum(isinstance(module, Rrdb) for module in network.modules()) == 1
    coefficients = torch.randn(1, 3, 3, 64, requires_grad=True)
    alone = scrambled(ABLATIONS["frequency"])
    (slope,) = torch.autograd.grad(alone.luma_residual(coefficients, torch.ones(1, 64))[0, 11, 1, 1], coefficients)
    assert slope[..., 11].all()
    assert not slope[..., [f for f in range(64) if f != 11]].any()


def test_without_a_fusion_the_last_blocknets_output_is_the_residual() -> None:
    network = scrambled(ABLATIONS["no-fusion"])
    coefficients, table = torch.randn(1, 2, 3, 64), torch.full((1, 64), 20.0)
    first, frequency, second = network.parts
    expected = second(frequency(first(coefficients, table)), table)
    torch.testing.assert_close(network.luma_residual(coefficients, table).permute(0, 2, 3, 1), expected)


@pytest.mark.parametrize("name", ["table-concatenated", "frequency"])
def test_its_graph_restores_alike(name: str, tmp_path: Path) -> None:
    network = scrambled(ABLATIONS[name])
    for module in network.modules():  # dense blocks are in QGAC's graphs: each takes the exporter seconds
        if isinstance(module, Rrdb):
            module.blocks = nn.Sequential()
    network.parts = network.parts[:1]
    network.ablation = Ablation(ABLATIONS[name].config, ABLATIONS[name].table, fusion=False)
    export(network, tmp_path / "ablation.onnx", colour=False)
    coefficients = np.random.default_rng(0).integers(-3, 4, (3, 4, 64)).astype(np.int16)
    inputs = [coefficients, np.full(64, 16, np.uint16)]
    opened = open_network(graph_file(tmp_path / "ablation.onnx"), "onnxruntime", 1)
    assert_restored_alike(opened, network, inputs, bf16=False)
