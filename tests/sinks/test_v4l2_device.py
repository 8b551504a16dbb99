"""Virtual cameras, without one: what the driver is asked for, and what its answers mean."""

from __future__ import annotations

import errno
import fcntl
import shutil
import subprocess
from pathlib import Path
from struct import Struct

import pytest

from mjpeg_restore.errors import SinkError
from mjpeg_restore.frames import Frame, Sampling
from mjpeg_restore.sinks import OutputSettings, V4l2Device, open_sink, v4l2
from tests.lacking import needs_linux
from tests.sinks.conftest import flat

pytestmark = needs_linux
LIVE = OutputSettings(live=True)
PIX = Struct("=8I")


class FakeDriver:
    """In place of `ioctl`, for a file that stands for the device."""

    def __init__(self, size: tuple[int, int] | None = None, failure: int = 0) -> None:
        self.asked: list[tuple[int, tuple[int, ...]]] = []
        self._size, self._failure = size, failure

    def __call__(self, file: int, request: int, data: bytearray) -> int:
        if self._failure:
            raise OSError(self._failure, "refused")
        self.asked.append((request, PIX.unpack_from(data, 8)))
        assert data[:4] == b"\2\0\0\0"
        if self._size:
            data[8:16] = b"".join(side.to_bytes(4, "little") for side in self._size)
        return 0


def device(folder: Path) -> Path:
    path = folder / "video10"
    path.touch()
    return path


def use(monkeypatch: pytest.MonkeyPatch, driver: FakeDriver) -> FakeDriver:
    monkeypatch.setattr(fcntl, "ioctl", driver)
    return driver


def test_a_picture_is_420_in_limited_range_in_one_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    driver = use(monkeypatch, FakeDriver())
    path = device(tmp_path)
    sink = open_sink(f"v4l2:{path}", LIVE)
    assert isinstance(sink, V4l2Device)
    for index in range(2):
        sink.write(Frame(flat(18, 10, Sampling.YUV422, (255, 128, 128), index=index)))
    sink.close()
    ((request, asked),) = driver.asked
    assert request == 0xC0D05605
    assert asked == (18, 10, 0x32315559, 1, 18, 270, 1, 0)
    assert path.read_bytes() == 2 * (bytes([235]) * 180 + bytes([128]) * 90)


def test_a_device_that_others_use_at_another_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, FakeDriver(size=(640, 480)))
    sink = V4l2Device(str(device(tmp_path)), LIVE)
    with pytest.raises(SinkError, match="keeps 640x480 for whoever has it open, not 128x96"):
        sink.write(Frame(flat()))
    sink.discard()


def test_what_is_no_virtual_camera(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sink = V4l2Device(str(device(tmp_path)), LIVE)  # a file
    with pytest.raises(SinkError, match=r"takes no pictures .*: is it a virtual camera"):
        sink.write(Frame(flat()))
    sink.discard()
    use(monkeypatch, FakeDriver(failure=errno.EBUSY))
    sink = V4l2Device(str(device(tmp_path)), LIVE)
    with pytest.raises(SinkError, match="takes no pictures"):
        sink.write(Frame(flat()))
    sink.discard()
    with pytest.raises(SinkError, match=r"cannot open /dev/video250 .*modprobe v4l2loopback"):
        open_sink("/dev/video250")


def test_it_has_no_settings(tmp_path: Path) -> None:
    with pytest.raises(SinkError, match="codec has no effect on a virtual camera"):
        open_sink(f"v4l2:{device(tmp_path)}", OutputSettings(codec="h264"))


@pytest.mark.skipif(
    shutil.which("cc") is None or not Path("/usr/include/linux/videodev2.h").exists(),
    reason="needs a C compiler and Linux's headers",
)
def test_the_structure_is_that_of_the_kernel(tmp_path: Path) -> None:
    (tmp_path / "a.c").write_text(
        "#include <linux/videodev2.h>\n#include <stddef.h>\n#include <stdio.h>\n"
        'int main(void) { printf("%lu %zu %zu %d %u %d %d", (unsigned long) VIDIOC_S_FMT, sizeof(struct v4l2_format), '
        "offsetof(struct v4l2_format, fmt), V4L2_BUF_TYPE_VIDEO_OUTPUT, V4L2_PIX_FMT_YUV420, V4L2_FIELD_NONE, "
        "V4L2_COLORSPACE_SMPTE170M); }\n"
    )
    subprocess.run(["cc", "-o", tmp_path / "a", tmp_path / "a.c"], check=True)
    found = [int(word) for word in subprocess.check_output([tmp_path / "a"], text=True).split()]
    names = ("_SET_FORMAT", "_FORMAT_SIZE", "_PIXELS_AT", "_VIDEO_OUTPUT", "_YUV420", "_PROGRESSIVE", "_SMPTE170M")
    assert found == [getattr(v4l2, name) for name in names]
