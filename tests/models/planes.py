"""What the tests of networks on planes share: pictures to restore, and whether the runtimes restore them alike."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from mjpeg_restore.models.graph import Graph
from tests.lacking import needs


def components(span: tuple[int, int] = (2, 2), grid: tuple[int, int] = (2, 1), batch: int = 1) -> list[torch.Tensor]:
    """Coefficients and tables of Y, Cb, Cr; `grid` is chroma's, (high, wide)."""
    across, down = span
    high, wide = grid
    found = []
    for h, w in [(high * down, wide * across), grid, grid]:
        found += [torch.randint(-2, 3, (batch, h, w, 64)).float(), torch.randint(1, 30, (batch, 64)).float()]
    return found


def restored_alike(
    network: nn.Module, path: Path, pictures: Iterable[list[torch.Tensor]]
) -> list[tuple[list[torch.Tensor], list[NDArray[np.uint8]]]]:
    """Hold both runtimes, in float32, to within 1 of the network that the colour graph at `path` is of.

    Returns:
        For each picture the graph's inputs, and the planes that the network gives.
    """
    onnxruntime, openvino = needs("onnxruntime"), needs("openvino")
    session = onnxruntime.InferenceSession(path)
    compiled = openvino.Core().compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    names = [node.name for node in session.get_inputs()]
    checked = []
    for picture in pictures:
        inputs = [tensor[0].to(torch.uint16 if tensor.ndim == 2 else torch.int16) for tensor in picture]
        with torch.no_grad():
            expected = [plane.numpy() for plane in Graph(network)(*inputs)]
        feed = dict(zip(names, [tensor.numpy() for tensor in inputs], strict=True))
        for found in (session.run(None, feed), list(compiled(feed).values())):
            for ours, theirs in zip(found, expected, strict=True):
                assert ours.shape == theirs.shape
                assert np.abs(ours.astype(int) - theirs).max() <= 1
        checked.append((inputs, expected))
    return checked
