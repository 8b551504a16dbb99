from __future__ import annotations

import pytest

from tests.lacking import needs

needs("torch")

import torch
from torch import nn

from mjpeg_restore.models.stream import Stream
from mjpeg_restore.training.optimiser import Descent, Muon, MuonBeside, muon, orthogonalise
from tests.training.tiny import TINY


@pytest.mark.parametrize("shape", [(16, 16), (8, 72), (72, 8)])
def test_orthogonalised_matrices_have_singular_values_near_one(shape: tuple[int, int]) -> None:
    torch.manual_seed(0)
    values = torch.linalg.svdvals(orthogonalise(torch.randn(shape)))
    assert values.min() > 0.5
    assert values.max() < 1.3


def test_muon_takes_the_kernels_and_adam_the_rest() -> None:
    network = TINY.build()
    assert isinstance(network, Stream)
    first, adam = muon(network, 1e-3)
    assert isinstance(first, Muon)
    kernels = [parameter for group in first.param_groups for parameter in group["params"]]
    others = [parameter for group in adam.param_groups for parameter in group["params"]]
    assert {parameter.ndim for parameter in kernels} == {4}
    assert network.predict.phases.weight not in set(kernels)
    assert len(kernels) + len(others) == len(list(network.parameters()))


def test_muon_goes_downhill() -> None:
    torch.manual_seed(0)
    weight, target = torch.nn.Parameter(torch.zeros(6, 6)), torch.randn(6, 6)
    optimiser = Muon([weight], lr=0.1)
    losses = []
    for _ in range(20):
        optimiser.zero_grad()
        loss = ((weight - target) ** 2).sum()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]


@pytest.mark.parametrize(("layer", "shape"), [(nn.Conv2d, (8, 6, 3)), (nn.ConvTranspose2d, (6, 8, 4))])
def test_a_grouped_convolution_takes_a_matrix_for_each_group(
    layer: type[nn.Conv2d | nn.ConvTranspose2d], shape: tuple[int, int, int]
) -> None:
    torch.manual_seed(0)
    grouped = layer(*shape, groups=2)
    before = grouped.weight.detach().clone()
    grouped.weight.grad = (
        torch.randn_like(before) * torch.tensor([1.0, 100.0]).repeat_interleave(len(before) // 2)[:, None, None, None]
    )
    (optimiser, _) = muon(grouped, 1 / 4)
    optimiser.step()
    for step in (before - grouped.weight.detach()).chunk(2):
        matrix = step.flatten(1)
        values = torch.linalg.svdvals(matrix) / max(1.0, matrix.shape[0] / matrix.shape[1]) ** 0.5
        assert values.min() > 0.5 and values.max() < 1.3  # both groups, though one gradient is a hundredth


def test_a_checkpoint_from_before_grouped_convolutions_is_resumed() -> None:
    network = nn.Conv2d(2, 2, 3)
    optimiser, _ = muon(network, 1e-3)
    saved = optimiser.state_dict()
    for group in saved["param_groups"]:
        del group["groups"]
    optimiser.load_state_dict(saved)
    network.weight.grad = torch.ones_like(network.weight)
    optimiser.step()


def test_descent_is_ten_times_slower_in_the_last_layer() -> None:
    network = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.Conv2d(2, 1, 3))
    (optimiser,) = Descent(weight_decay=0.0)(network, 0.4)
    rates = {id(p): group["lr"] for group in optimiser.param_groups for p in group["params"]}
    assert [rates[id(p)] for p in network.parameters()] == pytest.approx([0.4, 0.4, 0.04, 0.04])


def test_a_branch_beside_takes_smaller_steps_the_more_its_layers_sum_up() -> None:
    branch = torch.nn.Sequential(torch.nn.Conv2d(1, 4, 3), torch.nn.Linear(128, 2))
    network = torch.nn.ModuleDict({"trunk": TINY.build(), "branch": branch})
    *rest, beside = MuonBeside("branch", inputs=32, rest=0.5)(network, 1e-2)
    rates = {id(p): group["lr"] for group in beside.param_groups for p in group["params"]}
    assert [rates[id(p)] for p in branch.parameters()] == pytest.approx([1e-2, 1e-2, 2.5e-3, 1e-2])
    others = {id(p): group["lr"] for optimiser in rest for group in optimiser.param_groups for p in group["params"]}
    assert set(others) == {id(p) for p in network["trunk"].parameters()}
    assert set(others.values()) == {4 * 5e-3, 5e-3}
