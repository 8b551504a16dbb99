"""The packets of an audio track, with time stamps corrected together with those of the pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from fractions import Fraction
from typing import Any

import av
from av.stream import Stream

from mjpeg_restore.frames import SoundPacket
from mjpeg_restore.sound import SoundTrack, block_align
from mjpeg_restore.sources.length import usual_step
from mjpeg_restore.sources.timestamps import RestartAlignment, TimestampCorrector
from mjpeg_restore.sources.timing import TimeWindow
from mjpeg_restore.sources.tracks import time_base


class SoundCollector:
    """Keeps the packets of an audio track; where the pictures' clock restarts, the sound moves by the same time.

    Attributes:
        finished: True once a packet lies after the window.
    """

    def __init__(
        self,
        track: SoundTrack,
        number: int,
        keep: Callable[[SoundPacket], None],
        pictures: TimestampCorrector[Any],
        pictures_base: Fraction,
    ) -> None:
        """Begin with a track.

        Args:
            track: the track.
            number: its position in `Source.sound`.
            keep: takes each packet, cut and shifted like the pictures.
            pictures: the sound stays in step with them.
            pictures_base: their time base.
        """
        self.finished = False
        self._track, self._number, self._keep_packet = track, number, keep
        self._block_align = block_align(track.stream)
        own_base = time_base(track.stream)
        self._time_bases = pictures_base, own_base
        self._second = round(1 / own_base)
        self._alignment = RestartAlignment(pictures, pictures_base, own_base)
        self._corrector: TimestampCorrector[av.Packet[Stream]] | None = None
        self._primer: av.Packet[Stream] | None = None
        """The latest packet that is not to be heard. Compressed sound keeps the one before the first that is: a decoder
        needs it. Those before later edits would overlap the sound before the edit."""

    def add(self, packet: av.Packet[Stream], window: TimeWindow) -> None:
        """Take the next packet; it is kept once its time is known, if `window`, in the pictures' ticks, contains it."""
        if not packet.size:
            return
        if packet.is_discard:
            self._primer = packet
            return
        if self._corrector is None:
            step = packet.duration or usual_step(self._track.stream)
            self._corrector = TimestampCorrector(step, self._second, self._alignment)
            if self._primer is not None and self._block_align is None:
                self._keep(self._corrector.feed(self._primer, stamp_of(self._primer)), window)
        self._keep(self._corrector.feed(packet, stamp_of(packet)), window)

    def flush(self, window: TimeWindow) -> None:
        """Keep the remaining packets at the end of the track."""
        if self._corrector is not None:
            self._keep(self._corrector.flush(), window)

    def _keep(self, corrected: Iterable[tuple[av.Packet[Stream], int]], window: TimeWindow) -> None:
        window = window.rescaled(*self._time_bases)
        for packet, time in corrected:
            delay = 0 if packet.pts is None or packet.dts is None else packet.dts - packet.pts
            self.finished = self.finished or window.is_past(time)
            if window.contains(time):
                pts, base = time - window.shift, self._time_bases[1]
                duration = packet.duration or 0
                self._keep_packet(SoundPacket(self._number, bytes(packet), pts, pts + delay, duration, base))


def stamp_of(packet: av.Packet[Stream]) -> int | None:
    """The presentation time stamp of a packet in ticks, else its decoding time stamp, else None."""
    # Some AVI files state only the dts; the two are equal for pictures that depend on no others.
    return packet.pts if packet.pts is not None else packet.dts
