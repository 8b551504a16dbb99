"""The recipe's numbers are the paper's. HR-CNN: section III."""

from __future__ import annotations

from tests.lacking import needs

needs("torch")

from mjpeg_restore.training.objectives import OnPlanes, squared_error
from mjpeg_restore.training.recipes import MODELS
from tests.training.recipes.recipe_numbers import qualities


def test_hr_cnn_has_a_network_for_10_30_and_50() -> None:
    stages = MODELS["hr-cnn"].stages
    assert {name: qualities(recipe) for name, recipe in stages.items()} == {"q10": [10], "q30": [30], "q50": [50]}
    for recipe in stages.values():
        assert recipe.side == 128
        assert recipe.objective == OnPlanes(squared_error)  # equation 9
        assert recipe.degradation.colour is False
        assert recipe.init_from is None
