"""ONNX Runtime on a GPU, without one: what is asked of it, and what is said where it cannot be had."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from mjpeg_restore.errors import MissingExtra, RuntimeUnavailable
from mjpeg_restore.jpeg import read
from mjpeg_restore.restorer import Restorer
from mjpeg_restore.runtime import open_network
from tests.agreement import assert_same
from tests.jpeg.pictures import encode
from tests.lacking import needs
from tests.runtime.graphs import open_device, picture, run, shipped

ort = needs("onnxruntime")
needs("onnx")


class Session:
    """ONNX Runtime's session on the CPU, which says that it is on a GPU, or that it could not be."""

    starts = True
    asked: Any = None
    real = ort.InferenceSession

    def __init__(self, model: bytes, options: object, *, providers: list[Any], **others: object) -> None:
        if providers != ["CPUExecutionProvider"]:
            assert others == {"enable_fallback": 0}
            Session.asked = providers
        self._session = Session.real(model, options, providers=["CPUExecutionProvider"])
        self.get_inputs, self.get_outputs = self._session.get_inputs, self._session.get_outputs
        self.run = self._session.run

    def get_providers(self) -> list[str]:
        return ["CUDAExecutionProvider"] * Session.starts + ["CPUExecutionProvider"]


@pytest.fixture
def with_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ort, "get_available_providers", lambda: ["CUDAExecutionProvider", "CPUExecutionProvider"])
    monkeypatch.setattr(ort, "InferenceSession", Session)
    monkeypatch.setattr(ort, "preload_dlls", lambda: sys.stdout.write("noise"), raising=False)


@pytest.mark.usefixtures("with_cuda")
@pytest.mark.parametrize("device", ["onnxruntime:cuda", "onnxruntime:cuda:1"])
def test_it_computes_what_the_cpu_computes(device: str, capsys: pytest.CaptureFixture[str]) -> None:
    network = open_network(shipped("decode"), device, precision="fp32")
    [(name, settings)] = Session.asked
    assert name == "CUDAExecutionProvider"
    assert settings["device_id"] == (1 if device.endswith("1") else 0)
    assert not settings["use_tf32"]
    assert network.name == f"ONNX Runtime {ort.__version__}, CUDA, fp32"
    assert_same(run(network, picture()), run(open_device("decode", "onnxruntime"), picture()))
    assert not capsys.readouterr().out


@pytest.mark.usefixtures("with_cuda")
def test_a_cpu_in_the_place_of_a_gpu_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Session, "starts", False)
    with pytest.raises(RuntimeUnavailable, match=r"finds no GPU, or lacks .* cuDNN: try device='onnxruntime'"):
        open_network(shipped("decode"), "onnxruntime:cuda")


@pytest.mark.usefixtures("with_cuda")
def test_float16_is_part_of_the_graph() -> None:
    network = open_network(shipped("stream-lite"), "onnxruntime:cuda", precision="fp16")
    assert network.name.endswith(", CUDA, fp16")
    apart = [
        np.abs(one.astype(int) - other).mean()
        for one, other in zip(
            run(network, picture()), run(open_device("stream-lite", "onnxruntime"), picture()), strict=True
        )
    ]
    assert 0 < max(apart) < 2


@pytest.mark.usefixtures("with_cuda")
def test_a_model_for_video_has_its_state_in_the_hosts_memory() -> None:
    frames = [read(encode("4:2:0", (64, 48), seed=1, quality=quality)) for quality in (75, 60, 70)]
    found = []
    for device in ("onnxruntime:cuda", "onnxruntime"):
        restorer = Restorer("stream-video-lite", device)
        with restorer.stream() as stream:
            found.append([stream.restore(frame) for frame in frames])
        assert restorer.runtime_name.endswith("CUDA, fp16" if device.endswith("cuda") else "CPU")
    for ours, theirs in zip(*found, strict=True):
        apart = [np.abs(one.astype(int) - other) for one, other in zip(ours.planes, theirs.planes, strict=True)]
        assert 0 < max(map(np.mean, apart)) < 2


@pytest.mark.usefixtures("with_cuda")
def test_without_onnx_the_error_says_what_needs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(MissingExtra, match=r"^onnxruntime:cuda needs onnx: pip install onnx$"):
        open_network(shipped("decode"), "onnxruntime:cuda")


@pytest.mark.parametrize("has_onnx", [True, False])
def test_a_build_without_cuda_names_the_package_with_it(has_onnx: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not has_onnx:
        monkeypatch.setitem(sys.modules, "onnx", None)
    monkeypatch.setattr(ort, "get_available_providers", lambda: ["CPUExecutionProvider"])
    with pytest.raises(MissingExtra, match=r"^onnxruntime:cuda needs onnxruntime-gpu: pip install onnxruntime-gpu$"):
        open_network(shipped("decode"), "onnxruntime:cuda")


@pytest.mark.parametrize("device", ["onnxruntime:rocm", "onnxruntime:cuda:x"])
def test_other_devices_are_refused(device: str) -> None:
    with pytest.raises(RuntimeUnavailable, match=r"has no device '.+' here, only CPU, cuda and cuda:1"):
        open_network(shipped("decode"), device)


@pytest.mark.usefixtures("with_cuda")
@pytest.mark.parametrize(
    ("message", "broken"),
    [
        ("CUDA failure 700: an illegal memory access was encountered ; GPU=0 ; file=cuda_call.cc", True),
        ("CUDNN failure 5000: CUDNN_STATUS_EXECUTION_FAILED ; GPU=0", True),
        ("CUDNN_FE failure 11: CUDNN_BACKEND_API_FAILED ; GPU=0", True),
        ("CUBLAS failure 3: CUBLAS_STATUS_ALLOC_FAILED ; GPU=0", False),
        ("CUDA failure 2: out of memory ; GPU=0", False),
        ("Got invalid dimensions for input: y.table", False),
    ],
)
def test_an_error_of_cuda_breaks_the_network(message: str, broken: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError(message)

    network = open_network(shipped("decode"), "onnxruntime:cuda")
    monkeypatch.setattr(network, "_session", SimpleNamespace(run=fail))
    with pytest.raises(RuntimeUnavailable):
        run(network, picture())
    assert network.broken is broken


@pytest.mark.usefixtures("with_cuda")
def test_a_camera_whose_network_broke_is_restored_by_the_next_one_as_if_it_had_been_the_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("CUDA failure 700: an illegal memory access was encountered ; GPU=0")

    devices = ["onnxruntime:cuda", "onnxruntime"]
    monkeypatch.setattr("mjpeg_restore.runtime.candidates", lambda _: devices)
    frames = [read(encode("4:2:0", (64, 48), seed=1, quality=quality)) for quality in (75, 60, 70)]
    restorer = Restorer("stream-video-lite", "cuda")
    with restorer.stream() as stream:
        stream.restore(frames[0])
        network = restorer.network(restorer.model.variants[0].graphs["colour"])
        monkeypatch.setattr(network, "_session", SimpleNamespace(run=fail))
        with pytest.raises(RuntimeUnavailable, match="illegal memory access"):
            stream.restore(frames[1])
        del devices[0]  # where CUDA has failed for good, it does not load
        found = stream.restore(frames[2])
        assert restorer.runtime_name.endswith("CPU")
    with Restorer("stream-video-lite", "onnxruntime").stream() as other:
        for ours, right in zip(found.planes, other.restore(frames[2]).planes, strict=True):
            assert np.array_equal(ours, right)
