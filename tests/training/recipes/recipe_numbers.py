"""The numbers of a recipe, as a paper states them."""

from __future__ import annotations

import torch
from torch import nn

from mjpeg_restore.training.recipe import Recipe


def optimisers(recipe: Recipe) -> list[torch.optim.Optimizer]:
    """A recipe's, for a network of two layers."""
    return recipe.optimiser(nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2)), recipe.learning_rate)


def assert_adam(recipe: Recipe, rate: float) -> None:
    """Adam as Kingma and Ba have it."""
    (optimiser,) = optimisers(recipe)
    assert type(optimiser) is torch.optim.Adam
    (group,) = optimiser.param_groups
    assert (group["lr"], group["betas"], group["weight_decay"]) == (rate, (0.9, 0.999), 0)


def qualities(recipe: Recipe) -> list[int]:
    """All that the pictures of a recipe may be compressed with."""
    assert recipe.degradation.qualities is not None
    first, last = recipe.degradation.qualities
    return list(range(first, last + 1, recipe.degradation.step))


def rates(recipe: Recipe, batches: list[int]) -> list[float]:
    """The learning rate after so many batches of the paper's."""
    assert recipe.iterations is not None
    return [recipe.learning_rate * recipe.schedule(batch / recipe.iterations) for batch in batches]
