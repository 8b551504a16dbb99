"""QGCN (Li, Wang, Xie and Ma 2020): one network, conditioned on the quantisation tables and the whole picture."""

from __future__ import annotations

from measuring.pictures import Kind

from mjpeg_restore.catalogue import training_time
from mjpeg_restore.restorer import Restorer
from reproducing import figures
from reproducing.figures import Series
from reproducing.measurement import Bench, Score
from reproducing.page import PLAIN, Page, compared

TITLE = "QGCN (Li et al. 2020)"
SETS = ("live1", "bsds500-test")
QUALITIES = (10, 20, 30, 40, 50)

SIZES = {"N = 8, compact": "qgcn", **{f"N = {blocks}": f"qgcn-{blocks}" for blocks in (8, 16, 32, 64)}}
"""Models of the catalogue by N, the residual blocks of a group, of figure 8."""
ABLATIONS = {"EDSR": "edsr", "QCN": "qcn"}
SHIPPED = {**ABLATIONS, "QGCN": "qgcn"}
"""Models of the catalogue by the names of tables II and III."""
SHRINK = (1, 2, 3, 4)
"""Scale divisors of figure 9: 1, 1/4, 1/9 and 1/16 of the area."""

Published = dict[str, dict[int, dict[str, Score | None]]]


def _table(methods: tuple[str, ...], figures_: dict[str, tuple[str, ...]]) -> Published:
    """Parse a table of the paper: for each set and quality a line of PSNR, one of SSIM and one of PSNR-B."""
    found: Published = {}
    for name, lines in figures_.items():
        values = [tuple(map(float, line.split())) for line in lines]
        for index, quality in enumerate(QUALITIES):
            columns = zip(*values[3 * index : 3 * index + 3], strict=True)
            scores = (Score(psnr, blocky, similar) for psnr, similar, blocky in columns)
            found.setdefault(name, {})[quality] = dict(zip(methods, scores, strict=True))
    return found


TABLE_2 = _table(
    (PLAIN, "EDSR", "QCN", "QGCN"),
    {
        "live1": (
            *("25.60 27.44 27.56 27.84", "0.7454 0.8008 0.8035 0.8182", "21.03 26.51 26.73 27.01"),
            *("27.96 29.77 29.94 30.16", "0.8288 0.8695 0.8724 0.8831", "23.20 28.31 28.57 28.87"),
            *("29.25 31.06 31.25 31.49", "0.8642 0.8979 0.9006 0.9093", "24.56 29.43 29.60 29.94"),
            *("30.16 31.96 32.17 32.39", "0.8846 0.9136 0.9161 0.9236", "25.61 30.29 30.41 30.75"),
            *("30.91 32.66 32.88 33.12", "0.8990 0.9244 0.9267 0.9334", "26.52 31.02 31.09 31.43"),
        ),
        "bsds500-test": (
            *("25.75 27.56 27.66 27.90", "0.7545 0.8085 0.8109 0.8160", "20.73 26.22 26.59 26.79"),
            *("28.11 29.84 30.00 30.20", "0.8402 0.8772 0.8798 0.8831", "22.80 27.76 28.10 28.32"),
            *("29.45 31.15 31.32 31.51", "0.8762 0.9052 0.9075 0.9101", "24.11 28.73 28.97 29.22"),
            *("30.40 32.07 32.24 32.42", "0.8966 0.9209 0.9230 0.9251", "25.07 29.45 29.61 29.85"),
            *("31.19 32.83 33.00 33.18", "0.9111 0.9320 0.9338 0.9358", "25.98 30.21 30.28 30.52"),
        ),
    },
)
"""Colour."""
TABLE_3 = _table(
    (PLAIN, "DnCNN-3", "DMCNN", "QGCN"),
    {
        "live1": (
            *("27.77 29.19 29.74 29.74", "0.7905 0.8123 0.8395 0.8399", "25.33 28.90 29.43 29.40"),
            *("30.07 31.59 32.08 32.11", "0.8683 0.8802 0.9010 0.9017", "27.57 31.07 31.50 31.56"),
            *("31.41 32.98 33.40 33.53", "0.9000 0.9090 0.9253 0.9265", "28.92 32.34 32.78 32.81"),
            *("32.35 33.96 34.39 34.50", "0.9173 0.9247 0.9387 0.9397", "29.96 33.28 33.74 33.71"),
            *("33.16 34.77 35.21 35.32", "0.9295 0.9356 0.9479 0.9488", "30.86 34.06 34.53 34.46"),
        ),
        "bsds500-test": (
            *("27.80 29.21 29.67 29.65", "0.7875 0.8090 0.8363 0.8365", "25.10 28.80 29.28 29.21"),
            *("30.05 31.53 31.99 32.01", "0.8671 0.8775 0.8989 0.8990", "27.22 30.79 31.19 31.19"),
            *("31.37 32.90 33.24 33.36", "0.8994 0.9069 0.9235 0.9247", "28.53 31.97 32.34 32.33"),
            *("32.30 33.85 34.20 34.32", "0.9171 0.9230 0.9374 0.9383", "29.49 32.80 33.18 33.12"),
            *("33.10 34.67 35.02 35.14", "0.9296 0.9346 0.9472 0.9480", "30.38 33.60 33.96 33.85"),
        ),
    },
)
"""Grey."""


def reproduce(bench: Bench, page: Page) -> None:
    """Measure, and fill the page."""
    page.text(
        "A gain is relative to the JPEG row of the same table; the difference is our gain minus the published one. In"
        " colour, PSNR is computed over all samples of R, G and B; PSNR-B and SSIM are means over the three channels."
        " The paper does not say how it computes them; its JPEG rows have another PSNR-B and another SSIM than ours,"
        " and 0.1 dB less PSNR, as if chroma were upsampled by repetition."
    )
    page.heading("Table II: colour")
    restored(bench, page, "colour", TABLE_2, {name: bench.networks.shipped(model) for name, model in SHIPPED.items()})
    page.heading("Table III: grey")
    qgcn = bench.networks.shipped("qgcn")
    ablations = {name: bench.networks.ablation(model, "grey") for name, model in ABLATIONS.items()}
    trained_for(page, {**ablations, "QGCN": qgcn})
    restored(bench, page, "luma", TABLE_3, {**ablations, "QGCN": qgcn})
    for name, model in ABLATIONS.items():
        if not bench.networks.shipped(model):
            page.missing(f"{name} in colour", model)
        if not ablations[name]:
            page.missing(f"{name} of grey pictures", model, "grey", ablation=True)
    if not bench.networks.shipped("qgcn"):
        page.missing("QGCN", "qgcn")
    generalisation(bench, page)
    sizes(bench, page)
    resolutions(bench, page)


def restored(bench: Bench, page: Page, kind: Kind, published: Published, networks: dict[str, Restorer | None]) -> None:
    """Tables II and III."""
    found = [compared(bench, name, kind, qualities, lambda quality: networks) for name, qualities in published.items()]
    page.comparison(kind, [row for rows in found for row in rows])


def trained_for(page: Page, networks: dict[str, Restorer | None]) -> None:
    """Note the training times of the ablations and of QGCN, which differ."""
    times = {
        name: training_time(network.model.variants[0].training["grey"]) for name, network in networks.items() if network
    }
    if len(times) > 1:
        budgets = ", ".join(f"{name} for {time}" for name, time in times.items())
        page.text(
            "QCN is QGCN without its global branch; EDSR is QCN without the quantisation tables. They were trained"
            f" for different times: {budgets}. Most of the difference between them is due to that."
        )


def generalisation(bench: Bench, page: Page) -> None:
    """Figure 6: comparison with networks that were trained for one quality."""
    page.heading("Figure 6: comparison with networks for one quality, LIVE1, grey")
    page.text(
        "In the paper the other networks are EDSR, trained for one quality each, and for all of them; here they are"
        " L4's, which are much smaller. The height of a line is not what matters, but whether it stays level."
    )
    drawn = []
    for quality in QUALITIES:
        network = bench.networks.own("l4", quality)
        if network:
            drawn.append(Series(f"L4 Q{quality}", QUALITIES, _gains(bench, network)))
        else:
            page.missing(f"L4 for Q{quality}", "l4", f"q{quality}")
    for label, network in (
        ("L4 Q10-60, blind", bench.networks.shipped("l4", (10, 60))),
        ("QGCN", bench.networks.shipped("qgcn")),
    ):
        if network:
            drawn.append(Series(label, QUALITIES, _gains(bench, network), strong=True))
    if not drawn:
        return
    page.table("generalisation", ("gain in dB", *(f"Q{q}" for q in QUALITIES)), [[s.label, *s.y] for s in drawn])
    drawn.append(Series("QGCN, published (table III)", QUALITIES, published_gains(TABLE_3), published=True))
    figure = figures.lines(drawn, "quality of the JPEG", "PSNR gain over JPEG in dB", zero=True)
    page.figure(figure, "generalisation", "Gain of QGCN and of networks for one quality, at every quality")


def sizes(bench: Bench, page: Page) -> None:
    """Figure 8: networks of several sizes."""
    page.heading("Figure 8: sizes, LIVE1, colour")
    drawn = []
    for size, name in SIZES.items():
        network = bench.networks.shipped(name)
        if network:
            drawn.append(Series(size, QUALITIES, _gains(bench, network, "colour")))
        else:
            page.missing(f"QGCN with {size}", name)
    if not drawn:
        return
    page.table("sizes", ("gain in dB", *(f"Q{q}" for q in QUALITIES)), [[s.label, *s.y] for s in drawn])
    drawn.append(Series("N = 32, published (table II)", QUALITIES, published_gains(TABLE_2), published=True))
    figure = figures.lines(drawn, "quality of the JPEG", "PSNR gain over JPEG in dB")
    page.figure(figure, "sizes", "Gain of QGCN by the number of residual blocks")


def resolutions(bench: Bench, page: Page) -> None:
    """Figure 9: downscaled pictures."""
    page.heading("Figure 9: resolutions, colour")
    page.text(
        "The paper's pictures are DIV2K's, of two megapixels; these are LIVE1's, of a third of a megapixel. They are"
        " downscaled by 2, 3 and 4 in each direction, with a Lanczos filter. A downscaled picture also has more detail"
        " per block: only the difference between QGCN and QCN, if both are shipped, is due to the global branch."
    )
    drawn = []
    for method, name in (("QGCN", "qgcn"), ("QCN", "qcn")):
        network = bench.networks.shipped(name)
        if not network:
            page.missing(f"{method} in colour", name)
            continue
        for shrink in SHRINK:
            gains = [bench.gain(network, "live1", quality, "colour", shrink) for quality in QUALITIES]
            area = "whole" if shrink == 1 else f"1/{shrink * shrink} of the area"
            drawn.append(Series(f"{method}, {area}", QUALITIES, gains, strong=method == "QGCN"))
    if not drawn:
        return
    page.table("resolutions", ("gain in dB", *(f"Q{q}" for q in QUALITIES)), [[s.label, *s.y] for s in drawn])
    figure = figures.lines(drawn, "quality of the JPEG", "PSNR gain over JPEG in dB")
    page.figure(figure, "resolutions", "Gain of QGCN by the pictures' resolution")


def published_gains(table: Published) -> list[float]:
    """Published gains of QGCN on LIVE1 over the JPEG of the same table, in dB."""
    found = []
    for scores in table["live1"].values():
        score, plain = scores["QGCN"], scores[PLAIN]
        assert score and plain
        found.append(score.psnr - plain.psnr)
    return found


def _gains(bench: Bench, network: Restorer, kind: Kind = "luma") -> list[float]:
    return [bench.gain(network, "live1", quality, kind) for quality in QUALITIES]
