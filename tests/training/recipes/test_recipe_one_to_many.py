"""The recipe's numbers are the paper's. One-to-Many: Guo and Chao 2017, sections 3 to 5."""

from __future__ import annotations

from functools import partial

import pytest

from tests.lacking import needs

needs("torch")

import torch
from torch import nn

from mjpeg_restore.models.papers.one_to_many import OneToMany, OneToManyConfig
from mjpeg_restore.training.backbones import vgg
from mjpeg_restore.training.critics import NaturalnessCritic
from mjpeg_restore.training.objectives import OnPlanes, squared_error
from mjpeg_restore.training.recipe import Recipe
from mjpeg_restore.training.recipes import MODELS
from tests.training.recipes.recipe_numbers import optimisers, qualities

ONE_TO_MANYS = ["one-to-many", "one-to-many-64"]


def critic_of(recipe: Recipe, stand_in: bool = False) -> NaturalnessCritic:
    """A recipe's, without VGG, whose weights are not here, or whose stand-in is the discriminator."""
    assert isinstance(recipe.adversary, partial)
    (backbone,) = recipe.adversary.args
    assert backbone is (None if stand_in else vgg)
    return recipe.adversary.func(None, **recipe.adversary.keywords)


def config_of(recipe: Recipe) -> OneToManyConfig:
    network = recipe.build()
    assert isinstance(network, OneToMany)
    return network.config


def test_one_to_manys_baseline_minimises_the_error_of_a_pixel_without_z_at_each_quality() -> None:
    stages = MODELS["one-to-many-l2"].stages
    assert {name: qualities(recipe) for name, recipe in stages.items()} == {"q5": [5], "q10": [10], "q20": [20]}
    for recipe in stages.values():
        assert recipe.objective == OnPlanes(squared_error)
        assert config_of(recipe).noise is False


@pytest.mark.parametrize("name", ["one-to-many-l2", *ONE_TO_MANYS])
def test_one_to_many_learns_by_adam_with_dcgans_numbers(name: str) -> None:
    for recipe in MODELS[name].stages.values():
        (optimiser,) = optimisers(recipe)
        assert type(optimiser) is torch.optim.Adam
        assert (optimiser.defaults["lr"], optimiser.defaults["betas"]) == (2e-4, (0.5, 0.999))


@pytest.mark.parametrize("name", ONE_TO_MANYS)
def test_one_to_manys_discriminator_is_dcgans_doubled(name: str) -> None:
    whole = MODELS[name].stages["q10"]
    assert whole.objective is None
    critic = critic_of(whole)
    assert (critic.learning_rate, critic.betas) == (2e-4, (0.5, 0.999))
    layers = [layer for layer in critic.discriminator.modules() if isinstance(layer, nn.Conv2d)]
    assert [layer.out_channels for layer in layers] == [64, 64, 128, 128, 256, 256, 512, 512]  # table 1
    assert [layer.stride for layer in layers] == 4 * [(1, 1), (2, 2)]


FIGURE_8 = {
    "q10-perceptual-plain": (False, False, False),
    "q10-perceptual": (True, False, False),
    "q10-perceptual-naturalness": (True, True, False),
    "q10": (True, True, True),
}
"""Shift-and-average, naturalness and JPEG loss."""


@pytest.mark.parametrize(
    ("stages", "stand_in", "variety"),
    [
        (MODELS["one-to-many-64"].stages, False, set()),
        (MODELS["one-to-many"].stages, False, set()),
        (MODELS["one-to-many"].short, True, {"q10"}),
    ],
    ids=["one-to-many-64", "one-to-many", "short"],
)
def test_one_to_many_is_taken_apart_as_in_figure_8(
    stages: dict[str, Recipe], stand_in: bool, variety: set[str]
) -> None:
    found = {
        stage: (config_of(recipe), critic_of(recipe, stand_in)) for stage, recipe in stages.items() if recipe.adversary
    }
    assert {
        stage: (config.shift_and_average, critic.naturalness > 0, critic.jpeg > 0)
        for stage, (config, critic) in found.items()
    } == FIGURE_8
    assert all(config.noise for config, _ in found.values())
    assert {stage for stage, (_, critic) in found.items() if critic.variety} == variety
    assert all(qualities(recipe) == [10] for recipe in stages.values())


def test_one_to_many_starts_from_a_baseline_of_its_size_which_restores_chroma() -> None:
    model = MODELS["one-to-many"]
    for stages in (model.stages, model.short):
        mean = stages["q10-mean"]
        assert mean.degradation.colour
        weights = mean.build().state_dict()
        for stage, recipe in stages.items():
            assert recipe.init_from == (None if stage == "q10-mean" else "one-to-many/q10-mean")
            network = recipe.build().state_dict()
            assert {name: network[name].shape for name in weights} == {name: w.shape for name, w in weights.items()}
            assert any(name.startswith("chroma_network.") for name in network)
