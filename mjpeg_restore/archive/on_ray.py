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
import threading
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
    """The cores of a cluster, and its GPUs where the device may be one."""

    def __init__(self, address: str, device: str = "auto", count: int | None = None) -> None:
        """Connect.

        Args:
            address: "local" starts Ray on this machine; else a cluster's, or "auto" for the one that is found.
            device: where the network runs. With "auto" tasks get a share of a GPU as long as there is one, and the
                others run on the cores that are left.
            count: most tasks at the same time; as many as there are cores if None.

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
        self._device = device
        self._on_gpus = 0
        """Tasks under way that have a share of a GPU."""
        self._lock = threading.Lock()

    @property
    def slots(self) -> int:
        """See `Workers`: it changes with the machines of the cluster."""
        cores, shares = self._resources()
        there = cores if shares is None else shares if self._gpus_alone else max(cores, shares)
        return max(min(there, self._count or there), 1)

    @property
    def _gpus_alone(self) -> bool:
        return on_gpu(self._device) or self._device.partition(":")[0] == "cuda"

    def _resources(self) -> tuple[int, int | None]:
        """Cores of the cluster, and shares of its GPUs; None where the device is no GPU."""
        found = self._ray.cluster_resources()
        shares = int(found.get("GPU", 0)) * _PER_GPU
        return int(found.get("CPU", 0)), shares if self._gpus_alone or self._device == "auto" else None

    def submit(
        self, task: Callable[Arguments, Result], /, *arguments: Arguments.args, **named: Arguments.kwargs
    ) -> Future[Result]:
        """See `Workers`."""
        _, shares = self._resources()
        with self._lock:
            has_gpu = shares is not None and (self._gpus_alone or self._on_gpus < shares)
            self._on_gpus += has_gpu
        options = {"num_cpus": 1, "num_gpus": 1 / _PER_GPU if has_gpu else 0, "max_retries": _RETRIES}
        promised: Future[Result] = Future()
        begun: Future[Any] = self._ray.remote(task).options(**options).remote(*arguments, **named).future()

        def end(ended: Future[Any]) -> None:
            with self._lock:
                self._on_gpus -= has_gpu
            self._hand_on(ended, promised)

        begun.add_done_callback(end)
        return promised

    def _hand_on(self, ended: Future[Any], promised: Future[Any]) -> None:
        error: Any = ended.exception()
        if error is None:
            promised.set_result(ended.result())
        elif isinstance(error, self._ray.exceptions.RayTaskError):  # tasks return their failures: it was never begun
            reason = str(error).strip().splitlines()[-1]
            lacking = f"a machine of the cluster cannot run this package ({reason}): install the same version there"
            promised.set_exception(RuntimeUnavailable(lacking))
        else:
            promised.set_exception(WorkerLost(f"the worker that restored it was lost: {_first_line(error)}"))

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
