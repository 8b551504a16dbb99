"""QGAC, appendix B.3: the quality of the JPEG whose SSIM equals the restored picture's, and the bytes saved."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from measuring.pictures import Plane, encode, middle
from measuring.scores import judge, samples

from mjpeg_restore.jpeg import read
from mjpeg_restore.restorer import Restorer
from reproducing import figures
from reproducing.measurement import Bench
from reproducing.page import Page

QUALITIES = (10, 20, 30, 40, 50)
EXAMPLE = "parrots"
"""The picture of figure 6. The paper does not name its own."""
PART = 144
"""Side of the part of it that is shown."""


@dataclass(slots=True)
class Ladder:
    """SSIM and file size of one picture's JPEGs by quality, computed on demand."""

    picture: Plane
    decode: Restorer
    found: dict[int, tuple[float, float]]

    def rung(self, quality: int) -> tuple[float, float]:
        """SSIM and size in kB at a quality."""
        if quality not in self.found:
            data = encode(self.picture, quality)
            _, _, similar = judge(samples(self.decode, read(data)), self.picture)
            self.found[quality] = similar, len(data) / 1000
        return self.found[quality]

    def reach(self, similar: float, start: int) -> int:
        """The lowest quality from `start` on whose SSIM is at least `similar`; 100 if there is none."""
        return next((quality for quality in range(start, 100) if self.rung(quality)[0] >= similar), 100)


def show(bench: Bench, page: Page, network: Restorer) -> None:
    """Measure each picture at each quality, and fill the section."""
    page.heading("Appendix B.3, figures 5 and 6: equivalent quality, LIVE1, colour")
    page.text(
        "For each picture, the lowest JPEG quality whose SSIM is at least that of the restored picture, and the sizes"
        " of both files. The paper shows this as a figure without numbers."
    )
    ladders = [Ladder(picture, bench.decode, {}) for picture in bench.pictures("live1")]
    cells, rises = [], []
    for quality in QUALITIES:

        def measure(quality: int = quality) -> tuple[float, float, float]:
            return means(ladders, network, quality)

        what = f"equivalent quality, {bench.described('live1')}"
        rise, small, large = bench.values(network, quality, what, measure)
        rises.append(rise)
        cells.append([f"Q{quality}", rise, small, large, large - small, 100 * (1 - small / large)])
    header = ("JPEG", "quality gained", "kB", "kB of the equivalent", "kB saved", "saved, %")
    page.table("equivalent_quality", header, cells)
    groups = [
        f"Q{quality},\nrestored like Q{quality + rise:.0f}" for quality, rise in zip(QUALITIES, rises, strict=True)
    ]
    sizes = {"the JPEG": [row[2] for row in cells], "the JPEG that is as good": [row[3] for row in cells]}
    figure = figures.bars(groups, sizes, "kB a picture")
    page.figure(figure, "equivalent-quality", "Sizes of two files of equal SSIM, of which one is restored")
    example(bench, page, network)


def means(ladders: list[Ladder], network: Restorer, quality: int) -> tuple[float, float, float]:
    """Means over the pictures: the quality gained, and the sizes of the JPEG and of its equivalent in kB."""
    found: list[tuple[float, float, float]] = []
    for ladder in ladders:
        equal = equivalent(ladder, network, quality)
        found.append((equal - quality, ladder.rung(quality)[1], ladder.rung(equal)[1]))
    rise, small, large = np.mean(found, axis=0).tolist()
    return rise, small, large


def equivalent(ladder: Ladder, network: Restorer, quality: int) -> int:
    """The quality of the JPEG that is as good as a restored one."""
    restored = samples(network, read(encode(ladder.picture, quality)))
    return ladder.reach(judge(restored, ladder.picture)[2], quality)


def example(bench: Bench, page: Page, network: Restorer) -> None:
    """Figure 6: a picture beside its equivalent."""
    name, picture = bench.picture("live1", EXAMPLE)
    ladder = Ladder(picture, bench.decode, {})
    start = QUALITIES[0]
    equal = equivalent(ladder, network, start)
    jpegs = {quality: read(encode(picture, quality)) for quality in (start, equal)}
    shown = [
        (f"JPEG, Q{start}, {ladder.rung(start)[1]:.1f} kB", samples(bench.decode, jpegs[start])),
        ("the same, restored", samples(network, jpegs[start])),
        (f"JPEG, Q{equal}, {ladder.rung(equal)[1]:.1f} kB", samples(bench.decode, jpegs[equal])),
        ("original", picture),
    ]
    parts = [(title, middle(plane, PART)) for title, plane in shown]
    page.figure(figures.gallery(parts, 4), "equivalent", f"The middle of {name}: two pictures of equal SSIM")
