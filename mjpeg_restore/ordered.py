"""Work done in parallel and delivered in order, with bounded memory: what the pipeline is joined with."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

_POLL = 0.05
"""Seconds after which a feeder that waits for room looks whether anybody still wants what it has."""


def ordered_map(
    function: Callable[[Item], Result], items: Iterable[Item], *, workers: int, ahead: int, name: str
) -> Generator[Result]:
    """Like `map`, but on `workers` threads.

    A feeder thread takes the items as they come, so that a source which has to be waited for keeps back nothing
    that is done. At most `ahead` results are in the making or waiting to be taken. The first exception of `items`
    or `function` is raised in its place in the order. Closing the iterator early ends the feeder before it returns.
    """
    pending: queue.Queue[Future[Result] | None] = queue.Queue(maxsize=ahead)
    gone = threading.Event()

    def put(entry: Future[Result] | None) -> bool:
        while not gone.is_set():
            try:
                pending.put(entry, timeout=_POLL)
            except queue.Full:
                continue
            return True
        return False

    def feed() -> None:
        try:
            for item in items:
                if not put(pool.submit(function, item)):
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

    pool = ThreadPoolExecutor(workers, thread_name_prefix=name)
    feeder = threading.Thread(target=feed, name=f"{name}-feeder", daemon=True)
    feeder.start()
    try:
        while (entry := pending.get()) is not None:
            yield entry.result()
    finally:
        gone.set()
        feeder.join()
        pool.shutdown(cancel_futures=True)
