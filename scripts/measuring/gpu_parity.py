"""Networks on a GPU beside the same networks on the CPU."""

from __future__ import annotations

import io
from contextlib import closing
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from measuring import clips
from measuring.metrics import psnr
from mjpeg_restore.catalogue import GraphFile
from mjpeg_restore.futures import INLINE
from mjpeg_restore.jpeg import read
from mjpeg_restore.restorer import components
from mjpeg_restore.runtime import Inputs, Planes, Precision, Progress, open_network


def parity(
    graph: GraphFile, device: str, precision: Precision, engine_cache: Path | None, progress: Progress
) -> dict[str, Any]:
    """A network on a device, compared with its rewritten float32 graph in ONNX Runtime on the CPU.

    Returns:
        `runtime`; `most`: largest difference of a sample; `off`: share of samples that differ; `loss_db`: PSNR lost
        against the original picture, luma's, where the graph gives planes.
    """
    picture, inputs, right = reference(graph)
    network = open_network(graph, device, progress=progress, precision=precision, engine_cache=engine_cache)
    with closing(network.session(INLINE)) as session:
        ours = session.submit(inputs).result()
    differences = [np.abs(a.astype(np.float64) - b) for a, b in zip(ours, right, strict=True)]
    found: dict[str, Any] = {"runtime": network.name, "most": float(max(one.max() for one in differences))}
    found["off"] = float(sum((one > 0).sum() for one in differences) / sum(one.size for one in differences))
    if graph.outputs[0].kind == "samples":
        found["loss_db"] = psnr(right[0], picture) - psnr(ours[0], picture)
    return found


@lru_cache(1)  # the same graph comes for each device and precision
def reference(graph: GraphFile) -> tuple[NDArray[np.uint8], Inputs, Planes]:
    """A picture's luma, a graph's inputs for its JPEG, and what the rewritten float32 graph gives on the CPU."""
    from measuring.precision import RewrittenNetwork

    picture, inputs = _pictured(graph)
    return picture, inputs, RewrittenNetwork(graph, half=False).run(inputs)


def _pictured(graph: GraphFile) -> tuple[NDArray[np.uint8], Inputs]:
    """A small picture's luma, and the inputs of a graph that are made of its JPEG."""
    from street import frames

    size = (256, 192)
    (image,) = frames(*size, clips.FPS, 1)
    grey = len([port for port in graph.inputs if port.kind == "coefficients"]) == 1
    luma = np.asarray(image.convert("L"))
    buffer = io.BytesIO()
    (image.convert("L") if grey else image).save(buffer, "JPEG", quality=20)
    found = components(read(buffer.getvalue()))
    random = np.random.default_rng(1)
    further = {
        "noise": lambda: random.standard_normal((4 * found[0].shape[0], 4 * found[0].shape[1]), np.float32),
        "context": lambda: random.uniform(0, 1, [int(size) for size in graph.inputs[-1].shape]).astype(np.float32),
    }
    return luma, [*found, *(further[port.kind]() for port in graph.inputs if port.kind in further)]
