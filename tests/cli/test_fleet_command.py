"""`mjpeg-restore fleet`: the command around cameras on a cluster."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from cameras.http import HttpCamera
from cameras.pictures import NumberedPictures

from tests.cli.command import COMMAND, run, times
from tests.lacking import needs, needs_sigint
from tests.patience import PATIENCE, until

CAMERA = '[cameras.door]\nsource = "http://127.0.0.1:9/video"\noutput = "door.mkv"\n'


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    path = tmp_path / "cameras.toml"
    path.write_text(CAMERA)
    return path


def test_the_settings_are_checked_without_a_cluster(settings: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["fleet", settings, "--check"], capfd)[0] == 0
    settings.write_text(CAMERA + '[cameras.tape]\nsource = "tape.avi"\noutput = "out.mkv"\n')
    code, _, err = run(["fleet", settings, "--check"], capfd)
    assert code == 2
    assert err.count("\n") == 1
    assert "cameras.tape.source: is a recording: mjpeg-restore archive restores those" in err


def test_without_ray_it_says_what_to_install(
    settings: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.delitem(sys.modules, "mjpeg_restore.cluster", raising=False)
    code, _, err = run(["fleet", settings], capfd)
    assert code == 4
    assert err == ("mjpeg-restore: more than one machine needs Ray: pip install ray (the extra mjpeg-restore[ray])\n")


@pytest.mark.parametrize("address", ["127.0.0.1:9", "nowhere", "127.0.0.1:port", "127.0.0.1:99999"])
def test_a_cluster_that_is_not_there_is_one_line(
    address: str, settings: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    needs("ray")
    code, _, err = run(["fleet", settings, "--ray", address], capfd)
    assert code == 4
    assert err.count("\n") == 1
    assert f"no Ray cluster at {address} (" in err


def deliver(number: signal.Signals) -> None:
    """Call the handler of a signal. A real one could end the process of the tests: where Ray has run in it before, Ray
    may give SIGTERM back to the system at any later time."""
    handler = signal.getsignal(number)
    assert callable(handler)
    handler(number, None)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_while_ray_starts_ends_the_command_when_it_has_started(
    number: signal.Signals, settings: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    needs("ray")
    import ray
    from ray._private import utils

    done: list[str] = []

    def start(where: str, **options: object) -> None:
        utils.set_sigterm_handler(lambda number, frame: sys.exit(number))  # as Ray does it
        deliver(number)
        done.append("started")
        signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(number))  # as Ray does it in C

    class NoFleet:
        def __init__(self, *arguments: object, **options: object) -> None:
            deliver(number)  # soon after the first, so it is the same one
            self.cameras: dict[str, object] = {}

        def close(self, patience: float = 0) -> bool:
            done.append("closed")
            return True

    setter = utils.set_sigterm_handler
    monkeypatch.setattr(ray, "init", start)
    monkeypatch.setattr(ray, "shutdown", lambda: done.append("shut down"))
    monkeypatch.setattr("mjpeg_restore.fleet.spread.fleet.SpreadFleet", NoFleet)
    assert run(["fleet", settings, "--ray", "local"], capfd)[0] == 130
    assert done == ["started", "closed", "closed", "shut down"]
    assert utils.set_sigterm_handler is setter


@needs_sigint
@pytest.mark.network
@pytest.mark.slow
def test_cameras_run_until_a_signal_and_their_recordings_are_finished(tmp_path: Path) -> None:
    needs("ray")
    text = '[defaults]\nmodel = "decode"\ndevice = "onnxruntime"\noutput = "{camera}.mkv"\n'
    with HttpCamera(NumberedPictures((64, 48)), fps=20) as one, HttpCamera(NumberedPictures((64, 48)), fps=20) as two:
        text += f'[cameras.door]\nsource = "{one.url}"\n[cameras.yard]\nsource = "{two.url}"\n'
        (tmp_path / "cameras.toml").write_text(text)
        words = ["fleet", str(tmp_path / "cameras.toml"), "--ray", "local", "--serve", "0", "--json"]
        with (
            (tmp_path / "log.txt").open("w") as log,
            subprocess.Popen([*COMMAND, *words], stdout=subprocess.PIPE, stderr=log, text=True) as process,
        ):
            try:
                until(lambda: len([*tmp_path.glob("*.mkv")]) == 2 or process.poll() is not None)
                process.send_signal(signal.SIGTERM)
                output, _ = process.communicate(timeout=PATIENCE)
            finally:
                process.kill()
                said = (tmp_path / "log.txt").read_text()
                sys.stdout.write(said)  # pytest shows it where the test fails
    assert process.returncode == 130, said
    cameras = json.loads(output)["cameras"]
    for name in ("door", "yard"):
        assert cameras[name]["state"] == "stopped"
        (path,) = tmp_path.glob(f"{name}-*.mkv")
        assert len(times(path)) == cameras[name]["report"]["frames"] > 0
    assert re.search(r"all cameras can be watched at http://127\.0\.0\.1:\d+/", said)
    assert re.search(r"decode on onnxruntime: [\d.]+ megapixels/s a core", said)
    assert re.search(r"door: reading http://127\.0\.0\.1:\d+/video, writing ", said)
