"""The time stamps of sound, corrected together with those of the pictures."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from typing import Any

import av
from av.stream import Stream

from mjpeg_restore.sources.base import AudioTrack
from mjpeg_restore.sources.clock import Clock, Companion
from mjpeg_restore.sources.length import usual_step
from mjpeg_restore.sources.timing import Window
from mjpeg_restore.sources.tracks import time_base


class SoundTrack:
    """A track of sound on the clock of the pictures: where that restarts, the sound moves by the same amount.

    Attributes:
        over: True once its packets are beyond the end of the window.
    """

    def __init__(self, track: AudioTrack, pictures: Clock[Any], pictures_base: Fraction) -> None:
        """Take packets for `track`; the ticks of `pictures` are `pictures_base` seconds."""
        self.over = False
        self.stream_index = track.stream.index
        self._track = track
        own = time_base(track.stream)
        self._ratio = pictures_base, own
        self._second = round(1 / own)
        self._companion = Companion(pictures, pictures_base, own)
        self._clock: Clock[av.Packet[Stream]] | None = None

    def take(self, packet: av.Packet[Stream], window: Window) -> None:
        """Hand a packet on once its time is known, as far as `window`, in ticks of the pictures, holds it."""
        if not packet.size:
            return
        if self._clock is None:
            self._clock = Clock(packet.duration or usual_step(self._track.stream), self._second, self._companion)
        self._keep(self._clock.feed(packet, stamp_of(packet)), window)

    def flush(self, window: Window) -> None:
        """Hand on the rest."""
        if self._clock is not None:
            self._keep(self._clock.flush(), window)

    def _keep(self, timed: Iterable[tuple[av.Packet[Stream], int]], window: Window) -> None:
        window = window.rescaled(*self._ratio)
        for packet, time in timed:
            delay = 0 if packet.pts is None or packet.dts is None else packet.dts - packet.pts
            packet.pts, packet.dts = time, time + delay
            self.over = self.over or window.over(time)
            self._track.keep(packet, window)


def stamp_of(packet: av.Packet[Stream]) -> int | None:
    """When a packet is shown or heard, in its ticks; None where it does not say."""
    # Some AVI files state only the dts; for a picture that needs no other one they are equal.
    return packet.pts if packet.pts is not None else packet.dts
