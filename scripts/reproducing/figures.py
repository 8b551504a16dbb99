"""Matplotlib figures: lines, points, bars, pictures and paths, as PNG files small enough for a repository."""

from __future__ import annotations

import io
import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mjpeg_restore.errors import MissingExtra

try:
    import matplotlib
except ImportError as error:
    raise MissingExtra("Matplotlib", "papers", "Drawing a paper's figures") from error
matplotlib.use("agg")
logging.getLogger("matplotlib").setLevel(logging.ERROR)

from matplotlib.axes import Axes  # noqa: E402
from matplotlib.figure import Figure  # noqa: E402

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7A5195", "#444444", "#8C6D31")
"""The first six are from Okabe and Ito's palette for colour-blind readers."""
MARKERS = "osD^vP*Xh"
LARGEST = 150_000
"""Maximum size of a file, bytes."""
DPI = 110
LABEL = (130, 16)
"""Width and height reserved for a point's label, pixels."""


@dataclass(frozen=True, slots=True)
class Series:
    """A line of a figure."""

    label: str
    x: Sequence[float]
    y: Sequence[float]
    published: bool = False
    """Whether it is from a paper: drawn in grey, dashed, with hollow markers."""
    strong: bool = False
    """Whether it is the subject of the figure: drawn thicker."""


def lines(series: Sequence[Series], across: str, up: str, *, zero: bool = False) -> Figure:
    """Line plots on common axes.

    Args:
        series: in the legend's order.
        across, up: labels of the axes, with units.
        zero: draw the level of zero.
    """
    figure, axes = _paper(7.4, 4.4)
    own = iter(zip(COLOURS * 2, MARKERS * 2, strict=True))
    grey = iter(zip(("#222222", "#777777", "#AAAAAA") * 3, MARKERS[:3] * 3, strict=False))
    for line in series:
        colour, marker = next(grey if line.published else own)
        axes.plot(
            line.x,
            line.y,
            label=line.label,
            color=colour,
            marker=marker,
            markersize=5.5,
            markerfacecolor="white" if line.published else colour,
            linestyle="--" if line.published else "-",
            linewidth=2.4 if line.strong else 1.4,
        )
    if zero:
        axes.axhline(0, color="black", linewidth=0.8)
    _label(axes, across, up)
    ticks = sorted({x for line in series for x in line.x})
    if len(ticks) <= 16:
        axes.set_xticks(ticks)
    axes.legend(frameon=False, fontsize=9, ncols=1 if len(series) < 6 else 2)
    return figure


def points(
    found: Mapping[str, tuple[float, float]],
    across: str,
    up: str,
    *,
    published: Mapping[str, tuple[float, float]] | None = None,
    logarithmic: bool = False,
) -> Figure:
    """A scatter plot of labelled points.

    Args:
        found: places by label.
        across, up: labels of the axes, with units.
        published: places from a paper, drawn in grey and hollow.
        logarithmic: whether the horizontal axis is.
    """
    figure, axes = _paper(7.4, 4.4)
    for place, colour in zip(found.values(), COLOURS * 3, strict=False):
        axes.plot(*place, "o", color=colour, markersize=9)
    for place in (published or {}).values():
        axes.plot(*place, "o", color="#777777", markerfacecolor="white", markersize=9)
    if logarithmic:
        axes.set_xscale("log")
    axes.margins(x=0.2, y=0.15)
    _label(axes, across, up)
    figure.draw_without_rendering()
    taken: list[tuple[float, float]] = []
    for name, place in sorted({**found, **(published or {})}.items(), key=lambda item: item[1][1]):
        x, y = axes.transData.transform(place)
        height = y
        while any(abs(x - other) < LABEL[0] and abs(height - level) < LABEL[1] for other, level in taken):
            height += 1
        taken.append((x, height))
        up_by = (height - y) * 72 / DPI - 3
        axes.annotate(name, place, xytext=(9, up_by), textcoords="offset points", fontsize=10)
    return figure


def bars(groups: Sequence[str], series: Mapping[str, Sequence[float]], up: str) -> Figure:
    """A grouped bar chart."""
    figure, axes = _paper(7.4, 4.0)
    width = 0.8 / len(series)
    places = np.arange(len(groups))
    for index, ((name, values), colour) in enumerate(zip(series.items(), COLOURS, strict=False)):
        drawn = axes.bar(places + (index - (len(series) - 1) / 2) * width, values, width, label=name, color=colour)
        axes.bar_label(drawn, fmt="%.3g", fontsize=8, padding=2)
    axes.set_xticks(places, groups)
    _label(axes, "", up)
    axes.grid(visible=False, axis="x")
    axes.legend(frameon=False, fontsize=9)
    return figure


def gallery(shown: Sequence[tuple[str, NDArray[np.generic]]], columns: int) -> Figure:
    """Pictures with titles, in rows: uint8 unscaled, float scaled from its minimum to its maximum."""
    rows = math.ceil(len(shown) / columns)
    high, wide = shown[0][1].shape[:2]
    above = 0.35 + 0.2 * max(title.count("\n") for title, _ in shown)
    figure = Figure(figsize=(3.1 * columns, (3.1 * high / wide + above) * rows), dpi=DPI, layout="constrained")
    for place, (title, picture) in enumerate(shown, 1):
        axes = figure.add_subplot(rows, columns, place)
        darkest, brightest = (0, 255) if picture.dtype == np.uint8 else (None, None)
        axes.imshow(picture, cmap="gray", interpolation="nearest", vmin=darkest, vmax=brightest)
        axes.set_title(title, fontsize=10)
        axes.set_axis_off()
    return figure


def mosaic(tiles: NDArray[np.floating], columns: int, gap: int = 1) -> NDArray[np.floating]:
    """Small pictures side by side, each scaled to -1..1 by its own largest value, on a ground of zeros.

    Args:
        tiles: `[n, height, width]`.
        columns: tiles in a row.
        gap: samples between them.
    """
    count, high, wide = tiles.shape
    rows = math.ceil(count / columns)
    whole = np.zeros((rows * (high + gap) - gap, columns * (wide + gap) - gap), tiles.dtype)
    for place, tile in enumerate(tiles):
        top, left = place // columns * (high + gap), place % columns * (wide + gap)
        whole[top : top + high, left : left + wide] = tile / np.abs(tile).max().clip(1e-9)
    return whole


def paths(
    found: Mapping[str, NDArray[np.floating]], values: Sequence[int], circled: Sequence[int], what: str
) -> Figure:
    """Paths through a plane, one panel each, coloured by a value along the path.

    Args:
        found: points, float `[len(values), 2]`, by title.
        values: value of each point.
        circled: values whose points are marked.
        what: label of the colour bar.
    """
    columns = min(4, len(found))
    rows = math.ceil(len(found) / columns)
    figure = Figure(figsize=(2.6 * columns + 0.8, 2.7 * rows), dpi=DPI, layout="constrained")
    marked = [index for index, value in enumerate(values) if value in circled]
    drawn = all_axes = None
    for place, (title, path) in enumerate(found.items(), 1):
        axes = figure.add_subplot(rows, columns, place)
        axes.plot(*path.T, color="#BBBBBB", linewidth=0.8, zorder=1)
        drawn = axes.scatter(*path.T, c=values, cmap="viridis", s=10, zorder=2)
        axes.scatter(*path[marked].T, facecolors="none", edgecolors="#D55E00", s=42, linewidths=0.9, zorder=3)
        axes.set_title(title, fontsize=9)
        axes.set_xticks([])
        axes.set_yticks([])
        all_axes = [*(all_axes or []), axes]
    assert drawn is not None
    figure.colorbar(drawn, ax=all_axes, label=what, shrink=0.8)
    return figure


def save(figure: Figure, path: Path) -> None:
    """Write a PNG of at most `LARGEST` bytes: if needed, reduce the colours first and the size next."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DPI)
    with Image.open(buffer) as image:
        rgb = image.convert("RGB")
    while len(buffer.getvalue()) > LARGEST:
        buffer = io.BytesIO()
        rgb.quantize(128, dither=Image.Dither.NONE).save(buffer, "PNG", optimize=True)
        rgb = rgb.resize((rgb.width * 9 // 10, rgb.height * 9 // 10), Image.Resampling.LANCZOS)
    path.write_bytes(buffer.getvalue())


def _paper(width: float, height: float) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(width, height), dpi=DPI, layout="constrained")
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color="#DDDDDD", linewidth=0.7)
    axes.set_axisbelow(True)
    return figure, axes


def _label(axes: Axes, across: str, up: str) -> None:
    axes.set_xlabel(across, fontsize=10)
    axes.set_ylabel(up, fontsize=10)
