"""Ehrlich, Davis, Lim and Shrivastava 2020: "Quantization Guided JPEG Artifact Correction", and its appendices."""

from __future__ import annotations

import numpy as np
from measuring.metrics import psnr
from measuring.pictures import TITLES, Kind, Plane
from measuring.scores import samples, statistics, unnaturalness

from mjpeg_restore.restorer import Restorer
from reproducing import equivalence, figures, manifolds, spectrum, speed
from reproducing.figures import Series
from reproducing.measurement import Bench, Score
from reproducing.page import PLAIN, Page, compared

TITLE = "QGAC (Ehrlich et al. 2020)"
SETS = ("live1", "bsds500-test")
TENS = tuple(range(10, 101, 10))

METHOD = "QGAC"
SIDE = 192
"""Side of the picture that is shown, in samples."""
ALPHAS = (0.0, 0.7, 0.9, 1.0)
"""Interpolation weights of the paper; its figure 13 has 0.7."""
IDCN = "IDCN"
Published = dict[str, dict[int, dict[str, Score | None]]]

TABLE_1: Published = {
    "live1": {
        10: {PLAIN: Score(25.60, 23.53, 0.755), IDCN: Score(27.62, 27.32, 0.816), METHOD: Score(27.65, 27.40, 0.819)},
        20: {PLAIN: Score(27.96, 25.77, 0.837), IDCN: Score(30.01, 29.49, 0.881), METHOD: Score(29.92, 29.51, 0.882)},
        30: {PLAIN: Score(29.25, 27.10, 0.872), METHOD: Score(31.21, 30.71, 0.908)},
    },
    "bsds500-test": {
        10: {PLAIN: Score(25.72, 23.44, 0.748), IDCN: Score(27.61, 27.22, 0.805), METHOD: Score(27.69, 27.36, 0.810)},
        20: {PLAIN: Score(28.01, 25.57, 0.833), IDCN: Score(29.90, 29.20, 0.873), METHOD: Score(29.89, 29.29, 0.876)},
        30: {PLAIN: Score(29.31, 26.85, 0.869), METHOD: Score(31.15, 30.37, 0.903)},
    },
}
"""Colour."""
TABLE_2: Published = {
    "live1": {
        10: {
            PLAIN: Score(27.76, 25.32, 0.790),
            "MWCNN": Score(29.68, 29.30, 0.839),
            IDCN: Score(29.68, 29.32, 0.838),
            "DMCNN": Score(29.73, 29.43, 0.839),
            METHOD: Score(29.53, 29.15, 0.840),
        },
        20: {
            PLAIN: Score(30.05, 27.55, 0.868),
            "MWCNN": Score(32.00, 31.47, 0.901),
            IDCN: Score(32.05, 31.46, 0.900),
            "DMCNN": Score(32.07, 31.49, 0.901),
            METHOD: Score(31.86, 31.27, 0.901),
        },
        30: {
            PLAIN: Score(31.37, 28.90, 0.900),
            "MWCNN": Score(33.40, 32.76, 0.926),
            METHOD: Score(33.23, 32.50, 0.925),
        },
    },
    "bsds500-test": {
        10: {
            PLAIN: Score(27.86, 25.18, 0.785),
            "MWCNN": Score(29.63, 29.16, 0.831),
            IDCN: Score(29.60, 29.13, 0.829),
            "DMCNN": Score(29.66, 29.27, 0.831),
            METHOD: Score(29.54, 29.04, 0.833),
        },
        20: {
            PLAIN: Score(30.08, 27.28, 0.864),
            "MWCNN": Score(31.88, 31.12, 0.894),
            IDCN: Score(31.88, 31.05, 0.893),
            "DMCNN": Score(31.91, 31.13, 0.894),
            METHOD: Score(31.79, 30.96, 0.894),
        },
        30: {
            PLAIN: Score(31.37, 28.56, 0.896),
            "MWCNN": Score(33.23, 32.29, 0.920),
            METHOD: Score(33.12, 32.07, 0.920),
        },
    },
}
"""Luma alone."""
TABLE_3 = (
    (10, 50, Score(30.91, 28.94, 0.905), Score(30.19, 30.14, 0.889), Score(32.78, 32.19, 0.932)),
    (20, 50, Score(30.91, 28.94, 0.905), Score(31.91, 31.65, 0.916), Score(32.78, 32.19, 0.932)),
    (10, 20, Score(27.96, 25.77, 0.837), Score(29.25, 29.08, 0.863), Score(29.92, 29.51, 0.882)),
    (20, 10, Score(25.60, 23.53, 0.755), Score(26.95, 26.24, 0.804), Score(27.65, 27.40, 0.819)),
)
"""LIVE1, colour: quality that IDCN was trained for, quality of the pictures, scores of JPEG, IDCN and QGAC."""
TABLE_4 = {
    "live1": {10: (69.57, 35.86), 20: (36.32, 16.99), 30: (24.72, 12.20)},
    "bsds500-test": {10: (75.15, 34.80), 20: (42.46, 18.74), 30: (29.04, 13.03)},
}
"""FID of the regression network and of the GAN."""


def reproduce(bench: Bench, page: Page) -> None:
    """Measure, and fill the page."""
    network = bench.networks.shipped("qgac")
    page.text(
        "A gain is relative to the JPEG row of the same table; the difference is our gain minus the published one. In"
        " colour, PSNR is computed over all samples of R, G and B; PSNR-B and SSIM are means over the three channels,"
        " which comes nearest to the paper's JPEG rows. The remaining difference is due to chroma, which is upsampled"
        " here with a triangle filter, as in libjpeg. ICB and Classic-5 are not measured. The shipped network is"
        " compact: see the end of this page."
    )
    restored(bench, page, network, "Table 1: colour", "colour", TABLE_1)
    restored(bench, page, network, "Table 2: luma", "luma", TABLE_2)
    if not network:
        page.missing("QGAC", "qgac")
        return
    generalisation(bench, page, network)
    naturalness(bench, page, network)
    interpolation(bench, page)
    by_quality(bench, page, network)
    manifolds.show(page, network.model)
    equivalence.show(bench, page, network)
    spectrum.show(bench, page, network)
    speed.show(bench, page)


def restored(bench: Bench, page: Page, network: Restorer | None, title: str, kind: Kind, published: Published) -> None:
    """Tables 1 and 2."""
    page.heading(title)
    found = [
        compared(bench, name, kind, qualities, lambda quality: {METHOD: network})
        for name, qualities in published.items()
    ]
    page.comparison(kind, [row for rows in found for row in rows])


def generalisation(bench: Bench, page: Page, network: Restorer) -> None:
    """Table 3: one network for all qualities, compared with networks that were trained for another quality."""
    page.heading("Table 3: one network for all qualities, LIVE1, colour")
    page.text(
        "The paper applies IDCN's networks for Q10 and Q20 to pictures of other qualities. IDCN is not measured here;"
        " L4 replaces it in the rows *L4, for Q...*, and restores Y, Cb and Cr independently."
    )
    found = []
    for own, quality, plain, wrong, theirs in TABLE_3:
        wrongly = bench.networks.own("l4", own)
        if not wrongly:
            page.missing(f"L4 for Q{own}", "l4", f"q{own}")
        networks = {f"L4, for Q{own}": wrongly, METHOD: network}
        published = {quality: {PLAIN: plain, f"IDCN, for Q{own}": wrong, METHOD: theirs}}
        found += compared(bench, "live1", "colour", published, lambda quality, networks=networks: networks)
    page.comparison("generalisation", list(dict.fromkeys(found)))


def naturalness(bench: Bench, page: Page, network: Restorer) -> None:
    """Table 4: the distance of scene statistics, in place of FID."""
    page.heading("Table 4: naturalness, in place of FID")
    page.text(
        "FID needs an Inception network trained on ImageNet, which is not used. It is replaced by a distance of the"
        " same kind between the scene statistics of luma and those of the originals (`measuring.naturalness`): 0 for"
        " the originals themselves. The two distances have different scales: only the change from the regression to"
        " the textured network, in per cent, can be compared."
    )
    textured = bench.networks.shipped("qgac", texture=1.0)
    if not textured:
        page.missing("The textured network", "qgac")
    cells, drawn = [], {PLAIN: [], METHOD: []} | ({"textured": []} if textured else {})
    groups = []
    for name, published in TABLE_4.items():
        for quality, (regression, gan) in published.items():
            pairs = list(bench.coded(name, quality, "luma"))
            natural = statistics(original for _, original in pairs)
            far = {}
            for method, restorer in ((PLAIN, bench.decode), (METHOD, network), ("textured", textured)):
                found = unnaturalness((samples(restorer, coded) for coded, _ in pairs), natural) if restorer else None
                if found is not None:
                    far[method] = found
                    drawn[method].append(found)
            if not far:
                page.text(f"*{TITLES[name]} is left out: its pictures are too few or too small for statistics.*")
                break
            groups.append(f"{TITLES[name]} Q{quality}")
            row = [groups[-1], *far.values(), *([100 * (far["textured"] / far[METHOD] - 1)] if textured else [])]
            if textured:
                row.append(bench.gain(textured, name, quality, "luma"))
            cells.append([*row, regression, gan, 100 * (gan / regression - 1)])
    if not cells:
        return
    header = ["set", PLAIN, METHOD]
    header += ["textured", "change, %", "textured: gain in dB"] if textured else []
    page.table("naturalness", (*header, "FID, published", "FID of the GAN, published", "change, published, %"), cells)
    figure = figures.bars(groups, drawn, "distance of scene statistics from the originals'")
    page.figure(
        figure, "naturalness", "Distance of scene statistics from the originals': JPEG, restored, and with texture"
    )


def interpolation(bench: Bench, page: Page) -> None:
    """Appendix B.2: interpolation between the weights of the regression and of the GAN."""
    networks = {alpha: bench.networks.shipped("qgac", texture=alpha) for alpha in ALPHAS}
    if not all(networks.values()):
        return
    page.heading("Appendix B.2: model interpolation, at Q10")
    coded, picture = bench.example("live1", 10, "luma", SIDE)
    shown = [("original", picture), (PLAIN, samples(bench.decode, coded))]
    shown += [(f"alpha = {alpha:g}", samples(network, coded)) for alpha, network in networks.items() if network]
    page.figure(figures.gallery(shown, 3), "interpolation", "From regression to GAN, `--texture 0` to `--texture 1`")
    whole = detail(picture)
    cells = [[name, psnr(plane, picture), detail(plane) / whole] for name, plane in shown[1:]]
    page.table("interpolation", ("this picture", "PSNR", "fine detail, share of the original's"), cells)
    page.text("Fine detail is the mean square of the Laplacian.")


def detail(plane: Plane) -> float:
    """Mean square of the Laplacian."""
    samples = plane.astype(np.float64)
    inner = samples[1:-1, 1:-1]
    around = samples[:-2, 1:-1] + samples[2:, 1:-1] + samples[1:-1, :-2] + samples[1:-1, 2:]
    return float(np.mean((4 * inner - around) ** 2))


def by_quality(bench: Bench, page: Page, network: Restorer) -> None:
    """Figure 11: the gain at every quality."""
    page.heading("Figure 11: every quality, colour")
    drawn = [
        Series(TITLES[name], TENS, [bench.gain(network, name, quality, "colour") for quality in TENS], strong=True)
        for name in SETS
    ]
    page.table("by_quality", ("gain in dB", *(f"Q{quality}" for quality in TENS)), [[s.label, *s.y] for s in drawn])
    for name, table in TABLE_1.items():
        gains = [a.psnr - b.psnr for row in table.values() if (a := row[METHOD]) and (b := row[PLAIN])]
        drawn.append(Series(f"{TITLES[name]}, published (table 1)", list(table), gains, published=True))
    figure = figures.lines(drawn, "quality of the JPEG", "PSNR gain over JPEG in dB", zero=True)
    page.figure(figure, "by-quality", "Gain of the one network at qualities 10 to 100")
    page.text(
        "For its figure 11 the paper gives numbers only at the qualities of table 1; they are the marks called"
        " published. BSDS500's rise beyond Q80 is due to its originals, which are JPEGs themselves, of about Q95."
    )
