"""AVI, MOV, MKV, MP4 and whatever else holds a Motion-JPEG track: its packets, never decoded frames."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from typing import BinaryIO

import av
import av.error
from av.stream import Stream
from av.video.stream import VideoStream

from mjpeg_restore.errors import JpegError, SourceError
from mjpeg_restore.frames import Packet
from mjpeg_restore.jpeg import SMALLEST, HeaderWalk, split
from mjpeg_restore.sources.base import Closing
from mjpeg_restore.sources.probe import Readable
from mjpeg_restore.sources.reading import Stoppable
from mjpeg_restore.sources.timing import Window, nothing_left
from mjpeg_restore.sources.tracks import (
    PIPED_HINT,
    audio_track,
    describe,
    duration_of,
    is_piped,
    mjpeg_track,
    open_container,
    stated_duration,
    time_base,
)

_MARGIN = 1
"""Seconds before the start that are read too: sound may lie in front of the pictures it goes with."""
_SLACK = Fraction(1, 2)
"""Seconds by which a track may fall short of the length that its container states; more is a truncation."""

_LOOKED_AT = 8
"""Packets, until one is found that holds a picture."""


class ContainerSource(Closing):
    """A Motion-JPEG track, its packets bit for bit as the container holds them.

    No bitstream filter touches them (quirk H2). Time stamps are the container's own; a variable frame rate
    stays variable.
    """

    def __init__(
        self,
        target: str | Readable,
        name: str,
        start: Fraction | None = None,
        duration: Fraction | None = None,
        *,
        owned: BinaryIO | None = None,
    ) -> None:
        """Open a container and find its track.

        Args:
            target: path, or a stream of bytes, which need not seek.
            name: how messages call it.
            start: seconds to pass over, counted from the beginning of the container.
            duration: seconds to keep.
            owned: a file to close with the source.

        Raises:
            NotMjpeg: there is no video track, or it is not Motion-JPEG.
            SourceError: the container cannot be opened.
        """
        self.truncated: str | None = None
        self._owned = owned
        self._target = target
        self._piped = is_piped(target)
        self._container = open_container(target, name)
        try:
            self._track = mjpeg_track(self._container, name)
        except BaseException:
            self._container.close()
            raise
        self._time_base = time_base(self._track)
        self._origin = Fraction(self._container.start_time or 0, av.time_base)
        self._window = Window.cut(self._time_base, start, duration, round(self._origin / self._time_base))
        self.audio = audio_track(self._container)
        self.info = describe(self._container, self._track, name, start, duration)

    def __iter__(self) -> Iterator[Packet]:
        """Yield the pictures; see `Source`."""
        self._seek()
        stamps = _Stamps()
        walk = HeaderWalk(self.info.height, self.info.codec_tag)
        index = 0
        for packet in self._video_packets():
            data = bytes(packet)
            # No damaged picture: cameras send remains (S10), and by an empty packet AVI says "the one before again".
            if len(data) < SMALLEST and not any(split(data)):
                continue
            pts = stamps.next(packet)
            if self._window.holds(pts):
                offset, tables = max(packet.pos or 0, 0), b"" if index else walk.tables
                yield Packet(data, index, pts - self._window.shift, self._time_base, offset, tables=tables)
                index += 1
            else:
                walk.pass_over(data)
        if not index and not self.stopped:
            raise self._nothing()

    def _nothing(self) -> SourceError:
        if self._piped and self.truncated:
            return SourceError(f"cannot read {self.info.name}: {PIPED_HINT}")
        if self._window.first is not None:
            return nothing_left(self.info.name, duration_of(self._container, self._track))
        return SourceError(f"{self.info.name} has a Motion-JPEG track without a single picture")

    def _seek(self) -> None:
        """Go near the first packet that is kept, or where pictures need tables of others (Q5), to the beginning."""
        target = 0 if self._window.first is None else self._window.first - int(_MARGIN / self._time_base)
        if target <= 0 or self._piped:
            return
        try:
            self._container.seek(target, stream=self._track)
            if self._stand_alone(islice(self._container.demux(self._track), _LOOKED_AT)):
                self._container.seek(target, stream=self._track)
                return
        except (av.error.FFmpegError, OSError):
            pass  # a file without an index
        with suppress(av.error.FFmpegError, OSError):
            self._container.seek(self._container.start_time or 0)  # and read through

    def _stand_alone(self, packets: Iterable[av.Packet[VideoStream]]) -> bool:
        """Whether the first that holds a picture has its tables."""
        walk = HeaderWalk(self.info.height, self.info.codec_tag)
        for packet in packets:
            with suppress(JpegError):
                return not walk(bytes(packet)).pictures[0].header.missing_tables
        return False

    def _video_packets(self) -> Iterator[av.Packet[Stream]]:
        """Packets of the track up to the end of the window; those of the sound go where they belong."""
        sound = self.audio
        sound_window = self._window.rescaled(self._time_base, time_base(sound.stream)) if sound else Window()
        video_over, sound_over = False, sound is None or not sound.enabled
        for packet in self._packets():
            pts = packet.pts if packet.pts is not None else packet.dts
            if packet.stream_index == self._track.index:
                video_over = video_over or (pts is not None and self._window.over(pts))
                if not video_over:
                    yield packet
            elif sound is not None and packet.stream_index == sound.stream.index:
                sound_over = sound_over or (pts is not None and sound_window.over(pts))
                sound.keep(packet, sound_window)
            if video_over and sound_over:
                return

    def _packets(self) -> Iterator[av.Packet[Stream]]:
        """All packets of the container; a broken one ends early, and `truncated` says so."""
        ends: dict[int, Fraction] = {}
        try:
            for packet in self._container.demux():
                if self.stopped:
                    return
                if packet.size and packet.pts is not None:
                    end = (packet.pts + (packet.duration or 0)) * packet.time_base - self._origin
                    ends[packet.stream_index] = max(end, ends.get(packet.stream_index, end))
                if packet.is_corrupt and packet.stream_index == self._track.index:
                    self.truncated = f"{self.info.name} ends in the middle of a picture"
                yield packet
        except (av.error.FFmpegError, OSError) as error:
            reason = error.strerror or error
            if self.stopped:
                return
            self.truncated = f"{self.info.name} breaks off after {_seconds(ends)} s: {reason}"
            return
        length = stated_duration(self._container, self._track)
        own = self._track.duration is not None
        end = ends.get(self._track.index, Fraction(0)) if own else max(ends.values(), default=Fraction(0))
        if self.truncated is None and length is not None and length - end > _SLACK:
            self.truncated = f"{self.info.name} ends after {_seconds(ends)} s of {float(length):.2f} s"

    def stop(self) -> None:
        """End the iteration, even while it waits for a pipe; from any thread."""
        self.stopped = True
        if isinstance(self._target, Stoppable):
            self._target.stop()

    def close(self) -> None:
        """Close the container, and the file if this source opened it."""
        self._container.close()
        if self._owned is not None:
            self._owned.close()


@dataclass(slots=True)
class _Stamps:
    """Strictly increasing time stamps, as exact as the packets have them."""

    last: int | None = None
    step: int = 1

    def next(self, packet: av.Packet[Stream]) -> int:
        # Some AVI files state only the dts; for a picture that needs no other one they are equal.
        pts = packet.pts if packet.pts is not None else packet.dts
        if pts is None:
            pts = 0 if self.last is None else self.last + self.step
        if self.last is not None:
            pts = max(pts, self.last + 1)
        self.last, self.step = pts, packet.duration or self.step
        return pts


def _seconds(ends: dict[int, Fraction]) -> str:
    return f"{float(max(ends.values(), default=Fraction(0))):.2f}"
