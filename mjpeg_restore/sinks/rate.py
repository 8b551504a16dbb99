"""The frame rate of an output where nobody states it, and the times of its pictures."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import floor

from mjpeg_restore.frames import Picture
from mjpeg_restore.sinks.audio import AudioSource

_HIGHEST = 240
"""A time base finer than this many units a second counts time, not pictures."""
_USUAL = Fraction(25)

_COARSEST_TIMESCALE = 10_000


def plausible_rate(time_base: Fraction) -> Fraction:
    """Pictures a second, where nothing but the time base is known."""
    return 1 / time_base if 1 <= 1 / time_base <= _HIGHEST else _USUAL


def beginning(first: Picture, rate: Fraction, audio: Sequence[AudioSource]) -> Fraction:
    """When an output without times begins, in seconds: whole frames before the first picture, where sound is."""
    packets = [track.packets[0] for track in audio if track.packets]
    heard = [packet.pts * packet.time_base for packet in packets if packet.pts is not None]
    lead = floor((first.time - min(heard, default=first.time)) * rate)
    return first.time - max(lead, 0) / rate


def time_options(format_name: str, time_base: Fraction) -> dict[str, str]:
    """Make MP4 and MOV count in a multiple of our unit: samples and edit list, which else rounds to 1 ms."""
    if format_name not in ("mp4", "mov"):
        return {}
    scale = time_base.denominator
    while scale < _COARSEST_TIMESCALE:
        scale *= 2
    return {"video_track_timescale": str(scale), "movie_timescale": str(scale)}


class Timeline:
    """The times of an output's pictures, in ticks that rise.

    Attributes:
        time_base: seconds per tick.
        rate: nominal pictures a second.
        origin: what is taken off every time, in seconds.
        duration: ticks for which the latest picture is shown, as far as that is known.
        moved: seconds by which a picture was moved at most.
    """

    def __init__(self, time_base: Fraction, rate: Fraction, origin: Fraction = Fraction(0)) -> None:
        self.time_base = time_base
        self.rate = rate
        self.origin = origin
        self.duration = max(round(1 / rate / time_base), 1)
        self.moved = Fraction(0)
        self._last: int | None = None
        self._step: int | None = None

    def next(self, picture: Picture) -> int:
        """Give the next picture its time: its own, or one tick after the one before."""
        pts = self._wanted(picture)
        if self._last is not None:
            pts = max(pts, self._last + 1)
            # The best guess of how long this one will last, should it be the last: as long as the one before, or the
            # one before that, for after a pause all goes on as it was.
            step = pts - self._last
            self.duration, self._step = min(step, self._step or step), step
        self.duration = max(self.duration, round(picture.duration * picture.time_base / self.time_base))
        self._last = pts
        if picture.time_base != self.time_base:
            self.moved = max(self.moved, abs(pts * self.time_base + self.origin - picture.time))
        return pts

    def after(self, ticks: int) -> int:
        """A time so many ticks after the latest."""
        self._last = (self._last or 0) + ticks
        return self._last

    def gap(self, picture: Picture) -> int:
        """Ticks from the latest picture to this one."""
        return 0 if self._last is None else self._wanted(picture) - self._last

    def _wanted(self, picture: Picture) -> int:
        if picture.time_base == self.time_base and not self.origin:
            return picture.pts
        return round((picture.time - self.origin) / self.time_base)
