"""What the documents say of the networks is what the manifest holds: figures are copied by hand, and grow old."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from mjpeg_restore import catalogue
from mjpeg_restore.catalogue import Model

ROOT = Path(__file__).parents[1]

Row = dict[str, str]


def tables(document: str) -> list[Row]:
    """The rows of all tables, each cell under its column's header."""
    rows: list[Row] = []
    for block in re.findall(r"(?:^\|.*\|\n)+", (ROOT / document).read_text(), flags=re.MULTILINE):
        header, _, *body = ([cell.strip() for cell in line.split("|")[1:-1]] for line in block.splitlines())
        rows += [dict(zip(header, cells, strict=True)) for cells in body]
    return rows


def of_models(document: str, column: str) -> list[tuple[Model, Row]]:
    """The rows of the tables with that column that name a network of ours."""
    rows = [row for row in tables(document) if column in row]
    named = [(re.match(r"\**`([a-z0-9-]+)`", row[""]), row) for row in rows]
    return [(catalogue.find(name[1]), row) for name, row in named if name]


def measured(model: Model, quality: str, figure: Callable[[dict[str, float]], str]) -> str:
    """One of the figures of LIVE1 as a document writes it; "-" where the network is not for that quality."""
    row = model.quality["live1"].get(quality)
    return figure(row) if row else "-"


def gains(model: Model, header: str, figure: str) -> str:
    """The cell under a header that names qualities."""
    return " / ".join(measured(model, q, lambda row: f"{row[figure]:+.2f}") for q in re.findall(r"Q(\d+)", header))


@pytest.mark.parametrize("document", ["README.md", "docs/papers.md"])
def test_gains_of_the_papers_networks(document: str) -> None:
    luma, rgb = "luma gain on LIVE1, Q10 / Q20 / Q40", "RGB gain, Q10 / Q40"
    found = of_models(document, luma)
    assert [model.name for model, _ in found] == list(catalogue.models())[3:]
    for model, row in found:
        assert row["kMAC per pixel"] == f"{model.macs_per_pixel / 1000:.1f}"
        assert row[luma] == gains(model, luma, "luma_gain")
        assert row[rgb] == gains(model, rgb, "rgb_gain")


def test_figures_of_our_own_networks() -> None:
    rgb = "RGB gain, Q10 / Q40"
    found = of_models("README.md", "Q30")
    assert {model.name for model, _ in found} == {"stream", "stream-lite"}
    for model, row in found:
        assert row["kMAC per pixel"] == f"{model.macs_per_pixel / 1000:.1f} with chroma"
        assert row[rgb] == gains(model, rgb, "rgb_gain")
        for quality in ("10", "20", "30", "40"):
            assert row[f"Q{quality}"] == measured(model, quality, lambda row: f"{row['luma_psnr']:.2f}")
