"""HR-CNN (section III): one network for each of Q10, Q30 and Q50.

Crops of 128x128 and the squared error are the paper's. The paper names stochastic gradient descent without a learning
rate; Adam, its learning rate, the batch size and the schedule are ours. So are the rectifiers between the layers (see
`models/papers/hr_cnn.py`) and the use of luma instead of the green channel.
"""

from __future__ import annotations

from dataclasses import replace

from mjpeg_restore.models.papers.hr_cnn import HrCnn
from mjpeg_restore.training.degradation import Degradation
from mjpeg_restore.training.objectives import OnPlanes, squared_error
from mjpeg_restore.training.optimiser import MuonWithin, adam
from mjpeg_restore.training.recipe import ModelRecipe, Recipe, Variant, shortened

QUALITIES = (10, 30, 50)

FIRST = Recipe(
    build=lambda: HrCnn(chroma=True, rectified=True),
    objective=OnPlanes(squared_error),
    degradation=Degradation((10, 10), colour=False),
    side=128,
    batch=16,
    optimiser=adam,
    learning_rate=1e-4,
)

STAGES = {f"q{q}": replace(FIRST, degradation=Degradation((q, q), colour=False)) for q in QUALITIES}

MODELS = {
    "hr-cnn": ModelRecipe(
        "HR-CNN: from coefficients to pixels in one, a network a quality",
        stages=STAGES,
        short={
            stage: replace(
                shortened(recipe, batch=8),
                optimiser=MuonWithin(r"details\.\d\.body\.[02]\.weight", decoder=("spectral", "decoding")),
                init_from=None if stage == "q10" else "hr-cnn/q10",
            )
            for stage, recipe in STAGES.items()
        },
        variants=tuple(Variant((q, q), f"q{q}", f"q{q}") for q in QUALITIES),
    ),
}
