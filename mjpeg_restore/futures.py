"""Futures of work that is done on several threads."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from typing import Any, ParamSpec, TypeVar

Arguments = ParamSpec("Arguments")
Part = TypeVar("Part")
Whole = TypeVar("Whole")


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
