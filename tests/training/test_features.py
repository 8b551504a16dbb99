from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.lacking import needs

needs("torch")

import torch

from mjpeg_restore.training.discriminator import doubled
from mjpeg_restore.training.features import (
    DiscriminatorFeatures,
    FeatureExtractor,
    Patches,
    energy_score,
    perceptual_loss,
    texture_loss,
)


@pytest.fixture(autouse=True)
def _the_same_numbers() -> None:
    torch.manual_seed(2)


class Slices:
    """Two maps: the planes, and twice the planes."""

    def features(self, planes: torch.Tensor) -> list[torch.Tensor]:
        return [planes, 2 * planes]


def test_distances_of_features() -> None:
    original = torch.rand(2, 1, 8, 8)
    assert perceptual_loss(Slices(), original + 3, original).item() == pytest.approx((9 + 36) / 2, rel=1e-5)
    assert texture_loss(Slices(), original + 3, original).item() == pytest.approx((3 + 6) / 2, rel=1e-5)


def test_the_energy_score_is_least_where_candidates_are_drawn_as_originals_are() -> None:
    original, one, other = torch.randn(3, 4000, 1, 4, 4)
    scores = {spread: energy_score(Patches(), spread * one, spread * other, original) for spread in (0, 0.5, 1, 1.5, 2)}
    assert min(scores, key=lambda spread: scores[spread]) == 1
    assert energy_score(Patches(), one, one, original) > scores[1]  # a candidate is not to be the other's


def test_the_energy_score_has_a_gradient_where_candidates_are_the_same() -> None:
    planes = torch.rand(2, 1, 8, 8, requires_grad=True)
    energy_score(Patches(), planes, planes, planes.detach()).backward()
    assert planes.grad is not None
    assert planes.grad.isfinite().all()


def test_patches_are_what_lies_beside() -> None:
    planes = torch.arange(64.0).reshape(1, 1, 8, 8)
    (patches,) = Patches().features(planes)
    assert patches.shape == (1, 16, 2, 2)
    assert set(patches[0, :, 0, 1].tolist()) == {10.0 * (8 * y + x) for y in range(4) for x in range(4, 8)}


@pytest.mark.parametrize("loss", [perceptual_loss, texture_loss])
def test_the_stand_in(loss: Callable[..., torch.Tensor]) -> None:
    network = doubled(1, width=4)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    extractor: FeatureExtractor = DiscriminatorFeatures(network)
    original = torch.rand(2, 1, 16, 16)
    assert loss(extractor, original, original) == 0
    restored = (original / 2).requires_grad_()
    distance = loss(extractor, restored, original)
    distance.backward()
    assert distance > 0
    assert restored.grad is not None and restored.grad.abs().sum() > 0
    assert network.training
    assert all(parameter.grad is None and parameter.requires_grad for parameter in network.parameters())
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
