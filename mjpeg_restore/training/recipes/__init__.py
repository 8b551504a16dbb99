"""How each model is trained: one module per paper."""

from __future__ import annotations

from mjpeg_restore.training.recipe import ModelRecipe
from mjpeg_restore.training.recipes import hr_cnn, l4_l8, one_to_many, qgac, qgcn, stream, stream_video

MODELS: dict[str, ModelRecipe] = {
    name: model
    for module in (stream, stream_video, l4_l8, hr_cnn, qgcn, qgac, one_to_many)
    for name, model in module.MODELS.items()
}
