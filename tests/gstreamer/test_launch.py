"""The element as gst-launch-1.0 runs it, found by GStreamer's loader of Python plugins."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import pytest

from mjpeg_restore.gstreamer import PLUGIN_PATH
from tests.cli.command import run
from tests.gstreamer.conftest import Launch
from tests.lacking import needs_gstreamer_elements
from tests.sources.clips import mux_packet
from tests.sources.live.http_servers import CLOSE, Request, Server, multipart
from tests.streams import cut, still


def clip(path: Path, sampling: str = "4:2:0") -> Path:
    """An AVI file of twelve pictures, one of them damaged."""
    packets = [still(seed, sampling, (80, 64)) for seed in range(12)]
    packets[7] = cut(packets[7])
    with av.open(str(path), "w") as container:
        track = container.add_mux_stream("mjpeg", rate=25, width=80, height=64)
        for number, packet in enumerate(packets):
            mux_packet(container, track, packet, number, Fraction(1, 25))
    return path


@pytest.mark.slow
@pytest.mark.parametrize("model", ["decode", "stream"])
@pytest.mark.parametrize("sampling", ["4:2:0", "4:2:2", "4:4:4"])
def test_pixels_are_those_that_the_command_writes(
    launch: Launch, tmp_path: Path, capfd: pytest.CaptureFixture[str], model: str, sampling: str
) -> None:
    needs_gstreamer_elements("avidemux", "y4menc")
    path, theirs, ours = clip(tmp_path / "clip.avi", sampling), tmp_path / "theirs.y4m", tmp_path / "ours.y4m"
    done = launch(
        f"filesrc location={path} ! avidemux ! mjpegrestore model={model} ! y4menc ! filesink location={ours}"
    )
    assert done.returncode == 0, done.stderr
    code, _, errors = run([path, "-o", theirs, "--model", model, "--quiet"], capfd)
    assert code == 0, errors
    # The headers name the same things in another order.
    frames = [path.read_bytes().partition(b"\n")[2] for path in (ours, theirs)]
    assert len(frames[0]) > 12 * 80 * 64
    assert frames[0] == frames[1]


@pytest.mark.slow
@pytest.mark.network
def test_a_camera_is_recorded(launch: Launch, tmp_path: Path) -> None:
    needs_gstreamer_elements("souphttpsrc", "multipartdemux", "x264enc", "mp4mux")
    target = tmp_path / "camera.mp4"

    def camera(request: Request) -> Iterator[bytes | float]:
        yield from multipart([still(seed, size=(160, 128)) for seed in range(25)], pause=0.04)
        yield b"--frame--\r\n"
        yield CLOSE

    with Server(camera) as server:
        done = launch(
            f"-e souphttpsrc location={server.url()} is-live=true do-timestamp=true ! multipartdemux ! queue "
            f"! mjpegrestore ! queue ! x264enc tune=zerolatency ! mp4mux ! filesink location={target}"
        )
    assert done.returncode == 0, done.stderr
    with av.open(str(target)) as recording:
        track = recording.streams.video[0]
        # H.273: full range, BT.601's matrix, sRGB's primaries and transfer (C7).
        colour = track.codec_context
        assert (colour.color_range, colour.colorspace, colour.color_primaries, colour.color_trc) == (2, 6, 1, 13)
        times = [frame.time for frame in recording.decode(track)]
    # A picture that arrives together with the one before it gets no time from the demuxer, and none is recorded of it.
    assert 10 <= len(times) <= 25
    assert times == sorted(times)


def test_the_plugin_path_is_printed(launch: Launch) -> None:
    done = subprocess.run([sys.executable, "-m", "mjpeg_restore.gstreamer"], capture_output=True, text=True, check=True)
    assert done.stdout == f"{PLUGIN_PATH}\n"
    assert (PLUGIN_PATH / "python" / "mjpegrestore.py").is_file()


def test_a_python_without_the_packages_is_one_sentence(
    environment: dict[str, str], launch: Launch, tmp_path: Path
) -> None:
    (tmp_path / "numpy.py").write_text('raise ImportError("built for another Python")')
    altered = {
        "PYTHONPATH": os.pathsep.join([str(tmp_path), environment["PYTHONPATH"]]),
        "GST_REGISTRY": str(tmp_path / "registry.bin"),
    }
    done = subprocess.run(
        ["gst-inspect-1.0", "mjpegrestore"], env=environment | altered, capture_output=True, text=True
    )
    assert "Traceback" not in done.stderr
    (line,) = (line for line in done.stderr.splitlines() if line.startswith("mjpegrestore: "))
    assert "built for another Python" in line
