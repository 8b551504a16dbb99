"""YUV4MPEG2: uncompressed planes down a pipe, for mpv, x264 and FFmpeg to read."""

from __future__ import annotations

import contextlib
import os
from fractions import Fraction
from typing import BinaryIO

import numpy as np

from mjpeg_restore.errors import SinkError
from mjpeg_restore.frames import Picture, Sampling
from mjpeg_restore.sinks import pixels
from mjpeg_restore.sinks.base import OutputSettings, PartFile, check_size
from mjpeg_restore.sinks.rate import plausible_rate

# y4m's names; "jpeg" is 4:2:0 with centre-sited chroma. It has none for 4:4:0.
_NAMES = {
    Sampling.GRAY: "mono",
    Sampling.YUV444: "444",
    Sampling.YUV422: "422",
    Sampling.YUV420: "420jpeg",
    Sampling.YUV411: "411",
}


_SCAN = {None: "Ip", "top": "It", "bottom": "Ib"}


class Y4mStream:
    """A y4m file or pipe, any size, planes as they are (4:4:0 goes to 4:4:4), tagged with its range.

    y4m holds one frame rate and no time stamps: pictures are written one after the other, and a variable rate
    is lost, which `remark` tells. Where the reader of a pipe goes away (`... | head`), `closed` turns True and
    nothing more is written; that is no error.

    Every picture must have the first one's size.
    """

    fixed_size = True

    def __init__(
        self,
        target: str | os.PathLike[str] | BinaryIO,
        settings: OutputSettings | None = None,
    ) -> None:
        """Claim the file, or take a binary stream, which stays open at `close`.

        Args:
            target: a path, or an object with `write(bytes)` and `flush()`.
            settings: `fps` for the header, else guessed from the first picture's time base, `range`, `sample_aspect`
                and `overwrite`; the defaults if None.

        Raises:
            OutputExists: the file is there and `overwrite` is False.
            SinkError: the file cannot be made.
        """
        settings = settings or OutputSettings()
        self.closed = False
        self._part: PartFile | None = None
        self._file: BinaryIO
        if isinstance(target, (str, os.PathLike)):
            self._part = PartFile(target, settings.overwrite)
            self._file = self._part.path.open("wb")
        else:
            self._file = target
        self._pace = _Pace(settings.fps)
        self._full_range = settings.range == "full"
        self._sample_aspect = settings.sample_aspect
        self._sampling: Sampling | None = None
        self._size = (0, 0)
        self._finished = False

    @property
    def remark(self) -> str | None:
        """That the pictures were not taken at the rate that is written, in one line; None where they were."""
        return self._pace.remark

    def write(self, picture: Picture) -> None:
        """Write one picture; nothing once `closed` is True.

        Raises:
            SinkError: the size changed, or the file cannot be written.
        """
        if self.closed:
            return
        header = b""
        if self._sampling is None:
            header = self._open(picture)
        assert self._sampling is not None
        check_size(picture, self._size, self._part.target if self._part else "the y4m stream")
        self._pace.add(picture)
        planes = pixels.prepare(picture, self._sampling, self._full_range).planes
        self._send(header + b"FRAME\n", *(np.ascontiguousarray(plane).data for plane in planes))

    def close(self) -> None:
        """Flush the pipe, or give the file its name; without a single picture there is no file.

        Raises:
            SinkError: the last bytes cannot be written.
        """
        if self._finished:
            return
        self._finished = True
        if self._part is None:
            self._send()
            return
        try:
            self._file.close()
        except OSError as error:
            self._part.discard()
            raise SinkError(f"cannot finish {self._part.target} ({error.strerror})") from error
        if self._sampling is None:
            self._part.discard()
        else:
            self._part.commit()

    def discard(self) -> None:
        """Remove the temporary file; a pipe is left as it is."""
        self._finished = True
        if self._part is not None:
            with contextlib.suppress(OSError):
                self._file.close()
            self._part.discard()

    def _open(self, picture: Picture) -> bytes:
        self._sampling = picture.sampling if picture.sampling in _NAMES else Sampling.YUV444
        self._size = (picture.width, picture.height)
        rate = self._pace.begin(picture)
        colour_range = "FULL" if self._full_range else "LIMITED"
        aspect, scan = self._sample_aspect, _SCAN[picture.field_order]
        return (
            f"YUV4MPEG2 W{picture.width} H{picture.height} F{rate.numerator}:{rate.denominator} "
            f"{scan} A{aspect.numerator}:{aspect.denominator} C{_NAMES[self._sampling]} XCOLORRANGE={colour_range}\n"
        ).encode("ascii")

    def _send(self, *parts: bytes | memoryview) -> None:
        try:
            for part in parts:
                self._file.write(part)
            self._file.flush()
        except BrokenPipeError:
            self.closed = True
        except OSError as error:
            raise SinkError(f"cannot write y4m ({error.strerror}): is there room on the disk?") from error


class _Pace:
    """The rate that is written, and whether the pictures keep to it."""

    def __init__(self, fps: Fraction | None) -> None:
        self._rate = fps or Fraction(0)
        self._slack = Fraction(0)
        self._last: Fraction | None = None
        self._shortest: Fraction | None = None
        self._longest = Fraction(0)

    def begin(self, first: Picture) -> Fraction:
        """Settle the rate."""
        self._rate = self._rate or plausible_rate(first.time_base)
        # A constant rate too may be rounded to the time base, as Matroska does it.
        self._slack = max(1 / self._rate / 10, min(first.time_base, 1 / self._rate / 2))
        return self._rate

    def add(self, picture: Picture) -> None:
        """Note the time since the picture before."""
        if self._last is not None:
            interval = picture.time - self._last
            self._shortest = interval if self._shortest is None else min(self._shortest, interval)
            self._longest = max(self._longest, interval)
        self._last = picture.time

    @property
    def remark(self) -> str | None:
        """How the pictures came, where that was not at the rate."""
        if self._shortest is None:
            return None
        usual = 1 / self._rate
        if usual - self._slack <= self._shortest and self._longest <= usual + self._slack:
            return None
        found = f"{1000 * float(self._shortest):.0f} to {1000 * float(self._longest):.0f} ms"
        return (
            f"y4m holds no time stamps: pictures that came every {found} will play at {float(self._rate):.3f} "
            "frames/s; .mkv or .mp4 keep their times"
        )
