"""A recording that was cut and joined is, packet by packet, what one run makes of it."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest

from mjpeg_restore.errors import SinkError
from mjpeg_restore.pipeline import PipelineSettings
from mjpeg_restore.sinks import OutputSettings
from mjpeg_restore.sinks.encoder import find_encoder
from tests.archive.comparing import InlineWorkers, archive, assert_same, contents, one_run, settings
from tests.archive.recordings import PICTURES, muxed, raw, uneven
from tests.sources.clips import time_of
from tests.sources.test_field_packets import HEIGHT, TICK, WIDTH, field


def assert_as_one_run(
    recording: Path, folder: Path, extension: str = ".mkv", codec: str = "ffv1", **policies: Any
) -> None:
    chosen = settings(10, extension, codec, policies=PipelineSettings(**policies))
    wanted = folder / f"wanted{extension}"
    try:
        one_run(recording, wanted, chosen)
    except SinkError as error:
        if "no video encoder" not in str(error):
            raise
        pytest.skip(f"needs the encoder {codec}")
    report, workers = archive(recording, folder / "out", chosen)
    assert report.failures == []
    assert [name for name, _ in workers.tasks].count("join") == 1
    assert_same(folder / "out" / f"{recording.stem}{extension}", wanted, lossless=codec != "av1")


CODECS = [
    *((extension, "ffv1") for extension in (".mkv", ".avi")),
    *((extension, "h264") for extension in (".mkv", ".mp4", ".mov", ".avi", ".ts")),
    *((extension, "mjpeg") for extension in (".mkv", ".mp4", ".avi")),
    (".mp4", "hevc"),
    (".webm", "vp9"),
    (".webm", "av1"),
]


@pytest.mark.parametrize(("extension", "codec"), CODECS)
def test_times_that_vary_and_sound(tmp_path: Path, extension: str, codec: str) -> None:
    recording = muxed(tmp_path / "cam.mov", time=uneven, sound="pcm_s16le")
    assert_as_one_run(recording, tmp_path, extension, codec)


@pytest.mark.parametrize("codec", ["h264", "hevc"])  # x265 decodes another picture last than it shows last
def test_a_last_picture_that_is_shown_for_long(tmp_path: Path, codec: str) -> None:
    assert_as_one_run(muxed(tmp_path / "cam.mov", last=5000), tmp_path, ".mp4", codec)


@pytest.mark.parametrize("extension", [".mkv", ".mp4", ".avi"])
def test_compressed_sound_is_copied_or_transcoded_as_in_one_run(tmp_path: Path, extension: str) -> None:
    assert_as_one_run(muxed(tmp_path / "cam.mp4", sound="aac"), tmp_path, extension, "mjpeg")


@pytest.mark.parametrize("extension", [".mkv", ".mp4", ".ts"])
@pytest.mark.parametrize("shown", [1, 2])
@pytest.mark.parametrize("codec", ["hevc", "h264"])
def test_a_first_part_of_too_few_pictures_to_be_reordered(
    tmp_path: Path, codec: str, shown: int, extension: str
) -> None:
    pictures = [data if number < shown else data[:200] for number, data in enumerate(PICTURES[:10])]
    recording = muxed(tmp_path / "cam.mkv", [*pictures, *PICTURES[10:33]])
    assert_as_one_run(recording, tmp_path, extension, codec, on_corrupt="drop")


def test_a_stream_without_times(tmp_path: Path) -> None:
    assert_as_one_run(raw(tmp_path / "cam.mjpeg", PICTURES), tmp_path)


@pytest.mark.parametrize("rotation", [90, 180])
def test_a_rotated_recording(tmp_path: Path, rotation: int) -> None:
    assert_as_one_run(muxed(tmp_path / "cam.mov", rotation=rotation), tmp_path, ".mp4", "h264")


@pytest.mark.parametrize("codec", ["ffv1", "mjpeg"])
def test_interlaced_fields_in_packets_of_their_own(tmp_path: Path, codec: str) -> None:
    fields = [field(number % 20) for number in range(50)]
    recording = muxed(tmp_path / "cam.mkv", fields, lambda number: number, base=TICK, size=(WIDTH, HEIGHT))
    assert_as_one_run(recording, tmp_path, ".mkv", codec)


def test_sound_and_pictures_alternate_as_in_one_run(tmp_path: Path) -> None:
    recording, chosen = muxed(tmp_path / "cam.mkv", sound="pcm_s16le"), settings(10)
    one_run(recording, tmp_path / "wanted.mkv", chosen)
    archive(recording, tmp_path / "out", chosen)
    assert contents(tmp_path / "out" / "cam.mkv").order == contents(tmp_path / "wanted.mkv").order


def test_each_part_begins_with_a_key_frame(tmp_path: Path) -> None:
    recording = muxed(tmp_path / "cam.mkv")
    archive(recording, tmp_path / "out", settings(10, ".mp4", "h264"))
    with av.open(str(tmp_path / "out" / "cam.mp4")) as container:
        keys = [time_of(packet) for packet in container.demux(video=0) if packet.size and packet.is_keyframe]
    assert {Fraction(4, 10) * number for number in range(4)} <= {*keys}


def test_the_number_of_workers_does_not_show(tmp_path: Path) -> None:
    """Lossy encoders decide otherwise with more threads: they have one, wherever they run."""
    chosen = replace(settings(10, ".mp4"), output=OutputSettings(codec="h264"))
    assert find_encoder("h264", chosen.output).name == "libx264"
    assert chosen.output_for(None, Fraction(1)).threads == 1
    recording = muxed(tmp_path / "cam.mkv")
    for slots in (1, 3):
        workers = InlineWorkers()
        workers.slots = slots
        archive(recording, tmp_path / str(slots), chosen, workers)
    assert (tmp_path / "1" / "cam.mp4").read_bytes() == (tmp_path / "3" / "cam.mp4").read_bytes()
