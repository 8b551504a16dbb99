"""What `--version` shows."""

from __future__ import annotations

import pytest

import mjpeg_restore
from mjpeg_restore.cli import main
from mjpeg_restore.cli.arguments import parse


def test_version_names_the_reader_and_the_runtimes(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--version"])
    assert caught.value.code == 0
    out = capfd.readouterr().out
    assert f"mjpeg-restore {mjpeg_restore.__version__}" in out
    assert "coefficient reader: " in out
    assert "(native)" in out or "(fallback)" in out
    assert "decode and projection: " in out
    assert "ONNX Runtime" in out


def test_versions_are_found_out_only_when_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mjpeg_restore.cli.restore_options.versions", pytest.fail)
    parse(["in.mjpeg", "--verify"])
