"""Threads that are waited for."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable


class JoinableThread(threading.Thread):
    """A daemon thread; a wait for it that Ctrl-C interrupts can be repeated.

    Before Python 3.13, an exception from a signal handler within `join` makes `join` and `is_alive` take the thread for
    ended while it runs. Who then closes what it reads crashes the process.
    """

    def __init__(self, target: Callable[[], None], name: str) -> None:
        super().__init__(target=target, name=name, daemon=True)
        self._over = threading.Event()

    def run(self) -> None:
        """Call the target."""
        try:
            super().run()
        finally:
            self._over.set()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until the thread has ended, for `timeout` seconds at most.

        Returns:
            Whether it has ended, or has not begun. False at once where waiting is impossible: on the thread itself, and
            at the interpreter's exit, when threads no longer run.
        """
        if self is threading.current_thread() or sys.is_finalizing():
            return False
        if self.ident is None:  # nothing runs yet
            return True
        if not self._over.wait(timeout):
            return False
        self.join()  # for a moment, until nobody finds it among the threads any more
        return True
