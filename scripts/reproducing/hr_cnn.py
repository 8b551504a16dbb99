"""HR-CNN: the heterogeneous residual network from coefficients to samples (sections II and III)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from measuring import pictures
from measuring.pictures import Plane
from measuring.scores import judge, samples

from mjpeg_restore.jpeg import read
from mjpeg_restore.restorer import Restorer
from reproducing import figures
from reproducing.measurement import Bench, Score
from reproducing.networks import architecture, with_weights
from reproducing.page import PLAIN, Page, compared

TITLE = "HR-CNN"
SQUARES = "cid22-validation/128"
"""The set of table I: pictures in the paper's size."""
SETS = ("live1", SQUARES)
QUALITIES = (10, 30, 50)

METHOD = "HR-CNN"
TABLE_1: dict[int, dict[str, Score | None]] = {
    10: {PLAIN: Score(30.13, None, 0.8957), METHOD: Score(31.79, None, 0.9202)},
    30: {PLAIN: Score(34.29, None, 0.9510), METHOD: Score(35.70, None, 0.9613)},
    50: {PLAIN: Score(36.06, None, 0.9652), METHOD: Score(37.19, None, 0.9719)},
}
"""PSNR and SSIM of 14,040 squares of 128x128 from DIV2K, green channel."""
TABLE_2: dict[int, dict[str, Score | None]] = {
    10: {PLAIN: Score(27.19, None, 0.8732), METHOD: Score(28.64, None, 0.8982)},
    30: {PLAIN: Score(31.00, None, 0.9421), METHOD: Score(32.41, None, 0.9537)},
    50: {PLAIN: Score(32.87, None, 0.9603), METHOD: Score(34.15, None, 0.9682)},
}
"""PSNR and SSIM on LIVE1's green channel."""
TABLE_2_SECONDS = {10: (2.81, 6.29), 30: (2.84, 6.27), 50: (2.79, 6.31)}
"""Seconds for the whole of LIVE1: the authors' own JPEG decoder on a CPU, and HR-CNN "with GPU acceleration"."""
TABLE_3_PARAMETERS = {"decoding": 275_089, "detail enhancement": 232_068, "all": 507_157}
TABLE_3: dict[str, tuple[float, float, int | None]] = {
    METHOD: (1.44, 2.50, 507_157),
    "AR-CNN": (1.19, 3.1, 106_448),
    "SA-DCT": (0.88, 1.88, None),
    "L4": (1.31, 3.3, 71_920),
    "MemNet": (1.68, 4.6, 2_905_421),
    "TNRD": (1.38, 3.8, 26_645),
    "DnCNN": (1.42, 3.9, 668_225),
    "D-GAN": (-0.48, -1.8, None),
    "DA-CAR": (1.31, 3.2, 106_336),
    "CAS-CNN": (1.67, 4.2, 5_144_000),
    "SA-CAR": (1.39, 3.5, 131_392),
}
"""Gains of PSNR in dB and of SSIM in percent on LIVE1 at Q10, and parameters."""

SIDE = 256
"""Side of the picture of figure 4, in samples."""
EXAMPLES = ("bikes", "buildings")
"""Pictures of figure 5; the paper does not name its own."""
CROP = 64
"""Side of the parts of them that are shown, in samples."""


def reproduce(bench: Bench, page: Page) -> None:
    """Measure, and fill the page."""
    page.text(
        "As in section III.B, the green channel is taken as the picture and compressed as a grey JPEG with the"
        " luminance table. The paper does not say how it computes SSIM, and no usual way gives the SSIM of its JPEG"
        " rows; so of SSIM, too, only the gains can be compared. Ours has a uniform 8x8 window. The networks were"
        " trained on luma, not on green."
    )
    own = {quality: bench.networks.own("hr-cnn", quality) for quality in QUALITIES}
    page.heading("Table I: squares of 128x128")
    count = len(bench.pictures(SQUARES))
    page.text(
        "The paper measures 14,040 squares of DIV2K's test pictures, which are not at hand. Ours are"
        f" {count} squares of CID22's validation pictures; our networks were trained on others of that collection. The"
        " two columns are of different pictures; so no difference is given."
    )
    squares = compared(bench, SQUARES, "green", TABLE_1, lambda quality: {METHOD: own[quality]})
    page.comparison("squares", [replace(row, whole=False) for row in squares])
    page.heading("Table II: LIVE1")
    page.comparison("live1", compared(bench, "live1", "green", TABLE_2, lambda quality: {METHOD: own[quality]}))
    for quality, network in own.items():
        if not network:
            page.missing(f"HR-CNN for Q{quality}", "hr-cnn", f"q{quality}")
    times(bench, page, own)
    parameters(page)
    rivals(bench, page)
    snapshots(bench, page)
    examples(bench, page)
    page.not_made("Figures 1 to 3", "are drawings of the method")
    page.not_made("The other methods of table III", "are not measured: their weights are not at hand")


def times(bench: Bench, page: Page, networks: dict[int, Restorer | None]) -> None:
    """The times of table II; `networks` by quality."""
    cells: list[list[str | float]] = []
    loads: list[float] = []
    for quality, network in networks.items():
        cells.append([f"Q{quality}"])
        for restorer in (bench.decode, network):
            if restorer:
                timing = bench.set_timing(restorer, "live1", quality, "green")
                loads.append(timing.load)
            cells[-1].append(timing.seconds if restorer else "-")
        cells[-1] += TABLE_2_SECONDS[quality]
    page.text(
        f"Seconds for all {len(bench.pictures('live1'))} pictures, from JPEGs in memory to samples. Ours were measured"
        f" on the CPU named at the end of this page, at a load of up to {max(loads):.1f}; the three networks differ in"
        " their weights only. The published times are of 29 pictures, with the authors' own JPEG decoder on a CPU, and"
        " HR-CNN on a GPU."
    )
    page.table("seconds", ("quality", "JPEG", "HR-CNN", "JPEG, published", "HR-CNN, published"), cells)


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


def rivals(bench: Bench, page: Page) -> None:
    """Table III: gains and parameters of all its methods."""
    page.heading("Table III: comparison, LIVE1 at Q10")
    page.text(
        "Gains over the JPEG, of PSNR in dB and of SSIM in percent. HR-CNN's are of green; in table II its gain is"
        " +1.45. L4's is that of its own paper, of luma. Ours are measured likewise, HR-CNN's on green, the others' on"
        " luma; AR-CNN and DnCNN have their authors' weights."
    )
    networks = {
        METHOD: bench.networks.own("hr-cnn", 10),
        "AR-CNN": bench.networks.peer("AR-CNN", 10),
        "L4": bench.networks.own("l4", 10),
        "DnCNN": bench.networks.peer("DnCNN-3", 10),
    }
    cells: list[list[str]] = []
    for method, (psnr, similar, count) in TABLE_3.items():
        kind = "green" if method == METHOD else "luma"
        network = networks.get(method)
        ours = ["-"] * 3
        if network:
            restored, plain = (bench.score(each, "live1", 10, kind) for each in (network, bench.decode))
            assert restored.ssim is not None and plain.ssim is not None
            percent = 100 * (restored.ssim - plain.ssim)
            ours = [f"{restored.psnr - plain.psnr:+.2f}", f"{percent:+.2f}", f"{network.model.parameters:,}"]
        theirs = [f"{psnr:+.2f}", f"{similar:+.2f}", "-" if count is None else f"{count:,}"]
        cells.append([method, *(cell for pair in zip(ours, theirs, strict=True) for cell in pair)])
    header = [word for name in ("PSNR", "SSIM", "parameters") for word in (name, f"{name}, published")]
    page.table("rivals", ("method", *header), cells)


def examples(bench: Bench, page: Page) -> None:
    """Figure 5: two pictures at each quality, with PSNR and SSIM."""
    page.heading("Figure 5: two pictures")
    shown: list[tuple[str, Plane]] = []
    names: list[str] = []
    for stem in EXAMPLES:
        name, picture = bench.picture("live1", stem)
        original = pictures.original(picture, "green")
        for quality in QUALITIES:
            coded = read(pictures.encode(original, quality))
            for method, network in ((PLAIN, bench.decode), (METHOD, bench.networks.own("hr-cnn", quality))):
                if network:
                    restored = samples(network, coded)
                    psnr, _, similar = judge(restored, original)
                    title = f"{name}, Q{quality}, {method}\n{psnr:.2f} dB, {100 * similar:.1f} %"
                    shown.append((title, pictures.middle(restored, CROP)))
        names.append(name)
    page.text(
        f"The paper does not name its two pictures; these are {' and '.join(names)} of LIVE1. PSNR and SSIM are of the"
        " whole picture; its middle is shown."
    )
    page.figure(
        figures.gallery(shown, 2 * len(QUALITIES)), "examples", "Two pictures at Q10, Q30 and Q50: JPEG and restored"
    )


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
