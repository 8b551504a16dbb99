"""QGAC, appendix B.1: generated weights at several qualities, and whether they follow a smooth path between them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mjpeg_restore.catalogue import Model
from mjpeg_restore.jpeg.tables import scaled_tables
from reproducing import figures
from reproducing.networks import with_weights
from reproducing.page import Page

QUALITIES = tuple(range(101))
SEEN = tuple(range(10, 101, 10))
"""Qualities of the training (section 4.1)."""
BETWEEN = tuple(range(15, 100, 10))
SHOWN = (10, 50, 100)
"""Qualities of figure 1."""
LAYER = "first.represent"
CHANNELS = (9, 27, 45)
"""The layer and the channels of figure 1. The paper does not name its own."""


def generated(model: Model) -> dict[str, NDArray[np.float64]]:
    """Every generated weight at every quality: float `[101, weights]` by the layer's name."""
    import torch

    network = with_weights(model, "colour", 50)
    tables = np.stack([np.stack(scaled_tables(quality)) for quality in QUALITIES]).astype(np.float32)
    luma, chroma = (network.manifold(torch.from_numpy(tables[:, component])) for component in (0, 1))  # pyright: ignore
    of_chroma = [name for name in luma if name.startswith("colour.") and not name.endswith("represent_luma")]
    return {name: (chroma if name in of_chroma else luma)[name].flatten(1).numpy().astype(np.float64) for name in luma}


def principal(weights: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]:
    """The first two principal components of weights: scores `[101, 2]`, and their share of the variance."""
    centred = weights - weights.mean(axis=0)
    places, spread, _ = np.linalg.svd(centred, full_matrices=False)
    return places[:, :2] * spread[:2], float(np.sum(spread[:2] ** 2) / np.sum(spread**2))


def distance_from_halfway(weights: NDArray[np.float64]) -> float:
    """Mean distance of the weights for Q15, Q25, ... from their neighbours' midpoint, relative to their distance."""
    shares = []
    for quality in BETWEEN:
        below, here, above = weights[[quality - 5, quality, quality + 5]]
        shares.append(np.linalg.norm(here - (below + above) / 2) / np.linalg.norm(above - below))
    return float(np.mean(shares))


def show(page: Page, model: Model) -> None:
    """Embed the generated weights in a plane, measure, and fill the section."""
    found = generated(model)
    kernels(page, found)
    page.heading("Appendix B.1, figure 3: the filter manifold")
    page.text(
        "For each quality from 0 to 100 (0 has the table of 1), all weights that a layer generates are embedded in a"
        " plane. The embedding is by principal components, which keep straight paths straight, as t-SNE does not."
        " Circles mark qualities seen in training. The paper claims that the table of quality 25 generates a weight"
        " halfway between those of 20 and 30. The last column is the distance from halfway, at 15, 25, ..., 95,"
        " relative to the distance between the two neighbours."
    )
    paths, cells = {}, []
    for name, weights in found.items():
        paths[name], share = principal(weights)
        cells.append([name, f"{weights.shape[1]:,}", 100 * share, 100 * distance_from_halfway(weights)])
    page.table("manifold", ("layer", "weights", "variance in the plane, %", "distance from halfway, %"), cells)
    figure = figures.paths(paths, QUALITIES, SEEN, "quality of the table")
    page.figure(figure, "manifold", "Generated weights from quality 0 to 100, in a plane for each layer")


def kernels(page: Page, found: dict[str, NDArray[np.float64]]) -> None:
    """Figure 1: kernels at three qualities, and how their size changes."""
    page.heading("Appendix B.1, figure 1: generated kernels")
    page.text(
        f"Channels {', '.join(map(str, CHANNELS))} of {LAYER}, by frequency, at three qualities. Grey is zero; a"
        " channel has one scale at all qualities. In the paper, a channel's pattern stays the same and becomes weaker"
        " as the quality rises. The table has the size of all weights of a layer (root mean square), relative to that"
        f" at Q{SHOWN[0]}: it says which layers of ours become weaker."
    )
    of_layer = found[LAYER].reshape(len(QUALITIES), -1, 8, 8)
    scales = np.abs(of_layer).max(axis=(0, 2, 3))
    shown = [
        (f"Q{quality}, channel {channel}", pictured(of_layer[quality, channel] / scales[channel]))
        for quality in SHOWN
        for channel in CHANNELS
    ]
    page.figure(figures.gallery(shown, len(CHANNELS)), "kernels", "Generated kernels at Q10, Q50 and Q100")
    sizes = {name: np.sqrt(np.mean(weights[list(SHOWN)] ** 2, axis=1)) for name, weights in found.items()}
    cells = [[name, *(100 * size[1:] / size[0])] for name, size in sizes.items()]
    page.table("kernels", ("layer", *(f"at Q{quality}, %" for quality in SHOWN[1:])), cells)


def pictured(kernel: NDArray[np.float64]) -> NDArray[np.uint8]:
    """A kernel of -1..1 as a picture in which zero is grey."""
    return np.round(128 + 127 * kernel).astype(np.uint8)
