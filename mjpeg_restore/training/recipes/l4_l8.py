"""L4 and L8 (Svoboda et al. 2016, section 4)."""

from __future__ import annotations

from dataclasses import replace

from mjpeg_restore.models.papers.l4_l8 import L4, L8
from mjpeg_restore.training.degradation import Degradation
from mjpeg_restore.training.objectives import OnPlanes, edge_preserving, squared_error
from mjpeg_restore.training.optimiser import Descent
from mjpeg_restore.training.recipe import ModelRecipe, Recipe, Steps, Variant, shortened

ITERATIONS = 250_000
HALVED = Steps(0.5, 4)
"""The learning rate is halved every 50,000 iterations."""


def quality(first: int, last: int) -> Degradation:
    """Grey pictures at the qualities from `first` to `last`, in steps of ten."""
    return Degradation((first, last), step=10, colour=False)


RESIDUAL = Recipe(
    build=lambda: L4(residual=True, chroma=True),
    objective=OnPlanes(squared_error),
    degradation=quality(10, 10),
    side=64,
    batch=64,
    optimiser=Descent(weight_decay=5e-7),
    learning_rate=8,
    schedule=HALVED,
    iterations=ITERATIONS,
)
DIRECT = replace(RESIDUAL, build=lambda: L4(residual=False, chroma=True), learning_rate=0.4)
SOBEL = replace(DIRECT, objective=OnPlanes(edge_preserving), learning_rate=0.05, optimiser=Descent(weight_decay=5e-4))

L4_STAGES = {
    "q10": RESIDUAL,
    **{f"q{q}": replace(RESIDUAL, degradation=quality(q, q)) for q in (20, 30, 40, 50, 60)},
    "q10-60": replace(RESIDUAL, degradation=quality(10, 60)),
    "q10-direct": DIRECT,
    "q10-sobel": SOBEL,
}
"""The networks of tables 3 to 5 and of the residual panel of figure 5."""

SUCCESSORS = {"q20", "q30", "q40", "q50", "q60", "q10-60"}
"""Stages that a short training initialises from Q10's weights."""

L8_STAGES = {
    "q20": replace(
        RESIDUAL, build=lambda: L8(residual=True, chroma=True), degradation=quality(20, 20), side=128, batch=4
    ),
}

MODELS = {
    "l4": ModelRecipe(
        "L4 (Svoboda et al. 2016): four layers, one network a quality and one for Q10 to 60",
        stages=L4_STAGES,
        short={
            stage: replace(shortened(recipe, batch=16), init_from="l4/q10" if stage in SUCCESSORS else None)
            for stage, recipe in L4_STAGES.items()
        },
        variants=(
            *(Variant((q, q), f"q{q}", f"q{q}") for q in (10, 20, 30, 40, 50, 60)),
            Variant((10, 60), "q10-60", "q10-60"),
        ),
    ),
    "l8": ModelRecipe(
        "L8 (Svoboda et al. 2016): eight layers with skip connections, for Q20",
        stages=L8_STAGES,
        short={stage: shortened(recipe, batch=8) for stage, recipe in L8_STAGES.items()},
        variants=(Variant((20, 20), "q20", "q20"),),
    ),
}
