"""One connection of a live source, read on a thread of its own."""

from __future__ import annotations

import queue
import time
from contextlib import closing

from mjpeg_restore.sources.live.connection import Capture, Connection
from mjpeg_restore.threads import JoinableThread

_POLL = 0.05
"""Poll interval of a blocked thread, seconds: it then reads whether it is still wanted."""
DEPTH = 8
"""Pictures that may wait between the reader thread and the header walk. Late ones are dropped only after their
coefficients are read; when even that is too slow, the camera has to wait."""


class End:
    """The end of a connection, and the error that ended it."""

    def __init__(self, error: Exception | None) -> None:
        self.error = error


class Attempt:
    """One connection, read on a thread of its own.

    Attributes:
        heard: `time.monotonic()` since which the camera is silent: of the latest picture, or of the beginning.
    """

    def __init__(self, connection: Connection) -> None:
        self.heard = time.monotonic()
        self._connection = connection
        self._queue: queue.Queue[Capture | End] = queue.Queue(DEPTH)
        self._abandoned = False
        self._thread = JoinableThread(self._read, "camera")
        self._thread.start()

    def next(self) -> Capture | End | None:
        """The next picture, or the end; None if nothing came within the poll interval."""
        try:
            return self._queue.get(timeout=_POLL)
        except queue.Empty:
            return None

    def abandon(self) -> None:
        """Interrupt the connection; its thread ends as soon as it can."""
        self._abandoned = True
        self._connection.interrupt()

    def wait(self, seconds: float) -> None:
        """Wait until the thread has ended, for so many seconds at most."""
        self._thread.wait(seconds)

    def _read(self) -> None:
        error: Exception | None = None
        try:
            with closing(self._connection.pictures()) as captures:
                for capture in captures:
                    if not self._put(capture):
                        return
                    self.heard = time.monotonic()  # the wait for room was not the camera's
        except Exception as caught:  # raised again, or the reason to connect again
            error = caught
        self._put(End(error))

    def _put(self, entry: Capture | End) -> bool:
        while not self._abandoned:
            try:
                self._queue.put(entry, timeout=_POLL)
            except queue.Full:
                continue
            return True
        return False
