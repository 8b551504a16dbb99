"""PyTorch on a GPU: what only a GPU can tell."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from tests.lacking import needs, needs_gpu

torch = needs("torch")
needs("onnxruntime")

from mjpeg_restore import catalogue
from mjpeg_restore.catalogue import GraphFile
from mjpeg_restore.errors import RuntimeUnavailable
from mjpeg_restore.futures import INLINE
from mjpeg_restore.runtime import Inputs, Network, Precision, open_network
from mjpeg_restore.runtime.rewriting import for_torch
from mjpeg_restore.runtime.ring import CAPTURE_AFTER, RingSession
from mjpeg_restore.runtime.torch.session import GpuBuffers, GpuSlot
from tests.agreement import ROUNDED, assert_same, difference, plain_decode
from tests.runtime.graphs import picture, run, shipped
from tests.runtime.torch.single_nodes import by_onnx_runtime

pytestmark = needs_gpu

COLOUR = [name for name, one in catalogue.shipped().items() if "colour" in one.variants[0].graphs]
PLAIN = [
    name for name in COLOUR if not catalogue.find(name).takes("noise") and not catalogue.find(name).takes("context")
]
ENOUGH = CAPTURE_AFTER + 4
"""Pictures until all slots have a CUDA graph."""


def opened(name: str, precision: Precision) -> Network:
    return open_network(shipped(name), "torch", precision=precision)


def reference(graph: GraphFile, inputs: Inputs) -> list[np.ndarray]:
    return by_onnx_runtime(for_torch(graph.path().read_bytes(), half=False), inputs)


@pytest.mark.parametrize("name", PLAIN)
def test_float32_gives_the_planes_of_a_cpu_before_and_after_the_capture(name: str) -> None:
    coded = picture()
    expected = reference(shipped(name), coded)
    session = opened(name, "fp32").session(INLINE)
    for _ in range(ENOUGH):
        assert_same(session.submit(coded).result(), expected)
    session.close()


@pytest.mark.parametrize("name", PLAIN)
def test_float16_is_near(name: str) -> None:
    coded = picture()
    expected = reference(shipped(name), coded)
    session = opened(name, "fp16").session(INLINE)
    for _ in range(ENOUGH):
        planes = session.submit(coded).result()
        if name == "decode":
            assert_same(planes, expected)
        else:
            assert difference(planes, expected, plain_decode(coded)) <= ROUNDED
    session.close()


def test_programs_are_captured(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO"):
        session = opened("stream", "fp16").session(INLINE)
        for seed in range(ENOUGH):
            session.submit(picture(seed=seed)).result()
        assert isinstance(session, RingSession)
        assert all(isinstance(slot, GpuSlot) and slot._graph for slot in session._slots)
        session.close()
    assert "no CUDA graph" not in caplog.text


def test_sizes_may_change() -> None:
    session, one = opened("stream-lite", "fp32").session(INLINE), opened("stream-lite", "fp32")
    for size in [(96, 64), (8, 8), (320, 200), (96, 64)]:
        for seed in range(ENOUGH):
            coded = picture(size=size, seed=seed)
            assert_same(session.submit(coded).result(), run(one, coded))
    session.close()


def test_several_pictures_are_under_way_in_order() -> None:
    coded = [picture(seed=seed, size=(640, 480)) for seed in range(3 * CAPTURE_AFTER)]
    network = opened("stream-lite", "fp32")
    alone = [run(network, inputs) for inputs in coded]
    with ThreadPoolExecutor(3) as pool:
        session = network.session(pool)
        together = [future.result() for future in [session.submit(inputs) for inputs in coded]]
        session.close()
    for ours, theirs in zip(together, alone, strict=True):
        assert_same(ours, theirs)


def test_sessions_on_several_threads_capture_at_the_same_time() -> None:
    network, other = opened("stream-lite", "fp32"), opened("decode", "fp32")
    failures: list[BaseException] = []

    def work(chosen: Network, size: tuple[int, int]) -> None:
        try:
            with ThreadPoolExecutor(2) as pool:
                session = chosen.session(pool)
                coded = [picture(seed=seed, size=size) for seed in range(ENOUGH)]
                expected = [run(chosen, inputs) for inputs in coded]
                futures = [session.submit(inputs) for inputs in coded * 3]
                for future, theirs in zip(futures, expected * 3, strict=True):
                    assert_same(future.result(), theirs)
                session.close()
        except BaseException as error:
            failures.append(error)

    sizes = [(96, 64), (160, 96), (64, 64), (320, 240)]
    threads = [threading.Thread(target=work, args=(one, size)) for size in sizes for one in (network, other)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


def test_memory_is_given_back() -> None:
    network = opened("stream-lite", "fp16")
    for _ in range(3):
        session = network.session(INLINE)
        for seed in range(ENOUGH):
            session.submit(picture(seed=seed)).result()
        session.close()
        del session
        torch.cuda.synchronize()
    before = torch.cuda.memory_allocated()
    session = network.session(INLINE)
    for seed in range(ENOUGH):
        session.submit(picture(seed=seed)).result()
    session.close()
    del session
    assert torch.cuda.memory_allocated() <= before + (1 << 20)


def test_what_pytorch_keeps_for_the_process_stays_as_it_is() -> None:
    def kept() -> list[object]:
        backends = torch.backends
        return [
            torch.cuda.current_device(),
            torch.cuda.current_stream().cuda_stream,
            backends.cudnn.benchmark,
            backends.cudnn.allow_tf32,
            backends.cuda.matmul.allow_tf32,
            torch.get_num_threads(),
            torch.cuda.initial_seed(),
        ]

    before = kept()
    session = opened("stream-lite", "fp16").session(INLINE)
    for seed in range(ENOUGH):
        session.submit(picture(seed=seed)).result()
    session.close()
    assert kept() == before


def test_out_of_memory_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    network = opened("decode", "fp32")
    allocate = GpuBuffers.allocate

    def without_room(buffers: GpuBuffers, shapes: tuple[tuple[int, ...], ...]) -> object:
        with buffers.running("prepare"):
            torch.empty(1 << 50, dtype=torch.uint8, device=buffers.device)
        return allocate(buffers, shapes)

    monkeypatch.setattr(GpuBuffers, "allocate", without_room)
    with pytest.raises(RuntimeUnavailable, match=r"\(out of memory\): try ") as caught:
        run(network, picture())
    assert "\n" not in str(caught.value)
