from __future__ import annotations

import pytest

from tests.lacking import needs

needs("torch")

import torch
from torch import Tensor, nn

from mjpeg_restore.models.cost import DECODE_BYTES, PEAK_FACTOR, bytes_per_pixel, macs_per_pixel
from mjpeg_restore.models.decode import Decode
from mjpeg_restore.models.int8 import Int8Conv
from tests.models.layers import conv

CHROMA = 2 / 4
"""Samples of Cb and Cr for one of luma at 4:2:0."""


class Blocks(nn.Module):
    """One layer over each component's blocks, a block's 64 values in its channels."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, *components: Tensor) -> tuple[Tensor, ...]:
        return tuple(self.layer(blocks.movedim(-1, 1)).movedim(1, -1) for blocks in components[::2])


class OnNoise(nn.Module):
    """One layer over the noise, which has a value for each 2x2 samples of luma; the picture is left alone."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        *components, noise = inputs
        high, wide = components[0].shape[1:3]
        assert noise.shape == (1, 1, 4 * high, 4 * wide)
        self.layer(noise)
        return tuple(components[::2])


@pytest.mark.parametrize(("colour", "components"), [(True, 1 + CHROMA), (False, 1)])
def test_a_convolution_costs_its_kernel_for_each_block(colour: bool, components: float) -> None:
    network = Blocks(nn.Conv2d(64, 5, 3, padding=1, bias=False))
    assert macs_per_pixel(network, colour=colour) == pytest.approx(components * 64 * 5 * 9 / 64)


def test_stride_and_groups_are_seen() -> None:
    strided = Blocks(nn.Conv2d(64, 64, 2, stride=2))
    assert macs_per_pixel(strided, colour=False) == pytest.approx(64 * 64 * 4 / 4 / 64)
    grouped = Blocks(nn.Conv2d(64, 64, 1, groups=64))
    assert macs_per_pixel(grouped, colour=False) == pytest.approx(1)


def test_a_deconvolution_costs_its_kernel_for_each_input() -> None:
    network = Blocks(nn.ConvTranspose2d(64, 2, 4, stride=2))
    assert macs_per_pixel(network, colour=False) == pytest.approx(64 * 2 * 16 / 64)


@pytest.mark.parametrize(("colour", "components"), [(True, 1 + CHROMA), (False, 1)])
def test_the_decode_is_a_matrix_product_of_64_by_64_a_block(colour: bool, components: float) -> None:
    assert macs_per_pixel(Decode(), colour=colour) == 64 * components


def test_noise_has_a_quarter_of_lumas_samples() -> None:
    network = OnNoise(nn.Conv2d(1, 6, 3, padding=1))
    assert macs_per_pixel(network, extra="noise") == pytest.approx(6 * 9 / 4)
    assert bytes_per_pixel(network, extra="noise") == DECODE_BYTES + PEAK_FACTOR * 4 * (1 + 6) / 4


def test_memory_is_the_decodes_without_a_convolution() -> None:
    assert bytes_per_pixel(Decode()) == DECODE_BYTES


def test_memory_is_that_of_the_layer_with_most() -> None:
    narrow, wide = nn.Conv2d(64, 32, 1), nn.Conv2d(32, 256, 1)
    # For a luma pixel, a block being 64 of them: what the wide layer takes and what it gives, in float32.
    expected = DECODE_BYTES + PEAK_FACTOR * 4 * (32 + 256) / 64
    assert bytes_per_pixel(Blocks(nn.Sequential(narrow, wide)), colour=False) == expected
    assert bytes_per_pixel(Blocks(nn.Sequential(narrow, wide))) == expected  # luma's grid is the largest


def test_what_goes_into_eight_bits_takes_a_byte() -> None:
    network = Blocks(Int8Conv(64, 32, signed=True))
    assert bytes_per_pixel(network, colour=False) == DECODE_BYTES + PEAK_FACTOR * (64 + 4 * 32) / 64


def test_a_deconvolution_holds_what_it_gives() -> None:
    network = Blocks(nn.ConvTranspose2d(64, 3, 2, stride=2))
    assert bytes_per_pixel(network, colour=False) == DECODE_BYTES + PEAK_FACTOR * 4 * (64 + 4 * 3) / 64


def test_counting_leaves_no_trace() -> None:
    network = Blocks(nn.Conv2d(64, 64, 1))
    before = conv(network.layer).weight.clone()
    macs_per_pixel(network)
    bytes_per_pixel(network)
    assert torch.equal(conv(network.layer).weight, before)
