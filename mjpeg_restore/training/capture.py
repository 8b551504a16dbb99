"""A training step as one CUDA graph (NVIDIA, CUDA C++ programming guide, "CUDA graphs").

Networks as small as ours are computed faster than their two thousand kernels can be launched one by one. Captured once
and replayed, a step takes one launch.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from mjpeg_restore.training.degradation import Compressed
from mjpeg_restore.training.optimiser import Muon

log = logging.getLogger(__name__)

Step = Callable[[Compressed], Tensor]
"""Takes a batch, changes the weights, and gives the loss."""

Shape = tuple[torch.Size, ...]
"""Of all tensors of a batch."""

LAUNCHED = 3
"""Steps of a shape before it is captured: libraries choose their kernels in the first, and optimisers make their
state."""


@dataclass(frozen=True, slots=True)
class Recording:
    """A step, captured."""

    graph: torch.cuda.CUDAGraph
    batch: Compressed
    """What it reads."""
    loss: Tensor
    """What it writes."""

    def replay(self, batch: Compressed) -> Tensor:
        """Take the step; the loss is the caller's own."""
        for own, given in zip(_tensors(self.batch), _tensors(batch), strict=True):
            own.copy_(given)
        self.graph.replay()
        return self.loss.clone()


class Captured:
    """A step that is captured for each shape of batch, which is each sampling, on the current CUDA device.

    One that cannot be captured, because it waits for the device or copies from the host, is launched as it is.
    """

    def __init__(self, step: Step) -> None:
        """Keep the step; what it does on the host, it does in its first calls and while it is captured alone."""
        self.step = step
        self.recordings: dict[Shape, Recording] = {}
        self.taken = Counter[Shape]()
        self.capturable = True
        self.stream = torch.cuda.Stream()
        self.pool = torch.cuda.graph_pool_handle()  # one step's intermediate results may lie where another's lay

    def __call__(self, batch: Compressed) -> Tensor:
        """Take a step; gives the loss."""
        shape = tuple(tensor.shape for tensor in _tensors(batch))
        if self.capturable and shape not in self.recordings and self.taken[shape] >= LAUNCHED:
            self.record(shape, batch)
        if self.capturable and shape in self.recordings:
            return self.recordings[shape].replay(batch)
        self.taken[shape] += 1
        # Beside, on the stream that captures: libraries keep what they need by stream.
        self.stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self.stream):
            loss = self.step(batch)
        torch.cuda.current_stream().wait_stream(self.stream)
        return loss

    def record(self, shape: Shape, batch: Compressed) -> None:
        """Capture a step, which takes none."""
        kept = Compressed(*([tensor.clone() for tensor in part] for part in _parts(batch)))
        graph = torch.cuda.CUDAGraph()
        try:
            # The outer stream is this one: a graph that fails to end leaves its own behind.
            with (
                torch.cuda.stream(torch.cuda.current_stream()),
                torch.cuda.graph(graph, pool=self.pool, stream=self.stream),
            ):
                loss = self.step(kept)
        except RuntimeError as error:
            self.capturable = False
            cause = error.__context__ or error  # what went wrong first
            log.warning("steps are launched one by one: %s", str(cause).splitlines()[0])
        else:
            self.recordings[shape] = Recording(graph, kept, loss)


def can_be_captured(optimisers: list[Optimizer]) -> bool:
    """Whether these can keep all that they need on the device; PyTorch's SGD takes its rate from the host."""
    return all(isinstance(o, Muon) or all("capturable" in g for g in o.param_groups) for o in optimisers)


def prepare(optimisers: list[Optimizer], device: torch.device, captured: bool) -> None:
    """Have optimisers keep on the device what a captured step reads, the learning rate above all, or on the host."""
    for optimiser in optimisers:
        for group in optimiser.param_groups:
            rate = float(group["lr"])
            group["lr"] = torch.tensor(rate, device=device) if captured else rate
            if "capturable" in group:
                group["capturable"] = captured
        for state in optimiser.state.values():
            if "step" in state:
                state["step"] = state["step"].to(device if captured else "cpu")


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
