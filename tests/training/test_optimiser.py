from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from mjpeg_restore.training.optimiser import Descent, Muon, muon, orthogonalise  # noqa: E402
from tests.training.tiny import TINY  # noqa: E402


@pytest.mark.parametrize("shape", [(16, 16), (8, 72), (72, 8)])
def test_orthogonalised_matrices_have_singular_values_near_one(shape: tuple[int, int]) -> None:
    torch.manual_seed(0)
    values = torch.linalg.svdvals(orthogonalise(torch.randn(shape)))
    assert values.min() > 0.5
    assert values.max() < 1.3


def test_muon_takes_the_kernels_and_adam_the_rest() -> None:
    network = TINY.build()
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
