"""The figures in the corner of a window."""

from __future__ import annotations

from collections import deque

_SPAN = 2.0
"""Seconds over which the figures are averaged."""
_STEADY = 0.5
"""Seconds for which they stay as they are: figures that change with every picture cannot be read."""


class Meter:
    """Frame rate and latency of the pictures that were drawn lately. Times are seconds of `time.monotonic()`.

    Attributes:
        dropped: pictures so far that came too late to be drawn.
    """

    def __init__(self) -> None:
        self.dropped = 0
        self._drawn: deque[tuple[float, float | None]] = deque()
        """When, and with what latency."""
        self._figures = ""
        self._since = 0.0

    def restart(self) -> None:
        """Forget the times of the pictures before: none was drawn for a while because nobody wanted one."""
        self._drawn.clear()

    def drawn(self, now: float, due: float | None) -> None:
        """Note a picture that is drawn for the first time.

        Args:
            now: the time.
            due: when it would have been drawn without any latency; None where that is not known.
        """
        self._drawn.append((now, None if due is None else now - due))
        while now - self._drawn[0][0] > _SPAN and len(self._drawn) > 2:  # two make a rate, however far apart
            self._drawn.popleft()
        if len(self._drawn) > 1 and (not self._figures or now - self._since >= _STEADY):
            self._figures, self._since = self._worded(), now

    def text(self) -> str:
        """The figures in words: "25.0 fps  latency 48 ms  3 dropped"; empty before the second picture."""
        return "  ".join(filter(None, (self._figures, f"{self.dropped} dropped" if self.dropped else "")))

    def _worded(self) -> str:
        span = self._drawn[-1][0] - self._drawn[0][0]
        latencies = [latency for _, latency in self._drawn if latency is not None]
        rate = f"{(len(self._drawn) - 1) / max(span, 1e-3):.1f} fps"
        latency = f"latency {1000 * sum(latencies) / len(latencies):.0f} ms" if latencies else ""
        return f"{rate}  {latency}".rstrip()
