"""The command with OpenCV and an X server: what a cv2 without a screen cannot show."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.command import COMMAND, FAST, mux, still
from tests.lacking import needs_linux, needs_opencv

LIMIT = 60

pytestmark = [needs_linux, needs_opencv, pytest.mark.slow]


@pytest.fixture
def environment() -> dict[str, str]:
    ask = [sys.executable, "-c", "import cv2; print(cv2.currentUIFramework())"]
    if not subprocess.run(ask, capture_output=True, text=True, check=False).stdout.strip():
        pytest.skip("needs an OpenCV with windows")
    return {name: value for name, value in os.environ.items() if name != "DISPLAY"}


@pytest.fixture
def display(environment: dict[str, str]) -> Iterator[dict[str, str]]:
    """The environment with an X server."""
    if not (shutil.which("Xvfb") and shutil.which("xdotool")):
        pytest.skip("needs the programs Xvfb and xdotool")
    read, write = os.pipe()
    server = subprocess.Popen(["Xvfb", "-displayfd", str(write)], pass_fds=[write], stderr=subprocess.DEVNULL)
    os.close(write)
    with server, os.fdopen(read) as number:
        try:
            yield {**environment, "DISPLAY": f":{number.readline().strip()}"}
        finally:
            server.terminate()


def start(environment: dict[str, str], *words: object) -> subprocess.Popen[str]:
    command = [*COMMAND, *map(str, words), "--show", *FAST]
    return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)


def test_a_recording_is_played_to_its_end(tmp_path: Path, display: dict[str, str]) -> None:
    with start(display, mux(tmp_path / "in.mkv", [0, 40, 200]), "--compare", "side") as process:
        assert "3 frames" in process.communicate(timeout=LIMIT)[1]
    assert process.returncode == 0


def test_mouse_and_keys_reach_it(tmp_path: Path, display: dict[str, str]) -> None:
    with start(display, still(tmp_path)) as process:
        words = ["search", "--sync", "--onlyvisible", "--name", "mjpeg-restore", "windowfocus", "mousemove", "30", "20"]
        subprocess.run(["xdotool", *words, "key", "s", "key", "q"], env=display, check=True, timeout=LIMIT)
        assert "1 frame" in process.communicate(timeout=LIMIT)[1]
    assert process.returncode == 0


def test_without_a_display_one_sentence_says_so(tmp_path: Path, environment: dict[str, str]) -> None:
    with start(environment, still(tmp_path), "-o", tmp_path / "out.png") as process:
        said = process.communicate(timeout=LIMIT)[1]
    assert said == "mjpeg-restore: no window can be opened: there is no display (DISPLAY is not set)\n"
    assert process.returncode == 5
    assert not (tmp_path / "out.png").exists()
