from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.lacking import needs

needs("torch")

import torch
from torch import nn

from mjpeg_restore.models.cost import macs_per_pixel
from mjpeg_restore.models.decode import Decode
from mjpeg_restore.models.graph import Graph, export
from mjpeg_restore.models.papers.one_to_many import (
    ONE_TO_MANY,
    ONE_TO_MANY_COMPACT,
    ONE_TO_MANY_SHORT,
    OneToMany,
    OneToManyConfig,
    ResidualUnit,
    UpSample,
)
from tests.models.layers import conv
from tests.models.planes import components

TINY = OneToManyConfig(width=4, branch_units=1, aggregation_units=1)
SPANS = [(1, 1), (2, 1), (2, 2), (4, 1)]


@pytest.fixture(autouse=True)
def _the_same_numbers() -> None:
    torch.manual_seed(5)


def scrambled(config: OneToManyConfig = TINY, *, chroma: bool = False) -> OneToMany:
    """A network with random weights and statistics everywhere, the deconvolution included."""
    network = OneToMany(config, chroma=chroma).eval()
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                assert module.running_mean is not None and module.running_var is not None
                module.running_mean.normal_(0, 0.2)
                module.running_var.uniform_(0.5, 2)
                module.weight.uniform_(0.5, 2)
                module.bias.normal_(0, 0.2)
            elif isinstance(module, UpSample):
                module.deconvolution.weight.normal_(0, 0.02)
    return network


# ---- shift-and-average, section 3.2.2 ----


def test_shift_and_average_answers_a_constant_with_a_constant_edges_included() -> None:
    constant = torch.randn(2, 3, 1, 1).expand(2, 3, 4, 5)
    answer = UpSample(3, shift_and_average=True)(constant)
    assert answer.shape == (2, 1, 8, 10)
    torch.testing.assert_close(answer, answer[:, :, :1, :1].expand_as(answer))


def test_a_plain_deconvolution_answers_a_constant_with_a_grid() -> None:
    constant = torch.ones(1, 3, 4, 5)
    answer = UpSample(3, shift_and_average=False)(constant)
    assert answer.shape == (1, 1, 8, 10)
    assert answer.std() > 0.05
    torch.testing.assert_close(answer[:, :, 2:, 2:], answer[:, :, :-2, :-2])  # of period 2, edges included


def test_the_four_shifts_are_averaged() -> None:
    plain, averaged = UpSample(3, shift_and_average=False), UpSample(3, shift_and_average=True)
    averaged.load_state_dict(plain.state_dict())
    features = torch.randn(1, 3, 4, 5)
    drawn, answer = plain(features), averaged(features)
    shifts = [drawn[:, :, 1:, 1:], drawn[:, :, 1:, :-1], drawn[:, :, :-1, 1:], drawn[:, :, :-1, :-1]]
    torch.testing.assert_close(answer[:, :, 1:, 1:], sum(shifts) / 4)


# ---- the layers ----


def test_a_residual_unit_normalises_and_rectifies_first() -> None:
    kinds = [type(layer) for layer in ResidualUnit(4).body]
    assert kinds == 2 * [nn.BatchNorm2d, nn.ReLU, nn.Conv2d]


def test_nothing_lies_on_the_shortcut() -> None:
    unit = ResidualUnit(4).eval()
    nn.init.zeros_(conv(unit.body[-1]).weight)
    features = torch.randn(1, 4, 3, 3)
    assert torch.equal(unit(features), features)  # negative ones too


@pytest.mark.parametrize(("noise", "branches"), [(True, 2), (False, 1)])
def test_the_units_are_where_figure_3_has_them(noise: bool, branches: int) -> None:
    network = OneToMany(replace(ONE_TO_MANY, noise=noise))
    units = [module for module in network.modules() if isinstance(module, ResidualUnit)]
    assert len(units) == branches * ONE_TO_MANY.branch_units + ONE_TO_MANY.aggregation_units
    wide = [m.out_channels for m in network.modules() if isinstance(m, nn.Conv2d)]
    assert set(wide) == {64}
    assert network.up_sample.deconvolution.out_channels == 1


@pytest.mark.parametrize(
    ("config", "kmac"), [(ONE_TO_MANY, 205), (ONE_TO_MANY_SHORT, 113), (ONE_TO_MANY_COMPACT, 28.5)]
)
def test_the_cost(config: OneToManyConfig, kmac: float) -> None:
    assert macs_per_pixel(OneToMany(config).eval(), colour=False) / 1000 == pytest.approx(kmac, rel=0.02)


# ---- the network ----


def test_it_starts_as_the_plain_decode() -> None:
    inputs = components()
    network = OneToMany(TINY)
    restored = network(*inputs, network.draw_noise(inputs[0]))
    decoded = Decode()(*inputs)
    assert (restored[0] - decoded[0].round().clamp(-128, 127)).abs().max() < 1e-3
    assert torch.equal(restored[1], decoded[1])
    assert torch.equal(restored[2], decoded[2])


def test_another_z_gives_another_picture_and_the_same_z_the_same() -> None:
    inputs, network = components(), scrambled()
    one, other = network.draw_noise(inputs[0]), network.draw_noise(inputs[0])
    first, again, second = (network(*inputs, z)[0] for z in (one, one, other))
    assert torch.equal(first, again)
    assert (first - second).abs().mean() > 0.1


def test_z_left_out_is_zeros() -> None:
    inputs, network = components(), scrambled()
    zeros = torch.zeros_like(network.draw_noise(inputs[0]))
    assert torch.equal(network(*inputs)[0], network(*inputs, zeros)[0])


def test_z_is_standard_normal() -> None:
    network = OneToMany(TINY)
    coefficients = torch.zeros(2, 8, 10, 64)
    torch.manual_seed(1)
    z = network.draw_noise(coefficients)
    assert z.shape == (2, 1, 32, 40)
    assert z.std().item() == pytest.approx(1, rel=0.05)
    assert abs(z.mean().item()) < 0.1
    torch.manual_seed(1)
    assert torch.equal(z, network.draw_noise(coefficients))


def test_the_baseline_takes_no_z() -> None:
    inputs, network = components(), scrambled(replace(TINY, noise=False))
    assert network(*inputs)[0].shape == inputs[0].shape
    with pytest.raises(ValueError, match="zip"):
        network(*inputs, torch.zeros(1, 1, 16, 8))


@pytest.mark.parametrize("chroma", [True, False])
@pytest.mark.parametrize("span", SPANS)
def test_blocks_of_each_component_come_back(span: tuple[int, int], chroma: bool) -> None:
    inputs, network = components(span, batch=2), scrambled(chroma=chroma)
    restored = network(*inputs, network.draw_noise(inputs[0]))
    assert [blocks.shape for blocks in restored] == [blocks.shape for blocks in inputs[::2]]
    for ours, decoded in zip(restored[1:], Decode()(*inputs)[1:], strict=True):
        assert torch.equal(ours, decoded) is not chroma


def test_chroma_passes_a_baseline_of_its_own() -> None:
    inputs, network = components(), scrambled(replace(TINY, chroma_width=6), chroma=True)
    assert network.chroma_network is not None
    assert network.chroma_network.config == replace(TINY, width=6, noise=False)
    own = network.chroma_network(*inputs[2:4])[0]
    for _ in range(2):
        assert torch.equal(network(*inputs, network.draw_noise(inputs[0]))[1], own)  # whatever z is


def test_chroma_that_is_only_decoded_has_no_network() -> None:
    assert OneToMany(replace(TINY, chroma_width=6)).chroma_network is None


def test_one_grey_block() -> None:
    network = scrambled()
    inputs = [torch.zeros(1, 1, 1, 64), torch.ones(1, 64)]
    assert network(*inputs, network.draw_noise(inputs[0]))[0].shape == (1, 1, 1, 64)


def test_every_weight_learns() -> None:
    inputs, network = components(), scrambled().train()
    network(*inputs, network.draw_noise(inputs[0]))[0].square().mean().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


@pytest.mark.parametrize("units", [1, 2])
def test_nothing_beyond_the_margin_is_seen(units: int) -> None:
    config = OneToManyConfig(width=4, branch_units=units, aggregation_units=units)
    network = scrambled(config)
    coefficients, table = torch.zeros(1, 1, 11, 64), torch.ones(1, 64)
    z = torch.zeros(1, 1, 4, 44)
    before = network(coefficients, table, z)[0]
    coefficients[:, :, 5, :] = 20
    z[..., 20:24] = 3
    seen = (network(coefficients, table, z)[0] - before).abs().amax(dim=(0, 1, 3)) > 0
    reached = seen.nonzero().flatten()
    assert 5 - reached.min() == reached.max() - 5 == network.margin


@pytest.mark.slow
@pytest.mark.parametrize("colour", [True, False])
def test_it_is_exported_with_z_as_its_last_input(tmp_path: Path, colour: bool) -> None:
    needs("onnxscript")
    onnxruntime, openvino = needs("onnxruntime"), needs("openvino")
    network, path = scrambled(), tmp_path / "one-to-many.onnx"
    export(network, path, colour=colour, extra="noise")
    session = onnxruntime.InferenceSession(path)
    compiled = openvino.Core().compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    names = [node.name for node in session.get_inputs()]
    assert names[-1] == "noise"
    for (down, across), (high, wide) in [((1, 1), (1, 1)), ((2, 1), (2, 5)), ((2, 2), (4, 3))]:
        random = np.random.default_rng(1)
        grids = [(high * down, wide * across), (high, wide), (high, wide)][: 3 if colour else 1]
        inputs = []
        for grid in grids:
            inputs += [random.integers(-2, 3, (*grid, 64)).astype(np.int16), np.full(64, 9, np.uint16)]
        inputs.append(random.standard_normal((4 * high * down, 4 * wide * across), np.float32))
        with torch.no_grad():
            expected = Graph(network, "noise")(*map(torch.from_numpy, inputs))
        feed = dict(zip(names, inputs, strict=True))
        for found in (session.run(None, feed), list(compiled(feed).values())):
            for ours, theirs in zip(found, expected, strict=True):
                assert np.abs(ours.astype(int) - theirs.numpy()).max() <= 1
        quiet = session.run(None, feed | {"noise": np.zeros_like(inputs[-1])})[0]
        assert (quiet != expected[0].numpy()).any()
