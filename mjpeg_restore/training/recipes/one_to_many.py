"""One-to-Many (Guo and Chao 2017): the L2 baseline of section 4.1, and the whole of section 3.

One network a quality, as section 5 says; the paper's are 5, 10 and 20. Where VGG is not to be had, the discriminator's
own features stand in for it, and training starts from the baseline's weights.
"""

from __future__ import annotations

from dataclasses import replace

from mjpeg_restore.models.one_to_many import ONE_TO_MANY_COMPACT, OneToMany
from mjpeg_restore.training.adversary import doubled, vgg
from mjpeg_restore.training.critics import NaturalnessCritic
from mjpeg_restore.training.degradation import Degradation
from mjpeg_restore.training.objectives import OnPlanes, squared_error
from mjpeg_restore.training.optimiser import adam
from mjpeg_restore.training.recipe import Family, Recipe, Variant, shortened

QUALITIES = (10, 10)

BASELINE = Recipe(
    build=lambda: OneToMany(replace(ONE_TO_MANY_COMPACT, noise=False)),
    objective=OnPlanes(squared_error),
    degradation=Degradation(QUALITIES, colour=False),
    side=64,
    batch=64,
    optimiser=adam,
    learning_rate=2e-4,
)

WHOLE = replace(
    BASELINE,
    build=lambda: OneToMany(ONE_TO_MANY_COMPACT),
    objective=None,
    adversary=lambda: NaturalnessCritic(doubled(1), vgg, 2e-4),
)

FAMILIES = {
    "one-to-many-l2": Family(
        "One-to-Many's baseline (Guo and Chao 2017, section 4.1), compact, for Q10: least squares, no noise",
        parts={"q10": BASELINE},
        short={"q10": shortened(BASELINE, batch=16)},
        variants=(Variant(QUALITIES, "q10", "q10"),),
    ),
    "one-to-many": Family(
        "One-to-Many (Guo and Chao 2017), compact, for Q10: one of many possible pictures, by --seed and --candidates",
        parts={"q10": WHOLE},
        short={
            "q10": replace(
                WHOLE,
                adversary=lambda: NaturalnessCritic(doubled(1, width=16), None, 2e-4),
                batch=8,
                after="one-to-many-l2/q10",
            )
        },
        variants=(Variant(QUALITIES, "q10", "q10"),),
        extra="noise",
    ),
}
