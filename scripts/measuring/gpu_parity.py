"""Networks on a GPU beside the same networks on the CPU."""

from __future__ import annotations

import io
from contextlib import closing
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from measuring import clips
from measuring.metrics import psnr
from mjpeg_restore.catalogue import GraphFile
from mjpeg_restore.catalogue.ports import STATE
from mjpeg_restore.futures import INLINE
from mjpeg_restore.jpeg import read
from mjpeg_restore.restorer.arrays import components
from mjpeg_restore.runtime import Inputs, Network, Planes, Precision, Progress, open_network

if TYPE_CHECKING:  # --help does not need it
    from PIL import Image

FRAMES = 6
"""Of a still scene, for a graph with a state."""
NOISE = 3.0
"""Standard deviation of their R, G and B, grey levels."""


def parity(
    graph: GraphFile, device: str, precision: Precision, engine_cache: Path | None, progress: Progress
) -> dict[str, Any]:
    """A network on a device, compared with its rewritten float32 graph in ONNX Runtime on the CPU.

    Returns:
        `runtime`; `most`: largest difference of a sample, of the last of several frames where the graph has a state;
        `off`: share of samples that differ; `loss_db`: PSNR lost against the original picture, luma's, where the graph
        gives planes.
    """
    picture, frames, right = reference(graph)
    network = open_network(graph, device, progress=progress, precision=precision, engine_cache=engine_cache)
    ours = _restored(network, graph, frames)
    differences = [np.abs(a.astype(np.float64) - b) for a, b in zip(ours, right, strict=True)]
    found: dict[str, Any] = {"runtime": network.name, "most": float(max(one.max() for one in differences))}
    found["off"] = float(sum((one > 0).sum() for one in differences) / sum(one.size for one in differences))
    if graph.outputs[0].kind == "samples":
        found["loss_db"] = psnr(right[0], picture) - psnr(ours[0], picture)
    return found


@lru_cache(1)  # the same graph comes for each device and precision
def reference(graph: GraphFile) -> tuple[NDArray[np.uint8], list[Inputs], Planes]:
    """A picture's luma, a graph's inputs for its JPEG, and what the rewritten float32 graph gives on the CPU.

    For a graph with a state there are several JPEGs, with a sensor's noise; what it gives is that of the last one.
    """
    from measuring.precision import RewrittenNetwork

    picture, frames = _pictured(graph)
    return picture, frames, _restored(RewrittenNetwork(graph, half=False), graph, frames)


def _restored(network: Network, graph: GraphFile, frames: list[Inputs]) -> Planes:
    """The planes, or the context, of the last frame."""
    made: Planes = ()
    if graph.has_state and (camera := network.camera(INLINE)):
        with closing(camera):
            for frame in frames:
                made = camera.submit(frame, past=True, evidence=True).result()
        return made
    components = [port for port in graph.inputs if port.kind == "coefficients"]
    ports = [port for port in graph.inputs if port.kind in STATE]
    grids = [coefficients.shape[:2] for coefficients in frames[0][: 2 * len(components) : 2]]
    state: Planes = tuple(np.zeros(port.sizes(grids), port.dtype) for port in ports)
    with closing(network.session(INLINE)) as session:
        for frame in frames:
            made = session.submit([*frame, *state]).result()
            state = made[len(components) :] if state else ()
    return made[: len(made) - len(state)]


def _pictured(graph: GraphFile) -> tuple[NDArray[np.uint8], list[Inputs]]:
    """A small picture's luma, and the inputs of a graph that are made of its JPEGs, without a state."""
    from PIL import Image
    from street import frames

    size = (256, 192)
    (image,) = frames(*size, clips.FPS, 1)
    grey = len([port for port in graph.inputs if port.kind == "coefficients"]) == 1
    luma, shown = np.asarray(image.convert("L")), image.convert("L" if grey else "RGB")
    random = np.random.default_rng(1)
    if graph.has_state:
        pixels = np.asarray(shown, np.float64)
        noisy = [pixels + random.normal(0, NOISE, pixels.shape) for _ in range(FRAMES)]
        pictures = [Image.fromarray(np.rint(one).clip(0, 255).astype(np.uint8)) for one in noisy]
        return luma, [_components(picture, quality=75) for picture in pictures]
    found = _components(shown, quality=20)
    further = {
        "noise": lambda: random.standard_normal((4 * found[0].shape[0], 4 * found[0].shape[1]), np.float32),
        "context": lambda: random.uniform(0, 1, [int(size) for size in graph.inputs[-1].shape]).astype(np.float32),
    }
    return luma, [[*found, *(further[port.kind]() for port in graph.inputs if port.kind in further)]]


def _components(image: Image.Image, quality: int) -> Inputs:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return components(read(buffer.getvalue()))
