"""The recipe's numbers are the paper's. QGAC: Ehrlich et al. 2020, section 4.1."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from tests.lacking import needs

needs("torch")

import torch
from torch import nn

from mjpeg_restore.models.papers.qgac import QGAC_COMPACT
from mjpeg_restore.models.papers.qgac_ablations import ABLATIONS
from mjpeg_restore.models.papers.qgac_planes import PLANES, QGAC, QGAC_64
from mjpeg_restore.training import objectives
from mjpeg_restore.training.critics import RelativisticCritic
from mjpeg_restore.training.objectives import OnPlanes, error_less_similarity
from mjpeg_restore.training.recipes import MODELS, qgac
from mjpeg_restore.training.teacher import Teacher
from tests.training.recipes.recipe_numbers import assert_adam, qualities, rates

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


def test_qgacs_ablations_are_those_of_section_4_4() -> None:
    model = MODELS["qgac-ablations"]
    assert model.stages.keys() == model.short.keys() == ABLATIONS.keys()
    for recipe in model.stages.values():
        assert_adam(recipe, 1e-3)
        assert recipe.iterations == 100_000
        assert rates(recipe, [0, 50_000, 100_000]) == pytest.approx([1e-3, (1e-3 + 1e-6) / 2, 1e-6])
        assert (recipe.batch, recipe.side, recipe.degradation.colour) == (32, 256, False)
        assert recipe.objective == OnPlanes(error_less_similarity)
    built = [recipe.build().ablation for recipe in model.short.values()]
    assert built == list(ABLATIONS.values())
