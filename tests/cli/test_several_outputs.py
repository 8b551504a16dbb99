"""The command with several outputs, and with those that are no files."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import threading
import time
from pathlib import Path

import av
import numpy as np
import pytest
from cameras.http import HttpCamera
from cameras.pictures import NumberedPictures, read_number

from tests.cli.command import COMMAND, FAST, SIZE, assert_one_line, run, times
from tests.lacking import needs_linux, needs_named_pipes
from tests.patience import PATIENCE, until
from tests.sinks.rtsp_server import RtspServer, decoded


def test_several_outputs_get_the_same_pictures(clip: Path, output: Path, capfd: pytest.CaptureFixture[str]) -> None:
    names = [output / name for name in ("a.mp4", "b.y4m", "c.m3u8", "d.ts")]
    words = [word for name in names for word in ("-o", name)]
    code, out, err = run([clip, *words, "--crf", 20, "--json", *FAST], capfd)
    assert code == 0, err
    assert [len(times(name)) for name in names[:3]] == [6] * 3
    a, b, c, d = names
    assert f"6 frames to {a}, {b}, {c} and {d}, " in err
    report = json.loads(out)
    assert [(found["name"], found["frames"], found["error"]) for found in report["outputs"]] == [
        (str(name), 6, None) for name in names
    ]


def test_a_file_and_standard_output(clip: Path, output: Path) -> None:
    words = [*COMMAND, clip, "-o", output / "a.mp4", "-o", "raw:-", "--pixel-format", "gray", "--json", *FAST]
    done = subprocess.run(words, capture_output=True)
    assert done.returncode == 0
    assert len(done.stdout) == 6 * SIZE[0] * SIZE[1]
    lines = done.stderr.decode().splitlines()
    assert "-pixel_format gray -video_size 64x48 -framerate 25" in lines[0]
    assert json.loads(next(line for line in lines if line.startswith("{")))["frames"] == 6
    assert len(times(output / "a.mp4")) == 6


def test_mpegts_on_standard_output_for_ffmpeg(clip: Path, tmp_path: Path) -> None:
    done = subprocess.run([*COMMAND, clip, "-o", "ts:-", *FAST], capture_output=True)
    assert done.returncode == 0
    (tmp_path / "a.ts").write_bytes(done.stdout)
    assert len(times(tmp_path / "a.ts")) == 6


@pytest.mark.parametrize(
    "words", [["-o", "-", "-o", "-"], ["-o", "-", "-o", "raw:-"], ["-o", "a.mp4", "-o", "./a.mp4"]]
)
def test_one_output_twice_is_refused(
    words: list[str], clip: Path, output: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(output)
    code, out, err = run([clip, *words, *FAST], capfd)
    assert (code, out) == (5, "")
    assert_one_line(err)
    assert "is given twice" in err
    assert list(output.iterdir()) == []


def test_where_one_of_several_exists_none_is_begun(clip: Path, output: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (output / "b.mp4").write_text("mine")
    code, _, err = run([clip, "-o", output / "a.mp4", "-o", output / "b.mp4", *FAST], capfd)
    assert code == 5
    assert f"{output / 'b.mp4'} exists: -y replaces it" in err
    assert [path.name for path in output.iterdir()] == ["b.mp4"]


def test_candidates_have_one_output(clip: Path, output: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run([clip, "-o", output / "a.png", "-o", output / "b.png", "-m", "one-to-many", "--candidates", 2], capfd)
    assert "give one -o OUTPUT" in capfd.readouterr().err


@pytest.mark.network
def test_a_push_that_fails_leaves_the_file_and_says_so(
    clip: Path, output: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with RtspServer(answers=["503 Busy"]) as server:
        url = server.url.replace("://", "://user:geheim@")
        code, out, err = run([clip, "-o", output / "a.mp4", "-o", url, "--json", *FAST], capfd)
    assert code == 5
    assert "the server answers 503 Busy" in err
    assert json.loads(out)["outputs"][1]["error"].startswith("rtsp://127.0.0.1")
    assert "geheim" not in out + err
    assert len(times(output / "a.mp4")) == 6


@pytest.mark.network
def test_a_camera_is_recorded_while_the_server_comes_and_goes(output: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with HttpCamera(NumberedPictures((64, 48)), fps=25) as camera, RtspServer() as first:
        port = first.port
        url = f"rtsp://user:geheim@127.0.0.1:{port}/cam"
        process = subprocess.Popen(
            [*COMMAND, camera.url, "-o", output / "a.mp4", "-o", url, *FAST, "--json", "--log-format", "json"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            until(lambda: first.sessions and len(first.sessions[0].packets) > 20, "the first server gets pictures")
            first.__exit__(None, None, None)
            with RtspServer(port=port) as second:
                until(lambda: second.sessions and len(second.sessions[0].packets) > 20, "the second one, too")
                process.send_signal(signal.SIGTERM)
                out, err = process.communicate(timeout=PATIENCE)
                until(lambda: second.sessions[0].ended, "the session is ended")
                seen = [
                    read_number(frame.to_ndarray(format="gray").astype(np.uint8))
                    for frame in decoded(second.sessions[0])
                ]
        finally:
            process.kill()
            process.communicate()
    lines = [json.loads(line) for line in err.splitlines()]
    events = [line["event"] for line in lines if line.get("output") == f"rtsp://127.0.0.1:{port}/cam"]
    assert events[0] == events[-1] == "output_connected"
    assert "output_reconnecting" in events
    assert "geheim" not in out + err
    report = json.loads(out)
    file, push = report["outputs"]
    assert file["frames"] == report["frames"] == len(times(output / "a.mp4"))
    assert push["frames"] + push["lost"] + push["dropped"] == report["frames"]
    assert push["error"] is None
    assert len(seen) > 5 and seen == sorted(seen, key=lambda number: number or 0)


@needs_linux
@pytest.mark.network
def test_nobody_reads_and_the_end_comes_all_the_same(output: Path) -> None:
    with HttpCamera(NumberedPictures((320, 240)), fps=25) as camera:
        words = [*COMMAND, camera.url, "-o", output / "a.mp4", "-o", "-", *FAST, "--json"]
        process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        try:
            until(lambda: (output / "a.mp4").exists(), "the file is there")
            time.sleep(0.5)
            process.send_signal(signal.SIGTERM)
            assert process.stderr
            err = process.stderr.read().decode()
            assert process.wait(PATIENCE) == 5
        finally:
            process.kill()
            process.communicate()
    assert re.search(r" -: given up after \d+ s, for nobody reads it$", err, re.MULTILINE)
    assert len(times(output / "a.mp4")) > 5


@needs_named_pipes
def test_a_pipe_waits_for_its_reader_and_ctrl_c_ends_that(clip: Path, output: Path) -> None:
    os.mkfifo(output / "pipe")
    words = [*COMMAND, clip, "-o", output / "a.mp4", "-o", output / "pipe", *FAST]
    process = subprocess.Popen(words, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr
        assert process.stderr.readline().endswith(f"{output / 'pipe'}: waits for its reader\n")
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 130
    finally:
        process.kill()
        process.communicate()
    assert [path.name for path in output.iterdir()] == ["pipe"]
    received: list[bytes] = []
    thread = threading.Thread(target=lambda: received.append((output / "pipe").read_bytes()))
    thread.start()
    assert subprocess.run([*words], stderr=subprocess.DEVNULL).returncode == 0
    thread.join(PATIENCE)
    assert received[0].count(b"FRAME\n") == 6


@pytest.mark.network
def test_a_recording_is_pushed_at_its_own_pace(clip: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with RtspServer() as server:
        code, _, err = run([clip, "-o", server.url, "--fps", 20, *FAST], capfd)
        assert code == 0, err
        until(lambda: server.sessions[0].ended, "the session is ended")
        frames = decoded(server.sessions[0])
    assert len(frames) == 6
    speed = re.search(r"([0-9.]+)x real time", err)
    assert speed and float(speed[1]) <= 1.0
    assert all(isinstance(frame, av.VideoFrame) and np.ptp(frame.to_ndarray(format="gray")) for frame in frames)
