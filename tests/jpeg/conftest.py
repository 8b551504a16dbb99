"""Both readers, so that a test runs with each."""

from __future__ import annotations

import pytest

from mjpeg_restore.jpeg import reader


@pytest.fixture(params=["native", "fallback"])
def either_reader(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Runs the test with the native reader, where it was built, and with jpeglib."""
    if request.param == "fallback":
        monkeypatch.setattr(reader, "native_version", None)
        monkeypatch.setattr(reader, "native_arithmetic", False)
    elif reader.native_version is None:
        pytest.skip("the native reader was not built")
    return request.param
