"""The native reader: libjpeg-turbo, where the extension was built, and the records that both readers return."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

try:
    from mjpeg_restore.jpeg import _native
except ImportError:  # no C compiler or no headers when the package was installed
    _native = None

native_version: Final = _native.VERSION if _native else None
"""Version of libjpeg-turbo in the extension; None where the extension was not built."""

native_arithmetic: Final = _native.ARITHMETIC if _native else False
"""True where the native reader decodes arithmetic coding (P2)."""


Cost = NDArray[np.uintp]
"""P1: what all reads of one picture have cost, `[1]`: the blocks of their scans, of which some count for several."""


class LibraryWarning(NamedTuple):
    """One kind of warning that the library gave for a picture."""

    name: str
    """libjpeg's name of the kind, without JWRN_: "HIT_MARKER", "EXTRANEOUS_DATA", ..."""
    row: int
    """Topmost row of MCUs at which it was given, by the factors in the SOF."""
    text: str
    """The library's words, the first time."""


class Component(NamedTuple):
    """One component as the library read it."""

    coefficients: NDArray[np.int16]
    """int16 `[blocks_high, blocks_wide, 64]`, natural order, not padded to MCUs (C2)."""
    table: NDArray[np.uint16] | None
    """Quantisation table: uint16 `[64]`, natural order, 0 to 65535 (Q4); None where the picture has none."""
    complete: bool
    """False where scans of the component are missing, as far as the scan headers tell."""


class Contents(NamedTuple):
    """The coefficients, tables and warnings of one picture."""

    components: tuple[Component, ...]
    """In the order of the frame header."""
    warnings: tuple[LibraryWarning, ...]
    """At most one of each kind."""


def no_cost() -> Cost:
    """The cost of a picture that has not been read yet."""
    return np.zeros(1, np.uintp)


def read_native(picture: bytes | memoryview, cost: Cost | None = None) -> Contents:
    """Read a picture with libjpeg-turbo; the GIL is released meanwhile.

    Args:
        picture: one JPEG that `markers.scan` accepts, from its SOI on.
        cost: of earlier reads of the picture; what this one costs is added.

    Raises:
        ValueError: the library cannot read it; the message is its own.
        OverflowError: it has more scans than are read, or more blocks in them, together with `cost` (P1).
        MemoryError: memory ran out.
    """
    assert _native is not None
    parts, warnings = _native.read(picture, no_cost() if cost is None else cost)
    components = tuple(
        Component(
            np.frombuffer(blocks, np.int16).reshape(high, wide, 64),
            None if table is None else np.frombuffer(table, np.uint16),
            complete,
        )
        for blocks, table, high, wide, complete in parts
    )
    return Contents(components, tuple(LibraryWarning(*warning) for warning in warnings))
