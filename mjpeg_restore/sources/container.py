"""AVI, MOV, MKV, MP4 and whatever else holds a Motion-JPEG track: its packets, never decoded frames."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from fractions import Fraction
from itertools import islice
from typing import BinaryIO

import av
import av.error
from av.stream import Stream
from av.video.stream import VideoStream

from mjpeg_restore.errors import JpegError, SourceError
from mjpeg_restore.frames import Packet
from mjpeg_restore.jpeg import HeaderWalk, is_fragment, is_tables_only
from mjpeg_restore.sources.avi import ChunkCount, Counted
from mjpeg_restore.sources.base import BaseSource
from mjpeg_restore.sources.choice import SoundChoice, choose_sound, choose_video, list_tracks
from mjpeg_restore.sources.clock import Clock, clock_remark
from mjpeg_restore.sources.fieldpairs import Coded, FieldPairs, field_pairs, unpaired_remark
from mjpeg_restore.sources.length import Length, usual_step
from mjpeg_restore.sources.lookahead import Lookahead
from mjpeg_restore.sources.presentation import rotation
from mjpeg_restore.sources.probe import Readable
from mjpeg_restore.sources.reading import Stoppable
from mjpeg_restore.sources.soundtrack import SoundTrack, stamp_of
from mjpeg_restore.sources.timing import Window, nothing_left
from mjpeg_restore.sources.tracks import (
    PIPED_HINT,
    Recorded,
    describe,
    duration_of,
    is_piped,
    open_container,
    stated_size,
    time_base,
)

_MARGIN = 1
"""Seconds before the start that are read too: sound may lie in front of the pictures it goes with."""
_NEAR = 1 << 26
"""Bytes that are rather read through than sought in, where each picture has a stamp of its own: what is wrong with the
stamps shows only to who reads them all, and so much is read in no time."""
_INDEXED = ("avi", "mov")
"""Formats that make their stamps of steps, which are never negative."""

_LOOKED_AT = 8
"""Packets, until one is found that holds a picture."""


class ContainerSource(BaseSource):
    """A Motion-JPEG track, its packets bit for bit as the container holds them.

    No bitstream filter touches them (quirk H2). Time stamps are the container's own; a variable frame rate
    stays variable. What no recording can mean, such as a stamp far ahead or a clock that begins again, is put right as
    `Clock` says, for the sound too. That is no discontinuity of the pictures: they are of one track, which FFmpeg
    decodes as one, and a clock says nothing of tables.

    A packet that the container marks as not to be shown, as an edit list does, leaves its tables alone (Q5).
    """

    def __init__(
        self,
        target: str | Readable,
        name: str,
        start: Fraction | None = None,
        duration: Fraction | None = None,
        *,
        track: int | None = None,
        sound: SoundChoice | None = None,
        owned: BinaryIO | None = None,
    ) -> None:
        """Open a container and find its tracks.

        Args:
            target: path, or a stream of bytes, which need not seek.
            name: how messages call it.
            start: seconds to pass over, counted from the beginning of the container.
            duration: seconds to keep.
            track: which of the Motion-JPEG tracks, from 1; None: the first that is no preview of another.
            sound: which of the tracks of sound, from 1, or "all"; None: the first.
            owned: a file to close with the source.

        Raises:
            NotMjpeg: there is no video track, or it is not Motion-JPEG.
            SourceError: the container cannot be opened, or has no such track.
        """
        self.truncated: str | None = None
        self._owned, self._target = owned, target
        self._piped = is_piped(target)
        chunks = self._open(name)
        try:
            self._track = choose_video(self._container, self._ahead, name, track)
            self.sound = choose_sound(self._container, name, sound)
        except BaseException:
            self._container.close()
            raise
        self._time_base = time_base(self._track)
        self._length = Length(self._container, self._track, target, chunks)
        self._clock: Clock[Coded] = Clock(usual_step(self._track), round(1 / self._time_base))
        self._cut = start, duration
        self._window = self._window_from(self._length.origin)
        self._over = self._read_through = False
        info = describe(self._container, self._track, name, start, duration)
        tracks = list_tracks(self._container, self._track, self.sound)
        turned, remark = rotation(self._track)  # last: it changes the size that the track states
        self.info = replace(info, tracks=tracks, rotation=turned)
        self.remarks = [remark] if remark else []
        self._pairs = self._find_pairs()
        self._unpaired = 0
        if self._pairs is not None:
            self.info = self._pairs.frames_info()

    def _open(self, name: str) -> ChunkCount | None:
        """Open the container, and of a pipe keep its beginning and count the chunks that pass."""
        chunks: ChunkCount | None = None
        self._again = opened = self._target
        if self._piped and not isinstance(self._target, str):
            chunks, self._again = ChunkCount(), Recorded(self._target)
            opened = Counted(self._again, chunks)
        self._container = open_container(opened, name)
        self._ahead = Lookahead(self._container)
        return chunks

    def _find_pairs(self) -> FieldPairs | None:
        index = self._track.index
        pairs = field_pairs(self._ahead.of(index), self.info, lambda: stated_size(self._again, index))
        if isinstance(self._again, Recorded):
            self._again.forget()
        return pairs

    def __iter__(self) -> Iterator[Packet]:
        """Yield the pictures; see `Source`."""
        try:
            yield from self._pictures()
        finally:
            remarks = clock_remark(self._clock, self._time_base), unpaired_remark(self._unpaired, self.info.name)
            self.remarks = [*self.remarks, *filter(None, remarks)]

    def _pictures(self) -> Iterator[Packet]:
        sought = self._seek()
        walk = self._new_walk()
        index = 0
        for coded, pts in self._timed():
            if not sought and not index and pts * self._time_base < self._length.origin:
                self._begin_at(pts * self._time_base)  # the first stamp of all was a wrong one
            walk.remember(coded.tables)
            if self._window.holds(pts):
                self._unpaired += coded.unpaired
                yield self._packet(coded, index, pts, walk.tables)
                index += 1
                walk.forget()
            else:
                self._over = self._window.over(pts)
                walk.pass_over(coded.data)
        if not index and not self.stopped:
            raise self._nothing()

    def _nothing(self) -> SourceError:
        if self._piped and self.truncated:
            return SourceError(f"cannot read {self.info.name}: {PIPED_HINT}")
        if self._window.first is not None:
            return nothing_left(self.info.name, duration_of(self._container, self._track))
        return SourceError(f"{self.info.name} has a Motion-JPEG track without a single picture")

    def _seek(self) -> bool:
        """Go near the first packet that is kept, or where pictures need tables of others (Q5), to the beginning.

        Returns:
            True where it is not the beginning.
        """
        target = 0 if self._window.first is None else self._window.first - int(_MARGIN / self._time_base)
        # Between two fields there is no place to begin: with these, too, all is read.
        if target <= 0 or self._piped or self._pairs is not None:
            return False
        if not self._container.format.name.startswith(_INDEXED) and 0 < self._container.size <= _NEAR:
            return False
        begun = self._new_walk()
        for packet in islice(self._ahead.of(self._track.index), _LOOKED_AT):
            begun.pass_over(bytes(packet))
        try:
            self._container.seek(target, stream=self._track)
            self._ahead.drop()
            if self._stand_alone(islice(self._container.demux(self._track), _LOOKED_AT), begun):
                self._container.seek(target, stream=self._track)
                return True
        except (av.error.FFmpegError, OSError):
            pass  # a file without an index
        with suppress(av.error.FFmpegError, OSError):
            self._container.seek(self._container.start_time or 0)  # and read through
            self._ahead.drop()
        return False

    def _stand_alone(self, packets: Iterable[av.Packet[VideoStream]], begun: HeaderWalk) -> bool:
        """Whether the first that holds a picture has its tables, as those at the beginning of the stream have them."""
        walk = self._new_walk()
        for packet in packets:
            with suppress(JpegError):
                return begun.stands_alone(walk(bytes(packet)).pictures[0].header)
        return False

    def _timed(self) -> Iterator[tuple[Coded, int]]:
        """The pictures that are to be shown, each with its time, in ticks, which rise; fields are joined."""
        timed = self._shown()
        return timed if self._pairs is None else self._pairs.join(timed)

    def _shown(self) -> Iterator[tuple[Coded, int]]:
        """The packets that are to be shown, each with its time."""
        passed = self._new_walk()
        for packet in self._video_packets():
            data = bytes(packet)
            # No damaged picture: cameras send remains (S10), and by an empty packet AVI says "the one before again".
            if packet.is_discard or is_fragment(data) or is_tables_only(data):
                passed.pass_over(data)
                continue
            yield from self._clock.feed(Coded(packet, data, packet.duration or 0, passed.tables), stamp_of(packet))
            passed.forget()
        yield from self._clock.flush()
        if self._read_through and self.truncated is None:
            self.truncated = self._cut_short()

    def _video_packets(self) -> Iterator[av.Packet[Stream]]:
        """Packets of the pictures up to the end of the window; those of sound are handed to their tracks."""
        tracks = {
            track.stream.index: SoundTrack(track, self._clock, self._time_base) for track in self.sound if track.enabled
        }
        for packet in self._packets():
            if packet.stream_index == self._track.index:
                if not self._over:
                    yield packet
            elif track := tracks.get(packet.stream_index):
                track.take(packet, self._window)
            if self._over and all(track.over for track in tracks.values()):
                break
        for track in tracks.values():
            track.flush(self._window)

    def _packets(self) -> Iterator[av.Packet[Stream]]:
        """All packets of the container; a broken one ends early, and `truncated` says so."""
        try:
            for packet in self._ahead:
                if self.stopped:
                    return
                self._length.see(packet)
                if packet.is_corrupt and packet.stream_index == self._track.index:
                    self.truncated = f"{self.info.name} ends in the middle of a picture"
                yield packet
        except (av.error.FFmpegError, OSError) as error:
            reason = error.strerror or error
            if not self.stopped:
                self.truncated = f"{self.info.name} breaks off after {float(self._length.read):.2f} s: {reason}"
            return
        self._read_through = True

    def _cut_short(self) -> str | None:
        """How the container ends before the length that it states."""
        if self._clock.last is not None:
            self._length.reach(self._track.index, self._clock.last * self._time_base)
        length = self._length.missing()
        if length is None:
            return None
        return f"{self.info.name} ends after {float(self._length.read):.2f} s of {float(length):.2f} s"

    def _packet(self, coded: Coded, index: int, pts: int, tables: bytes) -> Packet:
        length = self._window.clipped(pts, self._length.shown(coded.packet.pts, coded.duration))
        offset, shown = max(coded.packet.pos or 0, 0), pts - self._window.shift
        return Packet(coded.data, index, shown, self._time_base, offset, tables=tables, duration=length)

    def _begin_at(self, origin: Fraction) -> None:
        """Count from another beginning than the container's."""
        self._length.origin = origin
        self._window = self._window_from(origin)

    def _window_from(self, origin: Fraction) -> Window:
        return Window.cut(self._time_base, *self._cut, round(origin / self._time_base))

    def _new_walk(self) -> HeaderWalk:
        return HeaderWalk(self.info.height, self.info.codec_tag)

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
