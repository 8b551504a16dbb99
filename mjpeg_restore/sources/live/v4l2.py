"""USB cameras and capture cards on Linux (Video4Linux2) that deliver Motion-JPEG."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from fractions import Fraction
from struct import pack_into, unpack_from

import av
import av.error
from av.container import InputContainer
from av.video.stream import VideoStream

from mjpeg_restore.errors import ConnectionFailed, NotMjpeg, SourceError, reason_of
from mjpeg_restore.sources.live.demuxed import WITHOUT_PROBING, DemuxedConnection

_ADVICE = "this camera cannot be restored"
_ENUM_FORMATS = 0xC0405602  # VIDIOC_ENUM_FMT of linux/videodev2.h, with a v4l2_fmtdesc of 64 bytes
_CAPTURE = 1  # V4L2_BUF_TYPE_VIDEO_CAPTURE
_JPEG_FORMATS = frozenset({"MJPG", "JPEG"})


class V4l2Connection(DemuxedConnection):
    """One use of a V4L2 device.

    `interrupt` takes effect with the next picture: the driver, not FFmpeg, waits for it, and knows no timeout. A device
    that is unplugged ends the wait.
    """

    def __init__(self, device: str, size: tuple[int, int] | None = None, fps: Fraction | None = None) -> None:
        """Prepare to open; nothing is opened yet.

        Args:
            device: its path, such as "/dev/video0".
            size: width and height in pixels to ask for; None: the device's own.
            fps: pictures a second to ask for; None: the device's own. It takes the nearest that it has.
        """
        super().__init__(device, _ADVICE)
        self._size = size
        self._fps = fps

    def open(self) -> InputContainer:
        """Open the device; see `DemuxedConnection.open`."""
        if sys.platform != "linux":
            raise SourceError(f"{self.name}: V4L2 cameras exist on Linux only")
        options = {**WITHOUT_PROBING, "input_format": "mjpeg"}
        if self._size:
            options["video_size"] = "{}x{}".format(*self._size)
        if self._fps:
            options["framerate"] = str(self._fps)
        try:
            return av.open(self.name, format="v4l2", options=options)
        except (av.error.FFmpegError, OSError) as error:
            raise self._refusal(error) from None

    def check(self, track: VideoStream) -> None:
        """Check that the device accepted the size: FFmpeg goes on with another one."""
        if self._size and (track.width, track.height) != self._size:
            raise SourceError(
                f"{self.name} has no Motion-JPEG of {self._size[0]}x{self._size[1]}: "
                f"the nearest is {track.width}x{track.height}"
            )

    def silent_error(self) -> ConnectionFailed:
        """The error for a device from which nothing came."""
        return ConnectionFailed(f"{self.name}: nothing came")

    def _refusal(self, error: av.error.FFmpegError | OSError) -> SourceError:
        """The error that tells why the device cannot be opened."""
        if error.errno == errno.ENOENT:
            return SourceError(f"{self.name}: there is no such device")
        if error.errno == errno.EACCES:
            return SourceError(f"{self.name}: permission denied: your user has to be in the group video")
        if error.errno == errno.EBUSY:
            return SourceError(f"{self.name} is busy: another program uses the camera")
        if error.errno in (errno.ENOTTY, errno.ENODEV):
            return SourceError(f"{self.name} is no camera: try another device, such as /dev/video2")
        formats = list(self._pixel_formats())
        if formats and not _JPEG_FORMATS & set(formats):
            return NotMjpeg(f"{self.name} delivers no Motion-JPEG, but {', '.join(formats)}: {_ADVICE}")
        asked = f" of {self._size[0]}x{self._size[1]}" if self._size else ""
        return SourceError(f"{self.name} delivers no Motion-JPEG{asked}: {reason_of(error)}")

    def _pixel_formats(self) -> Iterator[str]:
        """The four-character codes of the formats that the device offers; none if it does not tell."""
        from fcntl import ioctl

        with suppress(OSError):  # the list ends with an error
            device = os.open(self.name, os.O_RDWR | os.O_NONBLOCK)
            try:
                for index in range(64):
                    description = bytearray(64)
                    pack_into("<II", description, 0, index, _CAPTURE)
                    ioctl(device, _ENUM_FORMATS, description)
                    yield unpack_from("4s", description, 44)[0].decode("latin-1").strip()
            finally:
                os.close(device)
