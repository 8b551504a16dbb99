"""What a served run costs the pipeline: its frame rate with clients, and without."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import cycle, islice
from statistics import median

from mjpeg_restore.frames import Frame
from mjpeg_restore.outlets import Outlet
from mjpeg_restore.pipeline import run
from mjpeg_restore.report import Report
from mjpeg_restore.restorer import Restorer
from mjpeg_restore.serve import ServedCamera
from mjpeg_restore.serve.server import Server
from mjpeg_restore.sinks import BaseSink
from mjpeg_restore.testing import ListSource

_CLIENTS = """
import sys, threading, urllib.request
def watch(url):
    with urllib.request.urlopen(url) as answer:
        while answer.read(1 << 16):
            pass
threads = [threading.Thread(target=watch, args=(sys.argv[1],), daemon=True) for _ in range(int(sys.argv[2]))]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
"""
"""A process that reads a stream with several connections, and drops what it reads."""


@dataclass(frozen=True, slots=True)
class ServingCost:
    """Runs with and without a server, in turn."""

    clients: int
    plain_fps: float
    """Median of the runs without a server, pictures a second."""
    served_fps: float
    """Median of those with clients."""
    ratio: float
    """Median, over the pairs, of the served run's rate to the plain one's."""

    def __str__(self) -> str:
        return (
            f"{self.plain_fps:.1f} pictures/s alone, {self.served_fps:.1f} with {self.clients} clients: "
            f"{1 - self.ratio:.1%} less"
        )


def measure(pictures: Sequence[bytes], model: str, *, count: int, clients: int, pairs: int) -> ServingCost:
    """Restore pictures as fast as it goes, alone and with clients.

    Args:
        pictures: JPEGs of one size, taken again and again.
        model: the network.
        count: pictures in a run.
        clients: connections to `/stream`.
        pairs: runs of each kind.
    """
    restorer = Restorer(model, streams=2)
    _fps(restorer, pictures, 10, clients)  # the network is loaded, the server imported
    rates = [(_fps(restorer, pictures, count, None), _fps(restorer, pictures, count, clients)) for _ in range(pairs)]
    plain, served = ([pair[kind] for pair in rates] for kind in (0, 1))
    return ServingCost(clients, median(plain), median(served), median(two / one for one, two in rates))


class _Nowhere(BaseSink):
    def write(self, frame: Frame) -> None:
        """Drop it."""


def _fps(restorer: Restorer, pictures: Sequence[bytes], count: int, clients: int | None) -> float:
    """Pictures a second of one run; without a server if `clients` is None."""
    report = Report()
    with ExitStack() as stack:
        sink: BaseSink = _Nowhere()
        if clients is not None:
            camera = ServedCamera("measured", report)
            server = stack.enter_context(Server([camera], port=0))
            words = [sys.executable, "-c", _CLIENTS, f"{server.url}stream", str(clients)]
            process = stack.enter_context(subprocess.Popen(words))
            stack.callback(process.kill)
            time.sleep(1)  # they have connected
            sink = camera.sink
        begun = time.perf_counter()
        run(ListSource(islice(cycle(pictures), count)), restorer, [Outlet(sink)], report=report)
        return count / (time.perf_counter() - begun)
