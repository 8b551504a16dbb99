"""One-to-Many (Guo and Chao 2017): the L2 baseline of section 4.1, and the whole of section 3.

One network a quality, as section 5 says; the paper's are 5, 10 and 20. Optimiser and rate as in DCGAN, as section 4
says; the batch and the fall of the rate are ours. What is shipped is smaller and starts from a baseline of its size;
with --short, the discriminator's own features stand in for VGG's, and candidates have to vary (`NaturalnessCritic`).
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
from mjpeg_restore.training.recipe import Blend, Family, Recipe, Variant, shortened

QUALITIES = (5, 10, 20)

RATE = 2e-4
"""DCGAN's."""

EPOCH = 1000
"""Batches in which the discriminator has no part yet: the first epoch, says section 3.4, without its length."""

FIGURE_8: dict[str, tuple[bool, dict[str, float]]] = {
    "q10": (True, {}),
    "q10-perceptual-plain": (False, {"naturalness": 0.0, "jpeg": 0.0}),
    "q10-perceptual": (True, {"naturalness": 0.0, "jpeg": 0.0}),
    "q10-perceptual-naturalness": (True, {"jpeg": 0.0}),
}
"""The network of section 3, and figure 8 (a) to (c): whether with shift-and-average, and losses that are left out."""


def dcgan_adam(model: nn.Module, learning_rate: float) -> list[torch.optim.Optimizer]:
    """Adam with DCGAN's momentum."""
    return adam(model, learning_rate, betas=(0.5, 0.999))


def build(config: OneToManyConfig) -> nn.Module:
    """The network of a size.

    The baseline restores chroma, which gains 0.3 dB of RGB at Q10; what invents texture in luma is kept out of it.
    """
    return OneToMany(config, chroma=not config.noise or config.chroma_width is not None)


def critic(backbone: Callable[[], FeatureExtractor] | None, **settings: Any) -> NaturalnessCritic:
    """The measurement component."""
    return NaturalnessCritic(doubled(1), backbone, RATE, **settings)


def baseline(config: OneToManyConfig, quality: int) -> Recipe:
    """Section 4.1: least squares."""
    return Recipe(
        build=partial(build, replace(config, noise=False)),
        objective=OnPlanes(squared_error),
        degradation=Degradation((quality, quality), colour=False),
        side=64,
        batch=64,
        optimiser=dcgan_adam,
        learning_rate=RATE,
    )


def parts(config: OneToManyConfig, after: str | None = None) -> dict[str, Recipe]:
    """Section 3 and figure 8, for a size."""
    return {
        part: replace(
            baseline(config, 10),
            build=partial(build, replace(config, shift_and_average=shifted)),
            objective=None,
            adversary=partial(critic, vgg, alone=EPOCH, **weights),
            after=after,
        )
        for part, (shifted, weights) in FIGURE_8.items()
    }


def without_backbone(part: str, recipe: Recipe) -> Recipe:
    """A part for minutes of a GPU; those of figure 8 keep to equation 1, each for a fifth of q10's minutes."""
    if part == "q10":
        settings: dict[str, Any] = {"variety": True, "naturalness": 0.05, "jpeg": 1.0}
        return replace(recipe, adversary=partial(critic, None, **settings), share=5)
    return replace(recipe, adversary=partial(critic, None, **FIGURE_8[part][1]))


BASELINES = {f"q{q}": baseline(ONE_TO_MANY_COMPACT, q) for q in QUALITIES}

# The shipped size starts from a baseline of its own, in colour, so that chroma's network is trained.
MEAN = "q10-mean"
FROM_MEAN = replace(baseline(ONE_TO_MANY_SHORT, 10), degradation=Degradation((10, 10)))
SHIPPED = parts(ONE_TO_MANY_SHORT, after=f"one-to-many/{MEAN}")

Q10 = Variant((10, 10), "q10", "q10")

# As it is trained, candidates are as far from one another as from the original, and faces suffer. A little of the
# baseline keeps most of the texture, and more than half of the distance.
TEMPERED = replace(Q10, blend=Blend(MEAN, 0.15))

FAMILIES = {
    "one-to-many-l2": Family(
        "One-to-Many's baseline (Guo and Chao 2017, section 4.1), compact: least squares, a network a quality",
        parts=BASELINES,
        short={
            name: replace(shortened(recipe, batch=16, side=128), after=None if name == "q10" else "one-to-many-l2/q10")
            for name, recipe in BASELINES.items()
        },
        variants=tuple(Variant((q, q), f"q{q}", f"q{q}") for q in QUALITIES),
    ),
    "one-to-many": Family(
        "One-to-Many (Guo and Chao 2017), with half the units, for Q10: one of many possible pictures",
        parts={MEAN: FROM_MEAN, **SHIPPED},
        short={
            MEAN: shortened(FROM_MEAN, batch=FROM_MEAN.batch),
            **{part: without_backbone(part, recipe) for part, recipe in SHIPPED.items()},
        },
        variants=(TEMPERED,),
        extra="noise",
    ),
    "one-to-many-64": Family(
        "One-to-Many (Guo and Chao 2017), for Q10",
        parts=parts(ONE_TO_MANY),
        variants=(Q10,),
        extra="noise",
    ),
}
