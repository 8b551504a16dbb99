"""Ctrl-C while a script measures for minutes: one line, and the exit code of an interrupt."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.scripts.running import run


def interrupt(_: str) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("script", "words"),
    [("evaluate", ["--data", "."]), ("evaluate_video", ["--json"]), ("reproduce", ["all", "--data", "."])],
)
def test_it_stops_in_one_line(script: str, words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("installed.needed", interrupt)
    more = [tmp_path / "video.json"] if script == "evaluate_video" else []
    done = run(script, *words, *more)
    assert done.returncode == 130
    assert done.stderr.startswith(f"{script}: stopped") and done.stderr.count("\n") == 1
