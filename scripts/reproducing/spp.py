"""Simple post-processing: JPEG compression again, of shifted versions of the decoded picture, averaged (Nosratinia)."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np

from mjpeg_restore import catalogue
from mjpeg_restore.frames import CodedPicture, Picture
from mjpeg_restore.jpeg.dct import DCT_MATRIX, to_coefficients
from mjpeg_restore.restorer import Restorer


class SimplePostProcessing(Restorer):
    """The plain decode of a grey picture, compressed again at all 64 positions of the grid with the same table."""

    def __init__(self, device: str) -> None:
        super().__init__(replace(catalogue.find(catalogue.DECODE), name="spp"), device)

    def restore(self, coded: CodedPicture) -> Picture:
        """Restore one picture; see `Restorer.restore`."""
        decoded = super().restore(coded)
        (plane,) = decoded.planes
        high, wide = plane.shape
        # A border for the shift, and to whole blocks from there on.
        around = np.pad(plane, [(8, 8 + -length % 8) for length in plane.shape], mode="edge")
        table = coded.tables[0].astype(np.float64)
        total = np.zeros(plane.shape)
        for down, across in product(range(8), repeat=2):
            shifted = around[down : down + 8 + high + -high % 8, across : across + 8 + wide + -wide % 8]
            blocks = np.rint(to_coefficients(shifted) / table) * table @ DCT_MATRIX + 128
            again = blocks.reshape(*blocks.shape[:2], 8, 8).swapaxes(1, 2).reshape(shifted.shape)
            total += again[8 - down : 8 - down + high, 8 - across : 8 - across + wide].clip(0, 255)
        return replace(decoded, planes=(np.rint(total / 64).astype(np.uint8),))
