"""Recordings of several tracks."""

from __future__ import annotations

import json
from pathlib import Path

import av
import numpy as np
import pytest

from mjpeg_restore.cli import main
from tests.cli.command import FAST, run
from tests.sources.clips import FRONT, dashcam, film


def size_of(path: Path) -> tuple[int, int]:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        return stream.width, stream.height


def test_the_second_camera(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = dashcam(tmp_path / "clip.mkv")
    for words, size, other in (([], (64, 48), 2), (["--track", "2"], (80, 64), 1)):
        code, out, err = run([path, "-o", tmp_path / "out.mkv", *words, *FAST, "-y", "--json"], capfd)
        assert code == 0
        assert size_of(tmp_path / "out.mkv") == size
        assert f"mjpeg-restore: track {other} of 2 is left out (" in err
        assert [remark[:7] for remark in json.loads(out)["remarks"]] == [f"track {other}"]
    code, out, _ = run(["inspect", path, "--track", "2", "--json"], capfd)
    assert code == 0
    assert json.loads(out)["sizes"] == {"80x64": 10}
    assert [track["chosen"] for track in json.loads(out)["tracks"]] == [False, True]


@pytest.mark.parametrize(("words", "says"), [(["--track", "3"], "2 Motion"), (["--audio-track", "2"], "1 sound")])
def test_a_track_that_is_not_there_is_one_line(
    tmp_path: Path, words: list[str], says: str, capfd: pytest.CaptureFixture[str]
) -> None:
    path = dashcam(tmp_path / "clip.mkv", sounds=1)
    code, out, err = run([path, "-o", tmp_path / "out.mkv", *words, *FAST], capfd)
    assert (code, out, err.count("\n")) == (3, "", 1)
    assert says in err
    assert not (tmp_path / "out.mkv").exists()


def test_a_stream_has_no_second_track(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "clip.mjpeg"
    path.write_bytes(b"".join(FRONT))
    code, _, err = run([path, "-o", tmp_path / "out.mkv", "--track", "2", *FAST], capfd)
    assert (code, err.count("\n")) == (3, 1)


@pytest.mark.parametrize("words", [["--track", "0"], ["--track", "all"], ["--audio-track", "some"]])
def test_tracks_are_numbers_from_1(words: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["in.avi", "-o", "out.mp4", *words])
    assert caught.value.code == 2
    assert capfd.readouterr().err.count("\n") == 1


def test_sound_is_either_chosen_or_left_out(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["in.avi", "-o", "out.mp4", "--no-audio", "--audio-track", "all"])
    assert "--audio-track and --no-audio exclude each other" in capfd.readouterr().err


def samples(path: Path, track: int) -> np.ndarray:
    """All samples of a track of sound, as int16."""
    resampler = av.AudioResampler("s16", "mono", 8000)
    with av.open(str(path)) as container:
        parts = [part for frame in container.decode(audio=track) for part in resampler.resample(frame)]
    return np.concatenate([part.to_ndarray()[0] for part in parts])


@pytest.mark.parametrize("suffix", ["mkv", "mov", "mp4", "avi", "webm"])
def test_all_sound_is_kept(tmp_path: Path, suffix: str, capfd: pytest.CaptureFixture[str]) -> None:
    path = dashcam(tmp_path / "clip.mkv", [], 3)
    target = tmp_path / f"out.{suffix}"
    code, _, err = run([path, "-o", target, "--audio-track", "all", *FAST], capfd)
    assert code == 0
    assert "sound track" not in err
    with av.open(str(target)) as container:
        assert len(container.streams.audio) == 3
        if suffix == "mkv":
            labels = [(stream.metadata["language"], stream.metadata["title"]) for stream in container.streams.audio]
            assert labels == [("eng", "microphone 0"), ("deu", "microphone 1"), ("fra", "microphone 2")]
    if suffix in ("mkv", "mov", "avi"):  # the others transcode: a constant is no sound that is kept
        assert [int(np.median(samples(target, track))) for track in range(3)] == [0, 100, 200]


@pytest.mark.parametrize(("number", "value"), [(1, 0), (2, 100), (3, 200)])
def test_one_sound_is_kept_and_the_others_are_told(
    tmp_path: Path, number: int, value: int, capfd: pytest.CaptureFixture[str]
) -> None:
    path = dashcam(tmp_path / "clip.avi", [], 3)
    code, _, err = run([path, "-o", tmp_path / "out.mkv", "--audio-track", number, *FAST], capfd)
    assert code == 0
    assert err.count("mjpeg-restore: sound track ") == 2
    with av.open(str(tmp_path / "out.mkv")) as container:
        assert len(container.streams.audio) == 1
    assert int(np.median(samples(tmp_path / "out.mkv", 0))) == value


def test_sound_is_not_told_of_where_none_is_wanted(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = dashcam(tmp_path / "clip.avi", [], 2)
    assert "sound track" not in run([path, "-o", tmp_path / "out.mkv", "--no-audio", *FAST], capfd)[2]


def test_a_preview_is_no_recording(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = film(tmp_path / "clip.mkv", FRONT[:1])
    for words in ([path, "-o", tmp_path / "out.mkv", *FAST], ["inspect", path]):
        code, out, err = run(words, capfd)
        assert (code, out, err.count("\n")) == (3, "", 1)
        assert "holds H.264, and its Motion-JPEG track is only a preview: --track 1 restores the preview" in err
    code, _, err = run([path, "-o", tmp_path / "out.mkv", "--track", "1", *FAST], capfd)
    assert code == 0
    assert "a video track is left out (H.264, 64x48): it is not Motion-JPEG" in err
