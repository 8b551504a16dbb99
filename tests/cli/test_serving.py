"""`--serve`: what a run shows over HTTP, and which options go with it."""

from __future__ import annotations

import argparse
import json
import re
import signal
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from cameras.http import HttpCamera
from cameras.pictures import NumberedPictures

from mjpeg_restore.cli import main
from mjpeg_restore.cli.serving import served
from mjpeg_restore.report import Report
from mjpeg_restore.serve import ServedCamera
from mjpeg_restore.serve.address import LOOPBACK
from mjpeg_restore.sources import open_source
from tests.cli.command import COMMAND, FAST
from tests.patience import PATIENCE
from tests.serve.clients import Server


@contextmanager
def serving(*words: str | Path) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """A command that serves on a free port of this machine, and its address."""
    command = [*COMMAND, *map(str, words), "--serve", "0", *FAST]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        line = next(line for line in process.stderr if "watch it at" in line)
        yield re.findall(r"http://\S+", line)[0], process
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        process.wait(PATIENCE)


def get(url: str, token: str = "") -> bytes:
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"} if token else {})
    with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
        return answer.read()


def first_picture(url: str, token: str = "") -> bytes:
    while True:
        try:
            return get(f"{url}snapshot", token)
        except urllib.error.HTTPError as error:
            assert error.code == 503


def test_a_recording_is_played_and_served(clip: Path) -> None:
    with serving(clip, "--loop") as (url, process):
        assert first_picture(url).startswith(b"\xff\xd8")
        state = json.loads(get(f"{url}state"))
        assert state["name"] == state["title"] == state["source"] == clip.name
        assert b"mjpeg_restore_frames_out_total" in get(f"{url}metrics")
    assert process.returncode == 130


def test_it_begins_again_and_ctrl_c_ends_it(clip: Path) -> None:
    with serving(clip, "--loop", "--start", "0", "--duration", "0.2") as (url, process):
        seen = 0
        while seen < 30:
            seen = json.loads(get(f"{url}state"))["report"]["frames"]
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 130


def test_the_duration_is_that_of_each_round_and_frames_count_in_all(clip: Path) -> None:
    words = ["--serve", "0", "--loop", "--duration", "0.1", "--frames", "9", "--json", *FAST]
    done = subprocess.run([*COMMAND, clip, *words], capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0
    assert json.loads(done.stdout)["packets"] == 9  # a round has two or three of the clip's six


def test_a_file_beside_it_has_every_picture(clip: Path, tmp_path: Path) -> None:
    with serving(clip, "-o", tmp_path / "out.y4m") as (_, process):
        assert process.wait(PATIENCE) == 0
    assert (tmp_path / "out.y4m").read_bytes().count(b"FRAME\n") == 6


def test_a_token_from_a_file_is_asked_for(clip: Path, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("sesame\n")
    with serving(clip, "--loop", "--token", f"@{tmp_path / 'token'}") as (url, _):
        with pytest.raises(urllib.error.HTTPError, match="401"):
            get(f"{url}snapshot")
        assert first_picture(url, "sesame").startswith(b"\xff\xd8")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--serve", "eighty"], "'eighty' is no address: give HOST:PORT"),
        (["--serve", "1:2:3"], "'1:2:3' is no address"),
        (["-o", "a.mp4", "--loop"], "--loop has no effect without --serve"),
        (["--serve", "8080", "--compare", "side"], "--compare has no effect without -o or --show"),
        (["-o", "a.mp4", "--token", "x"], "--token has no effect without --serve"),
        (["--serve", "0", "--password", "secret"], "give USER:PASSWORD"),
        (["--serve", "0", "--token", ""], "--token: is empty: is a variable unset?"),
        (["--serve", "0", "--token", "@nowhere"], "nowhere cannot be read (No such file or directory)"),
    ],
)
def test_what_does_not_go_together_is_one_line(
    clip: Path, words: list[str], message: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main([str(clip), *words])
    said = capfd.readouterr().err
    assert message in said
    assert said.count("\n") == 1
    assert "secret" not in said


@pytest.mark.parametrize(
    ("stall_timeout", "fps", "stall"),
    [(None, None, 10), (30.0, None, 30), (2.0, None, 10), (None, Fraction(1, 15), 30), (40.0, Fraction(1, 15), 40)],
)
def test_a_slow_camera_is_healthy_between_pictures(
    clip: Path, stall_timeout: float | None, fps: Fraction | None, stall: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[ServedCamera] = []

    class Listening(Server):
        def __init__(self, cameras: Iterable[ServedCamera], *arguments: Any, **options: Any) -> None:
            shown.extend(cameras)
            super().__init__((), *arguments, **options)

    monkeypatch.setattr("mjpeg_restore.serve.server.Server", Listening)
    of_camera = {"stall_timeout": stall_timeout, "fps": fps}
    options = argparse.Namespace(serve=(LOOPBACK, 0), token=None, password=None, quiet=True, **of_camera)
    with open_source(clip) as source, served(options, source, Report()):
        assert [camera.stall for camera in shown] == [stall]


def test_a_port_that_is_taken_is_an_error_of_the_output(clip: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with serving(clip, "--loop") as (url, _):
        port = url.rstrip("/").rpartition(":")[2]
        assert main([str(clip), "--serve", port, *FAST]) == 5
    assert f"cannot serve on 127.0.0.1, port {port}" in capfd.readouterr().err


def test_what_can_be_read_once_only_is_not_played_again(clip: Path) -> None:
    command = [*COMMAND, "-", "--serve", "0", "--loop", *FAST]
    with clip.open("rb") as file:
        done = subprocess.run(command, stdin=file, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 3
    assert done.stderr == "mjpeg-restore: standard input can be read once only: leave --loop out\n"


def test_a_camera_is_not_played_again(capfd: pytest.CaptureFixture[str]) -> None:
    with HttpCamera(NumberedPictures((64, 48)), fps=20) as camera:
        assert main([camera.url, "--serve", "0", "--loop", *FAST]) == 3
    assert "is a camera, which has no end: leave --loop out" in capfd.readouterr().err
