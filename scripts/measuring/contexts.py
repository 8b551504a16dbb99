"""What a network makes of a context that is not the picture's own."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from mjpeg_restore.catalogue import GraphFile, Model
from mjpeg_restore.futures import INLINE
from mjpeg_restore.restorer import Restorer
from mjpeg_restore.runtime import Inputs, Network, Planes, Progress
from mjpeg_restore.runtime.base import HostNetwork

Context = NDArray[np.float32]
"""A vector that describes a whole picture, float32 `[n]`."""


class ChangedContext(Restorer):
    """A restorer whose network gets another context than the picture's."""

    def __init__(self, model: str | Model, device: str, change: Callable[[Context], Context]) -> None:
        """Choose a model.

        Args:
            model: one with a context.
            device: the runtime.
            change: maps the context of each picture to the one that its network gets.
        """
        super().__init__(model, device)
        self._change = change

    def network(self, graph: GraphFile, progress: Progress | None = None) -> Network:
        """One of the model's graphs, loaded; that of the context is followed by the change."""
        network = super().network(graph, progress)
        return _Changed(network, self._change) if graph.outputs[0].kind == "context" else network


class _Changed(HostNetwork):
    def __init__(self, network: Network, change: Callable[[Context], Context]) -> None:
        self.name = network.name
        self._session, self._change = network.session(INLINE), change

    def run(self, inputs: Inputs) -> Planes:
        """The changed context of a picture."""
        (context,) = self._session.submit(inputs).result()
        return (self._change(context),)


class Previous:
    """Gives each picture the context of the one before, and the first one its own."""

    def __init__(self) -> None:
        self._last: Context | None = None

    def __call__(self, context: Context) -> Context:
        """Remember a context, and return the one before."""
        last, self._last = self._last, context
        return context if last is None else last


class Kept:
    """Leaves contexts as they are, and keeps them."""

    def __init__(self) -> None:
        self.contexts: list[Context] = []

    def __call__(self, context: Context) -> Context:
        """Keep a context."""
        self.contexts.append(context)
        return context
