"""A source that is read picture by picture, and can be opened again: at another picture, or with other settings."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from fractions import Fraction
from math import ceil

from mjpeg_restore.api import Stream
from mjpeg_restore.frames import Picture
from mjpeg_restore.futures import INLINE
from mjpeg_restore.pipeline import PipelineSettings
from mjpeg_restore.restorer import Restorer
from mjpeg_restore.sources import LiveSettings, SourceInfo, Spec, open_source


@dataclass(frozen=True, slots=True)
class Opening:
    """How a source is opened; see `mjpeg_restore.open`."""

    spec: Spec
    restorer: Restorer
    settings: PipelineSettings
    camera: LiveSettings
    fps: Fraction | None = None
    track: int | None = None
    live: bool = False

    @property
    def is_device(self) -> bool:
        """Whether it is a camera that may be asked for another size or rate."""
        return isinstance(self.spec, str) and self.spec.startswith(("/dev/video", "v4l2:"))

    @property
    def is_repeatable(self) -> bool:
        """Whether it may be read more than once: no standard input, no pipe, no file object of the caller's."""
        if isinstance(self.spec, str | os.PathLike):
            return self.spec != "-" and (
                not os.path.exists(self.spec) or os.path.isfile(self.spec) or os.path.isdir(self.spec)
            )
        return not hasattr(self.spec, "read")

    def start(self, first: int = 0, rate: Fraction | None = None) -> Playback:
        """Open the source.

        Args:
            first: number of the first picture, by the nominal rate.
            rate: the source's frames per second; needed unless `first` is 0.

        Raises:
            SourceError: it cannot be opened.
        """
        # Half a picture earlier, because the container may have rounded the time stamp down.
        start = (first - Fraction(1, 2)) / rate if first and rate else None
        source = open_source(self.spec, fps=self.fps, start=start, track=self.track, live=self.live, camera=self.camera)
        # One at a time, when it is asked for: a camera's picture that was restored ahead would wait and grow old.
        pool = INLINE if source.info.live else None
        return Playback(Stream(source, self.restorer, self.settings, pool), self.settings.max_latency, first, start)


class Playback:
    """A stream that is read one picture after the other, the first of which can be looked at before.

    Attributes:
        info: of the source.
        shown: the picture that `next` gave last or, before that, the first one; None if there is none.
        position: number of the next picture.
    """

    def __init__(self, stream: Stream, max_latency: float, first: int = 0, start: Fraction | None = None) -> None:
        """Prepare; nothing is read yet.

        Args:
            stream: closed by `close`.
            max_latency: seconds after which the first picture of a camera is too old to be given.
            first: its number in the recording.
            start: seconds that were skipped.
        """
        self.info: SourceInfo = stream.source.info
        self.shown: Picture | None = None
        self.position = first
        self._stream, self._pictures = stream, iter(stream)
        self._max_latency = max_latency
        self._first = first
        base = self.info.time_base
        self._skipped = ceil(start / base) * base if start else None
        self._origin = Fraction(0)
        self._unread: Picture | None = None
        self._looked = 0.0

    @property
    def time(self) -> Fraction:
        """Seconds from the beginning of the recording to the picture shown."""
        return self.shown.time - self._origin if self.shown else Fraction(0)

    def look(self) -> bool:
        """Wait for the first picture, which `next` gives later.

        Returns:
            Whether there is one.

        Raises:
            SourceError: the source cannot be read.
        """
        self._unread = self.shown = next(self._pictures, None)
        self._looked = time.monotonic()
        if self.shown:
            # Time stamps are those of the container, which may begin late, or begin at 0 with the part that is read.
            self._origin = self.shown.time if self._skipped is None else -self._skipped
        return self.shown is not None

    def next(self) -> Picture | None:
        """The next picture; None at the end, and once it is closed.

        Raises:
            SourceError: the source cannot be read.
        """
        picture, self._unread = self._unread, None
        if picture is None or (self.info.live and time.monotonic() - self._looked > self._max_latency):
            picture = next(self._pictures, None)
        if picture:
            self.shown = picture
            self.position = self._first + picture.index + 1
        return picture

    def close(self) -> None:
        """End the reading and release the source; from any thread."""
        self._stream.close()
