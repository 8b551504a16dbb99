"""Networks that no other test has loaded, OpenVINO on a CPU without bf16, and a CUDA driver without a GPU."""

from __future__ import annotations

from pathlib import Path

import pytest

from mjpeg_restore.runtime.loading import Loader
from tests.lacking import needs
from tests.runtime.fake_cuda.library import compile_driver


@pytest.fixture(scope="session")
def cuda_driver(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a CUDA driver that needs no GPU; see `fake_cuda.library.run_cases`."""
    return compile_driver(tmp_path_factory.mktemp("driver"))


@pytest.fixture(autouse=True)
def fresh_loader(monkeypatch: pytest.MonkeyPatch) -> None:
    """Loads each network anew: tests change what a runtime finds when it loads one."""
    monkeypatch.setattr("mjpeg_restore.runtime._LOADER", Loader())


@pytest.fixture
def without_bf16(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes OpenVINO believe that the CPU has no bf16."""
    needs("openvino")
    monkeypatch.setattr("mjpeg_restore.runtime.cpu.openvino.has_bf16", lambda *_: False)
