"""Tasks that nodes run before cameras are placed: measure what cameras send, and what a network costs."""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import cycle, islice
from pathlib import Path

from mjpeg_restore.errors import MjpegRestoreError
from mjpeg_restore.fleet.camera import Opener, open_camera
from mjpeg_restore.fleet.settings import CameraSettings, NetworkChoice
from mjpeg_restore.fleet.spread.placement import Cost, Load
from mjpeg_restore.frames import Frame, Packet
from mjpeg_restore.jpeg import scan
from mjpeg_restore.pipeline import run
from mjpeg_restore.restorer import Restorer
from mjpeg_restore.sinks import BaseSink, OutputSettings, Sink, open_sink
from mjpeg_restore.testing import ListSource, jpegs

_WAIT = 8.0
"""Seconds for a camera's first pictures."""
_WATCHED = 2.0
"""Seconds of pictures from which the rate is taken."""
_MOST_PICTURES = 60
_MEASURED = 15.0
"""Megapixels that are restored to measure a node: half a second to three of a core."""
_MOST_MEASURED = 240
"""Pictures, however small."""


@dataclass(frozen=True, slots=True)
class Probe:
    """Load and sample pictures of a camera."""

    load: Load
    pictures: tuple[bytes, ...]
    """Coded, as they came."""


def probe(cameras: Sequence[CameraSettings], open: Opener = open_camera) -> dict[str, Probe]:
    """Look at what cameras send, all at the same time, for some seconds; those that do not answer are left out.

    Args:
        cameras: whose sources are opened, and closed again.
        open: opens them.
    """
    with ThreadPoolExecutor(max(len(cameras), 1)) as pool:
        found = pool.map(partial(_probe, open), cameras)
        return {camera.name: one for camera, one in zip(cameras, found, strict=True) if one}


def _probe(open: Opener, settings: CameraSettings) -> Probe | None:
    packets: list[Packet] = []
    try:
        with open(settings) as source:
            stopping = threading.Timer(_WAIT, source.stop)
            stopping.daemon = True
            stopping.start()
            for packet in source:
                if packet.data and packet.arrived is not None:
                    packets.append(packet)
                    if len(packets) == _MOST_PICTURES or _span(packets) >= _WATCHED:
                        break
            stopping.cancel()
        header = scan(packets[-1].data)
    except (MjpegRestoreError, IndexError):  # nothing came; why is said by the camera's group, again and again
        return None
    fps = (len(packets) - 1) / max(_span(packets), 1e-3)
    return Probe(Load(header.width, header.height, max(fps, 1.0)), tuple(packet.data for packet in packets))


def _span(packets: Sequence[Packet]) -> float:
    return (packets[-1].arrived or 0.0) - (packets[0].arrived or 0.0)


def measure(choice: NetworkChoice, pictures: Sequence[bytes] = (), *, gpu: bool = False) -> Cost:
    """Measure what a network costs here: seconds of cores, and of the GPU, for a megapixel.

    Args:
        choice: the network.
        pictures: what cameras send; a made clip if there are none.
        gpu: whether it runs on a GPU.

    Raises:
        MjpegRestoreError: the network cannot be run here.
    """
    pictures = pictures or jpegs(24, (640, 480), coarseness=12)
    header = scan(pictures[-1])
    each = header.width * header.height / 1e6
    count = min(max(round(_MEASURED / each), 8), _MOST_MEASURED)
    restorer = Restorer(choice.model, choice.device, threads=1, streams=1)
    _restore(restorer, pictures, 4, _Nowhere())  # the network is loaded
    with tempfile.TemporaryDirectory() as folder:
        settings = OutputSettings(live=True, threads=1)
        before = time.process_time()
        _restore(restorer, pictures, count, open_sink(str(Path(folder) / "measured.mkv"), settings))
        cpu = time.process_time() - before
    before = time.monotonic()
    if gpu:
        _restore(restorer, pictures, count, _Nowhere())
    return Cost(cpu / (count * each), (time.monotonic() - before) / (count * each) if gpu else 0.0)


def _restore(restorer: Restorer, pictures: Sequence[bytes], count: int, sink: Sink) -> None:
    run(ListSource(islice(cycle(pictures), count)), restorer, sink)


class _Nowhere(BaseSink):
    """Takes pictures, and keeps none."""

    def write(self, frame: Frame) -> None:
        """Drop the picture."""
