"""QGAC (Ehrlich et al. 2020): the three stages of sections 3.4 and 4.1.

The shipped model, `qgac`, is compact and has one plane between sub-networks. Its first two stages were distilled from
`stream` for their whole budget at first: three hours of one core in small batches, then 23 minutes of a GPU in batches
of 128. Then, for five and a half hours of a core, they were trained as these recipes have it: distilled from `stream`
for the first half of the budget and trained on the originals for the second. `qgac-256` is the paper's network,
`qgac-64` the same structure with a quarter of the width. No network trained on MINC was available for the third stage:
features of the discriminator replace it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

from mjpeg_restore.models.papers.qgac import QGAC_COMPACT, Qgac
from mjpeg_restore.models.papers.qgac_ablations import ABLATIONS, QgacAblation
from mjpeg_restore.models.papers.qgac_planes import PLANES, PLANES_64, QGAC, QGAC_64, QgacPlanes
from mjpeg_restore.training.backbones import minc
from mjpeg_restore.training.critics import BlockwiseCritic, RelativisticCritic
from mjpeg_restore.training.degradation import Degradation
from mjpeg_restore.training.discriminator import dcgan
from mjpeg_restore.training.features import FeatureExtractor
from mjpeg_restore.training.objectives import OnPlanes, error_less_similarity
from mjpeg_restore.training.optimiser import adam
from mjpeg_restore.training.recipe import Cosine, ModelRecipe, Recipe, Steps, Variant, shortened
from mjpeg_restore.training.teacher import Teacher

MINC_WEIGHTS = Path("weights/vgg16-minc.pth")

TENS = (10, 100)
"""First and last quality of section 4.1, which are in steps of ten."""


def luma_frozen(make: Callable[[], Qgac]) -> Qgac:
    """The network with its luma part frozen, as the second stage trains it."""
    network = make()
    network.freeze_luma()
    return network


def backbone() -> FeatureExtractor:
    """The feature extractor of the texture loss."""
    return minc(MINC_WEIGHTS)


def stages_of(model: str, make: Callable[[], Qgac]) -> dict[str, Recipe]:
    """The three stages of the paper for one model."""
    common = {"side": 256, "batch": 32, "optimiser": adam}
    return {
        "luma": Recipe(
            build=make,
            objective=OnPlanes(error_less_similarity),
            degradation=Degradation(TENS, step=10, colour=False),
            learning_rate=1e-3,
            schedule=Steps(0.5, 3),
            iterations=400_000,
            budget=4,
            **common,
        ),
        "colour": Recipe(
            build=partial(luma_frozen, make),
            objective=OnPlanes(error_less_similarity, chroma_alone=True),
            degradation=Degradation(TENS, step=10),
            learning_rate=1e-3,
            schedule=Cosine(1e-3),
            iterations=100_000,
            init_from=f"{model}/luma",
            **common,
        ),
        "texture": Recipe(
            build=make,
            adversary=lambda: RelativisticCritic(dcgan(3), backbone, 1e-4),
            degradation=Degradation(TENS, step=10),
            learning_rate=1e-4,
            schedule=Cosine(1e-2),
            iterations=100_000,
            init_from=f"{model}/colour",
            **common,
        ),
    }


def distilled(recipe: Recipe) -> Recipe:
    """A stage for an hour or two: distillation from `stream` first, then training on the originals.

    A filter of whole blocks gets one example from a block, a filter of samples sixty-four. So QGAC learns slowly and
    suffers more from noise in its targets. After two minutes, at equal batches, distillation had gained four times as
    much as training on the originals.
    """
    return replace(shortened(recipe, batch=4, side=128), teacher=Teacher)


def short(stages: dict[str, Recipe]) -> dict[str, Recipe]:
    """The three stages for an hour or two each."""
    return {
        "luma": distilled(stages["luma"]),
        "colour": distilled(stages["colour"]),
        # Luma only: chroma keeps the weights of the second stage, and texture cannot shift colours.
        "texture": replace(
            shortened(stages["texture"], learning_rate=1e-4),
            adversary=lambda: BlockwiseCritic(dcgan(2, width=24), None, 1e-4),
            degradation=Degradation(TENS, step=10, colour=False),
        ),
    }


def model(name: str, summary: str, make: Callable[[], Qgac]) -> ModelRecipe:
    """Put together a model: its stages as in the paper, and for hours."""
    stages = stages_of(name, make)
    variants = (Variant(None, "colour", "colour"),)
    return ModelRecipe(summary, stages, short=short(stages), variants=variants, texture="texture")


def ablated(stages: Mapping[str, Recipe]) -> ModelRecipe:
    """The networks of table 5, each a stage: "all models are trained for 100,000 batches" (section 4.4).

    For minutes, `stream` teaches them to the end: differences show sooner without the originals' noise.
    """
    papers = {
        name: replace(
            stages["luma"], build=partial(QgacAblation, ablation), schedule=Cosine(1e-3), iterations=100_000, budget=1
        )
        for name, ablation in ABLATIONS.items()
    }
    return ModelRecipe(
        "QGAC without one of its parts (Ehrlich et al. 2020, table 5): luma only, for the paper's page",
        papers,
        short={name: replace(distilled(recipe), teacher_until=1.0) for name, recipe in papers.items()},
        variants=(),
    )


MODELS = {
    "qgac": model(
        "qgac",
        "QGAC (Ehrlich et al. 2020), compact: works on coefficients, its filters generated from the table",
        partial(Qgac, QGAC_COMPACT),
    ),
    "qgac-64": model(
        "qgac-64",
        "QGAC (Ehrlich et al. 2020) in the paper's structure, with a quarter of the width",
        partial(QgacPlanes, QGAC_64, PLANES_64),
    ),
    "qgac-256": model("qgac-256", "QGAC (Ehrlich et al. 2020) in the paper's size", partial(QgacPlanes, QGAC, PLANES)),
}
MODELS["qgac-ablations"] = ablated(MODELS["qgac"].stages)
