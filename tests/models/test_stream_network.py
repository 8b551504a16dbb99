from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.lacking import needs

needs("torch")

import torch

from mjpeg_restore.models.cost import macs_per_pixel
from mjpeg_restore.models.decode import Decode, dct_matrix
from mjpeg_restore.models.int8 import Int8Conv
from mjpeg_restore.models.stream import STREAM, STREAM_LITE, CoarseBlock, Stream, StreamConfig
from mjpeg_restore.runtime.cpu.projection import CELL

TINY = StreamConfig(width=8, blocks=1, hidden=12, chroma_width=8, chroma_blocks=1, coarse=8, significance=True)
SPANS = [(1, 1), (2, 1), (2, 2), (1, 2), (4, 1)]


def components(span: tuple[int, int] = (2, 2), grid: tuple[int, int] = (2, 3), seed: int = 0) -> list[torch.Tensor]:
    """Coefficients and tables of Y, Cb, Cr; `grid` is chroma's, (high, wide)."""
    random = torch.Generator().manual_seed(seed)
    across, down = span
    high, wide = grid
    found = []
    for h, w in [(high * down, wide * across), grid, grid]:
        found += [
            torch.randint(-6, 7, (1, h, w, 64), generator=random).float(),
            torch.randint(1, 200, (1, 64), generator=random).float(),
        ]
    return found


def scrambled(config: StreamConfig, seed: int, scale: float) -> Stream:
    """A network with random weights everywhere, its last layers included."""
    torch.manual_seed(seed)
    network = Stream(config)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.normal_(0, scale)
    return network.eval()


# ---- the pieces ----


def test_at_the_finest_steps_nothing_is_changed() -> None:
    network, inputs = scrambled(TINY, 3, 0.2), components()
    for table in inputs[1::2]:
        table.fill_(1)
    for restored, decoded in zip(network(*inputs), Decode()(*inputs), strict=True):
        torch.testing.assert_close(restored, decoded)


def test_the_significance_map_sees_only_what_is_zero() -> None:
    network, inputs = scrambled(TINY, 4, 0.2), components()
    assert network.significance
    plane = network.significance(inputs[0])
    assert plane.shape == (1, 1, 8 * inputs[0].shape[1], 8 * inputs[0].shape[2])
    torch.testing.assert_close(network.significance(-3 * inputs[0]), plane)
    assert not torch.allclose(network.significance(torch.zeros_like(inputs[0])), plane)


def test_the_coarse_block_sees_five_features_far_and_no_farther() -> None:
    torch.manual_seed(0)
    block = CoarseBlock(4, 4).eval()
    torch.nn.init.normal_(block.grow.weight)
    assert isinstance(block.block.first, Int8Conv)
    block.block.first.step.fill_(1e-3)
    block.block.second.step.fill_(1e-3)
    plain, touched = torch.zeros(1, 4, 32, 32), torch.zeros(1, 4, 32, 32)
    touched[..., 16, 16] = 1
    with torch.no_grad():
        reached = (block(touched) - block(plain)).abs().amax((0, 1, 2)).nonzero().flatten()
    assert (reached.min(), reached.max()) == (16 - 4, 16 + 5)


# ---- the network ----


@pytest.mark.parametrize(("config", "budget"), [(STREAM, 24_000), (STREAM_LITE, 8_000)])
def test_cost_is_within_the_budget(config: StreamConfig, budget: int) -> None:
    network = Stream(config)
    cost = macs_per_pixel(network)
    assert 0.25 * budget < cost <= budget
    assert macs_per_pixel(network, colour=False) < cost
    parameters = sum(parameter.numel() for parameter in network.parameters())
    assert parameters < 600_000


@pytest.mark.parametrize("config", [STREAM, STREAM_LITE])
def test_an_untrained_network_is_the_plain_decode(config: StreamConfig) -> None:
    inputs = components()
    with torch.no_grad():
        for ours, plain in zip(Stream(config).eval()(*inputs), Decode()(*inputs), strict=True):
            torch.testing.assert_close(ours, plain, atol=1e-3, rtol=0)


@pytest.mark.parametrize("span", SPANS)
def test_the_grids_of_every_sampling(span: tuple[int, int]) -> None:
    across, down = span
    with torch.no_grad():
        blocks = scrambled(TINY, 0, 0.2)(*components(span))
    grids = [(2 * down, 3 * across), (2, 3), (2, 3)]
    assert [tuple(part.shape) for part in blocks] == [(1, *grid, 64) for grid in grids]


def test_grey_is_lumas_part_alone() -> None:
    network, inputs = scrambled(TINY, 0, 0.2), components()
    with torch.no_grad():
        (luma,) = network(*inputs[:2])
        assert torch.equal(luma, network(*inputs)[0])


@pytest.mark.parametrize("grid", [(1, 1), (1, 4), (3, 1)])
def test_the_smallest_pictures(grid: tuple[int, int]) -> None:
    with torch.no_grad():
        blocks = scrambled(TINY, 0, 0.2)(*components((2, 2), grid))
    assert all(part.isfinite().all() for part in blocks)


@settings(max_examples=40)
@given(seed=st.integers(0, 10**6), scale=st.floats(0.01, 30), span=st.sampled_from(SPANS))
def test_no_weights_lead_out_of_the_cell(seed: int, scale: float, span: tuple[int, int]) -> None:
    inputs = components(span, (1, 2), seed)
    with torch.no_grad():
        restored = scrambled(TINY, seed, scale).restore(*inputs)
    for found, quantised, table in zip(restored, inputs[::2], inputs[1::2], strict=True):
        place = found / table[:, None, None] - quantised
        assert place.abs().max() <= CELL + 1e-4
        assert torch.equal((found / table[:, None, None]).round(), quantised)


def test_the_samples_are_those_of_the_restored_coefficients() -> None:
    network, inputs = scrambled(TINY, 1, 0.3), components()
    with torch.no_grad():
        for samples, found in zip(network(*inputs), network.restore(*inputs), strict=True):
            torch.testing.assert_close(samples @ dct_matrix().T, found, atol=2e-2, rtol=1e-5)


@pytest.mark.parametrize("changed", [0, 1, 2])
def test_a_changed_table_changes_its_component(changed: int) -> None:
    network, inputs = scrambled(TINY, 2, 0.2), components()
    other = list(inputs)
    other[2 * changed + 1] = inputs[2 * changed + 1] + 5
    with torch.no_grad():
        before, after = network(*inputs), network(*other)
    assert not torch.equal(before[changed], after[changed])


def test_the_table_reaches_the_places_in_the_cell() -> None:
    network, inputs = scrambled(TINY, 2, 0.05), components()
    other = [inputs[0], inputs[1] * 2]
    with torch.no_grad():
        (before,), (after,) = network.restore(*inputs[:2]), network.restore(*other)
    assert not torch.allclose(before / inputs[1][:, None, None], after / other[1][:, None, None])


def test_chroma_is_guided_by_luma() -> None:
    network, inputs = scrambled(TINY, 3, 0.1), components()
    other = [inputs[0].flip(1), *inputs[1:]]
    with torch.no_grad():
        assert not torch.equal(network(*inputs)[1], network(*other)[1])
