"""From a shipped graph to pictures by TensorRT, without a GPU; see `library.run_cases`."""

from __future__ import annotations

import gc
import json
import logging
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import gpu_check
import numpy as np
import pytest

from mjpeg_restore import catalogue, runtime
from mjpeg_restore.catalogue.ports import STATE
from mjpeg_restore.cli import main
from mjpeg_restore.errors import MissingExtra, RuntimeUnavailable
from mjpeg_restore.futures import INLINE
from mjpeg_restore.jpeg import read
from mjpeg_restore.pipeline import run
from mjpeg_restore.restorer import Restorer
from mjpeg_restore.runtime import Inputs, Planes, open_network
from mjpeg_restore.runtime.base import LoadSettings, Precision
from mjpeg_restore.runtime.cuda import DeviceBuffer, Event
from mjpeg_restore.runtime.cuda.bindings import Bindings
from mjpeg_restore.runtime.loading import Loader
from mjpeg_restore.runtime.rewriting import for_tensorrt
from mjpeg_restore.runtime.ring import CAPTURE_AFTER, SLOTS
from mjpeg_restore.runtime.tensorrt.loading import check, load
from mjpeg_restore.runtime.tensorrt.network import EngineUnusable, TensorRtNetwork
from mjpeg_restore.runtime.tensorrt.package import load_package
from mjpeg_restore.testing import Collect, ListSource
from tests.jpeg.pictures import encode
from tests.runtime.fake_cuda import tensorrt as fake
from tests.runtime.fake_cuda.library import (
    DRIVER_MISMATCH,
    ILLEGAL_ADDRESS,
    OUT_OF_MEMORY,
    FakeDriver,
    in_another_process,
)
from tests.runtime.rewriting.running import GRAPHS, Loaded, as_bytes, content, inputs

LIMIT = 60
"""Seconds until a test that hangs is over."""

RTX_ONLY = ("ComputeCapability", "IRuntimeConfig", "DynamicShapesKernelSpecializationStrategy")
NAMES = {"tensorrt": ("tensorrt", "10.13.3.9"), "tensorrt-rtx": ("tensorrt_rtx", "1.7.1.116")}


@pytest.fixture(autouse=True)
def packages(driver: FakeDriver, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, ModuleType]]:
    """Both packages, as new, and no network that is loaded."""
    made = {device: installed(device, monkeypatch) for device in NAMES}
    monkeypatch.setattr(runtime, "_LOADER", Loader())
    monkeypatch.setattr(fake, "FAILURES", {})
    load_package.cache_clear()
    yield made
    load_package.cache_clear()


def installed(device: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    name, version = NAMES[device]
    spec = spec_from_file_location(name, fake.__file__)
    assert spec
    module = module_from_spec(spec)
    shown = {key: value for key, value in vars(fake).items() if not key.startswith("_")}
    module.__dict__.update(shown, __version__=version)
    if device == "tensorrt":
        for lacking in RTX_ONLY:
            delattr(module, lacking)
        vars(module)["BuilderFlag"] = SimpleNamespace(TF32=fake.BuilderFlag.TF32)
    monkeypatch.setitem(sys.modules, name, module)
    return module


@pytest.fixture
def open_graph(tmp_path: Path) -> Callable[..., TensorRtNetwork]:
    """Loads a graph of the catalogue by its file's name."""

    def opened(
        file: str, device: str = "tensorrt-rtx", precision: Precision = "fp32", gpu: str = ""
    ) -> TensorRtNetwork:
        return load(device, GRAPHS[file], settings(tmp_path, precision, gpu))

    return opened


def settings(folder: Path, precision: Precision = "fp32", gpu: str = "") -> LoadSettings:
    return LoadSettings(gpu, 1, 1, None, lambda *_: None, precision, folder / "engines")


_EXPECTED: dict[tuple[str, bool], Loaded] = {}


def expected(file: str, picture: Inputs, *, half: bool = False) -> list[Any]:
    """What ONNX Runtime makes of a picture with the same graph."""
    if (file, half) not in _EXPECTED:
        _EXPECTED[file, half] = Loaded(for_tensorrt(content(file), half=half))
    return _EXPECTED[file, half].run(as_bytes(picture))


def assert_equal(ours: Planes, theirs: list[Any]) -> None:
    assert len(ours) == len(theirs)
    for one, other in zip(ours, theirs, strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)


def pictures(file: str, number: int, chroma: tuple[int, int] = (3, 4), first: int = 0) -> list[Inputs]:
    grey = "grey" in file
    return [inputs(GRAPHS[file], chroma, (1, 1) if grey else (2, 2), seed) for seed in range(first, first + number)]


DECODE = "decode.colour.onnx"
OF_EACH_KIND = [
    *("decode.grey.onnx", DECODE, "stream-lite.grey.onnx", "stream-lite.colour.onnx"),
    *("qgcn.grey.context.onnx", "qgcn.grey.onnx", "one-to-many.grey.onnx"),
]


# ---- loading ----


@pytest.mark.parametrize("device", NAMES)
def test_an_engine_is_built_and_then_found(
    open_graph: Callable[..., TensorRtNetwork], device: str, tmp_path: Path
) -> None:
    before = fake.COUNTS["built"]
    network = open_graph(DECODE, device)
    title = {"tensorrt": "TensorRT 10.13.3", "tensorrt-rtx": "TensorRT-RTX 1.7.1"}[device]
    assert network.name == f"{title}, NVIDIA L4, fp32"
    assert network.largest == (272, 512)
    assert network.memory == (128 << 20) // 4
    assert open_graph(DECODE, device).name == network.name
    assert fake.COUNTS["built"] == before + 1
    assert [path.suffix for path in (tmp_path / "engines").iterdir()] == [".engine"]


def test_an_engine_for_rtx_can_be_captured_and_fits_the_gpu(
    open_graph: Callable[..., TensorRtNetwork], monkeypatch: pytest.MonkeyPatch
) -> None:
    configs: list[Any] = []
    monkeypatch.setattr(fake.Config, "__init__", recording(configs, fake.Config.__init__))
    open_graph(DECODE)
    assert (configs[0].flags, configs[0].capability) == ([fake.BuilderFlag.REQUIRE_USER_ALLOCATION], "SM89")
    open_graph(DECODE, "tensorrt")
    assert (configs[1].flags, configs[1].capability) == ([], None)


def recording(found: list[Any], function: Callable[..., None]) -> Callable[..., None]:
    def called(self: object, *arguments: object) -> None:
        found.append(self)
        function(self, *arguments)

    return called


def test_an_engine_that_the_package_refuses_is_built_again(
    open_graph: Callable[..., TensorRtNetwork], monkeypatch: pytest.MonkeyPatch
) -> None:
    open_graph(DECODE)
    before = fake.COUNTS["built"]
    monkeypatch.setattr(fake, "BUILDER", "of a later version")
    network = open_graph(DECODE)
    assert fake.COUNTS["built"] == before + 1
    picture = pictures(DECODE, 1)[0]
    assert_equal(restored(network, [picture])[0], expected(DECODE, picture))


def test_one_that_is_refused_as_soon_as_it_is_built_is_an_error(open_graph: Callable[..., TensorRtNetwork]) -> None:
    fake.FAILURES["deserialize"] = "IRuntime::deserializeCudaEngine: Error Code 1: Serialization (no such kernel)"
    before = fake.COUNTS["built"]
    with pytest.raises(
        EngineUnusable, match=r"does not load its engine of decode\.colour\.onnx \(Serialization \(no such "
    ):
        open_graph(DECODE)
    assert fake.COUNTS["built"] == before + 1
    with pytest.raises(EngineUnusable):  # found, refused, and built in vain
        open_graph(DECODE)
    assert fake.COUNTS["built"] == before + 2


def test_an_engine_without_room_is_not_built_again(open_graph: Callable[..., TensorRtNetwork]) -> None:
    open_graph(DECODE)
    before = fake.COUNTS["built"]
    fake.FAILURES["deserialize"] = "IRuntime::deserializeCudaEngine: Error Code 2: OutOfMemory (no further information)"
    with pytest.raises(RuntimeUnavailable, match=r"\(out of memory\)") as caught:
        open_graph(DECODE)
    assert not isinstance(caught.value, EngineUnusable)
    assert fake.COUNTS["built"] == before


def test_a_driver_that_is_too_old_for_the_package(open_graph: Callable[..., TensorRtNetwork]) -> None:
    fake.FAILURES["Runtime"] = "CUDA initialization failure with error: 35"
    with pytest.raises(
        RuntimeUnavailable, match=r"1\.7\.1 finds no GPU, or its driver is too old \(CUDA initialization failure"
    ):
        open_graph(DECODE)


def test_a_context_without_room(open_graph: Callable[..., TensorRtNetwork], driver: FakeDriver) -> None:
    network = open_graph(DECODE)
    fake.FAILURES["context"] = "out of memory"
    with driver.unchanged(), pytest.raises(RuntimeUnavailable, match=r"L4, fp32: no further camera \(out of memory\)"):
        network.session(INLINE)


def test_which_gpu(open_graph: Callable[..., TensorRtNetwork], driver: FakeDriver) -> None:
    driver.set_gpus(2)
    picture = pictures(DECODE, 1)[0]
    for device in NAMES:
        network = open_graph(DECODE, device, gpu="1")
        assert ", NVIDIA GeForce RTX 5090, " in network.name
        assert_equal(restored(network, [picture])[0], expected(DECODE, picture))
    with pytest.raises(RuntimeUnavailable, match="no NVIDIA GPU 2 here"):
        open_graph(DECODE, gpu="2")
    with pytest.raises(RuntimeUnavailable, match="no GPU 'first': they have numbers from 0, as in cuda:1"):
        open_graph(DECODE, gpu="first")


def test_the_first_gpu_in_words() -> None:
    for device in NAMES:
        assert check(device) == "NVIDIA L4, compute capability 8.9, 0 GB"


# ---- pictures ----


def restored(network: TensorRtNetwork, some: list[Inputs]) -> list[Planes]:
    """Pictures in a session of their own, three of them under way."""
    with ThreadPoolExecutor(SLOTS) as pool:
        session = network.session(pool)
        planes = [future.result(LIMIT) for future in [session.submit(picture) for picture in some]]
        session.close()
    return planes


@pytest.mark.parametrize("file", OF_EACH_KIND)
def test_pictures_are_those_of_onnx_runtime(open_graph: Callable[..., TensorRtNetwork], file: str) -> None:
    network = open_graph(file)
    some = pictures(file, CAPTURE_AFTER + SLOTS + 2)
    for ours, picture in zip(restored(network, some), some, strict=True):
        assert_equal(ours, expected(file, picture))


VIDEO = "stream-video-lite.colour.onnx"
AMONG = {4: (False, True), 7: (True, False), CAPTURE_AFTER + 3: (True, False), CAPTURE_AFTER + 5: (False, False)}
"""Frames that do not continue a scene, or are no evidence, before and after the capture: past, evidence."""


def frames(number: int, chroma: tuple[int, int] = (3, 4), file: str = VIDEO) -> list[Inputs]:
    """Frames of a scene whose coefficients differ by a step here and there."""
    random = np.random.default_rng(1)
    scene = pictures(file, 1, chroma)[0][:6]
    return [[one + (random.random(one.shape) < 0.1).astype(one.dtype) for one in scene] for _ in range(number)]


def with_state(clip: list[Inputs], file: str = VIDEO) -> list[list[Any]]:
    """What ONNX Runtime makes of the frames of a clip, each with the state after the one before."""
    graph = Loaded(for_tensorrt(content(file), half=False))
    state: list[Any] = []
    grids = [one.shape[:2] for one in clip[0][::2]]
    ports = [port for port in GRAPHS[file].inputs if port.kind in STATE]
    empty = [np.zeros(port.sizes(grids), "f2" if port.kind == "evidence" else "f4") for port in ports]
    found: list[list[Any]] = []
    for number, frame in enumerate(clip):
        past, evidence = AMONG.get(number, (True, True))
        state = state if past and number else empty
        made = graph.run([*as_bytes(frame), *state])
        found.append(made[:3])
        state = made[3:] if evidence else state
    return found


@pytest.mark.parametrize("device", NAMES)
def test_the_state_of_a_camera_stays_on_the_gpu(
    open_graph: Callable[..., TensorRtNetwork], device: str, driver: FakeDriver
) -> None:
    network = open_graph(VIDEO, device)
    clip = frames(CAPTURE_AFTER + SLOTS + 4)
    for pool in (INLINE, ThreadPoolExecutor(SLOTS)):
        camera, other = network.camera(pool), network.camera(pool)
        futures = []
        for number, frame in enumerate(clip):
            past, evidence = AMONG.get(number, (True, True))
            other.submit(clip[0], past=True, evidence=True)  # it has a state of its own
            futures.append(camera.submit(frame, past=past, evidence=evidence))
        for future, right in zip(futures, with_state(clip), strict=True):
            assert_equal(future.result(LIMIT), right)
        for one in (camera, other):
            one.close()
        pool.shutdown()


def test_a_camera_of_another_size_begins_anew(open_graph: Callable[..., TensorRtNetwork]) -> None:
    camera = open_graph(VIDEO).camera(INLINE)
    for chroma in ((3, 4), (2, 2), (3, 4)):
        clip = frames(3, chroma)
        for frame, right in zip(clip, with_state(clip), strict=True):
            assert_equal(camera.submit(frame, past=True, evidence=True).result(), right)
    camera.close()


def test_a_camera_that_nobody_closes_leaves_nothing_under_way(open_graph: Callable[..., TensorRtNetwork]) -> None:
    camera = open_graph(VIDEO).camera(INLINE)
    camera.submit(frames(1)[0], past=True, evidence=True).result()
    del camera
    gc.collect()  # its memory and its streams end
    camera = open_graph(VIDEO).camera(INLINE)
    with pytest.raises(TypeError):
        camera.submit([part.astype(np.float64) for part in frames(1)[0]], past=True, evidence=True)
    camera.close()


def test_half_precision(open_graph: Callable[..., TensorRtNetwork]) -> None:
    file = "stream-lite.colour.onnx"
    network = open_graph(file, "tensorrt", "fp16")
    assert network.name.endswith(", fp16")
    some = pictures(file, 4)
    for ours, picture in zip(restored(network, some), some, strict=True):
        assert_equal(ours, expected(file, picture, half=True))


def test_without_8_bit_steps_they_are_those_of_the_shipped_graph(open_graph: Callable[..., TensorRtNetwork]) -> None:
    for file in ("decode.grey.onnx", DECODE):
        picture = pictures(file, 1)[0]
        assert_equal(restored(open_graph(file), [picture])[0], Loaded(content(file)).run(picture))


def test_inputs_need_not_be_contiguous(open_graph: Callable[..., TensorRtNetwork]) -> None:
    picture = pictures(DECODE, 1)[0]
    strided = [np.repeat(array, 2, axis=0)[::2] for array in picture]
    assert_equal(restored(open_graph(DECODE), [strided])[0], expected(DECODE, picture))


def test_a_picture_belongs_to_whom_it_is_given(open_graph: Callable[..., TensorRtNetwork]) -> None:
    some = pictures(DECODE, 2 * SLOTS)
    planes = restored(open_graph(DECODE), some)  # all of them are kept, in memory of the session's that is gone
    gc.collect()
    for ours, picture in zip(planes, some, strict=True):
        assert_equal(ours, expected(DECODE, picture))
        assert all(plane.flags.owndata for plane in ours)


def test_the_size_may_change_at_any_time(open_graph: Callable[..., TensorRtNetwork], driver: FakeDriver) -> None:
    network = open_graph(DECODE)
    sizes = [(1, 1), (5, 2), (5, 2), (2, 5), (1, 1)]
    some = [picture for first, size in enumerate(sizes) for picture in pictures(DECODE, 3, size, 10 * first)]
    with driver.unchanged():
        for ours, picture in zip(restored(network, some), some, strict=True):
            assert_equal(ours, expected(DECODE, picture))


def test_a_size_that_the_engine_does_not_take(open_graph: Callable[..., TensorRtNetwork], driver: FakeDriver) -> None:
    network = open_graph("decode.grey.onnx")
    session = network.session(INLINE)
    good, tall = pictures("decode.grey.onnx", 1)[0], pictures("decode.grey.onnx", 1, (273, 1))[0]
    session.submit(good).result()
    with pytest.raises(RuntimeUnavailable, match=r"does not take 1x273 blocks of y\.coefficients \(.*not in the prof"):
        session.submit(tall)
    assert "memory" not in driver.live
    assert_equal(session.submit(good).result(), expected("decode.grey.onnx", good))
    session.close()


def test_sessions_share_an_engine(open_graph: Callable[..., TensorRtNetwork]) -> None:
    file, network = "stream-lite.grey.onnx", open_graph("stream-lite.grey.onnx")

    def camera(number: int) -> None:
        some = pictures(file, CAPTURE_AFTER + 4, (2 + number, 3), 100 * number)
        for ours, picture in zip(restored(network, some), some, strict=True):
            assert_equal(ours, expected(file, picture))

    for picture in pictures(file, 1):
        expected(file, picture)
    with ThreadPoolExecutor(4) as cameras:
        for done in [cameras.submit(camera, number) for number in range(4)]:
            done.result(LIMIT)


def test_several_threads_may_submit_to_one_session(open_graph: Callable[..., TensorRtNetwork]) -> None:
    network = open_graph(DECODE)
    some = pictures(DECODE, 20)
    with ThreadPoolExecutor(SLOTS) as pool, ThreadPoolExecutor(5) as callers:
        session = network.session(pool)
        for ours, picture in zip(callers.map(lambda one: session.submit(one).result(LIMIT), some), some, strict=True):
            assert_equal(ours, expected(DECODE, picture))
        session.close()


# ---- the end ----


def test_close_waits_for_the_pictures_under_way(open_graph: Callable[..., TensorRtNetwork], driver: FakeDriver) -> None:
    network = open_graph(DECODE)
    some = pictures(DECODE, SLOTS)
    with driver.unchanged(), ThreadPoolExecutor(1) as pool:
        session = network.session(pool)
        futures = [session.submit(picture) for picture in some]
        session.close()
        session.close()
        for future, picture in zip(futures, some, strict=True):
            assert_equal(future.result(LIMIT), expected(DECODE, picture))
        with pytest.raises(RuntimeUnavailable, match="closed"):
            session.submit(some[0])


def test_a_session_that_nobody_closes_is_freed(open_graph: Callable[..., TensorRtNetwork], driver: FakeDriver) -> None:
    network = open_graph(DECODE)
    with driver.unchanged():
        session = network.session(INLINE)
        for picture in pictures(DECODE, CAPTURE_AFTER + 2):
            session.submit(picture).result()
        cycle: list[object] = [session]
        cycle.append(cycle)
        del session, cycle
        thread = threading.Thread(target=gc.collect)
        thread.start()
        thread.join()


def test_a_session_outlives_whoever_opened_its_network(
    open_graph: Callable[..., TensorRtNetwork], driver: FakeDriver
) -> None:
    session = open_graph(DECODE).session(INLINE)
    gc.collect()
    picture = pictures(DECODE, 1)[0]
    assert_equal(session.submit(picture).result(), expected(DECODE, picture))
    session.close()
    del session
    assert driver.live == {}


def test_a_process_ends_in_peace_whatever_is_still_there(tmp_path: Path) -> None:
    program = """
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
import pytest
from tests.runtime.fake_cuda.cases_tensorrt import DECODE, GRAPHS, installed, load, pictures, settings

installed("tensorrt-rtx", pytest.MonkeyPatch())
network = load("tensorrt-rtx", GRAPHS[DECODE], settings(Path(sys.argv[1])))
session = network.session(ThreadPoolExecutor(3))
there = [network, session, [session.submit(picture) for picture in pictures(DECODE, 20)]]
there.append(there)
print(there[2][0].result()[0].shape)
"""
    assert in_another_process(program, tmp_path) == "(48, 64)\n"


# ---- errors ----


@pytest.mark.parametrize("file", [DECODE, VIDEO])
def test_memory_that_runs_out_at_any_allocation_leaves_nothing(
    open_graph: Callable[..., TensorRtNetwork], driver: FakeDriver, file: str
) -> None:
    session = open_graph(file).camera(INLINE)
    small, large = (frames(1, chroma, file)[0] for chroma in ((1, 1), (3, 4)))
    # The context's own memory, the state before and after a picture, and what goes up and down.
    calls = {"cuMemAlloc": 1 + 2 + 2 * SLOTS, "cuMemHostAlloc": 2 * SLOTS, "cuEventCreate": 3 * SLOTS}

    def check(picture: Inputs) -> None:
        right = with_state([picture], file)[0]
        assert_equal(session.submit(picture, past=False, evidence=True).result(), right)

    for function, number in calls.items():
        for nth in range(1, number + 1):
            check(small)
            driver.fail(function, OUT_OF_MEMORY, nth)
            with pytest.raises(RuntimeUnavailable, match="the GPU is out of memory: CUDA cannot") as caught:
                session.submit(large)
            assert driver.live == {"streams": 3, "contexts": 1}, caught  # although the error is still kept
    check(large)
    session.close()


def test_an_engine_that_fails_spoils_one_picture(
    open_graph: Callable[..., TensorRtNetwork], driver: FakeDriver
) -> None:
    network = open_graph(DECODE)
    with driver.unchanged(), ThreadPoolExecutor(SLOTS) as pool:
        session = network.session(pool)
        for picture in pictures(DECODE, 2):
            before = session.submit(picture)
            fake.FAILURES["execute"] = "IExecutionContext::enqueueV3: Error Code 1: Cuda Runtime (In x at /y.cpp:1)"
            with pytest.raises(RuntimeUnavailable, match=r"1\.7\.1 cannot restore a picture \(.*\): try device='openv"):
                session.submit(picture)
            fake.FAILURES.clear()
            for future in (before, session.submit(picture)):
                assert_equal(future.result(LIMIT), expected(DECODE, picture))
        session.close()


@pytest.mark.parametrize("function", ["cuMemcpyHtoDAsync", "cuMemcpyDtoHAsync", "cuEventRecord", "cuStreamWaitEvent"])
def test_a_call_that_fails_spoils_one_picture(
    open_graph: Callable[..., TensorRtNetwork], driver: FakeDriver, function: str
) -> None:
    session = open_graph(DECODE).session(INLINE)
    good, bad = pictures(DECODE, 2)
    session.submit(good).result()
    driver.fail(function, 999)
    with pytest.raises(RuntimeUnavailable, match=r"CUDA cannot .* \(CUDA_ERROR_UNKNOWN\)"):
        session.submit(bad)
    for _ in range(SLOTS):
        assert_equal(session.submit(good).result(), expected(DECODE, good))
    driver.fail(function, 999)
    with pytest.raises(RuntimeUnavailable):
        session.submit(bad)
    session.close()  # nothing of it may be under way


@pytest.mark.parametrize("interrupted", [False, True])
def test_a_picture_whose_end_fails_is_waited_for(
    open_graph: Callable[..., TensorRtNetwork],
    driver: FakeDriver,
    monkeypatch: pytest.MonkeyPatch,
    interrupted: bool,
) -> None:
    session, small = open_graph(DECODE).session(INLINE), pictures(DECODE, 1, (1, 2))[0]

    def fail(_: object) -> None:
        monkeypatch.undo()
        raise KeyboardInterrupt

    for other in (small, None):  # its memory is freed by another size, and by the end
        if interrupted:
            monkeypatch.setattr(Event, "synchronize", fail)
        else:
            driver.fail("cuEventSynchronize", 999)
        assert session.submit(pictures(DECODE, 1)[0]).exception()
        if other:
            assert_equal(session.submit(other).result(), expected(DECODE, other))
    session.close()


def test_an_error_that_is_kept_keeps_nothing_of_the_engine(
    open_graph: Callable[..., TensorRtNetwork], driver: FakeDriver
) -> None:
    network = open_graph(DECODE)
    session = network.session(INLINE)
    driver.fail("cuMemAlloc", OUT_OF_MEMORY)
    with pytest.raises(RuntimeUnavailable) as caught:
        session.submit(pictures(DECODE, 1)[0])
    session.close()
    fake.FAILURES["context"] = "out of memory"
    with pytest.raises(RuntimeUnavailable) as other:
        network.session(INLINE)
    del session, network
    gc.collect()
    assert driver.misuse == []
    assert driver.live == {"contexts": 1}  # the errors keep the GPU, which is closed after all that is on it
    del caught, other


def test_after_an_error_of_the_gpu_every_picture_is_one(
    open_graph: Callable[..., TensorRtNetwork], driver: FakeDriver
) -> None:
    with ThreadPoolExecutor(SLOTS) as pool:
        session = open_graph(DECODE).session(pool)
        some = pictures(DECODE, SLOTS)
        driver.fail("cuEventSynchronize", ILLEGAL_ADDRESS, sticky=True)
        futures = [session.submit(some[0])]
        for picture in some:
            with pytest.raises(RuntimeUnavailable, match="an illegal memory access was encountered"):
                futures.append(session.submit(picture))
                futures[-1].result(LIMIT)
        session.close()
    assert driver.current == -1
    del session, futures
    gc.collect()
    driver.reset()  # what cannot be freed any more


def test_shapes_that_cannot_be_inferred(open_graph: Callable[..., TensorRtNetwork]) -> None:
    session = open_graph(DECODE).session(INLINE)
    fake.FAILURES["infer"] = "no shapes"
    with pytest.raises(RuntimeUnavailable, match=r"does not take this size \(infer_shapes error code: -1\)"):
        session.submit(pictures(DECODE, 1)[0])
    session.close()


# ---- graphs ----


def submitted(network: TensorRtNetwork, number: int, first: int = 0) -> None:
    """Check pictures of one size, one after the other."""
    session = network.session(INLINE)
    for picture in pictures(DECODE, number, first=first):
        assert_equal(session.submit(picture).result(), expected(DECODE, picture))
    session.close()


def test_pictures_of_one_size_become_graphs(open_graph: Callable[..., TensorRtNetwork], driver: FakeDriver) -> None:
    network = open_graph(DECODE)
    launches, executed = driver.calls("cuGraphLaunch"), fake.COUNTS["executed"]
    submitted(network, CAPTURE_AFTER)
    assert driver.calls("cuGraphLaunch") == launches
    submitted(network, CAPTURE_AFTER + 10)
    assert driver.calls("cuGraphLaunch") == launches + 10
    assert driver.calls("cuGraphInstantiate") + driver.calls("cuGraphInstantiateWithFlags") >= SLOTS
    assert fake.COUNTS["executed"] == executed + 2 * CAPTURE_AFTER + SLOTS  # those captured are computed by launches


def test_sizes_that_alternate_become_none(open_graph: Callable[..., TensorRtNetwork], driver: FakeDriver) -> None:
    session = open_graph(DECODE).session(INLINE)
    for _ in range(3):
        for size in ((1, 1), (2, 1)):
            for picture in pictures(DECODE, CAPTURE_AFTER - 1, size):
                session.submit(picture).result()
    session.close()
    assert not driver.calls("cuStreamBeginCapture")


def test_an_engine_that_cannot_be_captured(
    open_graph: Callable[..., TensorRtNetwork], driver: FakeDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fake.IExecutionContext, "capturable", False)
    submitted(open_graph(DECODE), CAPTURE_AFTER + 4)
    assert not driver.calls("cuStreamBeginCapture")


@pytest.mark.parametrize("function", ["cuStreamBeginCapture", "cuGraphInstantiate"])
def test_a_capture_that_fails_costs_no_picture(
    open_graph: Callable[..., TensorRtNetwork], driver: FakeDriver, function: str
) -> None:
    driver.fail(function, 999)
    submitted(open_graph(DECODE), CAPTURE_AFTER + 4)
    assert driver.calls(function) == 1
    assert not driver.calls("cuGraphLaunch")


@pytest.mark.parametrize("how", ["fails", "allocates"])
def test_an_engine_that_fails_while_it_is_captured_costs_no_picture(
    open_graph: Callable[..., TensorRtNetwork], driver: FakeDriver, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    network = open_graph(DECODE)
    executes, began = fake.IExecutionContext.execute_async_v3, driver.calls("cuStreamBeginCapture")

    def executed(self: Any, stream: int) -> bool:
        if driver.calls("cuStreamBeginCapture") > driver.calls("cuStreamEndCapture"):
            if how == "fails":
                return False
            with suppress(RuntimeUnavailable):
                DeviceBuffer(network.device, 4)
        return executes(self, stream)

    monkeypatch.setattr(fake.IExecutionContext, "execute_async_v3", executed)
    submitted(network, CAPTURE_AFTER + 4)
    assert driver.calls("cuStreamBeginCapture") == began + 1
    assert not driver.calls("cuGraphLaunch")


def test_another_size_ends_its_graphs(open_graph: Callable[..., TensorRtNetwork], driver: FakeDriver) -> None:
    session = open_graph(DECODE).session(INLINE)
    for picture in pictures(DECODE, CAPTURE_AFTER + 4):
        session.submit(picture).result()
    assert driver.live["instances"] == SLOTS
    for picture in pictures(DECODE, CAPTURE_AFTER + 4, (2, 2)):
        assert_equal(session.submit(picture).result(), expected(DECODE, picture))
    assert driver.live["instances"] == SLOTS
    session.close()


# ---- the whole way ----


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A GPU is seen, and engines go to a folder of the test's."""
    monkeypatch.setattr("mjpeg_restore.runtime.devices.gpu_present", lambda: True)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    runtime._tell_once.cache_clear()


@pytest.mark.usefixtures("gpu")
@pytest.mark.parametrize("device", ["tensorrt", "tensorrt-rtx", "cuda", "cuda:0", "auto"])
def test_a_restorer(device: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    restorer = Restorer("stream-lite", device, engine_cache=tmp_path)
    for seed, sampling in enumerate(["4:2:0", "gray", "4:4:4"]):
        coded = read(encode(sampling, (96, 64), seed))
        file = f"stream-lite.{'grey' if sampling == 'gray' else 'colour'}.onnx"
        assert_equal(restorer.planes(coded), expected(file, restorer.inputs(coded), half=True))
    title = "TensorRT-RTX 1.7.1" if device == "tensorrt-rtx" else "TensorRT 10.13.3"
    assert restorer.runtime_name == f"{title}, NVIDIA L4, fp16"
    assert caplog.records == []


@pytest.mark.usefixtures("gpu")
def test_a_pipeline(tmp_path: Path) -> None:
    coded = [encode("4:2:0", (96, 64) if seed % 20 < 12 else (64, 96), seed) for seed in range(30)]
    restorer = Restorer("stream-lite", "tensorrt-rtx", engine_cache=tmp_path)
    sink = Collect()
    report = run(ListSource(coded), restorer, sink)
    assert report.frames == 30
    for picture, data in zip(sink.pictures, coded, strict=True):
        assert_equal(picture.planes, expected("stream-lite.colour.onnx", restorer.inputs(read(data)), half=True))


@pytest.mark.usefixtures("gpu")
def test_a_model_with_a_context(tmp_path: Path) -> None:
    restorer = Restorer("qgcn", "tensorrt-rtx", engine_cache=tmp_path)
    coded = read(encode("gray", (48, 40)))
    given = restorer.inputs(coded)
    (context,) = expected("qgcn.grey.context.onnx", given[:2], half=True)
    assert_equal(restorer.planes(coded), expected("qgcn.grey.onnx", [*given[:2], context], half=True))


@pytest.mark.usefixtures("gpu")
def test_a_model_for_video(tmp_path: Path) -> None:
    coded = [read(encode("4:2:0", (48, 32), 1, quality=quality)) for quality in (75, 60, 70)]
    restorer = Restorer("stream-video-lite", "tensorrt-rtx", engine_cache=tmp_path)
    graph, state = Loaded(for_tensorrt(content(VIDEO), half=True)), list[Any]()
    with restorer.stream() as stream:
        for one in coded:
            given = as_bytes(restorer.inputs(one))
            made = graph.run([*given[:6], *(state or given[6:])])
            state = made[3:]
            picture = stream.restore(one)
            assert_equal(
                picture.planes, [plane[: 32 >> i, : 48 >> i] for plane, i in zip(made[:3], (0, 1, 1), strict=True)]
            )
            assert picture.computed == stream.computed == 1.0
    assert restorer.runtime_name == "TensorRT-RTX 1.7.1, NVIDIA L4, fp16"


@pytest.mark.usefixtures("gpu")
def test_larger_pictures_are_restored_in_tiles(tmp_path: Path, driver: FakeDriver) -> None:
    restorer = Restorer("decode", "tensorrt-rtx", engine_cache=tmp_path)
    coded = read(encode("gray", (8 * 520, 24)))
    (ours,), (theirs,) = restorer.planes(coded), expected("decode.grey.onnx", restorer.inputs(coded))
    np.testing.assert_array_equal(ours, theirs)


@pytest.fixture
def no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """PyTorch is not installed."""

    def load(*_: object) -> None:
        raise MissingExtra("torch", "torch", "this device")

    monkeypatch.setitem(sys.modules, "mjpeg_restore.runtime.torch.network", SimpleNamespace(load=load))  # pyright: ignore


@pytest.mark.usefixtures("gpu", "no_other")
def test_auto_says_once_why_the_gpu_is_not_used(
    tmp_path: Path, driver: FakeDriver, caplog: pytest.LogCaptureFixture
) -> None:
    driver.fail("cuInit", DRIVER_MISMATCH, sticky=True)
    graphs = catalogue.find("stream-lite").variants[0].graphs
    names = [open_network(graph, "auto", 1, engine_cache=tmp_path).name for graph in graphs.values()]
    assert all(name.startswith(("OpenVINO ", "ONNX Runtime ")) for name in names)
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert record.message.startswith("the GPU is not used: the NVIDIA driver does not fit (system has unsupported ")
    assert record.message.endswith(f"): update it; {names[0]} instead")
    driver.reset()


@pytest.mark.usefixtures("gpu", "no_other")
@pytest.mark.parametrize("model", ["stream-lite", "stream-video-lite"])
def test_after_an_error_that_ends_the_gpu_auto_goes_on_with_the_cpu(
    model: str, tmp_path: Path, driver: FakeDriver, caplog: pytest.LogCaptureFixture
) -> None:
    coded = [read(encode("4:2:0", (48, 32), seed)) for seed in range(4)]
    restorer, other = (Restorer(model, "auto", engine_cache=tmp_path) for _ in range(2))
    with restorer.stream() as stream, other.stream() as sibling:
        for one in (stream, sibling):
            one.restore(coded[0])
        assert restorer.runtime_name == other.runtime_name == "TensorRT 10.13.3, NVIDIA L4, fp16"
        driver.fail("cuEventSynchronize", ILLEGAL_ADDRESS, sticky=True)
        with pytest.raises(RuntimeUnavailable, match="an illegal memory access"):
            stream.restore(coded[1])
        assert caplog.records == []
        for restored in (stream.restore(coded[2]), sibling.restore(coded[2]), restorer.restore(coded[3])):
            assert restored.planes[0].shape == (32, 48)
    assert restorer.runtime_name == other.runtime_name
    assert restorer.runtime_name.startswith(("OpenVINO ", "ONNX Runtime "))
    (record,) = caplog.records
    assert record.message.startswith("the GPU is not used: CUDA cannot start (an illegal memory access was encountered")
    del stream, sibling, one, restorer, other
    gc.collect()
    driver.reset()  # what cannot be freed any more


@pytest.mark.usefixtures("gpu")
def test_a_picture_that_fails_breaks_no_network(tmp_path: Path, driver: FakeDriver) -> None:
    restorer = Restorer("stream-lite", "auto", engine_cache=tmp_path)
    coded = read(encode("4:2:0", (48, 32)))
    graph = restorer.model.variants[0].graphs["colour"]
    restorer.restore(coded)
    network = restorer.network(graph)
    for function, code in (("cuMemAlloc", OUT_OF_MEMORY), ("cuEventSynchronize", 999), ("cuMemcpyHtoDAsync", 999)):
        driver.fail(function, code)
        with restorer.stream() as stream, pytest.raises(RuntimeUnavailable):
            stream.restore(coded)
        assert not network.broken
        assert restorer.network(graph) is open_network(graph, "auto", streams=1, engine_cache=tmp_path) is network


def test_an_engine_stays_where_a_gpu_that_has_failed_does_not_load_it(
    open_graph: Callable[..., TensorRtNetwork], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    open_graph(DECODE)
    before = fake.COUNTS["built"]
    fake.FAILURES["deserialize"] = "IRuntime::deserializeCudaEngine: Error Code 1: Cuda Runtime (illegal memory access)"
    monkeypatch.setattr("mjpeg_restore.runtime.cuda.device.Device._takes_calls", lambda _: False)
    with pytest.raises(EngineUnusable):
        open_graph(DECODE)
    assert fake.COUNTS["built"] == before
    assert len([*(tmp_path / "engines").glob("*.engine")]) == 1


@pytest.mark.usefixtures("gpu", "no_other")
def test_auto_takes_the_next_runtime_of_the_gpu(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, packages: dict[str, ModuleType]
) -> None:
    del vars(packages["tensorrt"])["__version__"]
    graph = catalogue.find("stream-lite").variants[0].graphs["grey"]
    assert open_network(graph, "auto", 1, engine_cache=tmp_path).name.startswith("TensorRT-RTX 1.7.1, NVIDIA L4")
    assert caplog.records == []


@pytest.mark.usefixtures("gpu", "no_other")
def test_auto_says_what_to_install_for_a_gpu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("mjpeg_restore.runtime.tensorrt.package.is_installed", lambda _: False)
    open_network(catalogue.find("stream-lite").variants[0].graphs["grey"], "auto", 1, engine_cache=tmp_path)
    (record,) = caplog.records
    assert record.message == 'an NVIDIA GPU is there and not used: pip install "mjpeg-restore[tensorrt-rtx]"'


@pytest.mark.usefixtures("gpu", "no_other")
def test_auto_recommends_what_serves_the_gpu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("mjpeg_restore.runtime.tensorrt.package.is_installed", lambda _: False)
    monkeypatch.setattr(Bindings, "capability", lambda *_: (9, 0))
    open_network(catalogue.find("stream-lite").variants[0].graphs["grey"], "auto", 1, engine_cache=tmp_path)
    (record,) = caplog.records
    assert record.message == 'an NVIDIA GPU is there and not used: pip install "mjpeg-restore[tensorrt]"'


def test_a_gpu_that_tensorrt_for_rtx_does_not_serve_is_told_of_others(
    open_graph: Callable[..., TensorRtNetwork], monkeypatch: pytest.MonkeyPatch
) -> None:
    others = r": use TensorRT \(device='tensorrt'\) or PyTorch$"
    fake.FAILURES["build"] = "IBuilder::buildSerializedNetwork: Error Code 10: Internal Error (no implementation)"
    with pytest.raises(RuntimeUnavailable, match=rf"cannot build decode\.colour \(.*\){others}"):
        open_graph(DECODE)
    monkeypatch.setattr(Bindings, "capability", lambda *_: (9, 0))
    with pytest.raises(RuntimeUnavailable, match=rf"builds nothing for compute capability 9\.0, only for .*{others}"):
        open_graph(DECODE)


@pytest.mark.parametrize("device", NAMES)
def test_the_extra_of_the_device_is_named(
    device: str, open_graph: Callable[..., TensorRtNetwork], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(MissingExtra, match=rf"needs onnx: .*mjpeg-restore\[{device}\]"):
        open_graph(DECODE, device)


@pytest.mark.usefixtures("gpu", "no_other")
def test_cuda_falls_back_on_no_cpu(tmp_path: Path, driver: FakeDriver) -> None:
    driver.set_gpus(0)
    with pytest.raises(RuntimeUnavailable, match="there is no NVIDIA GPU here that CUDA can use"):
        open_network(catalogue.find("stream-lite").variants[0].graphs["grey"], "cuda", engine_cache=tmp_path)


# ---- engines that are built ahead ----


@pytest.mark.parametrize("device", NAMES)
def test_build_takes_the_gpu_that_is_there(
    device: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("mjpeg_restore.runtime.cuda.device.gpu_present", lambda: True)
    assert main(["build", "decode", "--device", device, "--engine-cache", str(tmp_path / "engines")]) == 0
    lines = capsys.readouterr().out.splitlines()
    target = {"tensorrt": "NVIDIA L4", "tensorrt-rtx": "compute capability 8.9"}[device]
    assert [line.partition(":")[0] for line in lines] == [f"decode.grey, {target}", f"decode.colour, {target}"]
    before = fake.COUNTS["built"]
    network = load(device, GRAPHS[DECODE], settings(tmp_path, "fp16"))  # which is found
    assert (fake.COUNTS["built"], network.largest) == (before, (272, 512))


@pytest.mark.usefixtures("packages")
def test_build_takes_each_kind_of_gpu_once(
    tmp_path: Path, driver: FakeDriver, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("mjpeg_restore.runtime.cuda.device.gpu_present", lambda: True)
    driver.set_gpus(2)
    assert main(["build", "decode", "--device", "tensorrt", "--engine-cache", str(tmp_path)]) == 0
    assert [line.partition(":")[0] for line in capsys.readouterr().out.splitlines()] == [
        f"decode.{kind}, {gpu}" for gpu in ("NVIDIA L4", "NVIDIA GeForce RTX 5090") for kind in ("grey", "colour")
    ]
    options = ["--device", "tensorrt", "--compute-capability", "12.0", "--engine-cache", str(tmp_path)]
    assert main(["build", "decode", *options]) == 0
    assert [line.partition(":")[0] for line in capsys.readouterr().out.splitlines()] == [
        f"decode.{kind}, NVIDIA GeForce RTX 5090" for kind in ("grey", "colour")
    ]


# ---- what scripts/gpu_check.py measures ----


@pytest.mark.usefixtures("gpu")
@pytest.mark.parametrize("device", NAMES)
def test_a_gpu_is_checked(device: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    size = 96, 64
    monkeypatch.setattr(gpu_check, "FIRST", (("stream-lite", size),))
    monkeypatch.setattr(gpu_check, "SIZES", (size,))
    monkeypatch.setattr(gpu_check, "ON_CAMERAS", size)
    results, page = tmp_path / "gpu.json", tmp_path / "gpu.md"
    words = [
        "--model",
        "stream-lite",
        "stream-video-lite",
        "--device",
        device,
        "cpu",
        "--seconds",
        "0.01",
        "--json",
        results,
        "--page",
        page,
    ]
    words += ["--engine-cache", tmp_path / "engines"]
    monkeypatch.setattr(sys, "argv", ["gpu_check.py", *map(str, words)])
    assert gpu_check.main() == 0
    found = json.loads(results.read_text())["NVIDIA L4"]
    assert found["card"]["capability"] == "8.9"
    assert found["card"]["up_gbs"] > 0
    assert (found["absent"][device], found["absent"]["cpu"][:9]) == (None, "no device")
    for part, rows in found.items():
        if part in gpu_check.PARTS:
            assert rows
            assert not any("error" in row for row in rows.values())
    assert all(row["most"] == 0 for key, row in found["parity"].items() if key.endswith(" fp32"))
    assert "NVIDIA L4, fp16" in page.read_text()
