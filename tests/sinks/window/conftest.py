from __future__ import annotations

import sys

import pytest

from tests.sinks.window.fake_opencv import FakeOpenCv


@pytest.fixture
def cv2(monkeypatch: pytest.MonkeyPatch) -> FakeOpenCv:
    """OpenCV, and its clock as everybody's."""
    fake = FakeOpenCv()
    monkeypatch.setitem(sys.modules, "cv2", fake)
    for module in ("sink", "canvas"):
        monkeypatch.setattr(f"mjpeg_restore.sinks.window.{module}.monotonic", fake.monotonic)
    return fake
