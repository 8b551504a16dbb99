"""Weights put in the place of a graph's own, in the bytes of its file.

A runtime that is given other weights when it loads a graph may have folded the file's own into something else by then
(ONNX Runtime does). So they take their places before it sees the graph. The file is protobuf, and of it no more is
read than where each initializer's bytes lie: to write a tensor over another of its size takes no schema.
"""

from __future__ import annotations

from collections.abc import Iterator

from mjpeg_restore.errors import ModelCorrupt
from mjpeg_restore.runtime.base import Weights

_GRAPH, _INITIALIZER = 7, 5
"""Numbers of `ModelProto.graph` and `GraphProto.initializer` in ONNX's schema."""

_NAME, _RAW_DATA = 8, 9
"""Of `TensorProto.name` and `raw_data`."""

_VARINT, _FIXED64, _LENGTH = 0, 1, 2
"""Wire types of protobuf; what is left is four bytes long."""


def replaced(graph: bytes, weights: Weights) -> bytes:
    """A graph's file with other weights.

    Args:
        graph: an ONNX file that holds its weights as raw data.
        weights: by the names that they have in the file, each of the type and shape that it has there. Those that the
            graph lacks are passed over: a grey graph has none for chroma.

    Raises:
        ModelCorrupt: the graph has none of them, or one in another size.
    """
    data = bytearray(graph)
    found = False
    for start, stop in _fields(data, 0, len(data), _GRAPH):
        for first, last in _fields(data, start, stop, _INITIALIZER):
            name = "".join(data[a:b].decode() for a, b in _fields(data, first, last, _NAME))
            if name not in weights:
                continue
            for a, b in _fields(data, first, last, _RAW_DATA):
                raw = weights[name].tobytes()
                if len(raw) != b - a:
                    raise ModelCorrupt(f"weight {name} has another size in the graph; reinstall mjpeg-restore")
                data[a:b] = raw
                found = True
    if not found:
        raise ModelCorrupt("the graph has none of the weights that are to replace its own; reinstall mjpeg-restore")
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
