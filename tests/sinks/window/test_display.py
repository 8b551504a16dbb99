from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest

from mjpeg_restore.sinks.window import display
from tests.lacking import needs_linux


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """OpenCV as its wheels for Linux have it, with a display."""
    plugins = tmp_path / "cv2" / "qt" / "plugins" / "platforms"
    plugins.mkdir(parents=True)
    (plugins / "libqxcb.so").touch()
    monkeypatch.delenv("QT_QPA_PLATFORM", raising=False)
    monkeypatch.setenv("DISPLAY", ":7")
    monkeypatch.setattr(display, "_connects", lambda: True)
    return tmp_path / "cv2"


def test_with_a_display_there_is_nothing_to_say(package: Path) -> None:
    assert display.why_none(package) is None


@needs_linux
@pytest.mark.parametrize(
    ("value", "words"), [(":4077", "the display :4077 does not answer"), (None, "DISPLAY is not set")]
)
def test_a_display_that_is_not_there_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str | None, words: str
) -> None:
    try:
        ctypes.CDLL("libxcb.so.1")
    except OSError:
        pytest.skip("needs the library libxcb")
    plugins = tmp_path / "qt" / "plugins" / "platforms"
    plugins.mkdir(parents=True)
    (plugins / "libqxcb.so").touch()
    monkeypatch.delenv("QT_QPA_PLATFORM", raising=False)
    monkeypatch.setenv("DISPLAY", value) if value else monkeypatch.delenv("DISPLAY", raising=False)
    assert words in (display.why_none(tmp_path) or "")


@needs_linux
@pytest.mark.skipif(shutil.which("Xvfb") is None, reason="needs the program Xvfb")
def test_a_server_that_ends_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    read, write = os.pipe()
    with subprocess.Popen(["Xvfb", "-displayfd", str(write)], pass_fds=[write], stderr=subprocess.DEVNULL) as server:
        os.close(write)
        with os.fdopen(read) as number:
            monkeypatch.setenv("DISPLAY", f":{number.readline().strip()}")
            found = display.XServer()
            assert found.answered
            assert not found.gone
            server.terminate()
            server.wait()
    assert found.gone
    assert not display.XServer().gone  # it has never been there


@pytest.mark.parametrize("platform", ["wayland", "offscreen:x=1", "wayland;vnc"])
def test_a_platform_that_qt_lacks_is_named(package: Path, platform: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QT_QPA_PLATFORM", platform)
    assert "unset QT_QPA_PLATFORM" in (display.why_none(package) or "")


@pytest.mark.parametrize("platform", ["", "xcb", "wayland;xcb"])
def test_a_platform_that_qt_has_will_do(package: Path, platform: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QT_QPA_PLATFORM", platform)
    assert display.why_none(package) is None


def test_an_opencv_without_a_qt_of_its_own_speaks_for_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    assert display.why_none(tmp_path) is None


@pytest.mark.parametrize(("name", "blocks"), [("libxcb-shm-1234.so.0", True), ("libxcb-shm-5678.so.0", False)])
def test_a_qt_that_would_block_because_pyav_was_first_is_not_begun(
    package: Path, name: str, blocks: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder, helper in (("opencv_python.libs", "libxcb-shm-1234.so.0"), ("av.libs", name)):
        (package.parent / folder).mkdir()
        (package.parent / folder / helper).touch()
    spec = ModuleSpec("av", None, origin=str(package.parent / "av" / "__init__.py"))
    monkeypatch.setattr(display, "find_spec", lambda _: spec)
    monkeypatch.setattr(display.libxcb, "in_time", True)
    assert display.why_none(package) is None
    monkeypatch.setattr(display.libxcb, "in_time", False)
    assert ("PyAV was imported before" in (display.why_none(package) or "")) == blocks
