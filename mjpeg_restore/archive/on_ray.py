"""Workers on the machines of a Ray cluster.

Ray places the tasks, counts cores and GPUs, and repeats the tasks of a machine that is lost. Each machine needs this
package, and must reach sources and destination by the same names.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, TypeVar

from mjpeg_restore.archive.workers import Workers
from mjpeg_restore.errors import ClusterLost, WorkerLost
from mjpeg_restore.ray_address import check_grpc, found_address, host_and_port
from mjpeg_restore.runtime.devices import on_gpu

if TYPE_CHECKING:
    from mjpeg_restore.cluster import Cluster

Result = TypeVar("Result")

_RETRIES = 4
"""Times that a task is repeated after the loss of its process or machine."""
_PATIENCE = 5.0
"""Seconds in which a cluster has to answer."""
_PER_GPU = 4
"""Tasks that share a GPU: while one reads or encodes, another one uses it."""


class RayWorkers:
    """The cores of a cluster, and its GPUs where the device may be one."""

    def __init__(self, cluster: Cluster, device: str = "auto", count: int | None = None) -> None:
        """Take a cluster, which `close` closes.

        Args:
            cluster: connected.
            device: where the network runs. With "auto" tasks get a share of a GPU as long as there is one, and the
                others run on the cores that are left.
            count: most tasks at the same time; as many as there are cores if None.
        """
        self._cluster = cluster
        self._device, self._count = device, count
        self._on_gpus = 0
        """Tasks under way that have a share of a GPU."""
        self._lock = threading.Lock()

    @property
    def slots(self) -> int:
        """See `Workers`: it changes with the machines of the cluster."""
        cores, shares = self._resources()
        there = shares if self._gpus_alone else max(cores, shares)
        return max(min(there, self._count or there), 1)

    @property
    def _gpus_alone(self) -> bool:
        return on_gpu(self._device) or self._device.partition(":")[0] == "cuda"

    def _resources(self) -> tuple[int, int]:
        """Cores of the cluster, and shares of its GPUs, 0 where the device is none."""
        nodes = self._cluster.nodes
        gpus = sum(node.gpus for node in nodes) if self._gpus_alone or self._device == "auto" else 0
        return int(sum(node.cpus for node in nodes)), int(gpus * _PER_GPU)

    def submit(self, task: Callable[..., Result], /, *arguments: object) -> Future[Result]:
        """See `Workers`."""
        _, shares = self._resources()
        with self._lock:
            has_gpu = self._gpus_alone or self._on_gpus < shares
            self._on_gpus += has_gpu
        promised: Future[Result] = Future()
        call = self._cluster.task(task, *arguments, gpus=has_gpu / _PER_GPU, retries=_RETRIES)

        def end(ended: Future[Any]) -> None:
            with self._lock:
                self._on_gpus -= has_gpu
            match error := ended.exception():
                case None:
                    promised.set_result(ended.result())
                case ClusterLost():
                    promised.set_exception(WorkerLost(f"the worker that restored it was lost: {error}"))
                case _:
                    promised.set_exception(error)

        call.future().add_done_callback(end)
        return promised

    def close(self) -> None:
        """See `Workers`."""
        self._cluster.close()


def find_workers(address: str, device: str, count: int | None, otherwise: Callable[[], Workers]) -> Workers:
    """Find or start the workers that `--ray` names.

    Args:
        address: "off": those of `otherwise`; "auto": of the cluster that is found, else those; others: see `Cluster`.
        device: see `RayWorkers`.
        count: likewise.
        otherwise: makes the workers without Ray.

    Raises:
        MissingExtra: Ray is not installed.
        ClusterError: there is no such cluster.
    """
    if address == "off":
        return otherwise()
    if address == "auto":
        found = found_address()
        if not (found and find_spec("ray") and _answers(found)):
            return otherwise()
        address = found
    from mjpeg_restore.cluster import Cluster  # needs an extra

    return RayWorkers(Cluster(address), device, count)


def _answers(address: str) -> bool:
    """Whether Ray may listen there: the file of a cluster that has ended stays behind."""
    try:
        place = host_and_port(address.removeprefix("ray://"))
        if place:
            check_grpc(*place, _PATIENCE)
        return place is not None
    except (OSError, ValueError):
        return False
