"""YUV4MPEG2: uncompressed planes in a file or a pipe, for mpv, x264 and FFmpeg to read."""

from __future__ import annotations

import os
from fractions import Fraction
from typing import BinaryIO

import numpy as np

from mjpeg_restore.frames import Frame, Picture, Sampling
from mjpeg_restore.sinks import pixels
from mjpeg_restore.sinks.base import BaseSink, OutputSettings, check_size
from mjpeg_restore.sinks.bytefile import ByteFile
from mjpeg_restore.sinks.timing import guess_rate

# Values of the header's tag C; "420jpeg" is 4:2:0 with centre-sited chroma. There is none for 4:4:0.
_COLOUR_SPACES = {
    Sampling.GRAY: "mono",
    Sampling.YUV444: "444",
    Sampling.YUV422: "422",
    Sampling.YUV420: "420jpeg",
    Sampling.YUV411: "411",
}

_INTERLACING = {None: "Ip", "top": "It", "bottom": "Ib"}


class Y4mStream(BaseSink):
    """A y4m file or pipe: unchanged planes of any size (4:4:0 becomes 4:4:4), tagged with the range.

    Chroma that a model restored at luma's size stays so: the output is 4:4:4, whatever the stream is.

    y4m stores one frame rate and no time stamps. A variable rate is lost, and `remark` reports it.

    A file of a live source gets its name with the first picture and keeps it even if the run fails.

    If the reader of a pipe disconnects (`... | head`), `closed` becomes True and further pictures are ignored, without
    an error. Every picture must have the first one's size.
    """

    fixed_size = True

    def __init__(
        self,
        target: str | os.PathLike[str] | BinaryIO,
        settings: OutputSettings | None = None,
        *,
        closes: bool = False,
    ) -> None:
        """Create the temporary file, or use a binary stream.

        Args:
            target: a path, or an object with `write(bytes)` and `flush()`.
            settings: `fps` (a missing one is guessed from the first picture's time base), `range`, `sample_aspect`,
                `overwrite` and `live`; the defaults if None.
            closes: close a stream at the end, which otherwise stays open.

        Raises:
            OutputExists: the file exists and `overwrite` is False.
            SinkError: the file cannot be created.
        """
        settings = settings or OutputSettings()
        self._file = ByteFile(target, settings, "y4m", closes=closes)
        self._rate_monitor = _RateMonitor(settings.fps)
        self._full_range = settings.range == "full"
        self._sample_aspect = settings.sample_aspect
        self._sampling: Sampling | None = None
        self._size = (0, 0)

    def write(self, frame: Frame) -> None:
        """Write one picture; do nothing once `closed` is True.

        Raises:
            SinkError: the size changed, or the file cannot be written.
        """
        if self.closed:
            return
        header, picture = b"", frame.picture
        if self._sampling is None:
            header = self._open(picture)
        assert self._sampling is not None
        check_size(picture, self._size, self._file.name)
        self._rate_monitor.add(picture)
        self.remark = self._rate_monitor.remark
        planes = pixels.convert(picture, self._sampling, self._full_range).planes
        self._file.write(header + b"FRAME\n", *(np.ascontiguousarray(plane).data for plane in planes))
        self.closed = self._file.closed

    def close(self) -> None:
        """Finish the file, or flush the stream; see `ByteFile.close`.

        Raises:
            SinkError: the last bytes cannot be written.
        """
        self._file.close()

    def discard(self) -> None:
        """Abandon the file; see `ByteFile.discard`."""
        self._file.discard()

    def _open(self, picture: Picture) -> bytes:
        """Fix size, sampling and rate by the first picture; return the header."""
        self._sampling = picture.sampling if picture.sampling in _COLOUR_SPACES else Sampling.YUV444
        self._size = (picture.width, picture.height)
        rate = self._rate_monitor.start(picture)
        colour_range = "FULL" if self._full_range else "LIMITED"
        aspect, interlacing = self._sample_aspect, _INTERLACING[picture.field_order]
        return (
            f"YUV4MPEG2 W{picture.width} H{picture.height} F{rate.numerator}:{rate.denominator} "
            f"{interlacing} A{aspect.numerator}:{aspect.denominator} "
            f"C{_COLOUR_SPACES[self._sampling]} XCOLORRANGE={colour_range}\n"
        ).encode("ascii")


class _RateMonitor:
    """The header's frame rate, compared with the pictures' intervals."""

    def __init__(self, fps: Fraction | None) -> None:
        self._rate = fps or Fraction(0)
        self._tolerance = Fraction(0)
        self._last: Fraction | None = None
        self._shortest: Fraction | None = None
        self._longest = Fraction(0)

    def start(self, first: Picture) -> Fraction:
        """The rate for the header, given the first picture."""
        self._rate = self._rate or guess_rate(first.time_base)
        # The time stamps of a constant rate may be rounded to the time base, as in Matroska.
        self._tolerance = max(1 / self._rate / 10, min(first.time_base, 1 / self._rate / 2))
        return self._rate

    def add(self, picture: Picture) -> None:
        """Record the interval from the last picture to this one."""
        if self._last is not None:
            interval = picture.time - self._last
            self._shortest = interval if self._shortest is None else min(self._shortest, interval)
            self._longest = max(self._longest, interval)
        self._last = picture.time

    @property
    def remark(self) -> str | None:
        """How the intervals differ from the rate, in one line; None if they match."""
        if self._shortest is None:
            return None
        nominal = 1 / self._rate
        if nominal - self._tolerance <= self._shortest and self._longest <= nominal + self._tolerance:
            return None
        found = f"{1000 * float(self._shortest):.0f} to {1000 * float(self._longest):.0f} ms"
        return (
            f"y4m holds no time stamps: pictures that came every {found} will play at {float(self._rate):.3f} "
            "frames/s; .mkv or .mp4 keep their times"
        )
