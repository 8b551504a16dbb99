"""The frame rate of an output where nobody states it, and the times of its pictures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from math import floor

from mjpeg_restore.errors import SinkError
from mjpeg_restore.frames import Picture
from mjpeg_restore.sinks.audio import AudioSource

_HIGHEST = 240
"""A time base finer than this many units a second counts time, not pictures."""
_USUAL = Fraction(25)

_COARSEST_TIMESCALE = 10_000

_LONGEST_IN_AVI = 50_000
"""Frames from one picture to the next: FFmpeg fills up to 60,000 with empty chunks."""
_LONGEST_IN_MOV = 1 << 30
"""Units of the track: FFmpeg writes what is longer than 31 bits as 1, and a picture's delay may be two steps."""
_MOST_REPEATS = 50
"""Times that a picture is coded once more to fill a pause: in AVI for a day at 25 a second, which takes 60 MB."""


def plausible_rate(time_base: Fraction) -> Fraction:
    """Pictures a second, where nothing but the time base is known."""
    return 1 / time_base if 1 <= 1 / time_base <= _HIGHEST else _USUAL


def avi_unit(time_base: Fraction, rate: Fraction) -> Fraction:
    """Seconds of a frame of an AVI, which counts time in them.

    With the unit of the pictures' times the file might be filled with empty frames: it is that of the nominal `rate`.
    But where units are frames, and the rate no whole number of them, pictures were dropped, as another AVI shows it:
    their times stay exact then.
    """
    units = 1 / (rate * time_base)
    return time_base if units > 1 and units.denominator > 1 and 1 / time_base <= _HIGHEST else 1 / rate


def beginning(first: Picture, rate: Fraction, audio: Sequence[AudioSource]) -> Fraction:
    """When an output without times begins, in seconds: whole frames before the first picture, where sound is."""
    packets = [track.packets[0] for track in audio if track.packets]
    heard = [packet.pts * packet.time_base for packet in packets if packet.pts is not None]
    lead = max(floor((first.time - min(heard, default=first.time)) * rate), 0)
    return first.time - (lead if lead <= _MOST_REPEATS * _LONGEST_IN_AVI else 0) / rate


def time_options(format_name: str, time_base: Fraction) -> dict[str, str]:
    """Make MP4 and MOV count in a multiple of our unit: samples and edit list, which else rounds to 1 ms."""
    if format_name not in ("mp4", "mov"):
        return {}
    scale = str(_timescale(time_base))
    return {"video_track_timescale": scale, "movie_timescale": scale}


def longest_step(format_name: str, time_base: Fraction) -> int | None:
    """Ticks from one picture to the next that a file can hold; None: any number."""
    match format_name:
        case "avi":
            return _LONGEST_IN_AVI
        case "mp4" | "mov":
            return max(floor(_LONGEST_IN_MOV / (_timescale(time_base) * time_base)), 1)
        case _:
            return None


def _timescale(time_base: Fraction) -> int:
    scale = time_base.denominator
    while scale < _COARSEST_TIMESCALE:
        scale *= 2
    return scale


class Timeline:
    """The times of an output's pictures, in ticks that rise.

    Attributes:
        time_base: seconds per tick.
        rate: nominal pictures a second.
        origin: what is taken off every time, in seconds.
        duration: ticks for which the latest picture is shown, as far as that is known.
        moved: seconds by which a picture was moved at most.
    """

    def __init__(
        self,
        time_base: Fraction,
        rate: Fraction,
        origin: Fraction = Fraction(0),
        longest: int | None = None,
        *,
        from_zero: bool = False,
    ) -> None:
        """Begin before the first picture.

        Args:
            time_base: seconds per tick.
            rate: nominal pictures a second.
            origin: what is taken off every time, in seconds.
            longest: ticks for which a picture can be shown; None: any number.
            from_zero: the first one is shown from 0 on, whatever its time.
        """
        self._longest = longest
        self._from_zero = from_zero
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
        stated = picture.duration
        if stated and picture.time_base != self.time_base:
            stated = round(stated * picture.time_base / self.time_base)
        self.duration = max(self.duration, stated)
        self.duration = min(self.duration, self._longest or self.duration)
        self._last = pts
        if picture.time_base != self.time_base:
            self.moved = max(self.moved, abs(pts * self.time_base + self.origin - picture.time))
        return pts

    @property
    def held_until(self) -> int | None:
        """The tick up to which the latest picture is shown, where that is longer than a usual step; else None."""
        if self._last is None or self.duration <= (self._step or 0):
            return None
        return self._last + self.duration

    def repeats(self, picture: Picture) -> Iterator[int]:
        """The times at which the latest picture is to be coded once more, so that it is shown until this one comes.

        Raises:
            SinkError: there would be too many.
        """
        if self._longest is None:
            return
        if self._last is None:
            if not self._from_zero or self._wanted(picture) <= self._longest:
                return
            self._last = 0
            yield 0
        gap = self._wanted(picture) - self._last
        if gap > _MOST_REPEATS * self._longest:
            raise SinkError(
                f"picture {picture.index} comes {float(gap * self.time_base):.0f} s after the one before, a pause that "
                "this container does not hold: .mkv does"
            )
        for _ in range((gap - 1) // self._longest):
            self._last += self._longest
            yield self._last

    def _wanted(self, picture: Picture) -> int:
        if picture.time_base == self.time_base and not self.origin:
            return picture.pts
        return round((picture.time - self.origin) / self.time_base)
