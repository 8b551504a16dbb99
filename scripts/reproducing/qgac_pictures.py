"""QGAC, figures 10 and 13, and figure 4 of the appendix: restored pictures."""

from __future__ import annotations

from measuring import pictures
from measuring.metrics import fine_detail, psnr
from measuring.pictures import Plane
from measuring.scores import samples

from mjpeg_restore.jpeg import read
from mjpeg_restore.restorer import Restorer
from reproducing import figures
from reproducing.measurement import Bench
from reproducing.page import PLAIN, Page
from reproducing.qgac_tables import METHOD

SIDE = 192
"""Side of the picture of figure 4, in samples."""
PART = 144
"""Side of the parts of pictures that the other figures show."""
ALPHAS = (0.0, 0.7, 0.9, 1.0)
"""Interpolation weights of the appendix."""
SHOWN = 0.7
"""The weight of figure 13."""
EXAMPLES = (("live1", "womanhat"), ("live1", "lighthouse2"), ("bsds500-test", "6046"))
"""Sets and names of pictures for figure 13. The paper's are from LIVE1, BSDS500 and ICB, without names."""


def generalisation(bench: Bench, page: Page, network: Restorer) -> None:
    """Figure 10: a picture at Q50, also by networks that were trained for another quality."""
    name, original = bench.picture("live1", "lighthouse2")
    page.heading("Figure 10: a picture at Q50, colour")
    page.text(
        f"The middle of {name}; PSNR is that of the whole picture. As in table 3, L4 takes the place of IDCN. The"
        " paper does not name its picture."
    )
    coded = read(pictures.encode(original, 50))
    networks = {PLAIN: bench.decode}
    networks |= {f"L4, for Q{own}": found for own in (10, 20) if (found := bench.networks.own("l4", own))}
    shown = [("original", pictures.middle(original, PART))]
    for method, restorer in {**networks, METHOD: network}.items():
        restored = samples(restorer, coded)
        shown.append((f"{method}, {psnr(restored, original):.2f} dB", pictures.middle(restored, PART)))
    page.figure(figures.gallery(shown, 3), "generalisation", f"The middle of {name} at Q50, restored")


def interpolation(bench: Bench, page: Page) -> None:
    """Appendix B.2: interpolation between the weights of the regression and of the GAN."""
    networks = {alpha: bench.networks.shipped("qgac", texture=alpha) for alpha in ALPHAS}
    if not all(networks.values()):
        return
    page.heading("Appendix B.2, figure 4: model interpolation, at Q10")
    coded, picture = bench.example("live1", 10, "luma", SIDE)
    shown = [("original", picture), (PLAIN, samples(bench.decode, coded))]
    shown += [(f"alpha = {alpha:g}", samples(network, coded)) for alpha, network in networks.items() if network]
    page.figure(figures.gallery(shown, 3), "interpolation", "From regression to GAN, `--texture 0` to `--texture 1`")
    whole = fine_detail(picture)
    cells = [[name, psnr(plane, picture), fine_detail(plane) / whole] for name, plane in shown[1:]]
    page.table("interpolation", ("this picture", "PSNR", "fine detail, share of the original's"), cells)
    page.text(
        "Fine detail is the mean square of the Laplacian. The paper shows several pictures of LIVE1, ours is one."
    )


def examples(bench: Bench, page: Page, network: Restorer) -> None:
    """Figure 13: pictures at Q10, restored without and with texture."""
    networks = {PLAIN: bench.decode, METHOD: network}
    if textured := bench.networks.shipped("qgac", texture=SHOWN):
        networks[f"texture {SHOWN:g}"] = textured
    page.heading("Figure 13: pictures at Q10, colour")
    page.text(
        "The middle of a picture in each row; PSNR is that of the whole picture. The paper's figure has IDCN's result,"
        " too, and does not name its pictures."
    )
    shown: list[tuple[str, Plane]] = []
    for folder, stem in EXAMPLES:
        name, original = bench.picture(folder, stem)
        coded = read(pictures.encode(original, 10))
        shown.append((f"{name}, original", pictures.middle(original, PART)))
        for method, restorer in networks.items():
            restored = samples(restorer, coded)
            shown.append((f"{method}, {psnr(restored, original):.2f} dB", pictures.middle(restored, PART)))
    columns = 1 + len(networks)
    page.figure(figures.gallery(shown, columns), "examples", "Pictures at Q10: original, JPEG, restored, with texture")
