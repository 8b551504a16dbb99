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
from tests.lacking import needs_linux


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
    on_gpu = tuple(one.name for one in found if one.name in devices.ON_GPU)
    monkeypatch.setattr(devices, "ON_GPU", on_gpu)
    monkeypatch.setattr(devices, "ON_HOST", tuple(one.name for one in found if one.name not in on_gpu))
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
    assert "NVIDIA GPUs:\n    " in out
    assert f"engines of TensorRT in {tmp_path / 'none'}:\n    none\n" in f"{out}\n"
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
    assert entry["about"] == {"graph": "stream"}
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
    monkeypatch.setattr("mjpeg_restore.restorer.loaded.NativeDecode.available", False)
    code, out = look(capfd)
    assert code == 4
    assert 'Openvino: not installed; pip install "mjpeg-restore[openvino]"' in out
    assert "does not load (no libc)" in out
    assert "stream: nothing: it does not work" in out


def test_a_library_that_raises_anything_is_one_line(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    replace_runtimes(monkeypatch, torch=raising(AttributeError("no attribute 'cuda'")), onnxruntime=lambda: "CPU")
    code, out = look(capfd)
    assert code == 0
    assert ": it does not work (no attribute 'cuda')\n" in out
    assert "\n    Onnxruntime " in out


def test_a_library_that_no_python_package_brought_has_no_version(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    replace_runtimes(monkeypatch, openvino=lambda: "CPU")
    monkeypatch.setattr(doctor, "installed", lambda package: None)
    _, out = look(capfd)
    assert "\n    Openvino: CPU\n" in out
    assert "advice" not in out


@pytest.fixture
def gpu_node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A driver's device node, as if there were a GPU."""
    node = tmp_path / "nvidiactl"
    node.touch()
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr("mjpeg_restore.runtime.cuda.presence.NODES", (str(node),))


@needs_linux
@pytest.mark.usefixtures("gpu_node")
def test_a_gpu_that_no_package_uses_brings_advice(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    replace_runtimes(
        monkeypatch,
        tensorrt=raising(MissingExtra("tensorrt", "tensorrt", "this device")),
        tensorrt_rtx=raising(MissingExtra("tensorrt-rtx", "tensorrt-rtx", "this device")),
        openvino=lambda: "CPU",
    )
    monkeypatch.setattr(doctor, "installed", lambda package: None)
    _, out = look(capfd)
    assert (
        'advice: to use the GPU, pip install "mjpeg-restore[tensorrt]" (in data centres) or '
        '"mjpeg-restore[tensorrt-rtx]"\n'
    ) in out


@needs_linux
@pytest.mark.usefixtures("gpu_node")
def test_what_is_installed_and_broken_is_not_advised(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    replace_runtimes(
        monkeypatch,
        tensorrt=raising(RuntimeUnavailable("no driver")),
        tensorrt_rtx=raising(RuntimeUnavailable("builds nothing for compute capability 9.0")),
    )
    _, out = look(capfd)
    assert "\nadvice: to use the GPU" not in out
    assert "builds nothing for compute capability 9.0\n" in out


@needs_linux
@pytest.mark.usefixtures("gpu_node")
def test_a_gpu_whose_driver_does_not_work_is_said(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken() -> None:
        raise RuntimeUnavailable("the NVIDIA driver does not fit: update it")

    monkeypatch.setattr("mjpeg_restore.runtime.cuda.device.open_driver", broken)
    code, out = look(capfd)
    assert code == 0
    assert "NVIDIA GPUs:\n    there is a driver, and it cannot be asked: the NVIDIA driver does not fit: upd" in out
    assert caplog.records == []  # nor does it warn of the GPU that is not used: it says so


def test_gpus_are_listed(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "gpus", lambda: ["NVIDIA L4, compute capability 8.9, 24 GB", "NVIDIA T4"])
    _, out = look(capfd)
    assert "NVIDIA GPUs:\n    NVIDIA L4, compute capability 8.9, 24 GB\n    NVIDIA T4\n" in out
    _, out = look(capfd, "--json")
    assert json.loads(out)["gpus"] == ["NVIDIA L4, compute capability 8.9, 24 GB", "NVIDIA T4"]


@pytest.mark.parametrize("header", ["", '{"magic": "mjpeg-restore cache 1", "about": [1]}', "[", '{"magic": 7}'])
def test_a_damaged_engine_is_called_so(header: str, capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "stream.engine").write_text(f"{header}\n...")
    _, out = look(capfd, "--engine-cache", tmp_path)
    assert "\n    stream.engine, 0.0 MB, damaged or of something else" in out
    _, out = look(capfd, "--json", "--engine-cache", tmp_path)
    assert json.loads(out)["engines"][0]["about"] == {}


def test_without_a_home_there_is_no_folder_of_engines(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def homeless(cls: type[Path]) -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.delenv("LOCALAPPDATA", raising=False)
    monkeypatch.setattr(Path, "home", classmethod(homeless))
    code, out = look(capfd)
    assert code == 0
    assert "engines of TensorRT in no folder (there is no home folder" in out
    assert "--engine-cache names a folder for them" in out


def test_no_engine_is_built_to_find_out(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    replace_runtimes(monkeypatch, tensorrt=lambda: "NVIDIA L4, compute capability 8.9, 24 GB")
    monkeypatch.setattr(doctor, "gpu_present", lambda: True)
    code, out = look(capfd)
    assert code == 0
    assert "\n    stream: Tensorrt " in out
    assert "NVIDIA L4, compute capability 8.9, 24 GB\n" in out
    assert "advice: to use the GPU" not in out


@pytest.mark.parametrize("words", [["--jsno"], ["stream"]])
def test_it_takes_nothing_else(words: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        run(["doctor", *words], capfd)
    assert caught.value.code == 2
