from __future__ import annotations

import pytest

from tests.lacking import needs

needs("torch")

import torch

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
