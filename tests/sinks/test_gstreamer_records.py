"""A stream published at a real RTSP server, GStreamer's, where it is installed."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import av
import numpy as np
import pytest

from mjpeg_restore.frames import Frame
from mjpeg_restore.sinks import OutputSettings, open_sink
from tests.lacking import needs_gstreamer, needs_gstreamer_elements
from tests.sinks.conftest import flat

pytestmark = [needs_gstreamer, pytest.mark.network]
SCRIPTS = Path(__file__).parents[2] / "scripts"


def test_it_records_what_is_published(tmp_path: Path) -> None:
    needs_gstreamer_elements("rtph264depay", "h264parse", "mpegtsmux")
    recording = tmp_path / "a.ts"
    pipeline = f"( rtph264depay name=depay0 ! h264parse ! mpegtsmux ! filesink buffer-mode=2 location={recording} )"
    with subprocess.Popen(
        [sys.executable, "-m", "cameras.gstreamer", "--record", pipeline],
        cwd=SCRIPTS,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdin and process.stdout
        sink = open_sink(f"rtsp://127.0.0.1:{int(process.stdout.readline())}/video", OutputSettings(live=True))
        for index in range(40):
            sink.write(Frame(flat(128, 96, sample=(4 * index, 100, 150), index=index)))
            time.sleep(0.01)
        sink.close()
        assert sink.lost == 0
        time.sleep(0.3)
        process.stdin.close()
    with av.open(str(recording)) as container:
        levels = [float(frame.to_ndarray(format="gray8").mean()) for frame in container.decode(video=0)]
    assert len(levels) >= 35
    assert np.allclose(np.diff(levels), 4, atol=2)
