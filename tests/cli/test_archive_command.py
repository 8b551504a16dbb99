"""`mjpeg-restore archive`: what it prints, its exit codes, and signals."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

from mjpeg_restore.archive import ArchiveReport, Recording
from mjpeg_restore.archive.estimate import Estimate
from mjpeg_restore.archive.manifest import MANIFEST
from mjpeg_restore.cli.archive import _plan_words
from mjpeg_restore.cli.archive_progress import period, progress_words
from mjpeg_restore.errors import SourceError
from mjpeg_restore.testing import jpegs
from tests.cli.command import COMMAND, FAST, assert_one_line, run
from tests.lacking import needs_sigint
from tests.patience import PATIENCE, until
from tests.streams import still

OFF = [*FAST, "--ray", "off", "--workers", "1"]


@pytest.fixture
def recordings(tmp_path: Path) -> Path:
    folder = tmp_path / "rec"
    (folder / "cam").mkdir(parents=True)
    (folder / "cam" / "long.mjpeg").write_bytes(b"".join(jpegs(25)))
    (folder / "short.mjpeg").write_bytes(b"".join(jpegs(5)))
    (folder / "notes.txt").write_text("nothing to see")
    return folder


def test_what_would_be_done(recordings: Path, output: Path, capfd: pytest.CaptureFixture[str]) -> None:
    code, out, error = run(["archive", recordings, "-o", output, "--dry-run", *OFF], capfd)
    assert (code, error) == (0, "")
    *rows, last = out.splitlines()
    assert "cam/long.mjpeg -> cam/long.mkv: about 25 frames of 64x48" in rows
    assert any(row.startswith("notes.txt: ") and "is text, not video" in row for row in rows)
    assert last.startswith("2 recordings to restore, about 30 frames, about ")
    assert last.endswith("with 1 worker like this machine's, 1 to refuse")
    assert list(output.iterdir()) == []


def test_what_would_be_done_with_a_name_of_two_lines(
    recordings: Path, output: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (recordings / "cam" / "long.mjpeg").rename(recordings / "cam" / "long\nest.mjpeg")
    _, out, _ = run(["archive", recordings / "cam", "-o", output, "--dry-run", *OFF], capfd)
    assert out.splitlines()[0] == "long est.mjpeg -> long est.mkv: about 25 frames of 64x48"


def test_what_would_be_done_where_the_number_of_frames_is_unknown() -> None:
    recording = Recording("a.mkv", "/rec/a.mkv", 9, "", "a.mkv")
    unknown, known = Estimate(recording), Estimate(recording, 30, (64, 48))
    assert [*_plan_words([unknown], "", 0)] == ["1 recording to restore", "an unknown number of frames in 1"]
    assert [*_plan_words([unknown, known, Estimate(recording, error="no video")], "", 2)] == [
        "2 recordings to restore",
        "about 30 frames",
        "an unknown number of frames in 1",
        "1 to refuse",
        "2 unchanged",
    ]


@pytest.mark.parametrize("name", ["a.mjpeg", "z.mjpeg"])
def test_what_would_be_done_beside_recordings_that_cannot_be_tried(
    recordings: Path, output: Path, capfd: pytest.CaptureFixture[str], name: str
) -> None:
    """One of which no picture can be restored, and one whose pictures change their size."""
    small, large = still(0), still(0, size=(96, 80))
    for number in range(3):
        (recordings / f"{number}{name}").write_bytes((small[:200] + bytes(50)) * 20)
    (recordings / f"size-{name}").write_bytes(small * 2 + large * 20)
    (output / "short.mkv").write_bytes(b"an original")
    code, out, error = run(["archive", recordings, "-o", output, "--dry-run", *OFF], capfd)
    assert (code, error) == (0, "")
    *rows, last = out.splitlines()
    assert any(row.startswith(f"size-{name} -> ") for row in rows)
    assert f"short.mjpeg: {output}/short.mkv is there, and was not restored by this archive: move it" in "\n".join(rows)
    assert "with 1 worker like this machine's, " in last and last.endswith(" to refuse, 1 that will fail")
    (recordings / "cam" / "long.mjpeg").unlink()
    (recordings / f"size-{name}").unlink()
    assert run(["archive", recordings, "-o", output, "--dry-run", *OFF], capfd)[0] == 0


def test_what_would_be_done_as_json(recordings: Path, output: Path, capfd: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(["archive", recordings, "-o", output, "--dry-run", "--json", *OFF], capfd)
    found = json.loads(out)
    assert code == 0
    assert found["frames"] == 30
    assert found["seconds"] is not None
    short = next(each for each in found["recordings"] if each["name"] == "short.mjpeg")
    assert (short["output"], short["frames"], short["size"], short["error"]) == ("short.mkv", 5, [64, 48], None)


def test_an_archive_and_a_second_call(recordings: Path, output: Path, capfd: pytest.CaptureFixture[str]) -> None:
    words = ["archive", recordings, "-o", output, "--part", 10, "--json", *OFF]
    code, out, error = run(words, capfd)
    assert code == 0
    found = json.loads(out)
    assert (found["recordings"], found["done"], found["refused"], found["frames"]) == (3, 2, 1, 30)
    assert [failure["name"] for failure in found["failures"]] == ["notes.txt"]
    assert "notes.txt: " in error
    assert "3 recordings: 2 restored, 1 refused; 30 frames, " in error
    assert (output / "cam" / "long.mkv").exists() and (output / MANIFEST).exists()
    code, out, error = run(words, capfd)
    assert code == 0
    assert (json.loads(out)["unchanged"], json.loads(out)["done"]) == (3, 0)
    assert error == "mjpeg-restore: 3 recordings: 3 unchanged\n"
    words.remove("--json")
    assert run([*words, "--dry-run"], capfd)[1] == "nothing to restore, 3 unchanged\n"


def test_archive_is_always_a_command(recordings: Path, output: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["archive", "-o", output, recordings / "short.mjpeg", "-q", *OFF], capfd) == (0, "", "")
    assert (output / "short.mkv").exists()


@pytest.mark.parametrize(
    ("more", "code", "words"),
    [
        (["-m", "none-such"], 4, "none-such"),
        (["--format", "avi", "-c", "hevc"], 5, "avi does not hold libx265"),
        (["--ray", "127.0.0.1:1"], 4, ""),
        (["-c", "none-such"], 5, "no video encoder is called 'none-such'"),
    ],
)
def test_mistakes_are_told_before_anything_is_done(
    recordings: Path, output: Path, capfd: pytest.CaptureFixture[str], more: list[str], code: int, words: str
) -> None:
    found, out, error = run(["archive", recordings, "-o", output, *OFF, *more], capfd)
    assert (found, out) == (code, "")
    assert words in error
    assert_one_line(error)
    assert list(output.iterdir()) == []


def test_a_source_that_does_not_exist(output: Path, capfd: pytest.CaptureFixture[str]) -> None:
    code, _, error = run(["archive", "/none", "-o", output, *OFF], capfd)
    assert (code, error) == (3, "mjpeg-restore: /none: no such file or folder\n")


@needs_sigint
@pytest.mark.slow
def test_ctrl_c_finishes_the_parts_at_hand(tmp_path: Path) -> None:
    """The terminal sends it to the workers, too."""
    folder, out = tmp_path / "rec", tmp_path / "out"
    folder.mkdir()
    (folder / "long.mjpeg").write_bytes(b"".join(jpegs(50, (320, 240)) * 30))
    command = [*COMMAND, "archive", folder, "-o", out, "--part", "50", *FAST, "--ray", "off", "--workers", "2"]
    process = subprocess.Popen([str(word) for word in command], stderr=subprocess.PIPE, start_new_session=True)
    try:
        until(lambda: [*out.glob("**/result-*.json")])
        os.killpg(process.pid, signal.SIGINT)
        _, error = process.communicate(timeout=PATIENCE)
    finally:
        process.kill()
    assert process.returncode == 130
    assert b"stopping when the parts at hand are finished" in error
    assert b"1 recording: 1 left" in error
    assert list(out.glob("**/aside/*")) == []
    done = len(list(out.glob("**/result-*.json")))
    assert 0 < done < 30
    again = subprocess.run(
        [str(word) for word in [*command, "--json", "-q"]], capture_output=True, check=True, timeout=PATIENCE
    )
    assert json.loads(again.stdout)["frames"] == 1500 - 50 * done


def test_progress_in_words() -> None:
    report = ArchiveReport(recordings=9, unchanged=2, done=3, refused=1, frames=500, size=1000, read=250.0)
    report.failures.append(("a", SourceError("b")))
    words = progress_words(report)
    assert words.startswith("4 of 7 recordings, 500 frames, ")
    assert "1 refused or failed" in words
    assert words.endswith(" left")


def test_periods_in_words() -> None:
    assert [period(seconds) for seconds in (0.4, 99, 100, 5999, 7200, 200_000)] == [
        "0 s",
        "99 s",
        "2 min",
        "100 min",
        "2.0 h",
        "2.3 days",
    ]
