"""What `doctor` finds, and what it advises."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mjpeg_restore import catalogue
from mjpeg_restore.catalogue import GraphFile
from mjpeg_restore.cli import doctor
from mjpeg_restore.errors import MissingExtra, RuntimeUnavailable
from mjpeg_restore.runtime import Network, devices
from mjpeg_restore.runtime.base import LoadSettings
from mjpeg_restore.runtime.loading import Loader
from mjpeg_restore.runtime.tensorrt.cache import CacheKey, EngineCache
from tests.cli.command import run


def refuse(graph: GraphFile, settings: LoadSettings) -> Network:
    raise RuntimeUnavailable("it does not work")


def raising(error: Exception) -> Callable[[], str]:
    def check() -> str:
        raise error

    return check


def replace_runtimes(monkeypatch: pytest.MonkeyPatch, **checks: Callable[[], str]) -> None:
    """Let the runtimes find what these functions say; nothing loads a graph."""
    found = tuple(
        devices.Runtime(name.replace("_", "-"), name.title(), ("pip",), name, (), refuse, check)
        for name, check in checks.items()
    )
    monkeypatch.setattr(devices, "RUNTIMES", found)
    monkeypatch.setattr(doctor, "RUNTIMES", found)
    monkeypatch.setattr(devices, "ON_HOST", tuple(one.name for one in found))
    monkeypatch.setattr("mjpeg_restore.runtime._LOADER", Loader())


def look(capfd: pytest.CaptureFixture[str], *words: object) -> tuple[int, str]:
    code, out, err = run(["doctor", *words], capfd)
    assert err == ""
    return code, out


def test_it_says_what_is_here(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    code, out = look(capfd, "--engine-cache", tmp_path / "none")
    assert code == 0
    for name in catalogue.models():
        assert f"\n    {name}: " in out
    assert "\n    decode: " in out
    assert "H.264: libx264" in out
    assert f"{tmp_path / 'none'}: 0, 0 MB" in out
    assert not (tmp_path / "none").exists()


def test_json_has_the_same(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    cache = EngineCache(tmp_path)
    cache.write(CacheKey("stream.engine", {"graph": "stream"}), bytes(3000))
    code, out = look(capfd, "--json", "--engine-cache", tmp_path)
    found: dict[str, Any] = json.loads(out)
    assert code == 0
    assert list(found["models"]) == list(catalogue.models())
    assert [one["name"] for one in found["runtimes"]] == [one.name for one in devices.RUNTIMES]
    (entry,) = found["engines"]
    assert entry["file"] == "stream.engine"
    assert entry["graph"] == "stream"
    assert entry["bytes"] > 3000


def test_without_a_runtime_that_works_the_exit_code_says_so(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    replace_runtimes(
        monkeypatch,
        onnxruntime=raising(RuntimeUnavailable("ONNX Runtime is installed but does not load (no libc)")),
        openvino=raising(MissingExtra("OpenVINO", "openvino", "this device")),
    )
    monkeypatch.setattr(doctor, "installed", lambda package: None)
    monkeypatch.setattr("mjpeg_restore.restorer.NativeDecode.available", False)
    code, out = look(capfd)
    assert code == 4
    assert 'Openvino: not installed; pip install "mjpeg-restore[openvino]"' in out
    assert "does not load (no libc)" in out
    assert "stream: nothing: it does not work" in out


def test_a_gpu_that_is_not_used_brings_advice(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "gpu_present", lambda: True)
    _, out = look(capfd)
    assert "NVIDIA GPU: yes" in out
    assert 'advice: pip install "mjpeg-restore[tensorrt-rtx]"' in out


def test_no_engine_is_built_to_find_out(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    replace_runtimes(monkeypatch, tensorrt=lambda: "NVIDIA L4, compute capability 8.9, 24 GB")
    monkeypatch.setattr(doctor, "gpu_present", lambda: True)
    code, out = look(capfd)
    assert code == 0
    assert "\n    stream: Tensorrt " in out
    assert "NVIDIA L4, compute capability 8.9, 24 GB\n" in out
    assert 'advice: pip install "mjpeg-restore[tensorrt' not in out


@pytest.mark.parametrize("words", [["--jsno"], ["stream"]])
def test_it_takes_nothing_else(words: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        run(["doctor", *words], capfd)
    assert caught.value.code == 2
