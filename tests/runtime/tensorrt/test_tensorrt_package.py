"""Which of the packages is there, what it can do, and where its messages go."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from mjpeg_restore.errors import MissingExtra, RuntimeUnavailable
from mjpeg_restore.runtime.tensorrt.package import load_package
from tests.lacking import needs_tensorrt_rtx


@needs_tensorrt_rtx
def test_tensorrt_for_rtx() -> None:
    package = load_package("tensorrt-rtx")
    assert package is load_package("tensorrt-rtx")
    assert package.name.startswith("TensorRT-RTX 1.")
    assert {(8, 6), (8, 9), (12, 0)} <= {*package.capabilities}
    assert list(package.capabilities) == sorted(package.capabilities)
    assert package.kind_of((12, 0)).name == "SM120"
    with pytest.raises(RuntimeUnavailable, match=r"nothing for compute capability 9\.0, only for 7\.5, .*8\.9, 12\.0"):
        package.kind_of((9, 0))


def test_tensorrt(tensorrt: Path) -> None:
    package = load_package("tensorrt")
    assert package.name == "TensorRT 10.13.3"
    assert package.capabilities == ()


@pytest.mark.parametrize("device", ["tensorrt", "tensorrt-rtx"])
def test_a_package_that_is_not_installed(monkeypatch: pytest.MonkeyPatch, device: str) -> None:
    monkeypatch.setattr("mjpeg_restore.runtime.tensorrt.package.find_spec", lambda _: None)
    with pytest.raises(MissingExtra, match=rf"pip install {device} \(the extra mjpeg-restore\[{device}\]\)"):
        load_package(device)


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ('__version__ = "8.6.1"', 'TensorRT 8.6.1 will not do: pip install "tensorrt>=10.12,<12"'),
        ('__version__ = "10.9.0.34"', "TensorRT 10.9.0.34 will not do"),
        ('__version__ = "12.0.0.1"', "TensorRT 12.0.0.1 will not do"),
        ("", "TensorRT is installed but does not load"),
        (
            'raise FileNotFoundError("Could not find: nvinfer_10.dll.\\nPaths searched were:\\n[]")',
            "TensorRT is installed but does not load (Could not find: nvinfer_10.dll. [])",
        ),
        ('raise ImportError("libnvinfer.so.10: cannot open")', "(libnvinfer.so.10: cannot open)"),
    ],
)
def test_a_package_that_will_not_do_is_one_sentence(tensorrt: Path, code: str, told: str) -> None:
    tensorrt.write_text(code)
    with pytest.raises(RuntimeUnavailable) as caught:
        load_package("tensorrt")
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


@needs_tensorrt_rtx
def test_messages_go_to_the_log_and_errors_are_kept_for_an_exception(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    package = load_package("tensorrt-rtx")
    severity = package.module.ILogger.Severity
    with caplog.at_level(logging.DEBUG, "mjpeg_restore.runtime.tensorrt"):
        package.logger.log(severity.WARNING, "a warning")
        package.logger.log(
            severity.ERROR,
            "IBuilder::build: Error Code 1: Myelin ([pass.cpp:337: check] No GEMM. In compile at /_src/a.cpp:2012)",
        )
        package.logger.log(severity.ERROR, "and more")
    assert [record.getMessage() for record in caplog.records][:1] == ["WARNING: a warning"]
    assert {record.levelno for record in caplog.records} == {logging.DEBUG}
    assert package.failure() == "Myelin (No GEMM.)"
    assert package.failure() == "it does not say why"
    assert capfd.readouterr() == ("", "")


@needs_tensorrt_rtx
@pytest.mark.parametrize(
    ("message", "told"),
    [
        (
            "IBuilder::f: Error Code 1: Cuda Runtime (In g at /_src/a.cpp:221 (cudaError 35: driver is insufficient))",
            "Cuda Runtime (cudaError 35: driver is insufficient)",
        ),
        ("[defaultAllocator.cpp::allocate::31] Error Code 1: Cuda Runtime (out of memory)", "out of memory"),
        ("IBuilder::f: Error Code 2: OutOfMemory (Requested size was 1024 bytes.)", "out of memory"),
        ("Two\nlines", "Two lines"),
    ],
)
def test_errors_are_told_in_one_line_and_without_places(message: str, told: str) -> None:
    package = load_package("tensorrt-rtx")
    package.logger.log(package.module.ILogger.Severity.ERROR, message)
    assert package.failure() == told
