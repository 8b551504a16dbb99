"""Raw pictures, one after the other: samples and nothing else, for programs that know their size."""

from __future__ import annotations

import logging
import os
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from mjpeg_restore.frames import Frame, Picture, Sampling
from mjpeg_restore.sinks import pixels
from mjpeg_restore.sinks.base import BaseSink, OutputSettings, PixelFormat, check_size
from mjpeg_restore.sinks.bytefile import ByteFile
from mjpeg_restore.sinks.timing import guess_rate

_log = logging.getLogger(__name__)


class RawStream(BaseSink):
    """A file or pipe of raw pictures in one pixel format; see `OutputSettings.pixel_format`.

    Nothing in it states size, format and rate: they are logged with the first picture, in the words of FFmpeg's
    options. If the reader of a pipe disconnects, `closed` becomes True. Every picture must have the first one's size.
    """

    fixed_size = True

    def __init__(
        self,
        target: str | os.PathLike[str] | BinaryIO,
        settings: OutputSettings | None = None,
        name: str = "raw",
        *,
        source: str = "",
        closes: bool = False,
    ) -> None:
        """Create the temporary file, or use a binary stream.

        Args:
            target: a path, or an object with `write(bytes)` and `flush()`.
            settings: `pixel_format`, `range`, `fps`, `overwrite` and `live`; the defaults if None.
            name: of the output, in the log.
            source: whose pictures they are, in the log; empty: it does not say.
            closes: close a stream at the end, which otherwise stays open.

        Raises:
            OutputExists: the file exists and `overwrite` is False.
            SinkError: the file cannot be created.
        """
        self._settings = settings or OutputSettings()
        self._file = ByteFile(target, self._settings, "raw pictures", closes=closes)
        self._name = name
        self._source = source
        self._size: tuple[int, int] | None = None

    def write(self, frame: Frame) -> None:
        """Write one picture; do nothing once `closed` is True.

        Raises:
            SinkError: the size changed, or the file cannot be written.
        """
        if self.closed:
            return
        picture, settings = frame.picture, self._settings
        if self._size is None:
            self._size = picture.width, picture.height
            self._tell(picture)
        check_size(picture, self._size, self._file.name)
        planes = samples(picture, settings.pixel_format, full_range=settings.range == "full")
        self._file.write(*(plane.data for plane in planes))
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

    def _tell(self, picture: Picture) -> None:
        """Log what a reader has to know."""
        format, rate = self._settings.pixel_format, self._settings.fps or guess_rate(picture.time_base)
        colour = "" if format in ("rgb24", "bgr24") else f", {self._settings.range} range"
        _log.info(
            "%s: -f rawvideo -pixel_format %s -video_size %dx%d -framerate %s%s",
            self._name,
            format,
            picture.width,
            picture.height,
            rate,
            colour,
            extra={"event": "output_format", "source": self._source, "output": self._name},
        )


def samples(picture: Picture, format: PixelFormat, *, full_range: bool) -> list[NDArray[np.uint8]]:
    """The samples of a picture, in contiguous arrays to be written one after the other.

    Args:
        picture: any.
        format: "yuv420p" gives three planes, "gray" luma alone, "rgb24" and "bgr24" one array `[height, width, 3]`.
        full_range: the range of luma and chroma; that of RGB is full.
    """
    match format:
        case "rgb24":
            planes = (picture.to_ndarray("rgb"),)
        case "bgr24":
            planes = (picture.to_ndarray("bgr"),)
        case _:
            sampling = Sampling.GRAY if format == "gray" else Sampling.YUV420
            planes = pixels.convert(picture, sampling, full_range).planes
    return [np.ascontiguousarray(plane) for plane in planes]
