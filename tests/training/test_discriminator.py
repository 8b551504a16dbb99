from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from tests.lacking import needs

needs("torch")

import torch
from torch import nn

from mjpeg_restore.training.discriminator import (
    Discriminator,
    dcgan,
    discriminator_loss,
    doubled,
    naturalness_loss,
    relativistic_discriminator_loss,
    relativistic_loss,
)

Build = Callable[..., Discriminator]


@pytest.fixture(autouse=True)
def _the_same_numbers() -> None:
    torch.manual_seed(2)


# ---- the discriminators ----


def shapes(network: Discriminator) -> list[tuple[int, int]]:
    """Filters and stride of each convolution."""
    return [(m.out_channels, m.stride[0]) for m in network.modules() if isinstance(m, nn.Conv2d)]


def test_table_1_is_doubled_depth() -> None:
    assert shapes(doubled(1)) == [(w, stride) for w in (64, 128, 256, 512) for stride in (1, 2)]
    assert shapes(dcgan(3)) == [(w, 2) for w in (64, 128, 256, 512)]


@pytest.mark.parametrize("build", [doubled, dcgan])
def test_each_convolution_but_the_last_is_normalised_and_rectified(build: Build) -> None:
    layers = [layer for unit in build(1).units for layer in unit.children()]
    kinds = [type(layer) for layer in layers]
    assert kinds[-1] is nn.Conv2d
    assert kinds[:-1] == kinds.count(nn.LeakyReLU) * [nn.Conv2d, nn.BatchNorm2d, nn.LeakyReLU]
    assert {layer.negative_slope for layer in layers if isinstance(layer, nn.LeakyReLU)} == {0.2}


@pytest.mark.parametrize("build", [doubled, dcgan])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("side", [16, 64, 96])
def test_crops_of_any_size_are_judged(build: Build, channels: int, side: int) -> None:
    network, planes = build(channels, width=4), torch.rand(2, channels, side, side)
    features = network.features(planes)
    assert [tuple(f.shape) for f in features] == [(2, 4 * 2**n, side >> (n + 1), side >> (n + 1)) for n in range(4)]
    assert network(planes).shape == (2,)
    network.eval()
    torch.testing.assert_close(network(planes), network.classify(network.features(planes)))


def test_a_discriminator_learns_to_tell_noise_from_flat() -> None:
    network = doubled(1, width=4)
    natural, restored = torch.rand(8, 1, 16, 16), torch.full((8, 1, 16, 16), 0.5) + torch.rand(8, 1, 1, 1) / 10
    optimiser = torch.optim.Adam(network.parameters(), 1e-2)
    for _ in range(20):
        logits = network(torch.cat([natural, restored]))
        loss = discriminator_loss(logits[:8], logits[8:])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert loss < 0.3


# ---- adversarial losses, of logits ----

SURE = torch.full((4,), 30.0)
UNSURE = torch.zeros(4)


def test_the_discriminators_loss() -> None:
    assert discriminator_loss(SURE, -SURE).item() == pytest.approx(0, abs=1e-9)
    assert discriminator_loss(UNSURE, UNSURE).item() == pytest.approx(2 * math.log(2))
    assert discriminator_loss(-SURE, SURE).item() == pytest.approx(60)


def test_the_naturalness_loss() -> None:
    assert naturalness_loss(SURE).item() == pytest.approx(0, abs=1e-9)
    assert naturalness_loss(UNSURE).item() == pytest.approx(math.log(2))
    assert naturalness_loss(-SURE).item() == pytest.approx(30)


@pytest.mark.parametrize("loss", [relativistic_discriminator_loss, relativistic_loss])
def test_the_relativistic_losses_see_differences_only(loss: Callable[..., torch.Tensor]) -> None:
    natural, restored = torch.randn(5), torch.randn(5)
    torch.testing.assert_close(loss(natural + 7, restored + 7), loss(natural, restored))
    assert loss(UNSURE + 3, UNSURE + 3).item() == pytest.approx(2 * math.log(2))


def test_the_relativistic_losses_are_one_with_the_parts_swapped() -> None:
    natural, restored = torch.randn(5), torch.randn(5)
    torch.testing.assert_close(relativistic_loss(natural, restored), relativistic_discriminator_loss(restored, natural))
    assert relativistic_discriminator_loss(SURE, -SURE) < 1e-9
    assert relativistic_loss(SURE, -SURE) > 100
    assert relativistic_discriminator_loss(torch.tensor([1.0, 3.0]), torch.tensor([0.0, 0.0])).item() == pytest.approx(
        sum(math.log1p(math.exp(-x)) for x in (1, 3)) / 2 + math.log1p(math.exp(-2))
    )


def test_the_network_is_drawn_towards_natural() -> None:
    for loss in (naturalness_loss, lambda logits: relativistic_loss(UNSURE, logits)):
        logits = UNSURE.clone().requires_grad_()
        loss(logits).backward()
        assert logits.grad is not None and (logits.grad < 0).all()
