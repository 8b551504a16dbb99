"""Frame rates, time bases and time stamps of outputs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from math import floor

from mjpeg_restore.errors import SinkError
from mjpeg_restore.frames import Picture, SoundPacket
from mjpeg_restore.sinks.silence import TOLERANCE

_MAX_RATE = 240
"""Pictures a second. A finer time base is a clock's, not the duration of a picture."""
_DEFAULT_RATE = Fraction(25)

_TICK = Fraction(1, 90_000)
"""Seconds per unit of MPEG-TS, and of H.264 in RTP."""

_MPEG_TS_PERIOD = 1 << 33
"""Ticks after which times in MPEG-TS begin at 0 again: 26.5 hours."""

_MATROSKA_TICK = Fraction(1, 1000)
"""Seconds per unit of MKV and WebM."""

_MIN_TIMESCALE = 10_000
"""Units a second, of MP4 and MOV."""

_MAX_AVI_STEP = 50_000
"""Frames between pictures of an AVI: FFmpeg fills up to 60,000 with empty chunks."""
_MAX_MOV_STEP = 1 << 30
"""Units between pictures of MP4 and MOV: FFmpeg writes a duration over 31 bits as 1."""
_MAX_REORDERED_STEP = (1 << 31) // 18 - 1
"""The same where pictures are reordered: up to 18 steps pass from decoding to display, which has 31 bits, too, as
encoders have up to 16 B-frames between two others and decode two pictures ahead."""
_MAX_REPEATS = 50
"""Repetitions of a picture that fill a pause: in AVI enough for a day at 25 pictures a second, which takes 60 MB."""
_MAX_REORDERED_REPEATS = 450
"""The same where pictures are reordered, for a pause of the same length."""
_MAX_LIVE_REPEATS = 5_000
"""The same in a live recording, whose times are no mistakes: at 90,000 units a second enough for 600 days."""


def guess_rate(time_base: Fraction) -> Fraction:
    """Pictures a second, where only the time base is known."""
    return 1 / time_base if 1 <= 1 / time_base <= _MAX_RATE else _DEFAULT_RATE


def container_time_base(format_name: str, time_base: Fraction, rate: Fraction) -> Fraction:
    """Seconds per unit of an output's time stamps: those of the pictures, unless the container has its own."""
    match format_name:
        case "avi":
            return avi_time_base(time_base, rate)
        case "mpegts" | "hls" | "rtp":
            return _TICK
        case "matroska" | "webm":
            return max(time_base, _MATROSKA_TICK)  # the muxer would round finer ones, and times that differ be equal
        case _:
            return time_base


def avi_time_base(time_base: Fraction, rate: Fraction) -> Fraction:
    """Seconds per frame of an AVI, whose time stamps are frame numbers.

    That is the duration of a picture at the nominal `rate`: at the pictures' own time base, empty frames might fill the
    file. The exception is a `time_base` that counts pictures where a nominal duration is not a whole number of its
    units: the input is an AVI with dropped pictures, and its own time base keeps their times exact.
    """
    units = 1 / (rate * time_base)
    return time_base if units > 1 and units.denominator > 1 and 1 / time_base <= _MAX_RATE else 1 / rate


def start_time(format_name: str, first: Picture, rate: Fraction, sound: Sequence[SoundPacket]) -> Fraction:
    """What is subtracted from the times of an output's pictures and sound, in seconds; 0 in most containers.

    An AVI begins at 0: with the first picture, or a whole number of frames earlier if sound starts before it, of which
    at most `TOLERANCE` is lost: mostly the priming of an encoder, for which no frame is worth adding. MP4 and
    MOV, which would not show what comes before 0, and MKV and WebM, which have no times before 0, begin at 0 if the
    first picture comes before that. RTP begins at 0 with the first picture of each connection: FFmpeg's muxer takes the
    moment in which it is opened for 0 in its sender reports.

    Args:
        format_name: FFmpeg's name of the container.
        first: the first picture.
        rate: pictures a second.
        sound: the packets before it.
    """
    if format_name in ("mp4", "mov", "matroska", "webm"):
        return min(first.time, Fraction(0))
    if format_name == "rtp":
        return first.time
    if format_name != "avi":
        return Fraction(0)
    starts = [packet.time for packet in sound if packet.time is not None]
    early = max(first.time - min(starts, default=first.time), Fraction(0))
    lead = floor(early * rate)
    if early - lead / rate > TOLERANCE:
        lead += 1
    return first.time - (lead if lead <= _MAX_REPEATS * _MAX_AVI_STEP else 0) / rate


def timescale_options(format_name: str, time_base: Fraction) -> dict[str, str]:
    """Muxer options of MP4 and MOV that make time stamps and edit lists exact; FFmpeg's edit lists default to 1 ms."""
    if format_name not in ("mp4", "mov"):
        return {}
    scale = str(_timescale(time_base))
    return {"video_track_timescale": scale, "movie_timescale": scale}


def max_step(format_name: str, time_base: Fraction, *, reorders: bool) -> int | None:
    """Most ticks between two pictures that a container can store; None: unlimited.

    Args:
        format_name: FFmpeg's name of the container.
        time_base: seconds per tick.
        reorders: pictures may be coded in another order than they are shown in.
    """
    match format_name:
        case "avi":
            return _MAX_AVI_STEP
        case "mp4" | "mov":
            units = _MAX_REORDERED_STEP if reorders else _MAX_MOV_STEP
            return max(floor(units / (_timescale(time_base) * time_base)), 1)
        case _:
            return None


def period(format_name: str) -> int | None:
    """Ticks after which a container's times begin at 0 again; None: never."""
    return _MPEG_TS_PERIOD if format_name == "mpegts" else None


def max_repeats(*, live: bool, reorders: bool) -> int:
    """Most repetitions of a picture that fill a pause, for a live recording and an encoder that reorders."""
    if live:
        return _MAX_LIVE_REPEATS
    return _MAX_REORDERED_REPEATS if reorders else _MAX_REPEATS


def _timescale(time_base: Fraction) -> int:
    """Units a second, such that a tick is a whole number of units."""
    scale = time_base.denominator
    while scale < _MIN_TIMESCALE:
        scale *= 2
    return scale


class Timeline:
    """The time stamps of an output's pictures, in ticks that strictly rise.

    Attributes:
        time_base: seconds per tick.
        rate: nominal pictures a second.
        origin: seconds that are subtracted from every picture's time.
        duration: ticks for which the latest picture is shown, as far as known.
        max_shift: seconds; the largest difference between a picture's time and its time stamp.
        wrapped: whether the container's times have begun at 0 again.
    """

    def __init__(
        self,
        time_base: Fraction,
        rate: Fraction,
        origin: Fraction = Fraction(0),
        max_step: int | None = None,
        *,
        from_zero: bool = False,
        max_repeats: int = _MAX_REPEATS,
        period: int | None = None,
    ) -> None:
        """Start before the first picture.

        Args:
            time_base: seconds per tick.
            rate: nominal pictures a second.
            origin: seconds that are subtracted from every picture's time.
            max_step: most ticks between two pictures; None: unlimited.
            from_zero: the container shows the first picture from 0 on, whatever its time.
            max_repeats: most repetitions of a picture in one pause.
            period: ticks after which the container's times begin at 0 again; None: never.
        """
        self._max_repeats = max_repeats
        self._max_step = max_step
        self._from_zero = from_zero
        self._period = period
        self.time_base = time_base
        self.rate = rate
        self.origin = origin
        self.duration = max(round(1 / rate / time_base), 1)
        self.max_shift = Fraction(0)
        self.wrapped = False
        self._last: int | None = None
        self._step: int | None = None

    def next(self, picture: Picture) -> int:
        """The next picture's time stamp: its own, or one tick after the last one if that is later."""
        pts = self._exact(picture)
        if self._last is not None:
            pts = max(pts, self._last + 1)
            # In case this picture is the last: the shorter of the latest two steps, as the longer one may be a pause.
            step = pts - self._last
            if self._period:
                self.wrapped |= pts // self._period > self._last // self._period
            self.duration, self._step = min(step, self._step or step), step
        stated = picture.duration
        if stated and picture.time_base != self.time_base:
            stated = round(stated * picture.time_base / self.time_base)
        self.duration = max(self.duration, stated)
        self.duration = min(self.duration, self._max_step or self.duration)
        self._last = pts
        if picture.time_base != self.time_base:
            self.max_shift = max(self.max_shift, abs(pts * self.time_base + self.origin - picture.time))
        return pts

    @property
    def memory(self) -> tuple[int | None, int | None]:
        """What the next time stamp depends on: the last one, and the step before it, in ticks."""
        return self._last, self._step

    @property
    def shown_until(self) -> int | None:
        """The tick until which the latest picture is shown, if that is longer than the latest step; else None."""
        if self._last is None or self.duration <= (self._step or 0):
            return None
        return self._last + self.duration

    def repeats(self, picture: Picture) -> Iterator[int]:
        """Time stamps at which to repeat the latest picture, to bridge a pause before this one.

        Raises:
            SinkError: the pause needs too many repetitions.
        """
        if self._max_step is None:
            return
        if self._last is None:
            if not self._from_zero or self._exact(picture) <= self._max_step:
                return
            self._last = 0
            yield 0
        gap = self._exact(picture) - self._last
        if gap > self._max_repeats * self._max_step:
            raise SinkError(
                f"picture {picture.index} comes {float(gap * self.time_base):.0f} s after the one before, a pause that "
                "this container does not hold: .mkv does"
            )
        for _ in range((gap - 1) // self._max_step):
            self._last += self._max_step
            yield self._last

    def _exact(self, picture: Picture) -> int:
        """The picture's own time in ticks, rounded."""
        if picture.time_base == self.time_base and not self.origin:
            return picture.pts
        return round((picture.time - self.origin) / self.time_base)
