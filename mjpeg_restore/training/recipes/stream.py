"""`stream`, `stream-lite` and `stream-hq`, our own networks.

The first two are trained in full precision, with int8 rounding, and then on screens beside photos. `stream-hq` stays
in floating point and is trained on a GPU: its batches are large, and the crops of its last stage are as large as its
coarse grids can see.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

from torch import nn

from mjpeg_restore.models.int8 import round_in_training
from mjpeg_restore.models.stream import STREAM, STREAM_LITE, Stream, StreamConfig
from mjpeg_restore.models.stream_hq import STREAM_HQ, StreamHq
from mjpeg_restore.training.degradation import Degradation
from mjpeg_restore.training.objectives import root_mean_square
from mjpeg_restore.training.recipe import WARM_UP, Blend, Linear, ModelRecipe, Recipe, Variant


def rounding(build: Callable[[], nn.Module]) -> nn.Module:
    """The network with int8 rounding, as the second stage trains it."""
    return round_in_training(build())


def stages(model: str, config: StreamConfig) -> Mapping[str, Recipe]:
    """The three stages of a model."""
    whole = Recipe(
        build=partial(Stream, config),
        objective=root_mean_square,
        degradation=Degradation(grey_odds=0.3),
        side=96,
        warm_up=WARM_UP,
        clip_norm=1.0,
        budget=9,
    )
    # Larger crops resemble whole pictures more closely: fewer features lie at an edge.
    end = replace(
        whole,
        build=partial(rounding, whole.build),
        side=192,
        batch=3,
        learning_rate=4e-4,
        schedule=Linear(0),
        init_from=f"{model}/whole",
        budget=3,
    )
    screens = replace(end, learning_rate=1e-4, init_from=f"{model}/rounded", budget=1)
    return {"whole": whole, "rounded": end, "screens": screens}


VARIANTS = (Variant(None, "screens", "screens", blend=Blend("rounded", 0.5)),)
"""Half of the last stage, whose data are photos and what `scripts/draw_screens.py` draws: that is more than half of
what screens gain by it, and less than half of what photos lose."""
HQ = replace(stages("stream-hq", STREAM)["whole"], build=partial(StreamHq, STREAM_HQ), side=128, batch=64, budget=3)

MODELS = {
    "stream": ModelRecipe(
        "the real-time network: one set of weights for all qualities, tables and samplings",
        stages("stream", STREAM),
        variants=VARIANTS,
        projected=True,
    ),
    "stream-lite": ModelRecipe(
        "the same at a quarter of the cost, for small machines and many cameras",
        stages("stream-lite", STREAM_LITE),
        variants=VARIANTS,
        projected=True,
    ),
    "stream-hq": ModelRecipe(
        "the same at ten times the cost, for machines with a GPU",
        {
            "whole": HQ,
            "large": replace(
                HQ, side=256, batch=16, learning_rate=4e-4, schedule=Linear(0), init_from="stream-hq/whole", budget=1
            ),
        },
        variants=(Variant(None, "large", "large"),),
        projected=True,
    ),
}
