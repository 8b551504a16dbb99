"""`stream`, `stream-lite` and `stream-hq`, our own.

The first two are trained in full precision, and rounding to eight bits in the end. `stream-hq` stays in floating point
and is trained on a GPU: its batches are large, and its last crops show what its coarse grids see.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial

from torch import nn

from mjpeg_restore.models.int8 import round_in_training
from mjpeg_restore.models.stream import STREAM, STREAM_LITE, Stream, StreamConfig
from mjpeg_restore.models.stream_hq import STREAM_HQ, StreamHq
from mjpeg_restore.training.degradation import Degradation
from mjpeg_restore.training.objectives import root_mean_square
from mjpeg_restore.training.recipe import WARM_UP, Family, Linear, Recipe, Variant


def rounding(config: StreamConfig) -> nn.Module:
    """The network as the second stage trains it."""
    return round_in_training(Stream(config))


def stages(family: str, config: StreamConfig) -> Mapping[str, Recipe]:
    """A network's two stages."""
    whole = Recipe(
        build=partial(Stream, config),
        objective=root_mean_square,
        degradation=Degradation(grey_odds=0.3),
        side=96,
        warm_up=WARM_UP,
        longest_gradient=1.0,
        share=9,
    )
    # Larger crops are nearer to whole pictures, and leave fewer features at an edge.
    end = replace(
        whole,
        build=partial(rounding, config),
        side=192,
        batch=3,
        learning_rate=4e-4,
        schedule=Linear(0),
        after=f"{family}/whole",
        share=3,
    )
    return {"whole": whole, "rounded": end}


HQ = replace(stages("stream-hq", STREAM)["whole"], build=partial(StreamHq, STREAM_HQ), side=128, batch=64, share=3)

FAMILIES = {
    "stream": Family(
        "the real-time network: one set of weights for all qualities, tables and samplings",
        stages("stream", STREAM),
        variants=(Variant(None, "rounded", "rounded"),),
        projected=True,
    ),
    "stream-lite": Family(
        "the same at a quarter of the cost, for small machines and many cameras",
        stages("stream-lite", STREAM_LITE),
        variants=(Variant(None, "rounded", "rounded"),),
        projected=True,
    ),
    "stream-hq": Family(
        "the same at ten times the cost, for machines with a GPU",
        {
            "whole": HQ,
            "large": replace(
                HQ, side=256, batch=16, learning_rate=4e-4, schedule=Linear(0), after="stream-hq/whole", share=1
            ),
        },
        variants=(Variant(None, "large", "large"),),
        projected=True,
    ),
}
