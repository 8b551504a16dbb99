"""What cameras take of machines, networks and disks: multiplications, each by a measured figure."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import Literal

from scaling import figures

HEADROOM = 0.8
"""Share of a core or GPU that is planned for, as the fleet does (`placement.HEADROOM`)."""

DAYS = 30
"""For which recordings are kept."""

COVERED = 1000
"""Cameras that one driver is given at most: an answer of /metrics then takes a second and a half."""

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


def carried(node: Node, camera: Camera) -> int:
    """Cameras that a node carries."""
    by_cores = node.cores / cores_of(camera)
    return int(min(by_cores, node.gpus / gpus_of(camera)) if camera.on == "gpu" else by_cores)


@dataclass(frozen=True)
class City:
    """Many cameras of one kind on nodes of one kind."""

    cameras: int
    camera: Camera
    node: Node

    @property
    def nodes(self) -> int:
        """With one more, so that one may die."""
        return ceil(self.cameras / carried(self.node, self.camera)) + 1

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
    def memory(self) -> float:
        """Gigabytes of a node: Ray, a process for each four cores, the cameras."""
        processes = max(ceil(self.node.cores / 4), 1)
        share = self.each * figures.per_camera(self.camera.width * self.camera.height)
        return (figures.NODE + processes * figures.PROCESS + share) / 1000

    @property
    def drivers(self) -> int:
        """Fleets, each with a settings file, a page and metrics of its own."""
        return ceil(self.cameras / COVERED)

    def cost(self, node_price: float, terabyte_price: float) -> float:
        """What it costs, in the currency and for the time of the two prices: of a node, and of a terabyte."""
        return self.nodes * node_price + self.stored * terabyte_price

    def described(self, node_price: float | None = None, terabyte_price: float | None = None) -> str:
        """All of it in lines; what it costs if one of the prices is given."""
        lines = [
            f"{self.nodes} nodes, of which one is spare; {self.each} cameras each, {self.memory:.1f} GB of memory",
            f"{self.cores:.1f} cores" + (f" and {self.gpus:.1f} GPUs" if self.gpus else "") + " are needed",
            f"{self.network:.2f} Gbit/s from the cameras, {self.each * self.camera.network / 1000:.2f} to a node",
            f"{self.written:.0f} MB/s to disks, {self.stored:.1f} TB in {DAYS} days",
            f"{self.drivers} drivers",
        ]
        if node_price is not None or terabyte_price is not None:
            lines.append(f"cost: {self.cost(node_price or 0, terabyte_price or 0):,.0f}")
        return "\n".join(lines)
