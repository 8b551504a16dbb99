"""Where a picture moves so slowly that no block shows it by itself.

A frame's innovation is what it tells beyond the state: how far its coefficients are from their means. While a scene
stands still, and its means are as good as their evidence says, the innovations of different frames have nothing in
common: noise is new in each. Where the picture drifts, they agree, for the means come after. That is the whiteness test
of Kalman filters (Mehra 1970, "On the identification of variances and adaptive Kalman filtering"), and as there the
remedy is to trust the past less.

A block alone tells little of that: few of its coefficients move at all, and each does so once in many frames. So
neighbouring blocks are taken together. Where steps are fine, on the other hand, a block shows by itself that it moved,
and noise that a camera has reduced over time would pass for drift. So the test is for coarse steps.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mjpeg_restore.runtime.cpu.state import ComponentState, innovate

DRIFTING: Final = 0.2
"""Correlation of innovations above which no cell agrees with its state."""

_WHITE = 0.15
"""Correlation up to which it is taken for none: where only what is beyond half a step counts, a coefficient at a cell's
bound makes up to that."""
_REPEATED = 0.95
"""Share of a frame's blocks that equal the last frame's, above which it repeats that, but for a clock."""
_ADAPTATION = 0.5
"""Share of a frame in the sums that a correlation is computed from."""
_HIDDEN = 0.05
"""A block's squared innovations, in steps^2, that are added as if they had nothing in common: few tell nothing."""
_PLAIN = 1.0
"""Those in both frames with which a block counts half: it shows by itself that it moved."""

Spread = Callable[[NDArray[np.float32]], NDArray[np.floating]]
"""From the numbers of a component's blocks, `[blocks_high, blocks_wide]`, to means over cells and what is around
them, `[cells_high, cells_wide]`."""


class Drift:
    """Of one component of a camera's picture."""

    def __init__(self, blocks: tuple[int, int], spread: Spread) -> None:
        """Begin with a picture of which nothing is known.

        Args:
            blocks: of the component, high and wide.
            spread: see `Spread`.
        """
        self._spread = spread
        self._innovations = np.zeros((*blocks, 64), np.int8)
        """Of the last frame."""
        self._frame: NDArray[np.int64] | None = None
        self._sums: NDArray[np.floating] | None = None
        self._none = spread(np.zeros(blocks, np.float32))

    def follow(
        self, coefficients: NDArray[np.int16], table: NDArray[np.uint16], state: ComponentState
    ) -> NDArray[np.floating]:
        """The correlation of a frame's innovations with those of the frame before, -1..1, `[cells_high, cells_wide]`.

        A frame that repeats the last one, as cameras send them that are slower than their stream, tells nothing: 0.

        Args:
            coefficients: int16 `[blocks_high, blocks_wide, 64]`, natural order.
            table: uint16 `[64]`, likewise.
            state: before the frame.
        """
        last, self._frame = self._frame, np.ascontiguousarray(coefficients).view(np.int64)  # four at a time
        if last is not None and np.mean((self._frame == last).all(axis=2)) > _REPEATED:
            return self._none
        products = innovate(coefficients, table, state, self._innovations)
        weight = 1 / (1 + (products[1] + products[2]) / _PLAIN)
        seen = np.stack([self._spread(values * weight) for values in products])
        self._sums = seen if self._sums is None else self._sums + _ADAPTATION * (seen - self._sums)
        together, now, before = self._sums
        return together / (np.sqrt(now * before) + _HIDDEN)


def trust(correlation: NDArray[np.floating]) -> NDArray[np.floating]:
    """The share of the past's evidence that holds, 0..1, by the correlation of innovations."""
    return np.minimum(1 - (correlation - _WHITE), 1)
