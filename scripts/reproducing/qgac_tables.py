"""The published figures of QGAC's tables (Ehrlich et al. 2020)."""

from __future__ import annotations

from reproducing.measurement import Score
from reproducing.page import PLAIN

METHOD = "QGAC"
Published = dict[str, dict[int, dict[str, Score | None]]]
"""Scores by set, quality and method."""

METHODS = (PLAIN, "AR-CNN", "MWCNN", "IDCN", "DMCNN", METHOD)
"""The columns of tables 1 and 2. IDCN and DMCNN are for Q10 and Q20 only."""


def _table(live1: tuple[str, ...], bsds500: tuple[str, ...]) -> Published:
    """Parse a table of the paper: for each set a line for Q10, Q20 and Q30, of PSNR/PSNR-B/SSIM by method."""
    found: Published = {}
    for name, lines in (("live1", live1), ("bsds500-test", bsds500)):
        found[name] = {}
        for quality, line in zip((10, 20, 30), lines, strict=True):
            cells = zip(METHODS, line.split(), strict=True)
            found[name][quality] = {method: score(cell) for method, cell in cells if cell != "-"}
    return found


def score(cell: str) -> Score:
    """A cell of a table: PSNR/PSNR-B/SSIM."""
    return Score(*map(float, cell.split("/")))


TABLE_1 = _table(
    live1=(
        "25.60/23.53/0.755 26.66/26.54/0.792 27.21/27.02/0.805 27.62/27.32/0.816 27.18/27.03/0.810 27.65/27.40/0.819",
        "27.96/25.77/0.837 28.97/28.65/0.860 29.54/29.23/0.873 30.01/29.49/0.881 29.45/29.08/0.874 29.92/29.51/0.882",
        "29.25/27.10/0.872 30.29/29.97/0.891 30.82/30.45/0.901 - - 31.21/30.71/0.908",
    ),
    bsds500=(
        "25.72/23.44/0.748 26.83/26.65/0.783 27.18/26.93/0.794 27.61/27.22/0.805 27.16/26.95/0.799 27.69/27.36/0.810",
        "28.01/25.57/0.833 29.00/28.53/0.853 29.45/28.96/0.866 29.90/29.20/0.873 29.35/28.84/0.866 29.89/29.29/0.876",
        "29.31/26.85/0.869 30.31/29.85/0.887 30.71/30.09/0.895 - - 31.15/30.37/0.903",
    ),
)
"""Colour."""
TABLE_2 = _table(
    live1=(
        "27.76/25.32/0.790 28.96/28.68/0.821 29.68/29.30/0.839 29.68/29.32/0.838 29.73/29.43/0.839 29.53/29.15/0.840",
        "30.05/27.55/0.868 31.26/30.73/0.887 32.00/31.47/0.901 32.05/31.46/0.900 32.07/31.49/0.901 31.86/31.27/0.901",
        "31.37/28.90/0.900 32.64/32.11/0.916 33.40/32.76/0.926 - - 33.23/32.50/0.925",
    ),
    bsds500=(
        "27.86/25.18/0.785 29.14/28.76/0.816 29.63/29.16/0.831 29.60/29.13/0.829 29.66/29.27/0.831 29.54/29.04/0.833",
        "30.08/27.28/0.864 31.27/30.52/0.881 31.88/31.12/0.894 31.88/31.05/0.893 31.91/31.13/0.894 31.79/30.96/0.894",
        "31.37/28.56/0.896 32.64/31.90/0.912 33.23/32.29/0.920 - - 33.12/32.07/0.920",
    ),
)
"""Luma alone."""
TABLE_3 = (
    (10, 50, score("30.91/28.94/0.905"), score("30.19/30.14/0.889"), score("32.78/32.19/0.932")),
    (20, 50, score("30.91/28.94/0.905"), score("31.91/31.65/0.916"), score("32.78/32.19/0.932")),
    (10, 20, score("27.96/25.77/0.837"), score("29.25/29.08/0.863"), score("29.92/29.51/0.882")),
    (20, 10, score("25.60/23.53/0.755"), score("26.95/26.24/0.804"), score("27.65/27.40/0.819")),
)
"""LIVE1, colour: quality that IDCN was trained for, quality of the pictures, scores of JPEG, IDCN and QGAC."""
TABLE_4 = {
    "live1": {10: (69.57, 35.86), 20: (36.32, 16.99), 30: (24.72, 12.20)},
    "bsds500-test": {10: (75.15, 34.80), 20: (42.46, 18.74), 30: (29.04, 13.03)},
}
"""FID of the regression network and of the GAN."""
TABLE_5 = {
    PLAIN: ("", score("27.82/25.21/0.780")),
    "the table unused": ("table-unused", score("29.38/28.90/0.825")),
    "the table concatenated": ("table-concatenated", score("29.32/28.94/0.823")),
    "filter manifolds": ("complete", score("29.46/29.05/0.827")),
    "FrequencyNet alone": ("frequency", score("28.03/25.58/0.787")),
    "BlockNet alone": ("block", score("29.45/29.04/0.827")),
    "no fusion": ("no-fusion", score("27.82/25.21/0.780")),
    "fusion": ("complete", score("29.22/28.76/0.822")),
}
"""Classic-5 at Q10: the stage of `qgac-ablations` that trains ours, and the published score. JPEG's is that of table 2
of the paper."""
