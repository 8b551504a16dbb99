"""Bytes from any buffer that callers may hold a coded picture in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing_extensions import Buffer


def as_bytes(data: Buffer) -> bytes:
    """The contents of a buffer of bytes: bytearray, memoryview, uint8 array and others; `bytes` is returned uncopied.

    Raises:
        TypeError: `data` is not a buffer, or its items are not bytes.
    """
    if isinstance(data, bytes):
        return data
    wrong: Any = data
    try:
        view = memoryview(data)
    except TypeError:
        view = None
    if view is None or view.itemsize != 1:
        kind = f"{type(wrong).__name__} of {wrong.dtype}" if hasattr(wrong, "dtype") else type(wrong).__name__
        raise TypeError(f"a JPEG comes as bytes, bytearray, memoryview or array of uint8, not as {kind}")
    return view.tobytes()
