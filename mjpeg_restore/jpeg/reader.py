"""Which library reads: libjpeg-turbo through the native extension or, where that was not built, `jpeglib`."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

try:
    from mjpeg_restore.jpeg import _native
except ImportError:  # no C compiler or no headers when the package was installed
    _native = None

native_version: Final = _native.VERSION if _native else None
"""Version of the libjpeg-turbo that the extension was built with; None without the extension."""

native_arithmetic: Final = _native.ARITHMETIC if _native else False
"""True where the native reader decodes arithmetic coding (P2)."""


class Notice(NamedTuple):
    """One kind of trouble that the library met."""

    name: str
    """libjpeg's name for it, without JWRN_: "HIT_MARKER", "EXTRANEOUS_DATA", ..."""
    row: int
    """Topmost MCU row in which it was met."""
    text: str
    """The library's words."""


class Component(NamedTuple):
    """One component as the library returns it."""

    coefficients: NDArray[np.int16]
    """int16 `[blocks_high, blocks_wide, 64]`, natural order, not padded to MCUs (C2)."""
    table: NDArray[np.uint16] | None
    """uint16 `[64]`, natural order; None where the picture has none."""
    complete: bool
    """False where a scan of the component is missing."""


class Contents(NamedTuple):
    """What a library makes of a picture's bytes."""

    components: tuple[Component, ...]
    warnings: tuple[Notice, ...]


def read_native(data: bytes | memoryview) -> Contents:
    """Read with libjpeg-turbo, GIL released.

    Raises:
        ValueError: the library gave up; the message is its own.
        MemoryError: memory ran out.
    """
    assert _native is not None
    parts, warnings = _native.read(data)
    components = tuple(
        Component(
            np.frombuffer(blocks, np.int16).reshape(high, wide, 64),
            None if table is None else np.frombuffer(table, np.uint16),
            complete,
        )
        for blocks, table, high, wide, complete in parts
    )
    return Contents(components, tuple(Notice(*warning) for warning in warnings))
