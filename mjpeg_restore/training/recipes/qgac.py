"""QGAC (Ehrlich et al. 2020): three stages, section 3.4 and 4.1.

Shipped in the compact size, its first two stages taught by `stream`: three hours of one core in small batches, then 23
minutes of a GPU in batches of 128. The third has no network trained on MINC here: the discriminator's own features
stand in for it.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from mjpeg_restore.models.qgac import QGAC, QGAC_COMPACT, Qgac, QgacConfig
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


def luma_frozen(config: QgacConfig) -> Qgac:
    """The network as the second stage trains it."""
    network = Qgac(config)
    network.freeze_luma()
    return network


def backbone() -> FeatureExtractor:
    """What the texture loss compares."""
    return minc(MINC_WEIGHTS)


def stages(family: str, config: QgacConfig) -> dict[str, Recipe]:
    """The paper's three stages for a size."""
    common = {"side": 256, "batch": 32, "optimiser": adam}
    return {
        "luma": Recipe(
            build=lambda: Qgac(config),
            objective=OnPlanes(error_less_similarity),
            degradation=Degradation(TENS, step=10, colour=False),
            learning_rate=1e-3,
            schedule=Steps(0.5, 3),
            iterations=400_000,
            share=4,
            **common,
        ),
        "colour": Recipe(
            build=lambda: luma_frozen(config),
            objective=OnPlanes(error_less_similarity, chroma_alone=True),
            degradation=Degradation(TENS, step=10),
            learning_rate=1e-3,
            schedule=Cosine(1e-3),
            iterations=100_000,
            after=f"{family}/luma",
            **common,
        ),
        "texture": Recipe(
            build=lambda: Qgac(config),
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
    """A stage for an hour or two: `stream` shows what is to be learnt.

    A block is one example to filters that see whole blocks, where to filters of samples it is sixty-four: QGAC learns
    slowly, and noise in what it is to learn harms it the more. After two minutes, at equal batches, it had gained four
    times as much as from originals.
    """
    return replace(shortened(recipe, batch=4, side=128), teacher=Teacher)


COMPACT = stages("qgac", QGAC_COMPACT)

FAMILIES = {
    "qgac": Family(
        "QGAC (Ehrlich et al. 2020), compact: works on coefficients, its filters generated from the table",
        parts=COMPACT,
        short={
            "luma": taught(COMPACT["luma"]),
            "colour": taught(COMPACT["colour"]),
            # Of luma alone: chroma stays as the second stage left it, and there is no colour to shift.
            "texture": replace(
                shortened(COMPACT["texture"], learning_rate=1e-4),
                adversary=lambda: BlockwiseCritic(dcgan(2, width=24), None, 1e-4),
                degradation=Degradation(TENS, step=10, colour=False),
            ),
        },
        variants=(Variant(None, "colour", "colour"),),
        texture="texture",
    ),
    "qgac-256": Family(
        "QGAC (Ehrlich et al. 2020) in the paper's size",
        parts=stages("qgac-256", QGAC),
        variants=(Variant(None, "colour", "colour"),),
        texture="texture",
    ),
}
