"""Several outputs, opened by their names."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from mjpeg_restore.errors import OutputExists, SinkError
from mjpeg_restore.frames import Frame
from mjpeg_restore.outputs import open_outlets
from mjpeg_restore.sinks import Hls, OutputSettings, Push, RawStream, VideoFile, Y4mStream
from tests.lacking import needs_named_pipes
from tests.sinks.conftest import flat

LIVE = OutputSettings(live=True)


def test_each_target_has_a_sink_and_a_name(tmp_path: Path) -> None:
    targets = [
        tmp_path / "a.mp4",
        f"{tmp_path}/a.m3u8",
        "rtsp://u:geheim@h/x",
        f"raw:{tmp_path}/a",
        f"{tmp_path}/a.y4m",
    ]
    outlets = open_outlets(targets, OutputSettings())
    assert [type(outlet.sink) for outlet in outlets] == [VideoFile, Hls, Push, RawStream, Y4mStream]
    assert [outlet.name for outlet in outlets] == [*map(str, targets[:2]), "rtsp://h/x", *targets[3:]]
    for outlet in outlets:
        outlet.sink.discard()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("settings", [OutputSettings(), LIVE])
def test_of_a_camera_only_files_get_every_frame(tmp_path: Path, settings: OutputSettings) -> None:
    outlets = open_outlets([tmp_path / "a.mp4", tmp_path / "a.m3u8", "udp://h:1", "y4m:/dev/null"], settings)
    streams = "drop" if settings.live else "wait"
    assert [outlet.when_full for outlet in outlets] == ["wait", "wait", streams, streams]
    for outlet in outlets:
        outlet.sink.discard()


def test_a_setting_is_for_the_outputs_that_use_it(tmp_path: Path) -> None:
    targets = [tmp_path / "a.mkv", tmp_path / "a.y4m", tmp_path / "a.jpg"]
    settings = OutputSettings(codec="ffv1", range="limited", crf=3)
    for outlet in open_outlets(targets, OutputSettings(range="limited", crf=3)):
        outlet.sink.write(Frame(flat()))
        outlet.sink.close()
    with pytest.raises(SinkError, match="image format has no effect on a video file"):
        open_outlets(targets, OutputSettings(image_format="jpeg"))
    with pytest.raises(SinkError, match="codec has no effect on y4m"):
        open_outlets([tmp_path / "b.y4m", tmp_path / "b.jpg"], settings)
    assert len(list(tmp_path.iterdir())) == 3


@pytest.mark.parametrize(
    ("first", "second"), [("a.mp4", "./a.mp4"), ("raw:a.y4m", "a.y4m"), ("-", "-"), ("raw:-", "-"), ("tcp://h:1",) * 2]
)
def test_two_outputs_of_one_name_are_refused(
    first: str, second: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SinkError, match=r"is given twice"):
        open_outlets([first, second], OutputSettings())
    assert list(tmp_path.iterdir()) == []


def test_where_one_cannot_be_opened_none_is_left_behind(tmp_path: Path) -> None:
    (tmp_path / "b.mp4").write_text("mine")
    with pytest.raises(OutputExists):
        open_outlets([tmp_path / "a.mp4", tmp_path / "b.mp4"], OutputSettings())
    assert [path.name for path in tmp_path.iterdir()] == ["b.mp4"]


@needs_named_pipes
def test_a_pipe_waits_for_its_reader_only_once_all_else_is_well(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(SinkError, match="create it or choose another"):
        open_outlets([tmp_path / "pipe", tmp_path / "none" / "a.mp4"], OutputSettings())
    thread = threading.Thread(target=(tmp_path / "pipe").read_bytes)
    thread.start()
    outlets = open_outlets([tmp_path / "pipe", tmp_path / "a.mp4"], OutputSettings())
    assert [type(outlet.sink) for outlet in outlets] == [Y4mStream, VideoFile]
    for outlet in outlets:
        outlet.sink.discard()
    thread.join(60)
