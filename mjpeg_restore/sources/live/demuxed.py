"""Connections that FFmpeg makes and demuxes: RTSP and V4L2."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Generator
from types import MappingProxyType

import av
import av.error
from av.container import InputContainer
from av.video.stream import VideoStream

from mjpeg_restore.errors import ConnectionFailed, NotMjpeg, reason_of
from mjpeg_restore.sources.choice import codec_name, is_mjpeg
from mjpeg_restore.sources.live.connection import Capture

WITHOUT_PROBING = MappingProxyType({"analyzeduration": "1", "probesize": "32", "fpsprobesize": "0"})
"""Options with which FFmpeg opens a container as soon as the first packet is there. By default it estimates the frame
rate first, and delivers 0.4 s late. With `fflags=nobuffer` it would drop what it has probed (T3)."""


class DemuxedConnection(ABC):
    """A connection whose packets are whole JPEGs as FFmpeg demuxes them; a subclass opens it.

    FFmpeg cannot be interrupted from another thread, and a container must not be closed while a thread reads it.
    `interrupt` therefore takes effect with the next picture, or when the subclass's timeout ends the wait.
    """

    def __init__(self, name: str, advice: str) -> None:
        """Prepare to connect; nothing is connected yet.

        Args:
            name: of the source in messages, without credentials.
            advice: what to do where the camera sends no Motion-JPEG.
        """
        self.name = name
        self._advice = advice
        self._interrupted = False

    @abstractmethod
    def open(self) -> InputContainer:
        """Connect, and wait until the camera has described what it sends.

        Raises:
            SourceError: see `Connection.pictures`.
        """

    @abstractmethod
    def silent_error(self) -> ConnectionFailed:
        """The error for a camera from which nothing came within the timeout."""

    def check(self, track: VideoStream) -> None:  # noqa: B027  most have nothing to check
        """Check the chosen track.

        Raises:
            SourceError: it is not what was asked for.
        """

    def pictures(self) -> Generator[Capture]:
        """Connect, and yield pictures as they arrive; see `Connection`."""
        if self._interrupted:
            return
        container = self.open()
        try:
            track = self._choose_track(container)
            self.check(track)
            for packet in container.demux(track):
                if self._interrupted:
                    return
                if packet.size:
                    yield Capture(self.repaired(bytes(packet)), time.monotonic())
        except av.error.ExitError:
            raise self.silent_error() from None
        except (av.error.FFmpegError, OSError) as error:  # its text may hold the URL with the password
            raise ConnectionFailed(f"{self.name}: the connection broke: {reason_of(error)}") from None
        finally:
            container.close()

    def repaired(self, data: bytes) -> bytes:
        """A picture with what is known to be wrong in every one corrected."""
        return data

    def interrupt(self) -> None:
        """End `pictures` with the next picture, or with the timeout; see the class."""
        self._interrupted = True

    def _choose_track(self, container: InputContainer) -> VideoStream:
        """The first Motion-JPEG track.

        Raises:
            NotMjpeg: there is none.
        """
        videos = [stream for stream in container.streams if isinstance(stream, VideoStream)]
        for stream in videos:
            if is_mjpeg(stream):
                return stream
        what = f"{codec_name(videos[0])}, which has no JPEG coefficients to restore" if videos else "no video"
        raise NotMjpeg(f"{self.name} sends {what}: {self._advice}")
