"""L4 and L8 (Svoboda et al. 2016, section 4)."""

from __future__ import annotations

from dataclasses import replace

from mjpeg_restore.models.papers.l4_l8 import L4, L8
from mjpeg_restore.training.degradation import Degradation
from mjpeg_restore.training.objectives import OnPlanes, edge_preserving, squared_error
from mjpeg_restore.training.optimiser import Descent
from mjpeg_restore.training.recipe import Family, Recipe, Steps, Variant, shortened

ITERATIONS = 250_000
HALVED = Steps(0.5, 4)
"""Every 50,000 iterations."""


def quality(first: int, last: int) -> Degradation:
    """Grey pictures of these qualities, in steps of ten."""
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

L4_PARTS = {
    "q10": RESIDUAL,
    **{f"q{q}": replace(RESIDUAL, degradation=quality(q, q)) for q in (20, 30, 40, 50, 60)},
    "q10-60": replace(RESIDUAL, degradation=quality(10, 60)),
    "q10-direct": DIRECT,
    "q10-sobel": SOBEL,
}
"""The networks of tables 3 to 5 and of figure 5's panel of residual learning."""

SUCCESSORS = {"q20", "q30", "q40", "q50", "q60", "q10-60"}

L8_PARTS = {
    "q20": replace(
        RESIDUAL, build=lambda: L8(residual=True, chroma=True), degradation=quality(20, 20), side=128, batch=4
    ),
}

FAMILIES = {
    "l4": Family(
        "L4 (Svoboda et al. 2016): four layers, one network a quality and one for Q10 to 60",
        parts=L4_PARTS,
        short={
            # What was learnt at Q10 is a start for the other qualities.
            part: replace(shortened(recipe, batch=16), after="l4/q10" if part in SUCCESSORS else None)
            for part, recipe in L4_PARTS.items()
        },
        variants=(
            *(Variant((q, q), f"q{q}", f"q{q}") for q in (10, 20, 30, 40, 50, 60)),
            Variant((10, 60), "q10-60", "q10-60"),
        ),
    ),
    "l8": Family(
        "L8 (Svoboda et al. 2016): eight layers with skip connections, for Q20",
        parts=L8_PARTS,
        short={part: shortened(recipe, batch=8) for part, recipe in L8_PARTS.items()},
        variants=(Variant((20, 20), "q20", "q20"),),
    ),
}
