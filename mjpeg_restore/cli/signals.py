"""Signals that ask a command to end."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from threading import Event

SAME_SIGNAL = 0.5
"""Seconds within which a second signal is the first one: `timeout -s INT` sends it to the process and to its group."""


@contextmanager
def stopping(stop: Event, numbers: Sequence[int], asked: Callable[[], None]) -> Generator[None]:
    """Let signals set an event; the second one ends the command at once.

    Args:
        stop: the event. Who else sets it has asked for the end as well.
        numbers: of the signals.
        asked: called once, after the event was set by a signal.
    """
    first = 0.0

    def ask(number: int, frame: object) -> None:
        nonlocal first
        if not stop.is_set():
            first = time.monotonic()
            stop.set()
            asked()
        elif time.monotonic() - first > SAME_SIGNAL:
            raise KeyboardInterrupt

    before = {number: signal.signal(number, ask) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
