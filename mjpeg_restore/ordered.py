"""Work on items in order, several at the same time, with bounded memory: it joins the stages of the pipeline."""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Generic, ParamSpec, TypeVar

from mjpeg_restore.errors import SourceError
from mjpeg_restore.threads import JoinableThread

Arguments = ParamSpec("Arguments")
Item = TypeVar("Item")
Result = TypeVar("Result")

_POLL = 0.05
"""Poll interval of a blocked thread, seconds: it then reads `Halt.requested`."""


class Feeder(JoinableThread):
    """A thread that iterates over items. If they come from another stage, this thread starts that stage's feeder."""

    def __init__(self, target: Callable[[], None], name: str) -> None:
        super().__init__(target, f"{name}-feeder")
        self.above = threading.current_thread()

    def waits_for(self, thread: threading.Thread | None) -> bool:
        """Whether this feeder ends only after that thread, which may be the feeder itself."""
        while thread is not None and thread is not self:
            thread = thread.above if isinstance(thread, Feeder) else None
        return thread is self


class Halt:
    """A request to end a stage, made from any thread.

    `request` takes no lock: the garbage collector closes an abandoned generator at any point of any thread, even in a
    forked process.

    Attributes:
        requested: True once the stage is to end.
    """

    def __init__(self, stop: Callable[[], None] | None = None) -> None:
        """Prepare a request; `stop`, if given, is called with it and unblocks the iterator of the items."""
        self.requested = False
        self._stop = stop
        self._feeder: Feeder | None = None
        self._before: Halt | None = None
        self._process = 0

    def start(self, feeder: Feeder) -> None:
        """Start the feeder that `wait` waits for."""
        self._feeder = feeder
        self.begin()
        feeder.start()

    def begin(self, before: Halt | None = None) -> None:
        """Note that the stage begins, in this process.

        Args:
            before: of the stage before, whose feeder `wait` waits for where this one has none.
        """
        self._process = os.getpid()
        self._before = before

    @property
    def forked(self) -> bool:
        """Whether this is another process than the one in which the stage began."""
        return self._process not in (0, os.getpid())

    def check_process(self) -> None:
        """Raise `SourceError` in a forked process: the threads of the stage, or of one before it, are not there."""
        if self.forked:
            raise SourceError("a source cannot be read on in a forked process: open it there")

    def request(self) -> None:
        """End the stage at once; unfinished results are discarded."""
        self.requested = True
        if self._stop:
            self._stop()

    def check(self) -> None:
        """Raise `CancelledError` if the stage is to end."""
        if self.requested:
            raise CancelledError

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until the feeder has ended, for `timeout` seconds at most.

        Returns:
            Whether it has ended. False at once where waiting is impossible: on the feeder's own thread, where the
            garbage collector may run; in a forked process; and at the interpreter's exit, when threads no longer run.
        """
        if self._feeder is None:
            return self._before is None or self._before.wait(timeout)
        if self.forked or self._feeder.waits_for(threading.current_thread()):
            return False
        return self._feeder.wait(timeout)


def ordered_map(
    function: Callable[[Item], Result],
    items: Iterable[Item],
    *,
    workers: int,
    in_flight: int,
    name: str,
    halt: Halt | None = None,
) -> Generator[Result]:
    """Like `map`, but on `workers` threads, in the order of the items.

    1. A feeder thread iterates over the items and submits each; a source that blocks therefore delays no finished
       result.
    2. The workers compute the results.
    3. The caller's thread takes each result once it is ready.

    At most `in_flight` items are taken and not yet delivered. The feeder does not ask for an item before there is room
    for it, so that what produces the items may still choose.

    The first exception of `items` or `function` is raised in its place in the order. Closing the generator early asks
    for `halt` and waits for the feeder, not for the workers. Another thread ends it by asking for `halt`.

    Args:
        function: called on the workers.
        items: iterated over by the feeder, which also closes them.
        workers: number of worker threads.
        in_flight: most items that are taken and not yet delivered.
        name: prefix of the threads' names.
        halt: ends the map; one of its own if None.

    Raises:
        SourceError: this process was forked while the map ran: its threads are in the parent.
    """
    end = halt or Halt()
    pool = Workers(workers, name, end)
    return in_order(
        lambda item: pool.submit(function, item), items, in_flight=in_flight, name=name, halt=end, close=pool.close
    )


class Workers(ThreadPoolExecutor):
    """A pool of threads. Once a halt is requested, it does none of the work that waits: nobody takes the results."""

    def __init__(self, count: int, name: str, halt: Halt) -> None:
        super().__init__(count, thread_name_prefix=name)
        self._halt = halt

    def submit(
        self, fn: Callable[Arguments, Result], /, *args: Arguments.args, **kwargs: Arguments.kwargs
    ) -> Future[Result]:
        """Have a thread call the function; its future raises `CancelledError` if it was not called."""
        return super().submit(self._call, fn, *args, **kwargs)

    def _call(self, fn: Callable[Arguments, Result], /, *args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        if self._halt.requested:
            raise CancelledError
        return fn(*args, **kwargs)

    def close(self) -> None:
        """End the threads once they have done what was submitted; does not wait."""
        self.shutdown(wait=False)


def in_order(
    submit: Callable[[Item], Future[Result]],
    items: Iterable[Item],
    *,
    in_flight: int,
    name: str,
    halt: Halt | None = None,
    close: Callable[[], None] | None = None,
) -> Generator[Result]:
    """The results of items whose work is submitted in their order; otherwise like `ordered_map`.

    Args:
        submit: begins the work on an item, on the feeder's thread.
        items: as for `ordered_map`, and so are the other arguments.
        in_flight: likewise.
        name: likewise.
        halt: likewise.
        close: called by the feeder when there are no more items; its exception is the last result.
    """
    end = halt or Halt()
    production = _Production(submit, items, in_flight, end, close)
    try:
        end.start(Feeder(production.feed, name))
        while (entry := production.next()) is not None:
            result = entry.result()
            production.make_room()
            yield result
    except BaseException:  # closed early, or failed
        end.request()
        raise
    finally:
        end.wait()


def in_turn(
    submit: Callable[[Item], Future[Result]],
    items: Iterable[Item],
    *,
    halt: Halt,
    before: Halt | None = None,
    close: Callable[[], None] | None = None,
) -> Generator[Result]:
    """The results of items, one after the other: like `in_order` with one in flight, without a thread of its own.

    Args:
        submit: begins the work on an item, on the caller's thread.
        items: iterated over and closed there as well.
        halt: ends the generator, from any thread; its `stop` ends the iteration over the items.
        before: ends the stage that the items come from, if that has a feeder.
        close: called when there are no more items.
    """
    halt.begin(before)
    try:
        for item in items:
            result = submit(item)
            while not (halt.requested or result.done()):
                with suppress(CancelledError, TimeoutError):
                    result.exception(timeout=_POLL)
            if halt.requested:
                return
            yield result.result()
            halt.check_process()
    finally:
        try:
            if (end := getattr(items, "close", None)) is not None:
                end()
        finally:
            if close:
                close()


class _Production(Generic[Item, Result]):
    """The results between the feeder and the caller."""

    def __init__(
        self,
        submit: Callable[[Item], Future[Result]],
        items: Iterable[Item],
        in_flight: int,
        end: Halt,
        close: Callable[[], None] | None,
    ) -> None:
        self._submit, self._items, self._end, self._close = submit, items, end, close
        self._room = threading.Semaphore(in_flight)
        self._pending: queue.SimpleQueue[Future[Result] | None] = queue.SimpleQueue()

    def feed(self) -> None:
        """Submit the items, and close them, in the feeder's thread; an exception takes its place in the order."""
        # A generator is closed by the thread that ran it: its own cleanup may need that.
        for step in (self._submit_all, getattr(self._items, "close", None), self._close):
            try:
                if step:
                    step()
            except BaseException as error:  # raised again in the caller's thread
                failed: Future[Result] = Future()
                failed.set_exception(error)
                self._pending.put(failed)
        self._pending.put(None)

    def _submit_all(self) -> None:
        items = iter(self._items)
        while self._wait_for_room():
            try:
                item = next(items)
            except StopIteration:
                break
            self._pending.put(self._submit(item))
            del item  # whoever works on it has it

    def next(self) -> Future[Result] | None:
        """The next finished result; None at the end."""
        entry = None
        self._end.check_process()
        while not self._end.requested:
            try:
                entry = entry or self._pending.get(timeout=_POLL)
                if entry is None:
                    return None
                # `concurrent.futures.wait` takes three times as long.
                with suppress(CancelledError):
                    entry.exception(timeout=_POLL)
            except (queue.Empty, TimeoutError):
                continue
            return None if self._end.requested else entry  # read after the result: a cancelled one is never handed out
        return None

    def make_room(self) -> None:
        """Let the feeder take another item."""
        self._room.release()

    def _wait_for_room(self) -> bool:
        while not self._end.requested:
            if self._room.acquire(timeout=_POLL):
                return True
        return False
