"""When an output connects again, and what the log says of it."""

from __future__ import annotations

import logging
import random
import time

_SHORTEST, _LONGEST = 0.25, 10.0
"""Seconds before another attempt. In between, the delay is a share of the time since the first failure, so that a
server that is back is missed for no longer than that share of its absence."""
_SHARE = 1 / 3
_STEADY = 10.0
"""Seconds after which a connection counts as good, so that its end is a trouble of its own. A server that accepts and
hangs up would otherwise fill the log, and be called four times a second."""
_MOST_REASONS = 8
"""Lines in the log about failures between two steady connections, each for another reason."""

_log = logging.getLogger(__name__)


class Attempts:
    """The attempts of one output to connect, and their failures.

    Attributes:
        connected_once: whether any succeeded.
        reason: why the latest failed.
    """

    def __init__(self, name: str) -> None:
        """Begin; `name` is the output's in the log; empty: nothing is logged."""
        self.connected_once = False
        self.reason = ""
        self._name = name
        self._due = 0.0
        self._connected_at: float | None = None
        self._failing_since: float | None = None
        self._told: set[str] = set()
        self._trouble_told = False
        """Whether the log's last line is of a failure."""

    @property
    def due(self) -> bool:
        """Whether it is time for an attempt."""
        return time.monotonic() >= self._due

    def connected(self, lost: int) -> None:
        """Note a success; `lost` pictures could not be sent so far."""
        self._connected_at = time.monotonic()
        if self._trouble_told or not self.connected_once:
            losses = f"; {lost} pictures are lost so far" if lost else ""
            again = " again" if self.connected_once else ""
            self._note(logging.INFO, "output_connected", f"connected{again}{losses}")
            self._trouble_told = False
        self.connected_once = True

    def failed(self, reason: str) -> None:
        """Note a failure, be it of an attempt or of a connection, and when to try again."""
        now = time.monotonic()
        steady = self._connected_at is not None and now - self._connected_at > _STEADY
        if steady or self._failing_since is None:
            self._failing_since = now
            self._told.clear()
        self._connected_at = None
        delay = min(max(_SHORTEST, _SHARE * (now - self._failing_since)), _LONGEST)
        self._due = now + delay * random.uniform(0.5, 1.0)  # at random, or all cameras would come at once
        self.reason = reason
        if reason not in self._told and len(self._told) < _MOST_REASONS:
            self._told.add(reason)
            self._note(logging.WARNING, "output_reconnecting", f"{reason}; connecting again")
            self._trouble_told = True

    def _note(self, level: int, event: str, message: str) -> None:
        if self._name:
            _log.log(level, "%s: %s", self._name, message, extra={"event": event, "output": self._name})
