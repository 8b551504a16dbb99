from __future__ import annotations

import ctypes
import subprocess
import sys
from types import SimpleNamespace

import pytest

from mjpeg_restore import libxcb
from tests.lacking import needs_linux, needs_opencv


@pytest.mark.parametrize(
    ("loaded", "in_time"),
    [([], True), (["av"], False), (["cv2", "av"], True), (["av", "cv2"], False), (["cv2"], True)],
)
def test_it_knows_whether_pyav_was_first(loaded: list[str], in_time: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(libxcb, "sys", SimpleNamespace(modules=dict.fromkeys(loaded), platform="linux"))
    monkeypatch.setattr(libxcb, "ctypes", SimpleNamespace(CDLL=lambda *_: None, RTLD_GLOBAL=0))
    assert libxcb.share() == in_time


@needs_linux
@needs_opencv
def test_the_systems_libxcb_is_loaded_for_all_before_pyav() -> None:
    try:
        ctypes.CDLL("libxcb.so.1")
    except OSError:
        pytest.skip("needs the library libxcb")
    code = "import ctypes, mjpeg_restore; ctypes.CDLL(None).xcb_connect; print(mjpeg_restore.libxcb.in_time)"
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "True\n"
