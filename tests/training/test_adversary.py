from __future__ import annotations

import math
from collections.abc import Callable

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from mjpeg_restore.training.adversary import (  # noqa: E402
    Discriminator,
    DiscriminatorFeatures,
    FeatureExtractor,
    Patches,
    dcgan,
    discriminator_loss,
    doubled,
    energy_score,
    jpeg_loss,
    naturalness_loss,
    perceptual_loss,
    relativistic_discriminator_loss,
    relativistic_loss,
    texture_loss,
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
    layers = [layer for unit in build(1).units for layer in unit]
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
        assert (logits.grad < 0).all()


# ---- the JPEG loss ----


def cell() -> tuple[torch.Tensor, torch.Tensor]:
    """Quantised coefficients and a table."""
    return torch.randint(-3, 4, (2, 2, 3, 64)).float(), torch.randint(2, 60, (2, 64)).float()


def test_the_jpeg_loss_is_nothing_inside_the_cell() -> None:
    quantised, table = cell()
    within = (quantised + torch.rand_like(quantised) - 0.5) * table[:, None, None]
    assert jpeg_loss(within, quantised, table) < 1e-9


def test_the_jpeg_loss_is_the_squared_distance_to_the_cell() -> None:
    quantised, table = cell()
    edge = (quantised + 0.5) * table[:, None, None]
    for beyond in (0.5, 3.0):
        assert jpeg_loss(edge + beyond, quantised, table).item() == pytest.approx(beyond**2, rel=1e-4)
        below = (quantised - 0.5) * table[:, None, None] - beyond
        assert jpeg_loss(below, quantised, table).item() == pytest.approx(beyond**2, rel=1e-4)


def test_the_jpeg_loss_pulls_back_what_is_outside_and_nothing_else() -> None:
    quantised, table = torch.zeros(1, 1, 1, 64), torch.full((1, 64), 10.0)
    restored = torch.zeros(1, 1, 1, 64)
    restored[..., 0], restored[..., 1], restored[..., 2] = 9, -8, 4
    restored.requires_grad_()
    jpeg_loss(restored, quantised, table).backward()
    slope = restored.grad[0, 0, 0]
    assert slope[0] > 0 > slope[1]
    assert not slope[2:].any()


# ---- distances between features ----


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
    assert restored.grad.abs().sum() > 0
    assert network.training
    assert all(parameter.grad is None and parameter.requires_grad for parameter in network.parameters())
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
