"""The progress of a run, on a terminal and elsewhere."""

from __future__ import annotations

import io
import sys
from fractions import Fraction

import pytest

from mjpeg_restore.cli.progress import Progress
from mjpeg_restore.report import Report
from mjpeg_restore.sources import SourceInfo


def test_progress_is_a_plain_line_now_and_then(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("mjpeg_restore.cli.progress.EVERY", 0.0)
    info = SourceInfo("cam", "JPEG stream", "assumed", Fraction(1, 25), frames=100)
    with Progress(info, None, quiet=False) as progress:
        progress.update(Report(frames=7))
    assert capsys.readouterr().err.startswith("mjpeg-restore: frame 7 of about 100, ")
    with Progress(info, None, quiet=True) as progress:
        progress.update(Report(frames=7))
    assert capsys.readouterr().err == ""


def test_progress_is_a_bar_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    info = SourceInfo("cam", "JPEG stream", "assumed", Fraction(1, 25), frames=100)
    with Progress(info, 50, quiet=False) as progress:
        progress.update(Report(frames=7))
    assert "7/50" in terminal.getvalue()
    assert "frames/s" in terminal.getvalue()
