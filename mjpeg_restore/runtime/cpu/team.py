"""Steps of one picture that are done at the same time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future, wait
from contextlib import suppress
from functools import partial
from itertools import zip_longest

import numpy as np
from numpy.typing import NDArray

from mjpeg_restore.futures import INLINE


class Team:
    """Threads that help another one where they are free.

    Attributes:
        size: threads, the one that is helped included.
    """

    def __init__(self, pool: Executor, size: int) -> None:
        """Make a team of threads of a pool; one that does its work at once has none."""
        self._pool, self.size = pool, 1 if pool is INLINE else size

    def __call__(self, steps: Sequence[Callable[[], object]]) -> None:
        """Do steps, of which none waits for one that has not begun."""
        if self.size == 1 or len(steps) < 2:
            for step in steps:
                step()
            return
        first, *others = steps
        begun: list[Future[object]] = []
        with suppress(RuntimeError):  # the pool takes no more work: the rest is done here
            begun += (self._pool.submit(step) for step in others)
        try:
            first()
            for step, future in zip_longest(others, begun):
                # All threads of the pool may wait like this one: what none of them has begun is done here.
                if future is None or future.cancel():
                    step()
                else:
                    future.result()
        except BaseException:
            # No step may change anything once another picture's turn has come.
            wait([future for future in begun if not future.cancel()])
            raise

    def divide(self, step: Callable[[NDArray[np.bool_]], object], wanted: NDArray[np.bool_]) -> None:
        """Do a step for all wanted blocks `[high, wide]`, of which each thread is given some; for none, nothing."""
        self([partial(step, share) for share in shares_of(wanted, self.size)])


def shares_of(wanted: NDArray[np.bool_], number: int) -> list[NDArray[np.bool_]]:
    """At most `number` shares of whole rows of blocks, with about as many wanted blocks each."""
    if number == 1:
        return [wanted] if wanted.any() else []
    above = np.cumsum(wanted.sum(axis=1))
    of_row = np.ceil(above / max(1, above[-1]) * number).clip(1, number)
    shares = [wanted & (of_row == share)[:, np.newaxis] for share in range(1, number + 1)]
    return [share for share in shares if share.any()]


ALONE = Team(INLINE, 1)
"""A thread that nobody helps."""
