"""The recipes' numbers are the papers'."""

from __future__ import annotations

from functools import partial
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import pytest

from tests.lacking import needs

needs("torch")

import torch
from torch import nn

from mjpeg_restore.models.papers.l4_l8 import L4, L8
from mjpeg_restore.models.papers.one_to_many import OneToMany, OneToManyConfig
from mjpeg_restore.models.papers.qgac import QGAC_COMPACT
from mjpeg_restore.models.papers.qgac_planes import PLANES, QGAC, QGAC_64
from mjpeg_restore.models.papers.qgcn import Qgcn
from mjpeg_restore.training import objectives
from mjpeg_restore.training.backbones import vgg
from mjpeg_restore.training.critics import NaturalnessCritic, RelativisticCritic
from mjpeg_restore.training.objectives import (
    OnPlanes,
    absolute_error,
    edge_preserving,
    error_less_similarity,
    squared_error,
)
from mjpeg_restore.training.recipe import Cosine, Linear, ModelRecipe, Recipe, Steps, shortened
from mjpeg_restore.training.recipes import MODELS, qgac
from mjpeg_restore.training.teacher import Teacher

EVERY_STAGE = [
    (name, stage, recipe)
    for name, model in MODELS.items()
    for stages in (model.stages, model.short)
    for stage, recipe in stages.items()
]


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


# ---- L4 and L8: Svoboda et al. 2016, section 4 ----

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


# ---- HR-CNN: section III ----


def test_hr_cnn_has_a_network_for_10_30_and_50() -> None:
    stages = MODELS["hr-cnn"].stages
    assert {name: qualities(recipe) for name, recipe in stages.items()} == {"q10": [10], "q30": [30], "q50": [50]}
    for recipe in stages.values():
        assert recipe.side == 128
        assert recipe.objective == OnPlanes(squared_error)  # equation 9
        assert recipe.degradation.colour is False
        assert recipe.init_from is None


# ---- QGCN: Li et al. 2020, sections III.D and IV.A ----

QGCNS = [name for name in MODELS if name.startswith(("qgcn", "qcn"))]


def test_qgcn_comes_in_the_sizes_of_figure_8() -> None:
    assert {"qgcn-8", "qgcn-16", "qgcn-32", "qgcn-64"} <= set(QGCNS)
    for blocks in (8, 16):
        network = MODELS[f"qgcn-{blocks}"].stages["colour"].build()
        assert isinstance(network, Qgcn)
        config = network.config
        assert (config.blocks, config.width, config.hidden, config.global_branch) == (blocks, 64, 1024, True)


@pytest.mark.parametrize("name", QGCNS)
@pytest.mark.parametrize("kind", ["grey", "colour"])
def test_qgcn_learns_from_small_patches_and_then_from_large_ones(name: str, kind: str) -> None:
    stages = MODELS[name].stages
    small, large = stages[f"{kind}-small"], stages[kind]
    assert (small.side, small.batch, small.init_from) == (64, 256, None)
    assert (large.side, large.batch, large.init_from) == (256, 32, f"{name}/{kind}-small")
    for recipe in (small, large):
        assert_adam(recipe, 1e-4)
        assert recipe.objective == OnPlanes(absolute_error)  # equation 6
        assert qualities(recipe) == list(range(1, 61))
        assert recipe.degradation.colour is (kind == "colour")


@pytest.mark.parametrize("name", QGCNS)
def test_qgcns_rate_falls_to_a_tenth(name: str) -> None:
    for recipe in MODELS[name].stages.values():
        found = sorted({recipe.schedule(share / 100) for share in range(101)}, reverse=True)
        assert found[0] == 1
        assert all(after == pytest.approx(before / 10) for before, after in pairwise(found))
        assert len(found) > 1


# ---- QGAC: Ehrlich et al. 2020, section 4.1 ----

QGACS = ["qgac", "qgac-64", "qgac-256"]


@pytest.mark.parametrize("name", QGACS)
def test_qgac_has_three_stages_of_32_patches_by_adam(name: str) -> None:
    stages = MODELS[name].stages
    assert list(stages) == ["luma", "colour", "texture"]
    assert [recipe.init_from for recipe in stages.values()] == [None, f"{name}/luma", f"{name}/colour"]
    assert [recipe.degradation.colour for recipe in stages.values()] == [False, True, True]
    for recipe, rate in zip(stages.values(), (1e-3, 1e-3, 1e-4), strict=True):
        assert_adam(recipe, rate)
        assert (recipe.batch, recipe.side) == (32, 256)
        assert qualities(recipe) == [10, 20, 30, 40, 50, 60, 70, 80, 90, 100]


@pytest.mark.parametrize("name", QGACS)
def test_qgacs_first_rate_is_halved_every_100_thousand_of_400_thousand(name: str) -> None:
    luma = MODELS[name].stages["luma"]
    assert luma.iterations == 400_000
    assert rates(luma, [0, 99_999, 100_000, 200_000, 399_999]) == pytest.approx([1e-3, 1e-3, 5e-4, 2.5e-4, 1.25e-4])


@pytest.mark.parametrize("name", QGACS)
@pytest.mark.parametrize(("stage", "first", "last"), [("colour", 1e-3, 1e-6), ("texture", 1e-4, 1e-6)])
def test_qgacs_later_rates_fall_by_a_cosine(name: str, stage: str, first: float, last: float) -> None:
    recipe = MODELS[name].stages[stage]
    assert recipe.iterations == 100_000
    assert rates(recipe, [0, 50_000, 100_000]) == pytest.approx([first, (first + last) / 2, last])


@pytest.mark.parametrize("name", QGACS)
def test_qgac_minimises_equation_1(name: str) -> None:
    stages = MODELS[name].stages
    assert stages["luma"].objective == OnPlanes(error_less_similarity)
    assert stages["colour"].objective == OnPlanes(error_less_similarity, chroma_alone=True)
    assert objectives.SSIM_WEIGHT == 0.05  # lambda


def test_qgac_comes_in_the_papers_size_too() -> None:
    for name, config in (("qgac", QGAC_COMPACT), ("qgac-64", QGAC_64), ("qgac-256", QGAC)):
        for stage in ("luma", "colour", "texture"):
            with torch.device("meta"):
                network = MODELS[name].stages[stage].build()
            assert network.config == config
    assert QGAC.width == 256  # section 3.2, figure 6
    assert (network.planes, PLANES) == (64, 64)


@pytest.mark.parametrize("name", QGACS)
def test_originals_teach_qgac_in_the_end(name: str) -> None:
    for stage in ("luma", "colour"):
        short = MODELS[name].short[stage]
        assert short.teacher is Teacher
        assert short.teacher_until <= 0.5


def test_qgacs_luma_is_frozen_in_the_colour_stage_alone() -> None:
    stages = MODELS["qgac"].stages
    frozen = {stage: [not p.requires_grad for p in recipe.build().parameters()] for stage, recipe in stages.items()}
    assert not any(frozen["luma"])
    assert any(frozen["colour"])
    assert not all(frozen["colour"])
    assert not any(frozen["texture"])


@pytest.mark.parametrize("name", QGACS)
def test_qgacs_last_stage_minimises_equation_3(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(qgac, "backbone", SimpleNamespace)  # its weights are not here
    texture = MODELS[name].stages["texture"]
    assert texture.objective is None and texture.adversary is not None
    critic = texture.adversary()
    assert type(critic) is RelativisticCritic
    assert (critic.TEXTURE, critic.GAMMA, critic.NU) == (1, 5e-3, 1e-2)
    assert critic.learning_rate == 1e-4
    widths = [layer.out_channels for layer in critic.discriminator.modules() if isinstance(layer, nn.Conv2d)]
    assert widths == [64, 128, 256, 512]  # DCGAN's


# ---- One-to-Many: Guo and Chao 2017, sections 3 to 5 ----

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


# ---- all of them ----


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
