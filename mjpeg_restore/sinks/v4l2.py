"""Virtual cameras of Linux: a device of v4l2loopback, which other programs open as a camera."""

from __future__ import annotations

import contextlib
import os
import struct
import sys

from mjpeg_restore.errors import SinkError, reason_of
from mjpeg_restore.frames import Frame, Picture
from mjpeg_restore.sinks.base import BaseSink, OutputSettings, check_size
from mjpeg_restore.sinks.pace import Pace
from mjpeg_restore.sinks.raw import samples

# struct v4l2_format and what is in it (linux/videodev2.h): the type, then a union of 200 bytes that is aligned to
# pointers and begins, for video, with struct v4l2_pix_format.
_VIDEO_OUTPUT = 2
_PIXELS_AT = struct.calcsize("IP") - struct.calcsize("P")
_FORMAT_SIZE = _PIXELS_AT + 200
_PIX_FORMAT = struct.Struct("=8I")
"""Width, height, pixel format, field, bytes of a line, bytes of a picture, colour space, a private number."""
_YUV420 = int.from_bytes(b"YU12", "little")
_PROGRESSIVE = 1
_SMPTE170M = 1
"""Colour space: BT.601, limited range, as programs take it for granted of a camera."""
_SET_FORMAT = 3 << 30 | _FORMAT_SIZE << 16 | ord("V") << 8 | 5
"""VIDIOC_S_FMT."""


class V4l2Device(BaseSink):
    """A device that shows other programs a camera with 4:2:0 pictures in limited range.

    A recording is shown at its own pace. The device shows each picture until the next one; nobody need be watching.
    """

    fixed_size = True

    def __init__(self, device: str, settings: OutputSettings | None = None) -> None:
        """Open the device.

        Args:
            device: such as "/dev/video10".
            settings: `live`; the defaults if None.

        Raises:
            SinkError: there is no such device, it is in use, or this is not Linux.
        """
        if sys.platform != "linux":
            raise SinkError(f"{device}: virtual cameras need Linux and its module v4l2loopback")
        settings = settings or OutputSettings()
        self._device = device
        self._pace = None if settings.live else Pace()
        self._size: tuple[int, int] | None = None
        try:
            self._file = os.open(device, os.O_RDWR)
        except OSError as error:
            raise SinkError(
                f"cannot open {device} ({reason_of(error)}): 'modprobe v4l2loopback' makes virtual cameras"
            ) from error

    def write(self, frame: Frame) -> None:
        """Show one picture.

        Raises:
            SinkError: the device takes no pictures of this size, or the size changed, or the device is gone.
        """
        picture = frame.picture
        if self._pace:
            self._pace.wait(picture.time)
        if self._size is None:
            self._set_format(picture)
            self._size = picture.width, picture.height
        check_size(picture, self._size, self._device)
        planes = samples(picture, "yuv420p", full_range=False)
        try:
            os.write(self._file, b"".join(plane.data for plane in planes))  # a picture is one call
        except OSError as error:
            raise SinkError(f"cannot write to {self._device} ({reason_of(error)})") from error

    def close(self) -> None:
        """Close the device."""
        if self._file >= 0:
            with contextlib.suppress(OSError):
                os.close(self._file)
            self._file = -1

    def discard(self) -> None:
        """Close the device."""
        self.close()

    def _set_format(self, picture: Picture) -> None:
        import fcntl  # of Unix alone

        width, height = picture.width, picture.height
        size = width * height + 2 * -(-width // 2) * -(-height // 2)
        wanted = bytearray(_FORMAT_SIZE)
        wanted[:4] = _VIDEO_OUTPUT.to_bytes(4, sys.byteorder)
        _PIX_FORMAT.pack_into(wanted, _PIXELS_AT, width, height, _YUV420, _PROGRESSIVE, width, size, _SMPTE170M, 0)
        try:
            fcntl.ioctl(self._file, _SET_FORMAT, wanted)
        except OSError as error:
            raise SinkError(
                f"{self._device} takes no pictures ({reason_of(error)}): is it a virtual camera, of v4l2loopback?"
            ) from error
        found = _PIX_FORMAT.unpack_from(wanted, _PIXELS_AT)
        if found[:3] != (width, height, _YUV420):
            raise SinkError(
                f"{self._device} keeps {found[0]}x{found[1]} for whoever has it open, not {width}x{height}: close "
                "the programs that watch it"
            )
