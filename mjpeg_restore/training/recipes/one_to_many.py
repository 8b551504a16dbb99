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

from mjpeg_restore.models.one_to_many import (
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

MORE = {
    "q10-perceptual": {"naturalness": 0.0, "jpeg": 0.0},
    "q10-perceptual-naturalness": {"jpeg": 0.0},
}
"""Figure 8 (b) and (c): the losses, one after the other; (a) is (b) without shift-and-average."""


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


def whole(config: OneToManyConfig, quality: int = 10, **weights: float) -> Recipe:
    """Section 3."""
    return replace(
        baseline(config, quality),
        build=partial(build, config),
        objective=None,
        adversary=partial(critic, vgg, alone=EPOCH, **weights),
    )


def plain(config: OneToManyConfig) -> OneToManyConfig:
    """Without shift-and-average: figure 8 (a)."""
    return replace(config, shift_and_average=False)


def parts(config: OneToManyConfig) -> dict[str, Recipe]:
    """The network of section 3 and those of figure 8, of a size."""
    return {
        "q10": whole(config),
        **{name: whole(config, **weights) for name, weights in MORE.items()},
        "q10-perceptual-plain": whole(plain(config), **MORE["q10-perceptual"]),
    }


MEAN = "q10-mean"
"""The baseline that the shipped size starts from; in colour, so that chroma's own network is trained."""


def with_mean(found: dict[str, Recipe]) -> dict[str, Recipe]:
    """Parts that start from a baseline of their size, and that baseline."""
    mean = replace(baseline(ONE_TO_MANY_SHORT, 10), degradation=Degradation((10, 10)))
    return {MEAN: mean} | {part: replace(recipe, after=f"one-to-many/{MEAN}") for part, recipe in found.items()}


def short(part: str, recipe: Recipe) -> Recipe:
    """A part for minutes of a GPU; those of figure 8 keep to equation 1, each for a fifth of q10's minutes."""
    if part == MEAN:
        return shortened(recipe, batch=recipe.batch)
    if part == "q10":
        settings: dict[str, Any] = {"variety": True, "naturalness": 0.05, "jpeg": 1.0}
        return replace(recipe, adversary=partial(critic, None, **settings), share=5)
    return replace(recipe, adversary=partial(critic, None, **MORE[part.removesuffix("-plain")]))


BASELINES = {f"q{q}": baseline(ONE_TO_MANY_COMPACT, q) for q in QUALITIES}
SHORT = with_mean(parts(ONE_TO_MANY_SHORT))
Q10 = Variant((10, 10), "q10", "q10")

# As it is trained, candidates are as far from one another as from the original, and faces suffer. A little of the
# baseline keeps most of the texture, and more than half of the distance.
TEMPERED = replace(Q10, blend=Blend(MEAN, 0.15))

FAMILIES = {
    "one-to-many-l2": Family(
        "One-to-Many's baseline (Guo and Chao 2017, section 4.1), compact: least squares, a network a quality",
        parts=BASELINES,
        short={
            name: replace(shortened(recipe, batch=16), after=None if name == "q10" else "one-to-many-l2/q10")
            for name, recipe in BASELINES.items()
        },
        variants=tuple(Variant((q, q), f"q{q}", f"q{q}") for q in QUALITIES),
    ),
    "one-to-many": Family(
        "One-to-Many (Guo and Chao 2017), with half the units, for Q10: one of many possible pictures",
        parts=SHORT,
        short={part: short(part, recipe) for part, recipe in SHORT.items()},
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
