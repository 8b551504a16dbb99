"""Who does the tasks: processes of this machine. `on_ray` has workers on many machines, behind the same members."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Generator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from typing import Any, Protocol, TypeVar

from mjpeg_restore.errors import WorkerLost

Result = TypeVar("Result")

_ATTEMPTS = 2
"""Times that a task may end its process: a broken file does it again, and a lack of memory perhaps not."""


_GUARD = ' A program of your own has to begin its work below `if __name__ == "__main__":`'
"""Without it each process begins that work itself, and ends before its first task."""


class Workers(Protocol):
    """Does tasks, which are functions and values that can be pickled."""

    @property
    def slots(self) -> int:
        """How many tasks are done at the same time: no more are handed in. It may change."""
        ...

    def submit(self, task: Callable[..., Result], /, *arguments: object) -> Future[Result]:
        """Have a task done.

        The future raises `WorkerLost` where the process or the machine that did it was lost, as often as it was tried.
        """
        ...

    def close(self) -> None:
        """Free the workers; what they are doing is given up."""
        ...


class ProcessWorkers:
    """Processes of this machine. Each has a pool of its own, so that it is known which task has ended its process."""

    def __init__(self, count: int) -> None:
        """Prepare that many; each starts with its first task.

        Raises:
            ValueError: fewer than 1.
        """
        if count < 1:
            raise ValueError(f"workers {count}: 1 or more")
        self.slots = count
        self._idle = [_process() for _ in range(count)]
        self._all = {*self._idle}
        self._closed = False
        self._proven = False
        """A process has done a task."""
        self._lock = threading.Lock()

    def submit(self, task: Callable[..., Result], /, *arguments: object) -> Future[Result]:
        """See `Workers`."""
        promised: Future[Result] = Future()
        with self._lock:
            process = self._idle.pop()
        self._begin(process, promised, partial(task, *arguments), _ATTEMPTS)
        return promised

    def _begin(
        self, process: ProcessPoolExecutor, promised: Future[Result], work: Callable[[], Result], attempts: int
    ) -> None:
        def end(ended: Future[Any]) -> None:
            again = process
            if isinstance(ended.exception(), BrokenProcessPool):
                again = self._replaced(process)
                if attempts > 1 and not self._closed:
                    self._begin(again, promised, work, attempts - 1)
                    return
            with self._lock:
                self._idle.append(again)
                self._proven = self._proven or not isinstance(ended.exception(), BrokenProcessPool)
            _hand_on(ended, promised, "" if self._proven else _GUARD)

        with _interrupts_blocked():
            try:
                working = process.submit(work)
            except BrokenProcessPool:  # it was lost while it had nothing to do
                process = self._replaced(process)
                working = process.submit(work)
        working.add_done_callback(end)

    def _replaced(self, lost: ProcessPoolExecutor) -> ProcessPoolExecutor:
        """A process in the place of one that was lost."""
        with self._lock:
            self._all.discard(lost)
            new = _process()
            self._all.add(new)
        return new

    def close(self) -> None:
        """See `Workers`."""
        with self._lock:
            self._closed = True
            pools = [*self._all]
        for pool in pools:
            for process in list((pool._processes or {}).values()):  # pyright: ignore[reportPrivateUsage]
                process.terminate()
            pool.shutdown(wait=True, cancel_futures=True)


def _process() -> ProcessPoolExecutor:
    """A pool of one process. It begins anew: the threads of a runtime do not survive a fork."""
    return ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), initializer=_prepare)


@contextlib.contextmanager
def _interrupts_blocked() -> Generator[None]:
    """Block SIGINT, as processes inherit it: Ctrl-C also reaches those that start and do not ignore it yet."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _prepare() -> None:
    """Leave Ctrl-C to the parent, which lets the tasks at hand be finished; end with it, however it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    assert parent

    def end() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=end, daemon=True).start()


def _hand_on(ended: Future[Any], promised: Future[Any], advice: str) -> None:
    error = ended.exception()
    if isinstance(error, BrokenProcessPool):
        why = f"by a bug, or for want of memory?{advice}"
        promised.set_exception(WorkerLost(f"the process that restored it was lost: {why}"))
    elif error is not None:
        promised.set_exception(error)
    else:
        promised.set_result(ended.result())
