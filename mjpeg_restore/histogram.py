"""Durations counted in buckets: what a monitoring system asks for, in memory that does not grow."""

from __future__ import annotations

import math
import threading
from bisect import bisect_left
from itertools import accumulate

BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper bounds of the buckets, seconds; one more bucket takes what is longer."""


class Histogram:
    """Durations, from any thread to any thread.

    Attributes:
        sum: of all durations, seconds.
    """

    def __init__(self) -> None:
        self.sum = 0.0
        self._counts = [0] * (len(BOUNDS) + 1)
        self._lock = threading.Lock()

    def observe(self, seconds: float) -> None:
        """Count one duration."""
        with self._lock:
            self._counts[bisect_left(BOUNDS, seconds)] += 1
            self.sum += seconds

    def __getstate__(self) -> tuple[float, list[int]]:
        """Sum and counts: a lock does not pass between processes."""
        with self._lock:
            return self.sum, [*self._counts]

    def __setstate__(self, state: tuple[float, list[int]]) -> None:
        self.sum, self._counts = state
        self._lock = threading.Lock()

    @property
    def count(self) -> int:
        """Durations so far."""
        return sum(self._counts)

    @property
    def buckets(self) -> list[tuple[float, int]]:
        """For each upper bound, the last of them infinite, the number of durations that do not exceed it."""
        return list(zip((*BOUNDS, math.inf), accumulate(self._counts), strict=True))
