"""Where a picture moves so slowly that no block shows it by itself.

A frame's innovation is what it tells beyond the state: how far its coefficients are from their means. While a scene
stands still, and its means are as good as their evidence says, the innovations of different frames have nothing in
common: noise is new in each. Where the picture drifts, they agree, for the means come after. That is the whiteness test
of Kalman filters (Mehra 1970, "On the identification of variances and adaptive Kalman filtering"), and as there the
remedy is to trust the past less.

A block alone tells little of that: few of its coefficients move at all, and each does so once in many frames. So
neighbouring blocks are taken together. Where steps are fine, on the other hand, a block shows by itself that it moved.

Noise that a camera has reduced over time is not new in each frame either. It has little in common with that of a few
frames before, as what drifts has: but that is found later, and less of it. So frames are compared with the one before
where steps hide most, and with an earlier one where they hide less.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mjpeg_restore.runtime.cpu.cells import some_of
from mjpeg_restore.runtime.cpu.state import ComponentState, innovate

DRIFTING: Final = 0.2
"""Correlation of innovations above which no cell agrees with its state."""

_FINE, _MEDIUM = 9, 16
"""Steps of the lowest AC coefficients: up to the first, the test is not made; beyond the second, what is too slow to be
seen in `_APART` frames does harm."""
_APART = 3
"""Frames from one to that which it is compared with, where steps are neither fine nor coarse: of noise of which a
camera keeps 0.8 from frame to frame half as much is in common then, and few still blocks pass for drifting."""
_WHITE = 0.15
"""Correlation up to which it is taken for none: where only what is beyond half a step counts, a coefficient at a cell's
bound makes up to that."""
_REPEATED = 0.95
"""Share of a frame's blocks that equal the last frame's, above which it repeats that, but for a clock."""
_MOST_BLOCKS = 2500
"""About so many blocks are looked at for that."""
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
        self._blocks, self._spread = blocks, spread
        self._innovations: deque[NDArray[np.int8]] = deque()
        """Of the last frames; the latest one's come first."""
        self._some: NDArray[np.int64] | None = None
        """Some blocks of the last frame."""
        self._sums: NDArray[np.floating] | None = None
        self._none = spread(np.zeros(blocks, np.float32))

    def follow(
        self, coefficients: NDArray[np.int16], table: NDArray[np.uint16], state: ComponentState, lag: int
    ) -> NDArray[np.floating]:
        """The correlation of a frame's innovations with those of a frame before, -1..1, `[cells_high, cells_wide]`.

        A frame that repeats the last one, as cameras send them that are slower than their stream, tells nothing: 0.

        Args:
            coefficients: int16 `[blocks_high, blocks_wide, 64]`, natural order.
            table: uint16 `[64]`, likewise.
            state: before the frame.
            lag: frames from the one to the other; see `lag_for`.
        """
        some = coefficients[some_of(self._blocks, _MOST_BLOCKS)]
        last, self._some = self._some, some.copy().view(np.int64)  # four at a time
        if last is not None and np.mean((self._some == last).all(axis=2)) > _REPEATED:
            return self._none
        while len(self._innovations) > lag:
            self._innovations.pop()
        while len(self._innovations) < lag:  # nothing is known of frames that were not followed
            self._innovations.append(np.zeros((*self._blocks, 64), np.int8))
        earlier = self._innovations.pop()
        products = innovate(coefficients, table, state, earlier)
        self._innovations.appendleft(earlier)  # it has those of this frame now
        weight = 1 / (1 + (products[1] + products[2]) / _PLAIN)
        seen = np.stack([self._spread(values * weight) for values in products])
        self._sums = seen if self._sums is None else self._sums + _ADAPTATION * (seen - self._sums)
        together, now, before = self._sums
        return together / (np.sqrt(now * before) + _HIDDEN)


def lowest_step(table: NDArray[np.uint16]) -> int:
    """The larger step of the two lowest AC coefficients: what moves slowly shows in these first."""
    return int(max(table[1], table[8]))


def lag_for(table: NDArray[np.uint16]) -> int:
    """Frames from one to that which it is compared with, by their table; 0 if its steps are too fine for the test."""
    step = lowest_step(table)
    return 0 if step <= _FINE else _APART if step <= _MEDIUM else 1


def trust(correlation: NDArray[np.floating]) -> NDArray[np.floating]:
    """The share of the past's evidence that holds, 0..1, by the correlation of innovations."""
    return np.minimum(1 - (correlation - _WHITE), 1)
