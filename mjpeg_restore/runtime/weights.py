"""Weights mixed with a graph's own, in the ONNX file that a runtime loads.

A runtime may have folded the file's weights into other constants by the time it accepts new ones (ONNX Runtime does),
so they are mixed before it sees the graph.
"""

from __future__ import annotations

from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np

from mjpeg_restore.errors import MissingExtra, ModelCorrupt
from mjpeg_restore.runtime.base import Blend

if TYPE_CHECKING:
    from onnx import ModelProto


def blended(graph: bytes, blend: Blend) -> bytes:
    """Mix other weights into an ONNX file: `(1 - share) * own + share * other`, computed in float32.

    Args:
        graph: the contents of an ONNX file that holds its weights.
        blend: the other weights. Each has the type and shape of the graph's weight of that name. Names that the graph
            lacks are skipped: a grey graph has no weights for chroma.

    Returns:
        The contents of an ONNX file with the mixed weights.

    Raises:
        MissingExtra: the package `onnx` is not installed.
        ModelCorrupt: the graph has none of these weights, or has one in another type or shape.
        Exception: it is no ONNX file, or is one without weights; see `parsed`.
    """
    onnx = imported_onnx("texture", "Texture")
    model = parsed(graph)
    tensors = [tensor for tensor in model.graph.initializer if tensor.name in blend.weights]
    if not tensors:
        raise ModelCorrupt("the graph has none of the weights that are to be mixed in")
    for tensor in tensors:
        own, other = onnx.numpy_helper.to_array(tensor), blend.weights[tensor.name]
        if (own.dtype, own.shape) != (other.dtype, other.shape):
            raise ModelCorrupt(f"weight {tensor.name} has another type or shape in the graph")
        mixed = (1 - blend.share) * own.astype(np.float32) + blend.share * other.astype(np.float32)
        tensor.CopyFrom(onnx.numpy_helper.from_array(mixed.astype(own.dtype), tensor.name))
    return model.SerializeToString()


def parsed(graph: bytes) -> ModelProto:
    """Parse an ONNX file that holds its weights. The package `onnx` is installed.

    Raises:
        ValueError: its weights are in files of their own, which might be any of the user's.
        Exception: it is no ONNX file; the type is protobuf's.
    """
    import onnx

    model = onnx.load_model_from_string(graph)
    attributes = [attribute for node in model.graph.node for attribute in node.attribute]
    tensors = [
        *model.graph.initializer,
        *(one.t for one in attributes),
        *(tensor for one in attributes for tensor in one.tensors),
    ]
    if any(tensor.data_location == onnx.TensorProto.EXTERNAL for tensor in tensors):
        raise ValueError("its weights are in files of their own, which are not read")
    return model


def imported_onnx(extra: str, purpose: str) -> ModuleType:
    """The package `onnx`, imported where graphs are changed and nowhere else: it costs a tenth of a second.

    Args:
        extra: of ours, which installs it; empty where none does.
        purpose: what it is needed for: "Texture".

    Raises:
        MissingExtra: it is not installed.
    """
    try:
        import onnx
    except ImportError as error:
        raise MissingExtra("onnx", extra, purpose) from error
    return onnx
