"""Restorers that are loaded once, and a picture like a photograph to restore."""

from __future__ import annotations

import io
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mjpeg_restore.catalogue import GraphFile, Model
from mjpeg_restore.futures import INLINE
from mjpeg_restore.restorer import Restorer
from mjpeg_restore.runtime import Inputs, Network, Planes, Progress
from mjpeg_restore.runtime.base import HostNetwork

NETWORKS = ["stream", "stream-lite"]
RESTORERS = {name: Restorer(name, "onnxruntime", threads=2) for name in ("decode", *NETWORKS, "l4")}


def in_folder(model: Model, folder: Path) -> Model:
    """The model, with its graphs in another folder."""
    moved = [
        replace(variant, graphs={kind: replace(graph, folder=folder) for kind, graph in variant.graphs.items()})
        for variant in model.variants
    ]
    return replace(model, variants=tuple(moved))


class Counting(Restorer):
    """Counts the pictures that pass the network, which waits for `go` with each."""

    def __init__(self, model: str = "decode", streams: int = 1) -> None:
        super().__init__(model, threads=1, streams=streams)
        self.restored = 0
        self.begun, self.go = threading.Event(), threading.Event()
        self.go.set()
        self._lock = threading.Lock()

    def network(self, graph: GraphFile, progress: Progress | None = None) -> Network:
        return _Counted(super().network(graph, progress), self)

    def count(self) -> None:
        with self._lock:
            self.restored += 1
        self.begun.set()
        self.go.wait(60)


class _Counted(HostNetwork):
    name = "counted"

    def __init__(self, network: Network, counting: Counting) -> None:
        self._session, self._counting = network.session(INLINE), counting

    def run(self, inputs: Inputs) -> Planes:
        self._counting.count()
        return self._session.submit(inputs).result()


def photograph(width: int, height: int) -> NDArray[np.uint8]:
    """Smooth slopes, an edge and a little noise: no sample near black or white, where clamping would act."""
    rng = np.random.default_rng(5)
    y, x = np.mgrid[:height, :width]
    luma = 110 + 30 * np.sin(x / 9) + 25 * np.cos(y / 13) + 20 * (x > width / 2)
    return (luma[..., None] + rng.normal(0, 4, (height, width, 3)) + (12, 0, -12)).clip(30, 225).astype(np.uint8)


def jpeg(pixels: NDArray[np.uint8], quality: int, subsampling: str = "4:2:0") -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=quality, subsampling=subsampling)
    return buffer.getvalue()
