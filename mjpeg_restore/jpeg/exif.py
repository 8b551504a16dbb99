"""The orientation tag of EXIF, the only one that matters to a video (H5)."""

from __future__ import annotations

import struct
from typing import Final

_ORIENTATION: Final = 0x0112


def orientation(tiff: bytes) -> int:
    """The orientation in the first directory of a TIFF structure, 1 to 8; 1 (upright) if it is missing or invalid."""
    order = {b"II": "<", b"MM": ">"}.get(tiff[:2])
    if order is None:
        return 1
    try:
        (directory,) = struct.unpack_from(order + "I", tiff, 4)
        (entries,) = struct.unpack_from(order + "H", tiff, directory)
        for entry in range(directory + 2, directory + 2 + 12 * entries, 12):
            tag, _, _, value = struct.unpack_from(order + "HHIH", tiff, entry)
            if tag == _ORIENTATION:
                return value if 1 <= value <= 8 else 1
    except struct.error:  # a broken EXIF segment is never a reason to refuse a picture
        pass
    return 1
