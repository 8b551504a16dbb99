"""HR-CNN (section III): one network for each of Q10, 30 and 50.

The paper's crops of 128x128 and its squared error. It names stochastic gradient descent and gives no rate; Adam, its
rate, the batch and the fall of the rate are ours. So are the rectifiers between the layers (see
`models/papers/hr_cnn.py`), and luma in place of green.
"""

from __future__ import annotations

from dataclasses import replace

from mjpeg_restore.models.papers.hr_cnn import HrCnn
from mjpeg_restore.training.degradation import Degradation
from mjpeg_restore.training.objectives import OnPlanes, squared_error
from mjpeg_restore.training.optimiser import MuonWithin, adam
from mjpeg_restore.training.recipe import Family, Recipe, Variant, shortened

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

PARTS = {f"q{q}": replace(FIRST, degradation=Degradation((q, q), colour=False)) for q in QUALITIES}

FAMILIES = {
    "hr-cnn": Family(
        "HR-CNN: from coefficients to pixels in one, a network a quality",
        parts=PARTS,
        short={
            part: replace(
                shortened(recipe, batch=8),
                optimiser=MuonWithin(r"details\.\d\.body\.[02]\.weight", decoder=("spectral", "decoding")),
                after=None if part == "q10" else "hr-cnn/q10",
            )
            for part, recipe in PARTS.items()
        },
        variants=tuple(Variant((q, q), f"q{q}", f"q{q}") for q in QUALITIES),
    ),
}
