"""How long a recording is by its container's account, and whether all of it is there."""

from __future__ import annotations

from fractions import Fraction
from math import inf

import av
from av.container import InputContainer
from av.stream import Stream
from av.video.stream import VideoStream

from mjpeg_restore.sources.avi import ChunkCount, chunks_of
from mjpeg_restore.sources.probe import Readable
from mjpeg_restore.sources.tracks import stated_duration, time_base

_SLACK = Fraction(1, 2)
"""Seconds by which a track may fall short of the length that its container states; more is a truncation."""


class Length:
    """Compares what was read with what the container states."""

    def __init__(
        self, container: InputContainer, track: VideoStream, target: str | Readable, counted: ChunkCount | None
    ) -> None:
        """Begin before the first packet is read.

        Args:
            container: what is read.
            track: its video track.
            target: what the container was opened with.
            counted: where the target cannot be read twice, the chunks that pass by.
        """
        self.origin = Fraction(container.start_time or 0, av.time_base)
        """When the recording begins, in seconds."""
        self._container = container
        self._track = track
        self._target = target
        self._counted = counted
        self._ticks: dict[int, int] = {}
        self._units: dict[int, Fraction] = {}
        self._reached: dict[int, Fraction] = {}
        # Without an index FFmpeg knows the first packet at most.
        ticks = [entry.timestamp for entry in track.index_entries if entry.size] if self._is_avi else []
        self._last_tick = ticks[-1] if len(ticks) > 1 else None

    @property
    def _is_avi(self) -> bool:
        return self._container.format.name == "avi"

    @property
    def read(self) -> Fraction:
        """Seconds that have been read of the track that goes furthest."""
        tracks = {*self._ticks, *self._reached}
        return max(map(self._end, tracks), default=self.origin) - self.origin

    def see(self, packet: av.Packet[Stream]) -> None:
        """Take note of a packet's end."""
        if not packet.size or packet.pts is None:
            return
        track, ticks = packet.stream_index, packet.pts + (packet.duration or 0)
        if ticks > self._ticks.get(track, ticks - 1):  # in whole numbers, for every packet passes here
            self._ticks[track] = ticks
            self._units[track] = packet.time_base

    def reach(self, track: int, end: Fraction) -> None:
        """Take note that a track goes on until `end`, in seconds."""
        self._reached[track] = max(end, self._reached.get(track, end))

    def _end(self, track: int) -> Fraction:
        """Seconds up to which a track goes on, by its packets and what else was reached."""
        seen = self._ticks[track] * self._units[track] if track in self._ticks else self.origin
        return max(seen, self._reached.get(track, seen))

    def shown(self, pts: int | None, duration: int) -> int:
        """The ticks for which a picture is shown according to the container; 0 where the container does not state it.

        Args:
            pts: of the picture's packet, in ticks.
            duration: of the packet, in ticks; 0 if unknown.
        """
        end = self._track.duration
        if self._last_tick is not None and pts == self._last_tick and end is not None:
            held = min(end, self._chunks()) if end - self._last_tick > 1 else end  # what follows are empty chunks
            return max(held - self._last_tick, 0)
        return duration

    def missing(self) -> Fraction | None:
        """The length that the container states in seconds, where it holds less; None where it is whole."""
        length = stated_duration(self._container, self._track)
        if length is None:
            return None
        own = self._track.duration is not None
        end = self._end(self._track.index) if own else self.origin + self.read
        if length - (end - self.origin) <= _SLACK or end > self._last_in_index():
            return None
        if self._is_avi:
            self.reach(self._track.index, self._chunks() * time_base(self._track))
            end = self._end(self._track.index)
        return length if length - (end - self.origin) > _SLACK else None

    def _last_in_index(self) -> Fraction | float:
        """When the last picture of a MOV or MP4 begins, which lists each; edits may state more time than there is."""
        entries = self._track.index_entries
        listed = self._container.format.name.startswith("mov") and len(entries) > 0
        return entries[-1].timestamp * time_base(self._track) if listed else inf

    def _chunks(self) -> int:
        """How many chunks an AVI holds of the track, empty ones too."""
        try:
            return (self._counted or chunks_of(self._target)).of(self._track.index)
        except OSError:
            return 0


def usual_step(stream: Stream) -> int:
    """Ticks from one packet to the next, as far as that is known before reading: a second at most."""
    if isinstance(stream, VideoStream):
        rate = Fraction(stream.average_rate or stream.guessed_rate or 25)
    else:
        rate = Fraction(50)
    return max(round(min(1 / rate, 1) / time_base(stream)), 1) if rate > 0 else 1
