"""Learning from a network that is better already (Hinton et al. 2015, "Distilling the knowledge in a neural network").

What an encoder threw away is for the most part anybody's guess: of the error that a JPEG has at quality 10, a good
network predicts three tenths. The rest is noise to one that learns, and a small one with little time drowns in it.
What a good network made of the same coefficients has none of it.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import nn

from mjpeg_restore import catalogue
from mjpeg_restore.models.decode import blocks_to_plane
from mjpeg_restore.models.graph import load_weights
from mjpeg_restore.models.stream import STREAM, Stream
from mjpeg_restore.training.degradation import Compressed


class Teacher(nn.Module):
    """Puts what `stream`, as it is shipped, restores in the place of the originals."""

    name = "stream"

    def __init__(self) -> None:
        """Load its weights.

        Raises:
            ModelError: they are missing or another network's.
        """
        super().__init__()
        self.network = Stream(STREAM)
        self.requires_grad_(False)
        self.eval()  # before the weights: their steps are in the file
        load_weights(self.network, catalogue.find(self.name).variants[0].file("colour"))

    @torch.no_grad()
    def forward(self, coded: Compressed) -> Compressed:
        """A batch with other originals: coefficients within their cells, and samples that are not rounded."""
        placed = self.network.place(*coded.components())
        samples = [self.network.inverse_dct(k, q) for k, q in zip(placed, coded.tables, strict=True)]
        return replace(
            coded,
            original=[k * q[:, None, None] for k, q in zip(placed, coded.tables, strict=True)],
            planes=[blocks_to_plane(part) for part in samples],
        )
