"""What a network costs a luma pixel, found by running it: multiply-accumulates, and memory."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from mjpeg_restore.models.catalogue import Extra

BLOCKS = 32
"""Side of the picture that is counted, in luma blocks; a multiple of 2, for 4:2:0."""


HELD = 2.0
"""How many times the tensors of its most demanding layer a runtime holds at once, about."""


DECODED = 64.0
"""Bytes for a luma pixel that the plain decode holds, about: coefficients and samples in float32, some twice."""


def macs_per_pixel(network: nn.Module, *, colour: bool = True, extra: Extra | None = None) -> float:
    """Multiply-accumulates of all convolutions and matrix products, divided by luma pixels, at 4:2:0 or grey.

    Args:
        network: takes and gives what `models.graph.export` says.
        colour: three components, or luma alone.
        extra: what the network takes besides.
    """
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        network(*_picture(network, colour, extra))
    return counter.get_total_flops() / 2 / (64 * BLOCKS * BLOCKS)


def bytes_per_pixel(network: nn.Module, *, colour: bool = True, extra: Extra | None = None) -> float:
    """Memory for a luma pixel, about: what goes in and out of the layer where that is most, twice, and the decode."""
    most = 0

    def weigh(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal most
        most = max(most, sum(4 * tensor.numel() for tensor in (*inputs, output)))

    leaves = [module for module in network.modules() if isinstance(module, nn.Conv2d | nn.ConvTranspose2d)]
    handles = [module.register_forward_hook(weigh) for module in leaves]
    try:
        with torch.no_grad():
            network(*_picture(network, colour, extra))
    finally:
        for handle in handles:
            handle.remove()
    return DECODED + HELD * most / (64 * BLOCKS * BLOCKS)


def _picture(network: nn.Module, colour: bool, extra: Extra | None) -> list[Tensor]:
    """What a network takes of a grey picture, or a colour picture at 4:2:0."""
    grids = [BLOCKS, BLOCKS // 2, BLOCKS // 2][: 3 if colour else 1]
    inputs = [t for side in grids for t in (torch.zeros(1, side, side, 64), torch.ones(1, 64))]
    return [*inputs, torch.zeros(1, 1, 4 * BLOCKS, 4 * BLOCKS)] if extra == "noise" else inputs
