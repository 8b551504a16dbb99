"""A recording in several video files: by length, by size, or where the pictures change their size."""

from __future__ import annotations

import logging
import os
from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path

from mjpeg_restore.frames import Frame, Picture, Sampling, SoundPacket
from mjpeg_restore.sinks.base import BaseSink, OutputSettings
from mjpeg_restore.sinks.target import MILLISECOND, timed
from mjpeg_restore.sinks.video import VideoFile
from mjpeg_restore.sound import SoundTrack

_STEP_BACK = timedelta(minutes=1)
"""A clock that is set back by less is being corrected. One that is set back by more was wrong before."""

_log = logging.getLogger(__name__)


class Segments(BaseSink):
    """One `VideoFile` after the other: `out.mp4` becomes `out-20261126T194115.250Z.mp4` and so on.

    *Names* have the wall clock's UTC at the first picture of the file, rise strictly during a run unless the clock is
    set back by more than a minute, and are never those of existing files: nothing is replaced or deleted.

    *Pictures.* A new file begins with the first picture at or after the limit, and if `new_file_on_resize` is set, with
    each picture whose size or chroma subsampling is not the file's. Every picture is in one file. Times count from the
    first picture of each file.

    *Sound* goes on in the next file: a packet is in the file of the picture that is shown when the packet begins.

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
        self._file: VideoFile | None = None
        self._start = Fraction(0)
        """Time of the first picture of the file, in seconds."""
        self._shape: tuple[int, int, Sampling] | None = None
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
        if self._file and self._is_due(picture):
            self._finish(picture.time)
        if self._file is None:
            self._start, self._shape = picture.time, _shape(picture)
            self._file = VideoFile(self._next_path(), self._settings, self._tracks)
        self._take_sound(picture.time)
        shifted = replace(picture, pts=picture.pts - round(self._start / picture.time_base))
        self._file.write(replace(frame, picture=shifted))

    def close(self) -> None:
        """Finish the last file.

        Raises:
            SinkError: it cannot be finished.
        """
        if self._file:
            self._finish(None)

    def discard(self) -> None:
        """Abandon the last file; see `VideoFile.discard`. The others are kept."""
        if self._file:
            self._file.discard()
            self._file = None

    def _is_due(self, picture: Picture) -> bool:
        """Whether a new file begins with this picture."""
        assert self._file
        if self._settings.new_file_on_resize and _shape(picture) != self._shape:
            return True
        limit = self._settings.segment
        if limit is None:
            return False
        if limit.seconds is not None and picture.time - self._start >= limit.seconds:
            return True
        return limit.size is not None and self._file.size >= limit.size

    def _finish(self, end: Fraction | None) -> None:
        """Finish the file with the sound until `end`, in seconds; None: all of it."""
        assert self._file
        self._take_sound(end)
        self._file.close()
        self.remark = self._file.remark or self.remark
        self._file = None

    def _take_sound(self, end: Fraction | None) -> None:
        """Write the sound that begins before `end` (None: all), in seconds, its times counted from the file's start."""
        assert self._file
        later: deque[SoundPacket] = deque()
        ahead = set[int]()  # tracks with a packet that waits: the ones after it wait, too
        for packet in self._heard:
            if packet.track in ahead or (end is not None and packet.time is not None and packet.time >= end):
                ahead.add(packet.track)
                later.append(packet)
                continue
            shift = round(self._start / packet.time_base)
            pts = None if packet.pts is None else packet.pts - shift
            dts = None if packet.dts is None else packet.dts - shift
            self._file.write_sound(replace(packet, pts=pts, dts=dts))
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
