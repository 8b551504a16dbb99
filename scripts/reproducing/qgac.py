"""Ehrlich, Davis, Lim and Shrivastava 2020: "Quantization Guided JPEG Artifact Correction", and its appendices."""

from __future__ import annotations

from measuring.pictures import TITLES, Kind

from mjpeg_restore import catalogue
from mjpeg_restore.restorer import Restorer
from reproducing import equivalence, figures, manifolds, qgac_pictures, spectrum, speed
from reproducing.figures import Series
from reproducing.measurement import Bench, Score
from reproducing.page import PLAIN, Page, compared, rows
from reproducing.qgac_tables import METHOD, TABLE_1, TABLE_2, TABLE_3, TABLE_4, TABLE_5, Published

TITLE = "QGAC (Ehrlich et al. 2020)"
SETS = ("live1", "bsds500-test")
TENS = tuple(range(10, 101, 10))
ABLATED = (10, 20, 40, 80)
"""Qualities at which the networks of table 5 are measured."""


def reproduce(bench: Bench, page: Page) -> None:
    """Measure, and fill the page."""
    network = bench.networks.shipped("qgac")
    page.text(
        "A gain is relative to the JPEG row of the same table; the difference is our gain minus the published one. In"
        " colour, PSNR is computed over all samples of R, G and B; PSNR-B and SSIM are means over the three channels,"
        " which comes nearest to the paper's JPEG rows. The remaining difference is due to chroma, which is upsampled"
        " here with a triangle filter, as in libjpeg. The shipped network is compact: see the end of this page."
        " Our figures of AR-CNN, where there are any, are measured with its authors' weights."
    )
    restored(bench, page, network, "Table 1: colour", "colour", TABLE_1)
    restored(bench, page, network, "Table 2: luma", "luma", TABLE_2)
    if not network:
        page.missing("QGAC", "qgac")
        return
    generalisation(bench, page, network)
    qgac_pictures.generalisation(bench, page, network)
    naturalness(bench, page, network)
    qgac_pictures.interpolation(bench, page)
    qgac_pictures.examples(bench, page, network)
    ablations(bench, page)
    by_quality(bench, page, network)
    comparison(bench, page)
    manifolds.show(page, network.model)
    equivalence.show(bench, page, network)
    spectrum.show(bench, page, network)
    if bench.whole("live1"):  # a quick trial has no times
        speed.show(bench, page)
    not_made(page)


def not_made(page: Page) -> None:
    """What the paper has and this page has not."""
    page.not_made("Figures 2 to 9, and figure 10 of the appendix,", "are drawings of the method and of JPEG")
    page.not_made(
        "Figure 1, and the rows of ICB and Classic-5 in tables 1, 2 and 4 and in figure 11,",
        "need these two sets of pictures, which are not here",
    )
    page.not_made("MWCNN, IDCN and DMCNN", "are not measured: they are other authors' programs")
    page.not_made(
        "RDN, MemNet, S-Net and DPW-SDNet in figure 12, and the other methods in figure 8 of the appendix,",
        "are points without numbers in the paper",
    )
    page.not_made(
        "Figure 2 of the appendix, the picture that excites a channel most,",
        "would repeat its figure 1: a layer that is linear in a block is excited most by its own kernel",
    )
    page.not_made(
        "The transformed pictures in figure 7 of the appendix",
        "are not drawn: the means over LIVE1 take their place",
    )
    page.not_made("Figure 9 of the appendix", "has more pictures of the kind of figure 13, at Q10 and Q20")


def restored(bench: Bench, page: Page, network: Restorer | None, title: str, kind: Kind, published: Published) -> None:
    """Tables 1 and 2."""
    page.heading(title)

    def networks(quality: int) -> dict[str, Restorer | None]:
        peer = {"AR-CNN": bench.networks.peer("AR-CNN", quality)} if kind == "luma" else {}
        return {METHOD: network, **peer}

    found = [compared(bench, name, kind, qualities, networks) for name, qualities in published.items()]
    page.comparison(kind, [row for of_set in found for row in of_set])


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
            far = {}
            for method, restorer in ((PLAIN, bench.decode), (METHOD, network), ("textured", textured)):
                found = bench.unnaturalness(restorer, name, quality) if restorer else None
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


def ablations(bench: Bench, page: Page) -> None:
    """Table 5: networks in which one thing is different."""
    page.heading("Table 5: ablations, luma at Q10")
    networks: dict[str, Restorer | None] = {PLAIN: bench.decode}
    for title, (stage, _) in TABLE_5.items():
        if stage:
            networks[title] = bench.networks.ablation("qgac-ablations", stage)
            if not networks[title]:
                page.missing(f'Table 5\'s network "{title}"', "qgac-ablations", stage, ablation=True)
    ours = {title: bench.score(network, "live1", 10, "luma") for title, network in networks.items() if network}
    published: dict[str, Score | None] = {title: theirs for title, (_, theirs) in TABLE_5.items()}
    page.text(
        "Ours are measured on LIVE1, and the paper's on Classic-5, which is not here. Ours are far smaller than the"
        " paper's networks, started from random weights and saw 600 batches of 4 crops of 128x128, where the paper's"
        " saw 100,000 batches of 32: three to ten minutes each on one core of a busy machine. `stream` was their"
        " teacher (see the overview). So the column of differences is empty, and the order of two networks may change"
        " with longer training. All have about the same number of parameters. In the paper, the network without a"
        " fusion does not learn at all. The complete network, with filter manifolds and a fusion, is one here; in the"
        " paper the two rows are different networks."
    )
    page.comparison("ablations", rows(TITLES["live1"], 10, ours, published, whole=False))
    page.text("The same networks at other qualities. The paper's table has Q10 only.")
    cells = [
        [title, *(bench.gain(network, "live1", quality, "luma") for quality in ABLATED)]
        for title, network in networks.items()
        if network and title != PLAIN
    ]
    page.table("ablations_by_quality", ("gain in dB", *(f"Q{quality}" for quality in ABLATED)), cells)


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
        " published. The gain on BSDS500 falls less beyond Q80, because its originals are JPEGs themselves, of about"
        " Q95."
    )
    if all(f"{abs(series.y[-1]):.2f}" == "0.00" for series in drawn if not series.published):
        page.text("At Q100 nothing is gained: `stream`, which taught the network, leaves such pictures as they are.")


def comparison(bench: Bench, page: Page) -> None:
    """Figure 12: gains in PSNR and SSIM at Q10."""
    page.heading("Figure 12: gains in PSNR and in SSIM, LIVE1 at Q10, colour")
    networks = {name: bench.networks.shipped(name) for name, model in catalogue.shipped().items() if model.parameters}
    scores = {name: bench.score(network, "live1", 10, "colour") for name, network in networks.items() if network}
    plain = bench.score(bench.decode, "live1", 10, "colour")
    found = {name: gains(score, plain) for name, score in scores.items()}
    sharper = [name for name, (psnr, _) in found.items() if psnr < 0]
    table = TABLE_1["live1"][10]
    theirs = {name: gains(score, table[PLAIN]) for name, score in table.items() if name != PLAIN}
    cells = [[name, *place] for name, place in found.items()]
    cells += [[f"{name}, published", *place] for name, place in theirs.items()]
    page.table("comparison", ("network", "PSNR gain", "SSIM gain"), cells)
    page.text(
        "The published gains are those of table 1. Networks trained on grey pictures restore Y, Cb and Cr"
        " independently. The figure leaves out networks that invent texture and so lose PSNR."
    )
    drawn = {name: place for name, place in found.items() if name not in sharper}
    figure = figures.points(drawn, "PSNR gain over JPEG in dB", "SSIM gain over JPEG", published=theirs)
    page.figure(figure, "comparison", "Gains at Q10: our networks, and hollow the published ones")


def gains(score: Score | None, plain: Score | None) -> tuple[float, float]:
    """Gains in PSNR, dB, and in SSIM."""
    assert score and plain and score.ssim is not None and plain.ssim is not None
    return score.psnr - plain.psnr, score.ssim - plain.ssim
