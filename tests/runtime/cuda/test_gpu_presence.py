"""Whether there is an NVIDIA GPU, as far as the file system tells."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from mjpeg_restore.runtime.cuda import gpu_present
from tests.lacking import needs_linux


@needs_linux
@pytest.mark.parametrize(
    ("visible", "expected"), [(None, True), ("0", True), ("1,0", True), ("", False), (" ", False), ("-1", False)]
)
def test_a_driver_whose_gpus_are_not_hidden(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, visible: str | None, expected: bool
) -> None:
    node = tmp_path / "nvidiactl"
    monkeypatch.setattr("mjpeg_restore.runtime.cuda.presence.NODES", (str(tmp_path / "nvgpu"), str(node)))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert not gpu_present()
    node.touch()
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert gpu_present() is expected


def test_windows_has_the_drivers_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setenv("SYSTEMROOT", str(tmp_path))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert not gpu_present()
    (tmp_path / "System32").mkdir()
    (tmp_path / "System32" / "nvcuda.dll").touch()
    assert gpu_present()
