"""V4L2 cameras, without one: what FFmpeg is asked for, and what its answers mean."""

from __future__ import annotations

import errno
import os
from fractions import Fraction
from io import BytesIO
from pathlib import Path
from struct import pack_into, unpack_from
from typing import Any

import av
import av.error
import pytest
from cameras.pictures import NumberedPictures, read_number

from mjpeg_restore.errors import NotMjpeg, SourceError
from mjpeg_restore.sources.live import v4l2
from mjpeg_restore.sources.live.v4l2 import V4l2Connection
from tests.lacking import needs_linux
from tests.streams import decoded

pytestmark = needs_linux
REAL_OPEN = av.open


class FakeDevice:
    """In place of `av.open`: plays a recording, or fails."""

    def __init__(
        self, failure: OSError | av.error.FFmpegError | None = None, size: tuple[int, int] = (160, 112)
    ) -> None:
        self.asked: dict[str, Any] = {}
        self._failure = failure
        self._recording = recording(size)

    def __call__(self, name: str, **options: Any) -> Any:
        self.asked = {"name": name, **options}
        if self._failure:
            raise self._failure
        return REAL_OPEN(self._recording)


def recording(size: tuple[int, int]) -> BytesIO:
    """Three numbered pictures in a container."""
    file = BytesIO()
    pictures = NumberedPictures(size)
    with av.open(file, "w", format="nut") as container:
        stream = container.add_mux_stream("mjpeg", rate=25, width=size[0], height=size[1])
        for number in range(3):
            packet = av.Packet(pictures.jpeg(number))
            packet.stream, packet.pts, packet.dts, packet.time_base = stream, number, number, Fraction(1, 25)
            container.mux(packet)
    file.seek(0)
    return file


def use(monkeypatch: pytest.MonkeyPatch, device: FakeDevice) -> FakeDevice:
    monkeypatch.setattr(av, "open", device)
    return device


def failing(code: int) -> FakeDevice:
    return FakeDevice(OSError(code, os.strerror(code), "/dev/video0"))


def test_pictures_of_a_device(monkeypatch: pytest.MonkeyPatch) -> None:
    device = use(monkeypatch, FakeDevice())
    captures = list(V4l2Connection("/dev/video0", (160, 112), Fraction(30)).pictures())
    assert [read_number(decoded(capture.data)[0]) for capture in captures] == [0, 1, 2]
    assert (device.asked["name"], device.asked["format"]) == ("/dev/video0", "v4l2")
    wanted = {"input_format": "mjpeg", "video_size": "160x112", "framerate": "30"}
    assert wanted.items() <= device.asked["options"].items()


def test_the_device_s_own_size_and_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    device = use(monkeypatch, FakeDevice())
    assert len(list(V4l2Connection("/dev/video0").pictures())) == 3
    assert not {"video_size", "framerate"} & device.asked["options"].keys()


def test_a_size_that_the_device_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, FakeDevice(size=(160, 112)))
    with pytest.raises(SourceError, match="/dev/video0 has no Motion-JPEG of 161x113: the nearest is 160x112"):
        list(V4l2Connection("/dev/video0", (161, 113)).pictures())


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (errno.ENOENT, "/dev/video0: there is no such device"),
        (errno.EACCES, "/dev/video0: permission denied: your user has to be in the group video"),
        (errno.EBUSY, "/dev/video0 is busy: another program uses the camera"),
        (errno.ENOTTY, "/dev/video0 is no camera"),
        (errno.ENODEV, "/dev/video0 is no camera"),
        (errno.EINVAL, "/dev/video0 delivers no Motion-JPEG: Invalid argument"),
    ],
)
def test_a_device_that_cannot_be_used(monkeypatch: pytest.MonkeyPatch, code: int, words: str) -> None:
    use(monkeypatch, failing(code))
    with pytest.raises(SourceError, match=words):
        list(V4l2Connection("/dev/video0").pictures())


@pytest.mark.parametrize(
    ("codes", "error", "words"),
    [
        ((b"YUYV", b"H264"), NotMjpeg, "delivers no Motion-JPEG, but YUYV, H264: this camera cannot be restored"),
        ((b"YUYV", b"MJPG"), SourceError, "delivers no Motion-JPEG of 64x48: Invalid argument"),
    ],
)
def test_a_device_with_other_formats(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, codes: tuple[bytes, ...], error: type[SourceError], words: str
) -> None:
    def ioctl(_: int, request: int, description: bytearray) -> None:
        index, kind = unpack_from("<II", description)
        assert (request, kind) == (v4l2._ENUM_FORMATS, 1)
        if index == len(codes):
            raise OSError(errno.EINVAL, "no more")
        pack_into("4s", description, 44, codes[index])

    monkeypatch.setattr("fcntl.ioctl", ioctl)
    use(monkeypatch, failing(errno.EINVAL))
    device = tmp_path / "video0"
    device.touch()
    with pytest.raises(error, match=words):
        list(V4l2Connection(str(device), (64, 48)).pictures())


def test_a_real_file_that_is_no_device(tmp_path: Path) -> None:
    device = tmp_path / "video0"
    device.touch()
    with pytest.raises(SourceError, match="video0 is no camera: try another device"):
        list(V4l2Connection(str(device)).pictures())
    with pytest.raises(SourceError, match="there is no such device"):
        list(V4l2Connection(str(tmp_path / "video1")).pictures())


def test_another_system(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "darwin")
    with pytest.raises(SourceError, match="V4L2 cameras exist on Linux only"):
        list(V4l2Connection("/dev/video0").pictures())
