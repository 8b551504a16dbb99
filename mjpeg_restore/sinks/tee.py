"""Several sinks at once, such as a file and a window."""

from __future__ import annotations

from collections.abc import Sequence

from mjpeg_restore.frames import Picture
from mjpeg_restore.sinks.base import Sink


class Tee:
    """Writes each picture to several sinks, in turn."""

    def __init__(self, sinks: Sequence[Sink]) -> None:
        self._sinks = sinks

    @property
    def fixed_size(self) -> bool:
        """True if any of the sinks needs pictures of one size."""
        return any(sink.fixed_size for sink in self._sinks)

    @property
    def closed(self) -> bool:
        """True once the consumer of any of the sinks has disconnected."""
        return any(sink.closed for sink in self._sinks)

    @property
    def remark(self) -> str | None:
        """The remarks of all sinks, joined by semicolons; None if there are none."""
        return "; ".join(remark for sink in self._sinks if (remark := sink.remark)) or None

    def write(self, picture: Picture) -> None:
        """Write one picture to every sink."""
        for sink in self._sinks:
            sink.write(picture)

    def close(self) -> None:
        """Finish every output."""
        for sink in self._sinks:
            sink.close()

    def discard(self) -> None:
        """Abandon every output."""
        for sink in self._sinks:
            sink.discard()
