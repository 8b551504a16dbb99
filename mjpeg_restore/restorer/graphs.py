"""Runs a graph on a picture of any size: in tiles where it has to, and no planes but those of the contract come out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mjpeg_restore.catalogue import GraphFile, Port
from mjpeg_restore.errors import ModelCorrupt
from mjpeg_restore.futures import gather
from mjpeg_restore.restorer.tiles import Tile, tiles
from mjpeg_restore.runtime import Inputs, Planes, Session


def run(
    session: Session, graph: GraphFile, inputs: Inputs, margin: int, most: int, largest: tuple[int, int] | None
) -> Future[Planes]:
    """Run a graph, in tiles where the whole would take too much memory or is larger than the network takes.

    Args:
        session: of the graph's network.
        graph: what the session runs.
        inputs: the graph's, of a whole picture.
        margin: of a tile, in MCUs: the network's receptive field.
        most: blocks of the first component that fit into memory at once.
        largest: blocks of the first component that the network takes down and across; None: any number.

    Returns:
        Its result is `ModelCorrupt` if the graph's planes are not what the contract says.
    """
    grids = _grids(graph, inputs)
    high, wide = grids[-1]
    steps = [(rows // high, columns // wide) for rows, columns in grids]
    limits = largest and (largest[0] // steps[0][0], largest[1] // steps[0][1])
    parts = tiles(high, wide, margin, most // math.prod(steps[0]), limits)
    if len(parts) == 1:
        return submit(session, graph, inputs)
    places = [port.grid for port in graph.outputs]
    planes = tuple(np.empty((8 * grids[place][0], 8 * grids[place][1]), np.uint8) for place in places)

    def paste(restored: list[Planes]) -> Planes:
        for tile, some in zip(parts, restored, strict=True):
            for plane, whole, place in zip(some, planes, places, strict=True):
                down, across = steps[place]
                tile.paste(plane, whole, 8 * down, 8 * across)
        return planes

    return gather([submit(session, graph, _cut(graph, inputs, tile, steps)) for tile in parts], paste)


def submit(session: Session, graph: GraphFile, inputs: Inputs) -> Future[Planes]:
    """Begin to run a graph; the result is `ModelCorrupt` if its planes are not what the contract says."""
    grids = _grids(graph, inputs)
    return gather([session.submit(inputs)], lambda planes: checked(planes[0], graph, graph.outputs, grids))


def checked(planes: Planes, graph: GraphFile, ports: Sequence[Port], grids: Sequence[tuple[int, ...]]) -> Planes:
    """What a graph gave for some of its outputs, if that is what the contract says; `grids` are the components' blocks.

    Raises:
        ModelCorrupt: it is not.
    """
    for array, port in zip(planes, ports, strict=True):
        shape = port.sizes(grids)
        if (array.dtype, array.shape) != (port.dtype, shape):
            what = "plane" if port.kind == "samples" else port.name
            found = f"{array.dtype} {[*array.shape]}"
            raise ModelCorrupt(f"{graph.label} gives a {what} of {found}, not {port.dtype} {[*shape]}")
    return planes


def _grids(graph: GraphFile, inputs: Inputs) -> list[tuple[int, ...]]:
    """Blocks of each component, high and wide."""
    return [array.shape[:2] for array, port in zip(inputs, graph.inputs, strict=True) if port.kind == "coefficients"]


def _cut(graph: GraphFile, inputs: Inputs, tile: Tile, steps: list[tuple[int, int]]) -> Inputs:
    """The part of a graph's inputs that belongs to a tile; `steps` are each component's blocks in an MCU."""
    cut: list[NDArray[Any]] = []
    for array, port in zip(inputs, graph.inputs, strict=True):
        if port.per_block:
            down, across = steps[port.component]
            array = np.ascontiguousarray(tile.cut(array, port.per_block * down, port.per_block * across))
        cut.append(array)
    return cut
