"""What the tests of networks on coefficients share: pictures to restore, and whether a runtime restores them alike."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from mjpeg_restore.models.decode import Decode
from mjpeg_restore.models.graph import Graph
from mjpeg_restore.runtime import Network
from tests.runtime.graphs import run


def components(span: tuple[int, int] | None = (2, 2), grid: tuple[int, int] = (2, 3)) -> list[torch.Tensor]:
    """Coefficients and tables of Y, Cb, Cr, or of Y alone; `grid` is chroma's, (high, wide)."""
    across, down = span or (1, 1)
    high, wide = grid
    found = []
    for h, w in [(high * down, wide * across), grid, grid][: 3 if span else 1]:
        found += [torch.randint(-3, 4, (1, h, w, 64)).float(), torch.randint(1, 99, (1, 64)).float()]
    return found


def assert_restored_alike(opened: Network, network: nn.Module, inputs: Sequence[NDArray[Any]], *, bf16: bool) -> None:
    """Hold a runtime to the network whose graph it runs.

    In float32 it is within 1 of it. In bf16 what the network adds to the plain decode is true to a few in a hundred.
    """
    tensors = [torch.from_numpy(array) for array in inputs]
    with torch.no_grad():
        expected, plain = Graph(network)(*tensors), Graph(Decode())(*tensors)
    for plane, wanted, decoded in zip(run(opened, inputs), expected, plain, strict=True):
        decoded = functional.interpolate(decoded[None, None].float(), wanted.shape)[0, 0]  # chroma at luma's size
        change = (wanted.float() - decoded).abs().max().item()
        assert change > 0
        error = np.abs(plane.astype(int) - wanted.numpy()).max()
        assert error <= (1 + change / 10 if bf16 else 1)
