"""QGCN (Li et al. 2020, sections III.D and IV.A): small patches first, large ones after.

The paper trains one network for colour and one for grey; so there are two, each with its small patches before. Shipped
is N = 8 in a compact size; the paper's sizes (figure 8) are families of their own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from torch import nn

from mjpeg_restore.models.papers.qgcn import Qgcn, QgcnConfig
from mjpeg_restore.training.degradation import Degradation
from mjpeg_restore.training.objectives import OnPlanes, OnTiles, absolute_error
from mjpeg_restore.training.optimiser import MuonBeside, adam
from mjpeg_restore.training.recipe import Family, Recipe, Steps, Variant, shortened

COMPACT = QgcnConfig(blocks=8, width=32, hidden=64, compact_output=True)
"""A size that a CPU trains in an hour."""

QUALITIES = (1, 60)


def build(config: QgcnConfig, colour: bool) -> nn.Module:
    """The network of a size."""
    return Qgcn(config, colour=colour)


def patches(family: str, kind: str, make: Callable[[], nn.Module]) -> dict[str, Recipe]:
    """A network's two stages: "KIND-small" and "KIND"."""
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
    return {f"{kind}-small": small, kind: replace(small, side=256, batch=32, after=f"{family}/{kind}-small")}


def brief(recipe: Recipe, with_context: bool) -> Recipe:
    """A stage for hours: first the restoration branch learns, then the global one beside it, from larger crops.

    What tells one picture from another is worth hundredths of a dB: with few pictures in a batch, it is lost in what
    their patches have of their own.
    """
    if recipe.after is None:
        return replace(shortened(recipe, side=128), optimiser=MuonBeside("global_branch"), share=3)
    found = shortened(recipe, side=256)
    if not with_context:
        return found
    return replace(
        found, batch=16, objective=OnTiles(absolute_error, 12), optimiser=MuonBeside("global_branch", rest=0.1)
    )


def family(name: str, summary: str, config: QgcnConfig, extra: bool = True) -> Family:
    """The two networks of a size."""
    parts = {
        part: recipe
        for kind in ("grey", "colour")
        for part, recipe in patches(name, kind, partial(build, config, kind == "colour")).items()
    }
    return Family(
        summary,
        parts,
        short={part: brief(recipe, extra) for part, recipe in parts.items()},
        variants=(Variant(QUALITIES, "grey", "colour"),),
        extra="context" if extra else None,
    )


PAPER = "QGCN (Li et al. 2020): one network for all qualities, told the tables and what the picture is like"

FAMILIES = {
    "qgcn": family("qgcn", f"{PAPER}; compact, N = 8", COMPACT),
    "qcn": family(
        "qcn",
        "QCN (Li et al. 2020): QGCN without its global branch; compact, N = 8",
        replace(COMPACT, global_branch=False),
        extra=False,
    ),
    "edsr": family(
        "edsr",
        "EDSR as Li et al. 2020 compare with: QCN that is not told the tables; compact, N = 8",
        replace(COMPACT, global_branch=False, quantisation_maps=False),
        extra=False,
    ),
    **{
        f"qgcn-{blocks}": family(f"qgcn-{blocks}", f"{PAPER}; N = {blocks}", QgcnConfig(blocks=blocks))
        for blocks in (8, 16, 32, 64)
    },
}
