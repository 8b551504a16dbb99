"""How each shipped network is trained: one recipe a model."""

from __future__ import annotations

from mjpeg_restore.models.stream import STREAM, STREAM_LITE, Stream
from mjpeg_restore.training.loop import Recipe
from mjpeg_restore.training.losses import root_mean_square

RECIPES = {
    "stream": Recipe(build=lambda: Stream(STREAM), loss=root_mean_square),
    "stream-lite": Recipe(build=lambda: Stream(STREAM_LITE), loss=root_mean_square),
}
