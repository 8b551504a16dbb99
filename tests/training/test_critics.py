from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from mjpeg_restore.models.decode import Decode  # noqa: E402
from mjpeg_restore.models.one_to_many import OneToMany, OneToManyConfig  # noqa: E402
from mjpeg_restore.training.adversary import Discriminator, dcgan  # noqa: E402
from mjpeg_restore.training.critics import Critic, NaturalnessCritic, RelativisticCritic, picture  # noqa: E402
from mjpeg_restore.training.degradation import Compressed, compress, scaled  # noqa: E402

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
    ]


def test_a_picture_is_rgb() -> None:
    planes = [torch.full((1, 8, 8), RED[0]), *(torch.full((1, 4, 4), level) for level in RED[1:])]
    torch.testing.assert_close(picture(planes)[0, :, 3, 3], torch.tensor([1.0, 0.0, 0.0]), atol=1e-3, rtol=0)


def test_a_grey_picture_is_its_luma() -> None:
    plane = torch.rand(2, 8, 8)
    assert torch.equal(picture([plane]), plane[:, None])


@pytest.mark.parametrize("index", [0, 1, 2])
def test_the_network_and_the_discriminator_learn_apart(index: int) -> None:
    critic, network, batch = critics()[index]
    critic(network, batch).backward()
    assert all(p.grad is None for p in critic.parameters())
    assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in network.parameters())
    network.zero_grad(set_to_none=True)
    critic.discriminate(batch).backward()
    assert all(p.grad is None for p in network.parameters())
    assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in critic.parameters())


@pytest.mark.parametrize("index", [0, 1, 2])
def test_the_discriminator_goes_first_with_nothing(index: int) -> None:
    critic, _, batch = critics()[index]
    with pytest.raises(AssertionError, match="forward comes first"):
        critic.discriminate(batch)


def test_a_blurred_picture_is_told_by_its_contrast() -> None:
    critic, _, _ = critics()[1]
    sharp = torch.rand(8, 1, 32, 32)
    natural, restored = critic.judge(sharp, 0.5 + 0.1 * (sharp - 0.5))
    assert (natural - restored).abs().mean() > 0.1  # normalised apart, the two would look alike


def test_variety_needs_another_candidate() -> None:
    _, network, batch = critics()[2]
    drawn = []
    network.draw_noise = lambda coefficients: drawn.append(torch.randn(2, 1, 16, 16)) or drawn[-1]  # type: ignore[method-assign]
    for critic, expected in zip([critic for critic, _, _ in critics()[1:]], (1, 2), strict=True):
        drawn.clear()
        critic(network, batch)
        assert len(drawn) == expected


def test_what_a_backbone_learnt_is_not_trained_or_saved() -> None:
    backbone = Decode()
    backbone.features = lambda planes: [planes]  # type: ignore[assignment]
    critic = RelativisticCritic(dcgan(3, width=4), lambda: backbone, 1e-3)  # type: ignore[arg-type, return-value]
    assert not any(name.startswith("extractor") for name in critic.state_dict())
    assert critic.features is backbone
