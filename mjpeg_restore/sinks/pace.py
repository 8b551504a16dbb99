"""Pictures of a recording, held back until their time."""

from __future__ import annotations

import time
from fractions import Fraction

from mjpeg_restore.clock import PlaybackClock

_LONGEST = 5.0
"""Seconds of a pause that are waited for: the rest of it is cut out, for a run must end soon after Ctrl-C."""


class Pace:
    """The clock of an output that is watched while it is written.

    Servers and devices hand on at once what they get, so a recording that came as fast as it is restored would play too
    fast, or overflow them. It is the sink that waits, behind everything else: so a picture that takes longer to restore
    is not late, and whoever uses such a sink cannot forget it.

    Attributes:
        skipped: seconds that were cut out of pauses so far; the time stamps of what follows are to be reduced by them.
    """

    def __init__(self) -> None:
        self.skipped = Fraction(0)
        self._clock = PlaybackClock()

    def wait(self, moment: Fraction) -> None:
        """Wait until a picture is due.

        Args:
            moment: its time in the recording, seconds.
        """
        wait = self._clock.left(moment - self.skipped, time.monotonic())
        if wait > _LONGEST:
            self.skipped += Fraction(round(1000 * (wait - _LONGEST)), 1000)
            wait = _LONGEST
        if wait > 0:
            time.sleep(wait)
