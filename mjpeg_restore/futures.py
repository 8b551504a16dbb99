"""Futures of work that is done on several threads."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future, wait
from typing import Any, ParamSpec, TypeVar

Arguments = ParamSpec("Arguments")
Part = TypeVar("Part")
Whole = TypeVar("Whole")

_POLL = 0.05
"""Seconds after which a wait that may be given up checks whether it is."""


class Inline(Executor):
    """An executor that does the work at once, on the thread that submits it."""

    def submit(
        self, fn: Callable[Arguments, Part], /, *args: Arguments.args, **kwargs: Arguments.kwargs
    ) -> Future[Part]:
        """Call the function; the future has its result or its exception."""
        future: Future[Part] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except BaseException as error:  # raised where the result is asked for
            future.set_exception(error)
        return future


INLINE = Inline()


def done(result: Part) -> Future[Part]:
    """A future that has its result."""
    future: Future[Part] = Future()
    future.set_result(result)
    return future


def gather(parts: Sequence[Future[Part]], function: Callable[[list[Part]], Whole]) -> Future[Whole]:
    """The function of several results, computed on the thread that finishes the last of them.

    Args:
        parts: at least one future.
        function: takes the results in the order of the parts.

    Returns:
        Its future has the function's result, or the exception of the first part, in their order, that failed. It
        cannot be cancelled, as the parts can.
    """
    whole: Future[Whole] = Future()
    whole.set_running_or_notify_cancel()
    waiting = len(parts)
    results = list(parts)
    lock = threading.Lock()

    def count(_: Future[Any]) -> None:
        nonlocal waiting
        with lock:
            waiting -= 1
            last = not waiting
        if last:
            try:
                whole.set_result(function([part.result() for part in results]))
            except BaseException as error:  # raised where the result is asked for
                whole.set_exception(error)
            results.clear()  # a future keeps its callbacks: this one would keep the futures, and with them all memory

    for part in parts:
        part.add_done_callback(count)
    return whole


def while_wanted(
    function: Callable[[], Whole], wanted: Callable[[], bool], release: Callable[[Whole], None]
) -> Whole | None:
    """Call a function that cannot be interrupted, such as one that opens a camera, and wait for it while it is wanted.

    Args:
        function: called on a daemon thread of its own, which goes on where nobody waits any more.
        wanted: asked from time to time, and once more at the end.
        release: called with a result that came too late.

    Returns:
        The result; None if it is not wanted any more.

    Raises:
        BaseException: the function's, unless it came too late.
    """
    future: Future[Whole] = Future()

    def call() -> None:
        try:
            future.set_result(function())
        except BaseException as error:  # raised where the result is waited for
            future.set_exception(error)

    def drop(late: Future[Whole]) -> None:
        if late.exception() is None:
            release(late.result())

    threading.Thread(target=call, name="open", daemon=True).start()
    try:
        while wanted():
            if wait((future,), timeout=_POLL).done and wanted():
                return future.result()
    except BaseException:
        future.add_done_callback(drop)  # after Ctrl-C; of a function that failed there is nothing to release
        raise
    future.add_done_callback(drop)
    return None
