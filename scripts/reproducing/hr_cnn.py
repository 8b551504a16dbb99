"""HR-CNN: the heterogeneous residual network from coefficients to samples (sections II and III)."""

from __future__ import annotations

from typing import Any

import numpy as np
from measuring.machine import machine

from reproducing import figures
from reproducing.measurement import Bench, Score
from reproducing.networks import architecture, with_weights
from reproducing.page import PLAIN, Page, compared

TITLE = "HR-CNN"
SETS = ("live1",)
QUALITIES = (10, 30, 50)

METHOD = "HR-CNN"
TABLE_2: dict[int, dict[str, Score | None]] = {
    10: {PLAIN: Score(27.19, None, 0.8732), METHOD: Score(28.64, None, 0.8982)},
    30: {PLAIN: Score(31.00, None, 0.9421), METHOD: Score(32.41, None, 0.9537)},
    50: {PLAIN: Score(32.87, None, 0.9603), METHOD: Score(34.15, None, 0.9682)},
}
"""PSNR and SSIM on LIVE1's green channel."""
TABLE_2_SECONDS = {10: (2.81, 6.29), 30: (2.84, 6.27), 50: (2.79, 6.31)}
"""Seconds for the whole of LIVE1: the authors' own JPEG decoder on a CPU, and HR-CNN "with GPU acceleration"."""
TABLE_3_PARAMETERS = {"decoding": 275_089, "detail enhancement": 232_068, "all": 507_157}

SIDE = 256
"""Side of the picture of figure 4, in samples."""


def reproduce(bench: Bench, page: Page) -> None:
    """Measure, and fill the page."""
    page.text(
        "As in section III.B, the green channel is taken as the picture and compressed as a grey JPEG with the"
        " luminance table. The paper does not say how it computes SSIM, and no usual way gives the SSIM of its JPEG"
        " rows; so of SSIM, too, only the gains can be compared. Ours has a uniform 8x8 window. The networks were"
        " trained on luma, not on green."
    )
    page.heading("Table II: LIVE1")
    own = {quality: bench.networks.own("hr-cnn", quality) for quality in TABLE_2}
    page.comparison("live1", compared(bench, "live1", "green", TABLE_2, lambda quality: {METHOD: own[quality]}))
    seconds: list[list[str | float]] = []
    for quality, network in own.items():
        if not network:
            page.missing(f"HR-CNN for Q{quality}", "hr-cnn", f"q{quality}")
        timed = [bench.seconds(each, "live1", quality, "green") if each else "-" for each in (bench.decode, network)]
        seconds.append([f"Q{quality}", *timed, *TABLE_2_SECONDS[quality]])
    page.text(
        f"Seconds for all {len(bench.pictures('live1'))} pictures, from JPEGs in memory to samples. Ours were measured"
        f" on the CPU named at the end of this page, at a load of {machine().load:.1f}; the three networks differ in"
        " their weights only. The published times are of 29 pictures, with the authors' own JPEG decoder on a CPU, and"
        " HR-CNN on a GPU."
    )
    header = ("quality", "JPEG", "HR-CNN", "JPEG, published", "HR-CNN, published")
    page.table("seconds", header, seconds)
    parameters(page)
    snapshots(bench, page)


def parameters(page: Page) -> None:
    """Table III: parameters of the network that the recipe builds."""
    page.heading("Table III: trainable parameters")
    network: Any = architecture("hr-cnn", "q10")
    counted = {"detail enhancement": sum(p.numel() for p in network.details.parameters())}
    counted["all"] = sum(p.numel() for p in network.parameters())
    counted["decoding"] = counted["all"] - counted["detail enhancement"]
    cells = [
        [segment, f"{counted[segment]:,}", f"{theirs:,}", f"{counted[segment] - theirs:+,}"]
        for segment, theirs in TABLE_3_PARAMETERS.items()
    ]
    page.table("parameters", ("segment", "ours", "published", "difference"), cells)


def snapshots(bench: Bench, page: Page) -> None:
    """Figure 4: snapshots of a picture at six points of the network."""
    page.heading("Figure 4: from coefficients to a picture, at Q10")
    shipped = bench.networks.own("hr-cnn", 10)
    if not shipped:
        page.missing("The snapshots of figure 4", "hr-cnn", "q10")
        return
    import torch

    network: Any = with_weights(shipped.model, "q10", 10)
    coded, _ = bench.example("live1", 10, "green", SIDE)
    inputs = [torch.from_numpy(array.astype(np.float32))[None] for array in (coded.coefficients[0], coded.tables[0])]
    with torch.no_grad():
        found = {name: snapshot[0].numpy() for name, snapshot in network.snapshots(*inputs).items()}
    titles = (
        "(a) coefficients",
        "(b) first channel, split",
        "(c) first channel, reconstructed",
        "(d) decoded",
        "(e) after two residual blocks",
        "(f) output",
    )
    shown = []
    for title, (name, snapshot) in zip(titles, found.items(), strict=True):
        if name in ("decoded", "second block", "output"):
            shown.append((title, np.clip(255 * snapshot, 0, 255).astype(np.uint8)))
        else:
            # Coefficients spread over orders of magnitude.
            shown.append((title, np.sign(snapshot) * np.log1p(np.abs(255 * snapshot)) if name == "input" else snapshot))
    page.figure(figures.gallery(shown, 3), "snapshots", "Six snapshots of one picture on its way through HR-CNN")
