"""A clip, and a folder to write to."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.command import pictures


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """Six pictures, one after the other."""
    path = tmp_path / "cam.mjpeg"
    path.write_bytes(b"".join(pictures()))
    return path


@pytest.fixture
def output(tmp_path: Path) -> Path:
    """A folder of its own, so that whatever is left behind can be listed."""
    folder = tmp_path / "out"
    folder.mkdir()
    return folder
