"""Coded pictures as callers hold them: bytes, or anything that shows its memory as bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing_extensions import Buffer


def as_bytes(data: Buffer) -> bytes:
    """The bytes of a bytearray, a memoryview, a uint8 array and the like; bytes themselves are not copied.

    Raises:
        TypeError: it is nothing of the kind.
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
