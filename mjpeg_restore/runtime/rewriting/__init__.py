"""Graphs of the contract (`models/graph.py`), rewritten for the runtimes of GPUs when a network is loaded or built.

The files are written for CPUs, with 8-bit steps in the trunk and 16-bit integers at the beginning. Passes over the ONNX
graph turn them into what a GPU's runtime takes:

    folding.py      casts and rounding of constants are computed once
    rounding.py     pairs of QuantizeLinear and DequantizeLinear are removed
    ends.py         TensorRT's forms of the inputs and outputs
    precision.py    float16 where learnt layers compute, float32 elsewhere
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from mjpeg_restore.runtime.weights import imported_onnx

if TYPE_CHECKING:  # it needs the package `onnx`
    from mjpeg_restore.runtime.rewriting.graph import Graph


def for_tensorrt(graph: bytes, *, half: bool, extra: str = "tensorrt") -> bytes:
    """Rewrite a graph for TensorRT, which has no 16-bit integers, no zero points, and 8-bit ones at the ends alone.

    | input | here |
    |---|---|
    | `*.coefficients`, int16 `[high, wide, 64]` | uint8 `[high, wide, 64, 2]`: the same bytes, the lower one first |
    | `*.table`, uint16 `[64]` | float32 `[64]` |
    | `*.mean` and `*.correction`, int16 `[high, wide, 64]` | float32, whole numbers; likewise as outputs |

    All other inputs and outputs, and all names, stay as they are. In float32 a graph without 8-bit steps gives the
    same planes to the bit.

    Args:
        graph: the contents of an ONNX file of the contract, with its weights.
        half: whether learnt layers, and what lies between them, compute in float16; see `precision.py`. The types are
            part of the graph: it is for a strongly typed network.
        extra: of ours, that a missing package is to be installed by: "tensorrt" or "tensorrt-rtx".

    Returns:
        The contents of an ONNX file.

    Raises:
        MissingExtra: the package `onnx` is not installed.
        RuntimeUnavailable: the graph has a control flow.
        Exception: it is no graph of the contract. Whoever knows its name says so, by `wrap_errors`.
    """
    imported_onnx(extra, "TensorRT")
    from mjpeg_restore.runtime.rewriting.ends import inputs_as_bytes, outputs_cast_last

    return _rewritten(graph, half, inputs_as_bytes, outputs_cast_last)


def for_torch(graph: bytes, *, half: bool, extra: str = "torch", purpose: str = "PyTorch") -> bytes:
    """Rewrite a graph for PyTorch, or ONNX Runtime on a GPU: without 8-bit steps, its ends as in the contract.

    Args:
        graph: the contents of an ONNX file of the contract, with its weights.
        half: whether learnt layers, and what lies between them, compute in float16; see `precision.py`.
        extra, purpose: what installs the package `onnx`, and what needs it; see `imported_onnx`.

    Returns:
        The contents of an ONNX file.

    Raises:
        MissingExtra: the package `onnx` is not installed.
        RuntimeUnavailable: the graph has a control flow.
        Exception: it is no graph of the contract. Whoever knows its name says so, by `wrap_errors`.
    """
    imported_onnx(extra, purpose)
    return _rewritten(graph, half)


def _rewritten(data: bytes, half: bool, *ends: Callable[[Graph], None]) -> bytes:
    from mjpeg_restore.runtime.rewriting.folding import fold_constants
    from mjpeg_restore.runtime.rewriting.graph import Graph
    from mjpeg_restore.runtime.rewriting.precision import halve
    from mjpeg_restore.runtime.rewriting.rounding import remove_rounding

    graph = Graph.load(data)
    for change in (fold_constants, remove_rounding, *ends, *([halve] if half else [])):
        change(graph)
    return graph.save()
