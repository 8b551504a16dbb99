"""A session of pictures on a GPU, with streams that do their work as late as they may."""

from __future__ import annotations

from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from tests.lacking import needs

torch = needs("torch")
needs("onnx")

from torch import Tensor

from mjpeg_restore.errors import RuntimeUnavailable
from mjpeg_restore.futures import INLINE
from mjpeg_restore.runtime import Inputs, Planes
from mjpeg_restore.runtime.rewriting import for_torch
from mjpeg_restore.runtime.ring import CAPTURE_AFTER
from mjpeg_restore.runtime.torch import layers
from mjpeg_restore.runtime.torch.network import CpuNetwork, GpuNetwork
from mjpeg_restore.runtime.torch.program import Plan, Program
from tests.runtime.graphs import picture, run, shipped
from tests.runtime.torch import lazy_cuda


@pytest.fixture
def network(monkeypatch: pytest.MonkeyPatch) -> Generator[GpuNetwork]:
    program = Program(
        for_torch(shipped("stream-lite").path().read_bytes(), half=False), "one.onnx", torch.device("cpu")
    )
    with monkeypatch.context() as patch:
        lazy_cuda.install(patch)
        yield GpuNetwork(program, half=False)


@pytest.fixture(scope="module")
def reference() -> CpuNetwork:
    program = Program(
        for_torch(shipped("stream-lite").path().read_bytes(), half=False), "one.onnx", torch.device("cpu")
    )
    return CpuNetwork(program, 1, 1)


def assert_equal(ours: Planes, inputs: Inputs, reference: CpuNetwork) -> None:
    for one, other in zip(ours, run(reference, inputs), strict=True):
        assert np.array_equal(one, other)


def test_pictures_come_out_in_order_before_and_after_the_capture(network: GpuNetwork, reference: CpuNetwork) -> None:
    pictures = [picture(seed=seed, size=(32, 16)) for seed in range(CAPTURE_AFTER + 7)]
    session = network.session(INLINE)
    planes = [session.submit(inputs).result() for inputs in pictures]
    assert lazy_cuda.Graph.made == 3  # one for each slot
    session.close()
    for ours, inputs in zip(planes, pictures, strict=True):
        assert_equal(ours, inputs, reference)


def test_several_are_under_way(network: GpuNetwork, reference: CpuNetwork) -> None:
    pictures = [picture(seed=seed, size=(32, 16)) for seed in range(2 * CAPTURE_AFTER)]
    with ThreadPoolExecutor(2) as pool:
        session = network.session(pool)
        futures = [session.submit(inputs) for inputs in pictures]
        planes = [future.result() for future in futures]
        session.close()
    for ours, inputs in zip(planes, pictures, strict=True):
        assert_equal(ours, inputs, reference)


def test_sizes_may_change_and_are_captured_anew(network: GpuNetwork, reference: CpuNetwork) -> None:
    session = network.session(INLINE)
    for size in [(32, 16), (16, 16), (48, 32)]:
        for seed in range(CAPTURE_AFTER + 2):
            inputs = picture(seed=seed, size=size)
            assert_equal(session.submit(inputs).result(), inputs, reference)
    assert lazy_cuda.Graph.made == 6  # the last two pictures of each size
    session.close()


def test_pictures_of_many_sizes_are_never_captured(network: GpuNetwork) -> None:
    session = network.session(INLINE)
    for _ in range(CAPTURE_AFTER):
        for size in [(32, 16), (16, 16)]:
            session.submit(picture(size=size)).result()
    assert lazy_cuda.Graph.made == 0
    session.close()


def test_captured_programs_are_tuned(network: GpuNetwork, monkeypatch: pytest.MonkeyPatch) -> None:
    tuned: list[bool] = []
    convolved = layers._convolved

    def watched(x: Tensor, *others: Any) -> Tensor:
        if not x.is_meta:
            tuned.append(others[-1])
        return convolved(x, *others)

    monkeypatch.setattr(layers, "_convolved", watched)
    session = network.session(INLINE)
    for _ in range(CAPTURE_AFTER):
        session.submit(picture(size=(32, 16))).result()
    assert not any(tuned)
    tuned.clear()
    session.submit(picture(size=(32, 16))).result()
    assert tuned
    assert all(tuned)
    session.close()


def test_what_cannot_be_captured_is_run_without(network: GpuNetwork, reference: CpuNetwork) -> None:
    lazy_cuda.Graph.broken = True
    session = network.session(INLINE)
    for seed in range(CAPTURE_AFTER + 4):
        inputs = picture(seed=seed, size=(32, 16))
        assert_equal(session.submit(inputs).result(), inputs, reference)
    session.close()


def test_out_of_memory_is_one_sentence_and_the_next_picture_is_tried(
    network: GpuNetwork, reference: CpuNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = network.session(INLINE)
    inputs = picture(size=(32, 16))
    with monkeypatch.context() as patch:
        patch.setattr(Plan, "__call__", fail)
        with pytest.raises(
            RuntimeUnavailable, match=r"cannot restore a picture on cpu \(out of memory\): try "
        ) as caught:
            session.submit(inputs)
    assert "\n" not in str(caught.value)
    assert_equal(session.submit(inputs).result(), inputs, reference)
    session.close()


def fail(*_: object) -> None:
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nGPU 0 has ...")


def test_results_belong_to_the_caller(network: GpuNetwork) -> None:
    session = network.session(INLINE)
    first = session.submit(picture(seed=1)).result()
    kept = [plane.copy() for plane in first]
    for seed in range(4):
        session.submit(picture(seed=seed)).result()
    session.close()
    assert all(map(np.array_equal, first, kept))


def test_the_name_says_gpu_and_precision_and_memory_is_a_share(network: GpuNetwork) -> None:
    assert network.name.endswith(", NVIDIA Fake, fp32")
    assert network.memory == 2 << 30


@pytest.mark.parametrize("ends", [False, True])
def test_a_network_is_broken_once_the_gpu_takes_no_calls(
    ends: bool, network: GpuNetwork, reference: CpuNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    session, inputs = network.session(INLINE), picture(size=(32, 16))
    with monkeypatch.context() as patch:
        patch.setattr(lazy_cuda.Event, "synchronize", fail)
        if ends:
            patch.setattr(torch.cuda, "mem_get_info", fail)
        with pytest.raises(RuntimeUnavailable, match="an illegal memory access"):
            session.submit(inputs).result()
    assert network.broken is ends
    assert_equal(session.submit(inputs).result(), inputs, reference)
    session.close()


def test_a_picture_whose_end_fails_is_waited_for(network: GpuNetwork, monkeypatch: pytest.MonkeyPatch) -> None:
    waited: set[lazy_cuda.Stream] = set()
    wait = lazy_cuda.Stream.synchronize

    def fail(_: object) -> None:
        raise RuntimeError("unknown error")

    def synchronize(stream: lazy_cuda.Stream) -> None:
        wait(stream)
        waited.add(stream)

    session = network.session(INLINE)
    with monkeypatch.context() as patch:
        patch.setattr(lazy_cuda.Event, "synchronize", fail)
        patch.setattr(lazy_cuda.Stream, "synchronize", synchronize)
        assert session.submit(picture(size=(32, 16))).exception()
    assert len(waited) == 3
    assert not any(stream.queue for stream in waited)
    session.close()


@pytest.mark.parametrize(("plain", "joined", "taken"), [(2.0, 1.0, True), (1.0, 2.0, False)])
def test_the_faster_plan_is_captured(
    plain: float, joined: float, taken: bool, network: GpuNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lazy_cuda.Event, "times", [plain, joined])
    session, made = capture(network, monkeypatch)
    assert made[-1] is taken
    session.close()


@pytest.mark.parametrize("what", ["wrong", "missing"])
def test_joined_steps_that_do_not_work_are_not_taken(
    what: str, network: GpuNetwork, reference: CpuNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(x: Tensor, weight: Tensor, bias: Tensor, *, tuned: bool = False, **attributes: Any) -> Tensor:
        if what == "missing" and not x.is_meta:
            raise RuntimeError("cuDNN has no such thing")
        return layers.conv(x, weight, bias, tuned=tuned, **attributes)  # not rectified

    monkeypatch.setattr("mjpeg_restore.runtime.torch.fusing.conv_relu", broken)
    monkeypatch.setattr(lazy_cuda.Event, "times", [2.0, 1.0])
    session, _ = capture(network, monkeypatch)
    for seed in range(4):
        inputs = picture(seed=seed, size=(32, 16))
        assert_equal(session.submit(inputs).result(), inputs, reference)
    assert lazy_cuda.Graph.made == 3
    session.close()


def capture(network: GpuNetwork, monkeypatch: pytest.MonkeyPatch) -> tuple[Any, list[bool]]:
    """A session whose next picture is captured, and whether each plan that was computed had joined steps."""
    made: list[bool] = []
    computed = Plan.__call__

    def watched(plan: Plan, inputs: Any) -> list[Tensor]:
        made.append(
            any(getattr(step.function, "func", step.function).__module__.endswith("fusing") for step in plan._steps)
        )
        return computed(plan, inputs)

    monkeypatch.setattr(Plan, "__call__", watched)
    session = network.session(INLINE)
    for _ in range(CAPTURE_AFTER + 1):
        session.submit(picture(seed=5, size=(32, 16))).result()
    return session, made
