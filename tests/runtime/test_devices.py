"""The list of runtimes: what each finds on this machine, and what stands for several of them."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest

from mjpeg_restore import catalogue
from mjpeg_restore.errors import MissingExtra, RuntimeUnavailable
from mjpeg_restore.runtime import open_network
from mjpeg_restore.runtime.devices import ON_GPU, ON_HOST, RUNTIMES, candidates, known_devices, on_gpu, runtime_of
from mjpeg_restore.runtime.tensorrt.package import load_package
from tests.lacking import needs, needs_tensorrt_rtx


def check(device: str) -> str:
    return runtime_of(device)[0].check()


def hide_tensorrt(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither package is installed, nor was it loaded before."""
    monkeypatch.setattr("mjpeg_restore.runtime.tensorrt.package.is_installed", lambda edition: False)
    monkeypatch.setattr("mjpeg_restore.runtime.tensorrt.loading.load_package", load_package.__wrapped__)


# ---- words for several ----


def test_auto_tries_gpus_only_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mjpeg_restore.runtime.devices.gpu_present", lambda: False)
    assert candidates("auto") == [*ON_HOST]
    monkeypatch.setattr("mjpeg_restore.runtime.devices.gpu_present", lambda: True)
    assert candidates("auto") == [*ON_GPU, *ON_HOST]


def test_cuda_is_every_runtime_of_a_gpu_and_may_have_an_index() -> None:
    assert candidates("cuda") == [*ON_GPU]
    assert candidates("cuda:1") == ["tensorrt:1", "tensorrt-rtx:1", "torch:1", "onnxruntime:cuda:1"]


def test_every_device_has_a_runtime_and_is_listed() -> None:
    for device in (*ON_GPU, *ON_HOST, "openvino:NPU", "torch:cpu"):
        assert runtime_of(device)[0] in RUNTIMES
        assert device in known_devices().split(", ")


@pytest.mark.parametrize("device", ["onnxruntime", "openvino", "openvino:GPU", "torch:cpu"])
def test_the_cpu_and_what_openvino_runs_is_no_nvidia_gpu(device: str) -> None:
    assert not on_gpu(device)


@pytest.mark.parametrize("device", [*ON_GPU, "tensorrt:1", "torch:0", "onnxruntime:cuda:1"])
def test_an_nvidia_gpu_has_several_names(device: str) -> None:
    assert on_gpu(device)


@pytest.mark.parametrize("device", ["cuda", "cuda:1"])
def test_without_any_runtime_of_a_gpu_the_best_one_is_named(device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(*_: object) -> None:
        raise MissingExtra("torch", "torch", "this device")

    hide_tensorrt(monkeypatch)
    monkeypatch.setitem(sys.modules, "mjpeg_restore.runtime.torch.network", SimpleNamespace(load=absent))  # pyright: ignore
    with pytest.raises(MissingExtra, match=r"pip install tensorrt \(the extra mjpeg-restore\[tensorrt\]\)"):
        open_network(catalogue.find("decode").variants[0].graphs["grey"], device)


@pytest.mark.parametrize("detail", ["cpu", "x", "-1"])
def test_cuda_is_followed_by_nothing_but_a_number(detail: str) -> None:
    with pytest.raises(RuntimeUnavailable, match=f"no GPU '{detail}': they have numbers from 0, as in cuda:1"):
        candidates(f"cuda:{detail}")


# ---- what is found ----


def test_onnx_runtime_is_for_the_cpu_or_for_cuda_too(monkeypatch: pytest.MonkeyPatch) -> None:
    onnxruntime = needs("onnxruntime")
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    assert check("onnxruntime") == "CPU"
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CUDAExecutionProvider"])
    assert check("onnxruntime") == "CPU, CUDA"


def test_openvino_finds_the_cpu() -> None:
    needs("openvino")
    assert check("openvino").partition(", ")[0] in ("CPU", "CPU (bf16)")


def test_an_openvino_that_does_not_start_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    openvino = needs("openvino")

    def core() -> None:
        raise RuntimeError("Exception from core.cpp:\nno plugins.xml")

    monkeypatch.setattr(openvino, "Core", core)
    with pytest.raises(RuntimeUnavailable, match=r"OpenVINO does not start \(no plugins\.xml\)"):
        check("openvino")


def test_pytorch_finds_its_gpus_and_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    torch = needs("torch")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert check("torch") == "CPU"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda index: f"NVIDIA {index}")
    assert check("torch") == "NVIDIA 0, NVIDIA 1, CPU"


def test_a_gpu_that_pytorch_cannot_look_at_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    torch = needs("torch")

    def broken(index: int) -> str:
        raise RuntimeError("CUDA error: unknown error")

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "get_device_name", broken)
    with pytest.raises(RuntimeUnavailable, match=r"PyTorch cannot look at the GPU \(CUDA error: unknown error\)"):
        check("torch")


class Card:
    """A GPU that is not there."""

    def __init__(self, capability: tuple[int, int]) -> None:
        self.capability = capability

    def __str__(self) -> str:
        return "NVIDIA Test"


@needs_tensorrt_rtx
def test_tensorrt_for_rtx_builds_for_some_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mjpeg_restore.runtime.tensorrt.loading.Device", lambda: Card((8, 9)))
    assert check("tensorrt-rtx") == "NVIDIA Test"
    monkeypatch.setattr("mjpeg_restore.runtime.tensorrt.loading.Device", lambda: Card((9, 0)))
    with pytest.raises(RuntimeUnavailable, match=r"builds nothing for compute capability 9\.0, only for "):
        check("tensorrt-rtx")


def test_tensorrt_that_is_not_installed_is_a_missing_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    hide_tensorrt(monkeypatch)
    for device in ("tensorrt", "tensorrt-rtx"):
        with pytest.raises(MissingExtra):
            check(device)


# ---- ONNX Runtime on a GPU, whose provider is not in the builds for CPUs ----
