"""Bounded latency: of the pictures that wait for the network, the oldest are dropped.

This stage stands behind the damage policy. Tables, repair and whatever else remembers pictures have then seen every
packet, and only the network, which takes most of the time, is spared.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Generator
from dataclasses import replace
from functools import partial

from mjpeg_restore.ordered import Feeder, Halt
from mjpeg_restore.stages import Job

_POLL = 0.05
"""Poll interval of a waiting thread, seconds: it then reads `Halt.requested`."""

_MOST = 24
"""Jobs that wait at most, for want of memory: a camera's pictures of nearly a second, while the network is loaded."""
_MOST_BYTES = 256 << 20
"""Bytes of coefficients that wait at most, where there are two jobs: a picture of 64 megapixels has 200 MB."""


def drop_late(
    jobs: Generator[Job], *, waiting: int, max_latency: float, loaded: Callable[[], float], halt: Halt
) -> Generator[Job]:
    """Pass on jobs as the next stage asks for them, and drop the oldest of those that wait too long.

    A burst, as after a pause of the network, may wait for `max_latency`. But once the next stage has been busy for that
    long without a break, more than `waiting` jobs are a standing queue, which only delays. The newest job is never
    dropped; `Job.late` counts the dropped ones before it. A feeder thread takes each job as soon as there is one.

    Args:
        jobs: iterated over and closed by the feeder.
        waiting: most jobs in a standing queue; one more drops the oldest.
        max_latency: seconds after its packet's arrival at which a job that has not been passed on is dropped, if there
            is a newer one.
        loaded: when the network was loaded, `time.monotonic()` seconds; infinity before. What waited for that is not
            late.
        halt: requested when this generator is closed; its `stop` ends `jobs`.
    """
    backlog = _Backlog(waiting, max_latency, loaded, halt)
    halt.start(Feeder(partial(backlog.fill, jobs), "late"))
    try:
        while (job := backlog.next()) is not None:
            yield job
    finally:
        halt.request()
        halt.wait()


class _Backlog:
    """The jobs that wait between the feeder and the next stage."""

    def __init__(self, waiting: int, max_latency: float, loaded: Callable[[], float], halt: Halt) -> None:
        self._waiting, self._max_latency, self._loaded, self._halt = waiting, max_latency, loaded, halt
        self._idle = time.monotonic()
        """When the next stage last had to wait; monotonic seconds."""
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
                    while self._is_full():
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
                self._idle = time.monotonic()
            if self._halt.requested:
                return None
            while len(self._jobs) > 1 and self._is_late(self._jobs[0]):
                self._drop()
            if self._jobs:
                return self._jobs.popleft()
        if self._error:
            raise self._error
        return None

    def _is_full(self) -> bool:
        busy = time.monotonic() - max(self._idle, self._loaded()) > self._max_latency
        if len(self._jobs) > (self._waiting if busy else _MOST):
            return True
        return len(self._jobs) > 1 and sum(job.nbytes for job in self._jobs) > _MOST_BYTES

    def _is_late(self, job: Job) -> bool:
        return time.monotonic() - max(job.arrived, self._loaded()) > self._max_latency

    def _drop(self) -> None:
        """Drop the oldest job, and have the next one count it, unless it is a silence or is counted as unreadable."""
        old = self._jobs.popleft()
        late = self._jobs[0].late + old.late + (not old.packet.silent and old.error is None)
        packet = self._jobs[0].packet
        lost = old.packet.discontinuity or packet.discontinuity
        packet = replace(packet, discontinuity=lost, sound=(*old.packet.sound, *packet.sound))
        self._jobs[0] = replace(self._jobs[0], packet=packet, late=late)
