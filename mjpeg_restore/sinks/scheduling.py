"""Keeps a library from taking the machine: SVT-AV1 makes threads real-time where it may.

As root it may: the thread that opens the encoder, those of the encoder, and whatever they start then come before all
other programs of the machine, at the highest priority. Two of them that are busy leave two cores to nobody else.
"""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import contextmanager, suppress

_THREADS = "/proc/self/task"
"""Linux alone has it; elsewhere the encoder asks for no such thing."""


@contextmanager
def ordinary_scheduling() -> Generator[None]:
    """Give the threads that become real-time in the context the system's ordinary scheduling again."""
    before = _real_time()
    try:
        yield
    finally:
        for thread in _real_time() - before:
            with suppress(OSError):  # it has ended meanwhile
                os.sched_setscheduler(thread, os.SCHED_OTHER, os.sched_param(0))


def _real_time() -> set[int]:
    """The threads of this process that are real-time."""
    found: set[int] = set()
    with suppress(OSError):
        for name in os.listdir(_THREADS):
            with suppress(OSError):
                if os.sched_getscheduler(int(name)) in (os.SCHED_FIFO, os.SCHED_RR):
                    found.add(int(name))
    return found
