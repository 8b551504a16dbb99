"""Truncation of containers: compares the end of the packets with the duration that the header states."""

from __future__ import annotations

from fractions import Fraction
from math import inf

import av
from av.container import InputContainer
from av.stream import Stream
from av.video.stream import VideoStream

from mjpeg_restore.sources.avi import ChunkCounter, count_chunks
from mjpeg_restore.sources.probe import ByteStream
from mjpeg_restore.sources.tracks import recorded_duration, time_base

_TOLERANCE = Fraction(1, 2)
"""Seconds by which a complete track may be shorter than the stated duration."""


class LengthCheck:
    """Tracks how far a container has been read, and tells whether it was truncated."""

    def __init__(
        self, container: InputContainer, track: VideoStream, target: str | ByteStream, chunks: ChunkCounter | None
    ) -> None:
        """Begin before the first packet is read.

        Args:
            container: the opened container.
            track: its video track.
            target: the target of `open_container`.
            chunks: counts the chunks of a pipe as it is read; None: the target can be read a second time.
        """
        self.origin = Fraction(container.start_time or 0, av.time_base)
        """When the recording begins, in seconds."""
        self._container = container
        self._track = track
        self._target = target
        self._chunks = chunks
        self._packet_ends: dict[int, int] = {}
        self._time_bases: dict[int, Fraction] = {}
        self._other_ends: dict[int, Fraction] = {}
        # Without an index, FFmpeg lists one entry at most.
        ticks = [entry.timestamp for entry in track.index_entries if entry.size] if self._is_avi else []
        self._last_tick = ticks[-1] if len(ticks) > 1 else None

    @property
    def _is_avi(self) -> bool:
        return self._container.format.name == "avi"

    @property
    def seconds_read(self) -> Fraction:
        """Seconds that have been read of the longest track."""
        tracks = {*self._packet_ends, *self._other_ends}
        return max(map(self._end, tracks), default=self.origin) - self.origin

    def add_packet(self, packet: av.Packet[Stream]) -> None:
        """Record where a packet ends."""
        if not packet.size or packet.pts is None:
            return
        track, ticks = packet.stream_index, packet.pts + (packet.duration or 0)
        if ticks > self._packet_ends.get(track, ticks - 1):  # in integers, because this runs for every packet
            self._packet_ends[track] = ticks
            self._time_bases[track] = packet.time_base

    def add_end(self, track: int, end: Fraction) -> None:
        """Record that a track extends to `end`, in seconds."""
        self._other_ends[track] = max(end, self._other_ends.get(track, end))

    def _end(self, track: int) -> Fraction:
        """The end of a track in seconds, as far as it is known."""
        read = self._packet_ends[track] * self._time_bases[track] if track in self._packet_ends else self.origin
        return max(read, self._other_ends.get(track, read))

    def display_duration(self, pts: int | None, duration: int) -> int:
        """Ticks for which the container shows a picture; 0 if it does not say.

        Args:
            pts: of the picture's packet, in ticks.
            duration: of the packet, in ticks; 0 if unknown.
        """
        end = self._track.duration
        if self._last_tick is not None and pts == self._last_tick and end is not None:
            # Empty chunks after the last picture prolong it.
            shown_until = min(end, self._count_chunks()) if end - self._last_tick > 1 else end
            return max(shown_until - self._last_tick, 0)
        return duration

    def stated_if_truncated(self) -> Fraction | None:
        """The stated duration in seconds if the container ends before it; None if it is complete."""
        length = recorded_duration(self._container, self._track)
        if length is None:
            return None
        own = self._track.duration is not None
        end = self._end(self._track.index) if own else self.origin + self.seconds_read
        if length - (end - self.origin) <= _TOLERANCE or end > self._last_in_index():
            return None
        if self._is_avi:
            self.add_end(self._track.index, self._count_chunks() * time_base(self._track))
            end = self._end(self._track.index)
        return length if length - (end - self.origin) > _TOLERANCE else None

    def _last_in_index(self) -> Fraction | float:
        """When the last picture in the index of a MOV or MP4 begins; edit lists may state a longer duration."""
        entries = self._track.index_entries
        indexed = self._container.format.name.startswith("mov") and len(entries) > 0
        return entries[-1].timestamp * time_base(self._track) if indexed else inf

    def _count_chunks(self) -> int:
        """The number of the track's chunks in an AVI, empty ones included."""
        try:
            return (self._chunks or count_chunks(self._target)).count(self._track.index)
        except OSError:
            return 0


def usual_step(stream: Stream) -> int:
    """Ticks from one packet to the next by the nominal rate; one second at most."""
    if isinstance(stream, VideoStream):
        rate = Fraction(stream.average_rate or stream.guessed_rate or 25)
    else:
        rate = Fraction(50)
    return max(round(min(1 / rate, 1) / time_base(stream)), 1) if rate > 0 else 1
