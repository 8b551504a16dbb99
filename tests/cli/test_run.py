"""Many cameras by a settings file: real cameras over HTTP, and signals to a process of its own."""

from __future__ import annotations

import json
import os
import re
import select
import signal
import subprocess
import time
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from cameras.faults import Fault
from cameras.http import HttpCamera
from cameras.pictures import NumberedPictures

from mjpeg_restore.cli.run import WRONG_SETTINGS
from mjpeg_restore.cli.signals import SAME_SIGNAL
from tests.cli.command import COMMAND, mux, run, times
from tests.lacking import needs_named_pipes, needs_sighup, needs_sigint
from tests.patience import PATIENCE, until

pytestmark = pytest.mark.network

SMALL = NumberedPictures((64, 48))
DEFAULTS = '[defaults]\nmodel = "decode"\ndevice = "onnxruntime"\noutput = "{camera}.mkv"\n'


def section(name: str, camera: HttpCamera, more: str = "") -> str:
    return f'[cameras.{name}]\nsource = "{camera.url}"\n{more}\n'


class Running:
    """The command in a process of its own, and what it says."""

    def __init__(self, process: subprocess.Popen[str], folder: Path) -> None:
        self.process = process
        self._folder = folder

    @property
    def log(self) -> str:
        return (self._folder / "log.txt").read_text()

    def says(self, pattern: str) -> None:
        until(lambda: re.search(pattern, self.log) is not None or self.process.poll() is not None)
        assert re.search(pattern, self.log), self.log

    def recorded(self, name: str) -> list[Path]:
        return sorted(self._folder.glob(f"{name}-*.mkv"))

    def end(self, number: signal.Signals = signal.SIGTERM) -> tuple[int, dict[str, Any]]:
        """Exit code and report."""
        self.process.send_signal(number)
        output, _ = self.process.communicate(timeout=PATIENCE)
        assert output, self.log
        return self.process.returncode, json.loads(output)["cameras"]


@contextmanager
def running(folder: Path, text: str) -> Generator[Running]:
    (folder / "cameras.toml").write_text(text)
    with (
        (folder / "log.txt").open("w") as log,
        subprocess.Popen(
            [*COMMAND, "run", str(folder / "cameras.toml"), "--json"], stdout=subprocess.PIPE, stderr=log, text=True
        ) as process,
    ):
        try:
            yield Running(process, folder)
        finally:
            process.kill()


@pytest.fixture
def cameras() -> Generator[Callable[..., HttpCamera]]:
    with ExitStack() as stack:

        def make(**settings: Any) -> HttpCamera:
            return stack.enter_context(HttpCamera(SMALL, fps=20, **settings))

        yield make


@needs_sigint
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_finishes_all_recordings(
    number: signal.Signals, cameras: Callable[..., HttpCamera], tmp_path: Path
) -> None:
    text = DEFAULTS + "".join(section(name, cameras()) for name in ("door", "yard", "shed"))
    with running(tmp_path, text) as command:
        until(lambda: all(command.recorded(name) for name in ("door", "yard", "shed")))
        code, report = command.end(number)
    assert code == 130
    for name in ("door", "yard", "shed"):
        assert report[name]["state"] == "stopped"
        (path,) = command.recorded(name)
        assert len(times(path)) == report[name]["report"]["frames"] > 0
    assert [path for path in tmp_path.iterdir() if path.name.startswith(".")] == []
    assert re.search(r"^mjpeg-restore: shed: \d+ frames, ", command.log, re.MULTILINE)


def test_one_camera_of_three_fails_and_comes_back(cameras: Callable[..., HttpCamera], tmp_path: Path) -> None:
    bad = cameras(faults=[Fault("unreachable", 5, seconds=1.5)])
    text = DEFAULTS + section("good", cameras()) + section("bad", bad, "give-up = 0.5") + section("fine", cameras())
    with running(tmp_path, text) as command:
        command.says(r"bad: nothing came for 0.5 s, gave up.*; trying again")
        until(lambda: len(command.recorded("bad")) == 2)
        _, report = command.end()
    assert [report[name]["restarts"] for name in ("good", "fine")] == [0, 0]
    assert report["bad"]["restarts"] >= 1
    for path in command.recorded("bad"):
        assert times(path)
    assert len(command.recorded("good")) == len(command.recorded("fine")) == 1


@needs_sighup
def test_sighup_applies_new_settings_and_does_not_touch_what_has_not_changed(
    cameras: Callable[..., HttpCamera], tmp_path: Path
) -> None:
    kept, changed, gone, new = (cameras() for _ in range(4))
    text = DEFAULTS + section("kept", kept) + section("changed", changed) + section("gone", gone)
    with running(tmp_path, text) as command:
        until(lambda: all(command.recorded(name) for name in ("kept", "changed", "gone")))
        text = DEFAULTS + section("kept", kept) + section("changed", changed, "crf = 30") + section("new", new)
        (tmp_path / "cameras.toml").write_text(text)
        command.process.send_signal(signal.SIGHUP)
        command.says("is read again; started: new; stopped: gone; restarted: changed; kept: kept")
        until(lambda: len(command.recorded("changed")) == 2 and len(command.recorded("new")) == 1)
        (tmp_path / "cameras.toml").write_text(text + "[run]\nthreads = 1\n")
        command.process.send_signal(signal.SIGHUP)
        command.says(r"changes in \[run\] need a restart")
        code, report = command.end()
    assert code == 130
    assert [*report] == ["kept", "changed", "new"]
    assert kept.connections == new.connections == gone.connections == 1
    (path,) = command.recorded("kept")
    assert len(times(path)) == report["kept"]["report"]["frames"]
    (path,) = command.recorded("gone")
    assert times(path)


@needs_sighup
def test_without_an_enabled_camera_the_command_says_so_and_waits_for_new_settings(
    cameras: Callable[..., HttpCamera], tmp_path: Path
) -> None:
    text = DEFAULTS + section("door", cameras())
    with running(tmp_path, text + "enabled = false") as command:
        command.says("cameras.toml: no camera is enabled: nothing runs until SIGHUP")
        for change, said in (("", "started: door"), ("enabled = false", "stopped: door\n.*no camera is enabled")):
            (tmp_path / "cameras.toml").write_text(text + change)
            command.process.send_signal(signal.SIGHUP)
            command.says(said)
        code, report = command.end()
    assert (code, report) == (130, {})


@needs_sighup
def test_settings_with_mistakes_are_not_applied(cameras: Callable[..., HttpCamera], tmp_path: Path) -> None:
    text = "run.log-format = 'json'\n" + DEFAULTS + section("door", cameras())
    with running(tmp_path, text) as command:
        until(lambda: bool(command.recorded("door")))
        (tmp_path / "cameras.toml").write_text(text + "codek = 1\nfps = 'x'\n")
        command.process.send_signal(signal.SIGHUP)
        command.says("is not applied: it has mistakes")
        lines = [json.loads(line) for line in command.log.splitlines()]
        code, report = command.end()
    assert code == 130
    assert report["door"]["restarts"] == 0
    last = json.loads(command.log.splitlines()[-1])
    assert (last["event"], last["source"]) == ("summary", "door")
    wrong = [line for line in lines if line.get("event") == "wrong_settings"]
    assert [line["message"].partition("cameras.toml:")[2].split(": ")[:2] for line in wrong] == [
        ["9", "cameras.door.codek"],
        ["10", "cameras.door.fps"],
    ]
    assert {(line["event"], line["source"]) for line in lines if "source" in line} >= {
        ("starting", "door"),
        ("connected", "door"),
    }


@needs_sighup
@needs_named_pipes
def test_settings_in_a_pipe_are_read_once(cameras: Callable[..., HttpCamera], tmp_path: Path) -> None:
    with running(tmp_path, DEFAULTS + section("door", cameras())) as command:
        until(lambda: bool(command.recorded("door")))
        (tmp_path / "cameras.toml").unlink()
        os.mkfifo(tmp_path / "cameras.toml")
        command.process.send_signal(signal.SIGHUP)
        command.says("cameras.toml is not read again: it is a pipe")
        code, _ = command.end()
    assert code == 130


@needs_sighup
@needs_named_pipes
def test_a_secret_in_a_pipe_that_nobody_writes_to_does_not_hold_up_the_command(
    cameras: Callable[..., HttpCamera], tmp_path: Path
) -> None:
    text = DEFAULTS + section("door", cameras())
    with running(tmp_path, text) as command:
        until(lambda: bool(command.recorded("door")))
        os.mkfifo(tmp_path / "secret")
        (tmp_path / "cameras.toml").write_text(text + '[run]\nserve = "127.0.0.1:0"\ntoken = "${file:secret}"\n')
        command.process.send_signal(signal.SIGHUP)
        command.says(r"run\.token: .*secret cannot be read \(nobody writes to this pipe\)")
        code, _ = command.end()
    assert code == 130


@needs_sigint
@needs_named_pipes
def test_a_second_signal_ends_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)  # it does not read, and that is waited for
    with HttpCamera(NumberedPictures((640, 480)), fps=20) as camera:
        text = DEFAULTS.replace("{camera}.mkv", "y4m:pipe") + section("door", camera)
        with running(tmp_path, text) as command:
            until(lambda: bool(select.select([reader], [], [], 0)[0]))  # a picture is more than a pipe holds
            command.process.send_signal(signal.SIGINT)
            time.sleep(SAME_SIGNAL + 0.1)

            def ended() -> bool:  # more than once: on a machine that stalls, the second signal may be the first one
                command.process.send_signal(signal.SIGINT)
                with suppress(subprocess.TimeoutExpired):
                    command.process.wait(10)
                return command.process.returncode is not None

            until(ended)
            assert command.process.returncode == 130
            assert command.log.splitlines()[-1] == "mjpeg-restore: stopped"
            assert " frames/s" not in command.log
    os.close(reader)


def test_recordings_are_restored_and_the_command_ends(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    mux(tmp_path / "a.avi", range(0, 240, 40))
    mux(tmp_path / "b.avi", range(0, 400, 40))
    (tmp_path / "cameras.toml").write_text(DEFAULTS + '[cameras.a]\nsource = "a.avi"\n[cameras.b]\nsource = "b.avi"\n')
    code, out, err = run(["run", tmp_path / "cameras.toml", "--json"], capfd)
    assert code == 0, err
    report = json.loads(out)["cameras"]
    assert {name: (one["state"], one["report"]["frames"]) for name, one in report.items()} == {
        "a": ("ended", 6),
        "b": ("ended", 10),
    }
    for name, count in (("a", 6), ("b", 10)):
        (path,) = tmp_path.glob(f"{name}-*.mkv")
        assert len(times(path)) == count


def test_recordings_that_could_not_be_written_are_an_error_of_the_output(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    mux(tmp_path / "a.avi", range(0, 240, 40))
    text = '[defaults]\nmodel = "decode"\ndevice = "onnxruntime"\noutput = "missing/{camera}.mkv"\n'
    (tmp_path / "cameras.toml").write_text(text + '[cameras.a]\nsource = "a.avi"\n')
    code, out, _ = run(["run", tmp_path / "cameras.toml", "--json"], capfd)
    assert code == 5
    assert "missing/a.mkv: cannot write to" in json.loads(out)["cameras"]["a"]["reason"]


def test_a_check_says_what_is_there_or_what_is_wrong(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "cameras.toml"
    path.write_text(DEFAULTS + '[cameras.a]\nsource = "http://127.0.0.1:1/"\n')
    assert run(["run", path, "--check"], capfd) == (0, f"{path}: no mistakes; cameras: a\n", "")
    path.write_text("[cameras.a]\n")
    code, out, err = run(["run", path, "--check"], capfd)
    assert (code, out) == (WRONG_SETTINGS, "")
    assert err.splitlines() == [
        f"mjpeg-restore: {path}:1: cameras.a.source: is missing: where do the pictures come from?",
        f"mjpeg-restore: {path}:1: cameras.a: nothing to do: give it an output, or serve in [run]",
    ]
    assert list(tmp_path.iterdir()) == [path]


def test_settings_with_mistakes_run_nothing(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    code, _, err = run(["run", tmp_path / "none.toml"], capfd)
    assert code == WRONG_SETTINGS
    assert err == f"mjpeg-restore: {tmp_path}/none.toml: No such file or directory\n"


def test_a_check_looks_for_the_folders_of_outputs(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "cameras.toml"
    outputs = '["missing/a.mkv", "new/", "lacking/new/", "udp://127.0.0.1:9"]'
    path.write_text(f'[cameras.a]\nsource = "http://127.0.0.1:1/"\noutputs = {outputs}\n')
    code, out, err = run(["run", path, "--check"], capfd)
    assert (code, out) == (0, f"{path}: no mistakes; cameras: a\n")  # a disk may be mounted later
    assert err == "".join(
        f"mjpeg-restore: {path}:3: cameras.a.outputs[{number}]: there is no folder {tmp_path}/{name}\n"
        for number, name in ((0, "missing"), (2, "lacking"))
    )
    assert list(tmp_path.iterdir()) == [path]


def test_a_token_that_nobody_asks_for_is_refused(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "cameras.toml"
    path.write_text(DEFAULTS + '[cameras.a]\nsource = "http://127.0.0.1:1/"\n')
    code, _, err = run(["run", path, "--token", "secret", "--check"], capfd)
    assert code == WRONG_SETTINGS
    assert err == f"mjpeg-restore: --token and --password have no effect without --serve, or serve in {path}\n"
    assert run(["run", path, "--token", "secret", "--serve", "0", "--check"], capfd)[0] == 0
