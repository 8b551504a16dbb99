"""`stream` and `stream-lite`, our own."""

from __future__ import annotations

from dataclasses import replace

from mjpeg_restore.models.stream import STREAM, STREAM_LITE, Stream
from mjpeg_restore.training.objectives import root_mean_square
from mjpeg_restore.training.recipe import WARM_UP, Family, Recipe

COMMON = Recipe(
    build=lambda: Stream(STREAM), objective=root_mean_square, side=96, warm_up=WARM_UP, longest_gradient=1.0
)

FAMILIES = {
    "stream": Family(
        "the real-time network: one set of weights for all qualities, tables and samplings",
        {"all": COMMON},
        projected=True,
    ),
    "stream-lite": Family(
        "the same at a quarter of the cost, for small machines and many cameras",
        {"all": replace(COMMON, build=lambda: Stream(STREAM_LITE))},
        projected=True,
    ),
}
