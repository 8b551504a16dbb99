"""How each shipped network is trained: one file a paper."""

from __future__ import annotations

from mjpeg_restore.training.recipe import Family
from mjpeg_restore.training.recipes import hr_cnn, l4_l8, one_to_many, qgac, qgcn, stream

FAMILIES: dict[str, Family] = {
    name: family
    for module in (stream, l4_l8, hr_cnn, qgcn, qgac, one_to_many)
    for name, family in module.FAMILIES.items()
}
