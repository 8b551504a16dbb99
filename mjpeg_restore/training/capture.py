"""Training steps as CUDA graphs (NVIDIA, CUDA C++ programming guide, "CUDA graphs").

A step of a network as small as ours has two thousand kernels, which a GPU computes faster than the host can launch them
one by one. Captured once and replayed, a step takes one launch.
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

from mjpeg_restore.training.degradation import Batch
from mjpeg_restore.training.optimiser import Muon

log = logging.getLogger(__name__)

Step = Callable[[Batch], Tensor]
"""Trains on a batch; returns the loss."""

Shape = tuple[torch.Size, ...]
"""Shapes of all tensors of a batch."""

EAGER = 3
"""Eager steps for a shape before a step is captured: in the first ones libraries choose their kernels, and optimisers
allocate their state."""


@dataclass(frozen=True, slots=True)
class Recording:
    """A captured step."""

    graph: torch.cuda.CUDAGraph
    batch: Batch
    """Its input."""
    loss: Tensor
    """Its output."""

    def replay(self, batch: Batch) -> Tensor:
        """Replay the step; returns a copy of the loss."""
        for own, given in zip(_tensors(self.batch), _tensors(batch), strict=True):
            own.copy_(given)
        self.graph.replay()
        return self.loss.clone()


class Captured:
    """A step that is captured once for each shape of batch, that is, for each sampling, on the current CUDA device.

    A step that waits for the device or copies from the host cannot be captured; it stays eager.
    """

    def __init__(self, step: Step) -> None:
        """Wrap a step. Its operations on the host run only in eager calls and during the capture."""
        self.step = step
        self.recordings: dict[Shape, Recording] = {}
        self.taken = Counter[Shape]()
        self.capturable = True
        self.stream = torch.cuda.Stream()
        self.pool = torch.cuda.graph_pool_handle()  # captured steps share the memory of intermediate results

    def __call__(self, batch: Batch) -> Tensor:
        """Take a step; returns the loss."""
        shape = tuple(tensor.shape for tensor in _tensors(batch))
        if self.capturable and shape not in self.recordings and self.taken[shape] >= EAGER:
            self.record(shape, batch)
        if self.capturable and shape in self.recordings:
            return self.recordings[shape].replay(batch)
        self.taken[shape] += 1
        # On the stream that captures: libraries allocate their workspaces per stream.
        self.stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self.stream):
            loss = self.step(batch)
        torch.cuda.current_stream().wait_stream(self.stream)
        return loss

    def record(self, shape: Shape, batch: Batch) -> None:
        """Capture a step without executing it."""
        kept = type(batch)(*([tensor.clone() for tensor in part] for part in _parts(batch)))
        graph = torch.cuda.CUDAGraph()
        try:
            # The outer context restores the current stream: a failed capture leaves its own stream set.
            with (
                torch.cuda.stream(torch.cuda.current_stream()),
                torch.cuda.graph(graph, pool=self.pool, stream=self.stream),
            ):
                loss = self.step(kept)
        except RuntimeError as error:
            self.capturable = False
            cause = error.__context__ or error  # the first error
            log.warning("steps are launched one by one: %s", str(cause).splitlines()[0])
        else:
            self.recordings[shape] = Recording(graph, kept, loss)


def can_be_captured(optimisers: list[Optimizer]) -> bool:
    """Whether the optimisers can keep all of their state on the device; PyTorch's SGD reads its learning rate from the
    host.
    """
    return all(isinstance(o, Muon) or all("capturable" in g for g in o.param_groups) for o in optimisers)


def prepare(optimisers: list[Optimizer], device: torch.device, captured: bool) -> None:
    """Move learning rates and step counts to the device for captured steps, or to the host for eager ones."""
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
    """Set the learning rate of a parameter group; in place if captured steps read it."""
    if isinstance(group["lr"], Tensor):
        group["lr"].fill_(rate)
    else:
        group["lr"] = rate


def _parts(batch: Batch) -> list[list[Tensor]]:
    return [getattr(batch, part.name) for part in fields(batch)]


def _tensors(batch: Batch) -> list[Tensor]:
    return [tensor for part in _parts(batch) for tensor in part]
