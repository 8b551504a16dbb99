"""OpenVINO on a CPU without bf16."""

from __future__ import annotations

import pytest

from tests.lacking import needs


@pytest.fixture
def without_bf16(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes OpenVINO believe that the CPU has no bf16."""
    needs("openvino")
    monkeypatch.setattr("mjpeg_restore.runtime.cpu.openvino.has_bf16", lambda *_: False)
