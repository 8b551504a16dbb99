"""A training step as one CUDA graph (NVIDIA, CUDA C++ programming guide, "CUDA graphs").

Networks as small as ours are computed faster than their two thousand kernels can be launched one by one. Captured once
and replayed, a step takes one launch.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from mjpeg_restore.training.degradation import Compressed

log = logging.getLogger(__name__)

Step = Callable[[Compressed], Tensor]
"""Takes a batch, changes the weights, and gives the loss."""

WARM_UP = 3
"""Steps of a shape before it is captured: libraries choose their kernels in the first, and optimisers make their
state."""


@dataclass(slots=True)
class Shape:
    """Batches of one sampling: all their tensors have the same shapes."""

    steps: int = 0
    batch: Compressed | None = None
    """What the captured step reads."""
    graph: torch.cuda.CUDAGraph | None = None
    loss: Tensor | None = None
    """What it writes."""


class Captured:
    """A step that is captured for each shape of batch that it meets, on the current CUDA device."""

    def __init__(self, step: Step) -> None:
        """Keep the step; what it does on the host, it does while it is captured alone."""
        self.step = step
        self.shapes: dict[tuple[torch.Size, ...], Shape] = {}
        self.stream = torch.cuda.Stream()
        self.pool = torch.cuda.graph_pool_handle()
        self.refused = False
        """Whether a step turned out to be none that can be captured: one that copies from the host, for one."""

    def __call__(self, batch: Compressed) -> Tensor:
        """Take a step; the loss is the caller's own."""
        if self.refused:
            return self.step(batch)
        shape = self.shapes.setdefault(tuple(tensor.shape for tensor in _tensors(batch)), Shape())
        if shape.graph is None:
            shape.steps += 1
            if shape.steps <= WARM_UP:
                return self.beside(batch)
            self.capture(shape, batch)
            if self.refused:
                return self.step(batch)
        assert shape.graph and shape.batch and shape.loss is not None, "it is captured"
        for own, given in zip(_tensors(shape.batch), _tensors(batch), strict=True):
            own.copy_(given)
        shape.graph.replay()
        return shape.loss.clone()

    def beside(self, batch: Compressed) -> Tensor:
        """A step on the stream that captures, as libraries keep what they need by stream."""
        self.stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self.stream):
            loss = self.step(batch)
        torch.cuda.current_stream().wait_stream(self.stream)
        return loss

    def capture(self, shape: Shape, batch: Compressed) -> None:
        """Record a step, which changes nothing yet."""
        shape.batch = Compressed(*([tensor.clone() for tensor in part] for part in _parts(batch)))
        graph = torch.cuda.CUDAGraph()
        try:
            with torch.cuda.graph(graph, pool=self.pool, stream=self.stream):
                shape.loss = self.step(shape.batch).detach()
        except RuntimeError as error:
            self.refused = True
            log.warning("steps are launched one by one: %s", str(error).splitlines()[0])
            return
        shape.graph = graph


def prepare(optimisers: list[Optimizer], device: torch.device) -> None:
    """Let optimisers keep on a CUDA device what a captured step reads, the learning rate above all; elsewhere not."""
    cuda = device.type == "cuda"
    for optimiser in optimisers:
        for group in optimiser.param_groups:
            rate = float(group["lr"])
            group["lr"] = torch.tensor(rate, device=device) if cuda else rate
            if "capturable" in group:
                group["capturable"] = cuda
        for state in optimiser.state.values():
            if "step" in state:
                state["step"] = state["step"].to(device)


def set_rate(group: dict[str, Any], rate: float) -> None:
    """Set the learning rate of an optimiser's group, in place where a captured step reads it."""
    if isinstance(group["lr"], Tensor):
        group["lr"].fill_(rate)
    else:
        group["lr"] = rate


def _parts(batch: Compressed) -> list[list[Tensor]]:
    return [getattr(batch, part.name) for part in fields(batch)]


def _tensors(batch: Compressed) -> list[Tensor]:
    return [tensor for part in _parts(batch) for tensor in part]
