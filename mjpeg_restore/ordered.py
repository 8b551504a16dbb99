"""Work done in parallel and delivered in order, with bounded memory: what the pipeline is joined with."""

from __future__ import annotations

import os
import queue
import sys
import threading
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from contextlib import suppress
from typing import TypeVar

from mjpeg_restore.errors import SourceError

Item = TypeVar("Item")
Result = TypeVar("Result")

_POLL = 0.05
"""Seconds between two looks at `Halt.asked` by a thread that waits."""


class _Feeder(threading.Thread):
    """A thread that takes items; those of a map over a map are taken by two, one above the other."""

    def __init__(self, target: Callable[[], None], name: str) -> None:
        super().__init__(target=target, name=f"{name}-feeder", daemon=True)
        self.above = threading.current_thread()

    def waits_for(self, thread: threading.Thread | None) -> bool:
        """Whether it ends only after that thread, which may be itself."""
        while thread is not None and thread is not self:
            thread = thread.above if isinstance(thread, _Feeder) else None
        return thread is self


class Halt:
    """The end of an ordered map, asked for from any thread.

    A generator that is given up is closed by the garbage collector, in the middle of whatever any thread does just
    then, and perhaps in a forked process: so no lock is taken to ask.

    Attributes:
        asked: True once nobody wants more.
    """

    def __init__(self, stop: Callable[[], None] | None = None) -> None:
        """Call `stop` too, which ends the items while they are waited for."""
        self.asked = False
        self._stop = stop
        self._feeder: _Feeder | None = None
        self._process = 0

    def start(self, feeder: _Feeder) -> None:
        """Start the thread that is waited for later."""
        self._feeder, self._process = feeder, os.getpid()
        feeder.start()

    @property
    def forked(self) -> bool:
        """Whether this is another process than the one in which the feeder runs."""
        return self._feeder is not None and self._process != os.getpid()

    def ask(self) -> None:
        """Have the map end at once, without what is still in the making."""
        self.asked = True
        if self._stop:
            self._stop()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait, for so many seconds at most, until no more items are taken.

        Returns:
            Whether none are. False at once where it cannot be waited for: on a feeder itself, where the garbage
            collector may have come by; in a forked process; and at the interpreter's exit, when threads stand still.
        """
        if self._feeder is None:
            return True
        if self.forked or sys.is_finalizing() or self._feeder.waits_for(threading.current_thread()):
            return False
        self._feeder.join(timeout)
        return not self._feeder.is_alive()


def ordered_map(
    function: Callable[[Item], Result],
    items: Iterable[Item],
    *,
    workers: int,
    ahead: int,
    name: str,
    halt: Halt | None = None,
) -> Generator[Result]:
    """Like `map`, but on `workers` threads.

    A feeder thread takes the items as they come, so that a source which has to be waited for keeps back nothing
    that is done. At most `ahead` results are in the making or waiting to be taken. The first exception of `items`
    or `function` is raised in its place in the order. Closing the iterator early asks for `halt`, and ends the feeder
    before it returns; what the workers are at is not waited for. Whoever has `halt` ends it from another thread.

    Raises:
        SourceError: the process was forked on the way, and the threads are in the other one.
    """
    end = halt or Halt()
    pending: queue.Queue[Future[Result] | None] = queue.Queue(maxsize=ahead)
    pool = ThreadPoolExecutor(workers, thread_name_prefix=name)

    def work(item: Item) -> Result:
        if end.asked:
            raise CancelledError  # not worth the while, and seen by nobody
        return function(item)

    def put(entry: Future[Result] | None) -> bool:
        while not end.asked:
            try:
                pending.put(entry, timeout=_POLL)
            except queue.Full:
                continue
            return True
        return False

    def feed() -> None:
        try:
            for item in items:
                if not put(pool.submit(work, item)):
                    return
        except BaseException as error:  # whatever it is, it is the consumer's to see
            failed: Future[Result] = Future()
            failed.set_exception(error)
            put(failed)
        finally:
            # A generator is closed by the thread that ran it: its own cleanup may need that.
            close = getattr(items, "close", None)
            if close is not None:
                close()
            put(None)
            pool.shutdown(wait=False)

    try:
        end.start(_Feeder(feed, name))
        while (entry := _next(pending, end)) is not None:
            yield entry.result()
    except BaseException:  # given up, or failed
        end.ask()
        raise
    finally:
        end.wait()


def _next(pending: queue.Queue[Future[Result] | None], end: Halt) -> Future[Result] | None:
    """The next result, once it is there; None at the end."""
    entry = None
    if end.forked:
        raise SourceError("a recording cannot be read on in a forked process: open it there")
    while not end.asked:
        try:
            entry = entry or pending.get(timeout=_POLL)
            if entry is None:
                return None
            # To wait for a future by itself costs a third of what `concurrent.futures.wait` does.
            with suppress(CancelledError):
                entry.exception(timeout=_POLL)
        except (queue.Empty, TimeoutError):
            continue
        return None if end.asked else entry  # in this order: what is done before the end is no cancelled work
    return None
