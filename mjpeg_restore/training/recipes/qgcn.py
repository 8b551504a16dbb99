"""QGCN (Li et al. 2020, sections III.D and IV.A): a stage on small patches, then one on large patches.

As in the paper, there is one network for colour and one for grey pictures, with two stages each. The shipped model has
N = 8 and a compact size; the paper's sizes (figure 8) are models of their own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from torch import nn

from mjpeg_restore.models.papers.qgcn import Qgcn, QgcnConfig
from mjpeg_restore.training.degradation import Degradation
from mjpeg_restore.training.objectives import OnPlanes, absolute_error
from mjpeg_restore.training.optimiser import MuonBeside, adam
from mjpeg_restore.training.recipe import ModelRecipe, Recipe, Steps, Variant, shortened

COMPACT = QgcnConfig(blocks=8, hidden=64, compact_output=True)
"""The paper's width with a small fc1: for minutes on a GPU. The shipped weights began from those of `NARROW`."""

NARROW = replace(COMPACT, width=32)
"""Small enough to be trained on a CPU in an hour."""

QUALITIES = (1, 60)


def build(config: QgcnConfig, colour: bool) -> nn.Module:
    """Make a network of the given size."""
    return Qgcn(config, colour=colour)


def patches(model: str, kind: str, make: Callable[[], nn.Module]) -> dict[str, Recipe]:
    """The two stages of a network for grey or colour pictures: "KIND-small" and "KIND"."""
    small = Recipe(
        build=make,
        objective=OnPlanes(absolute_error),
        degradation=Degradation(QUALITIES, colour=kind == "colour"),
        side=64,
        batch=256,
        optimiser=adam,
        learning_rate=1e-4,
        schedule=Steps(0.1, 2),
    )
    return {f"{kind}-small": small, kind: replace(small, side=256, batch=32, init_from=f"{model}/{kind}-small")}


def brief(recipe: Recipe, with_context: bool) -> Recipe:
    """A stage for an hour of a CPU or minutes of a GPU: both branches are trained throughout.

    The second has larger crops, which are more like whole pictures to the global branch, and more of them in a batch.
    """
    small = recipe.init_from is None
    found = shortened(recipe, side=128, batch=8) if small else shortened(recipe, side=256, batch=16)
    found = replace(found, budget=3 if small else 1)
    return replace(found, optimiser=MuonBeside("global_branch")) if with_context else found


def model(name: str, summary: str, config: QgcnConfig, extra: bool = True) -> ModelRecipe:
    """Put together a model: a grey and a colour network of the given size."""
    stages = {
        stage: recipe
        for kind in ("grey", "colour")
        for stage, recipe in patches(name, kind, partial(build, config, kind == "colour")).items()
    }
    return ModelRecipe(
        summary,
        stages,
        short={stage: brief(recipe, extra) for stage, recipe in stages.items()},
        variants=(Variant(QUALITIES, "grey", "colour"),),
        extra="context" if extra else None,
    )


PAPER = "QGCN (Li et al. 2020): one network for all qualities, told the tables and what the picture is like"

MODELS = {
    "qgcn": model("qgcn", f"{PAPER}; N = 8, with a small global branch", COMPACT),
    "qgcn-narrow": model("qgcn-narrow", f"{PAPER}; narrow, N = 8", NARROW),
    "qcn": model(
        "qcn",
        "QCN (Li et al. 2020): QGCN without its global branch; narrow, N = 8",
        replace(NARROW, global_branch=False),
        extra=False,
    ),
    "edsr": model(
        "edsr",
        "EDSR as Li et al. 2020 compare with: QCN that is not told the tables; narrow, N = 8",
        replace(NARROW, global_branch=False, quantisation_maps=False),
        extra=False,
    ),
    **{
        f"qgcn-{blocks}": model(f"qgcn-{blocks}", f"{PAPER}; N = {blocks}", QgcnConfig(blocks, authors_layers=True))
        for blocks in (8, 16, 32, 64)
    },
}
