"""Weights mixed with a graph's own, in the bytes of its file.

A runtime that is given other weights when it loads a graph may have folded the file's own into something else by then
(ONNX Runtime does). So they are mixed before it sees the graph. The file is protobuf, and of it no more is
read than where each initializer's bytes lie: to write a tensor over another of its size takes no schema.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from mjpeg_restore.errors import ModelCorrupt
from mjpeg_restore.runtime.base import Blend

_GRAPH, _INITIALIZER = 7, 5
"""Numbers of `ModelProto.graph` and `GraphProto.initializer` in ONNX's schema."""

_NAME, _RAW_DATA = 8, 9
"""Of `TensorProto.name` and `raw_data`."""

_VARINT, _FIXED64, _LENGTH = 0, 1, 2
"""Wire types of protobuf; what is left is four bytes long."""


def blended(graph: bytes, blend: Blend) -> bytes:
    """A graph's file with other weights mixed in.

    Args:
        graph: an ONNX file that holds its weights as raw data.
        blend: weights of the type and shape that they have there. Those that the graph lacks are passed over: a grey
            graph has none for chroma.

    Raises:
        ModelCorrupt: the graph has none of them, or one in another size.
    """
    data = bytearray(graph)
    found = False
    for start, stop in _fields(data, 0, len(data), _GRAPH):
        for first, last in _fields(data, start, stop, _INITIALIZER):
            name = "".join(data[a:b].decode() for a, b in _fields(data, first, last, _NAME))
            if name not in blend.weights:
                continue
            other = blend.weights[name]
            for a, b in _fields(data, first, last, _RAW_DATA):
                if other.nbytes != b - a:
                    raise ModelCorrupt(f"weight {name} has another size in the graph; reinstall mjpeg-restore")
                own = np.frombuffer(data[a:b], other.dtype).astype(np.float32)
                mixed = (1 - blend.share) * own + blend.share * other.astype(np.float32).ravel()
                data[a:b] = mixed.astype(other.dtype).tobytes()
                found = True
    if not found:
        raise ModelCorrupt("the graph has none of the weights that are to be mixed in; reinstall mjpeg-restore")
    return bytes(data)


def _fields(data: bytearray, position: int, end: int, wanted: int) -> Iterator[tuple[int, int]]:
    """Where the contents of each field of that number lie in a message."""
    while position < end:
        key, position = _varint(data, position)
        kind, size = key & 7, 4
        if kind == _VARINT:
            _, position = _varint(data, position)
            continue
        if kind == _LENGTH:
            size, position = _varint(data, position)
        elif kind == _FIXED64:
            size = 8
        if key >> 3 == wanted:
            yield position, position + size
        position += size


def _varint(data: bytearray, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[position]
        position += 1
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return value, position
