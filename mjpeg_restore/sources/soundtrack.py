"""The packets of an audio track, with time stamps corrected together with those of the pictures."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from typing import Any

import av
from av.stream import Stream

from mjpeg_restore.sources.base import AudioTrack
from mjpeg_restore.sources.length import usual_step
from mjpeg_restore.sources.timestamps import RestartAlignment, TimestampCorrector
from mjpeg_restore.sources.timing import TimeWindow
from mjpeg_restore.sources.tracks import time_base


class AudioCollector:
    """Collects the packets of an audio track; where the pictures' clock restarts, the sound moves by the same time.

    Attributes:
        finished: True once a packet lies after the window.
    """

    def __init__(self, track: AudioTrack, pictures: TimestampCorrector[Any], pictures_base: Fraction) -> None:
        """Collect packets in `track`, in step with `pictures`, whose time base is `pictures_base`."""
        self.finished = False
        self._track = track
        own_base = time_base(track.stream)
        self._time_bases = pictures_base, own_base
        self._second = round(1 / own_base)
        self._alignment = RestartAlignment(pictures, pictures_base, own_base)
        self._corrector: TimestampCorrector[av.Packet[Stream]] | None = None

    def add(self, packet: av.Packet[Stream], window: TimeWindow) -> None:
        """Take the next packet; it is kept once its time is known, if `window`, in the pictures' ticks, contains it."""
        if not packet.size:
            return
        if self._corrector is None:
            step = packet.duration or usual_step(self._track.stream)
            self._corrector = TimestampCorrector(step, self._second, self._alignment)
        self._keep(self._corrector.feed(packet, stamp_of(packet)), window)

    def flush(self, window: TimeWindow) -> None:
        """Keep the remaining packets at the end of the track."""
        if self._corrector is not None:
            self._keep(self._corrector.flush(), window)

    def _keep(self, corrected: Iterable[tuple[av.Packet[Stream], int]], window: TimeWindow) -> None:
        window = window.rescaled(*self._time_bases)
        for packet, time in corrected:
            delay = 0 if packet.pts is None or packet.dts is None else packet.dts - packet.pts
            packet.pts, packet.dts = time, time + delay
            self.finished = self.finished or window.is_past(time)
            self._track.keep(packet, window)


def stamp_of(packet: av.Packet[Stream]) -> int | None:
    """The presentation time stamp of a packet in ticks, else its decoding time stamp, else None."""
    # Some AVI files state only the dts; the two are equal for pictures that depend on no others.
    return packet.pts if packet.pts is not None else packet.dts
