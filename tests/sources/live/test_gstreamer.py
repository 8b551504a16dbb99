"""Pictures of a real RTSP server, GStreamer's, where it is installed."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice, pairwise
from pathlib import Path

import pytest

from mjpeg_restore.address import Address
from mjpeg_restore.errors import NotMjpeg, SourceError
from mjpeg_restore.frames import Sampling
from mjpeg_restore.jpeg import read
from mjpeg_restore.sources.live.rtsp import RtspConnection
from mjpeg_restore.sources.live.settings import LiveSettings
from tests.lacking import needs_gstreamer, needs_gstreamer_elements

pytestmark = [needs_gstreamer, pytest.mark.network]
SCRIPTS = Path(__file__).parents[3] / "scripts"


@contextmanager
def gstreamer(coding: str) -> Iterator[str]:
    """Serve a test picture; the URL."""
    needs_gstreamer_elements(*re.findall(r"\w+(?:enc|pay)\b", coding))
    pipeline = f"( videotestsrc is-live=true ! video/x-raw,width=320,height=240,framerate=25/1 ! {coding} )"
    with subprocess.Popen(
        [sys.executable, "-m", "cameras.gstreamer", pipeline],
        cwd=SCRIPTS,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdin and process.stdout
        yield f"rtsp://127.0.0.1:{int(process.stdout.readline())}/video"
        process.stdin.close()


@pytest.mark.parametrize("transport", ["tcp", "udp"])
@pytest.mark.parametrize(("layout", "sampling"), [("I420", Sampling.YUV420), ("Y42B", Sampling.YUV422)])
def test_pictures(transport: str, layout: str, sampling: Sampling) -> None:
    with gstreamer(
        f"videoconvert ! video/x-raw,format={layout} ! jpegenc quality=70 ! rtpjpegpay name=pay0 pt=26"
    ) as url:
        settings = LiveSettings(rtsp_transport=transport)  # pyright: ignore[reportArgumentType]
        received = RtspConnection(Address.parse(url), settings).pictures()
        captures = list(islice(received, 5))
        received.close()
    for capture in captures:
        picture = read(capture.data)
        assert (picture.width, picture.height, picture.sampling, picture.damage) == (320, 240, sampling, None)
    assert all(before.arrived < after.arrived for before, after in pairwise(captures))


def test_refusals() -> None:
    with gstreamer("videoconvert ! theoraenc ! rtptheorapay name=pay0 pt=96") as url:
        with pytest.raises(NotMjpeg, match="sends theora, which has no JPEG coefficients"):
            list(RtspConnection(Address.parse(url)).pictures())
        with pytest.raises(SourceError, match="no stream of this path"):
            list(RtspConnection(Address.parse(f"{url}s")).pictures())
