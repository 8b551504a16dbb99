"""Counts of a run over an archive, for its progress and its report."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

from mjpeg_restore.errors import MjpegRestoreError


@dataclass(slots=True)
class ArchiveReport:
    """Counts of a run over an archive. Written by the thread that runs it; other threads may read it."""

    recordings: int = 0
    """Recordings found in the sources."""
    unchanged: int = 0
    """Recordings that an earlier run has restored or refused: nothing is done for them."""
    done: int = 0
    """Recordings restored by this run."""
    refused: int = 0
    """Files that are no recordings, or damaged beyond use."""
    failed: int = 0
    """Recordings that could not be restored for other reasons."""
    frames: int = 0
    """Pictures restored by this run."""
    size: int = 0
    """Bytes of all recordings that this run has to restore."""
    read: float = 0.0
    """Bytes of the recordings and parts that are finished, restored or not."""
    interrupted: bool = False
    """True: it was asked to stop, and has left recordings undone."""
    full: str = ""
    """Folder in which there is no room left, which has ended it: the destination, or the one for temporary files."""
    failures: list[tuple[str, MjpegRestoreError]] = field(default_factory=list[tuple[str, MjpegRestoreError]])
    """Name and reason of each recording that was refused or failed."""
    _begun: float = field(default_factory=time.monotonic)
    _ended: float | None = None

    @property
    def seconds(self) -> float:
        """Wall-clock time so far, or of the whole run."""
        return max((self._ended or time.monotonic()) - self._begun, 1e-9)

    @property
    def todo(self) -> int:
        """Recordings that are waiting or under way."""
        return self.recordings - self.unchanged - self.done - self.refused - self.failed

    @property
    def fps(self) -> float:
        """Restored pictures a second."""
        return self.frames / self.seconds

    @property
    def left(self) -> float | None:
        """Estimated seconds until the end; None before the first part is finished."""
        return (self.size - self.read) * self.seconds / self.read if self.read else None

    def begin(self, recordings: int, unchanged: int, size: int) -> None:
        """Start the clock, and all counts but these.

        Args:
            recordings: see the members of these names.
            unchanged: likewise.
            size: likewise.
        """
        self.__init__(recordings, unchanged, size=size)

    def end(self) -> None:
        """Stop the clock."""
        self._ended = time.monotonic()

    def as_dict(self) -> dict[str, Any]:
        """The report as JSON's types."""
        names = ("recordings", "unchanged", "done", "refused", "failed", "todo", "frames", "interrupted")
        failures = [{"name": name, "error": str(error)} for name, error in self.failures]
        rest = {
            "full": bool(self.full),
            "seconds": round(self.seconds, 3),
            "fps": round(self.fps, 2),
            "failures": failures,
        }
        return {**{name: getattr(self, name) for name in names}, **rest}
