"""One-to-Many (Guo and Chao 2017): the L2 baseline of section 4.1, and the whole of section 3.

There is one network per quality (section 5): 5, 10 and 20. The optimiser and its learning rate are DCGAN's (section 4);
the batch size and the schedule are ours. The shipped network is smaller and is initialised from a baseline of its size.
With --short, features of the discriminator replace VGG's, and a loss keeps candidates different (`NaturalnessCritic`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import nn

from mjpeg_restore.models.papers.one_to_many import (
    ONE_TO_MANY,
    ONE_TO_MANY_COMPACT,
    ONE_TO_MANY_SHORT,
    OneToMany,
    OneToManyConfig,
)
from mjpeg_restore.training.backbones import vgg
from mjpeg_restore.training.critics import NaturalnessCritic
from mjpeg_restore.training.degradation import Degradation
from mjpeg_restore.training.discriminator import doubled
from mjpeg_restore.training.features import FeatureExtractor
from mjpeg_restore.training.objectives import OnPlanes, squared_error
from mjpeg_restore.training.optimiser import adam
from mjpeg_restore.training.recipe import Blend, ModelRecipe, Recipe, Variant, shortened

QUALITIES = (5, 10, 20)

RATE = 2e-4
"""DCGAN's."""

EPOCH = 1000
"""Batches before the discriminator is trained: "the first epoch" of section 3.4, whose length is not given."""

FIGURE_8: dict[str, tuple[bool, dict[str, float]]] = {
    "q10": (True, {}),
    "q10-perceptual-plain": (False, {"naturalness": 0.0, "jpeg": 0.0}),
    "q10-perceptual": (True, {"naturalness": 0.0, "jpeg": 0.0}),
    "q10-perceptual-naturalness": (True, {"jpeg": 0.0}),
}
"""The network of section 3, and those of figure 8 (a) to (c): whether it uses shift-and-average, and overridden loss
weights."""


def dcgan_adam(model: nn.Module, learning_rate: float) -> list[torch.optim.Optimizer]:
    """Adam with DCGAN's momentum."""
    return adam(model, learning_rate, betas=(0.5, 0.999))


def build(config: OneToManyConfig) -> nn.Module:
    """Make a network of the given size.

    The baseline also restores chroma, which gains 0.3 dB of RGB at Q10. A network that invents texture restores luma
    only, unless it has a chroma network of its own.
    """
    return OneToMany(config, chroma=not config.noise or config.chroma_width is not None)


def critic(backbone: Callable[[], FeatureExtractor] | None, **settings: Any) -> NaturalnessCritic:
    """Make the measurement component."""
    return NaturalnessCritic(doubled(1), backbone, RATE, **settings)


def baseline(config: OneToManyConfig, quality: int) -> Recipe:
    """The baseline of section 4.1, trained on the squared error."""
    return Recipe(
        build=partial(build, replace(config, noise=False)),
        objective=OnPlanes(squared_error),
        degradation=Degradation((quality, quality), colour=False),
        side=64,
        batch=64,
        optimiser=dcgan_adam,
        learning_rate=RATE,
    )


def stages(config: OneToManyConfig, init_from: str | None = None) -> dict[str, Recipe]:
    """The stages of section 3 and figure 8 for a network of the given size."""
    return {
        stage: replace(
            baseline(config, 10),
            build=partial(build, replace(config, shift_and_average=shifted)),
            objective=None,
            adversary=partial(critic, vgg, alone=EPOCH, **weights),
            init_from=init_from,
        )
        for stage, (shifted, weights) in FIGURE_8.items()
    }


def without_backbone(stage: str, recipe: Recipe) -> Recipe:
    """A stage for minutes of a GPU. Figure 8's stages keep equation 1, and get a fifth of q10's minutes each."""
    if stage == "q10":
        settings: dict[str, Any] = {"variety": True, "naturalness": 0.05, "jpeg": 1.0}
        return replace(recipe, adversary=partial(critic, None, **settings), budget=5)
    return replace(recipe, adversary=partial(critic, None, **FIGURE_8[stage][1]))


BASELINES = {f"q{q}": baseline(ONE_TO_MANY_COMPACT, q) for q in (10, 5, 20)}  # a short training's begin from Q10's

# The shipped network is initialised from a baseline of its own size, trained in colour so that chroma's network learns.
MEAN = "q10-mean"
FROM_MEAN = replace(baseline(ONE_TO_MANY_SHORT, 10), degradation=Degradation((10, 10)))
SHIPPED = stages(ONE_TO_MANY_SHORT, init_from=f"one-to-many/{MEAN}")

Q10 = Variant((10, 10), "q10", "q10")

# After training, candidates are as far from one another as from the original, and faces suffer. Blending in a little of
# the baseline keeps most of the texture, and more than half of that distance.
TEMPERED = replace(Q10, blend=Blend(MEAN, 0.15))

MODELS = {
    "one-to-many-l2": ModelRecipe(
        "One-to-Many's baseline (Guo and Chao 2017, section 4.1), compact: least squares, a network a quality",
        stages=BASELINES,
        short={
            name: replace(
                shortened(recipe, batch=16, side=128), init_from=None if name == "q10" else "one-to-many-l2/q10"
            )
            for name, recipe in BASELINES.items()
        },
        variants=tuple(Variant((q, q), f"q{q}", f"q{q}") for q in QUALITIES),
    ),
    "one-to-many": ModelRecipe(
        "One-to-Many (Guo and Chao 2017), with half the units, for Q10: one of many possible pictures",
        stages={MEAN: FROM_MEAN, **SHIPPED},
        short={
            MEAN: shortened(FROM_MEAN, batch=FROM_MEAN.batch),
            **{stage: without_backbone(stage, recipe) for stage, recipe in SHIPPED.items()},
        },
        variants=(TEMPERED,),
        extra="noise",
    ),
    "one-to-many-64": ModelRecipe(
        "One-to-Many (Guo and Chao 2017), for Q10",
        stages=stages(ONE_TO_MANY),
        variants=(Q10,),
        extra="noise",
    ),
}
