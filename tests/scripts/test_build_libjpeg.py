"""The build of libjpeg-turbo for wheels, as far as it goes without a network."""

from __future__ import annotations

import hashlib
import io
import urllib.request
from pathlib import Path
from urllib.error import URLError

import build_libjpeg
import pytest


def served(monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    """Have every download answered with these bytes."""
    monkeypatch.setattr(urllib.request, "urlopen", lambda url, timeout: io.BytesIO(content))


def test_an_archive_of_the_pinned_checksum_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    served(monkeypatch, b"sources")
    monkeypatch.setattr(build_libjpeg, "SHA256", hashlib.sha256(b"sources").hexdigest())
    assert build_libjpeg.downloaded() == b"sources"


def test_an_archive_of_another_checksum_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    served(monkeypatch, b"something else")
    with pytest.raises(SystemExit, match=r"has the SHA-256 .*: nothing was built"):
        build_libjpeg.downloaded()


def test_a_download_that_fails_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(url: str, timeout: float) -> None:
        raise URLError("no route to host")

    monkeypatch.setattr(urllib.request, "urlopen", fail)
    with pytest.raises(SystemExit, match=r"cannot be downloaded \(.*no route to host.*\): nothing was built"):
        build_libjpeg.downloaded()


def test_a_missing_cmake_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SystemExit, match="cmake is not installed"):
        build_libjpeg.build(tmp_path, tmp_path, tmp_path)
