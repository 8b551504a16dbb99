"""Guo and Chao 2017: "One-to-Many Network for Visually Pleasing Compression Artifacts Reduction"."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

import numpy as np
from installed import needed
from measuring import pictures
from measuring.metrics import fine_detail, psnr
from measuring.pictures import Kind, Plane
from measuring.scores import samples
from numpy.typing import NDArray

from mjpeg_restore.jpeg import read
from mjpeg_restore.restorer import Restorer
from reproducing import figures
from reproducing.measurement import Bench, Score
from reproducing.page import PLAIN, Page, compared

TITLE = "One-to-Many (Guo and Chao 2017)"
SETS = ("bsds500-test",)

BASELINE = "Baseline"
TABLE_2: dict[int, dict[str, Score | None]] = {
    5: {
        PLAIN: Score(25.36, 22.91, 0.6764),
        "AR-CNN": Score(26.72, 26.48, 0.7256),
        "TNRD": Score(26.81, 26.65, 0.7279),
        "DDCN": Score(26.98, 26.76, 0.7333),
        BASELINE: Score(27.12, 26.87, 0.7406),
    },
    10: {
        PLAIN: Score(27.80, 25.10, 0.7875),
        "AR-CNN": Score(29.10, 28.73, 0.8198),
        "TNRD": Score(29.16, 28.81, 0.8225),
        "DDCN": Score(29.59, 29.18, 0.8381),
        BASELINE: Score(29.56, 29.10, 0.8352),
    },
    20: {
        PLAIN: Score(30.05, 27.22, 0.8671),
        "AR-CNN": Score(31.28, 30.55, 0.8854),
        "TNRD": Score(31.41, 30.83, 0.8889),
        "DDCN": Score(31.88, 31.10, 0.8996),
        BASELINE: Score(31.89, 31.04, 0.8977),
    },
}
"""BSDS500's test set."""

PEERS = (10, 20)
"""The qualities of table 2 that AR-CNN's authors have published weights for."""

FIGURE_8 = {
    "perceptual, plain deconvolution": "q10-perceptual-plain",
    "perceptual": "q10-perceptual",
    "and naturalness": "q10-perceptual-naturalness",
}
"""(a), (b) and (c), with their stages of the recipe."""

FIRST = 50
"""Number of pictures of BSDS500 that figure 8's networks are measured on."""

FIGURE_5 = ("6046", "344010")
"""BSDS500's pictures that the paper shows in grey."""
FIGURE_7 = ("100039", "108004")
"""Those that it shows in colour."""

SIDE = 192
"""Side of the picture that is shown, in samples."""
SEEDS = (0, 1)
AMPLIFIED = 4
"""Factor of the difference of two candidates, to make it visible."""


def reproduce(bench: Bench, page: Page) -> None:
    """Measure, and fill the page."""
    baseline(bench, page)
    comparison(bench, page, "Figure 5: two pictures at Q10, luma", FIGURE_5, "luma")
    candidates(bench, page)
    comparison(bench, page, "Figure 7: two pictures at Q10, colour", FIGURE_7, "colour")
    losses(bench, page)
    shift_and_average(page)
    page.not_made("Figures 2 to 4 and table 1", "are drawings of the method and its layers")
    page.not_made("Figure 1", "shows parts of the pictures of figure 5")
    page.not_made("TNRD and DDCN", "are not measured: they are other authors' programs")
    page.not_made(
        "The published PSNR of the pictures of figures 5 and 6",
        "is printed in the figures alone, which the text that we read from lacks",
    )
    page.not_made("The people's choices of section 4.2", "are replaced by a distance of scene statistics")


def baseline(bench: Bench, page: Page) -> None:
    """Table 2: the baseline, trained on the squared error, without noise."""
    page.heading("Table 2: the baseline, BSDS500, luma")
    page.text(
        "A gain is relative to the JPEG row of the same table; the difference is our gain minus the published one. Our"
        " figures of AR-CNN, where there are any, are measured with its authors' weights, which are not for Q5."
    )
    own = {quality: bench.networks.own("one-to-many-l2", quality) for quality in TABLE_2}

    def networks(quality: int) -> dict[str, Restorer | None]:
        peer = {"AR-CNN": bench.networks.peer("AR-CNN", quality)} if quality in PEERS else {}
        return {BASELINE: own[quality], **peer}

    page.comparison("baseline", compared(bench, "bsds500-test", "luma", TABLE_2, networks))
    for quality, network in own.items():
        if not network:
            page.missing(f"The baseline for Q{quality}", "one-to-many-l2", f"q{quality}")


def comparison(bench: Bench, page: Page, title: str, stems: Sequence[str], kind: Kind) -> None:
    """Figures 5 and 7: a row of restored pictures for each original."""
    networks = {
        PLAIN: bench.decode,
        BASELINE: bench.networks.own("one-to-many-l2", 10),
        "One-to-Many": bench.networks.shipped("one-to-many", (10, 10), seed=SEEDS[0]),
    }
    shown: list[tuple[str, Plane]] = []
    for stem in stems:
        name, picture = bench.picture("bsds500-test", stem)
        original = pictures.original(picture, kind)
        coded = read(pictures.encode(original, 10))
        shown.append((f"{name}, original", pictures.middle(original, SIDE)))
        for method, network in networks.items():
            if network:
                restored = samples(network, coded)
                shown.append((f"{method}, {psnr(restored, original):.2f} dB", pictures.middle(restored, SIDE)))
    page.heading(title)
    page.text(
        "The paper's pictures of BSDS500: the middle of each. PSNR is that of the whole picture. The paper shows DDCN's"
        " result, too."
        + (
            " Its network for colour is another one, trained on RGB; ours restores chroma as the baseline does."
            if kind == "colour"
            else ""
        )
    )
    columns = len(shown) // len(stems)
    page.figure(figures.gallery(shown, columns), f"comparison-{kind}", f"{title}: original, JPEG, and restored")


def candidates(bench: Bench, page: Page) -> None:
    """Figure 6: two candidates of one JPEG."""
    page.heading("Figure 6: two candidates of one picture, at Q10")
    page.text("The paper shows pictures of Set14; this one is from BSDS500.")
    networks = {
        "baseline": bench.networks.own("one-to-many-l2", 10),
        **{f"candidate {seed + 1}": bench.networks.shipped("one-to-many", (10, 10), seed=seed) for seed in SEEDS},
    }
    if not networks["candidate 1"]:
        page.missing("One-to-Many", "one-to-many")
        return
    coded, picture = bench.example("bsds500-test", 10, "luma", SIDE)
    shown: list[tuple[str, Plane]] = [("JPEG", samples(bench.decode, coded))]
    shown += [(name, samples(network, coded)) for name, network in networks.items() if network]
    decibels = {name: psnr(plane, picture) for name, plane in shown}
    titled = [("original", picture)] + [(f"{name}, {decibels[name]:.2f} dB", plane) for name, plane in shown]
    first, second = (plane for _, plane in shown[-2:])
    apart = np.abs(first.astype(np.float64) - second)
    titled.append((f"candidates' difference, x{AMPLIFIED}", np.clip(AMPLIFIED * apart, 0, 255).astype(np.uint8)))
    page.figure(figures.gallery(titled, 3), "candidates", "A JPEG of quality 10, and two candidates for its original")
    page.text(
        f"The two candidates differ by {rms(first, second):.2f} of 255 (root mean square), and by {apart.max():.0f} at"
        f" most. The JPEG differs from the original by {rms(shown[0][1], picture):.2f}, the first candidate by"
        f" {rms(shown[-2][1], picture):.2f}. As in the paper, PSNR says little here: it falls because texture is"
        " invented."
    )
    page.note("candidates", {"psnr": decibels, "root_mean_square_difference": rms(first, second)})
    whole_set(bench, page)


def rms(a: Plane, b: Plane) -> float:
    """Root mean square of the difference, in grey levels."""
    return float(np.sqrt(np.mean((a.astype(np.float64) - b) ** 2)))


def whole_set(bench: Bench, page: Page) -> None:
    """PSNR and unnaturalness of the candidates over the whole set."""
    networks = {
        PLAIN: bench.decode,
        BASELINE: bench.networks.own("one-to-many-l2", 10),
        "One-to-Many": bench.networks.shipped("one-to-many", (10, 10), seed=SEEDS[0]),
    }
    cells = []
    for name, network in networks.items():
        if network and (far := bench.unnaturalness(network, "bsds500-test", 10)) is not None:
            cells.append([name, bench.score(network, "bsds500-test", 10, "luma").psnr, far])
    if not cells:
        return
    page.table("naturalness", ("BSDS500 at Q10", "PSNR", "unnaturalness"), cells)
    page.text(
        "The paper asks people which picture they prefer. Here the distance of scene statistics from the originals'"
        " (`measuring.naturalness`) replaces their answers: at 0 a picture is as natural as the originals."
    )


def losses(bench: Bench, page: Page) -> None:
    """Figure 8: ablation of the losses and of shift-and-average."""
    page.heading("Figure 8: the losses, added one by one, at Q10")
    networks: dict[str, Restorer] = {}
    for title, stage in FIGURE_8.items():
        if network := bench.networks.ablation("one-to-many", stage):
            networks[title] = network
        else:
            page.missing(f'Figure 8\'s network "{title}"', "one-to-many", stage, ablation=True)
    if not networks:
        return
    if whole := bench.networks.shipped("one-to-many", (10, 10)):
        networks["as shipped"] = whole
    networks = {PLAIN: bench.decode, **networks}
    coded, picture = bench.example("bsds500-test", 10, "luma", SIDE)
    shown = [(title, samples(network, coded)) for title, network in networks.items()]
    page.figure(figures.gallery([("original", picture), *shown], 3), "losses", "The effect of each loss")
    originals = bench.pictures("bsds500-test")[:FIRST]
    natural = [grid(pictures.original(original, "luma")) for original in originals]
    page.text(
        f"Means over the first {len(originals)} pictures of BSDS500. The column *grid* is the range of the means over"
        " the four positions in each 2x2 samples of the whole picture, in grey levels: the strength of a grid of period"
        f" 2. In the originals it is {np.mean(natural):.3f}. *Grid of the change* is that of the difference from the"
        " JPEG, which has none of the picture's own. *Contrast* is the standard deviation, and *fine detail* the mean"
        " square of the Laplacian, each relative to the original's."
    )
    what = f"grid, contrast and detail, the first {len(originals)} pictures of BSDS500"
    cells = [
        [title, *bench.values(network, 10, what, lambda network=network: measured(bench, network))]
        for title, network in networks.items()
    ]
    page.table("losses", ("network", "PSNR", "grid", "grid of the change", "contrast", "fine detail"), cells)
    page.text(
        "The first three networks start from a baseline, not from random weights, and were trained for minutes on a CPU"
        " core each: a plain deconvolution leaves a grid that can be measured, and hardly be seen yet. What the losses"
        " do to contrast and detail is small after so little training: only the order can be compared with the paper's."
        " The perceptual loss is a distance of the discriminator's own features. The shipped network has another"
        " objective, far more batches and a share of the baseline (see the overview)."
    )


def measured(bench: Bench, network: Restorer) -> tuple[float, ...]:
    """Means over the first pictures: PSNR, grid, grid of the change, contrast and fine detail."""
    found: list[tuple[float, ...]] = []
    for coded, original in islice(bench.coded("bsds500-test", 10, "luma"), FIRST):
        plain, restored = samples(bench.decode, coded), samples(network, coded)
        change = restored.astype(np.float64) - plain
        contrast = float(restored.std() / original.std())
        detail = fine_detail(restored) / fine_detail(original)
        found.append((psnr(restored, original), grid(restored), grid(change), contrast, detail))
    return tuple(np.mean(found, axis=0).tolist())


def grid(plane: NDArray[np.generic]) -> float:
    """Strength of a grid of period 2, in grey levels: the range of the means over the four positions in 2x2 samples."""
    means = [plane[down::2, across::2].mean() for down in range(2) for across in range(2)]
    return float(max(means) - min(means))


def shift_and_average(page: Page) -> None:
    """Section 3.2.2: the response of an untrained deconvolution to a constant."""
    page.heading("Section 3.2.2: shift-and-average")
    with needed("Looking into a network"):
        import torch

        from mjpeg_restore.models.papers.one_to_many import ONE_TO_MANY_COMPACT, UpSample
    shown, cells = [], []
    width = ONE_TO_MANY_COMPACT.width
    for shifted in (False, True):
        torch.manual_seed(0)
        layer = UpSample(width, shift_and_average=shifted)
        torch.nn.init.kaiming_uniform_(layer.deconvolution.weight)
        with torch.no_grad():
            answer = layer(torch.ones(1, width, 12, 12))[0, 0].numpy().astype(np.float64)
        name = "with shift-and-average" if shifted else "without"
        cells.append([name, float(np.ptp(answer)), float(answer.std())])
        shown.append((name, answer))
    middles = [answer.mean() for _, answer in shown]
    spread = np.abs(shown[0][1] - middles[0]).max()
    drawn = [
        (name, np.clip(128 + 127 * (answer - level) / spread, 0, 255).astype(np.uint8))
        for (name, answer), level in zip(shown, middles, strict=True)
    ]
    page.text(
        "The response of a deconvolution of stride 2 with random weights to a constant is a grid of period 2 without"
        " shift-and-average, and a constant with it. So no training has to learn this."
    )
    page.table("shift_and_average", ("response to a constant", "range", "standard deviation"), cells)
    page.figure(figures.gallery(drawn, 2), "shift-and-average", "An untrained deconvolution's response to a constant")
