"""Multiply-accumulates and memory of a network per luma pixel, counted by running it without data."""

from __future__ import annotations

import copy
from typing import TypedDict

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from mjpeg_restore.models.graph import Extra
from mjpeg_restore.models.int8 import Int8Conv
from mjpeg_restore.models.planes import has_full_chroma

HIGH, WIDE = 136, 240
"""Luma blocks of the picture that is counted: 1920x1080, as some operations of a network occur once per picture."""


PEAK_FACTOR = 2.0
"""Approximate peak memory of a runtime, relative to the tensors of the network's most demanding layer."""


DECODE_BYTES = 64.0
"""Approximate memory of the plain decode, bytes per luma pixel: coefficients and samples in float32, some twice. With
chroma at luma's size a 4:2:0 picture has twice the samples."""


def macs_per_pixel(network: nn.Module, *, colour: bool = True, extra: Extra | None = None) -> float:
    """Multiply-accumulates of all convolutions and matrix products per luma pixel, at 4:2:0 or grey.

    Args:
        network: as for `models.graph.export`.
        colour: whether the picture has three components; else luma only.
        extra: the network's further input.
    """
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        _meta_copy(network)(*_picture(colour, extra))
    return counter.get_total_flops() / 2 / (64 * HIGH * WIDE)


def bytes_per_pixel(network: nn.Module, *, colour: bool = True, extra: Extra | None = None) -> float:
    """Approximate memory, bytes per luma pixel: inputs and outputs of the most demanding layer, twice, plus the decode.

    A value takes four bytes, or one byte as input of an int8 convolution, as with OpenVINO. Arguments are those of
    `macs_per_pixel`.
    """
    most = 0

    def measure_layer(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal most
        taken = 1 if isinstance(module, Int8Conv) else 4
        most = max(most, sum(taken * tensor.numel() for tensor in inputs) + 4 * output.numel())

    network = _meta_copy(network)
    leaves = [module for module in network.modules() if isinstance(module, nn.Conv2d | nn.ConvTranspose2d)]
    for module in leaves:
        module.register_forward_hook(measure_layer)
    with torch.no_grad():
        restored = network(*_picture(colour, extra))
    return DECODE_BYTES * (2 if has_full_chroma(restored) else 1) + PEAK_FACTOR * most / (64 * HIGH * WIDE)


class Figures(TypedDict):
    """The fields of the catalogue's `Model` about a network's size."""

    parameters: int
    macs_per_pixel: float
    margin: int
    bytes_per_pixel: float


def figures(network: nn.Module, *, colour: bool = True, extra: Extra | None = None) -> Figures:
    """A network's size. Arguments are those of `macs_per_pixel`."""
    margin = network.margin
    assert isinstance(margin, int)
    return Figures(
        parameters=sum(parameter.numel() for parameter in network.parameters()),
        macs_per_pixel=round(macs_per_pixel(network, colour=colour, extra=extra), 1),
        margin=margin,
        bytes_per_pixel=round(bytes_per_pixel(network, colour=colour, extra=extra), 1),
    )


def _meta_copy(network: nn.Module) -> nn.Module:
    """A copy of the network on the meta device: only shapes are counted."""
    return copy.deepcopy(network).to("meta")


def _picture(colour: bool, extra: Extra | None) -> list[Tensor]:
    """A network's inputs for a grey picture, or a colour picture at 4:2:0, on the meta device."""
    grids = [(HIGH, WIDE), (HIGH // 2, WIDE // 2), (HIGH // 2, WIDE // 2)][: 3 if colour else 1]
    shapes = [shape for high, wide in grids for shape in ((1, high, wide, 64), (1, 64))]
    if extra == "noise":
        shapes.append((1, 1, 4 * HIGH, 4 * WIDE))
    return [torch.empty(shape, device="meta") for shape in shapes]
