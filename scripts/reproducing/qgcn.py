"""QGCN (Li, Wang, Xie and Ma 2020): one network, conditioned on the quantisation tables and the whole picture."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from measuring.contexts import ChangedContext, Previous
from measuring.pictures import Kind

from mjpeg_restore.catalogue import training_time
from mjpeg_restore.restorer import Restorer
from reproducing import figures, qgcn_pictures
from reproducing.figures import Series
from reproducing.measurement import Bench, Score
from reproducing.networks import size
from reproducing.page import PLAIN, Page, compared
from reproducing.qgcn_tables import QUALITIES, TABLE_2, TABLE_3, Published

TITLE = "QGCN (Li et al. 2020)"
SETS = ("live1", "bsds500-test")

SIZES = {"N = 8, compact": "qgcn", **{f"N = {blocks}": f"qgcn-{blocks}" for blocks in (8, 16, 32, 64)}}
"""Models of the catalogue by N, the residual blocks of a group, of figure 8."""
ABLATIONS = {"EDSR": "edsr", "QCN": "qcn"}
SHIPPED = {**ABLATIONS, "QGCN": "qgcn"}
"""Models of the catalogue by the names of tables II and III."""
SHRINK = (1, 2, 3, 4)
"""Scale divisors of figure 9: 1, 1/4, 1/9 and 1/16 of the area."""


LEAST_GAIN = 0.005
"""Gain in dB over a context of zeros from which on the global branch is said to do something."""


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
    rivals(bench, page)
    for name, model in ABLATIONS.items():
        if not bench.networks.shipped(model):
            page.missing(f"{name} in colour", model)
        if not ablations[name]:
            page.missing(f"{name} of grey pictures", model, "grey", ablation=True)
    if not bench.networks.shipped("qgcn"):
        page.missing("QGCN", "qgcn")
    alive = global_branch(bench, page)
    qgcn_pictures.examples(bench, page)
    generalisation(bench, page)
    qgcn_pictures.butterfly(bench, page)
    sizes(bench, page)
    resolutions(bench, page, alive)
    page.not_made("Figure 1", "shows a picture without a name, as figures 4, 5 and 7 do with names")
    page.not_made("Figures 2 and 3", "are drawings of the method")
    page.not_made(
        "The methods of other authors",
        "are not measured: the paper trained them anew, and these weights are not at hand",
    )
    page.not_made(
        "Figure 10, the gain by the size of training patches,",
        "needs EDSR trained twice, on patches of 64 and of 256, and as long as QGCN; no EDSR is trained",
    )


def restored(bench: Bench, page: Page, kind: Kind, published: Published, networks: dict[str, Restorer | None]) -> None:
    """Tables II and III, with the best of the methods of other authors."""
    found = [
        compared(bench, name, kind, {q: leading(scores) for q, scores in qualities.items()}, lambda quality: networks)
        for name, qualities in published.items()
    ]
    page.comparison(kind, [row for rows in found for row in rows])


def leading(scores: Mapping[str, Score]) -> dict[str, Score]:
    """The scores without those of other authors' methods but the best one, by PSNR and then by SSIM."""
    others = {method: score for method, score in scores.items() if method not in (PLAIN, *SHIPPED)}
    best = max(others, key=lambda method: (others[method].psnr, others[method].ssim or 0))
    return {method: score for method, score in scores.items() if method == best or method not in others}


def rivals(bench: Bench, page: Page) -> None:
    """All methods of table III, as published."""
    page.text(
        "Of the other authors' methods, the table above has the best one for each set and quality, by PSNR. These are"
        " all of them, with the published figures. DMCNN was trained for each quality; AR-CNN, DnCNN, CAS-CNN and IDCN,"
        " like QGCN, for all of them; of RNAN the paper does not say."
    )
    cells: list[list[str]] = []
    for name, qualities in TABLE_3.items():
        for quality, scores in qualities.items():
            for figure, digits in (("psnr", 2), ("psnr_b", 2), ("ssim", 4)):
                values = [f"{getattr(score, figure):.{digits}f}" for score in scores.values()]
                cells.append([bench.title(name), f"{quality}", figure.upper().replace("_", "-"), *values])
    page.table("rivals", ("set", "Q", "figure", *next(iter(TABLE_3["live1"].values()))), cells)


def global_branch(bench: Bench, page: Page) -> bool:
    """What the global branch contributes; whether it contributes anything."""
    page.heading("The global branch, LIVE1 at Q10")
    shipped = bench.networks.shipped("qgcn")
    if not shipped:
        return False
    model, device = shipped.model, bench.networks.device
    changes = {"zeros": np.zeros_like, "of the picture before": Previous()}
    networks = {
        name: bench.networks.other(("qgcn", name), lambda change=change: ChangedContext(model, device, change))
        for name, change in changes.items()
    }
    networks["its own"] = shipped
    cells: list[list[str | float]] = []
    differences: list[float] = []
    kinds: dict[str, Kind] = {"grey": "luma", "colour": "colour"}
    for name, kind in kinds.items():
        gains = [bench.gain(network, "live1", 10, kind) for network in networks.values()]
        differences.append(gains[-1] - gains[0])
        cells.append([name, *gains, differences[-1]])
    alive = max(differences) >= LEAST_GAIN
    page.text(
        "The gain of QGCN if its restoration branch gets a vector of zeros from the global branch, or that of another"
        " picture, instead of the picture's own."
        + ("" if alive else " The global branch does nothing: this is the paper's QCN.")
    )
    page.table("global_branch", ("gain in dB", *networks, "its own minus zeros"), cells)
    return alive


def trained_for(page: Page, networks: dict[str, Restorer | None]) -> None:
    """Note the training times of the ablations and of QGCN, which differ."""
    times = {
        name: training_time(network.model.variants[0].training["grey"]) for name, network in networks.items() if network
    }
    if len(times) > 1:
        budgets = ", ".join(f"{name} for {time}" for name, time in times.items())
        page.text(
            "QCN is QGCN without its global branch; EDSR is QCN without the quantisation tables. Both are narrower, and"
            f" the times of training differ: {budgets}. So their difference says nothing about the global branch."
        )


def generalisation(bench: Bench, page: Page) -> None:
    """Figure 6: comparison with networks that were trained for one quality."""
    page.heading("Figure 6: comparison with networks for one quality, LIVE1, grey")
    page.text(
        "In the paper the other networks are EDSR, trained for one quality each, and for all of them; here they are"
        " L4's, which are much smaller than the paper's. The height of a line is not what matters, but whether it stays"
        " level."
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
    networks = {label: bench.networks.shipped(name) for label, name in SIZES.items()}
    cells: list[list[str]] = []
    costs: list[float] = []
    for (label, name), network in zip(SIZES.items(), networks.values(), strict=True):
        model = network and network.model
        parameters, macs = (model.parameters, model.macs_per_pixel) if model else size(name, "colour")
        cells.append([label, f"{parameters:,}", f"{macs / 1000:.0f}"])
        costs.append(macs)
    page.text(
        f"The paper's sizes take {costs[1] / costs[0]:.0f} to {costs[-1] / costs[0]:.0f} times the computation of the"
        " compact network, in training too. The paper shows their gains as curves without numbers."
    )
    page.table("costs", ("network", "parameters", "kMAC/pixel"), cells)
    drawn = []
    for label, network in networks.items():
        if network:
            drawn.append(Series(label, QUALITIES, _gains(bench, network, "colour")))
        else:
            page.missing(f"QGCN with {label}", SIZES[label])
    if not drawn:
        return
    page.table("sizes", ("gain in dB", *(f"Q{q}" for q in QUALITIES)), [[s.label, *s.y] for s in drawn])
    drawn.append(Series("N = 32, published (table II)", QUALITIES, published_gains(TABLE_2), published=True))
    figure = figures.lines(drawn, "quality of the JPEG", "PSNR gain over JPEG in dB")
    page.figure(figure, "sizes", "Gain of QGCN by the number of residual blocks")


def resolutions(bench: Bench, page: Page, alive: bool) -> None:
    """Figure 9: downscaled pictures; `alive` is whether the global branch contributes anything."""
    page.heading("Figure 9: resolutions, colour")
    page.text(
        "The paper's pictures are DIV2K's, of two megapixels; these are LIVE1's, of a third of a megapixel. They are"
        " downscaled by 2, 3 and 4 in each direction, with a Lanczos filter."
    )
    drawn: list[Series] = []
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
    page.text(
        "The paper's gain rises with the resolution, which it explains by the global branch. But a downscaled picture"
        " also has more detail per block. "
        + (
            "Only the difference between QGCN and QCN, if both are shipped, is due to the global branch."
            if alive
            else "Here the global branch does nothing, and is no cause of any difference."
        )
    )
    page.table("resolutions", ("gain in dB", *(f"Q{q}" for q in QUALITIES)), [[s.label, *s.y] for s in drawn])
    figure = figures.lines(drawn, "quality of the JPEG", "PSNR gain over JPEG in dB")
    page.figure(figure, "resolutions", "Gain of QGCN by the pictures' resolution")


def published_gains(table: Published) -> list[float]:
    """Published gains of QGCN on LIVE1 over the JPEG of the same table, in dB."""
    return [scores["QGCN"].psnr - scores[PLAIN].psnr for scores in table["live1"].values()]


def _gains(bench: Bench, network: Restorer, kind: Kind = "luma") -> list[float]:
    return [bench.gain(network, "live1", quality, kind) for quality in QUALITIES]
