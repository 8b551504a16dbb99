"""The protocol of runtimes, which run graphs with the inputs and outputs of `models/graph.py`."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mjpeg_restore.errors import Hint, MjpegRestoreError, RuntimeUnavailable

Inputs = Sequence[NDArray[Any]]
"""Coefficients (int16 `[blocks_high, blocks_wide, 64]`) and table (uint16 `[64]`) of each component in turn, then the
graph's further inputs, if any."""

Planes = tuple[NDArray[np.uint8], ...]
"""One plane for each component: uint8 `[8 blocks_high, 8 blocks_wide]`."""

_MAX_MESSAGE = 200
"""Most characters of a library's error message."""

_OUT_OF_MEMORY = ("allocate memory", "bad_alloc", "bad allocation")
"""Parts of the libraries' error messages when memory runs out."""


@dataclass(frozen=True, slots=True)
class Blend:
    """Weights to mix with a graph's own."""

    weights: Mapping[str, NDArray[np.floating[Any]]]
    """By their names in the graph."""
    share: float = 1.0
    """Share of these weights in the mixture, 0..1; the rest is the graph's own."""


class Runtime(Protocol):
    """A graph that is loaded on a device."""

    name: str
    """The library, device and precision, for users: "OpenVINO 2026.4, CPU, bf16"."""

    def run(self, inputs: Inputs) -> Planes:
        """Restore one picture. May be called from several threads at once.

        Returns:
            Planes that the caller owns: later runs do not change them.

        Raises:
            RuntimeUnavailable: the library failed, most likely for lack of memory.
        """
        ...


@contextmanager
def wrap_errors(what: str, hint: Hint) -> Generator[None]:
    """Convert a library's exceptions to `RuntimeUnavailable`, with a message of one line.

    Args:
        what: what failed: "ONNX Runtime cannot load stream.onnx".
        hint: what to do: `Hint("try {device}", device="openvino")`.

    Raises:
        RuntimeUnavailable: for any exception but `MjpegRestoreError`.
    """
    try:
        yield
    except MjpegRestoreError:
        raise
    except Exception as error:  # the libraries raise undocumented types of their own
        raise RuntimeUnavailable(f"{what} ({one_line(error)})", hint) from error


def one_line(error: Exception) -> str:
    """An exception's message in one line, without OpenVINO's list of source files: the lines that end with a colon."""
    if isinstance(error, MemoryError) or any(part in str(error) for part in _OUT_OF_MEMORY):
        return "out of memory"
    lines = [line.strip() for line in str(error).splitlines()]
    message = " ".join(line for line in lines if line and not line.endswith(":"))
    return message[:_MAX_MESSAGE] or type(error).__name__


def picture_size(inputs: Inputs) -> str:
    """Luma's size in whole blocks, as pixels for messages: "1920x1088"."""
    high, wide = inputs[0].shape[:2]
    return f"{8 * wide}x{8 * high}"
