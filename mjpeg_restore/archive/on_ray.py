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
            raise MissingExtra("Ray", "ray", "--ray") from error
        self._ray: Any = ray
        self._count = count
        self._owned = not ray.is_initialized()
        if self._owned:
            _connect(ray, address, count)
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
    if _may_have_cluster():
        with contextlib.suppress(RuntimeUnavailable):  # it has ended, and left its file behind
            return RayWorkers(address, device, count)
    return otherwise()


def _may_have_cluster() -> bool:
    """Whether Ray is installed, and one of its clusters runs here or is named by the environment; quick."""
    named = bool(os.environ.get("RAY_ADDRESS")) or _CURRENT.exists()
    return named and find_spec("ray") is not None


_CURRENT = Path(os.environ.get("RAY_TMPDIR") or "/tmp", "ray", "ray_current_cluster")
"""Where Ray keeps the address of the cluster that this machine belongs to."""


def _connect(ray: Any, address: str, count: int | None) -> None:
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": "error", "include_dashboard": False}
    if address == "local":
        options["num_cpus"] = count
    else:
        options = {"address": address, "log_to_driver": False, "logging_level": "error"}
    try:
        ray.init(**options)
    except (ConnectionError, OSError, ValueError, RuntimeError) as error:
        raise RuntimeUnavailable(f"no Ray cluster at {address} ({_first_line(error)})") from error


def _first_line(error: BaseException) -> str:
    return reason_of(error).strip().partition("\n")[0]
