"""A camera's session whose network is computed where it is wanted: frames in their cells, by any number of threads."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor

import numpy as np
import pytest

from mjpeg_restore import Restorer, catalogue
from mjpeg_restore.futures import INLINE
from mjpeg_restore.jpeg import read
from mjpeg_restore.jpeg.dct import to_coefficients
from mjpeg_restore.restorer.arrays import components
from mjpeg_restore.runtime import Inputs, Planes, open_network
from mjpeg_restore.runtime.cpu import video
from mjpeg_restore.runtime.cpu.parts import HasParts, Parts
from mjpeg_restore.runtime.cpu.team import Team
from mjpeg_restore.runtime.cpu.turns import Turns
from mjpeg_restore.runtime.cpu.video import VideoSession
from mjpeg_restore.runtime.loading import Loader
from tests.agreement import FINE, difference, plain_decode
from tests.jpeg.pictures import encode_pixels
from tests.lacking import (
    lack_native_sparse,
    needs_native_projection,
    needs_native_sparse,
    needs_native_state,
    needs_openvino,
)
from tests.video_models import picture, with_object

MODELS = ["stream-video", "stream-video-lite"]
EVERYTHING = 10**9
"""Blocks that the network may be given at a time."""


def needs_all(test: Callable[..., None]) -> Callable[..., None]:
    """Skip without all that makes a session compute its network where it is wanted."""
    for mark in (needs_openvino, needs_native_sparse, needs_native_state, needs_native_projection):
        test = mark(test)
    return test


def parts_of(model: str, threads: int, *, colour: bool = True, sparse: bool = True) -> Parts:
    """The network's."""
    network = open_network(
        catalogue.find(model).variants[0].graphs["colour" if colour else "grey"], "openvino", threads
    )
    assert isinstance(network, HasParts)
    parts = network.parts()
    assert parts is not None
    assert (parts.sparse is not None) == sparse
    return parts


def clip(count: int, sampling: str = "4:2:0", wide: int = 160, high: int = 96, quality: int = 50) -> list[Inputs]:
    """A still scene with noise, through which an object moves."""
    scene, random = picture(wide, high), np.random.default_rng(3)
    shown = [with_object(scene, -10 + 9 * number, 20 + 3 * number) for number in range(count)]
    noisy = [one + random.normal(0, 1, one.shape) for one in shown]
    return [
        components(read(encode_pixels(one.clip(0, 255).round().astype(np.uint8), sampling, quality=quality)))
        for one in noisy
    ]


def restored(session: VideoSession, frames: list[Inputs]) -> list[Planes]:
    """Frames one by one."""
    return [session.submit(frame, past=True, evidence=True).result(60) for frame in frames]


# ---- frames ----


@needs_all
@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("sampling", ["gray", "4:2:0", "4:2:2", "4:1:1"])
def test_frames_lie_in_their_cells(model: str, sampling: str) -> None:
    frames = clip(6, sampling, 640 if sampling == "4:1:1" else 320, 192)  # whose cells are twice as wide
    session = VideoSession(parts_of(model, 1, colour=sampling != "gray"), INLINE, EVERYTHING)
    shares: list[float] = []
    for frame in frames:
        planes = session.submit(frame, past=True, evidence=True, begun=shares.append).result(60)
        for coefficients, table, plane in zip(frame[::2], frame[1::2], planes, strict=True):
            assert plane.min() > 0 and plane.max() < 255  # what is cut there may leave its cell
            offsets = to_coefficients(plane) / table - coefficients
            assert (np.abs(offsets) <= 0.5 + 4 / table).all()  # rounding to 8 bits moves a coefficient by at most 4
    assert shares[0] == 1
    assert 0 < min(shares) < 0.7


@needs_all
@pytest.mark.parametrize("model", MODELS)
def test_frames_are_near_to_those_of_which_a_runtime_computes_rectangles(
    model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames = clip(6, quality=20)
    ours = restored(VideoSession(parts_of(model, 1), INLINE, EVERYTHING), frames)
    lack_native_sparse(monkeypatch)
    monkeypatch.setattr("mjpeg_restore.runtime._LOADER", Loader())  # the same network would be shared
    theirs = restored(VideoSession(parts_of(model, 1, sparse=False), INLINE, EVERYTHING), frames)
    for frame, some, others in zip(frames, ours, theirs, strict=True):
        assert difference(some, others, plain_decode(frame)) <= FINE


# ---- threads ----


def submitted(model: str, frames: list[Inputs], *, threads: int, alone: bool) -> tuple[list[Planes], VideoSession]:
    """Frames, which all come alone or none, and the session after them."""
    with pytest.MonkeyPatch.context() as patch, ThreadPoolExecutor(threads) as pool:
        patch.setattr(Turns, "is_alone", alone)
        patch.setattr(video, "LEAST_PART", 4)
        session = VideoSession(parts_of(model, threads), pool, EVERYTHING)
        futures = [session.submit(frame, past=True, evidence=True) for frame in frames]
        return [future.result(60) for future in futures], session


@needs_all
@pytest.mark.parametrize("model", MODELS)
def test_frames_that_come_together_are_what_they_are_alone(model: str) -> None:
    frames = clip(6)
    together, _ = submitted(model, frames, threads=3, alone=False)
    session = VideoSession(parts_of(model, 1), INLINE, EVERYTHING)
    for ours, theirs in zip(together, restored(session, frames), strict=True):
        for one, other in zip(ours, theirs, strict=True):
            np.testing.assert_array_equal(one, other)


@needs_all
@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("threads", [2, 3])
def test_a_frame_that_threads_share_is_what_one_thread_makes_of_it(
    model: str, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    teams: list[int] = []

    class Watched(Team):
        def __init__(self, pool: Executor, size: int) -> None:
            super().__init__(pool, size)
            teams.append(size)

    monkeypatch.setattr(video, "Team", Watched)
    frames = clip(8)
    shared, one = submitted(model, frames, threads=threads, alone=True)
    assert teams.count(threads) >= 2 * len(frames)  # for gate and network of each, beside the session's own
    teams.clear()
    alone, other = submitted(model, frames, threads=threads, alone=False)
    assert teams == [threads]
    for ours, theirs in zip(shared, alone, strict=True):
        for plane, wanted in zip(ours, theirs, strict=True):
            np.testing.assert_array_equal(plane, wanted)
    states = zip(one._states, other._states, strict=True)  # pyright: ignore[reportPrivateUsage]
    for state, same in states:
        for part in ("mean", "evidence", "correction"):
            np.testing.assert_array_equal(getattr(state, part), getattr(same, part))


@needs_all
@pytest.mark.parametrize("noise", [3, 8])
def test_of_a_still_scene_in_flickering_light_little_is_computed(noise: float) -> None:
    # Gates were trained with noise of 2, and forget much of what is noisier where they judge.
    random, scene, computed = np.random.default_rng(1), picture(256, 192), list[float]()
    with Restorer("stream-video-lite").stream() as stream:
        for number in range(60):
            seen = scene * (1 + 0.01 * np.sin(0.18 * number)) + random.normal(0, noise, scene.shape)
            pixels = seen.clip(0, 255).round().astype(np.uint8)
            stream.restore(read(encode_pixels(pixels, quality=75)))
            computed.append(stream.computed or 0.0)
    assert np.mean(computed[30:]) < 0.1
