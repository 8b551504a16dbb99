"""Streams with a model for video: what is remembered of a camera, what is not, and that the cells hold."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from mjpeg_restore.catalogue import Variant
from mjpeg_restore.errors import RuntimeUnavailable
from mjpeg_restore.frames import CodedPicture, Damage, Picture
from mjpeg_restore.jpeg import read
from mjpeg_restore.pipeline import PipelineSettings, restore_pictures
from mjpeg_restore.report import Report
from mjpeg_restore.restorer import RestorerStream
from mjpeg_restore.runtime.cpu.video import VideoSession
from mjpeg_restore.testing import ListSource
from mjpeg_restore.verification import verify
from tests.jpeg.pictures import SAMPLINGS, encode_pixels
from tests.lacking import needs_native_state
from tests.streams import cut
from tests.video_models import Formulas, Stepped, VideoRestorer, picture, with_object

WIDE, HIGH = 128, 80


class InParts(VideoRestorer):
    """Restores several pictures at the same time, with these parts of the network."""

    def __init__(self, parts: Stepped) -> None:
        super().__init__()
        self.formulas = FormulasInParts(parts)


class FormulasInParts(Formulas):
    """The network, of which parts are computed."""

    def __init__(self, parts: Stepped) -> None:
        super().__init__()
        self._parts = parts

    def parts(self) -> Stepped:
        return self._parts


def jpegs(count: int, *, seed: int = 0, size: tuple[int, int] = (WIDE, HIGH), **options: Any) -> list[bytes]:
    """A still scene, seen with noise."""
    random, scene = np.random.default_rng(seed + 100), picture(*size, seed)
    frames = [scene + random.normal(0, 2, scene.shape) for _ in range(count)]
    return [encode_pixels(frame.clip(0, 255).round().astype(np.uint8), **options) for frame in frames]


def coded(count: int, **options: Any) -> list[CodedPicture]:
    return [read(data) for data in jpegs(count, **options)]


def alone(one: CodedPicture) -> Picture:
    """Restored without a past."""
    return VideoRestorer().restore(one)


def last(pictures: Sequence[CodedPicture]) -> Picture:
    """What a stream makes of the last of them."""
    stream = VideoRestorer().stream()
    return [stream.restore(one) for one in pictures][-1]


def same(one: Picture, other: Picture) -> bool:
    return all(map(np.array_equal, one.planes, other.planes))


# ---- what is remembered ----


def test_a_stream_remembers_and_its_first_picture_is_like_one_alone() -> None:
    first, second = coded(2)
    assert same(last([first]), alone(first))
    assert not same(last([first, second]), alone(second))


def test_streams_remember_nothing_of_each_other() -> None:
    restorer = VideoRestorer()
    one, other = restorer.stream(), restorer.stream()
    first, second = coded(5), coded(5, seed=7)
    for a, b in zip(first, second, strict=True):
        pair = one.restore(a), other.restore(b)
    assert same(pair[0], last(first))
    assert same(pair[1], last(second))


def test_a_restart_begins_anew() -> None:
    pictures = coded(4)
    stream = VideoRestorer().stream()
    for one in pictures[:3]:
        stream.restore(one)
    stream.restart()
    assert same(stream.restore(pictures[3]), alone(pictures[3]))
    assert stream.computed == 1


@pytest.mark.parametrize(
    "change", [{"size": (WIDE, HIGH + 8)}, {"size": (WIDE - 1, HIGH)}, {"sampling": "4:4:4"}, {"sampling": "gray"}]
)
def test_another_size_or_sampling_begins_anew(change: dict[str, Any]) -> None:
    before, after = coded(3), coded(2, **change)
    stream = VideoRestorer().stream()
    for one in before:
        stream.restore(one)
    assert same(stream.restore(after[0]), alone(after[0]))
    assert stream.computed == 1
    assert same(stream.restore(after[1]), last(after))
    assert same(stream.restore(before[0]), alone(before[0]))  # and so does the first one that comes back
    assert same(stream.restore(before[1]), last(before[:2]))


def test_the_share_is_that_of_the_last_picture_whatever_graph_restored_it() -> None:
    stream = VideoRestorer().stream()
    assert stream.computed is None
    still = picture(WIDE, HIGH).round().astype(np.uint8)
    for left in (0, 40, 80):
        stream.restore(read(encode_pixels(with_object(still, left, 20), "gray")))
    assert stream.computed is not None
    assert stream.computed < 1
    stream.restore(coded(1)[0])
    assert stream.computed == 1


@needs_native_state
def test_a_pictures_share_is_its_own_however_many_are_under_way() -> None:
    scene = picture(WIDE, HIGH).round().astype(np.uint8)
    pictures = [read(encode_pixels(with_object(scene, left, 20))) for left in (0, 40, 80)]
    restorer = InParts(Stepped(3))
    with restorer.stream() as stream:
        shares = [(stream.restore(one).computed, stream.computed) for one in pictures]
    assert [own for own, _ in shares] == [last for _, last in shares]
    together = threading.Barrier(3, timeout=60)  # none is finished before all have begun
    with ThreadPoolExecutor(3) as pool, InParts(Stepped(3, together.wait)).stream(pool) as stream:
        found = [future.result(60).computed for future in [stream.submit(one) for one in pictures]]
    assert found == [own for own, _ in shares]
    assert found[0] == 1
    assert all(share and share < 1 for share in found[1:])


@needs_native_state
def test_another_table_begins_nothing_anew() -> None:
    before, after = coded(3), coded(4, quality=45)[3]
    assert not same(last([*before, after]), alone(after))
    scene = picture(WIDE, HIGH)
    # What was seen through finer steps is still known: the noise of the sensor shows less.
    finer = coded(6, quality=85)
    found, once = last([*finer, after]), alone(after)
    luma = scene @ (0.299, 0.587, 0.114)
    errors = [np.square(one.planes[0] - luma).mean() for one in (found, once)]
    assert errors[0] < 0.9 * errors[1]


def seen(scene: NDArray[np.float64], seed: int = 0) -> CodedPicture:
    noise = np.random.default_rng(seed).normal(0, 2, scene.shape)
    return read(encode_pixels((scene + noise).clip(0, 255).round().astype(np.uint8)))


def test_another_scene_begins_anew_though_nobody_tells_of_it() -> None:
    scene, other = picture(WIDE, HIGH), picture(WIDE, HIGH)[::-1, ::-1]
    before, after = [seen(scene, seed) for seed in range(4)], seen(other)
    assert same(last([*before, after]), alone(after))
    again = seen(other, 9)
    assert not same(last([*before, after, again]), alone(again))  # and that is what is remembered


@pytest.mark.parametrize(
    "change",
    [
        lambda scene: with_object(scene, 30, 20, 40),
        lambda scene: 0.6 * scene,
        lambda scene: scene + 40,
        lambda scene: np.roll(scene, 12, axis=1),
    ],
)
def test_what_moves_and_the_light_are_no_other_scene(
    change: Callable[[Any], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = picture(WIDE, HIGH)
    pictures = [seen(scene), seen(scene, 1), seen(change(scene), 2), seen(scene, 3)]
    assert pasts_of(pictures, monkeypatch) == [False, True, True, True]


def test_a_picture_of_one_colour_is_another_scene_unless_the_last_one_fades_to_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scene = picture(WIDE, HIGH)
    flat = np.full_like(scene, 90)
    covered = [seen(scene), seen(scene, 1), seen(flat, 2), seen(flat, 3), seen(scene, 4)]
    assert pasts_of(covered, monkeypatch) == [False, True, False, True, False]
    fading = [seen(flat + share * (scene - flat), number) for number, share in enumerate(0.7 ** np.arange(16))]
    assert pasts_of(fading, monkeypatch) == [False] + 15 * [True]


def pasts_of(pictures: list[CodedPicture], monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Of each picture whether it has a past."""
    pasts: list[bool] = []
    submit = VideoSession.submit

    def noted(self: VideoSession, inputs: Any, *, past: bool, **told: Any) -> Any:
        pasts.append(past)
        return submit(self, inputs, past=past, **told)

    with monkeypatch.context() as patch:
        patch.setattr(VideoSession, "submit", noted)
        last(pictures)
    return pasts


def test_a_damaged_picture_is_no_other_scene() -> None:
    scene = picture(WIDE, HIGH)
    before, back = [seen(scene, seed) for seed in range(4)], seen(scene, 9)
    broken = replace(seen(scene[::-1, ::-1]), damage=Damage(1, 5, "cut off"))
    assert same(last([*before, broken, back]), last([*before, back]))


def test_equal_pictures_cost_nothing_and_are_no_further_evidence() -> None:
    first, second = coded(2)
    restorer = VideoRestorer()
    stream = restorer.stream()
    shown = stream.restore(first)
    count = len(restorer.formulas.grids)
    for _ in range(5):
        again = stream.restore(replace(first))
        assert again.planes[0] is shown.planes[0]
        assert (shown.computed, again.computed, stream.computed) == (1, 0, 0)
    assert len(restorer.formulas.grids) == count
    assert same(stream.restore(second), last([first, second]))


@pytest.mark.parametrize("told", ["damage", "evidence"])
def test_damaged_and_repaired_pictures_are_no_evidence(told: str) -> None:
    pictures = coded(4)
    broken = [blocks.copy() for blocks in pictures[1].coefficients]
    broken[0][3:] = 0
    damaged = replace(pictures[1], coefficients=tuple(broken))
    if told == "damage":
        damaged = replace(damaged, damage=Damage(1, 5, "cut off"))
    stream = VideoRestorer().stream()
    stream.restore(pictures[0])
    stream.submit(damaged, evidence=told != "evidence").result()
    assert same(stream.restore(pictures[2]), last([pictures[0], pictures[2]]))


@pytest.mark.parametrize("change", [{"size": (WIDE, HIGH + 8)}, {"size": (WIDE - 20, HIGH)}, {"sampling": "gray"}])
def test_a_damaged_picture_of_another_size_begins_anew(change: dict[str, Any]) -> None:
    before, after = coded(3), coded(3, **change)
    stream = VideoRestorer().stream()
    for one in before:
        stream.restore(one)
    stream.restore(replace(after[0], damage=Damage(1, 5, "cut off")))
    assert same(stream.restore(after[1]), alone(after[1]))
    assert same(stream.restore(after[2]), last(after[1:]))


def test_after_a_restart_a_damaged_picture_brings_no_past_back() -> None:
    pictures = coded(4)
    stream = VideoRestorer().stream()
    for one in pictures[:2]:
        stream.restore(one)
    stream.restart()
    stream.submit(pictures[2], evidence=False).result()
    assert same(stream.restore(pictures[3]), alone(pictures[3]))


def test_after_a_restart_a_picture_that_cannot_be_begun_brings_no_past_back(monkeypatch: pytest.MonkeyPatch) -> None:
    pictures = coded(4)
    stream = VideoRestorer().stream()
    for one in pictures[:2]:
        stream.restore(one)
    stream.restart()

    def fail(*_: object, **__: object) -> None:
        raise RuntimeUnavailable("out of memory")

    with monkeypatch.context() as patch, pytest.raises(RuntimeUnavailable):
        patch.setattr(VideoSession, "submit", fail)
        stream.restore(pictures[2])
    assert same(stream.restore(pictures[3]), alone(pictures[3]))


def test_after_a_restart_each_of_several_networks_begins_anew() -> None:
    fine, coarse = coded(4), coded(1, quality=20)[0]
    restorer = VideoRestorer()
    (variant,) = restorer.model.variants
    other = {kind: replace(graph, file=f"other.{kind}.onnx") for kind, graph in variant.graphs.items()}
    variants = replace(variant, qualities=(50, 100)), Variant((1, 49), {}, other)
    restorer.model = replace(restorer.model, variants=variants)
    stream = restorer.stream()
    for one in fine[:2]:
        stream.restore(one)
    stream.restart()
    stream.restore(coarse)
    assert same(stream.restore(fine[2]), alone(fine[2]))
    assert not same(stream.restore(fine[3]), alone(fine[3]))


def test_planes_of_a_picture_beside_the_stream_disturb_nothing() -> None:
    pictures = coded(3)
    restorer = VideoRestorer()
    stream = restorer.stream()
    for one in pictures[:2]:
        stream.restore(one)
        planes = stream.planes(coded(1, seed=9)[0]).result()
        assert all(map(np.array_equal, planes, restorer.planes(coded(1, seed=9)[0])))
    assert same(stream.restore(pictures[2]), last(pictures))


def test_a_picture_that_failed_is_tried_again_with_the_past() -> None:
    pictures = coded(3)
    restorer = VideoRestorer()
    stream = restorer.stream()
    for one in pictures:
        restorer.formulas.error = RuntimeUnavailable("out of memory")
        with pytest.raises(RuntimeUnavailable):
            stream.restore(one)
        found = stream.restore(one)
    assert same(found, last(pictures))


# ---- single pictures ----


def test_single_pictures_have_no_memory() -> None:
    restorer = VideoRestorer()
    pictures = coded(4)
    stream = restorer.stream()
    for one in pictures:
        stream.restore(one)
        assert same(restorer.restore(one), alone(one))
    assert same(stream.restore(pictures[0]), last([*pictures, pictures[0]]))


def test_single_pictures_from_several_threads() -> None:
    restorer = VideoRestorer()
    pictures = [*coded(4), *coded(3, sampling="gray"), *coded(3, size=(40, 48))]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(restorer.restore, pictures * 2))
    for one, shown in zip(pictures * 2, found, strict=True):
        assert same(shown, alone(one))


def test_streams_on_a_pool_are_like_streams_without() -> None:
    restorer = VideoRestorer()
    clips = [coded(5, seed=seed) for seed in range(3)]
    with ThreadPoolExecutor(3) as pool:
        streams = [restorer.stream(pool) for _ in clips]
        found = [
            [stream.submit(one) for stream, one in zip(streams, row, strict=True)] for row in zip(*clips, strict=True)
        ]
        for shown, clip in zip(found[-1], clips, strict=True):
            assert same(shown.result(60), last(clip))


def test_a_stream_takes_pictures_of_several_sizes_from_several_threads() -> None:
    kinds = coded(6), coded(6, size=(40, 48)), coded(6, sampling="gray")
    pictures = [one for three in zip(*kinds, strict=True) for one in three]
    stream = VideoRestorer().stream()
    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(stream.restore, pictures))
    for one, shown in zip(pictures, found, strict=True):
        assert (shown.width, shown.height, shown.sampling) == (one.width, one.height, one.sampling)
        assert verify(shown, one).outside == 0


# ---- the cells, and memory ----


@pytest.mark.parametrize("sampling", SAMPLINGS)
def test_every_picture_quantises_back(sampling: str) -> None:
    random, scene = np.random.default_rng(3), picture(WIDE - 5, HIGH - 3)
    stream = VideoRestorer().stream()
    for number in range(10):
        seen = with_object(scene, 14 * number - 8, 24) + random.normal(0, 2, scene.shape)
        data = encode_pixels(seen.clip(0, 255).round().astype(np.uint8), sampling, quality=(75, 30)[number % 4 == 3])
        shown, one = stream.restore(read(data)), read(data)
        assert (shown.width, shown.height) == (WIDE - 5, HIGH - 3)
        assert verify(shown, one).outside == 0
        assert verify(shown, one).inside > 0.9 * verify(shown, one).coefficients


def test_a_large_picture_is_divided() -> None:
    pictures = coded(3)
    small = VideoRestorer(bytes_per_pixel=300_000_000 / (64 * 150))  # for 150 blocks of luma
    stream = small.stream()
    for one in pictures:
        found = stream.restore(one)
    assert max(high * wide for high, wide in small.formulas.grids) <= 150
    for ours, theirs in zip(found.planes, last(pictures).planes, strict=True):
        assert np.abs(ours.astype(int) - theirs).max() <= 1


# ---- in a pipeline ----


class Cut(ListSource):
    """A source whose pictures of some numbers follow a cut."""

    cuts: Sequence[int] = ()

    def __iter__(self) -> Any:
        for packet in super().__iter__():
            yield replace(packet, discontinuity=packet.index in self.cuts)


def restored(source: ListSource, **settings: Any) -> tuple[list[Picture], Report]:
    report = Report()
    return list(restore_pictures(source, VideoRestorer(), PipelineSettings(**settings), report)), report


def stream_of(pictures: Sequence[bytes]) -> list[Picture]:
    stream: RestorerStream = VideoRestorer().stream()
    return [stream.restore(read(data)) for data in pictures]


def assert_all_same(found: Sequence[Picture], wanted: Sequence[Picture]) -> None:
    assert len(found) == len(wanted)
    for one, other in zip(found, wanted, strict=True):
        assert same(one, other)


def test_a_recording_is_one_stream() -> None:
    data = jpegs(6)
    found, report = restored(ListSource(data), verify=True)
    assert_all_same(found, stream_of(data))
    assert report.verified is not None
    assert report.verified.outside == 0
    assert report.computed is not None
    assert 1 / 6 <= report.computed < 1


def test_the_share_is_that_of_all_pictures_that_are_shown() -> None:
    data = jpegs(5)
    _, report = restored(ListSource(data))
    found, again = restored(ListSource([one for one in data for _ in range(4)]))
    assert report.computed is not None
    assert again.computed == pytest.approx(report.computed / 4)
    assert [one.computed for one in found if one.index % 4] == [0] * 15
    _, held = restored(ListSource([*data, *[b"no picture" * 20] * 15]))
    assert (held.frames, held.held) == (20, 15)
    assert held.computed == pytest.approx(report.computed / 4)


def test_the_share_of_two_fields_is_their_mean() -> None:
    first, second, third = jpegs(3, size=(64, 24))
    pictures, report = restored(ListSource([first + second, first + third, first + third], height=48))
    assert [one.computed for one in pictures] == [1, pytest.approx(pictures[1].computed), 0]
    stream = VideoRestorer().stream()
    stream.restore(read(second))
    share = stream.restore(read(third)).computed
    assert share
    assert pictures[1].computed == share / 2  # its first field came again
    assert report.computed == pytest.approx((1 + share / 2) / 3)


def test_what_follows_a_cut_begins_anew() -> None:
    data = jpegs(6)
    source = Cut(data)
    source.cuts = (3, 4)
    found, _ = restored(source)
    assert_all_same(found, [*stream_of(data[:3]), *stream_of(data[3:4]), *stream_of(data[4:])])


def test_pictures_that_have_nothing_in_common_are_restored_alone() -> None:
    data = jpegs(4)
    found, _ = restored(ListSource(data, independent=True))
    assert_all_same(found, [alone(read(one)) for one in data])


@pytest.mark.parametrize("on_corrupt", ["repair", "hold", "pass"])
def test_a_damaged_picture_of_a_recording_is_no_evidence(on_corrupt: str) -> None:
    data = jpegs(6)
    damaged = [*data[:2], cut(data[2]), *data[3:]]
    found, report = restored(ListSource(damaged), on_corrupt=on_corrupt)
    assert report.damaged == 1
    sound = stream_of([*data[:2], *data[3:]])
    assert_all_same(found[:2], sound[:2])
    assert_all_same(found[3:], sound[2:])


def test_pictures_that_are_dropped_or_unreadable_change_nothing() -> None:
    data = jpegs(4)
    found, report = restored(ListSource([*data[:2], data[2][:200], b"", *data[2:]]), on_corrupt="drop")
    assert (report.dropped, report.unreadable) == (1, 1)
    assert_all_same(found, stream_of(data))


def test_each_field_has_a_state_of_its_own() -> None:
    upper, lower = jpegs(5, size=(WIDE, 48)), jpegs(5, seed=4, size=(WIDE, 48))
    source = ListSource([one + other for one, other in zip(upper, lower, strict=True)], height=96)
    found, _ = restored(source)
    for woven, one, other in zip(found, stream_of(upper), stream_of(lower), strict=True):
        np.testing.assert_array_equal(woven.planes[0][::2], one.planes[0])
        np.testing.assert_array_equal(woven.planes[0][1::2], other.planes[0])


def test_what_is_held_is_the_picture_before() -> None:
    data = jpegs(3)
    found, report = restored(ListSource([data[0], data[1], data[2][:200], data[2]]))
    assert report.held == 1
    wanted = stream_of(data)
    assert_all_same(found, [wanted[0], wanted[1], wanted[1], wanted[2]])
