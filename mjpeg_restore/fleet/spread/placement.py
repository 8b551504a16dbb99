"""Which cameras share a process, and which share of a node each process takes. Pure arithmetic; Ray finds the nodes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil

from mjpeg_restore.fleet.settings import CameraSettings, NetworkChoice

HEADROOM = 0.8
"""Share of a core or GPU that is planned for: pictures do not come evenly, and a full one would drop them."""

MOST_CAMERAS = 64
"""Cameras of one process, which has three threads for each."""

MOST_CPUS = 4.0
"""Cores of one process: Python's global lock lets no more be busy."""

MOST_GPUS = 0.5
"""Share of a GPU of one process, so that two take turns."""

_UNEVEN = 1.1
"""Tolerance for a group above its even part of the cluster: another process would cost more."""

_PACKED = 2 / 3
"""Share of all nodes that groups of at most half a node can fill, in whatever order they come."""

_LEAST = 0.01
"""Cores or GPUs; Ray counts in ten-thousandths."""
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class Load:
    """Frame size and rate of a camera."""

    width: int
    height: int
    fps: float

    @property
    def megapixels(self) -> float:
        """In a second."""
        return self.width * self.height * self.fps / 1e6


@dataclass(frozen=True, slots=True)
class Cost:
    """Cost of restoring on a node: reading, network and encoding."""

    cpu: float
    """Seconds of a core for a megapixel."""
    gpu: float = 0.0
    """Seconds of a GPU for a megapixel; 0 where none is used."""


@dataclass(frozen=True, slots=True)
class Share:
    """A part of a node."""

    cpus: float
    gpus: float = 0.0

    def __add__(self, other: Share) -> Share:
        return Share(self.cpus + other.cpus, self.gpus + other.gpus)

    def within(self, other: Share) -> bool:
        """Whether the other one holds it."""
        return self.cpus <= other.cpus + _ROUNDING and self.gpus <= other.gpus + _ROUNDING

    def __str__(self) -> str:
        return f"{self.cpus:.3g} CPU" + (f" and {self.gpus:.3g} GPU" if self.gpus else "")


@dataclass(frozen=True, slots=True)
class Placement:
    """The cameras of one process, and its share of a node."""

    cameras: tuple[CameraSettings, ...]
    share: Share
    """What Ray reserves. It does not limit the process, which may use what others leave."""
    threads: int
    """That restore."""


def share_of(load: Load, cost: Cost) -> Share:
    """Share of a node that a camera needs, with headroom."""
    return Share(load.megapixels * cost.cpu / HEADROOM, load.megapixels * cost.gpu / HEADROOM)


def largest_group(shares: Iterable[Share], cores: Iterable[float]) -> Share:
    """The share that a group may have.

    Args:
        shares: of the cameras to be placed.
        cores: of each node, of which there is one at least.
    """
    shares, cores = [*shares], [*cores]
    # All nodes are to have their part, and none more than half of its cores in one group: what runs on a node that dies
    # has to find room on the others.
    nodes = len(cores) / _UNEVEN
    even = Share(sum(one.cpus for one in shares) / nodes, sum(one.gpus for one in shares) / nodes)
    cpus = max(even.cpus, *(one.cpus for one in shares), _LEAST)
    gpus = max(even.gpus, *(one.gpus for one in shares), _LEAST)
    return Share(min(cpus, max(max(cores) / 2, 0.5), MOST_CPUS), min(gpus, MOST_GPUS))


def grouped(
    cameras: Iterable[CameraSettings],
    loads: Mapping[str, Load],
    costs: Mapping[NetworkChoice, Cost],
    largest: Share,
) -> list[Placement]:
    """Divide cameras into groups, each for one process: the largest camera first, each into the first group with room.

    Args:
        cameras: to be placed.
        loads: by the cameras' names.
        costs: of each of their networks.
        largest: share of a group. A camera that takes more has a group of its own with this share, and drops pictures.

    Returns:
        The groups; a group has one network.
    """
    shares = [(camera, share_of(loads[camera.name], costs[camera.network])) for camera in cameras]
    groups: list[tuple[list[CameraSettings], Share]] = []
    for camera, share in sorted(shares, key=lambda pair: (-max(pair[1].cpus, pair[1].gpus), pair[0].name)):
        for number, (members, taken) in enumerate(groups):
            fits = (taken + share).within(largest) and len(members) < MOST_CAMERAS
            if fits and members[0].network == camera.network:
                groups[number] = [*members, camera], taken + share
                break
        else:
            groups.append(([camera], share))
    granted = [(tuple(members), _granted(taken, largest)) for members, taken in groups]
    return [Placement(members, share, ceil(share.cpus)) for members, share in granted]


def room(nodes: Sequence[Share], taken: Iterable[Share] = ()) -> Share:
    """Free cores and GPUs of the nodes, without the largest node, which may die.

    Args:
        nodes: what each has.
        taken: by others.
    """

    def free(has: Sequence[float], held: float) -> float:
        having = [one for one in has if one]
        return max(sum(having) - (max(having) if len(having) > 1 else 0.0) - held, 0.0)

    held = sum(taken, Share(0.0))
    return Share(free([one.cpus for one in nodes], held.cpus), free([one.gpus for one in nodes], held.gpus))


def reserved(placements: Sequence[Placement], free: Share) -> list[Placement]:
    """The placements with shares that are small enough to be kept free, whichever node each comes to.

    What is too much is not left out: late pictures are dropped, and that is better than a camera that waits for a node.
    """
    needed = sum((one.share for one in placements), Share(0.0))
    cpus = min(_PACKED * free.cpus / needed.cpus, 1.0) if needed.cpus else 1.0
    gpus = min(_PACKED * free.gpus / needed.gpus, 1.0) if needed.gpus else 1.0
    return [
        replace(one, share=_granted(Share(one.share.cpus * cpus, one.share.gpus * gpus), one.share))
        for one in placements
    ]


def _granted(share: Share, largest: Share) -> Share:
    """A share as Ray takes it."""
    cpus, gpus = min(share.cpus, largest.cpus), min(share.gpus, largest.gpus)
    return Share(round(max(cpus, _LEAST), 4), round(max(gpus, _LEAST), 4) if share.gpus else 0.0)
