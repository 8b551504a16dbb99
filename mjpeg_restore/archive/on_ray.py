"""Workers on the machines of a Ray cluster, or on this one by Ray. The only module that needs it.

Ray places the tasks, starts them again where a machine is lost, and keeps count of cores and GPUs. Every machine needs
this package, and has to reach sources and destination by the same names.
"""

# Ray's types leave much open.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportMissingTypeStubs=false

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Callable
from concurrent.futures import Future
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from mjpeg_restore.errors import MissingExtra, RuntimeUnavailable, WorkerLost, reason_of
from mjpeg_restore.runtime.devices import on_gpu

if TYPE_CHECKING:
    from mjpeg_restore.archive.workers import Workers

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")

_RETRIES = 4
"""Times that a task is begun anew after the loss of its process or machine."""
_PATIENCE = 5.0
"""Seconds in which a cluster has to answer."""
_PER_GPU = 4
"""Tasks that share a GPU: while one waits for its disk or its encoder, another one has the GPU."""


class RayWorkers:
    """The cores of a cluster, or its GPUs where the device is one."""

    def __init__(self, address: str, device: str = "auto", count: int | None = None) -> None:
        """Connect.

        Args:
            address: "local" starts Ray on this machine; else a cluster's, or "auto" for the one that is found.
            device: where the network runs. Of a cluster with GPUs "auto" takes these.
            count: most tasks at the same time; as many as there are cores, or as share the GPUs, if None.

        Raises:
            MissingExtra: Ray is not installed.
            RuntimeUnavailable: there is no such cluster.
        """
        try:
            import ray
        except ImportError as error:
            raise MissingExtra("Ray", "ray", "a cluster") from error
        self._ray: Any = ray
        self._count = count
        self._owned = not ray.is_initialized()
        if self._owned:
            connect(address, count)
        gpus = ray.cluster_resources().get("GPU", 0) > 0
        self._on_gpu = on_gpu(device) or device.startswith("cuda") or (device == "auto" and gpus)
        self._tasks: dict[Any, Any] = {}

    @property
    def slots(self) -> int:
        """See `Workers`: it changes with the machines of the cluster."""
        found = self._ray.cluster_resources()
        there = int(found.get("GPU", 0)) * _PER_GPU if self._on_gpu else int(found.get("CPU", 0))
        return max(min(there, self._count or there), 1)

    def submit(
        self, task: Callable[Arguments, Result], /, *arguments: Arguments.args, **named: Arguments.kwargs
    ) -> Future[Result]:
        """See `Workers`."""
        if task not in self._tasks:
            needs = {"num_gpus": 1 / _PER_GPU} if self._on_gpu else {"num_cpus": 1}
            self._tasks[task] = self._ray.remote(task).options(max_retries=_RETRIES, **needs)
        promised: Future[Result] = Future()
        begun: Future[Any] = self._tasks[task].remote(*arguments, **named).future()
        begun.add_done_callback(lambda ended: self._hand_on(ended, promised))
        return promised

    def _hand_on(self, ended: Future[Any], promised: Future[Any]) -> None:
        error = ended.exception()
        if error is None:
            promised.set_result(ended.result())
        elif isinstance(error, self._ray.exceptions.RayError):
            promised.set_exception(WorkerLost(f"the worker that restored it was lost: {_first_line(error)}"))
        else:
            promised.set_exception(error)

    def close(self) -> None:
        """See `Workers`."""
        if self._owned:
            with contextlib.suppress(Exception):
                self._ray.shutdown()


def find_workers(address: str, device: str, count: int | None, otherwise: Callable[[], Workers]) -> Workers:
    """The workers that were asked for.

    Args:
        address: "off": those of `otherwise`; "auto": of the cluster that is found, else those; see `RayWorkers`.
        device: see `RayWorkers`.
        count: likewise.
        otherwise: makes the workers without Ray.
    """
    if address == "off":
        return otherwise()
    if address != "auto":
        return RayWorkers(address, device, count)
    found = _address_found()
    if found and find_spec("ray") and _answers(found):
        return RayWorkers(found, device, count)
    return otherwise()


def _address_found() -> str | None:
    """The address of a cluster that the environment names, or that this machine belongs to."""
    named = os.environ.get("RAY_ADDRESS", "auto")
    if named not in ("auto", "local"):
        return named
    try:
        return _CURRENT.read_text().strip() or None
    except OSError:
        return None


_CURRENT = Path(os.environ.get("RAY_TMPDIR") or "/tmp", "ray", "ray_current_cluster")
"""Where Ray keeps the address of the cluster that this machine belongs to."""


def connect(address: str, count: int | None = None) -> None:
    """Connect to a cluster, or start one of this machine.

    Args:
        address: "local" starts Ray on this machine; else of a cluster.
        count: cores that a local Ray has; all if None.

    Raises:
        RuntimeUnavailable: there is no such cluster.
    """
    import ray

    options: dict[str, Any] = {"log_to_driver": False, "logging_level": "error"}
    if address == "local":
        options |= {"address": "local", "num_cpus": count, "include_dashboard": False}
    elif _answers(address):
        options |= {"address": address}
    else:
        raise RuntimeUnavailable(f"no Ray cluster answers at {address}: give HOST:PORT, or 'local' for this machine")
    try:
        ray.init(**options)
    except (ConnectionError, OSError, ValueError, RuntimeError) as error:
        raise RuntimeUnavailable(f"no Ray cluster at {address} ({_first_line(error)})") from error


def _answers(address: str) -> bool:
    """Whether something listens there: Ray would wait for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), _PATIENCE):
            return True
    except (OSError, ValueError, OverflowError):
        return False


def _first_line(error: BaseException) -> str:
    return reason_of(error).strip().partition("\n")[0]
