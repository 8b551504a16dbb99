"""Pipes and signals: the output is finished whatever ends the run."""

from __future__ import annotations

import array
import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

from mjpeg_restore.cli import main
from mjpeg_restore.cli.progress import Progress
from tests.cli.command import COMMAND, FAST, assert_one_line, mux, pictures, times
from tests.lacking import needs, needs_sighup, needs_sigint
from tests.patience import PATIENCE, until


def test_a_y4m_pipe(clip: Path) -> None:
    done = subprocess.run(
        [*COMMAND, "-", "-o", "-", "--json", *FAST], input=clip.read_bytes(), capture_output=True, check=True
    )
    assert done.stdout.startswith(b"YUV4MPEG2 W64 H48 F25:1 ")
    assert done.stdout.count(b"FRAME\n") == 6
    assert len(done.stdout.partition(b"\n")[2]) == 6 * (6 + 64 * 48 * 3 // 2)
    summary, _ = done.stderr.decode().splitlines()
    assert json.loads(summary)["frames"] == 6


def test_a_reader_that_goes_away_is_no_error(clip: Path) -> None:
    with subprocess.Popen(
        [*COMMAND, str(clip), "-o", "-", "-q", *FAST], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, pytest.param(signal.SIGHUP, marks=needs_sighup)])
def test_a_signal_finishes_the_output_while_a_pipe_is_waited_for(output: Path, number: signal.Signals) -> None:
    words = ["-", "-o", f"{output}/frames/", "--json", *FAST]
    with subprocess.Popen(
        [*COMMAND, *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdin.write(b"".join(pictures(5)) + pictures(1)[0][:200])  # the sixth has only begun
        process.stdin.flush()
        until(lambda: (output / "frames" / "000004.png").exists())
        process.send_signal(number)
        report, errors = process.stdout.read().decode(), process.stderr.read().decode()
    assert process.returncode == 130, errors
    assert_one_line(errors)
    assert json.loads(report)["interrupted"] is True
    assert sorted(path.name for path in (output / "frames").iterdir()) == [f"{n:06}.png" for n in range(5)]


def unread(pipe: object) -> int:
    """Bytes in a pipe that nobody has taken yet."""
    termios = needs("termios")
    count = array.array("i", [0])
    needs("fcntl").ioctl(pipe, termios.FIONREAD, count)
    return count[0]


@needs_sigint
@pytest.mark.parametrize("share", [0.01, 0.75], ids=["within its head", "within its pictures"])
@pytest.mark.parametrize("words", [["-", "-o", "out.mp4", *FAST], ["inspect", "-"]], ids=["restore", "inspect"])
def test_ctrl_c_while_a_container_is_silent(tmp_path: Path, share: float, words: list[str]) -> None:
    clip = mux(tmp_path / "clip.avi", range(0, 12000, 40)).read_bytes()
    with subprocess.Popen([*COMMAND, *words], stdin=subprocess.PIPE, stderr=subprocess.PIPE, cwd=tmp_path) as process:
        assert process.stdin is not None
        assert process.stderr is not None
        process.stdin.write(clip[: int(len(clip) * share)])
        process.stdin.flush()
        until(lambda: unread(process.stdin) == 0)
        process.send_signal(signal.SIGINT)
        try:
            assert process.wait(PATIENCE) == 130
        finally:
            process.kill()
        assert_one_line(process.stderr.read().decode())
    finished = tmp_path / "out.mp4"
    assert finished.exists() == ("-o" in words and share > 0.5)
    if finished.exists():
        assert len(times(finished)) > 100


def test_ctrl_c_leaves_a_whole_mp4(output: Path) -> None:
    words = ["-", "-o", f"{output}/out.mp4", "-o", f"{output}/frames/", *FAST]
    with subprocess.Popen([*COMMAND, *words], stdin=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stderr is not None
        process.stdin.write(b"".join(pictures(5)) + pictures(1)[0][:200])  # the sixth has only begun
        process.stdin.flush()
        until(lambda: (output / "frames" / "000004.png").exists())
        process.send_signal(signal.SIGINT)
        err = process.stderr.read().decode()
    assert process.returncode == 130
    assert_one_line(err)
    assert len(times(output / "out.mp4")) == 5
    assert {path.name for path in output.iterdir()} == {"out.mp4", "frames"}


def test_ctrl_c_before_the_first_picture_leaves_nothing(output: Path) -> None:
    with subprocess.Popen(
        [*COMMAND, "-", "-o", str(output / "out.mp4"), *FAST], stdin=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stderr is not None
        process.stdin.write(pictures(1)[0][:300])  # enough to see what it is
        process.stdin.flush()
        until(lambda: any(output.iterdir()))
        process.send_signal(signal.SIGINT)
        errors = process.stderr.read().decode()
    assert process.returncode == 130
    assert errors == "mjpeg-restore: stopped\n"
    assert list(output.iterdir()) == []


@pytest.mark.filterwarnings("ignore:unclosed file")  # who would have closed it was interrupted
@pytest.mark.parametrize("name", ["out.mp4", "out.y4m", "out.png", "out.m3u8"])
def test_ctrl_c_just_after_an_output_was_created_leaves_nothing(
    clip: Path, output: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    def interrupted(*_: object, live: bool) -> None:
        assert any(output.iterdir())
        raise KeyboardInterrupt

    monkeypatch.setattr("mjpeg_restore.outputs.outlet_of", interrupted)
    assert main([str(clip), "-o", str(output / name), *FAST]) == 130
    assert list(output.iterdir()) == []


def test_nohup_stays_in_force(clip: Path, output: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    monkeypatch.setattr(Progress, "update", lambda *_: os.kill(os.getpid(), signal.SIGHUP))
    try:
        assert main([str(clip), "-o", str(output / "out.y4m"), *FAST]) == 0
    finally:
        signal.signal(signal.SIGHUP, before)
