from __future__ import annotations

import pytest

from tests.lacking import needs

needs("torch")

import torch
from torch import Tensor
from torch.nn import functional

from mjpeg_restore.models.int8 import MOMENTUM, SIGNED_SPREAD, UNTRAINED, WEAKEST, Int8Conv, round_in_training


def convolution(*, signed: bool = True, seed: int = 0) -> Int8Conv:
    torch.manual_seed(seed)
    return Int8Conv(4, 3, signed=signed)


def features(*, signed: bool = True) -> Tensor:
    drawn = torch.randn(2, 4, 6, 5, generator=torch.Generator().manual_seed(1))
    return drawn if signed else drawn.relu()


def trained(layer: Int8Conv, batch: Tensor, batches: int = 1500) -> Int8Conv:
    for _ in range(batches):
        layer(batch)
    return layer.eval()


def exact(layer: Int8Conv, batch: Tensor) -> Tensor:
    return functional.conv2d(batch, layer.weight, layer.bias, padding=1)


def test_training_is_a_plain_convolution() -> None:
    layer, batch = convolution(), features()
    torch.testing.assert_close(layer(batch), exact(layer, batch))


def test_the_running_mean_follows_the_features() -> None:
    layer, batch = convolution(), features()
    before = UNTRAINED / 127
    spread = SIGNED_SPREAD * batch.square().mean().sqrt().item() / 127
    layer(batch)
    assert layer.step.item() == pytest.approx(before + MOMENTUM * (spread - before))
    assert trained(layer, batch).step.item() == pytest.approx(spread, rel=1e-3)


@pytest.mark.parametrize("signed", [True, False])
def test_eight_bits_are_near_full_precision(signed: bool) -> None:
    layer, batch = convolution(signed=signed), features(signed=signed)
    plain = exact(layer, batch)
    error = (trained(layer, batch)(batch) - plain).square().mean().sqrt() / plain.square().mean().sqrt()
    assert 1e-4 < error < 0.03


@pytest.mark.parametrize(("signed", "levels"), [(True, (-128, 127)), (False, (0, 255))])
def test_input_and_weights_are_whole_multiples(signed: bool, levels: tuple[int, int]) -> None:
    layer = trained(convolution(signed=signed), features(signed=signed))
    seen: list[Tensor] = []

    def spy(*arguments: Tensor, **_: int) -> Tensor:
        seen.extend(arguments[:2])
        return torch.empty(0)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mjpeg_restore.models.int8.functional.conv2d", spy)
        layer(100 * features(signed=signed))
    multiples = seen[0] / layer.step
    torch.testing.assert_close(multiples, multiples.round(), atol=1e-3, rtol=0)
    assert (round(multiples.min().item()), round(multiples.max().item())) == levels  # what is beyond is clamped
    kernels = seen[1] / layer.weight_step[:, None, None, None]
    torch.testing.assert_close(kernels, kernels.round(), atol=1e-3, rtol=0)
    # Each channel's step is its own: its largest weight reaches the end of eight bits, or the sum of a pair does.
    largest, pairs = kernels.abs().amax((1, 2, 3)).round(), pair_sums(kernels).round()
    assert all(weight == 127 or 126 <= pair <= 128 for weight, pair in zip(largest, pairs, strict=True))


@pytest.mark.parametrize("seed", range(20))
def test_sixteen_bits_hold_the_products_of_a_pair(seed: int) -> None:
    layer = convolution(seed=seed).eval()
    kernels = (layer.weight / layer.weight_step[:, None, None, None]).round()
    assert kernels.abs().max() <= 127
    assert 255 * pair_sums(kernels).max() < 2**15


def pair_sums(kernels: Tensor) -> Tensor:
    """What two neighbouring channels' weights of one sign make at most, `[out]`."""
    signs = torch.stack([kernels.relu(), (-kernels).relu()])
    return (signs[:, :, 0::2] + signs[:, :, 1::2]).amax((0, 2, 3, 4))


def test_rounding_in_training_is_what_evaluation_does() -> None:
    layer, batch = trained(convolution(), features()), features()
    expected = layer(batch)
    round_in_training(layer.train())
    torch.testing.assert_close(layer(batch), expected)


def test_gradients_pass_the_rounding_but_not_the_ends_of_its_range() -> None:
    layer, batch = trained(convolution(), features()).train(), features()
    batch[0, 0, 2, 2] = 100.0
    batch.requires_grad_()
    layer.zero_grad()
    round_in_training(layer)(batch).sum().backward()
    assert batch.grad is not None
    assert layer.weight.grad is not None
    assert (layer.weight.grad != 0).all()  # the largest of a channel among them
    inside = batch.grad.clone()
    assert inside[0, 0, 2, 2] == 0
    batch.grad = None
    exact(layer, batch).sum().backward()
    assert batch.grad is not None
    clear = torch.ones_like(batch, dtype=torch.bool)
    clear[0, 0, 2, 2] = False
    torch.testing.assert_close(inside[clear], batch.grad[clear], rtol=0.05, atol=0.02)


def test_weights_are_measured_when_training_ends() -> None:
    layer = convolution().eval()
    before = layer.weight_step.clone()
    with torch.no_grad():
        layer.train().weight.mul_(3)
    torch.testing.assert_close(layer.weight_step, before)
    torch.testing.assert_close(layer.eval().weight_step, 3 * before)


def test_the_steps_are_in_the_state() -> None:
    layer = trained(convolution(), features())
    other = convolution(seed=7)
    other.load_state_dict(layer.state_dict())
    assert torch.equal(other.eval()(features()), layer(features()))


def test_an_input_of_zeros_leaves_numbers() -> None:
    layer = trained(convolution(), torch.zeros(1, 4, 6, 5), 3_000)
    assert layer(features()).isfinite().all()


def test_a_channel_whose_weights_died_has_a_step_of_its_layer() -> None:
    layer = convolution()
    with torch.no_grad():
        layer.weight[1] = 0
    layer.eval()
    assert layer.weight_step[1].item() == pytest.approx(WEAKEST * layer.weight.abs().max().item() / 127)
