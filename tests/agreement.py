"""Whether two runs of a network gave the same picture, as far as their arithmetic allows.

No two kinds of CPU add up in the same order. In float32 that hardly shows. A network in eight bits makes much of it: a
feature on the edge between two steps is rounded up in one run and down in the other, and after a few layers the
roundings of the two have nothing in common. So what is compared is what a network is for, how it changes the plain
decode, and what is allowed is what roundings amount to.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.exact_decode import to_pixels

SIGNED_SPREAD = 10.0
"""That of `models/int8.py`, which cannot be imported without PyTorch."""


def rounded(layers: int) -> float:
    """Share of a network's change, in root mean squares, by which two runs in eight bits or bf16 may differ.

    * Eight bits: `models/int8.py` has 127 steps to 10 root mean squares of the features, and a rounding is wrong by
      1/sqrt(12) of a step. Two runs that round independently are 3.2 % apart after a layer.
    * bf16: weights, input and output of a layer are rounded, each by 2^-8 at most. That makes 0.7 %.

    Errors of several layers add up as their squares do. Some bands of a picture have a quarter more than the whole.

    Args:
        layers: convolutions in a chain.
    """
    eight_bits, bf16 = SIGNED_SPREAD / 127 / math.sqrt(12) * math.sqrt(2), 2**-8 * math.sqrt(3)
    return 1.25 * math.sqrt(layers) * math.hypot(eight_bits, bf16)


ROUNDED = rounded(16)
"""A sixth: for `stream`, and for what has more layers, but none in eight bits."""

FINE = 2 * ROUNDED
"""The same for fine tables: their features are about half as large, and the steps are for all tables the same."""

BAND = 8
"""Rows, or columns, that have to agree by themselves: what is wrong in a few must not be lost among the others."""

Planes = Sequence[NDArray[Any]]


def plain_decode(inputs: Planes) -> list[NDArray[np.float64]]:
    """What a network changes: the planes of a graph's inputs, coefficients and table of each component in turn."""
    return [to_pixels(blocks, table).clip(0, 255) for blocks, table in zip(inputs[::2], inputs[1::2], strict=True)]


def difference(ours: Planes, theirs: Planes, decoded: Planes) -> float:
    """The share of its change by which two runs of a network differ, in the band where they differ most.

    Args:
        ours, theirs: the planes of the two, whole numbers.
        decoded: the planes that were changed.
    """
    return max(_of_planes(*planes) for planes in zip(ours, theirs, decoded, strict=True))


def _of_planes(one: NDArray[Any], other: NDArray[Any], plain: NDArray[Any]) -> float:
    apart = np.square(one.astype(float) - other)
    high, wide = apart.shape
    bands = [apart[top : top + BAND] for top in range(0, high, BAND)]
    bands += [apart[:, left : left + BAND] for left in range(0, wide, BAND)]
    # Two samples that are e apart before they become whole numbers are a whole number apart with a chance of e
    # afterwards: a mean square of e * e + e at most.
    most = np.sqrt(max(band.mean() for band in bands) + 1 / 4) - 1 / 2
    return float(most / np.sqrt(np.square(other.astype(float) - plain).mean()))


def assert_same(ours: Planes, theirs: Planes) -> None:
    """In float32 alone: equal, but for samples that lie on the edge between two whole numbers."""
    for one, other in zip(ours, theirs, strict=True):
        assert one.shape == other.shape
        assert np.abs(one.astype(int) - other).max() <= 1
