"""What cameras take of machines, networks and disks: multiplications, each by a measured figure."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import Literal

from mjpeg_restore.fleet.spread.placement import HEADROOM, MOST_CAMERAS, MOST_CPUS, MOST_GPUS
from scaling import figures

DAYS = 30
"""For which recordings are kept."""

COVERED = 1000
"""Most cameras of one driver: an answer of /metrics then takes a second."""

On = Literal["cpu", "gpu"]


@dataclass(frozen=True)
class Camera:
    """What each camera sends, and what restores it."""

    width: int = 1280
    height: int = 720
    fps: float = 10.0
    model: str = "stream-lite"
    on: On = "cpu"
    recording: figures.Recording = figures.RECORDINGS[0]
    """Whose bits for a pixel its own are taken to be."""

    @property
    def megapixels(self) -> float:
        """In a second."""
        return self.width * self.height * self.fps / 1e6

    @property
    def network(self) -> float:
        """Megabits a second from the camera."""
        return self.megapixels * self.recording.mjpeg

    @property
    def disk(self) -> float:
        """Megabits a second of H.264."""
        return self.megapixels * self.recording.h264

    @property
    def stored(self) -> float:
        """Gigabytes of `DAYS` days of H.264."""
        return self.disk / 8 * 86400 * DAYS / 1000


@dataclass(frozen=True)
class Node:
    """A machine."""

    cores: int = 32
    gpus: int = 0


def core_rate(model: str, size: tuple[int, int]) -> float:
    """Megapixels a second of one core, from the measured size that is nearest in pixels."""
    sizes = figures.TWO_CORES[model]
    near = min(sizes, key=lambda one: abs(one[0] * one[1] - size[0] * size[1]))
    return sizes[near] * near[0] * near[1] / 1e6 / 2


def gpu_rate(model: str) -> float:
    """Megapixels a second of the measured GPU."""
    return figures.GPU_CAMERAS[model] * figures.GPU_LOAD


def cores_of(camera: Camera) -> float:
    """Cores of one camera; beside a GPU those that read and encode, which is what `decode` does."""
    model = "decode" if camera.on == "gpu" else camera.model
    return camera.megapixels / core_rate(model, (camera.width, camera.height)) / HEADROOM


def gpus_of(camera: Camera) -> float:
    """GPUs of one camera."""
    return camera.megapixels / gpu_rate(camera.model) / HEADROOM if camera.on == "gpu" else 0.0


def together(camera: Camera) -> int:
    """Cameras that share a process, which has a few cores; 0: one alone takes more than that."""
    by_cores = MOST_CPUS / cores_of(camera)
    return min(int(min(by_cores, MOST_GPUS / gpus_of(camera)) if camera.on == "gpu" else by_cores), MOST_CAMERAS)


def carried(node: Node, camera: Camera) -> int:
    """Cameras that a node carries; 0: no process keeps up with one."""
    if not together(camera):
        return 0
    by_cores = node.cores / cores_of(camera)
    return int(min(by_cores, node.gpus / gpus_of(camera)) if camera.on == "gpu" else by_cores)


@dataclass(frozen=True)
class City:
    """Many cameras of one kind on nodes of one kind."""

    cameras: int
    camera: Camera
    node: Node

    @property
    def drivers(self) -> int:
        """Fleets, each with a settings file, a cluster, a page and metrics of its own."""
        return ceil(self.cameras / COVERED)

    @property
    def nodes(self) -> int:
        """Of all clusters. Each has one more than it needs, so that one of its nodes may die."""
        cameras = ceil(self.cameras / self.drivers)
        return self.drivers * (ceil(cameras / carried(self.node, self.camera)) + 1)

    @property
    def each(self) -> int:
        """Cameras of a node when all live."""
        return ceil(self.cameras / self.nodes)

    @property
    def cores(self) -> float:
        """That work."""
        return self.cameras * cores_of(self.camera)

    @property
    def gpus(self) -> float:
        """Likewise."""
        return self.cameras * gpus_of(self.camera)

    @property
    def network(self) -> float:
        """Gigabits a second from all cameras."""
        return self.cameras * self.camera.network / 1000

    @property
    def written(self) -> float:
        """Megabytes a second to all disks."""
        return self.cameras * self.camera.disk / 8

    @property
    def stored(self) -> float:
        """Terabytes of `DAYS` days."""
        return self.cameras * self.camera.stored / 1000

    @property
    def memory(self) -> float | None:
        """Gigabytes of a node: Ray, the processes, the cameras; None with GPUs, where it was not measured."""
        if self.node.gpus:
            return None
        processes = ceil(self.each / together(self.camera))
        share = self.each * figures.per_camera(self.camera.width * self.camera.height)
        return (figures.NODE + processes * figures.PROCESS + share) / 1000

    def cost(self, node_price: float, terabyte_price: float) -> float:
        """What it costs, in the currency and for the time of the two prices: of a node, and of a terabyte."""
        return self.nodes * node_price + self.stored * terabyte_price

    def described(self, node_price: float | None = None, terabyte_price: float | None = None) -> str:
        """All of it in lines; what it costs if one of the prices is given."""
        memory = "" if self.memory is None else f", {self.memory:.1f} GB of memory"
        spare = "one is spare" if self.drivers == 1 else f"{self.drivers} are spare"
        lines = [
            f"{self.nodes} nodes, of which {spare}; {self.each} cameras each{memory}",
            f"{self.cores:.1f} cores" + (f" and {self.gpus:.1f} GPUs" if self.gpus else "") + " are needed",
            f"{self.network:.2f} Gbit/s from the cameras, {self.each * self.camera.network / 1000:.2f} to a node",
            f"{self.written:.0f} MB/s to disks, {self.stored:.1f} TB in {DAYS} days",
            f"{self.drivers} driver{'s' if self.drivers > 1 else ''}",
        ]
        if node_price is not None or terabyte_price is not None:
            lines.append(f"cost: {self.cost(node_price or 0, terabyte_price or 0):,.0f}")
        return "\n".join(lines)
