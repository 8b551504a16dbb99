"""A picture that loses its contrast: it goes out of focus, or begins to move after it stood.

Its details fade within the cells of a coarse quantiser: frames then say 0 where the means, and what is kept of them,
still have something, and each block by itself agrees. All blocks together tell: while a scene stands still, or moves at
the same pace, frames show on average as much as their means of what is clear in these. Where most of the picture shows
less, the past counts for less, and all of it is computed. Where steps are fine, each block shows that by itself.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_STEADY = 0.03
"""Share of the contrast that may seem to be lost: as much as noise and slow motion take from it."""
_FADING = 0.3
"""The same while light changes: AC coefficients of the means are not brought into the frame's light."""
_LIT = 8
"""Frames for which light still counts as changing."""
_ERRORS = 3.0
"""Standard errors of what is shown, as well."""
_WEIGHT, _AGAIN = 5.0, 10.0
"""Share of the past's evidence that is dropped, for each share of the contrast that is lost: in the first frame, and in
those that follow."""
_TILES = 4
"""Parts of a picture, down and across: more than half of those in which something is clear have to lose as much."""
_SOMETHING = 1 / 64
"""Share of what is clear in a picture, from which on something is clear in a part."""


class Contrast:
    """Of one camera's luma, frame by frame.

    Attributes:
        trust: the share of the past's evidence that holds in the last frame, 0..1.
    """

    def __init__(self) -> None:
        """Begin with a picture of which nothing is known."""
        self.trust = 1.0
        self._lit = 0
        """Frames for which light still counts as changing."""

    def follow(self, shown: NDArray[np.float32], clear: NDArray[np.float32], scatter: float, *, lit: bool) -> bool:
        """Whether a frame has less contrast than the means before it.

        Args:
            shown: of each block, `[blocks_high, blocks_wide]`, the sum of products of its clear means and the frame's
                coefficients, in squared steps; 0 for blocks that are not to count.
            clear: likewise the sum of the squares of these means.
            scatter: variance of a coefficient in a frame, in squared steps.
            lit: whether the light has changed.
        """
        self._lit = _LIT if lit else max(0, self._lit - 1)
        lost, every = 0.0, float(clear.sum())
        if every > 0:
            parts_shown, parts = _tiles(shown), _tiles(clear)
            some = parts >= _SOMETHING * every
            shares = np.sort(parts_shown[some] / parts[some])
            share = max(float(shown.sum()) / every, float(shares[len(shares) // 2]))
            lost = 1 - share - (_FADING if self._lit else _STEADY) - _ERRORS * (scatter / every) ** 0.5
        weight = _WEIGHT if self.trust == 1 else _AGAIN
        self.trust = min(1.0, max(0.0, 1 - weight * lost))
        return lost > 0


def _tiles(values: NDArray[np.float32]) -> NDArray[np.floating]:
    """The sums of tiles, `_TILES` down and across, or fewer of a small picture."""
    for axis, length in enumerate(values.shape):
        begin = np.linspace(0, length, min(_TILES, length), endpoint=False, dtype=np.intp)
        values = np.add.reduceat(values, begin, axis=axis)
    return values
