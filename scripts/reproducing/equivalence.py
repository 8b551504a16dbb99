"""QGAC, appendix B.3: the quality of the JPEG whose SSIM equals the restored picture's, and the bytes saved."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from measuring.pictures import Plane, encode
from measuring.scores import judge, samples

from mjpeg_restore.jpeg import read
from mjpeg_restore.restorer import Restorer
from reproducing import figures
from reproducing.measurement import Bench
from reproducing.page import Page

QUALITIES = (10, 20, 30, 40, 50)


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
    page.heading("Appendix B.3: equivalent quality, LIVE1, colour")
    page.text(
        "For each picture, the lowest JPEG quality whose SSIM is at least that of the restored picture, and the sizes"
        " of both files. The paper shows this as a figure without numbers."
    )
    ladders = [Ladder(picture, bench.decode, {}) for picture in bench.pictures("live1")]
    cells, rises = [], []
    for quality in QUALITIES:
        steps, kilobytes, larger = [], [], []
        for ladder in ladders:
            restored = samples(network, read(encode(ladder.picture, quality)))
            equal = ladder.reach(judge(restored, ladder.picture)[2], quality)
            steps.append(equal - quality)
            kilobytes.append(ladder.rung(quality)[1])
            larger.append(ladder.rung(equal)[1])
        rises.append(float(np.mean(steps)))
        small, large = float(np.mean(kilobytes)), float(np.mean(larger))
        cells.append([f"Q{quality}", rises[-1], small, large, large - small, 100 * (1 - small / large)])
    header = ("JPEG", "quality gained", "kB", "kB of the equivalent", "kB saved", "saved, %")
    page.table("equivalent_quality", header, cells)
    groups = [
        f"Q{quality},\nrestored like Q{quality + rise:.0f}" for quality, rise in zip(QUALITIES, rises, strict=True)
    ]
    sizes = {"the JPEG": [row[2] for row in cells], "the JPEG that is as good": [row[3] for row in cells]}
    figure = figures.bars(groups, sizes, "kB a picture")
    page.figure(figure, "equivalent-quality", "Sizes of two files of equal SSIM, of which one is restored")
