"""Distillation from a trained network (Hinton et al. 2015, "Distilling the knowledge in a neural network").

Most of what an encoder discarded cannot be predicted: at quality 10, a good network predicts three tenths of a JPEG's
error. The rest acts as noise in the targets of a network in training, and a small network with little time suffers most
from it. The result of a good network on the same coefficients has no such noise.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import nn

from mjpeg_restore import catalogue
from mjpeg_restore.models.decode import blocks_to_plane
from mjpeg_restore.models.graph import load_weights
from mjpeg_restore.models.planes import to_grid
from mjpeg_restore.models.stream import STREAM, Stream
from mjpeg_restore.training.degradation import Compressed


class Teacher(nn.Module):
    """Replaces the originals by the results of the shipped `stream`."""

    name = "stream"

    def __init__(self) -> None:
        """Load its weights.

        Raises:
            ModelError: they are missing or belong to another network.
        """
        super().__init__()
        self.network = Stream(STREAM)
        self.requires_grad_(False)
        self.eval()  # before loading, as it would overwrite the loaded quantisation steps
        load_weights(self.network, catalogue.find(self.name).variants[0].graphs["colour"].path())

    @torch.no_grad()
    def forward(self, coded: Compressed) -> Compressed:
        """Replace the originals of a batch: by coefficients within their quantisation cells, and unrounded samples.

        It knows chroma at its own sampling alone: at luma's size its samples are interpolated.
        """
        placed = self.network.place(*coded.components())
        samples = [self.network.inverse_dct(k, q) for k, q in zip(placed, coded.tables, strict=True)]
        luma, *chroma = [blocks_to_plane(part) for part in samples]
        return replace(
            coded,
            original=[k * q[:, None, None] for k, q in zip(placed, coded.tables, strict=True)],
            planes=[luma, *chroma],
            full_chroma=[to_grid(plane[:, None], *luma.shape[1:])[:, 0] for plane in chroma],
        )
