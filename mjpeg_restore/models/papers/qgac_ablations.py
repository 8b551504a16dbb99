"""QGAC's ablations: Ehrlich et al. 2020, section 4.4 and table 5. They restore luma only.

A network of `qgac.py` in which one thing is different (`Ablation`): how it gets the quantisation table, which
sub-networks it has, or whether a fusion joins their outputs.

Our choices, where the paper leaves them open:

* All networks but those of a single sub-network have a BlockNet, a FrequencyNet and a second BlockNet.
* A table that is concatenated is an input of both BlockNets: 64 channels, the same for every block. In the
  representation's other weights, and in the decoder's, there is nothing of it. These weights start as the generated
  ones do, for the table of Q50.
* Without a fusion, the last sub-network's output is the residual; its last layer is zero at first, so that an
  untrained network is the plain decode.
* As in the paper, all networks have about the same number of parameters: those of a single sub-network are wider.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from mjpeg_restore.jpeg.tables import scaled_tables
from mjpeg_restore.models.papers.manifold import BlockDecoder, BlockRepresentation, Prelu, keep_variance
from mjpeg_restore.models.papers.qgac import BlockNet, FrequencyNet, Qgac, QgacConfig, reach

TableUse = Literal["generates", "concatenated", "unused"]
"""What the quantisation table is to a BlockNet: the input that its outer layers are generated from, further input
channels, or nothing."""
Part = Literal["block", "frequency"]

ABLATED = QgacConfig(width=64, growth=16, chroma_width=64, chroma_growth=16, manifold=16)
"""Small enough to be trained on a CPU in minutes."""


@dataclass(frozen=True, slots=True)
class Ablation:
    """What the network consists of."""

    config: QgacConfig = ABLATED
    """Size of the sub-networks."""
    table: TableUse = "generates"
    parts: tuple[Part, ...] = ("block", "frequency", "block")
    """Sub-networks, in sequence."""
    fusion: bool = True
    """Whether three convolutions fuse the outputs of all sub-networks; else the last one's is the residual."""


ABLATIONS = {
    "complete": Ablation(),
    "table-concatenated": Ablation(table="concatenated"),
    "table-unused": Ablation(table="unused"),
    "frequency": Ablation(replace(ABLATED, width=384, growth=384), parts=("frequency",), fusion=False),
    "block": Ablation(replace(ABLATED, growth=40), parts=("block",), fusion=False),
    "no-fusion": Ablation(fusion=False),
}
"""The networks of table 5, each by what is different in it."""


class Kernels(nn.Module):
    """Weights in the place of a manifold, the same for every table."""

    def __init__(self, kernels: Tensor) -> None:
        """Start with kernels `[kernels, terms]`."""
        super().__init__()
        self.weight = nn.Parameter(kernels.clone())

    def forward(self, table: Tensor) -> Tensor:
        """Hand out the kernels, `[batch, kernels, terms]`, for tables `[batch, 64]`."""
        return self.weight.repeat(len(table), 1, 1)


class Told(nn.Module):
    """A representation that gets the table's steps beside the coefficients, as 64 further channels."""

    def __init__(self, representation: BlockRepresentation) -> None:
        """Extend a representation that has `Kernels`; the steps have no effect at first."""
        super().__init__()
        kernels = representation.manifold(torch.ones(1, 64))[0].detach()
        representation.add_module("manifold", Kernels(torch.cat([kernels, torch.zeros_like(kernels)], dim=1)))
        self.representation = representation

    def forward(self, coefficients: Tensor, table: Tensor) -> Tensor:
        """Represent normalised coefficients `[batch, high, wide, 64]` of a table `[batch, 64]`."""
        steps = (table / 255).clamp(max=1)[:, None, None].expand_as(coefficients)
        return self.representation(torch.cat([coefficients, steps], dim=3), table)


class QgacAblation(Qgac):
    """A network of table 5; see the module's docstring."""

    def __init__(self, ablation: Ablation) -> None:
        self.ablation = ablation
        super().__init__(ablation.config)
        del self.colour  # section 4.4 trains on grey patches

    def lay_out_luma(self) -> None:
        """Make the sub-networks, and their fusion if there is one."""
        ablation, width = self.ablation, self.config.width
        self.parts = nn.ModuleList(self.part(kind) for kind in ablation.parts)
        self.fusion, self.predict = nn.Sequential(), nn.ModuleDict()
        if ablation.fusion:
            fusion = [nn.Conv2d(before, width, 3, padding=1) for before in (64 * len(self.parts), width)]
            keep_variance(*fusion)
            self.fusion = nn.Sequential(fusion[0], Prelu(width), fusion[1], Prelu(width))
            self.predict["project"] = nn.Conv2d(width, 64, 3, padding=1)
        else:
            silence(self.parts[-1])
        if ablation.table != "generates":
            for block in self.parts:
                if isinstance(block, BlockNet):
                    fix(block, told=ablation.table == "concatenated")

    def part(self, kind: Part) -> nn.Module:
        """Make a sub-network."""
        config = self.config
        if kind == "frequency":
            return FrequencyNet(config.width, config.growth)
        return BlockNet(config.width, config.growth, config.manifold, self.statistics.std)

    @property
    def margin(self) -> int:
        """How many neighbouring blocks, in each direction, a restored block depends on."""
        return reach(*self.parts, self.fusion, self.predict)

    def luma_residual(self, coefficients: Tensor, table: Tensor) -> Tensor:
        """Like `Qgac.luma_residual`."""
        outputs: list[Tensor] = []
        for part in self.parts:
            coefficients = part(coefficients, table) if isinstance(part, BlockNet) else part(coefficients)
            outputs.append(coefficients)
        if not self.ablation.fusion:
            return outputs[-1].permute(0, 3, 1, 2)
        return self.predict["project"](self.fusion(torch.cat(outputs, dim=3).permute(0, 3, 1, 2)))


def silence(part: nn.Module) -> None:
    """Set the last layer of a sub-network to zero."""
    last = part.decode.manifold.last if isinstance(part, BlockNet) else part.leave
    assert isinstance(last, nn.Module)
    for parameter in last.parameters():
        nn.init.zeros_(parameter)


@torch.no_grad()
def fix(block: BlockNet, *, told: bool) -> None:
    """Replace the generated weights of a BlockNet by those that it would generate for Q50, as plain weights.

    Args:
        block: changed.
        told: whether its representation gets the table as further channels.
    """
    table = torch.from_numpy(scaled_tables(50)[0].reshape(1, 64).astype(np.float32))
    for layer in (block.represent, block.decode):
        assert isinstance(layer, BlockRepresentation | BlockDecoder)
        layer.add_module("manifold", Kernels(layer.manifold(table)[0]))
    if told:
        block.add_module("represent", Told(block.represent))
