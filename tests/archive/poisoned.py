"""Tasks for workers: some end the process that does them, as a bug in a native library would."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from mjpeg_restore.archive import Workers
from mjpeg_restore.archive.jobs import Job
from mjpeg_restore.archive.tasks import begin, restore_part


def die() -> None:
    """End the process."""
    os._exit(1)


def die_once(mark: Path) -> str:
    """End the process, but not a second time."""
    if not mark.exists():
        mark.touch()
        os._exit(1)
    return "done"


def identify() -> int:
    """The number of the process."""
    return os.getpid()


def is_interruptible() -> bool:
    """Whether Ctrl-C would have ended the process while it started."""
    return signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ())


def fail() -> None:
    """Raise an exception of the task's own."""
    raise KeyError("of the task")


def resources() -> dict[str, float]:
    """What Ray has given to the task."""
    import ray

    return ray.get_runtime_context().get_assigned_resources()


def begin_unless_poisoned(job: Job) -> Any:
    """`begin`, which a recording called poison ends."""
    if "poison" in job.recording.name:
        os._exit(1)
    return begin(job)


def node_file(destination: Path) -> Path:
    """Where the node is named on which a part waits to be killed."""
    return destination.parent / "node"


def restore_part_on_a_node_that_is_killed(job: Job, folder: str, number: int, since: int) -> Any:
    """`restore_part`, of which one call names its node, and waits there for the end; another node does it then."""
    import ray

    if number == 3:
        try:
            with node_file(Path(job.destination.location)).open("x") as file:
                file.write(ray.get_runtime_context().get_node_id())
        except FileExistsError:
            pass
        else:
            time.sleep(60)
    return restore_part(job, folder, number, since)


class Poisoned:
    """Workers that do other tasks in the place of some; what they have done is noted."""

    def __init__(self, workers: Workers, **instead: Callable[..., Any]) -> None:
        self._workers = workers
        self._instead = {"begin": begin_unless_poisoned, **instead}
        self.done: list[str] = []

    @property
    def slots(self) -> int:
        return self._workers.slots

    def submit(self, task: Callable[..., Any], /, *arguments: Any, **named: Any) -> Future[Any]:
        future = self._workers.submit(self._instead.get(task.__name__, task), *arguments, **named)
        future.add_done_callback(lambda _: self.done.append(task.__name__))
        return future

    def close(self) -> None:
        self._workers.close()
