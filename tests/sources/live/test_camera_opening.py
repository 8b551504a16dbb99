"""`open_source` with the names of cameras: a live source, and nothing is connected yet."""

from __future__ import annotations

from itertools import islice, pairwise

import pytest
from cameras.pictures import read_number
from cameras.rtsp import RtspCamera

from mjpeg_restore.errors import SourceError
from mjpeg_restore.sources.live.settings import LiveSettings
from mjpeg_restore.sources.opening import open_source
from tests.lacking import needs_linux
from tests.streams import decoded


@pytest.mark.network
def test_an_rtsp_camera_that_comes_back() -> None:
    with RtspCamera(fps=100, count=3) as camera, open_source(camera.url) as source:
        assert camera.connections == 0
        shown = (packet for packet in source if not packet.silent)
        packets = list(islice(shown, 5))
    assert [read_number(decoded(packet.data)[0]) for packet in packets] == [0, 1, 2, 0, 1]
    assert [packet.discontinuity for packet in packets] == [False, False, False, True, False]
    assert all(before.pts < after.pts for before, after in pairwise(packets))
    assert (source.info.live, source.info.format) == (True, "RTP/JPEG")


def test_the_name_shows_no_password() -> None:
    with open_source("rtsps://admin:secret@cam/1?pwd=secret") as source:
        assert source.info.name == "rtsps://cam/1?pwd=***"


def test_the_rate_of_an_rtsp_camera_may_be_stated() -> None:
    with open_source("rtsp://admin:secret@cam/1", fps=15) as source:
        assert source.info.fps == 15


def test_a_camera_has_no_second_track() -> None:
    with pytest.raises(SourceError, match="there is no track number 2"):
        open_source("rtsp://cam/1", track=2)


@pytest.mark.parametrize("spec", ["v4l2:", "v4l2://"])
def test_a_device_without_a_name(spec: str) -> None:
    with pytest.raises(SourceError, match="v4l2: names no device"):
        open_source(spec)


@needs_linux
@pytest.mark.parametrize("spec", ["v4l2:/dev/video-none", "V4L2:///dev/video-none"])
def test_a_device(spec: str) -> None:
    with open_source(spec, fps=30, camera=LiveSettings(size=(640, 480))) as source:
        assert (source.info.name, source.info.format, source.info.fps) == ("/dev/video-none", "Video4Linux2", 30)
        with pytest.raises(SourceError, match="/dev/video-none: there is no such device"):
            next(iter(source))
