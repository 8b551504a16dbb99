"""A camera's state on a GPU, with streams that do their work as late as they may."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypedDict

import numpy as np
import pytest

from tests.lacking import needs

torch = needs("torch")
needs("onnx")

from mjpeg_restore.errors import RuntimeUnavailable
from mjpeg_restore.futures import INLINE
from mjpeg_restore.restorer import Restorer
from mjpeg_restore.runtime import Inputs, Network, Planes
from mjpeg_restore.runtime.rewriting import for_torch
from mjpeg_restore.runtime.ring import CAPTURE_AFTER
from mjpeg_restore.runtime.torch.network import CpuNetwork, GpuNetwork
from mjpeg_restore.runtime.torch.program import Plan, Program
from tests.runtime.graphs import picture, run, shipped
from tests.runtime.torch import lazy_cuda
from tests.state_formulas import no_past

MODEL = "stream-video-lite"
Told = dict[int, tuple[bool, bool]]

AMONG: Told = {4: (False, True), 7: (True, False), CAPTURE_AFTER + 3: (True, False), CAPTURE_AFTER + 5: (False, False)}
"""Frames that do not continue a scene, or are no evidence, before and after the capture: past, evidence."""


def program() -> Program:
    data = shipped(MODEL).path().read_bytes()
    return Program(for_torch(data, half=False), "one.onnx", torch.device("cpu"))


@pytest.fixture(scope="module")
def reference() -> CpuNetwork:
    return CpuNetwork(program(), 1, 1)


@pytest.fixture
def network(monkeypatch: pytest.MonkeyPatch) -> Generator[GpuNetwork]:
    own = program()
    with monkeypatch.context() as patch:
        lazy_cuda.install(patch)
        yield GpuNetwork(own, half=False)


def clip(count: int, size: tuple[int, int] = (32, 16), seed: int = 0) -> list[Inputs]:
    """Frames of a still scene, whose coefficients differ by a step here and there."""
    random = np.random.default_rng(seed)
    scene = picture(size=size, seed=seed, quality=75)
    return [
        [
            part if place % 2 else part + (random.random(part.shape) < 0.1).astype(np.int16)
            for place, part in enumerate(scene)
        ]
        for _ in range(count)
    ]


class Options(TypedDict):
    past: bool
    evidence: bool


def told(number: int) -> Options:
    past, evidence = AMONG.get(number, (True, True))
    return {"past": past, "evidence": evidence}


def one_by_one(network: Network, frames: Sequence[Inputs], among: Told = AMONG) -> list[Planes]:
    """What the graph gives for a clip, with the state among its inputs."""
    empty: list[Any] = no_past(frames[0])
    state, found = empty, list[Planes]()
    for number, frame in enumerate(frames):
        past, evidence = among.get(number, (True, True))
        state = state if past else empty
        made = run(network, [*frame, *state])
        found.append(made[:3])
        state = [*made[3:]] if evidence else state
    return found


def assert_equal(ours: Sequence[Planes], theirs: Sequence[Planes]) -> None:
    for number, (some, others) in enumerate(zip(ours, theirs, strict=True)):
        assert len(some) == len(others) == 3
        assert all(map(np.array_equal, some, others)), number


def test_the_state_goes_from_frame_to_frame(network: GpuNetwork, reference: CpuNetwork) -> None:
    frames = clip(CAPTURE_AFTER + 8)
    camera = network.camera(INLINE)
    ours = [camera.submit(frame, **told(number)).result() for number, frame in enumerate(frames)]
    assert lazy_cuda.Graph.made == 3  # one for each slot
    camera.close()
    assert_equal(ours, one_by_one(reference, frames))
    assert not np.array_equal(ours[3][0], run(reference, [*frames[3], *no_past(frames[3])])[0])  # it matters


def test_several_frames_are_under_way(network: GpuNetwork, reference: CpuNetwork) -> None:
    frames = clip(2 * CAPTURE_AFTER)
    with ThreadPoolExecutor(2) as pool:
        camera = network.camera(pool)
        futures = [camera.submit(frame, **told(number)) for number, frame in enumerate(frames)]
        ours = [future.result() for future in futures]
        camera.close()
    assert_equal(ours, one_by_one(reference, frames))


def test_cameras_have_a_state_each(network: GpuNetwork, reference: CpuNetwork) -> None:
    clips = [clip(5, seed=seed) for seed in range(2)]
    cameras = [network.camera(INLINE) for _ in clips]
    ours = [
        [camera.submit(frame, **told(number)).result() for camera, frame in zip(cameras, both, strict=True)]
        for number, both in enumerate(zip(*clips, strict=True))
    ]
    for camera, some, frames in zip(cameras, zip(*ours, strict=True), clips, strict=True):
        assert_equal(some, one_by_one(reference, frames))
        camera.close()


def test_another_size_begins_anew(network: GpuNetwork, reference: CpuNetwork) -> None:
    camera = network.camera(INLINE)
    for size in [(32, 16), (16, 16), (32, 16)]:
        frames = clip(3, size)
        assert_equal(
            [camera.submit(frame, past=True, evidence=True).result() for frame in frames], one_by_one(reference, frames)
        )
    camera.close()


def test_a_frame_that_fails_leaves_the_state(
    network: GpuNetwork, reference: CpuNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames = clip(4)
    camera = network.camera(INLINE)
    ours = [camera.submit(frame, past=True, evidence=True).result() for frame in frames[:2]]
    with monkeypatch.context() as patch:
        patch.setattr(Plan, "__call__", _fail)
        with pytest.raises(RuntimeUnavailable, match="out of memory"):
            camera.submit(frames[3], past=True, evidence=True)
    ours += [camera.submit(frame, past=True, evidence=True).result() for frame in frames[2:]]
    camera.close()
    assert_equal(ours, one_by_one(reference, frames))


def test_memory_that_runs_out_before_the_capture_spoils_nothing(
    network: GpuNetwork, reference: CpuNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames = clip(CAPTURE_AFTER + 4)
    streams: list[lazy_cuda.Stream] = []
    computes = Plan.__call__

    def compute(self: Plan, inputs: Any) -> Any:
        if (stream := lazy_cuda.current()).priority < 0:
            streams.append(stream)
            if len(streams) > 1:
                _fail()
        return computes(self, inputs)

    camera = network.camera(INLINE)
    with monkeypatch.context() as patch:
        patch.setattr(Plan, "__call__", compute)
        ours = [camera.submit(frame, **told(number)).result() for number, frame in enumerate(frames)]
    camera.close()
    assert len(streams) == 2
    assert not streams[0].queue, "what was begun in the other stream is not finished"
    assert_equal(ours, one_by_one(reference, frames))


def _fail(*_: object) -> None:
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nGPU 0 has ...")


class OnGpu(Restorer):
    """Restores with a network that is on a GPU."""

    def __init__(self, network: GpuNetwork) -> None:
        super().__init__(MODEL, "torch:cpu")
        self._gpu = network

    def network(self, graph: Any, progress: Any = None) -> Network:
        return self._gpu


def test_a_stream_of_a_restorer_keeps_its_state_on_the_gpu(network: GpuNetwork, reference: CpuNetwork) -> None:
    from mjpeg_restore.jpeg import read
    from tests.jpeg.pictures import encode

    coded = [read(encode("4:2:0", (48, 32), seed=1, quality=quality)) for quality in (75, 60, 70, 65)]
    restorer = OnGpu(network)
    with restorer.stream() as stream:
        ours = [stream.restore(one) for one in coded]
        alone = stream.planes(coded[2]).result()  # in the middle of the scene, and not part of it
        last = stream.restore(coded[0])
        assert last.computed == stream.computed == 1.0
    reopened = stream.restore(coded[2])
    stream.close()
    frames = [restorer.inputs(one)[:6] for one in [*coded, coded[0]]]
    theirs = one_by_one(reference, frames, {})
    for one, planes in zip([*ours, last], theirs, strict=True):
        assert np.array_equal(one.planes[0], planes[0][:32, :48])
    assert np.array_equal(alone[0], one_by_one(reference, frames[2:3])[0][0])
    for one in (reopened, restorer.restore(coded[2])):
        assert np.array_equal(one.planes[0], alone[0][:32, :48])
