"""CUDA by `cuda-bindings`, whose code really runs: the driver alone is another one. See `library.run_cases`."""

from __future__ import annotations

import gc
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from mjpeg_restore.errors import RuntimeUnavailable
from mjpeg_restore.runtime.cuda import Device, DeviceBuffer, Event, Owned, PinnedBuffer, Stream
from tests.runtime.fake_cuda.library import (
    DRIVER_MISMATCH,
    ILLEGAL_ADDRESS,
    NO_DEVICE,
    NOT_INITIALIZED,
    OUT_OF_MEMORY,
    FakeDriver,
    in_another_process,
)


def test_a_device_says_what_it_is(driver: FakeDriver) -> None:
    driver.set_gpus(2)
    driver.set_capacity(1 << 20)
    first, second = Device(), Device(1)
    assert (first.name, first.capability) == ("NVIDIA L4", (8, 9))
    assert (second.name, second.capability) == ("NVIDIA GeForce RTX 5090", (12, 0))
    assert first.driver.version() == (13, 0)
    assert first.driver.title.startswith("cuda-bindings ")
    memory = DeviceBuffer(second, 1 << 10)
    assert first.total_memory == first.free_memory == second.total_memory == 1 << 20
    assert second.free_memory == (1 << 20) - (1 << 10)
    memory.close()


def test_a_device_that_is_not_there(driver: FakeDriver) -> None:
    with pytest.raises(RuntimeUnavailable, match="no NVIDIA GPU 1 here, only 0: try device='openvino'"):
        Device(1)
    driver.set_gpus(2)
    with pytest.raises(RuntimeUnavailable, match="no NVIDIA GPU 2 here, only 0, 1"):
        Device(2)
    with pytest.raises(RuntimeUnavailable, match="no NVIDIA GPU -1 here"):
        Device(-1)


@pytest.mark.parametrize(
    ("function", "code", "words"),
    [
        ("cuInit", NO_DEVICE, "there is no NVIDIA GPU here that CUDA can use"),
        ("cuInit", DRIVER_MISMATCH, r"the NVIDIA driver does not fit \(system has unsupported .*\): update it"),
        ("cuInit", NOT_INITIALIZED, "CUDA does not survive a fork: start the process anew: try device='openvino'"),
        ("cuInit", 999, r"CUDA cannot start \(CUDA_ERROR_UNKNOWN\)"),
        ("cuDeviceGetCount", NO_DEVICE, "there is no NVIDIA GPU here that CUDA can use"),
        ("cuDevicePrimaryCtxRetain", OUT_OF_MEMORY, "out of memory: CUDA cannot open the GPU"),
    ],
)
def test_a_driver_that_does_not_start(driver: FakeDriver, function: str, code: int, words: str) -> None:
    driver.fail(function, code)
    with pytest.raises(RuntimeUnavailable, match=words):
        Device()
    assert Device().name == "NVIDIA L4"  # it is tried anew


def copied(device: Device, words: bytes) -> bytes:
    """Words that went up on a stream, and came down on another one, which waits for the first by an event."""
    with (
        PinnedBuffer(device, len(words)) as source,
        DeviceBuffer(device, len(words)) as memory,
        PinnedBuffer(device, len(words)) as target,
        Event(device) as up,
        Stream(device) as first,
        Stream(device) as second,
    ):
        source.array[:] = bytearray(words)
        first.upload(source, memory, len(words))
        first.record(up)
        second.wait(up)
        second.download(memory, target, len(words))
        second.synchronize()
        return target.array.tobytes()


def test_streams_wait_for_each_other(driver: FakeDriver) -> None:
    assert copied(Device(), b"a picture") == b"a picture"


def test_a_wait_that_is_missing_gives_wrong_data(driver: FakeDriver) -> None:
    device = Device()
    source, memory, target = PinnedBuffer(device, 4), DeviceBuffer(device, 4), PinnedBuffer(device, 4)
    up, down = Stream(device), Stream(device)
    source.array[:] = 7
    up.upload(source, memory, 4)
    down.download(memory, target, 4)
    down.synchronize()
    assert target.array.tolist() != [7] * 4
    up.synchronize()


def test_memory_of_the_gpu_is_copied_and_cleared_in_turn(driver: FakeDriver) -> None:
    device, stream = Device(), Stream(Device())
    source, target = PinnedBuffer(device, 8), PinnedBuffer(device, 8)
    first, second = DeviceBuffer(device, 8), DeviceBuffer(device, 8)
    source.array[:] = range(8)
    stream.upload(source, first, 8)
    stream.copy(first, second, 8)
    stream.clear(second, 2)
    stream.copy(second, first, 4)
    stream.download(first, target, 8)
    stream.synchronize()
    assert target.array.tolist() == [0, 0, 2, 3, 4, 5, 6, 7]


def test_nothing_is_done_before_somebody_waits(driver: FakeDriver) -> None:
    device = Device()
    source, memory, target = PinnedBuffer(device, 4), DeviceBuffer(device, 4), PinnedBuffer(device, 4)
    stream, done = Stream(device), Event(device)
    source.array[:] = 7
    stream.upload(source, memory, 4)
    stream.download(memory, target, 4)
    stream.record(done)
    assert target.array.tolist() != [7] * 4
    done.synchronize()
    assert target.array.tolist() == [7] * 4


def test_each_kind_is_freed_once(driver: FakeDriver) -> None:
    device = Device()
    kinds = [DeviceBuffer(device, 10), PinnedBuffer(device, 10), Stream(device), Event(device)]
    assert driver.live == {"memory": 1, "pinned": 1, "streams": 1, "events": 1, "contexts": 1}
    for one in kinds:
        one.close()
        one.close()
    assert driver.live == {"contexts": 1}


def test_what_nobody_closes_is_freed_with_the_last_reference(driver: FakeDriver) -> None:
    device = Device()
    cycle: list[object] = [DeviceBuffer(device, 10), PinnedBuffer(device, 10), Stream(device), Event(device), device]
    cycle.append(cycle)
    del device, cycle
    thread = threading.Thread(target=gc.collect)  # where no context has ever been current
    thread.start()
    thread.join()
    assert driver.live == {}


def test_the_context_outlives_what_is_in_it(driver: FakeDriver) -> None:
    buffer = DeviceBuffer(Device(), 10)
    gc.collect()
    assert driver.live == {"memory": 1, "contexts": 1}
    buffer.close()
    del buffer


def test_objects_of_others_end_where_their_gpu_is_current(driver: FakeDriver) -> None:
    driver.set_gpus(2)
    ended: list[int] = []

    class Ends:
        def __del__(self) -> None:
            ended.append(driver.current)

    device = Device(1)
    closed, dropped = Owned(device, Ends()), Owned(device, Ends())
    closed.close()
    assert ended == [1]
    with pytest.raises(IndexError):
        _ = closed.handle
    del dropped
    assert ended == [1, 1]


def test_each_gpu_has_its_own(driver: FakeDriver) -> None:
    driver.set_gpus(2)
    first, second = Device(0), Device(1)
    with ThreadPoolExecutor(2) as pool:
        assert [*pool.map(copied, [first, second], [b"first", b"other"])] == [b"first", b"other"]
    with first.current(), second.current():
        assert driver.current == 1
        assert copied(first, b"within") == b"within"
        assert driver.current == 1


def test_the_context_before_is_current_again_after_an_error(driver: FakeDriver) -> None:
    device = Device()
    with pytest.raises(ZeroDivisionError), device.current():
        assert driver.current == 0
        raise ZeroDivisionError
    driver.fail("cuMemAlloc", OUT_OF_MEMORY)
    with pytest.raises(RuntimeUnavailable, match=r"out of memory: CUDA cannot allocate 24 MB: try model='stream-lite'"):
        DeviceBuffer(device, 24_000_000)
    driver.set_capacity(1000)
    with pytest.raises(RuntimeUnavailable, match="out of memory"):
        DeviceBuffer(device, 1001)
    assert driver.current == -1


def test_threads_share_a_device(driver: FakeDriver) -> None:
    device = Device()
    with ThreadPoolExecutor(6) as pool:
        words = [bytes([n]) * (n + 1) for n in range(60)]
        assert [*pool.map(lambda word: copied(device, word), words)] == words
    assert driver.live == {"contexts": 1}


def test_an_error_of_the_gpu_ends_the_context_and_nothing_else(driver: FakeDriver) -> None:
    device = Device()
    stream = Stream(device)
    driver.fail("cuStreamSynchronize", ILLEGAL_ADDRESS, sticky=True)
    for _ in range(2):
        with pytest.raises(RuntimeUnavailable, match=r"CUDA cannot .* \(an illegal memory access was encountered\)"):
            stream.synchronize()
    with pytest.raises(RuntimeUnavailable, match="illegal"):
        DeviceBuffer(device, 4)
    stream.close()  # which cannot succeed, and must not fail
    assert driver.current == -1
    del stream, device
    driver.reset()


# ---- graphs ----


def test_a_captured_copy_is_repeated(driver: FakeDriver) -> None:
    device = Device()
    source, memory, target = PinnedBuffer(device, 4), DeviceBuffer(device, 4), PinnedBuffer(device, 4)
    stream = Stream(device)
    source.array[:] = 1
    target.array[:] = 0

    def both() -> None:
        stream.upload(source, memory, 4)
        stream.download(memory, target, 4)

    graph = stream.capture(both)
    assert graph
    stream.synchronize()
    assert target.array.tolist() == [0] * 4  # capturing does nothing
    for value in (5, 6):
        source.array[:] = value
        stream.launch(graph)
        stream.synchronize()
        assert target.array.tolist() == [value] * 4
    assert driver.live["instances"] == 1
    assert "graphs" not in driver.live
    graph.close()


def test_what_fails_while_it_is_captured_leaves_the_stream_usable(driver: FakeDriver) -> None:
    device = Device()
    stream = Stream(device)

    def fails() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stream.capture(fails)
    with pytest.raises(RuntimeUnavailable):
        stream.capture(stream.synchronize)
    with pytest.raises(RuntimeUnavailable):
        stream.capture(lambda: DeviceBuffer(device, 4).close())
    driver.fail("cuGraphInstantiate", OUT_OF_MEMORY)
    with pytest.raises(RuntimeUnavailable, match="out of memory"):
        stream.capture(lambda: None)
    assert driver.live == {"streams": 1, "contexts": 1}
    stream.synchronize()
    graph = stream.capture(lambda: None)
    assert graph


def test_what_ends_during_a_capture_is_freed_and_does_not_spoil_it(driver: FakeDriver) -> None:
    device = Device()
    stream = Stream(device)
    cycle: list[object] = [DeviceBuffer(device, 4), PinnedBuffer(device, 4), Stream(device), Event(device)]
    cycle.append(cycle)
    del cycle
    graph = stream.capture(lambda: [gc.collect(), None][1])  # the collector may run at any time
    assert graph
    assert driver.live == {"streams": 1, "instances": 1, "contexts": 1}
    with pytest.raises(RuntimeUnavailable):  # the thread's mode is again what it was
        stream.capture(lambda: DeviceBuffer(device, 4).close())


def test_other_threads_allocate_while_one_captures(driver: FakeDriver) -> None:
    device = Device()
    stream = Stream(device)

    def meanwhile() -> None:
        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(copied, device, b"meanwhile").result() == b"meanwhile"

    assert stream.capture(meanwhile)


# ---- processes ----


def test_a_process_ends_in_peace_whatever_is_still_there(driver: FakeDriver) -> None:
    assert (
        in_another_process(
            "from mjpeg_restore.runtime.cuda import *\n"
            "device = Device()\n"
            "there = [DeviceBuffer(device, 4), PinnedBuffer(device, 4), Stream(device), Event(device)]\n"
            "there.append(there)\n"
            "print(device.name)"
        )
        == "NVIDIA L4\n"
    )


def test_a_driver_that_lacks_a_function_is_too_old(driver: FakeDriver) -> None:
    assert (
        in_another_process(
            "import os\n"
            "from mjpeg_restore.errors import RuntimeUnavailable\n"
            "from mjpeg_restore.runtime.cuda import *\n"
            "stream = Stream(Device())\n"
            "try:\n"
            "    stream.capture(lambda: None)\n"
            "except RuntimeUnavailable as error:\n"
            "    print(error.message)",
            FAKE_CUDA_LACKS="cuGraphInstantiate",
        )
        == "the NVIDIA driver is too old: it cannot make a graph. Update it\n"
    )


def test_a_forked_process_says_so_and_frees_nothing(driver: FakeDriver) -> None:
    assert (
        in_another_process(
            "import os\n"
            "from mjpeg_restore.errors import RuntimeUnavailable\n"
            "from mjpeg_restore.runtime.cuda import *\n"
            "device = Device()\n"
            "buffer = DeviceBuffer(device, 4)\n"
            "if os.fork():\n"
            "    os.wait()\n"
            "else:\n"
            "    try:\n"
            "        device.free_memory\n"
            "    except RuntimeUnavailable as error:\n"
            "        print(error.message, flush=True)\n"
            "    buffer.close()\n"
            "    os._exit(0)\n"
            "import ctypes\n"
            "print(ctypes.CDLL('libcuda.so.1').fake_calls(b'cuMemFree'))"
        )
        == "CUDA does not survive a fork: start the process anew\n0\n"
    )
