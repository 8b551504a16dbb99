"""The recipe's numbers are the paper's. QGCN: Li et al. 2020, sections III.D and IV.A."""

from __future__ import annotations

from itertools import pairwise

import pytest

from tests.lacking import needs

needs("torch")

from mjpeg_restore.models.papers.qgcn import Qgcn
from mjpeg_restore.training.objectives import OnPlanes, absolute_error
from mjpeg_restore.training.recipes import MODELS
from tests.training.recipes.recipe_numbers import assert_adam, qualities

QGCNS = [name for name in MODELS if name.startswith(("qgcn", "qcn"))]


def test_qgcn_comes_in_the_sizes_of_figure_8() -> None:
    assert {"qgcn-8", "qgcn-16", "qgcn-32", "qgcn-64"} <= set(QGCNS)
    for blocks in (8, 16):
        network = MODELS[f"qgcn-{blocks}"].stages["colour"].build()
        assert isinstance(network, Qgcn)
        config = network.config
        assert (config.blocks, config.width, config.hidden, config.global_branch) == (blocks, 64, 1024, True)
        assert config.authors_layers


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
