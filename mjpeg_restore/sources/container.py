"""A Motion-JPEG track of AVI, MOV, MKV, MP4 and other containers: its packets are demuxed, never decoded."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from fractions import Fraction
from itertools import islice

import av
import av.error
from av.stream import Stream
from av.video.stream import VideoStream

from mjpeg_restore.errors import JpegError, NotMjpeg, SourceError, reason_of
from mjpeg_restore.frames import Packet, SoundPacket
from mjpeg_restore.jpeg import HeaderWalk, is_fragment, is_tables_only
from mjpeg_restore.sources.avi import ChunkCounter, CountingReader, has_damaged_index
from mjpeg_restore.sources.base import BaseSource
from mjpeg_restore.sources.choice import SoundChoice, choose_sound, choose_video, list_tracks
from mjpeg_restore.sources.demuxers import (
    ContainerOpenError,
    HeadRecorder,
    is_piped,
    open_container,
    open_unindexed,
    stated_size,
)
from mjpeg_restore.sources.fieldpairs import DemuxedPicture, FieldJoiner, detect_field_pairs, unpaired_remark
from mjpeg_restore.sources.length import LengthCheck, usual_step
from mjpeg_restore.sources.lookahead import Lookahead
from mjpeg_restore.sources.movindex import index_comes_last
from mjpeg_restore.sources.presentation import rotation
from mjpeg_restore.sources.probe import ByteStream, Closable
from mjpeg_restore.sources.reading import StoppableStream
from mjpeg_restore.sources.soundtrack import SoundCollector, stamp_of
from mjpeg_restore.sources.timestamps import TimestampCorrector, correction_remark
from mjpeg_restore.sources.timing import TimeWindow, start_after_end
from mjpeg_restore.sources.tracks import describe, duration_of, time_base

_SEEK_MARGIN = 1
"""Seconds before the start that are also read: sound may precede the pictures that it belongs to."""
_MAX_READ_THROUGH = 1 << 26
"""Bytes; smaller files are read through instead of sought, if each picture has its own stamp: wrong stamps are only
noticed when all are read, and reading so much takes no noticeable time."""
_STEP_FORMATS = ("avi", "mov")
"""Formats that store steps between pictures, which cannot be negative, instead of time stamps."""

_INDEX_REMARK = "the AVI has a damaged index or none: all its pictures are read in the order of the file"

_INDEX_OUT_OF_REACH = "MOV and MP4 that keep their index at the end cannot be read from a pipe, give the file itself"

_PROBED_PACKETS = 8
"""Packets that are searched for a picture."""


class ContainerSource(BaseSource):
    """A Motion-JPEG track; its packets are yielded bit for bit as the container holds them.

    No bitstream filter changes them (quirk H2). Time stamps are the container's, and a variable frame rate is kept.
    Impossible time stamps, such as one far ahead or a clock that restarts, are corrected as `TimestampCorrector`
    describes, also those of the sound. A restart of the clock is no `Packet.discontinuity`: the pictures are one track,
    which FFmpeg decodes as one, and their tables stay valid.

    A packet that must not be shown, by an edit list for instance, is dropped, but its tables are remembered (Q5).
    """

    def __init__(
        self,
        target: str | ByteStream,
        name: str,
        start: Fraction | None = None,
        duration: Fraction | None = None,
        *,
        track: int | None = None,
        sound: SoundChoice | None = None,
        owned: Closable | None = None,
    ) -> None:
        """Open a container and choose its tracks.

        Args:
            target: a path, or a stream of bytes, which need not seek.
            name: the source's name in messages.
            start: seconds to skip, from the beginning of the recording.
            duration: seconds to keep.
            track: number of the Motion-JPEG track, from 1; None: the first that is not a preview of another.
            sound: number of the audio track, from 1, or "all"; None: the first.
            owned: what `close` closes, if anything.

        Raises:
            NotMjpeg: there is no video track, or it is not Motion-JPEG.
            SourceError: the container cannot be opened, or has no such track.
        """
        self._owned, self._target = owned, target
        self._piped = is_piped(target)
        try:
            chunks = self._open(name)
            self._choose_tracks(name, track, sound)
        except (ContainerOpenError, NotMjpeg):  # without its index FFmpeg may take a movie for anything
            if self._is_index_out_of_reach():
                raise SourceError(f"cannot read {name}: {_INDEX_OUT_OF_REACH}") from None
            raise
        self._index_out_of_reach = self._is_index_out_of_reach()
        self._time_base = time_base(self._track)
        self._length = LengthCheck(self._container, self._track, target, chunks)
        step = usual_step(self._track)
        self._corrector: TimestampCorrector[DemuxedPicture] = TimestampCorrector(step, round(1 / self._time_base))
        self._cut = start, duration
        self._window = self._window_from(self._length.origin)
        self._past_window = self._read_to_end = False
        info = describe(self._container, self._track, name, start, duration)
        tracks = list_tracks(self._container, self._track, self.sound)
        degrees, remark = rotation(self._track)  # last, because it changes the track's size
        self.info = replace(info, tracks=tracks, rotation=degrees)
        self.remarks = [*filter(None, (self._index_remark, remark))]
        self._joiner = self._detect_field_pairs()
        self._unpaired = 0
        self._heard: list[SoundPacket] = []
        """Sound that has been demuxed since the last picture that was yielded."""
        if self._joiner is not None:
            self.info = self._joiner.frame_info()

    def _open(self, name: str) -> ChunkCounter | None:
        """Open the container; record the first bytes of a pipe, and count its chunks as they are read."""
        chunks: ChunkCounter | None = None
        self._reopenable = opened = self._target
        if self._piped and not isinstance(self._target, str):
            chunks, self._reopenable = ChunkCounter(), HeadRecorder(self._target)
            opened = CountingReader(self._reopenable, chunks)
        self._container = open_container(opened, name)
        self._seekable, self._index_remark = not self._piped, None
        if self._seekable and has_damaged_index(self._container):
            self._container.close()
            self._container = open_unindexed(self._target, name)
            self._seekable, self._index_remark = False, _INDEX_REMARK
        self._ahead = Lookahead(self._container)
        return chunks

    def _choose_tracks(self, name: str, track: int | None, sound: SoundChoice | None) -> None:
        try:
            self._track = choose_video(self._container, self._ahead, name, track)
            self.sound = choose_sound(self._container, name, sound)
        except BaseException:
            self._container.close()
            raise

    def _is_index_out_of_reach(self) -> bool:
        """Whether this is a pipe of a MOV or MP4 with its pictures first; known until the first bytes are discarded."""
        return isinstance(self._reopenable, HeadRecorder) and index_comes_last(self._reopenable.head)

    def _detect_field_pairs(self) -> FieldJoiner | None:
        index = self._track.index
        packets = self._ahead.peek_stream(index)
        joiner = detect_field_pairs(packets, self.info, lambda: stated_size(self._reopenable, index))
        if isinstance(self._reopenable, HeadRecorder):
            self._reopenable.discard()
        return joiner

    def __iter__(self) -> Iterator[Packet]:
        """Yield the pictures; see `Source`."""
        try:
            yield from self._with_sound(self._packets()) if self.sound else self._packets()
        finally:
            remarks = (
                correction_remark(self._corrector, self._time_base),
                unpaired_remark(self._unpaired, self.info.name),
            )
            self.remarks = [*self.remarks, *filter(None, remarks)]

    def _packets(self) -> Iterator[Packet]:
        sought = self._seek()
        walk = self._new_walk()
        index = 0
        for picture, pts in self._frames():
            if not sought and not index and pts * self._time_base < self._length.origin:
                self._set_origin(pts * self._time_base)  # the very first stamp was wrong
            walk.remember(picture.tables)
            if self._window.contains(pts):
                self._unpaired += picture.unpaired
                yield self._packet(picture, index, pts, walk.tables)
                index += 1
                walk.forget()
            else:
                self._past_window = self._window.is_past(pts)
                walk.pass_over(picture.data)
        if not index and not self.stopped:
            raise self._no_picture_error()

    def _with_sound(self, packets: Iterator[Packet]) -> Iterator[Packet]:
        """Give each packet the sound that was demuxed before the next one, and the last one all the rest."""
        last: Packet | None = None
        for packet in packets:
            if last:
                yield self._sounding(last)
            last = packet
        if last:
            yield self._sounding(last)

    def _sounding(self, packet: Packet) -> Packet:
        heard, self._heard = tuple(self._heard), []
        return replace(packet, sound=heard)

    def _no_picture_error(self) -> SourceError:
        if self._index_out_of_reach:
            return SourceError(f"cannot read {self.info.name}: {_INDEX_OUT_OF_REACH}")
        if self._window.first is not None:
            return start_after_end(self.info.name, duration_of(self._container, self._track))
        return SourceError(f"{self.info.name} has a Motion-JPEG track without a single picture")

    def _seek(self) -> bool:
        """Seek near the start of the window; if pictures there need earlier tables (Q5), back to the beginning.

        Returns:
            True if reading does not begin at the beginning.
        """
        target = 0 if self._window.first is None else self._window.first - int(_SEEK_MARGIN / self._time_base)
        # A seek might land between the two fields of a frame: tracks of field pairs are read from the beginning.
        if target <= 0 or not self._seekable or self._joiner is not None:
            return False
        if not self._container.format.name.startswith(_STEP_FORMATS) and 0 < self._container.size <= _MAX_READ_THROUGH:
            return False
        first = self._new_walk()
        for packet in islice(self._ahead.peek_stream(self._track.index), _PROBED_PACKETS):
            first.pass_over(bytes(packet))
        try:
            self._container.seek(target, stream=self._track)
            self._ahead.reset()
            if self._has_tables(islice(self._container.demux(self._track), _PROBED_PACKETS), first):
                self._container.seek(target, stream=self._track)
                return True
        except (av.error.FFmpegError, OSError):
            pass  # a file without an index
        with suppress(av.error.FFmpegError, OSError):
            self._container.seek(self._container.start_time or 0)
            self._ahead.reset()
        return False

    def _has_tables(self, packets: Iterable[av.Packet[VideoStream]], first: HeaderWalk) -> bool:
        """Whether the first picture among `packets` has all tables that the stream's `first` pictures have."""
        walk = self._new_walk()
        for packet in packets:
            with suppress(JpegError):
                return first.stands_alone(walk(bytes(packet)).pictures[0].header)
        return False

    def _frames(self) -> Iterator[tuple[DemuxedPicture, int]]:
        """Yield (picture, time in ticks) with rising times; field pairs are joined."""
        pictures = self._shown_pictures()
        return pictures if self._joiner is None else self._joiner.join(pictures)

    def _shown_pictures(self) -> Iterator[tuple[DemuxedPicture, int]]:
        """Yield (picture, time in ticks) for each packet that is to be shown."""
        dropped = self._new_walk()
        for packet in self._video_packets():
            data = bytes(packet)
            # These are no damaged pictures: cameras send fragments (S10), and an empty AVI chunk repeats a picture.
            if packet.is_discard or is_fragment(data) or is_tables_only(data):
                dropped.pass_over(data)
                continue
            picture = DemuxedPicture(packet, data, packet.duration or 0, dropped.tables)
            yield from self._corrector.feed(picture, stamp_of(packet))
            dropped.forget()
        yield from self._corrector.flush()
        if self._read_to_end and self.truncated is None:
            self.truncated = self._check_length()

    def _video_packets(self) -> Iterator[av.Packet[Stream]]:
        """Yield the packets of the video track up to the end of the window, and collect those of the sound."""
        collectors = {
            track.stream.index: SoundCollector(track, number, self._keep_sound, self._corrector, self._time_base)
            for number, track in enumerate(self.sound)
        }
        for packet in self._all_packets():
            if packet.stream_index == self._track.index:
                if not self._past_window:
                    yield packet
            elif collector := collectors.get(packet.stream_index):
                collector.add(packet, self._window)
            if self._past_window and all(collector.finished for collector in collectors.values()):
                break
        for collector in collectors.values():
            collector.flush(self._window)

    def _keep_sound(self, packet: SoundPacket) -> None:
        self._heard.append(packet)

    def _all_packets(self) -> Iterator[av.Packet[Stream]]:
        """Yield the packets of all tracks; where the container breaks off, end and set `truncated`."""
        try:
            for packet in self._ahead:
                if self.stopped:
                    return
                self._length.add_packet(packet)
                if packet.is_corrupt and packet.stream_index == self._track.index:
                    self.truncated = f"{self.info.name} ends in the middle of a picture"
                yield packet
        except (av.error.FFmpegError, OSError) as error:
            reason = reason_of(error)
            if not self.stopped:
                read = float(self._length.seconds_read)
                self.truncated = f"{self.info.name} breaks off after {read:.2f} s: {reason}"
            return
        self._read_to_end = True

    def _check_length(self) -> str | None:
        """The sentence for `truncated` if the container ends before its stated duration."""
        if self._corrector.last is not None:
            self._length.add_end(self._track.index, self._corrector.last * self._time_base)
        stated = self._length.stated_if_truncated()
        if stated is None:
            return None
        return f"{self.info.name} ends after {float(self._length.seconds_read):.2f} s of {float(stated):.2f} s"

    def _packet(self, picture: DemuxedPicture, index: int, pts: int, tables: bytes) -> Packet:
        shown = self._length.display_duration(picture.packet.pts, picture.duration)
        duration = self._window.clip_duration(pts, shown)
        offset = max(picture.packet.pos or 0, 0)
        time = pts - self._window.shift
        return Packet(picture.data, index, time, self._time_base, offset, tables=tables, duration=duration)

    def _set_origin(self, origin: Fraction) -> None:
        """Count `start` and `duration` from another time, in seconds, than the container's start time."""
        self._length.origin = origin
        self._window = self._window_from(origin)

    def _window_from(self, origin: Fraction) -> TimeWindow:
        return TimeWindow.from_seconds(self._time_base, *self._cut, round(origin / self._time_base))

    def _new_walk(self) -> HeaderWalk:
        return HeaderWalk(self.info.height, self.info.codec_tag)

    def stop(self) -> None:
        """End the iteration, even while it waits for a pipe; from any thread."""
        self.stopped = True
        if isinstance(self._target, StoppableStream):
            self._target.stop()

    def close(self) -> None:
        """Close the container, and the file if the source owns it."""
        self._container.close()
        if self._owned is not None:
            self._owned.close()
