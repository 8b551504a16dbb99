"""Tasks for workers: some end the process that does them, as a bug in a native library would."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from mjpeg_restore.archive import Workers
from mjpeg_restore.archive.jobs import Job
from mjpeg_restore.archive.tasks import begin


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


class Poisoned:
    """Workers whose first task is `begin_unless_poisoned`; what they have done is noted."""

    def __init__(self, workers: Workers) -> None:
        self._workers = workers
        self.done: list[str] = []
        self.after: Callable[[list[str]], None] = lambda done: None
        """Called after each task, with the names of those that are done."""

    @property
    def slots(self) -> int:
        return self._workers.slots

    def submit(self, task: Callable[..., Any], /, *arguments: Any, **named: Any) -> Future[Any]:
        future = self._workers.submit(begin_unless_poisoned if task is begin else task, *arguments, **named)
        future.add_done_callback(lambda _: self._note(task.__name__))
        return future

    def _note(self, name: str) -> None:
        self.done.append(name)
        self.after(self.done)

    def close(self) -> None:
        self._workers.close()
