"""QGCN, figures 4, 5 and 7: pictures at Q10, and one at every quality."""

from __future__ import annotations

from dataclasses import dataclass

from measuring import pictures
from measuring.metrics import psnr
from measuring.pictures import Plane
from measuring.scores import samples

from mjpeg_restore.jpeg import read
from reproducing import figures
from reproducing.measurement import Bench
from reproducing.page import PLAIN, Page
from reproducing.qgcn_tables import QUALITIES


@dataclass(frozen=True, slots=True)
class Example:
    """A picture of LIVE1 that a figure shows at Q10, in colour."""

    figure: str
    title: str
    """The paper's name of the picture."""
    name: str
    """Its file's."""
    corner: tuple[int, int]
    """Top left corner of the part that is shown."""
    published: dict[str, float]
    """PSNR in dB by method."""


EXAMPLES = (
    Example(
        "4",
        "Sailing",
        "sailing2",
        (96, 0),
        {PLAIN: 28.28, "AR-CNN": 29.02, "EDSR": 30.38, "QCN": 30.62, "QGCN": 31.01},
    ),
    Example(
        "5",
        "Cemetery",
        "cemetry",
        (256, 200),
        {PLAIN: 23.79, "AR-CNN": 24.50, "EDSR": 25.45, "QCN": 25.64, "QGCN": 25.94},
    ),
)
BUTTERFLY = "monarch"
"""The only butterfly of LIVE1, for figure 7."""
METHODS = {PLAIN: "decode", "EDSR": "edsr", "QCN": "qcn", "QGCN": "qgcn"}
"""Models of the catalogue by the names of the methods."""
PART = 128
"""Side of the parts of pictures that are shown, in samples."""


def examples(bench: Bench, page: Page) -> None:
    """Figures 4 and 5: pictures at Q10."""
    page.heading("Figures 4 and 5: two pictures at Q10, colour")
    networks = {method: bench.networks.shipped(name) for method, name in METHODS.items()}
    cells: list[list[str]] = []
    shown: list[tuple[str, Plane]] = []
    for example in EXAMPLES:
        name, original = bench.picture("live1", example.name)
        coded = read(pictures.encode(original, 10))
        found: dict[str, float] = {}
        for method, network in networks.items():
            if network:
                restored = samples(network, coded)
                found[method] = psnr(restored, original)
                shown.append((f"{name}, {method}", _part(restored, example.corner)))
        shown.append((f"{name}, original", _part(original, example.corner)))
        for method, theirs in example.published.items():
            ours = found.get(method)
            gains = ["-" if value is None else f"{value:+.2f}" for value in _over(found, example.published, method)]
            psnrs = ["-" if ours is None else f"{ours:.2f}", f"{theirs:.2f}"]
            cells.append([example.figure, f"{example.title} ({name})", method, *psnrs, *gains])
    page.text(
        "The paper calls them Sailing and Cemetery. That they are these pictures of LIVE1 follows from the PSNR of the"
        " JPEG, which is about 0.1 dB lower in the paper, as in table II. A gain is that over the JPEG."
    )
    header = ("figure", "picture", "method", "PSNR", "PSNR, published", "gain", "gain, published")
    page.table("examples", header, cells)
    columns = len(shown) // len(EXAMPLES)
    page.figure(figures.gallery(shown, columns), "examples", "Parts of both pictures at Q10: JPEG, restored, original")


def _over(ours: dict[str, float], theirs: dict[str, float], method: str) -> tuple[float | None, float | None]:
    """Our and the published gain of a method over the JPEG; None for the JPEG itself, and where there is none."""
    if method == PLAIN:
        return None, None
    return ours[method] - ours[PLAIN] if method in ours else None, theirs[method] - theirs[PLAIN]


def _part(picture: Plane, corner: tuple[int, int]) -> Plane:
    """The part of a picture from a corner on, or from where a smaller picture has one."""
    top, left = (min(start, max(0, length - PART)) for start, length in zip(corner, picture.shape, strict=False))
    return picture[top : top + PART, left : left + PART]


def butterfly(bench: Bench, page: Page) -> None:
    """Figure 7: a picture at every quality."""
    network = bench.networks.shipped("qgcn")
    if not network:
        return
    page.heading("Figure 7: a picture at every quality, colour")
    name, original = bench.picture("live1", BUTTERFLY)
    page.text(
        f"The paper's picture is called Butterfly; this is {name} of LIVE1. PSNR is that of the whole picture; its"
        " middle is shown."
    )
    rows: list[list[tuple[str, Plane]]] = []
    for method, restorer in ((PLAIN, bench.decode), ("QGCN", network)):
        rows.append([])
        for quality in QUALITIES:
            restored = samples(restorer, read(pictures.encode(original, quality)))
            title = f"{method}, Q{quality}, {psnr(restored, original):.2f} dB"
            rows[-1].append((title, pictures.middle(restored, PART)))
    shown = [each for row in rows for each in row]
    page.figure(figures.gallery(shown, len(QUALITIES)), "qualities", f"The middle of {name}: JPEG and restored")
