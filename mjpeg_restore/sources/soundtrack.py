"""The packets of an audio track, with time stamps corrected together with those of the pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from fractions import Fraction
from typing import Any

import av
from av.stream import Stream

from mjpeg_restore.frames import SoundPacket
from mjpeg_restore.sound import SoundTrack, block_align
from mjpeg_restore.sources.length import usual_step
from mjpeg_restore.sources.pcm import PcmPackets
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
        self._time_bases = pictures_base, time_base(track.stream)
        self._second = round(1 / self._time_bases[1])
        self._alignment = RestartAlignment(pictures, *self._time_bases)
        self._corrector: TimestampCorrector[SoundPacket] | None = None
        align, rate = block_align(track.stream), track.stream.codec_context.sample_rate
        self._pcm = PcmPackets(rate, align, self._time_bases[1]) if align and rate > 0 else None
        """None for compressed sound, of which only whole packets can be taken."""
        self._primer: SoundPacket | None = None
        """The latest packet that is not to be heard. Compressed sound keeps the one before the first that is: a decoder
        needs it. Those before later edits would overlap the sound before the edit."""

    def add(self, demuxed: av.Packet[Stream], window: TimeWindow) -> None:
        """Take the next packet; it is kept once its time is known, as far as `window`, in the pictures' ticks, goes.

        PCM is cut at both ends. A compressed packet is kept if it begins within the window: one from before would have
        a time below 0, for which MKV would move the pictures.
        """
        if not demuxed.size:
            return
        packet = self._sound_packet(demuxed)
        if demuxed.is_discard:
            self._primer = packet
            return
        for joined in self._pcm.join(packet) if self._pcm else (packet,):
            self._correct(joined, window)

    def flush(self, window: TimeWindow) -> None:
        """Keep the remaining packets at the end of the track."""
        for joined in self._pcm.flush() if self._pcm else ():
            self._correct(joined, window)
        if self._corrector is not None:
            self._keep(self._corrector.flush(), window)

    def _sound_packet(self, packet: av.Packet[Stream]) -> SoundPacket:
        stamp, base = stamp_of(packet), self._time_bases[1]
        dts = stamp if packet.dts is None else packet.dts
        return SoundPacket(self._number, bytes(packet), stamp, dts, packet.duration or 0, base)

    def _correct(self, packet: SoundPacket, window: TimeWindow) -> None:
        if self._corrector is None:
            step = packet.duration or usual_step(self._track.stream)
            self._corrector = TimestampCorrector(step, self._second, self._alignment)
            if self._primer is not None and self._pcm is None:
                self._keep(self._corrector.feed(self._primer, self._primer.pts), window)
        self._keep(self._corrector.feed(packet, packet.pts), window)

    def _keep(self, corrected: Iterable[tuple[SoundPacket, int]], window: TimeWindow) -> None:
        window = window.rescaled(*self._time_bases)
        for packet, time in corrected:
            self.finished = self.finished or window.is_past(time)
            for kept in self._pcm.cut(packet, time, window) if self._pcm else _whole(packet, time, window):
                self._keep_packet(kept.moved(-window.shift))


def _whole(packet: SoundPacket, time: int, window: TimeWindow) -> Iterator[SoundPacket]:
    """Yield a packet at its time if it begins within the window."""
    if window.contains(time):
        delay = 0 if packet.pts is None or packet.dts is None else packet.dts - packet.pts
        yield replace(packet, pts=time, dts=time + delay)


def stamp_of(packet: av.Packet[Stream]) -> int | None:
    """The presentation time stamp of a packet in ticks, else its decoding time stamp, else None."""
    # Some AVI files state only the dts; the two are equal for pictures that depend on no others.
    return packet.pts if packet.pts is not None else packet.dts
