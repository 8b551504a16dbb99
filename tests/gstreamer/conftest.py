"""GStreamer in processes of its own: `player` for what a program does, `launch` for what gst-launch-1.0 does."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from subprocess import PIPE
from threading import Timer
from typing import Any

import numpy as np
import pytest

from mjpeg_restore.frames import Picture
from mjpeg_restore.gstreamer import PLUGIN_PATH
from tests.lacking import gstreamer_python, needs_gstreamer_plugin

PATIENCE = 120
"""Seconds after which a process is taken to hang."""
ROOT = Path(__file__).parents[2]
Play = Callable[..., dict[str, Any]]
Launch = Callable[[str], "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Variables with which GStreamer's Python finds the element and its packages; its registry is one of our own."""
    return os.environ | {
        "GST_PLUGIN_PATH": str(PLUGIN_PATH),
        "GST_REGISTRY": str(tmp_path_factory.mktemp("gstreamer") / "registry.bin"),
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(Path(np.__file__).parents[1])]),
    }


@pytest.fixture(scope="session")
def play(environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Play]:
    """Runs a scenario of `player`, in a process that all tests share."""
    command = [gstreamer_python(environment), "-m", "tests.gstreamer.player"]
    log = tmp_path_factory.mktemp("player") / "stderr.txt"
    with (
        log.open("w") as errors,
        subprocess.Popen(
            command, cwd=ROOT, env=environment, stdin=PIPE, stdout=PIPE, stderr=errors, text=True
        ) as process,
    ):
        assert process.stdin and process.stdout
        requests, answers = process.stdin, process.stdout

        def run(scenario: str, *arguments: str | Path) -> dict[str, Any]:
            watchdog = Timer(PATIENCE, process.kill)
            watchdog.start()
            requests.write(json.dumps([scenario, *map(str, arguments)]) + "\n")
            requests.flush()
            answer = answers.readline()
            watchdog.cancel()
            assert answer, log.read_text()
            return json.loads(answer)

        yield run
        requests.close()


@pytest.fixture(scope="session")
def launch(environment: dict[str, str]) -> Launch:
    """Runs gst-launch-1.0."""
    needs_gstreamer_plugin("mjpegrestore", environment)

    def run(pipeline: str) -> subprocess.CompletedProcess[str]:
        command = ["gst-launch-1.0", *pipeline.split()]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=PATIENCE)

    return run


def digests(pictures: Iterable[Picture]) -> list[str]:
    """The digest of each picture's planes, as `player` computes it."""
    return [hashlib.sha1(b"".join(plane.tobytes() for plane in picture.planes)).hexdigest() for picture in pictures]
