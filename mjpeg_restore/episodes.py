"""Troubles of a live source that come and go: one line in the log when one begins, one when it is over."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial

from mjpeg_restore.stages import Job

_QUIET = 10.0
"""Seconds without trouble after which an episode is over: damage in every other picture is one episode."""

_START_UP = 3.0
"""Seconds after the first picture in which nothing is said of late ones: they waited while the network was loaded."""

_log = logging.getLogger(__name__)

Note = Callable[[int, str, str], None]
"""Takes a level of `logging`, the name of an event, and the message for people."""


class LiveEpisodes:
    """Tells of damage and lateness of a live source's pictures."""

    def __init__(self, source: str, note: Note | None = None) -> None:
        """Begin without trouble.

        Args:
            source: its name in messages.
            note: told of each change; None: the log.
        """
        note = note or partial(_log_event, source)
        self._damage = _Episode(note, "damaged", "recovered", "sound again", "damaged")
        self._late = _Episode(note, "late", "in_time", "in time again", "dropped")
        self._begun: float | None = None

    def update(self, job: Job) -> None:
        """Take the next job into account."""
        if job.packet.silent:
            return
        trouble = job.damage or job.trouble
        self._damage.update(bool(trouble), job.arrived, f"damaged since packet {job.packet.index}: {trouble}")
        if self._begun is None:
            self._begun = job.arrived
        if job.arrived - self._begun < _START_UP:
            return
        late = f"late since packet {job.packet.index}: restoring or writing is slower than the camera"
        self._late.update(job.late, job.arrived, late)


class _Episode:
    """One kind of trouble."""

    def __init__(self, note: Note, began: str, ended: str, over: str, counted: str) -> None:
        self._note, self._began, self._ended = note, began, ended
        self._over, self._counted = over, counted
        self._since: float | None = None
        self._last = 0.0
        self._count = 0

    def update(self, count: int, now: float, beginning: str) -> None:
        """Count troubled pictures at `now`, in `time.monotonic()` seconds."""
        if count:
            if self._since is None:
                self._since, self._count = now, 0
                self._note(logging.WARNING, self._began, beginning)
            self._last = now
            self._count += count
        elif self._since is not None and now - self._last > _QUIET:
            lasted = self._last - self._since
            span = f" in {lasted:.1f} s" if self._count > 1 else ""
            self._since = None
            self._note(logging.INFO, self._ended, f"{self._over}: {self._count} {self._counted}{span}")


def _log_event(source: str, level: int, event: str, message: str) -> None:
    _log.log(level, "%s: %s", source, message, extra={"event": event, "source": source})
