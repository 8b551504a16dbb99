"""Svoboda, Hradis, Barina and Zemcik 2016: "Compression Artifacts Removal Using Convolutional Neural Networks"."""

from __future__ import annotations

import numpy as np
from measuring import pictures
from measuring.machine import machine
from measuring.metrics import psnr
from measuring.reading import median_ms
from measuring.scores import samples
from numpy.typing import NDArray

from mjpeg_restore.catalogue import Model, quality_label
from mjpeg_restore.jpeg import read
from mjpeg_restore.restorer import Restorer
from reproducing import figures
from reproducing.figures import Series
from reproducing.measurement import Bench, Score
from reproducing.page import PLAIN, Page, compared
from reproducing.spp import SimplePostProcessing

TITLE = "L4 and L8 (Svoboda et al. 2016)"
SETS = ("live1", "bsds500-test")
QUALITIES = (10, 20, 30, 40, 50, 60)

Table = dict[int, dict[str, Score | None]]

TABLE_3: Table = {
    10: {
        PLAIN: Score(27.77, 25.33, 0.791),
        "spp": Score(28.37, 27.77, 0.806),
        "SA-DCT": Score(28.65, 28.01, 0.809),
        "AR-CNN": Score(28.98, 28.70, 0.822),
        "L4": Score(29.08, 28.71, 0.824),
    },
    20: {
        PLAIN: Score(30.07, 27.57, 0.868),
        "spp": Score(30.49, 29.22, 0.877),
        "SA-DCT": Score(30.81, 29.82, 0.878),
        "AR-CNN": Score(31.29, 30.76, 0.887),
        "L4": Score(31.42, 30.83, 0.890),
        "L8": Score(31.51, 30.92, 0.891),
    },
}
"""LIVE1."""
TABLE_4: Table = {
    10: {
        PLAIN: Score(27.58, 24.97, 0.769),
        "spp": Score(28.13, 27.49, 0.782),
        "AR-CNN": Score(28.74, 28.38, 0.796),
        "L4": Score(28.75, 28.29, 0.800),
    },
    20: {
        PLAIN: Score(29.72, 26.97, 0.852),
        "spp": Score(30.11, 28.68, 0.859),
        "AR-CNN": Score(30.80, 30.08, 0.868),
        "L4": Score(30.90, 30.13, 0.871),
        "L8": Score(30.99, 30.19, 0.872),
    },
}
"""BSDS500's validation set."""
TABLE_5: dict[str, Score | None] = {
    "direct mapping": Score(28.99, 28.66, 0.820),
    "edge preserving": Score(28.69, 28.40, 0.813),
    "residual": Score(29.08, 28.71, 0.824),
}
"""LIVE1 at Q10, beside the JPEG of table 3: the row "Distorted" of table 5 is that of table 4."""
SPEED = {"l4": (220, 140_000), "l8": (1052, 440_000)}
"""Milliseconds for a megapixel on a GeForce GTX 780, and floating point operations per pixel."""

OBJECTIVES = {"direct mapping": "q10-direct", "edge preserving": "q10-sobel"}
"""Stages of L4's recipe, by the names of table 5."""
MEGAPIXEL = (1000, 1000)
SECONDS = 5.0
"""Time for each network of the table of speeds."""
CROP = 128
"""Side of the pictures of figure 4, in samples."""


def reproduce(bench: Bench, page: Page) -> None:
    """Measure, and fill the page."""
    page.text(
        "Luma only, in limited range as computed by MATLAB's `rgb2ycbcr`, compressed as a grey JPEG. A gain is"
        " relative to the JPEG row of the same table; the difference is our gain minus the published one."
    )
    restored(bench, page, "live1", "Table 3: LIVE1", TABLE_3)
    page.text(
        "The published spp is FFmpeg's filter; ours is its principle: the decoded picture is compressed again with the"
        " same table at all 64 positions of the grid, and the results are averaged. Ours of AR-CNN, if there are any,"
        " are measured with its authors' weights."
    )
    restored(bench, page, "bsds500-test", "Table 4: BSDS500", TABLE_4)
    page.text(
        "The paper measures the validation set of BSDS500, 100 pictures; ours are those of its test set. So the two"
        " columns are of different pictures, and only the gains can be compared."
    )
    for model, quality in (("l4", 10), ("l4", 20), ("l8", 20)):
        if not bench.networks.own(model, quality):
            page.missing(f"{model.upper()} for Q{quality}", model, f"q{quality}")
    comparison(bench, page)
    objectives(bench, page)
    generalisation(bench, page)
    filters(bench, page)
    if bench.whole("live1"):  # a quick trial has no times
        speed(bench, page)
    page.not_made("Figures 1 to 3", "are drawings of the method")
    page.not_made("SA-DCT", "is not measured: its authors' program is not at hand")
    page.not_made(
        "Figure 6, the gain during training,",
        "needs the course of three trainings; of ours only the ends are kept. Table 5 has the ends",
    )
    page.not_made(
        "Figure 8, the gain by the number of training pictures,",
        "needs ten further trainings, of both networks on 4 to 400 pictures: ours all learnt from the same pictures",
    )


def restored(bench: Bench, page: Page, name: str, title: str, published: Table) -> None:
    """Tables 3 and 4."""
    page.heading(title)

    def networks(quality: int) -> dict[str, Restorer | None]:
        spp = bench.networks.other(("spp",), lambda: SimplePostProcessing(bench.networks.device))
        peers = {"AR-CNN": bench.networks.peer("AR-CNN", quality)}
        return {"spp": spp, **peers, "L4": bench.networks.own("l4", quality), "L8": bench.networks.own("l8", quality)}

    page.comparison(name, compared(bench, name, "luma", published, networks))


def comparison(bench: Bench, page: Page) -> None:
    """Figure 4: a picture at Q20, restored."""
    name, picture = bench.picture("live1", "lighthouse3")
    page.heading(f"Figure 4: the picture {name} at Q20")
    original = pictures.original(picture, "luma")
    coded = read(pictures.encode(original, 20))
    shown: list[tuple[str, NDArray[np.uint8]]] = []
    networks = {
        PLAIN: bench.decode,
        "AR-CNN": bench.networks.peer("AR-CNN", 20),
        "L4": bench.networks.own("l4", 20),
        "L8": bench.networks.own("l8", 20),
    }
    for method, network in networks.items():
        if network:
            restored = samples(network, coded)
            shown.append((f"{method}, {psnr(restored, original):.2f} dB", pictures.middle(restored, CROP)))
    shown.append(("original", pictures.middle(original, CROP)))
    page.text("PSNR is that of the whole picture, in luma; its middle is shown.")
    page.figure(figures.gallery(shown, 3), "comparison", f"The middle of {name} at Q20: JPEG, restored, original")


def objectives(bench: Bench, page: Page) -> None:
    """Table 5: the three objectives at Q10."""
    page.heading("Table 5: the objectives, LIVE1 at Q10")
    networks = {"residual": bench.networks.own("l4", 10)}
    for method, stage in OBJECTIVES.items():
        networks[method] = bench.networks.ablation("l4", stage)
        if not networks[method]:
            page.missing(f"{method.capitalize()} for Q10", "l4", stage, ablation=True)
    published = {10: {PLAIN: TABLE_3[10][PLAIN], **TABLE_5}}
    page.comparison("objectives", compared(bench, "live1", "luma", published, lambda quality: networks))
    page.text('In the paper, the row "Distorted" of this table repeats that of BSDS500; here it is the one of table 3.')
    if networks["direct mapping"] or networks["edge preserving"]:
        page.text(
            "The networks for direct mapping and edge preserving were trained on fewer batches: see the end of"
            " this page."
        )


def generalisation(bench: Bench, page: Page) -> None:
    """Figure 5: the gain of each network at every quality."""
    page.heading("Figure 5: each network at every quality, LIVE1")
    page.text(
        "The paper's figure has a panel for each of the three objectives. This is the panel of residual learning; of"
        " the other two there is one network each, for Q10."
    )
    drawn, cells = [], []
    for ends in [*((q, q) for q in QUALITIES), (10, 60)]:
        network = bench.networks.shipped("l4", ends)
        name = quality_label(ends)
        if not network:
            page.missing(f"L4 for {name}", "l4", name.lower())
            continue
        gains = [bench.gain(network, "live1", quality, "luma") for quality in QUALITIES]
        drawn.append(Series(f"L4 {name}", QUALITIES, gains, strong=ends[0] != ends[1]))
        cells.append([f"L4 {name}", *gains])
    for method, stage in OBJECTIVES.items():
        network = bench.networks.ablation("l4", stage)
        if network:
            gains = [bench.gain(network, "live1", quality, "luma") for quality in QUALITIES]
            drawn.append(Series(f"L4 Q10, {method}", QUALITIES, gains))
            cells.append([f"L4 Q10, {method}", *gains])
    if not drawn:
        return
    own = [(q, a.psnr - b.psnr) for q, table in TABLE_3.items() if (a := table["L4"]) and (b := table[PLAIN])]
    drawn.append(Series("L4 at its own quality, published (table 3)", *zip(*own, strict=True), published=True))
    page.table("generalisation", ("gain in dB", *(f"Q{quality}" for quality in QUALITIES)), cells)
    figure = figures.lines(drawn, "quality of the JPEG", "PSNR gain over JPEG in dB", zero=True)
    page.figure(figure, "generalisation", "Gain of each L4 network at every quality")


def filters(bench: Bench, page: Page) -> None:
    """Figure 7: the filters of L4's first layer, for each objective."""
    page.heading("Figure 7: filters of L4's first layer, Q10")
    networks = {"residual": bench.networks.own("l4", 10)}
    networks |= {method: bench.networks.ablation("l4", stage) for method, stage in OBJECTIVES.items()}
    shown = [
        (method, figures.mosaic(first_filters(network.model), 8)) for method, network in networks.items() if network
    ]
    if not shown:
        return
    page.text(
        "The paper shows them at three stages of the training of each network; these are the shipped networks', at the"
        " end. Each filter is scaled by its own largest weight; grey is zero."
    )
    page.figure(figures.gallery(shown, 3), "filters", "The 48 filters of 11x11 of L4's first layer, for each objective")


def first_filters(model: Model) -> NDArray[np.float32]:
    """The filters of the first layer of L4, float32 `[48, 11, 11]`."""
    from mjpeg_restore.models.graph import initializers

    weights = initializers(model.variants[0].graphs["grey"].path())
    return next(w[:, 0].astype(np.float32) for w in weights.values() if w.ndim == 4 and w.shape[1:] == (1, 11, 11))


def speed(bench: Bench, page: Page) -> None:
    """Section 4, "Speed": milliseconds for a megapixel."""
    page.heading("Speed")
    picture = pictures.original(pictures.filled(bench.pictures("live1")[0], *MEGAPIXEL), "luma")
    coded = read(pictures.encode(picture, 20))
    cells: list[list[str]] = []
    loads: list[float] = []
    for name, (milliseconds, operations) in SPEED.items():
        network = bench.networks.own(name, 20)
        if not network:
            continue

        def measure(network: Restorer = network) -> float:
            network.restore(coded)  # loads, too
            return median_ms(lambda: network.restore(coded), SECONDS) / 1000

        timing = bench.timing(network, 20, "seconds for a megapixel, luma", measure)
        loads.append(timing.load)
        own = 2 * network.model.macs_per_pixel / 1.5  # without Cb and Cr, at a quarter of luma's size each
        figures_of = (1000 * timing.seconds, milliseconds, own / 1000, operations / 1000)
        cells.append([name.upper(), *(f"{figure:,.0f}" for figure in figures_of)])
    if not cells:
        return
    here = machine()
    page.text(
        f"A grey picture of {MEGAPIXEL[0]}x{MEGAPIXEL[1]}, from coefficients to samples, on {here.cpu}, {here.cores}"
        f" cores, at a load of up to {max(loads):.1f}. The published times are those of a GeForce GTX 780 of 2013."
        " Operations are multiplications and additions, counted separately, in thousands per pixel."
    )
    page.table("speed", ("network", "ms", "ms, published", "operations", "operations, published"), cells)
