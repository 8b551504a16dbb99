from __future__ import annotations

import importlib
import importlib.abc
import sys
from importlib.util import find_spec

import pytest

from mjpeg_restore import catalogue, runtime
from mjpeg_restore.errors import MissingExtra, RuntimeUnavailable
from mjpeg_restore.runtime import open_network
from tests.runtime.graphs import open_device, picture, run


def forget(monkeypatch: pytest.MonkeyPatch, modules: str) -> None:
    """Have Python import modules anew whose names begin so."""
    for name in [name for name in sys.modules if name.startswith(modules)]:
        monkeypatch.delitem(sys.modules, name)


@pytest.mark.usefixtures("without_bf16")
def test_auto_is_openvino_if_installed() -> None:
    assert open_device("stream-lite", "auto").name.startswith("OpenVINO ")


def test_auto_falls_back_on_onnx_runtime(monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(open_device("decode", "auto"), picture())
    monkeypatch.setitem(sys.modules, "openvino", None)
    forget(monkeypatch, "mjpeg_restore.runtime.cpu.openvino")
    assert open_device("decode", "auto").name.startswith("ONNX Runtime ")


@pytest.mark.parametrize("device", ["tpu", "", "openvinos", "auto:GPU"])
def test_the_error_for_an_unknown_device_lists_the_known_ones(device: str) -> None:
    with pytest.raises(RuntimeUnavailable, match=r"there are auto, cuda, .*openvino, onnxruntime") as caught:
        open_network(catalogue.find("decode").variants[0].graphs["colour"], device)
    assert repr(device) in str(caught.value)


def test_without_openvino_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    forget(monkeypatch, "mjpeg_restore.runtime.cpu.openvino")
    with pytest.raises(MissingExtra, match=r"pip install openvino \(the extra mjpeg-restore\[openvino\]\)"):
        open_network(catalogue.find("decode").variants[0].graphs["colour"], "openvino")


def test_without_onnx_runtime_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    monkeypatch.delitem(sys.modules, "mjpeg_restore.runtime.cpu.onnxruntime", raising=False)
    graph = catalogue.find("decode").variants[0].graphs["colour"]
    with pytest.raises(MissingExtra, match=r"pip install onnxruntime \(the extra mjpeg-restore\[onnxruntime\]\)"):
        open_network(graph, "onnxruntime")
    if find_spec("openvino"):
        assert open_network(graph).name.startswith("OpenVINO ")
    monkeypatch.setitem(sys.modules, "openvino", None)
    forget(monkeypatch, "mjpeg_restore.runtime.cpu.openvino")
    with pytest.raises(RuntimeUnavailable, match=r"^a network needs a runtime, OpenVINO or ONNX Runtime: pip "):
        open_network(graph)


def break_openvino(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """Make the import of OpenVINO raise `error`."""

    class Broken(importlib.abc.MetaPathFinder):
        def find_spec(self, name: str, *_: object) -> None:
            if name == "openvino":
                raise error

    forget(monkeypatch, "openvino")
    forget(monkeypatch, "mjpeg_restore.runtime.cpu.openvino")
    monkeypatch.setattr(sys, "meta_path", [Broken(), *sys.meta_path])


@pytest.mark.parametrize(
    "error", [ImportError("libtbb.so.12: no such file"), OSError("Exception from core.cpp:\nlibtbb.so.12: no\n\n")]
)
def test_a_broken_openvino_is_an_error_or_skipped_by_auto(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    break_openvino(monkeypatch, error)
    with pytest.raises(
        RuntimeUnavailable, match=r"does not load \(libtbb\.so\.12: .*\): try device='onnxrun"
    ) as caught:
        open_network(catalogue.find("decode").variants[0].graphs["colour"], "openvino")
    assert not isinstance(caught.value, MissingExtra)
    assert open_device("decode", "auto").name.startswith("ONNX Runtime ")


def test_usable_cores_is_at_least_one(monkeypatch: pytest.MonkeyPatch) -> None:
    assert runtime.usable_cores() >= 1
    monkeypatch.delattr("os.sched_getaffinity", raising=False)
    assert runtime.usable_cores() >= 1
