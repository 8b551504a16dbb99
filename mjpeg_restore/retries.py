"""When what failed is tried again, and which of its failures are worth a line in the log."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass

_SETTLED = 10.0
"""Seconds after which a success, or its absence, is a change that is worth another line in the log. Some cameras end
the stream after every few pictures, some servers accept and hang up: they change several times a second, for days."""
_MOST_REASONS = 8
"""Lines in the log about failures between two settled successes, each for another reason."""


@dataclass(frozen=True, slots=True)
class Delays:
    """Seconds from a failure to the next attempt.

    A delay is a share of the time since the first failure. So what comes back is missed for no longer than that share
    of its absence.
    """

    shortest: float = 0.25
    longest: float = 10.0
    share: float = 1 / 3
    steady: float = 0.0
    """Seconds that a success has to last; delays after shorter ones go on growing."""
    chance: float = 0.5
    """Share of a delay that is left to chance, or all that wait for the same server would come at once."""


class Retries:
    """The attempts at something that may fail, again and again, for days.

    Attributes:
        reason: why the latest attempt failed; empty before the first failure and after a success.
        delay: seconds from the latest failure to the next attempt.
        ever_succeeded: whether any attempt did.
    """

    def __init__(self, delays: Delays | None = None, clock: Callable[[], float] | None = None) -> None:
        """Begin.

        Args:
            delays: the defaults if None.
            clock: seconds; `time.monotonic` if None.
        """
        self.reason = ""
        self.delay = 0.0
        self.ever_succeeded = False
        self._delays = delays or Delays()
        self._clock = clock or time.monotonic
        self._due = self._clock()
        self._succeeded_at: float | None = None
        """When the present attempt succeeded; None if it has not."""
        self._failing_since: float | None = None
        """When the failures began that delays grow with; a success that was not steady is no end to them."""
        self._absent_since = 0.0
        """When the failures began that followed the latest success."""
        self._told: set[str] = set()
        self._told_success: bool | None = None
        """Whether the log's last line is of a success; None where it has none."""

    @property
    def wait(self) -> float:
        """Seconds until the next attempt; 0 if it is time for one."""
        return max(self._due - self._clock(), 0.0)

    def succeeded(self) -> bool:
        """Note a success; whether it is worth a line in the log."""
        self.reason, self.ever_succeeded = "", True
        self._succeeded_at = self._clock()
        telling = self._told_success is not True
        self._told_success = True
        return telling

    def failed(self, reason: str, lasted: float | None = None) -> bool:
        """Note a failure.

        Args:
            reason: in words.
            lasted: seconds for which all was well before; if None, those since `succeeded` was called in this attempt.

        Returns:
            Whether it is worth a line in the log.
        """
        now = self._clock()
        if lasted is None and self._succeeded_at is not None:
            lasted = now - self._succeeded_at
        self._succeeded_at = None
        if self._failing_since is None or (lasted is not None and lasted >= self._delays.steady):
            self._failing_since = now
        if lasted is not None and lasted > _SETTLED:
            self._told.clear()
        if not self.reason:
            self._absent_since = now
        growing = self._delays.share * (now - self._failing_since)
        longest = min(max(self._delays.shortest, growing), self._delays.longest)
        self.delay = longest * random.uniform(1 - self._delays.chance, 1)
        self._due = now + self.delay
        self.reason = reason
        untold = self._told_success is True and now - self._absent_since > _SETTLED
        telling = untold or (reason not in self._told and len(self._told) < _MOST_REASONS)
        if telling:
            self._told.add(reason)
            self._told_success = False
        return telling
