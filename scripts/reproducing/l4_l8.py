"""Svoboda, Hradis, Barina and Zemcik 2016: "Compression Artifacts Removal Using Convolutional Neural Networks"."""

from __future__ import annotations

from mjpeg_restore.catalogue import quality_label
from mjpeg_restore.restorer import Restorer
from reproducing import figures
from reproducing.figures import Series
from reproducing.measurement import Bench, Score
from reproducing.page import PLAIN, Page, compared

TITLE = "L4 and L8 (Svoboda et al. 2016)"
SETS = ("live1", "bsds500-test")
QUALITIES = (10, 20, 30, 40, 50, 60)

Table = dict[int, dict[str, Score | None]]

TABLE_3: Table = {
    10: {
        PLAIN: Score(27.77, 25.33, 0.791),
        "AR-CNN": Score(28.98, 28.70, 0.822),
        "L4": Score(29.08, 28.71, 0.824),
    },
    20: {
        PLAIN: Score(30.07, 27.57, 0.868),
        "AR-CNN": Score(31.29, 30.76, 0.887),
        "L4": Score(31.42, 30.83, 0.890),
        "L8": Score(31.51, 30.92, 0.891),
    },
}
"""LIVE1."""
TABLE_4: Table = {
    10: {
        PLAIN: Score(27.58, 24.97, 0.769),
        "AR-CNN": Score(28.74, 28.38, 0.796),
        "L4": Score(28.75, 28.29, 0.800),
    },
    20: {
        PLAIN: Score(29.72, 26.97, 0.852),
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


def reproduce(bench: Bench, page: Page) -> None:
    """Measure, and fill the page."""
    page.text(
        "Luma only, in limited range as computed by MATLAB's `rgb2ycbcr`, compressed as a grey JPEG. A gain is"
        " relative to the JPEG row of the same table; the difference is our gain minus the published one."
    )
    restored(bench, page, "live1", "Table 3: LIVE1", TABLE_3)
    restored(bench, page, "bsds500-test", "Table 4: BSDS500", TABLE_4)
    page.text(
        "The paper measures the validation set of BSDS500, 100 pictures; ours are those of its test set. So the two"
        " columns are of different pictures, and only the gains can be compared."
    )
    for model, quality in (("l4", 10), ("l4", 20), ("l8", 20)):
        if not bench.networks.own(model, quality):
            page.missing(f"{model.upper()} for Q{quality}", model, f"q{quality}")
    objectives(bench, page)
    generalisation(bench, page)


def restored(bench: Bench, page: Page, name: str, title: str, published: Table) -> None:
    """Tables 3 and 4."""
    page.heading(title)

    def networks(quality: int) -> dict[str, Restorer | None]:
        return {"L4": bench.networks.own("l4", quality), "L8": bench.networks.own("l8", quality)}

    page.comparison(name, compared(bench, name, "luma", published, networks))


def objectives(bench: Bench, page: Page) -> None:
    """Table 5: the three objectives at Q10."""
    page.heading("Table 5: the objectives, LIVE1 at Q10")
    networks = {"residual": bench.networks.own("l4", 10)}
    for method, stage in (("direct mapping", "q10-direct"), ("edge preserving", "q10-sobel")):
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
        "The paper's figure has a panel for each of the three objectives; this is the panel of residual learning."
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
    if not drawn:
        return
    own = [(q, a.psnr - b.psnr) for q, table in TABLE_3.items() if (a := table["L4"]) and (b := table[PLAIN])]
    drawn.append(Series("L4 at its own quality, published (table 3)", *zip(*own, strict=True), published=True))
    page.table("generalisation", ("gain in dB", *(f"Q{quality}" for quality in QUALITIES)), cells)
    figure = figures.lines(drawn, "quality of the JPEG", "PSNR gain over JPEG in dB", zero=True)
    page.figure(figure, "generalisation", "Gain of each L4 network at every quality")
