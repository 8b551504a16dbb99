"""A recording in several video files: by length, by size, or where the pictures change their size."""

from __future__ import annotations

import logging
import os
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path

from mjpeg_restore.errors import SinkError
from mjpeg_restore.frames import Frame, Picture, Sampling, SoundPacket
from mjpeg_restore.sinks.base import BaseSink, OutputSettings
from mjpeg_restore.sinks.target import MILLISECOND, timed
from mjpeg_restore.sinks.video import VideoFile
from mjpeg_restore.sound import SoundTrack

_STEP_BACK = timedelta(minutes=1)
"""A clock that is set back by less is being corrected. One that is set back by more was wrong before."""
_MAX_LAG = 3
"""Seconds of pictures for which a whole file of a recording waits for its last sound."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Segment:
    """An open file."""

    file: VideoFile
    start: Fraction
    """Time of its first picture, in seconds."""
    shape: tuple[int, int, Sampling]
    """Width, height and sampling of its pictures."""


class Segments(BaseSink):
    """One `VideoFile` after the other: `out.mp4` becomes `out-20261126T194115.250Z.mp4` and so on.

    *Names* have the wall clock's UTC at the first picture of the file, rise strictly during a run unless the clock is
    set back by more than a minute, and are never those of existing files: nothing is replaced or deleted.

    *Pictures.* A new file begins with the first picture at or after the limit, and if `new_file_on_resize` is set, with
    each picture whose size or chroma subsampling is not the file's. Every picture is in one file. Times count from the
    first picture of each file.

    *Sound* goes on in the next file: a packet is in the file of the picture that is shown when the packet begins. Some
    recordings store sound behind its pictures: there a whole file is finished once each track has reached its end, at
    the latest three seconds of pictures later, or when the next file is whole. The file of a live source is finished at
    once. Sound that comes after that is left out, and `remark` says so.

    The last file of a run that fails is kept if the source is live, and removed otherwise.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        settings: OutputSettings,
        sound: Sequence[SoundTrack] = (),
    ) -> None:
        """Check the settings, as `VideoFile` does; the first file is created with the first picture.

        Args:
            path: folder, beginning of the names, and extension.
            settings: as for `VideoFile`, and `segment` and `new_file_on_resize`; `overwrite` has no effect.
            sound: tracks of sound.

        Raises:
            SinkError: as for `VideoFile`.
        """
        self._path = Path(path)
        self._settings = replace(settings, overwrite=False)
        self.fixed_size = not settings.new_file_on_resize
        self.sound = bool(sound)
        self._tracks = sound
        self._heard: deque[SoundPacket] = deque()
        """Sound that begins after the latest picture: it may belong to the next file."""
        self._segment: _Segment | None = None
        self._previous: _Segment | None = None
        """The file before, while it waits for its last sound."""
        self._behind = set[int]()
        """Tracks whose sound has not reached the end of `_previous`."""
        self._start: Fraction | None = None
        """End of the file before, in seconds, and so the start of this one; None before the second file."""
        self._left_out = Fraction(0)
        """Seconds of sound that came too late."""
        self._moment = datetime.min.replace(tzinfo=UTC)
        VideoFile(self._next_path(), self._settings, self._tracks).discard()

    def write_sound(self, packet: SoundPacket) -> None:
        """Keep the sound until it is known which file it is for."""
        self._heard.append(packet)

    def write(self, frame: Frame) -> None:
        """Write one picture, and the sound before it; begin a new file where it is due.

        Raises:
            SinkError: see `VideoFile`.
        """
        picture = frame.picture
        if self._segment and self._is_due(picture, self._segment):
            self._end_segment(self._segment, picture.time)
        if self._segment is None:
            file = VideoFile(self._next_path(), self._settings, self._tracks)
            self._segment = _Segment(file, picture.time, _shape(picture))
        self._take_sound(picture.time)
        if self._start is not None and (not self._behind or picture.time - self._start >= _MAX_LAG):
            self._finish_previous()
        segment = self._segment
        shifted = replace(picture, pts=picture.pts - round(segment.start / picture.time_base))
        segment.file.write(replace(frame, picture=shifted))

    def close(self) -> None:
        """Finish the last file.

        Raises:
            SinkError: it cannot be finished.
        """
        self._take_sound(None)
        self._finish_previous()
        if self._segment:
            segment, self._segment = self._segment, None
            self._finish(segment)

    def discard(self) -> None:
        """Abandon the last file; see `VideoFile.discard`. The others are kept."""
        with suppress(SinkError):
            self._finish_previous()
        if self._segment:
            self._segment.file.discard()
            self._segment = None

    def _is_due(self, picture: Picture, segment: _Segment) -> bool:
        """Whether a new file begins with this picture."""
        if self._settings.new_file_on_resize and _shape(picture) != segment.shape:
            return True
        limit = self._settings.segment
        if limit is None:
            return False
        if limit.seconds is not None and picture.time - segment.start >= limit.seconds:
            return True
        return limit.size is not None and segment.file.size >= limit.size

    def _end_segment(self, segment: _Segment, end: Fraction) -> None:
        """End the file before the picture at `end`, in seconds, and finish it if it needs no more sound."""
        self._finish_previous()
        self._previous, self._segment, self._start = segment, None, end
        self._behind = set[int]() if self._settings.live else set(range(len(self._tracks)))
        self._take_sound(end)
        if not self._behind:
            self._finish_previous()

    def _finish_previous(self) -> None:
        if self._previous:
            previous, self._previous = self._previous, None
            self._finish(previous)

    def _finish(self, segment: _Segment) -> None:
        segment.file.close()
        self.remark = segment.file.remark or self.remark
        if self._left_out:
            late = f"{float(self._left_out):.1f} s of sound"
            self.remark = f"{late} came when the file of its pictures was finished, and is left out"

    def _take_sound(self, end: Fraction | None) -> None:
        """Write the sound that begins before `end` (None: all), in seconds, to the file that it belongs to."""
        later: deque[SoundPacket] = deque()
        ahead = set[int]()  # tracks with a packet that waits: the ones after it wait, too
        for packet in self._heard:
            early = self._start is not None and packet.time is not None and packet.time < self._start
            if not early:
                self._behind.discard(packet.track)
            if packet.track in ahead or (end is not None and packet.time is not None and packet.time >= end):
                ahead.add(packet.track)
                later.append(packet)
            elif segment := self._previous if early else self._segment or self._previous:
                segment.file.write_sound(packet.moved(-round(segment.start / packet.time_base)))
            else:
                self._left_out += packet.duration * packet.time_base
        self._heard = later

    def _next_path(self) -> Path:
        """A free name with the present time, after the others of the run unless the clock was wrong for them."""
        now = datetime.now(UTC)
        moment, behind = now - timedelta(microseconds=now.microsecond % 1000), self._moment - now
        if behind <= _STEP_BACK:
            moment = max(moment, self._moment + MILLISECOND)
        else:
            message = f"the clock was set back by {behind.total_seconds():.0f} s, and the names of files with it"
            _log.warning("%s: %s", self._path, message, extra={"event": "clock_set_back", "output": str(self._path)})
        path, self._moment = timed(self._path, moment)
        return path


def _shape(picture: Picture) -> tuple[int, int, Sampling]:
    return picture.width, picture.height, picture.source_sampling
