"""The vocabulary of `training/recipes`: how a model's networks are trained, stage by stage."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from torch import Tensor, nn
from torch.optim import Optimizer

from mjpeg_restore.catalogue import quality_label
from mjpeg_restore.models.graph import Extra
from mjpeg_restore.training.degradation import Compressed, Degradation
from mjpeg_restore.training.objectives import Objective, planes
from mjpeg_restore.training.optimiser import muon
from mjpeg_restore.training.teacher import Teacher

Schedule = Callable[[float], float]
"""Learning-rate schedule: the fraction of the budget spent, 0..1, to a factor of the learning rate."""


@dataclass(frozen=True, slots=True)
class Linear:
    """Constant up to `start`, then a linear decay to zero."""

    start: float = 0.25

    def __call__(self, spent: float) -> float:
        """Return the factor."""
        return min(1.0, (1 - spent) / (1 - self.start))


@dataclass(frozen=True, slots=True)
class Steps:
    """Step decay: multiplied by `factor` `times` times, at equal intervals."""

    factor: float
    times: int

    def __call__(self, spent: float) -> float:
        """Return the factor."""
        return self.factor ** min(self.times, int(spent * (self.times + 1)))


@dataclass(frozen=True, slots=True)
class Cosine:
    """Cosine decay from 1 to `last`."""

    last: float

    def __call__(self, spent: float) -> float:
        """Return the factor."""
        return self.last + (1 - self.last) * (1 + math.cos(math.pi * spent)) / 2


class Adversary(nn.Module, ABC):
    """An adversarial objective: it holds a discriminator, which is trained in alternation with the network."""

    learning_rate: float
    """The discriminator's."""
    betas: tuple[float, float]
    """The discriminator's, for Adam."""
    description: str
    """For the training record: the loss terms with their weights, and any substitute for a pretrained backbone."""

    @abstractmethod
    def forward(self, network: nn.Module, coded: Compressed) -> Tensor:
        """Loss of the network."""

    @abstractmethod
    def discriminate(self, coded: Compressed) -> Tensor | None:
        """Loss of the discriminator on the pictures of the last call of `forward`; None while it is not trained."""

    @property
    def capturable(self) -> bool:
        """Whether all steps run the same operations, as the capture of a step as a CUDA graph requires."""
        return True

    def restore(self, network: nn.Module, coded: Compressed) -> tuple[list[Tensor], list[Tensor]]:
        """Restored and original planes of a batch, as `objectives.planes` returns them."""
        return planes(network, coded)


@dataclass(frozen=True, slots=True)
class Recipe:
    """One training stage of one network."""

    build: Callable[[], nn.Module]
    """Makes the network."""
    objective: Objective | None = None
    """The loss; None if there is an `adversary`."""
    adversary: Callable[[], Adversary] | None = None
    """Makes the adversarial loss; None if there is an `objective`."""
    teacher: Callable[[], Teacher] | None = None
    """Makes the network whose results are the targets (distillation). Validation always uses the originals."""
    teacher_until: float = 0.5
    """Fraction of the budget after which the originals replace the teacher's targets: a teacher is a ceiling."""
    degradation: Degradation = field(default_factory=Degradation)
    frames: int = 1
    """Frames of a clip, for a network that sees several; 1 for pictures."""
    side: int = 128
    """Side of a crop in luma samples, a multiple of 32."""
    batch: int = 8
    """Crops per batch."""
    optimiser: Callable[[nn.Module, float], list[Optimizer]] = muon
    learning_rate: float = 1.5e-3
    """The highest learning rate."""
    schedule: Schedule = Linear()
    warm_up: int = 0
    """Batches over which the learning rate rises linearly to its value."""
    clip_norm: float | None = None
    """Maximum norm of a gradient; None for no clipping."""
    iterations: int | None = None
    """Batches that the paper reports. A run is bounded by its minutes; its record holds both."""
    init_from: str | None = None
    """The stage whose final weights are this one's initial weights: "MODEL/STAGE"."""
    budget: float = 1.0
    """Relative share of the minutes that all stages of the model get together."""

    def settings(self) -> dict[str, Any]:
        """The recipe's part of the training record."""
        return {
            "crop": self.side,
            "batch": self.batch,
            "loss": named(self.objective),
            "optimiser": named(self.optimiser),
            "learning_rate": self.learning_rate,
            "schedule": repr(self.schedule),
            "qualities": self.degradation.qualities,
            "steps_of_the_paper": self.iterations,
        }


def named(item: object) -> str:
    """The name of an objective or an optimiser in the training record: a function's name, or an object's `str`."""
    return getattr(item, "__name__", None) or str(item)


@dataclass(frozen=True, slots=True)
class Blend:
    """Interpolation between the weights of two networks (deep network interpolation, Wang et al. 2019)."""

    stage: str
    """The stage of the second network."""
    weight: float
    """Of the second network, 0..1. Weights that it lacks stay unchanged."""


@dataclass(frozen=True, slots=True)
class Gained:
    """What another model has gained by a stage: the difference of its weights, which is added to those of the same name
    without training (task arithmetic, Ilharco et al. 2023)."""

    model: str
    before: str
    """Its stage before."""
    after: str
    """The stage."""
    weight: float
    """Of the difference."""


@dataclass(frozen=True, slots=True)
class Variant:
    """The grey and the colour graph that are shipped together: of one network, or of one for each."""

    qualities: tuple[int, int] | None
    """First and last IJG quality that it is meant for; None for all."""
    grey: str
    """The stage that yields the grey graph."""
    colour: str
    """The stage that yields the colour graph."""
    blend: Blend | None = None
    """Applied to both networks before export."""
    gained: Gained | None = None
    """Added to both after that."""

    @property
    def label(self) -> str:
        """The qualities in a file name: "q10", "q10-60", "all"."""
        return quality_label(self.qualities).lower() if self.qualities else "all"


@dataclass(frozen=True, slots=True)
class ModelRecipe:
    """How a model of the catalogue is made: the stages of its networks, and the graphs that are exported.

    A stage is one training of one network. A model has several where it has a network for each quality, or where a
    network is trained in succession.
    """

    summary: str
    """For the catalogue."""
    stages: Mapping[str, Recipe]
    """As the paper has them, by name."""
    short: Mapping[str, Recipe] = field(default_factory=dict[str, Recipe])
    """The same stages with the settings that gain most in an hour or less."""
    variants: tuple[Variant, ...] = (Variant(None, "all", "all"),)
    projected: bool = False
    """Whether the networks keep to the quantisation cell by construction."""
    extra: Extra | None = None
    """The input that the networks take besides the picture."""
    texture: str | None = None
    """The stage whose weights `--texture` blends in."""


WARM_UP = 200
"""Batches of warm-up in a short training."""


def shortened(recipe: Recipe, *, batch: int = 8, side: int = 64, learning_rate: float = 1.5e-3) -> Recipe:
    """The recipe for minutes instead of days: Muon, small batches, a learning rate that decays to zero."""
    return replace(
        recipe,
        optimiser=muon,
        schedule=Linear(),
        batch=batch,
        side=side,
        learning_rate=learning_rate,
        warm_up=WARM_UP,
        clip_norm=1.0,
    )
