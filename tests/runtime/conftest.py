"""Networks that no other test has loaded, and OpenVINO on a CPU without bf16."""

from __future__ import annotations

import pytest

from mjpeg_restore.runtime.loading import Loader
from tests.lacking import needs


@pytest.fixture(autouse=True)
def fresh_loader(monkeypatch: pytest.MonkeyPatch) -> None:
    """Loads each network anew: tests change what a runtime finds when it loads one."""
    monkeypatch.setattr("mjpeg_restore.runtime._LOADER", Loader())


@pytest.fixture
def without_bf16(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes OpenVINO believe that the CPU has no bf16."""
    needs("openvino")
    monkeypatch.setattr("mjpeg_restore.runtime.cpu.openvino.has_bf16", lambda *_: False)
