"""A run as small as can be."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from mjpeg_restore.models.stream import Stream, StreamConfig
from mjpeg_restore.training.data import Crops
from mjpeg_restore.training.loop import Trainer
from mjpeg_restore.training.objectives import root_mean_square
from mjpeg_restore.training.recipe import Recipe

CPU = torch.device("cpu")
TINY = Recipe(
    build=lambda: Stream(StreamConfig(width=8, blocks=1, hidden=12, chroma_width=8, chroma_blocks=1)),
    objective=root_mean_square,
    side=32,
    batch=4,
    warm_up=200,
    clip_norm=1.0,
)


def picture(height: int, width: int) -> NDArray[np.uint8]:
    """Slopes and an edge, no noise: there is something to learn."""
    y, x = np.mgrid[:height, :width]
    luma = 90 + 40 * np.sin(x / 7) + 40 * np.cos(y / 9) + 40 * (x + y > width)
    return np.stack([luma, luma + 8, luma - 16], axis=-1).clip(0, 255).astype(np.uint8)


def trainer(
    folder: Path,
    recipe: Recipe = TINY,
    *,
    seed: int = 0,
    device: torch.device = CPU,
    dtype: torch.dtype | None = None,
) -> Trainer:
    """A run whose network and crops depend on the seed alone."""
    torch.manual_seed(seed)
    crops = Crops([picture(64, 64), picture(64, 96)], recipe.side, np.random.default_rng(seed), device)
    cameras = np.empty((0, 2, 64), np.float32)
    return Trainer(recipe.build(), recipe, crops, cameras, [picture(48, 64)], folder, device, dtype)
