"""One-to-Many (Guo and Chao 2017): the L2 baseline of section 4.1, and the whole of section 3.

One network a quality, as section 5 says; the paper's are 5, 10 and 20. Numbers as in DCGAN, as section 4 says. With
--short, training starts from a baseline of the same size, the discriminator's own features stand in for VGG's, and
candidates have to vary (`NaturalnessCritic`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import torch
from torch import nn

from mjpeg_restore.models.one_to_many import (
    ONE_TO_MANY,
    ONE_TO_MANY_COMPACT,
    ONE_TO_MANY_SHORT,
    OneToMany,
    OneToManyConfig,
)
from mjpeg_restore.training.adversary import FeatureExtractor, doubled
from mjpeg_restore.training.backbones import vgg
from mjpeg_restore.training.critics import NaturalnessCritic
from mjpeg_restore.training.degradation import Degradation
from mjpeg_restore.training.objectives import OnPlanes, squared_error
from mjpeg_restore.training.optimiser import adam
from mjpeg_restore.training.recipe import Family, Recipe, Variant, shortened

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


def critic(
    backbone: Callable[[], FeatureExtractor] | None, alone: int, variety: bool, **weights: float
) -> NaturalnessCritic:
    """The measurement component."""
    return NaturalnessCritic(doubled(1), backbone, RATE, alone=alone, variety=variety, **weights)


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
        adversary=partial(critic, vgg, EPOCH, False, **weights),
    )


def plain(config: OneToManyConfig) -> OneToManyConfig:
    """Without shift-and-average: figure 8 (a)."""
    return replace(config, shift_and_average=False)


def parts(config: OneToManyConfig) -> dict[str, Recipe]:
    """The network of section 3 and those of figure 8, of a size, and the baseline that short trainings start from."""
    return {
        "q10-mean": baseline(config, 10),
        "q10": whole(config),
        **{name: whole(config, **weights) for name, weights in MORE.items()},
        "q10-perceptual-plain": whole(plain(config), **MORE["q10-perceptual"]),
    }


def short(part: str, recipe: Recipe) -> Recipe:
    """A part for minutes of a GPU."""
    if recipe.adversary is None:
        return shortened(replace(recipe, degradation=Degradation((10, 10))), batch=recipe.batch)
    weights = MORE.get(part.removesuffix("-plain"), {})
    return replace(recipe, adversary=partial(critic, None, 0, True, **weights), after="one-to-many/q10-mean")


BASELINES = {f"q{q}": baseline(ONE_TO_MANY_COMPACT, q) for q in QUALITIES}
SHORT = parts(ONE_TO_MANY_SHORT)
# As they are trained, candidates are as far from each other as from the original, and faces suffer. A little of the
# baseline keeps most of the texture, and half of the distance.
SHORT["q10"] = replace(SHORT["q10"], blended=0.85)
Q10 = (Variant((10, 10), "q10", "q10"),)

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
        "One-to-Many (Guo and Chao 2017), half as deep, for Q10: one of many possible pictures",
        parts=SHORT,
        short={part: short(part, recipe) for part, recipe in SHORT.items()},
        variants=Q10,
        extra="noise",
    ),
    "one-to-many-64": Family(
        "One-to-Many (Guo and Chao 2017), for Q10",
        parts=parts(ONE_TO_MANY),
        variants=Q10,
        extra="noise",
    ),
}
