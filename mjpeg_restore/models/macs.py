"""What a network costs: multiply-accumulates for a luma pixel, counted by running it."""

from __future__ import annotations

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

BLOCKS = 32
"""Side of the picture that is counted, in luma blocks; a multiple of 2, for 4:2:0."""


def macs_per_pixel(network: nn.Module, *, colour: bool = True) -> float:
    """Multiply-accumulates of all convolutions and matrix products, divided by luma pixels, at 4:2:0 or grey.

    Args:
        network: takes and gives what `models.graph.export` says.
    """
    grids = [BLOCKS, BLOCKS // 2, BLOCKS // 2][: 3 if colour else 1]
    inputs = [t for side in grids for t in (torch.zeros(1, side, side, 64), torch.ones(1, 64))]
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        network(*inputs)
    return counter.get_total_flops() / 2 / (64 * BLOCKS * BLOCKS)
