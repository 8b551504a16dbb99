"""What follows from a quantisation table alone is computed once for all frames that have it."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, wraps
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

_TABLES = 64
"""Tables for which a result is remembered: rate control returns to those it has used."""

Result = TypeVar("Result")


def of_table(function: Callable[[NDArray[np.uint16]], Result]) -> Callable[[NDArray[np.uint16]], Result]:
    """A function of a table that remembers what it has found; an array that it returns is read-only."""

    @lru_cache(_TABLES)
    def found(steps: bytes, shape: tuple[int, ...]) -> Result:
        result = function(np.frombuffer(steps, np.uint16).reshape(shape))
        array: object = result
        if isinstance(array, np.ndarray):
            array.flags.writeable = False
        return result

    @wraps(function)
    def remembered(table: NDArray[np.uint16]) -> Result:
        return found(table.astype(np.uint16, copy=False).tobytes(), table.shape)

    return remembered
