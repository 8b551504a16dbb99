"""Measures what docs/scale.md multiplies: bits of a pixel, memory of a node, and what the driver does for a camera."""

from __future__ import annotations

import pickle
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from itertools import chain
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import av
import numpy as np
from cameras.http import HttpCamera
from cameras.pictures import NumberedPictures, street
from measuring import fleet
from measuring.endurance import resident_mb
from ray.cluster_utils import Cluster as SimulatedCluster

from mjpeg_restore.cluster import Cluster
from mjpeg_restore.fleet import CameraSettings, FleetSettings, NetworkChoice, RunSettings
from mjpeg_restore.fleet.serving import Serving
from mjpeg_restore.fleet.spread.group import Group, Sight
from mjpeg_restore.fleet.spread.remote import RemoteCamera
from mjpeg_restore.pipeline import run
from mjpeg_restore.restorer import Restorer
from mjpeg_restore.sinks import OutputSettings, open_sink
from mjpeg_restore.sources import open_source

MODEL = "stream-lite"
FLEETS = ((8, (320, 240)), (16, (320, 240)), (2, (1280, 720)), (8, (1280, 720)))
"""Cameras and size of the processes whose memory is measured."""
_FPS, _SECONDS = 5.0, 15.0
_CAMERAS, _LOOKS = 64, 200
"""Cameras of one process, and times that the driver asks it."""


def bits(recording: Path) -> dict[str, float]:
    """Bits for a pixel of a recording, and of the H.264 that the command makes of it with its default settings."""
    with open_source(str(recording)) as source:
        sizes = [len(packet.data) for packet in source]
    with tempfile.TemporaryDirectory() as folder, open_source(str(recording)) as source:
        target = Path(folder) / "restored.mkv"
        report = run(source, Restorer(MODEL), open_sink(target, OutputSettings()))
        with av.open(str(target)) as container:
            video = container.streams.video[0]
            pixels = video.width * video.height
            coded = sum(packet.size for packet in container.demux(video))
    return {
        "mjpeg": round(8 * sum(sizes) / len(sizes) / pixels, 2),
        "h264": round(8 * coded / report.frames / pixels, 2),
    }


def memory() -> dict[str, Any]:
    """Megabytes of a process and, for each megapixel of its pictures, of a camera: the line through some fleets."""
    found = [_fleet_mb(cameras, size) for cameras, size in FLEETS]
    pixels = [cameras * size[0] * size[1] / 1e6 for cameras, size in FLEETS]
    each, process = np.polyfit(pixels, found, 1)
    fleets = [
        {"cameras": cameras, "size": f"{size[0]}x{size[1]}", "mb": round(mb)}
        for (cameras, size), mb in zip(FLEETS, found, strict=True)
    ]
    return {"process_mb": round(float(process)), "megapixel_mb": round(float(each)), "fleets": fleets}


def _fleet_mb(count: int, size: tuple[int, int]) -> float:
    scenes = street(size, 60)
    pictures = [NumberedPictures(size, scenes=scenes).jpeg(number) for number in range(60)]
    with ExitStack() as stack, tempfile.TemporaryDirectory() as folder:
        urls = [
            stack.enter_context(HttpCamera(lambda number: pictures[number % len(pictures)], fps=_FPS)).url
            for _ in range(count)
        ]
        return fleet.measure(Path(folder), urls, MODEL, _SECONDS, serve=False).memory_mb


def ray_mb() -> float:
    """Megabytes of Ray's own processes on a node that is not the head."""
    nodes = SimulatedCluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    try:
        node: Any = nodes.add_node(num_cpus=1)
        time.sleep(10.0)
        started = [one.process.pid for one in chain.from_iterable(node.all_processes.values())]
        return sum(map(resident_mb, chain.from_iterable(map(_with_children, started))))
    finally:
        nodes.shutdown()


def _with_children(process: int) -> Iterator[int]:
    yield process
    for task in Path(f"/proc/{process}/task").iterdir():
        for child in (task / "children").read_text().split():
            yield from _with_children(int(child))


class Answering:
    """An actor in the place of a `Group`, which gives the same answer each time."""

    def __init__(self, sight: Sight) -> None:
        self._sight = sight

    def look(self, watched: object) -> Sight:
        """See `Group`."""
        return self._sight


def driver() -> dict[str, float]:
    """What the driver does for a camera in a second, and in an answer of /metrics."""
    sight = _sight()
    assert sight.cameras
    cameras = {seen.name: RemoteCamera(_camera(seen.name, "")) for seen in sight.cameras}
    with Cluster("local") as cluster, Serving("127.0.0.1", 0) as serving:
        actor = cluster.actor(Answering, sight)
        for camera in cameras.values():
            serving.show(camera, camera.sink)

        def look() -> None:
            for seen in actor.call("look", {}).result().cameras:
                cameras[seen.name].take(seen)

        def scrape() -> int:
            with urlopen(f"{serving.url.rstrip('/')}/metrics") as answer:
                return len(answer.read())

        look()
        size = scrape()
        return {
            "look_seconds": _cpu_seconds(look, _LOOKS) / len(cameras),
            "look_bytes": round(len(pickle.dumps(sight)) / len(cameras)),
            "metrics_seconds": _cpu_seconds(scrape, 10) / len(cameras),
            "metrics_bytes": round(size / len(cameras)),
        }


def _sight() -> Sight:
    """What a process says of cameras that have run for some seconds."""
    pictures = NumberedPictures((64, 48))
    with ExitStack() as stack:
        urls = [stack.enter_context(HttpCamera(pictures, fps=_FPS)).url for _ in range(_CAMERAS)]
        group = Group()
        cameras = tuple(_camera(f"camera{number}", url) for number, url in enumerate(urls))
        group.run(FleetSettings(cameras, RunSettings()), {})
        for _ in range(10):
            time.sleep(1.0)
            sight = group.look({})
        group.close()
    return sight


def _camera(name: str, url: str) -> CameraSettings:
    return CameraSettings(name, url, (), NetworkChoice("decode", "onnxruntime"))


def _cpu_seconds(work: Callable[[], object], times: int) -> float:
    """CPU time of this process for one call."""
    before = time.process_time()
    for _ in range(times):
        work()
    return (time.process_time() - before) / times


def all_of(recordings: Sequence[tuple[str, Path]]) -> dict[str, Any]:
    """All measurements, as in docs/scale.json; without recordings, no bits."""
    found: dict[str, Any] = {"driver": {name: float(f"{value:.3g}") for name, value in driver().items()}}
    found |= {"memory": {**memory(), "ray_mb": round(ray_mb())}}
    if recordings:
        found["recordings"] = [{"what": what, **bits(path)} for what, path in recordings]
    return found
