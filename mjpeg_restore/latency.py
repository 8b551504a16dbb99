"""Bounded latency: of the pictures that wait for the network, the oldest are dropped.

This stage stands behind the damage policy. Tables, repair and whatever else remembers pictures have then seen every
packet, and only the network, which takes most of the time, is spared.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Generator
from dataclasses import replace
from functools import partial

from mjpeg_restore.ordered import Feeder, Halt
from mjpeg_restore.stages import Job

_POLL = 0.05
"""Poll interval of a waiting thread, seconds: it then reads `Halt.requested`."""


def drop_late(jobs: Generator[Job], *, waiting: int, max_latency: float, halt: Halt) -> Generator[Job]:
    """Pass on jobs as the next stage asks for them, and drop the oldest of those that wait too long.

    A feeder thread takes each job as soon as there is one. The newest job is never dropped; `Job.late` counts the
    dropped ones before it.

    Args:
        jobs: iterated over and closed by the feeder.
        waiting: most jobs that wait; one more drops the oldest.
        max_latency: seconds after its packet's arrival at which a job that has not been passed on is dropped, if there
            is a newer one.
        halt: requested when this generator is closed; its `stop` ends `jobs`.
    """
    backlog = _Backlog(waiting, max_latency, halt)
    halt.start(Feeder(partial(backlog.fill, jobs), "late"))
    try:
        while (job := backlog.next()) is not None:
            yield job
    finally:
        halt.request()
        halt.wait()


class _Backlog:
    """The jobs that wait between the feeder and the next stage."""

    def __init__(self, waiting: int, max_latency: float, halt: Halt) -> None:
        self._most, self._max_latency, self._halt = waiting, max_latency, halt
        self._jobs: deque[Job] = deque()
        self._changed = threading.Condition()
        self._ended = False
        self._error: BaseException | None = None

    def fill(self, jobs: Generator[Job]) -> None:
        """Take jobs until they end, in the feeder's thread."""
        try:
            for job in jobs:
                if self._halt.requested:
                    break
                with self._changed:
                    self._jobs.append(job)
                    if len(self._jobs) > self._most:
                        self._drop()
                    self._changed.notify()
        except BaseException as error:  # raised again in the thread that asks for the next job
            self._error = error
        finally:
            jobs.close()
            with self._changed:
                self._ended = True
                self._changed.notify()

    def next(self) -> Job | None:
        """The oldest job that is not late; None at the end."""
        with self._changed:
            while not self._jobs and not self._ended and not self._halt.requested:
                self._changed.wait(_POLL)
            if self._halt.requested:
                return None
            while len(self._jobs) > 1 and time.monotonic() - self._jobs[0].arrived > self._max_latency:
                self._drop()
            if self._jobs:
                return self._jobs.popleft()
        if self._error:
            raise self._error
        return None

    def _drop(self) -> None:
        """Drop the oldest job, and have the next one count it. A silence is no picture, and not counted."""
        old = self._jobs.popleft()
        late = self._jobs[0].late + old.late + (not old.packet.silent)
        packet = self._jobs[0].packet
        if old.packet.discontinuity:
            packet = replace(packet, discontinuity=True)
        self._jobs[0] = replace(self._jobs[0], packet=packet, late=late)
