"""QGAC, appendix B.4: the frequency content of pictures before compression, after it, and restored."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from measuring.pictures import Plane
from measuring.scores import samples
from numpy.typing import NDArray

from mjpeg_restore.jpeg.dct import to_coefficients
from mjpeg_restore.restorer import Restorer
from reproducing import figures
from reproducing.figures import Series
from reproducing.measurement import Bench
from reproducing.page import Page

DIAGONAL = np.add.outer(np.arange(8), np.arange(8)).reshape(64)
"""The diagonal, 0..14, of each coefficient: its horizontal plus its vertical frequency."""
LEAST = 1.0
"""Minimum magnitude of a coefficient that counts as set: rounding samples to integers causes smaller ones."""


def present(plane: Plane) -> NDArray[np.float64]:
    """The share of set coefficients on each of the 15 diagonals."""
    high, wide = (length // 8 * 8 for length in plane.shape)
    large = np.abs(to_coefficients(plane[:high, :wide])) >= LEAST
    shares = large.reshape(-1, 64).mean(axis=0)
    return np.bincount(DIAGONAL, shares) / np.bincount(DIAGONAL)


def show(bench: Bench, page: Page, network: Restorer) -> None:
    """Measure originals, JPEGs and restored pictures, and fill the section."""
    page.heading("Appendix B.4, figure 7: frequencies, LIVE1 at Q10, luma")
    networks = {
        "JPEG": bench.decode,
        "restored": network,
        "with texture": bench.networks.shipped("qgac", texture=1.0),
    }
    originals = [present(original) for _, original in bench.coded("live1", 10, "luma")]
    found: dict[str, Sequence[float]] = {"original": np.mean(originals, axis=0).tolist()}
    for name, restorer in networks.items():
        if restorer:

            def measure(restorer: Restorer = restorer) -> tuple[float, ...]:
                shares = [present(samples(restorer, coded)) for coded, _ in bench.coded("live1", 10, "luma")]
                return tuple(np.mean(shares, axis=0).tolist())

            found[name] = bench.values(restorer, 10, f"shares of coefficients, {bench.described('live1')}", measure)
    page.text(
        "The share of non-zero coefficients on each of the 15 diagonals of a block. A coefficient counts as non-zero"
        " from a magnitude of 1 on: rounding samples to integers causes smaller ones. The paper's figure 7 shows"
        " single pictures without numbers; these are means over the set."
    )
    cells = [[f"{diagonal}", *(100 * shares[diagonal] for shares in found.values())] for diagonal in range(15)]
    page.table("spectrum", ("frequency", *(f"{name}, %" for name in found)), cells)
    drawn = [
        Series(name, range(15), [100 * share for share in shares], strong=name == "original")
        for name, shares in found.items()
    ]
    figure = figures.lines(drawn, "frequency across plus frequency down", "coefficients that are set, %")
    page.figure(
        figure, "spectrum", "Share of non-zero coefficients by frequency: original, JPEG, restored, with texture"
    )
