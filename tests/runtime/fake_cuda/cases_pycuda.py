"""CUDA by PyCUDA, where `cuda-bindings` is not installed. See `library.run_cases`.

What holds for CUDA by whichever package is tested as for `cuda-bindings`, and so are the pictures by TensorRT.
"""

from __future__ import annotations

import gc
import importlib
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType

import pytest

from mjpeg_restore.errors import MissingExtra, RuntimeUnavailable
from mjpeg_restore.runtime.cuda import Device, DeviceBuffer, Event, PinnedBuffer, Stream
from mjpeg_restore.runtime.cuda.device import open_driver
from tests.runtime.fake_cuda import pycuda_driver
from tests.runtime.fake_cuda.cases_bindings import (
    copied,
    test_a_device_that_is_not_there,
    test_an_error_of_the_gpu_ends_the_context_and_nothing_else,
    test_each_gpu_has_its_own,
    test_memory_of_the_gpu_is_copied_and_cleared_in_turn,
    test_nothing_is_done_before_somebody_waits,
    test_objects_of_others_end_where_their_gpu_is_current,
    test_streams_wait_for_each_other,
    test_the_context_before_is_current_again_after_an_error,
    test_threads_share_a_device,
)
from tests.runtime.fake_cuda.cases_tensorrt import (
    open_graph,
    packages,
    test_a_picture_belongs_to_whom_it_is_given,
    test_an_engine_that_fails_spoils_one_picture,
    test_close_waits_for_the_pictures_under_way,
    test_pictures_are_those_of_onnx_runtime,
    test_sessions_share_an_engine,
    test_the_size_may_change_at_any_time,
    test_the_state_of_a_camera_stays_on_the_gpu,
)
from tests.runtime.fake_cuda.library import DRIVER_MISMATCH, NO_DEVICE, NOT_INITIALIZED, OUT_OF_MEMORY, FakeDriver

__all__ = [
    "open_graph",
    "packages",
    "test_a_device_that_is_not_there",
    "test_a_picture_belongs_to_whom_it_is_given",
    "test_an_engine_that_fails_spoils_one_picture",
    "test_an_error_of_the_gpu_ends_the_context_and_nothing_else",
    "test_close_waits_for_the_pictures_under_way",
    "test_each_gpu_has_its_own",
    "test_memory_of_the_gpu_is_copied_and_cleared_in_turn",
    "test_nothing_is_done_before_somebody_waits",
    "test_objects_of_others_end_where_their_gpu_is_current",
    "test_pictures_are_those_of_onnx_runtime",
    "test_sessions_share_an_engine",
    "test_streams_wait_for_each_other",
    "test_the_context_before_is_current_again_after_an_error",
    "test_the_size_may_change_at_any_time",
    "test_the_state_of_a_camera_stays_on_the_gpu",
    "test_threads_share_a_device",
]


@pytest.fixture(autouse=True)
def pycuda(driver: FakeDriver, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """PyCUDA is installed, and `cuda-bindings` is not."""
    package = ModuleType("pycuda")
    package.__dict__["driver"] = pycuda_driver
    monkeypatch.setitem(sys.modules, "pycuda", package)
    monkeypatch.setitem(sys.modules, "pycuda.driver", pycuda_driver)
    monkeypatch.setitem(sys.modules, "cuda.bindings", None)
    monkeypatch.delitem(sys.modules, "mjpeg_restore.runtime.cuda.bindings", raising=False)
    monkeypatch.delitem(sys.modules, "mjpeg_restore.runtime.cuda.pycuda", raising=False)
    module = importlib.import_module("mjpeg_restore.runtime.cuda.pycuda")
    monkeypatch.setattr(module, "version", lambda _: "2026.1")
    yield package
    gc.collect()
    assert driver.live.keys() <= {"contexts"}  # one for each GPU is kept
    open_driver.cache_clear()
    gc.collect()  # the process would end
    assert driver.live.keys() <= {"pushes"}  # what PyCUDA leaves behind then
    driver.reset()


def test_a_device_says_what_it_is(driver: FakeDriver) -> None:
    device = Device()
    assert (device.name, device.capability, device.driver.version()) == ("NVIDIA L4", (8, 9), (13, 0))
    assert device.driver.title == "PyCUDA 2026.1"
    assert device.total_memory == device.free_memory == 128 << 20


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (NO_DEVICE, "there is no NVIDIA GPU here that CUDA can use"),
        (NOT_INITIALIZED, "CUDA does not survive a fork: start the process anew"),
        (DRIVER_MISMATCH, r"CUDA cannot start \(system has unsupported display driver .*\): try device='openvino'"),
    ],
)
def test_a_driver_that_does_not_start(driver: FakeDriver, code: int, words: str) -> None:
    driver.fail("cuInit", code)
    with pytest.raises(RuntimeUnavailable, match=words):
        Device()


def test_devices_come_and_go(driver: FakeDriver) -> None:
    for _ in range(3):
        assert copied(Device(), b"again") == b"again"
        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(lambda: copied(Device(), b"elsewhere")).result() == b"elsewhere"
    gc.collect()
    assert driver.live == {"contexts": 1}


def test_what_ends_on_another_thread_is_freed(driver: FakeDriver) -> None:
    device = Device()
    cycle: list[object] = [DeviceBuffer(device, 4), PinnedBuffer(device, 4), Stream(device), Event(device)]
    cycle.append(cycle)
    closed = Stream(device), Event(device)
    del cycle

    def end() -> None:
        gc.collect()
        for one in closed:
            one.close()

    thread = threading.Thread(target=end)
    thread.start()
    thread.join()
    assert driver.live == {"contexts": 1}


def test_memory_that_runs_out(driver: FakeDriver) -> None:
    device = Device()
    for kind, function in ((DeviceBuffer, "cuMemAlloc"), (PinnedBuffer, "cuMemHostAlloc")):
        driver.fail(function, OUT_OF_MEMORY)
        with pytest.raises(RuntimeUnavailable, match="the GPU is out of memory: CUDA cannot"):
            kind(device, 1 << 20)


def test_nothing_is_captured(driver: FakeDriver) -> None:
    assert Stream(Device()).capture(lambda: None) is None
    assert not driver.calls("cuStreamBeginCapture")


def test_without_either_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pycuda.driver", None)
    monkeypatch.delitem(sys.modules, "mjpeg_restore.runtime.cuda.pycuda")
    with pytest.raises(MissingExtra, match=r"An NVIDIA GPU needs cuda-bindings: pip install cuda-bindings$"):
        Device()
