"""What holds for every recipe."""

from __future__ import annotations

import pytest

from tests.lacking import needs

needs("torch")

import torch

from mjpeg_restore.training.recipe import Cosine, Linear, ModelRecipe, Recipe, Steps, shortened
from mjpeg_restore.training.recipes import MODELS

EVERY_STAGE = [
    (name, stage, recipe)
    for name, model in MODELS.items()
    for stages in (model.stages, model.short)
    for stage, recipe in stages.items()
]


def test_schedules() -> None:
    assert [Linear(0.5)(share) for share in (0, 0.5, 0.75, 1)] == pytest.approx([1, 1, 0.5, 0])
    assert [Steps(0.5, 4)(share) for share in (0, 0.19, 0.2, 0.41, 0.99, 1)] == [1, 1, 0.5, 0.25, 0.0625, 0.0625]
    assert [Cosine(0.1)(share) for share in (0, 0.5, 1)] == pytest.approx([1, 0.55, 0.1])


def test_a_shortened_recipe_trains_the_same_network_on_the_same_pictures() -> None:
    recipe = MODELS["l8"].stages["q20"]
    short = shortened(recipe)
    assert (short.build, short.objective, short.degradation) == (recipe.build, recipe.objective, recipe.degradation)


@pytest.mark.parametrize(("name", "stage", "recipe"), EVERY_STAGE)
def test_each_stage_can_be_trained(name: str, stage: str, recipe: Recipe) -> None:
    assert (recipe.objective is None) is not (recipe.adversary is None), f"{name}/{stage}"
    assert recipe.side % 32 == 0
    if recipe.init_from:
        model, _, before = recipe.init_from.partition("/")
        assert before in MODELS[model].stages
        with torch.device("meta"):
            theirs, ours = MODELS[model].stages[before].build().state_dict(), recipe.build().state_dict()
        assert all(theirs[key].shape == ours[key].shape for key in theirs)


@pytest.mark.parametrize("model", MODELS.values(), ids=list(MODELS))
def test_what_is_shipped_is_trained(model: ModelRecipe) -> None:
    assert model.short.keys() <= model.stages.keys()
    assert {stage for variant in model.variants for stage in (variant.grey, variant.colour)} <= model.stages.keys()
    assert model.texture is None or model.texture in model.stages
    assert {variant.blend.stage for variant in model.variants if variant.blend} <= model.stages.keys()
    for gained in (variant.gained for variant in model.variants if variant.gained):
        assert {gained.before, gained.after} <= MODELS[gained.model].stages.keys()


@pytest.mark.parametrize("model", MODELS)
def test_a_stage_comes_after_the_one_that_it_begins_from(model: str) -> None:
    for stages in (MODELS[model].stages, MODELS[model].short):
        names = [f"{model}/{stage}" for stage in stages]
        for name, recipe in zip(names, stages.values(), strict=True):
            if recipe.init_from in names:
                assert names.index(recipe.init_from) < names.index(name)
