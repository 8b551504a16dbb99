"""What a runtime is: something that runs a graph of the contract in `models/graph.py`."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mjpeg_restore.errors import Hint, MjpegRestoreError, RuntimeUnavailable

Inputs = Sequence[NDArray[Any]]
"""Coefficients (int16 `[blocks_high, blocks_wide, 64]`) and table (uint16 `[64]`) of each component in turn, then
what the graph takes besides."""

Planes = tuple[NDArray[np.uint8], ...]
"""A plane uint8 `[8 blocks_high, 8 blocks_wide]` for each component."""

_LONGEST = 200
"""Characters of a library's message that are passed on."""

_NO_MEMORY = ("allocate memory", "bad_alloc", "bad allocation")
"""How the libraries say that memory ran out, among many other words."""


@dataclass(frozen=True, slots=True)
class Blend:
    """Weights that are mixed with a graph's own."""

    weights: Mapping[str, NDArray[np.floating[Any]]]
    """By the names that they have in the graph."""
    share: float = 1.0
    """Theirs, 0..1; what is left is the graph's own."""


class Runtime(Protocol):
    """A graph, loaded on a device."""

    name: str
    """What runs it, for people: "OpenVINO 2026.4, CPU, bf16"."""

    def run(self, inputs: Inputs) -> Planes:
        """Restore one picture. May be called from several threads at once; the planes are the caller's.

        Raises:
            RuntimeUnavailable: it failed, for want of memory above all.
        """
        ...


@contextmanager
def wrap_errors(what: str, hint: Hint) -> Generator[None]:
    """Turn the exceptions of a runtime's library into `RuntimeUnavailable`, in one line.

    Args:
        what: what failed: "ONNX Runtime cannot load stream.onnx".
        hint: what to try: `Hint("try {device}", device="openvino")`.

    Raises:
        RuntimeUnavailable: for any exception that is none of ours.
    """
    try:
        yield
    except MjpegRestoreError:
        raise
    except Exception as error:  # the libraries raise kinds of their own, which they do not document
        raise RuntimeUnavailable(f"{what} ({one_line(error)})", hint) from error


def one_line(error: Exception) -> str:
    """What went wrong, without the trail of source files that OpenVINO puts before it: lines that end with a colon."""
    if isinstance(error, MemoryError) or any(sign in str(error) for sign in _NO_MEMORY):
        return "out of memory"
    lines = [line.strip() for line in str(error).splitlines()]
    words = " ".join(line for line in lines if line and not line.endswith(":"))
    return words[:_LONGEST] or type(error).__name__


def picture_size(inputs: Inputs) -> str:
    """The size of luma's whole blocks, for messages: "1920x1088"."""
    high, wide = inputs[0].shape[:2]
    return f"{8 * wide}x{8 * high}"
