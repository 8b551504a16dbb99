"""When something that failed is tried again."""

from __future__ import annotations

from dataclasses import dataclass

FIRST, LONGEST = 1.0, 60.0
"""Seconds before the second attempt, and at most; in between the delay doubles."""
STEADY = 30.0
"""Seconds of success after which the delays begin anew."""


@dataclass(slots=True)
class BackOff:
    """Delays that double from attempt to attempt."""

    first: float = FIRST
    longest: float = LONGEST
    steady: float = STEADY
    _delay: float = 0.0

    def after(self, lasted: float) -> float:
        """Seconds to wait after an attempt that failed.

        Args:
            lasted: seconds for which all was well before.
        """
        again = self._delay and lasted < self.steady
        self._delay = min(2 * self._delay, self.longest) if again else self.first
        return self._delay
