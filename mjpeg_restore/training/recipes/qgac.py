"""QGAC (Ehrlich et al. 2020): three stages, section 3.4 and 4.1.

What is shipped, `qgac`, is compact and has one plane between sub-networks; all its first two stages were taught by
`stream`, which is so its ceiling: three hours of one core in small batches, then 23 minutes of a GPU in batches of 128.
Trained anew, `stream` teaches the first half and originals the second. `qgac-256` is the paper's network, `qgac-64` the
same structure with a quarter of the width. The third stage has no network trained on MINC here: the discriminator's own
features stand in for it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from mjpeg_restore.models.papers.qgac import QGAC_COMPACT, Qgac
from mjpeg_restore.models.papers.qgac_planes import PLANES, PLANES_64, QGAC, QGAC_64, QgacPlanes
from mjpeg_restore.training.backbones import minc
from mjpeg_restore.training.critics import BlockwiseCritic, RelativisticCritic
from mjpeg_restore.training.degradation import Degradation
from mjpeg_restore.training.discriminator import dcgan
from mjpeg_restore.training.features import FeatureExtractor
from mjpeg_restore.training.objectives import OnPlanes, error_less_similarity
from mjpeg_restore.training.optimiser import adam
from mjpeg_restore.training.recipe import Cosine, Family, Recipe, Steps, Variant, shortened
from mjpeg_restore.training.teacher import Teacher

MINC_WEIGHTS = Path("weights/vgg16-minc.pth")

TENS = (10, 100)
"""Qualities of section 4.1, in steps of ten."""


def luma_frozen(make: Callable[[], Qgac]) -> Qgac:
    """The network as the second stage trains it."""
    network = make()
    network.freeze_luma()
    return network


def backbone() -> FeatureExtractor:
    """What the texture loss compares."""
    return minc(MINC_WEIGHTS)


def stages(family: str, make: Callable[[], Qgac]) -> dict[str, Recipe]:
    """The paper's three stages for a network."""
    common = {"side": 256, "batch": 32, "optimiser": adam}
    return {
        "luma": Recipe(
            build=make,
            objective=OnPlanes(error_less_similarity),
            degradation=Degradation(TENS, step=10, colour=False),
            learning_rate=1e-3,
            schedule=Steps(0.5, 3),
            iterations=400_000,
            share=4,
            **common,
        ),
        "colour": Recipe(
            build=partial(luma_frozen, make),
            objective=OnPlanes(error_less_similarity, chroma_alone=True),
            degradation=Degradation(TENS, step=10),
            learning_rate=1e-3,
            schedule=Cosine(1e-3),
            iterations=100_000,
            after=f"{family}/luma",
            **common,
        ),
        "texture": Recipe(
            build=make,
            adversary=lambda: RelativisticCritic(dcgan(3), backbone, 1e-4),
            degradation=Degradation(TENS, step=10),
            learning_rate=1e-4,
            schedule=Cosine(1e-2),
            iterations=100_000,
            after=f"{family}/colour",
            **common,
        ),
    }


def taught(recipe: Recipe) -> Recipe:
    """A stage for an hour or two: `stream` shows what is to be learnt, and originals what is left of it.

    A block is one example to filters that see whole blocks, where to filters of samples it is sixty-four: QGAC learns
    slowly, and noise in what it is to learn harms it the more. After two minutes, at equal batches, it had gained four
    times as much as from originals.
    """
    return replace(shortened(recipe, batch=4, side=128), teacher=Teacher)


def short(parts: dict[str, Recipe]) -> dict[str, Recipe]:
    """The three stages for hours."""
    return {
        "luma": taught(parts["luma"]),
        "colour": taught(parts["colour"]),
        # Of luma alone: chroma stays as the second stage left it, and there is no colour to shift.
        "texture": replace(
            shortened(parts["texture"], learning_rate=1e-4),
            adversary=lambda: BlockwiseCritic(dcgan(2, width=24), None, 1e-4),
            degradation=Degradation(TENS, step=10, colour=False),
        ),
    }


def family(name: str, summary: str, make: Callable[[], Qgac]) -> Family:
    """A network's stages, as its paper has them and for hours."""
    parts = stages(name, make)
    variants = (Variant(None, "colour", "colour"),)
    return Family(summary, parts, short=short(parts), variants=variants, texture="texture")


FAMILIES = {
    "qgac": family(
        "qgac",
        "QGAC (Ehrlich et al. 2020), compact: works on coefficients, its filters generated from the table",
        partial(Qgac, QGAC_COMPACT),
    ),
    "qgac-64": family(
        "qgac-64",
        "QGAC (Ehrlich et al. 2020) in the paper's structure, with a quarter of the width",
        partial(QgacPlanes, QGAC_64, PLANES_64),
    ),
    "qgac-256": family("qgac-256", "QGAC (Ehrlich et al. 2020) in the paper's size", partial(QgacPlanes, QGAC, PLANES)),
}
