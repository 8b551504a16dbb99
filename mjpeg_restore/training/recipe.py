"""How a network is trained: what `training/recipes` is written in."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from torch import Tensor, nn
from torch.optim import Optimizer

from mjpeg_restore.catalogue import Extra, called
from mjpeg_restore.training.degradation import Compressed, Degradation
from mjpeg_restore.training.objectives import Objective, planes
from mjpeg_restore.training.optimiser import muon
from mjpeg_restore.training.teacher import Teacher

Schedule = Callable[[float], float]
"""Share of the budget that is spent, 0..1, to the share of the learning rate that is used."""


@dataclass(frozen=True, slots=True)
class Linear:
    """The whole rate up to `start`, then falling to nothing."""

    start: float = 0.25

    def __call__(self, share: float) -> float:
        """Give the factor."""
        return min(1.0, (1 - share) / (1 - self.start))


@dataclass(frozen=True, slots=True)
class Steps:
    """Multiplied by `factor` `times` times, evenly spread."""

    factor: float
    times: int

    def __call__(self, share: float) -> float:
        """Give the factor."""
        return self.factor ** min(self.times, int(share * (self.times + 1)))


@dataclass(frozen=True, slots=True)
class Cosine:
    """Half a cosine down to `last`."""

    last: float

    def __call__(self, share: float) -> float:
        """Give the factor."""
        return self.last + (1 - self.last) * (1 + math.cos(math.pi * share)) / 2


class Adversary(nn.Module, ABC):
    """An objective that learns too: a discriminator that is trained in turn with the network."""

    learning_rate: float
    betas: tuple[float, float]
    description: str
    """For the record of the training: what is minimised, and what stands in for what."""

    @abstractmethod
    def forward(self, network: nn.Module, coded: Compressed) -> Tensor:
        """What the network is to minimise."""

    @abstractmethod
    def discriminate(self, coded: Compressed) -> Tensor | None:
        """What the discriminator is to minimise, on the pictures of the last call of `forward`; None if nothing."""

    @property
    def steady(self) -> bool:
        """Whether all steps are alike, so that one may be captured and replayed."""
        return True

    def restore(self, network: nn.Module, coded: Compressed) -> tuple[list[Tensor], list[Tensor]]:
        """What the network makes of a batch, and the originals, as `objectives.planes` gives them."""
        return planes(network, coded)


@dataclass(frozen=True, slots=True)
class Recipe:
    """How one network is trained."""

    build: Callable[[], nn.Module]
    objective: Objective | None = None
    """What is minimised."""
    adversary: Callable[[], Adversary] | None = None
    """Makes what is minimised, where that learns too; then there is no `objective`."""
    teacher: Callable[[], Teacher] | None = None
    """Makes the targets, where they are a better network's results; validation keeps to the originals."""
    taught: float = 0.5
    """Share of the budget for which it does. After that the originals are the targets: a teacher is a ceiling."""
    degradation: Degradation = field(default_factory=Degradation)
    side: int = 128
    """Side of a crop in luma samples, a multiple of 32."""
    batch: int = 8
    optimiser: Callable[[nn.Module, float], list[Optimizer]] = muon
    learning_rate: float = 1.5e-3
    schedule: Schedule = Linear()
    warm_up: int = 0
    """Batches over which the learning rate rises to its value."""
    longest_gradient: float | None = None
    """A gradient longer than this is shortened to it."""
    iterations: int | None = None
    """Batches that the paper took. A run is bound by its minutes; its record holds both."""
    after: str | None = None
    """The run whose weights this one starts from: "FAMILY/PART"."""
    share: float = 1.0
    """Of the family's minutes, beside its other parts."""


@dataclass(frozen=True, slots=True)
class Blend:
    """A network between two (deep network interpolation, Wang et al. 2019)."""

    part: str
    """The other one."""
    share: float
    """Of the other's weights; those that it has not stay as they are."""


@dataclass(frozen=True, slots=True)
class Variant:
    """Two graphs that are shipped together: one network, or one for grey and one for colour."""

    qualities: tuple[int, int] | None
    """The IJG qualities that it is meant for, first and last; None for all."""
    grey: str
    """The part that makes the grey graph."""
    colour: str
    """The part that makes the colour graph."""
    blend: Blend | None = None
    """What is blended into both."""

    @property
    def label(self) -> str:
        """For files' names: "q10", "q10-60", "all"."""
        return called(self.qualities).lower() if self.qualities else "all"


@dataclass(frozen=True, slots=True)
class Family:
    """A model of the catalogue: the networks it consists of, and how each is trained."""

    summary: str
    parts: Mapping[str, Recipe]
    """As the paper has it."""
    short: Mapping[str, Recipe] = field(default_factory=dict[str, Recipe])
    """The same networks, trained the way that gets furthest in an hour or less."""
    variants: tuple[Variant, ...] = (Variant(None, "all", "all"),)
    projected: bool = False
    """Whether the networks keep to the quantisation cell by construction."""
    extra: Extra | None = None
    """What the networks take besides the picture."""
    texture: str | None = None
    """The part whose weights `--texture` blends in."""


WARM_UP = 200
"""Batches of a short training's warm-up."""


def shortened(recipe: Recipe, *, batch: int = 8, side: int = 64, learning_rate: float = 1.5e-3) -> Recipe:
    """The recipe for minutes instead of days: Muon, small batches, the learning rate annealed to nothing."""
    return replace(
        recipe,
        optimiser=muon,
        schedule=Linear(),
        batch=batch,
        side=side,
        learning_rate=learning_rate,
        warm_up=WARM_UP,
        longest_gradient=1.0,
    )
