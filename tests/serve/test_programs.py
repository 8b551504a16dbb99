"""Programs that read the stream: FFmpeg's libraries, OpenCV, and this package."""

from __future__ import annotations

from collections.abc import Generator
from itertools import islice

import av
import pytest

from mjpeg_restore.serve import Access
from mjpeg_restore.sources import open_source
from tests.lacking import needs, needs_opencv
from tests.serve.clients import Server, shade
from tests.serve.served import ORIGINAL, RESTORED, SIZE, camera, playing

pytestmark = pytest.mark.network


@pytest.fixture
def server() -> Generator[Server]:
    door = camera("door")
    with Server([door], port=0, access=Access(token="abc")) as server, playing(door, 50):
        yield server


@pytest.mark.parametrize(("path", "luma"), [("stream", RESTORED), ("original/stream", ORIGINAL)])
def test_ffmpeg_reads_the_streams(server: Server, path: str, luma: int) -> None:
    with av.open(f"{server.url}{path}?token=abc", format="mpjpeg", timeout=60) as container:
        for frame in islice(container.decode(video=0), 3):
            assert (frame.width, frame.height) == SIZE
            assert abs(int(frame.to_ndarray(format="gray").mean()) - luma) <= 2


@needs_opencv
def test_opencv_reads_the_stream(server: Server) -> None:
    cv2 = needs("cv2")
    capture = cv2.VideoCapture(f"{server.url}stream?token=abc", cv2.CAP_FFMPEG)
    for _ in range(3):
        came, pixels = capture.read()
        assert came
        assert abs(int(pixels.mean()) - RESTORED) <= 2
    capture.release()


def test_this_package_reads_the_stream_as_a_camera(server: Server) -> None:
    with open_source(f"{server.url}stream?token=abc") as source:
        assert source.info.live
        packets = list(islice(source, 3))
    assert [shade(packet.data) for packet in packets] == [RESTORED] * 3


def test_a_password_in_the_address_is_enough(server: Server) -> None:
    with open_source(f"{server.url}stream".replace("//", "//anybody:abc@", 1)) as source:
        assert shade(next(iter(source)).data) == RESTORED
