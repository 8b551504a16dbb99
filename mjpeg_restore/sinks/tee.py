"""Several sinks at once: a file and a window, say."""

from __future__ import annotations

from collections.abc import Sequence

from mjpeg_restore.frames import Picture
from mjpeg_restore.sinks.base import Sink


class Tee:
    """Hands each picture to every one of some sinks, in turn."""

    def __init__(self, sinks: Sequence[Sink]) -> None:
        self._sinks = sinks

    @property
    def fixed_size(self) -> bool:
        """True if any of them needs it."""
        return any(sink.fixed_size for sink in self._sinks)

    @property
    def closed(self) -> bool:
        """True once any of them has been closed by the one who looked."""
        return any(sink.closed for sink in self._sinks)

    @property
    def remark(self) -> str | None:
        """What each of them has to say."""
        return "; ".join(remark for sink in self._sinks if (remark := sink.remark)) or None

    def write(self, picture: Picture) -> None:
        """Take one picture."""
        for sink in self._sinks:
            sink.write(picture)

    def close(self) -> None:
        """Finish them all."""
        for sink in self._sinks:
            sink.close()

    def discard(self) -> None:
        """Give them all up."""
        for sink in self._sinks:
            sink.discard()
