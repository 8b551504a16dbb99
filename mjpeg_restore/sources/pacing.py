"""A recording played as if it came from a camera: each picture at its time, and from the start again if asked for."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from threading import Event

from mjpeg_restore.clock import PlaybackClock
from mjpeg_restore.frames import Packet
from mjpeg_restore.sources.base import BaseSource, Source


class Paced(BaseSource):
    """A source's packets, each when its time has come. They have `arrived`, like those of a camera."""

    def __init__(self, source: Source, again: Callable[[], Source] | None = None) -> None:
        """Wrap a source, which is closed with this one.

        Args:
            source: the recording.
            again: opens it anew, to play it from the start when it has ended; None: it ends.
        """
        self.info = replace(source.info, frames=None, duration=None) if again else source.info
        self.paths, self.sound, self.status = source.paths, source.sound, source.status
        self._first = self._source = source
        self._again = again
        self._stopping = Event()

    def __iter__(self) -> Iterator[Packet]:
        """Yield the packets; see `Source`.

        Raises:
            SourceError: the recording can no longer be read.
        """
        clock = PlaybackClock()
        for packet in self._packets():
            if self._stopping.wait(max(clock.left(packet.time, time.monotonic()), 0)):
                return
            yield replace(packet, arrived=time.monotonic())

    def stop(self) -> None:
        """End the iteration, also while it waits for the time of a picture; from any thread."""
        super().stop()
        self._stopping.set()
        self._source.stop()

    def close(self) -> None:
        """Close the recording."""
        for source in {self._first, self._source}:
            source.close()

    def _packets(self) -> Iterator[Packet]:
        """The packets of all rounds, on one clock."""
        begin = index = 0
        while True:
            last: Packet | None = None
            for packet in self._source:
                last = _moved(packet, index, begin)
                yield last
            self.truncated, self.remarks = self._source.truncated, self._source.remarks
            if self._again is None or self.stopped or last is None:
                return
            index = last.index + 1
            begin = last.pts + max(last.duration, self._usual(last))
            if self._source is not self._first:  # which is kept: `sound` refers to it
                self._source.close()
            self._source = self._again()

    def _usual(self, packet: Packet) -> int:
        """Ticks for which a picture is shown where the source does not say."""
        return max(round(1 / (self.info.fps or 25) / packet.time_base), 1)


def _moved(packet: Packet, index: int, ticks: int) -> Packet:
    """A packet of a later round: after `index` pictures, and as many ticks."""
    if not index:
        return packet
    return replace(
        packet,
        index=packet.index + index,
        pts=packet.pts + ticks,
        discontinuity=packet.discontinuity or not packet.index,
        sound=tuple(sound.moved(round(ticks * packet.time_base / sound.time_base)) for sound in packet.sound),
    )
