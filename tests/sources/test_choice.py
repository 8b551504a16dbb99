"""Which tracks are chosen, and how the others are reported."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from mjpeg_restore.cli.inspect import described
from mjpeg_restore.cli.wording import left_out
from mjpeg_restore.errors import NotMjpeg, SourceError
from mjpeg_restore.inspection import survey
from mjpeg_restore.sources import SoundChoice, open_source
from tests.sources.clips import FRONT, RATE, REAR, add_cover, dashcam, film, mux_packet, pipe

CONTAINERS = ("avi", "mov", "mkv", "mp4", "nut")


@pytest.mark.parametrize("suffix", CONTAINERS)
def test_the_second_camera_is_reported_and_can_be_chosen(tmp_path: Path, suffix: str) -> None:
    path = dashcam(tmp_path / f"clip.{suffix}")
    with open_source(path) as source:
        assert [packet.data for packet in source] == FRONT
        remarks = [*left_out(source.info.tracks, sound=True)]
        assert remarks == ["track 2 of 2 is left out (Motion-JPEG, 80x64): --track 2 restores it"]
    with open_source(path, track=2) as source:
        assert [packet.data for packet in source] == REAR
        assert (source.info.width, source.info.height) == (80, 64)
        remarks = [*left_out(source.info.tracks, sound=True)]
        assert remarks == ["track 1 of 2 is left out (Motion-JPEG, 64x48): --track 1 restores it"]
        assert source.truncated is None
    for track in (3, 99):
        with pytest.raises(SourceError, match=rf"holds 2 Motion-JPEG tracks: there is no number {track}$"):
            open_source(path, track=track)


@pytest.mark.parametrize("track", [0, -1])
def test_tracks_are_counted_from_1(tmp_path: Path, track: int) -> None:
    with pytest.raises(SourceError, match="counted from 1"):
        open_source(dashcam(tmp_path / "clip.mkv"), track=track)


def test_the_second_camera_through_a_pipe(tmp_path: Path) -> None:
    data = dashcam(tmp_path / "clip.mkv").read_bytes()
    with open_source(pipe(data), track=2) as source:
        assert [packet.data for packet in source] == REAR


def test_sources_without_tracks_have_no_second_track(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(FRONT[0])
    (tmp_path / "a.mjpeg").write_bytes(b"".join(FRONT))
    for spec in (tmp_path, tmp_path / "a.jpg", tmp_path / "a.mjpeg", FRONT[0]):
        with pytest.raises(SourceError, match="not a container with tracks: there is no track number 2") as caught:
            open_source(spec, track=2)
        assert "\n" not in str(caught.value)
        with pytest.raises(SourceError, match="has no sound: there is no sound track 1"):
            open_source(spec, audio_track=1)
        with open_source(spec, track=1, audio_track="all") as source:
            assert list(source)


@pytest.mark.parametrize("suffix", CONTAINERS)
def test_the_first_audio_track_is_chosen_and_the_others_are_reported(tmp_path: Path, suffix: str) -> None:
    path = dashcam(tmp_path / f"clip.{suffix}", [], 3)
    with open_source(path) as source:
        (_,) = source.sound
        list(source)
        remarks = [*left_out(source.info.tracks, sound=True)]
    assert len(remarks) == 2
    assert remarks[0].startswith("sound track 2 of 3 is left out (")
    assert remarks[1].endswith(": --audio-track 3 takes it, all takes every one")
    if suffix in ("mkv", "nut", "avi"):
        assert "microphone 1" in remarks[0]


def test_audio_tracks_are_not_reported_if_sound_is_not_wanted(tmp_path: Path) -> None:
    with open_source(dashcam(tmp_path / "clip.mkv", [], 3)) as source:
        assert not [*left_out(source.info.tracks, sound=False)]


@pytest.mark.parametrize(("choice", "values"), [(1, [0]), (2, [100]), (3, [200]), ("all", [0, 100, 200])])
@pytest.mark.parametrize("suffix", ["avi", "mov", "mkv"])
def test_audio_tracks_are_chosen_by_number(tmp_path: Path, suffix: str, choice: SoundChoice, values: list[int]) -> None:
    with open_source(dashcam(tmp_path / f"clip.{suffix}", [], 3), audio_track=choice) as source:
        heard = [sound for packet in source for sound in packet.sound]
        samples = [
            np.frombuffer(b"".join(packet.data for packet in heard if packet.track == number), "<i2")
            for number in range(len(source.sound))
        ]
    assert [sorted(set(track)) for track in samples] == [[value] for value in values]
    assert [len(track) for track in samples] == [3200] * len(values)


def test_a_missing_audio_track_is_an_error(tmp_path: Path) -> None:
    path = dashcam(tmp_path / "clip.mkv", [], 2)
    with pytest.raises(SourceError, match="holds 2 sound tracks: there is no number 3"):
        open_source(path, audio_track=3)
    silent = dashcam(tmp_path / "silent.mkv", [])
    with pytest.raises(SourceError, match="holds no sound tracks: there is no number 1"):
        open_source(silent, audio_track=1)
    with open_source(silent, audio_track="all") as source:
        assert source.sound == ()


def test_inspect_lists_all_tracks(tmp_path: Path) -> None:
    with open_source(dashcam(tmp_path / "clip.mkv", sounds=2), track=2) as source:
        found = survey(source)
    words = ("kind", "number", "codec", "format", "language", "title", "chosen")
    assert [tuple(track[word] for word in words) for track in found.as_dict()["tracks"]] == [
        ("video", 1, "Motion-JPEG", "64x48", "", "", False),
        ("video", 2, "Motion-JPEG", "80x64", "", "", True),
        ("sound", 1, "pcm_s16le", "8000 Hz mono", "eng", "microphone 0", True),
        ("sound", 2, "pcm_s16le", "8000 Hz mono", "deu", "microphone 1", False),
    ]
    lines = described(found)
    assert "  video 2      Motion-JPEG, 80x64 (taken)" in lines
    assert "  sound 2      pcm_s16le, 8000 Hz mono, deu, microphone 1" in lines


@pytest.mark.parametrize("pictures", [1, 2])
@pytest.mark.parametrize("late", [0, 20])
@pytest.mark.parametrize("codec", ["libx264", "mpeg4"])
@pytest.mark.parametrize("suffix", ["avi", "mov", "mkv", "mp4", "nut"])
def test_a_preview_is_refused_unless_chosen(tmp_path: Path, suffix: str, codec: str, late: int, pictures: int) -> None:
    path = film(tmp_path / f"clip.{suffix}", FRONT[:pictures], codec=codec, late=late)
    name = {"libx264": r"H\.264", "mpeg4": "MPEG-4"}[codec]
    with pytest.raises(
        NotMjpeg, match=f"holds {name}, and its Motion-JPEG track is only a preview: track=1 restores the preview"
    ):
        open_source(path)
    with open_source(path, track=1) as source:
        assert [packet.data for packet in source] == FRONT[:pictures]
        assert [remark.split(" (")[0] for remark in left_out(source.info.tracks, sound=True)] == [
            "a video track is left out"
        ]


@pytest.mark.parametrize("suffix", ["mkv", "nut", "avi"])
def test_a_preview_through_a_pipe(tmp_path: Path, suffix: str) -> None:
    data = film(tmp_path / f"clip.{suffix}", FRONT[:1]).read_bytes()
    with pytest.raises(NotMjpeg, match="only a preview"):
        open_source(pipe(data))


@pytest.mark.parametrize("suffix", ["avi", "mov", "mkv", "mp4", "nut"])
def test_a_recording_beside_another_codec_is_restored_and_the_other_reported(tmp_path: Path, suffix: str) -> None:
    with open_source(film(tmp_path / f"clip.{suffix}", FRONT, frames=10)) as source:
        assert [packet.data for packet in source] == FRONT
        remarks = [*left_out(source.info.tracks, sound=True)]
        assert remarks == ["a video track is left out (H.264, 64x48): it is not Motion-JPEG"]


def test_a_preview_before_the_recording_is_skipped(tmp_path: Path) -> None:
    path = tmp_path / "clip.mkv"
    with av.open(str(path), "w") as container:
        preview = container.add_mux_stream("mjpeg", rate=25, width=80, height=64)
        main = container.add_mux_stream("mjpeg", rate=25, width=64, height=48)
        mux_packet(container, preview, REAR[0], 0, RATE)
        for number, data in enumerate(FRONT):
            mux_packet(container, main, data, number, RATE)
    with open_source(path) as source:
        assert [packet.data for packet in source] == FRONT
    with open_source(path, track=1) as source:
        assert [packet.data for packet in source] == REAR[:1]


def test_covers_have_no_number(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    with av.open(str(path), "w") as container:
        video = container.add_mux_stream("mjpeg", rate=25, width=64, height=48)
        video.time_base = RATE
        mux_packet(container, add_cover(container), REAR[0], 0, RATE)
        for number, data in enumerate(FRONT):
            mux_packet(container, video, data, number, RATE)
    with open_source(path) as source:
        assert [packet.data for packet in source] == FRONT
        assert [track.number for track in source.info.tracks] == [1]
        assert not source.remarks
    with pytest.raises(SourceError, match="holds 1 Motion-JPEG track: there is no number 2"):
        open_source(path, track=2)
