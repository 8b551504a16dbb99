"""The command on a camera: what it writes, logs, and returns, when the camera is well and when it is not."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.error import FFmpegError
from cameras.access import Access
from cameras.faults import Fault
from cameras.http import HttpCamera
from cameras.pictures import NumberedPictures, read_number

from mjpeg_restore.cli import inspect
from tests.cli.command import COMMAND, FAST, mux, run
from tests.patience import PATIENCE, until

SMALL = NumberedPictures((64, 48))
GONE = ["--stall-timeout", "60s", "--give-up", "3s"]
"""Give up a camera that is gone, and none whose machine is busy."""
HTML = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<!doctype html><html><body>Please log in</body></html>"


def frames(path: Path) -> list[av.VideoFrame]:
    with av.open(str(path)) as container:
        return list(container.decode(video=0))


def times(path: Path) -> list[Fraction]:
    return [frame.pts * frame.time_base for frame in frames(path) if frame.pts is not None and frame.time_base]


def numbers(path: Path) -> list[int | None]:
    return [read_number(frame.to_ndarray(format="gray").astype(np.uint8)) for frame in frames(path)]


def balance(report: dict[str, int]) -> int:
    return report["frames"] - report["held"] + report["dropped"] + report["unreadable"]


def record(
    camera: HttpCamera, output: Path, capfd: pytest.CaptureFixture[str], *words: object, count: int = 0
) -> tuple[dict[str, int], str]:
    """Record so many pictures; without a count until the camera is gone for good: exit code 3, and a file all the same.

    Nothing is dropped, so that the file has what was sent even if the machine is busy.
    """
    end = ["--frames", count, "--give-up", "60s"] if count else []
    code, out, err = run([camera.url, "-o", output, *FAST, *GONE, *end, "--drop", "never", "--json", *words], capfd)
    assert code == (0 if count else 3), err
    report = json.loads(out)
    assert report["packets"] == balance(report)
    return report, err


def test_a_camera_that_goes_away_for_good_leaves_a_whole_file(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with HttpCamera(SMALL, fps=40, faults=[Fault("unreachable", 10, seconds=30)]) as camera:
        report, err = record(camera, tmp_path / "out.mp4", capfd)
        assert report["frames"] == len(camera.numbers())
        assert numbers(tmp_path / "out.mp4") == camera.numbers()
    found = times(tmp_path / "out.mp4")
    assert found[0] == 0 and found == sorted(set(found))
    lines = err.splitlines()
    assert re.fullmatch(r"mjpeg-restore: [-0-9]+ [:0-9]+ http://127\.0\.0\.1:\d+/video: connected", lines[0])
    assert lines[1].endswith("; connecting again")
    assert lines[-1].endswith(f"{camera.url}: nothing came for 3 s, gave up")
    assert len(lines) <= 6  # one line when something changes


def test_it_comes_back_and_keeps_the_gap(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    faults = [Fault("break", 5), Fault("status", 15, seconds=1)]
    with HttpCamera(SMALL, faults=faults) as camera:  # as fast as they are taken
        report, _ = record(camera, tmp_path / "out.mkv", capfd, count=30)
    assert report["connection"] == {"connected": True, "reconnects": 2, "stalls": 0, "gave_up": False}
    shown = [number for number in numbers(tmp_path / "out.mkv") if number is not None]
    assert {number for number in camera.numbers() if number <= shown[-1]} <= set(shown)
    assert shown == sorted(shown)
    assert max(np.diff([float(time) for time in times(tmp_path / "out.mkv")])) > 0.2


def test_nothing_there_is_one_line_and_3(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with HttpCamera(SMALL) as camera:
        url = camera.url
    code, _, err = run([url, "-o", tmp_path / "out.mp4", *FAST, "--give-up", "0.3s"], capfd)
    assert code == 3
    assert "refused" in err and "gave up" in err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["out.mp4", "out.mkv"])
def test_credentials_are_written_nowhere(name: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    access = Access("alice", "s3cret/word", "digest")
    faults = [Fault("unreachable", 5, seconds=30)]
    with HttpCamera(SMALL, fps=40, access=access, faults=faults) as camera:
        url = camera.url.replace("http://", "http://alice:s3cret%2Fword@") + "?token=t0ken"
        code, out, err = run([url, "-o", tmp_path / name, *FAST, *GONE, "--json"], capfd)
    with HttpCamera(SMALL, access=access) as camera:
        wrong = camera.url.replace("http://", "http://alice:wr0ng@")
        refused, _, reason = run([wrong, "-o", tmp_path / "no.mp4", *FAST], capfd)
    assert (code, refused) == (3, 3)
    assert json.loads(out)["frames"] >= 1
    everything = out + err + reason + (tmp_path / name).read_bytes().decode("latin-1")
    for secret in ("alice", "s3cret", "wr0ng", "t0ken"):
        assert secret not in everything
    assert reason.count("\n") == 1 and "password" in reason


@pytest.mark.parametrize("start", ["", "http:/", "http//", "://"])
def test_an_address_without_a_scheme_shows_no_password(start: str, capfd: pytest.CaptureFixture[str]) -> None:
    code, _, err = run([f"{start}alice:s3cret@127.0.0.1/video?token=t0ken", "-o", "out.mp4", *FAST], capfd)
    assert code == 3
    assert err.endswith("127.0.0.1/video?token=*** is no address without http:// or rtsp:// in front\n")
    assert "s3cret" not in err


def test_a_url_among_wrong_arguments_shows_no_password(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        run(["in.avi", "-o", "out.mp4", "--bogus", "http://alice:s3cret@cam/"], capfd)
    err = capfd.readouterr().err
    assert "http://cam/" in err and "s3cret" not in err


def test_a_login_page_is_one_clear_sentence(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with HttpCamera(pages={"/video": HTML}) as camera:
        code, _, err = run([camera.url, "-o", tmp_path / "out.mp4", *FAST], capfd)
    assert code == 3
    assert err.count("\n") == 1 and "web page" in err
    assert not list(tmp_path.iterdir())


def test_the_log_as_json(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with HttpCamera(SMALL, fps=40, faults=[Fault("unreachable", 8, seconds=30)]) as camera:
        _, err = record(camera, tmp_path / "out.mp4", capfd, "--log-format", "json")
    lines = [json.loads(line) for line in err.splitlines()]
    events = [line["event"] for line in lines if "event" in line]
    assert events[0] == "connected" and events[-1] == "gave_up"
    assert all(line["source"] == camera.url for line in lines if "event" in line)
    assert {"time", "level", "message"} <= set(lines[0])


def test_quiet_logs_errors_alone(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with HttpCamera(SMALL, fps=40, faults=[Fault("unreachable", 8, seconds=30)]) as camera:
        _, err = record(camera, tmp_path / "out.mp4", capfd, "-q")
    assert len(err.splitlines()) == 1 and "gave up" in err


def test_damage_is_repaired_counted_and_logged_once(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    faults = [Fault("truncate", at) for at in range(4, 20, 2)]
    with HttpCamera(NumberedPictures(), faults=faults) as camera:  # as fast as they are taken
        report, err = record(camera, tmp_path / "out.mp4", capfd, count=24)
    assert report["damaged"] == report["repaired"] == len(camera.numbers("damaged")) == len(faults)
    assert report["frames"] == 24
    assert err.count("damaged since packet ") == 1


@pytest.mark.parametrize("policy", ["gap", "hold", "black"])
def test_what_is_written_during_a_stall(policy: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "out.mp4"
    with HttpCamera(SMALL, fps=20, faults=[Fault("stall", 10, seconds=3)]) as camera:
        report, _ = record(camera, output, capfd, "--on-stall", policy, count=15)
    sent, shown = camera.numbers(), numbers(output)
    before, after = max(number for number in sent if number < 10), min(number for number in sent if number > 10)
    between = shown[shown.index(before) + 1 : shown.index(after)]  # how many depends on the machine
    assert set(between) == {"gap": set(), "hold": {before}, "black": {0}}[policy]  # black is read as 0
    assert policy == "gap" or len(between) >= 2
    black = [frame for frame in frames(output) if frame.to_ndarray(format="gray").max() < 20]
    assert len(black) == (report["held"] if policy == "black" else 0)
    if policy == "gap":
        assert report["held"] == 0
        assert np.diff([float(time) for time in times(output)]).max() > 1.5


def test_a_new_size_is_scaled(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with HttpCamera(SMALL, faults=[Fault("resize", 5, size=(128, 48))]) as camera:  # as fast as they are taken
        report, _ = record(camera, tmp_path / "out.mp4", capfd, count=12)
    assert (report["frames"], report["resized"]) == (12, 7)
    assert {(frame.width, frame.height) for frame in frames(tmp_path / "out.mp4")} == {(64, 48)}


def test_a_new_size_gets_bars(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with HttpCamera(SMALL, faults=[Fault("resize", 5, size=(128, 48))]) as camera:  # as fast as they are taken
        record(camera, tmp_path / "out.mp4", capfd, "--on-resize", "letterbox", count=12)
    last = frames(tmp_path / "out.mp4")[-1].to_ndarray(format="gray")
    assert last[:8].max() < 20 and last[-8:].max() < 20


def test_a_new_size_begins_a_new_file(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with HttpCamera(SMALL, faults=[Fault("resize", 5, size=(128, 48))]) as camera:  # as fast as they are taken
        report, _ = record(camera, tmp_path / "out.mp4", capfd, "--on-resize", "new-file", count=12)
    first, second = sorted(tmp_path.iterdir())
    assert (len(frames(first)), len(frames(second))) == (5, 7)
    assert (frames(second)[0].width, report["resized"]) == (128, 0)


def test_segments_have_every_picture_once(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with HttpCamera(SMALL, fps=20) as camera:
        record(camera, tmp_path / "out.mp4", capfd, "--segment", "1s", count=60)
    files = sorted(tmp_path.iterdir())
    assert len(files) >= 2
    assert [number for file in files for number in numbers(file)] == camera.numbers()[:60]


def test_options_of_cameras_are_refused_for_recordings(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    clip = mux(tmp_path / "clip.avi", [0, 40, 80])
    code, _, err = run([clip, "-o", tmp_path / "out.mp4", *FAST, "--stall-timeout", "5s"], capfd)
    assert code == 3
    assert err.count("\n") == 1 and err.endswith("is a recording, no camera: leave --stall-timeout out\n")
    assert not (tmp_path / "out.mp4").exists()


@pytest.mark.parametrize("name", ["clip.avi", "folder"])
def test_recordings_are_not_taken_for_cameras(name: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    mux(tmp_path / "clip.avi", [0, 40, 80])
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "a.jpg").write_bytes(SMALL.jpeg(0))
    code, _, err = run([tmp_path / name, "-o", tmp_path / "out.mp4", *FAST, "--live"], capfd)
    assert code == 3
    assert err.count("\n") == 1 and err.endswith(f"{name} is a recording, no camera: leave --live out\n")
    assert not (tmp_path / "out.mp4").exists()


def test_a_recording_over_http_takes_the_options_of_servers(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    data = mux(tmp_path / "clip.avi", [0, 40, 80]).read_bytes()
    head = f"HTTP/1.1 200 OK\r\nContent-Type: video/x-msvideo\r\nContent-Length: {len(data)}\r\n\r\n"
    with HttpCamera(pages={"/video": head.encode() + data}) as camera:
        words = [camera.url, "-o", tmp_path / "out.mp4", *FAST, "--stall-timeout", "5s", "--insecure"]
        code, _, err = run(words, capfd)
    assert code == 0, err
    assert len(frames(tmp_path / "out.mp4")) == 3


@pytest.mark.parametrize("words", [["--size", "640x480"], ["--rtsp-transport", "udp"]])
def test_options_of_other_cameras_are_refused(words: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    with HttpCamera(SMALL) as camera:
        code, _, err = run([camera.url, "--verify", *FAST, *words], capfd)
        assert (code, err) == (3, f"mjpeg-restore: {camera.url} decides that itself: leave {words[0]} out\n")


def start(words: Sequence[object]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [*COMMAND, *map(str, words)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
    )


@pytest.mark.parametrize("name", ["out.mp4", "out.mkv"])
def test_a_recording_survives_kill_9(name: str, tmp_path: Path) -> None:
    read = [-1]

    def keeps_up() -> bool:
        sent = camera.sent[-1].number
        with suppress(FFmpegError, IndexError):  # it is being written
            read.append(max([number for number in numbers(tmp_path / name) if number is not None], default=-1))
        return read[-1] >= max(45, sent - 45)  # all but the last second or so

    with HttpCamera(SMALL, fps=30) as camera:
        process = start([camera.url, "-o", tmp_path / name, *FAST])
        until(lambda: len(camera.sent) >= 90)
        until(keeps_up)
        process.kill()
        process.communicate()
    found = [number for number in numbers(tmp_path / name) if number is not None]
    assert found == sorted(found)
    assert found[-1] >= read[-1]
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_ctrl_c_loses_nothing_that_had_arrived(tmp_path: Path) -> None:
    output = tmp_path / "out.mp4"
    with HttpCamera(SMALL, fps=30) as camera:
        process = start([camera.url, "-o", output, *FAST, "--drop", "never", "--json"])
        until(lambda: len(camera.sent) >= 120 and output.exists())
        before = len(camera.sent)
        os.killpg(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130, err
    report = json.loads(out)
    assert report["interrupted"] and report["packets"] == balance(report)
    assert before - 90 <= report["packets"] <= len(camera.sent)  # what the system still holds has not arrived
    assert numbers(output) == camera.numbers()[: report["frames"]]


def test_inspect_looks_at_some_pictures_of_a_camera(capfd: pytest.CaptureFixture[str]) -> None:
    with HttpCamera(SMALL) as camera:
        code, out, err = run(["inspect", camera.url, "--json"], capfd)
    assert (code, err) == (0, "")
    found = json.loads(out)
    assert (found["pictures"], found["timestamps"], found["sizes"]) == (100, "arrival", {"64x48": 100})


def test_two_fields_in_a_part_are_woven(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """S5, S6: no container states the height, but AVI1 segments name the fields."""

    def fields(number: int) -> bytes:
        jpeg = SMALL.jpeg(number)
        marks = (b"\xff\xe0\x00\x10AVI1" + bytes([polarity]) + bytes(9) for polarity in (1, 2))
        return b"".join(jpeg[:2] + mark + jpeg[2:] for mark in marks)

    with HttpCamera(fields) as camera:
        report, _ = record(camera, tmp_path / "out.mkv", capfd, "-c", "ffv1", count=8)
    assert numbers(tmp_path / "out.mkv") == [*range(8)]
    assert (report["size"], report["extra"]) == ([64, 96], 0)
    with av.open(str(tmp_path / "out.mkv")) as container:
        assert next(container.decode(video=0)).interlaced_frame


def test_inspect_does_not_wait_for_ever(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(inspect, "PATIENCE", 0.3)
    with HttpCamera(SMALL) as camera:
        url = camera.url
    code, _, err = run(["inspect", url], capfd)
    assert code == 3
    waits, ends = err.splitlines()
    assert "refused" in waits and "gave up" in ends
