from __future__ import annotations

import pytest

from tests.lacking import needs

needs("torch")

import torch

from mjpeg_restore.models.decode import Decode
from mjpeg_restore.models.papers.one_to_many import OneToMany, OneToManyConfig
from mjpeg_restore.training.backbones import Vgg
from mjpeg_restore.training.critics import BlockwiseCritic, Critic, NaturalnessCritic, RelativisticCritic, picture
from mjpeg_restore.training.degradation import Compressed, compress, scaled
from mjpeg_restore.training.discriminator import Discriminator, dcgan
from mjpeg_restore.training.objectives import constant_error, planes

RED = (0.299, 0.5 - 0.168736, 1.0)
"""Y, Cb and Cr of pure red, 0..1."""


def coded(span: tuple[int, int] | None) -> Compressed:
    rgb = torch.randint(0, 256, (2, 32, 32, 3), generator=torch.Generator().manual_seed(1), dtype=torch.uint8)
    return compress(rgb, torch.from_numpy(scaled(10)[None].repeat(2, axis=0)), span, torch.ones(2))


def critics() -> list[tuple[Critic, torch.nn.Module, Compressed]]:
    torch.manual_seed(0)
    network = OneToMany(OneToManyConfig(width=8, branch_units=1, aggregation_units=1))
    return [
        (RelativisticCritic(dcgan(3, width=4), None, 1e-3), OneToMany(network.config, chroma=True), coded((2, 2))),
        (NaturalnessCritic(Discriminator(1, strides=(2,), side=3, width=4), None, 1e-3), network, coded(None)),
        (
            NaturalnessCritic(Discriminator(1, strides=(2,), side=3, width=4), None, 1e-3, variety=True),
            network,
            coded(None),
        ),
        (BlockwiseCritic(dcgan(2, width=4), None, 1e-3), OneToMany(network.config), coded(None)),
    ]


def test_a_picture_is_rgb() -> None:
    planes = [torch.full((1, 8, 8), RED[0]), *(torch.full((1, 4, 4), level) for level in RED[1:])]
    torch.testing.assert_close(picture(planes)[0, :, 3, 3], torch.tensor([1.0, 0.0, 0.0]), atol=1e-3, rtol=0)


def test_a_grey_picture_is_its_luma() -> None:
    plane = torch.rand(2, 8, 8)
    assert torch.equal(picture([plane]), plane[:, None])


@pytest.mark.parametrize("index", range(4))
def test_the_network_and_the_discriminator_learn_apart(index: int) -> None:
    critic, network, batch = critics()[index]
    critic(network, batch).backward()
    assert all(p.grad is None for p in critic.parameters())
    assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in network.parameters())
    network.zero_grad(set_to_none=True)
    loss = critic.discriminate(batch)
    assert loss is not None
    loss.backward()
    assert all(p.grad is None for p in network.parameters())
    assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in critic.parameters())


def test_a_blurred_picture_is_told_by_its_contrast() -> None:
    critic, _, _ = critics()[1]
    sharp = torch.rand(8, 1, 32, 32)
    natural, restored = critic.judge(sharp, 0.5 + 0.1 * (sharp - 0.5))
    assert (natural - restored).abs().mean() > 0.1  # normalised apart, the two would look alike


class Spread(torch.nn.Module):
    """The decode, and as much of z as is said."""

    def __init__(self, spread: float) -> None:
        super().__init__()
        self.spread = spread

    def draw_noise(self, coefficients: torch.Tensor) -> torch.Tensor:
        return torch.randn(coefficients.shape)

    def forward(self, coefficients: torch.Tensor, table: torch.Tensor, z: torch.Tensor) -> tuple[torch.Tensor]:
        return (Decode()(coefficients, table)[0] + self.spread * z,)


def test_variety_wants_candidates_apart() -> None:
    batch = coded(None)
    for variety in (False, True):
        torch.manual_seed(0)
        weights = {"naturalness": 0.0, "jpeg": 0.0, "variety": variety}
        critic = NaturalnessCritic(Discriminator(1, strides=(2,), side=3, width=4), None, 1e-3, **weights)
        same, apart = (critic(Spread(spread), batch).item() for spread in (0.0, 10.0))
        assert (apart < same) is variety


def test_the_discriminator_waits_for_its_time() -> None:
    _, network, batch = critics()[1]
    critic = NaturalnessCritic(Discriminator(1, strides=(2,), side=3, width=4), None, 1e-3, alone=2)
    assert not critic.capturable
    waited = [(critic(network, batch), critic.discriminate(batch))[1] for _ in range(3)]
    assert [doubt is None for doubt in waited] == [True, True, False]


def test_a_pattern_in_every_block_is_not_free() -> None:
    critic, _, batch = critics()[3]
    assert isinstance(critic, BlockwiseCritic)
    pattern = torch.zeros(64)
    pattern[9] = 4

    class Patterned(torch.nn.Module):
        def forward(self, coefficients: torch.Tensor, table: torch.Tensor) -> tuple[torch.Tensor]:
            return (Decode()(coefficients, table)[0] + pattern,)

    plain, patterned = Decode(), Patterned()
    assert constant_error(plain, batch) < 1e-6
    assert constant_error(patterned, batch).item() == pytest.approx(4 / 64 / 255, rel=1e-4)
    both = [planes(network, batch) for network in (plain, patterned)]
    assert critic.fidelity(patterned, batch, *both[1]) > critic.fidelity(plain, batch, *both[0])


def test_detail_is_shown_enlarged() -> None:
    critic, _, _ = critics()[3]
    assert isinstance(critic, BlockwiseCritic)
    luma = 0.5 + 0.01 * (torch.arange(16) % 2).expand(1, 16, 16)
    shown = critic.view([luma])
    assert torch.equal(shown[:, 0], luma)
    # Of five samples three are alike: a fifth of the detail is in their mean.
    assert shown[0, 1].std() == pytest.approx(4 * 0.8 * luma.std().item(), rel=0.05)
    assert shown[0, 1].mean() == pytest.approx(0.5, abs=0.01)


def test_what_a_backbone_learnt_is_not_trained_or_saved() -> None:
    backbone = Vgg(torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3)), (0.5, 0.5, 0.5), 0.25)
    critic = RelativisticCritic(dcgan(3, width=4), lambda: backbone, 1e-3)
    assert not any(name.startswith("extractor") for name in critic.state_dict())
    assert critic.features is backbone


def test_a_backbone_goes_where_its_critic_goes() -> None:
    backbone = Vgg(torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3)), (0.5, 0.5, 0.5), 0.25)
    critic = RelativisticCritic(dcgan(3, width=4), lambda: backbone, 1e-3).to("meta")
    (features,) = critic.features.features(torch.empty(1, 3, 16, 16, device="meta"))
    assert features.is_meta
