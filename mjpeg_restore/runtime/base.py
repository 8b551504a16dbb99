"""What a runtime is: something that runs a graph of the contract in `models/graph.py`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Inputs = Sequence[NDArray[Any]]
"""Coefficients (int16 `[blocks_high, blocks_wide, 64]`) and table (uint16 `[64]`) of each component in turn."""

Planes = tuple[NDArray[np.uint8], ...]
"""A plane uint8 `[8 blocks_high, 8 blocks_wide]` for each component."""


class Runtime(Protocol):
    """A graph, loaded on a device."""

    name: str
    """What runs it, for people: "OpenVINO 2026.4, CPU, bf16"."""

    def run(self, inputs: Inputs) -> Planes:
        """Restore one picture. May be called from several threads at once; the planes are the caller's."""
        ...
