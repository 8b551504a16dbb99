"""The recipe's numbers are the paper's. L4 and L8: Svoboda et al. 2016, section 4."""

from __future__ import annotations

from typing import Any

import pytest

from tests.lacking import needs

needs("torch")

import torch

from mjpeg_restore.models.papers.l4_l8 import L4, L8
from mjpeg_restore.training.objectives import OnPlanes, edge_preserving, squared_error
from mjpeg_restore.training.recipes import MODELS
from tests.training.recipes.recipe_numbers import optimisers, qualities, rates

L4_RATES: list[tuple[str, float, float, Any]] = [
    ("q10", 8, 5e-7, squared_error),
    ("q10-direct", 0.4, 5e-7, squared_error),
    ("q10-sobel", 0.05, 5e-4, edge_preserving),
]


@pytest.mark.parametrize(("stage", "rate", "decay", "loss"), L4_RATES)
def test_l4_descends_by_the_objectives_own_numbers(stage: str, rate: float, decay: float, loss: Any) -> None:
    recipe = MODELS["l4"].stages[stage]
    (optimiser,) = optimisers(recipe)
    assert type(optimiser) is torch.optim.SGD
    assert [group["lr"] for group in optimiser.param_groups] == [rate, rate / 10]  # the last layer
    assert {group["weight_decay"] for group in optimiser.param_groups} == {decay}
    assert recipe.objective == OnPlanes(loss)
    assert recipe.build().residual is (stage == "q10")


@pytest.mark.parametrize(("name", "kind", "batch", "side"), [("l4", L4, 64, 64), ("l8", L8, 4, 128)])
def test_l4_and_l8_see_patches_of_their_own_size(name: str, kind: type, batch: int, side: int) -> None:
    for recipe in MODELS[name].stages.values():
        assert (recipe.batch, recipe.side) == (batch, side)
        assert type(recipe.build()) is kind


@pytest.mark.parametrize("name", ["l4", "l8"])
def test_l4s_rate_is_halved_every_50_thousand_of_250_thousand(name: str) -> None:
    for recipe in MODELS[name].stages.values():
        assert recipe.iterations == 250_000
        before = [50_000 * times - 1 for times in range(1, 6)]
        after = [50_000 * times for times in range(5)]
        expected = [recipe.learning_rate / 2**times for times in range(5)]
        assert rates(recipe, after) == rates(recipe, before) == pytest.approx(expected)


def test_l4_and_l8_have_a_network_a_quality_and_l4_one_for_all() -> None:
    stages = MODELS["l4"].stages
    assert {name: qualities(recipe) for name, recipe in stages.items()} == {
        **{f"q{quality}": [quality] for quality in (10, 20, 30, 40, 50, 60)},
        "q10-60": [10, 20, 30, 40, 50, 60],
        "q10-direct": [10],
        "q10-sobel": [10],
    }
    assert [qualities(recipe) for recipe in MODELS["l8"].stages.values()] == [[20]]
    assert {recipe.learning_rate for recipe in MODELS["l8"].stages.values()} == {8}
    assert not any(recipe.degradation.colour for recipe in stages.values())
