"""The commands of docs/recipes.md, run as they stand: with a recording and a camera in place of the reader's."""

from __future__ import annotations

import os
import re
import shlex
import socket
import subprocess
import sys
from pathlib import Path

import av
import pytest
from cameras.http import HttpCamera
from cameras.pictures import NumberedPictures

from tests.lacking import needs_ffmpeg

pytestmark = [pytest.mark.network, pytest.mark.slow, needs_ffmpeg]

ROOT = Path(__file__).parents[1]
RECIPES = re.findall(r"^```sh\n(.*?)^```", (ROOT / "docs" / "recipes.md").read_text(), re.MULTILINE | re.DOTALL)
SIZE = (320, 240)
FRAMES = 30
"""Pictures of the recording, and those of the camera after which a command ends."""
MPEG = "-hide_banner -loglevel error -y"
PLAIN = f"-m decode --device onnxruntime --frames {FRAMES} --quiet -y"
"""No network is needed to see whether pictures arrive."""


@pytest.fixture
def programs(tmp_path: Path) -> dict[str, str]:
    """The environment in which `mjpeg-restore` and `ffmpeg` are the programs with further options."""
    folder = tmp_path / "bin"
    folder.mkdir()
    ours = f'{shlex.quote(sys.executable)} -m mjpeg_restore "$@" {PLAIN}'
    theirs = f'PATH={shlex.quote(os.environ["PATH"])} ffmpeg {MPEG} "$@"'
    for name, line in (("mjpeg-restore", ours), ("ffmpeg", theirs)):
        (folder / name).write_text(f"#!/bin/sh\n{line}\n")
        (folder / name).chmod(0o755)
    path = os.environ.get("PYTHONPATH", "")
    return {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}", "PYTHONPATH": f"{ROOT}:{path}"}


def record(path: Path) -> None:
    pictures = ["-f", "lavfi", "-i", f"testsrc2=size={SIZE[0]}x{SIZE[1]}:rate=25"]
    sound = ["-f", "lavfi", "-i", "sine=440", "-c:a", "pcm_s16le", "-shortest"]
    command = ["ffmpeg", *MPEG.split(), *pictures, *sound, "-c:v", "mjpeg", "-frames:v", str(FRAMES), str(path)]
    subprocess.run(command, check=True)


def frames(path: Path) -> int:
    with av.open(str(path)) as container:
        return sum(1 for _ in container.decode(video=0))


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_recipe_works_as_it_stands(recipe: str, programs: dict[str, str], tmp_path: Path) -> None:
    folder = tmp_path / "work"
    folder.mkdir()
    record(folder / "cam.avi")
    with HttpCamera(NumberedPictures(SIZE), fps=25) as camera:
        script = recipe.replace("http://cam/video", camera.url).replace(":8554/", f":{free_port()}/")
        command = ["bash", "-e", "-u", "-o", "pipefail", "-c", script]
        done = subprocess.run(command, cwd=folder, env=programs, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    written = [path for path in folder.rglob("*.*") if path.name != "cam.avi" and path.suffix != ".ts"]
    assert len(written) == len(set(re.findall(r"\S+\.(?:mp4|mkv|flv|m3u8)\b", recipe)))
    fewest = 1 if "http://" in recipe or "--live" in recipe else FRAMES - 5  # what is live is dropped by a slow machine
    assert all(fewest <= frames(path) <= FRAMES for path in written)


def test_the_page_has_recipes() -> None:
    assert len(RECIPES) > 5
