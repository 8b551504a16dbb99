"""`stream` and `stream-lite`, our own."""

from __future__ import annotations

from mjpeg_restore.models.stream import STREAM, STREAM_LITE, Stream
from mjpeg_restore.training.objectives import root_mean_square
from mjpeg_restore.training.recipe import Family, Recipe

FAMILIES = {
    "stream": Family(
        "the real-time network: one set of weights for all qualities, tables and samplings",
        {"all": Recipe(build=lambda: Stream(STREAM), objective=root_mean_square, side=96)},
        projected=True,
    ),
    "stream-lite": Family(
        "the same at a third of the cost, for small machines and many cameras",
        {"all": Recipe(build=lambda: Stream(STREAM_LITE), objective=root_mean_square, side=96)},
        projected=True,
    ),
}
