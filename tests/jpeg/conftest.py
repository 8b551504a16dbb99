"""Both readers, so that a test runs with each."""

from __future__ import annotations

import pytest

from mjpeg_restore.jpeg import reader
from tests.lacking import needs_native_reader


@pytest.fixture(params=[pytest.param("native", marks=needs_native_reader), "fallback"])
def either_reader(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Runs the test with the native reader, where it was built, and with jpeglib."""
    if request.param == "fallback":
        monkeypatch.setattr(reader, "native_version", None)
        monkeypatch.setattr(reader, "native_arithmetic", False)
    return request.param
