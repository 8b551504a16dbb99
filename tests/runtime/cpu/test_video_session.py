"""A camera's session: parts of a frame equal the whole, the frame's cell holds, and the state is defined."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from copy import deepcopy
from itertools import pairwise
from typing import Any

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from mjpeg_restore.catalogue.ports import HISTORY
from mjpeg_restore.errors import RuntimeUnavailable
from mjpeg_restore.frames import CodedPicture
from mjpeg_restore.futures import INLINE
from mjpeg_restore.jpeg import read
from mjpeg_restore.jpeg.dct import to_coefficients
from mjpeg_restore.restorer.arrays import components
from mjpeg_restore.runtime import Inputs, Planes
from mjpeg_restore.runtime.cpu import activity, part_sizes, state, video
from mjpeg_restore.runtime.cpu.activity import Activity
from mjpeg_restore.runtime.cpu.frame_parts import PartOfFrame
from mjpeg_restore.runtime.cpu.history import FEWEST, FORGOTTEN, History, before_finer
from mjpeg_restore.runtime.cpu.history import learnt as learnt_whole
from mjpeg_restore.runtime.cpu.light import Change
from mjpeg_restore.runtime.cpu.part_sizes import Size
from mjpeg_restore.runtime.cpu.parts import Frame, Part, Parts, Sparse, WholeGraph
from mjpeg_restore.runtime.cpu.rectangles import Rectangle, cover
from mjpeg_restore.runtime.cpu.sparse import Cells
from mjpeg_restore.runtime.cpu.state import LONGEST, SENSOR, ComponentState, Telling
from mjpeg_restore.runtime.cpu.team import Team
from mjpeg_restore.runtime.cpu.turns import Turns
from mjpeg_restore.runtime.cpu.video import VideoSession
from tests import state_formulas as formulas
from tests.jpeg.pictures import SAMPLINGS, encode_pixels
from tests.lacking import needs_native_state
from tests.video_models import Formulas, Stepped, SteppedCells, SteppedPart, learnt, picture, with_object

EVERYTHING = 10**9
"""Blocks that the network may be given at a time."""

WIDTH, HEIGHT = 160, 96


def coded(pixels: NDArray[np.float64], sampling: str = "4:2:0", quality: int = 60) -> CodedPicture:
    return read(encode_pixels(pixels.clip(0, 255).round().astype(np.uint8), sampling, quality=quality))


def frames(pictures: Sequence[NDArray[np.float64]], sampling: str = "4:2:0", quality: int = 60) -> list[Inputs]:
    return [components(coded(one, sampling, quality)) for one in pictures]


def moving(count: int, wide: int = WIDTH, high: int = HEIGHT, noise: float = 0.0) -> list[NDArray[np.float64]]:
    """A still scene, through which an object moves, from beyond one edge to beyond the other."""
    scene, random = picture(wide, high), np.random.default_rng(9)
    return [
        with_object(scene, -10 + 9 * number, 20 + 3 * number) + random.normal(0, noise, scene.shape)
        for number in range(count)
    ]


def whole(clip: list[Inputs]) -> list[Planes]:
    """The planes of each frame, of which everything is computed."""
    network = Formulas()
    count = len(clip[0]) // 2
    known: list[Any] = formulas.no_past(clip[0])
    found: list[Planes] = []
    for frame in clip:
        planes = network.run([*frame, *known])
        found.append(planes[:count])
        known = [*planes[count:]]
    return found


class Camera:
    """A session with the formulas' network.

    Attributes:
        network: the network.
        session: the session.
        computed: share of the last frame that was restored here.
    """

    def __init__(self, pool: Any = INLINE, most: int = EVERYTHING, parts: Parts | None = None) -> None:
        self.network = Formulas()
        self.session = VideoSession(parts or WholeGraph(self.network.run), pool, most)

    def restore(self, frame: Inputs, *, past: bool = True, evidence: bool = True) -> tuple[NDArray[np.uint8], ...]:
        return self.session.submit(frame, past=past, evidence=evidence, begun=self._note).result()

    def _note(self, computed: float) -> None:
        self.computed = computed


def assert_near(ours: Planes, theirs: Planes, share: float = 0.05, beside: float = 0.0) -> None:
    """Equal, but for samples that lie on the edge between two whole numbers.

    Means and corrections are rounded to a 16th of a grey level: samples are a 40th apart, and so is one in 40 a whole
    number.

    Args:
        ours, theirs: the planes.
        share: of the samples that may be one apart.
        beside: of those that may be up to sixteen apart. Of a whole picture, a block changes when its neighbour does;
            in parts it stays as it was restored before, moved by what the mean tells, if it agrees with its state; and
            where what was there is covered, nothing of it is left.
    """
    for one, other in zip(ours, theirs, strict=True):
        assert (one.dtype, one.shape) == (np.uint8, other.shape)
        apart = np.abs(one.astype(int) - other)
        assert apart.max() <= (16 if beside else 1)
        assert (apart > 1).mean() <= beside
        assert (apart > 0).mean() <= share


def assert_same(ours: Sequence[NDArray[Any]], theirs: Sequence[NDArray[Any]]) -> None:
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(one, other)


# ---- parts and the whole ----


@needs_native_state
@pytest.mark.parametrize("sampling", SAMPLINGS)
def test_parts_of_a_frame_equal_the_whole(sampling: str) -> None:
    clip = frames(moving(24), sampling)
    camera = Camera()
    shares: list[float] = []
    for frame, wanted in zip(clip, whole(clip), strict=True):
        assert_near(camera.restore(frame), wanted, 0.15, beside=0.06)
        shares.append(camera.computed)
    assert shares[0] == 1
    assert np.median(shares) < 0.8


@needs_native_state
def test_the_network_is_given_little_of_a_scene_in_which_little_moves() -> None:
    clip = frames(moving(24))
    camera = Camera()
    for frame in clip:
        camera.restore(frame)
    assert camera.network.blocks < 0.95 * 24 * (WIDTH // 8) * (HEIGHT // 8)


@needs_native_state
@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize(("away", "computed"), [(1, False), (2, True)])
def test_what_the_gate_believes_needs_no_network(away: int, computed: bool, sparse: bool) -> None:
    # Many coefficients of one block are so many steps from their means: all at once, farther than noise explains.
    (frame,) = frames(moving(1), quality=90)
    changed = [array.copy() for array in frame]
    changed[0][5, 7, 1:] += away
    parts = Stepped(1, sparse=sparse)
    camera = Camera(parts=parts)
    for _ in range(5):
        camera.restore(frame)
    parts.blocks = 0
    planes = camera.restore(changed)
    assert (camera.computed > 0) == (parts.blocks > 0) == computed
    offsets = to_coefficients(planes[0]) / changed[1] - changed[0]
    assert np.abs(offsets).max() < 0.5 + 4 / changed[1].min()
    camera.restore(frame)
    assert camera.computed < 0.1


@needs_native_state
@pytest.mark.parametrize("sampling", SAMPLINGS)
def test_cells_anywhere_equal_the_whole(sampling: str) -> None:
    clip = frames(moving(24), sampling)
    parts, in_parts = Stepped(1, sparse=True), Stepped(1)
    camera, other = Camera(parts=parts), Camera(parts=in_parts)
    shares: list[float] = []
    for frame, wanted in zip(clip, whole(clip), strict=True):
        assert_near(camera.restore(frame), wanted, 0.15, beside=0.06)
        other.restore(frame)
        shares.append(camera.computed)
    assert shares[0] == 1
    assert np.median(shares) < 0.8
    assert parts.blocks < in_parts.blocks  # which have margins


@needs_native_state
def test_all_and_only_the_cells_that_need_the_network_are_computed_wherever_they_are() -> None:
    wide, high = 512, 384
    (frame,) = frames(moving(1, wide, high), quality=90)
    parts = Stepped(1, sparse=True)
    camera = Camera(parts=parts)
    for _ in range(5):
        camera.restore(frame)
    changed = [array.copy() for array in frame]
    places = [(1, 1), (1, 57), (39, 3), (40, 58)]
    for row, column in places:
        changed[0][row, column, 1:] += 2
    parts.blocks = 0
    planes = camera.restore(changed)
    assert parts.blocks == camera.computed * (wide // 8) * (high // 8)
    assert 4 * len(places) <= parts.blocks <= 9 * 4 * len(places)  # cells of 2 by 2 blocks, or those beside them too
    (wanted,) = whole([changed])
    for row, column in places:
        block = np.s_[8 * row : 8 * row + 8, 8 * column : 8 * column + 8]
        assert np.abs(planes[0][block].astype(int) - wanted[0][block]).max() <= 12


@needs_native_state
@pytest.mark.parametrize("most", [1, 160, 300])
def test_a_large_frame_is_divided(most: int) -> None:
    clip = frames(moving(6, 256, 160))
    camera = Camera(most=most)
    for frame, wanted in zip(clip, whole(clip), strict=True):
        assert_near(camera.restore(frame), wanted, beside=0.003)
    largest = max(high * wide for high, wide in camera.network.grids)
    assert largest <= max(most, 6 * 6)  # a cell of 2x2 blocks with a margin of two blocks on each side


@needs_native_state
@pytest.mark.parametrize("size", [(8, 8), (16, 16), (9, 17), (33, 31), (72, 40), (65, 8), (8, 65)])
@pytest.mark.parametrize("sampling", ["gray", "4:4:4", "4:2:0", "4:1:1"])
def test_sizes_that_are_no_multiple_of_a_cell(size: tuple[int, int], sampling: str) -> None:
    clip = frames(moving(9, *size), sampling)
    camera = Camera()
    for frame, wanted in zip(clip, whole(clip), strict=True):
        assert_near(camera.restore(frame), wanted, 0.25, beside=0.05)  # of a few samples


@needs_native_state
@pytest.mark.parametrize("quality", [50, 80])
def test_light_that_flickers_or_fades_is_followed(quality: int, monkeypatch: pytest.MonkeyPatch) -> None:
    random, scene = np.random.default_rng(5), picture(WIDTH, HEIGHT)
    light = [*(1 + 0.01 * np.sin(0.2 * np.arange(40))), *(0.998 ** np.arange(40))]
    clip = frames([one * scene + random.normal(0, 2, scene.shape) for one in light], quality=quality)
    luma, errors, computed = scene @ (0.299, 0.587, 0.114), np.zeros(2), np.zeros(2)
    for index in range(2):
        camera = Camera(parts=Stepped(1, sparse=True))
        for number, (frame, one) in enumerate(zip(clip, light, strict=True)):
            planes = camera.restore(frame)
            if number > 16:
                errors[index] += np.square(planes[0] - one * luma).mean()
                computed[index] += camera.computed
        monkeypatch.setattr(activity, "change_of_light", lambda *_: Change(0.0, (0.0, 0.0)))
    assert errors[0] < errors[1]
    assert quality == 50 or computed[0] < computed[1]  # of coarse cells the network sees what has moved


@needs_native_state
@pytest.mark.parametrize("sampling", ["gray", "4:2:2", "4:2:0", "4:1:1"])
def test_a_still_scene_with_noise_stays_near_to_the_whole(sampling: str) -> None:
    random, scene = np.random.default_rng(2), picture(WIDTH, HEIGHT)
    clip = frames([scene + random.normal(0, 1.5, scene.shape) for _ in range(20)], sampling)
    luma, errors = scene @ (0.299, 0.587, 0.114), np.zeros(2)
    camera = Camera()
    for frame, wanted in zip(clip, whole(clip), strict=True):
        planes = camera.restore(frame)
        # What is kept of a few noisy frames hardly moves; the network's result changes.
        for one, other in zip(planes, wanted, strict=True):
            apart = np.abs(one.astype(int) - other)
            assert apart.max() <= 4
            assert apart.mean() < 0.5
        errors += [np.square(plane - luma).mean() for plane in (planes[0], wanted[0])]
    assert camera.computed < 0.8
    assert errors[0] <= errors[1]


@needs_native_state
def test_what_is_kept_moves_by_what_the_mean_tells_with_the_noise_that_was_learnt() -> None:
    random, scene, stayed = np.random.default_rng(4), picture(WIDTH, HEIGHT), 0
    clip = frames([scene + random.normal(0, 1.5, scene.shape) for _ in range(16)])
    camera = Camera()
    states: list[ComponentState] = []
    for frame in clip:
        before = [ComponentState(one.mean, one.evidence, one.correction.copy()) for one in states]
        camera.restore(frame)
        states, activity = camera.session._states, camera.session._activity  # pyright: ignore[reportPrivateUsage]
        assert activity
        if camera.computed == 0:
            stayed += 1
            for coefficients, table, was, now, noise in zip(
                frame[::2], frame[1::2], before, states, activity.noise, strict=True
            ):
                known = formulas.Known(table, now.evidence, noise, Telling.ALL)
                kept = formulas.held(coefficients, was, now, known)
                assert np.abs(kept * table - formulas.means(now) - formulas.corrections(now)).max() < 0.1
    assert stayed > 2


@needs_native_state
@pytest.mark.parametrize("function", ["take_still", "restore_still"])
def test_a_still_scene_is_rounded_anew_in_each_frame(function: str, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[tuple[Any, ...]] = []
    plain = getattr(video, function)
    monkeypatch.setattr(video, function, lambda *arguments: (given.append(arguments), plain(*arguments)))
    camera = Camera()
    for frame in frames([picture(WIDTH, HEIGHT)] * 12, "gray"):
        camera.restore(frame)
    assert (
        len(
            {arguments[8] for arguments in given}
            if function == "restore_still"
            else {arguments[-1] for arguments in given}
        )
        == len(given)
        > 5
    )


@needs_native_state
def test_samples_stay_as_they_were_shown_of_the_same_scene_in_the_same_light(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[tuple[NDArray[np.uint8], NDArray[np.uint8] | None]] = []
    plain = video.restore_still
    monkeypatch.setattr(
        video, "restore_still", lambda *arguments: (given.append((arguments[5], arguments[9])), plain(*arguments))
    )
    scene = picture(WIDTH, HEIGHT)
    camera = Camera()
    for frame in frames([scene] * 4, "gray"):
        camera.restore(frame)
    for (last, _), (_, before) in pairwise(given):
        assert before is last
    assert len(given) == 2  # the fourth frame is computed again

    (frame,) = frames([scene[:80]], "gray")  # another size, and the first frame is damaged: there is nothing to go by
    camera.restore(frame, past=False, evidence=False)
    del given[:]
    shown = camera.restore(frame)[0]
    camera.restore(frame, evidence=False)
    camera.restore(frame)
    assert len(given) == 1 and given[0][1] is shown  # what was repaired is computed, and not gone by

    plainly = Activity.lit

    def lit(activity: Activity, *arguments: Any) -> list[ComponentState]:
        found = plainly(activity, *arguments)
        activity.changes_of_light = (True,)
        return found

    monkeypatch.setattr(Activity, "lit", lit)
    for _ in range(2):
        camera.restore(frame)
    assert len(given) == 2 and given[1][1] is None


@needs_native_state
def test_nothing_shown_of_another_scene_is_held_after_its_first_frame_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = picture(WIDTH, HEIGHT)
    camera = Camera()
    for frame in frames([scene] * 3, "gray"):
        camera.restore(frame)
    (frame,) = frames([scene[:80]], "gray")
    with monkeypatch.context() as patch:
        patch.setattr(PartOfFrame, "restore", raising(MemoryError()))
        with pytest.raises(RuntimeUnavailable):
            camera.restore(frame, past=False)
    given: list[NDArray[np.uint8] | None] = []
    plain = video.restore_still
    monkeypatch.setattr(video, "restore_still", lambda *arguments: (given.append(arguments[9]), plain(*arguments)))
    for _ in range(2):
        camera.restore(frame)
    assert given and given[0] is None


def raising(error: Exception) -> Callable[..., None]:
    def fail(*_: Any, **__: Any) -> None:
        raise error

    return fail


@needs_native_state
def test_a_still_scene_changes_less_than_its_samples_are_rounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of samples that noise moves by fractions of a level, most stay, and the picture is no worse."""
    scene, random = picture(WIDTH, HEIGHT), np.random.default_rng(5)
    clip = frames([scene + random.normal(0, 2, scene.shape) for _ in range(24)], "gray", 75)

    def restored() -> NDArray[np.float64]:
        camera = Camera()
        return np.array([camera.restore(frame)[0][:HEIGHT, :WIDTH] for frame in clip], np.float64)

    held = restored()
    monkeypatch.setattr(state, "MOST_HELD", 0.0)
    rounded = restored()
    changes, more = ((np.diff(one[8:], axis=0) != 0).mean() for one in (held, rounded))
    assert changes < 0.6 * more
    truth = scene[..., 0] if scene.ndim == 3 else scene
    errors = [np.square(one[8:] - truth).mean() for one in (held, rounded)]
    assert errors[0] < 1.01 * errors[1]


@needs_native_state
def test_the_mean_tells_until_a_component_has_another_table(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[int] = []
    plain = video.restore_still
    monkeypatch.setattr(video, "restore_still", lambda *arguments: (given.append(arguments[7]), plain(*arguments)))
    scene = picture(WIDTH, HEIGHT)
    clip = frames([scene] * 12)
    for frame in clip[6:]:  # chroma's tables are others
        for table in frame[3::2]:
            table += 1
    camera = Camera()
    for frame in clip:
        camera.restore(frame)
    assert given[:3] == [Telling.ALL] * 3
    assert given[-3:] == [Telling.ALL, Telling.NONE, Telling.NONE]
    camera.restore(*frames([scene[:80]]))  # another size: nothing is known of other tables
    for frame in frames([scene[:80]] * 3):
        camera.restore(frame)
    assert given[-3:] == [Telling.ALL] * 3


@pytest.mark.parametrize(
    ("noise", "tells"),
    [([4.0] * 9, True), ([4.0, 3.0, 4.0, 3.5], True), ([4.0, 2.0], False), ([1.0, 0.1], True), ([0.3, 9.0], True)],
)
def test_frames_are_alike_until_there_is_less_noise(noise: list[float], tells: bool) -> None:
    # What is weaker than a sensor's noise is taken for that.
    table, other = np.full(64, 20, np.uint16), np.full(64, 30, np.uint16)
    history = History()
    for variance in noise:
        history = history.following(table, variance)
    assert history.mean_tells == (Telling.ALL if tells else Telling.NONE)
    assert not history.following(other, noise[-1]).mean_tells


def test_after_a_change_of_light_means_of_ac_tell_alone_until_frames_before_it_are_forgotten() -> None:
    table = np.full(64, 20, np.uint16)
    history = History().following(table, 4.0).following(table, 4.0, lit=True)
    number = 1
    while history.mean_tells is Telling.AC:
        history = history.following(table, 4.0)
        number += 1
    assert history.mean_tells is Telling.ALL
    assert number == FORGOTTEN
    assert History(remaining=3).following(table, 4.0, lit=True).mean_tells is Telling.NONE


def test_after_a_change_frames_are_alike_when_those_before_it_are_forgotten() -> None:
    table, other = np.full(64, 20, np.uint16), np.full(64, 30, np.uint16)
    history = History().following(other, 4.0).following(table, 4.0)
    number = 1
    while not history.mean_tells:
        history = history.following(table, 4.0)
        number += 1
    assert number == FORGOTTEN
    # A mean of LONGEST frames: what is left of the others is less than the steps that such a mean leaves open.
    assert (1 - 1 / LONGEST) ** number < 0.15 / LONGEST


@hypothesis.given(
    arrays(np.uint16, 64, elements=st.integers(1, 65535)), st.lists(st.floats(0.05, 100), min_size=1, max_size=5)
)
def test_a_history_is_the_same_when_a_graph_has_had_it(table: NDArray[np.uint16], noise: list[float]) -> None:
    history = History()
    assert not history.packed().any()
    assert history.packed().shape == (HISTORY,)
    for variance in noise:
        history = history.following(table, variance)
        again = History.unpacked(history.packed())
        np.testing.assert_array_equal(again.table, table)
        assert again.remaining == history.remaining
        assert (again.noise, again.loudest) == pytest.approx((history.noise, history.loudest), rel=1e-6, abs=1e-6)


@needs_native_state
def test_the_noise_that_is_learnt_from_blocks_goes_before_what_a_graph_learns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Activity, "noise", property(lambda _: [50.0] * 3))
    camera = Camera()
    for frame in frames(moving(4, noise=2)):
        camera.restore(frame)
    assert [history.noise for history in camera.session._histories] == [50.0] * 3  # pyright: ignore[reportPrivateUsage]


@needs_native_state
@pytest.mark.parametrize("fewer", [0, 1])
def test_few_coefficients_tell_nothing_of_the_noise(fewer: int) -> None:
    table, random = np.full(64, 8, np.uint16), np.random.default_rng(3)
    state = ComponentState.empty(1, FEWEST // 16)
    state.evidence[:] = 4.0
    state.mean[..., :16] = 16 * 200  # of each block, so many tell
    state.mean[0, 0, :fewer] = 0
    seen = np.rint((state.mean / 16 + random.normal(0, 5, state.mean.shape)) / table).astype(np.int16)
    after = (state.evidence + formulas.observation(table)).astype(np.float16)
    noise = learnt_whole(History(noise=9.0), seen, table, state, after).noise
    assert (noise == 9.0) == bool(fewer)


@needs_native_state
def test_a_picture_that_drifts_trusts_its_past_less(monkeypatch: pytest.MonkeyPatch) -> None:
    random, scene, other = np.random.default_rng(6), picture(WIDTH, HEIGHT), picture(WIDTH, HEIGHT, 9)
    creeping = [scene + number / 10 * (other - scene) + random.normal(0, 2, scene.shape) for number in range(30)]
    evidence: list[float] = []
    for _ in range(2):
        camera = Camera()
        for frame in frames(creeping, "gray", quality=15):
            camera.restore(frame)
        (state,) = camera.session._states  # pyright: ignore[reportPrivateUsage]
        evidence.append(float(state.evidence.astype(float).mean()))
        monkeypatch.setattr(Activity, "doubt", lambda _, states: list(states))
    assert evidence[0] < 0.5 * evidence[1]


@needs_native_state
@pytest.mark.parametrize("quality", [10, 50, 90])
def test_a_change_of_tables_throws_nothing_away(quality: int) -> None:
    pictures = moving(16)
    clip = [*frames(pictures[:8], quality=75), *frames(pictures[8:], quality=quality)]
    camera = Camera()
    for frame, wanted in zip(clip, whole(clip), strict=True):
        for one, other in zip(camera.restore(frame), wanted, strict=True):
            assert np.abs(one.astype(int) - other).mean() < 0.5


def test_what_coarse_frames_have_told_counts_for_less_in_a_far_finer_one() -> None:
    random, scene = np.random.default_rng(5), picture(WIDTH, HEIGHT)
    noisy = [scene + random.normal(0, 1, scene.shape) for _ in range(12)]
    coarse, (fine,) = frames(noisy[:-1], quality=3), frames(noisy[-1:], quality=80)
    camera = Camera()
    for frame in coarse:
        camera.restore(frame)
    before = deepcopy(camera.session._states)  # pyright: ignore[reportPrivateUsage]
    camera.restore(fine)
    after = deepcopy(camera.session._states)  # pyright: ignore[reportPrivateUsage]
    for known, now, was, table in zip(before, after, coarse[-1][1::2], fine[1::2], strict=True):
        seen = before_finer(known, History(was), table).evidence.astype(float)
        assert seen.mean() < 0.5 * known.evidence.astype(float).mean()
        assert (now.evidence <= 1.001 * (seen + formulas.observation(table))).all()
    for _ in range(10):  # and what fine ones have told counts in full
        camera.restore(fine)
    for now, later in zip(after, camera.session._states, strict=True):  # pyright: ignore[reportPrivateUsage]
        assert (later.evidence > 5 * now.evidence).mean() > 0.9


# ---- past and evidence ----


def test_without_a_past_the_frame_is_the_first_one() -> None:
    first, second, third = frames(moving(3, noise=2))
    camera, alone = Camera(), Camera()
    for frame in (first, second):
        camera.restore(frame)
    assert_same(camera.restore(third, past=False), alone.restore(third))
    assert camera.computed == 1
    assert_same(camera.restore(second), alone.restore(second))


def test_another_size_forgets_the_past_even_unannounced() -> None:
    (large,), (small,), (grey,) = frames(moving(1)), frames(moving(1, 64, 48)), frames(moving(1), "gray")
    camera = Camera()
    for frame in (large, small, grey, large):
        assert_same(camera.restore(frame), Camera().restore(frame))
        assert camera.computed == 1


def test_a_frame_that_is_no_evidence_changes_nothing() -> None:
    clip = frames(moving(9, noise=1))
    camera, other = Camera(), Camera()
    for number, frame in enumerate(clip):
        expected = other.restore(frame)
        if number % 3:
            broken = [array.copy() for array in frame]
            broken[0][4:] = 0
            restored = camera.restore(broken, evidence=False)
            assert camera.computed == 1
            assert not np.array_equal(restored[0], expected[0])
        assert_same(camera.restore(frame), expected)


def test_a_frame_that_is_no_evidence_is_restored_with_the_past() -> None:
    clip = frames(moving(9, noise=1))
    camera, other = Camera(), Camera()
    for frame in clip[:-1]:
        camera.restore(frame)
        other.restore(frame)
    assert_near(camera.restore(clip[-1], evidence=False), other.restore(clip[-1]), 0.2, beside=0.01)
    assert not np.array_equal(camera.restore(clip[-1], evidence=False)[0], Camera().restore(clip[-1])[0])


def test_a_first_frame_that_is_no_evidence_leaves_no_past() -> None:
    first, second = frames(moving(2, noise=2))
    camera = Camera()
    camera.restore(first, past=False, evidence=False)
    assert_same(camera.restore(second), Camera().restore(second))


@needs_native_state
def test_a_first_frame_teaches_nothing_of_noise() -> None:
    # Nothing was known before it. At quality 80 the evidence of chroma, as a float16, is more than a frame's.
    for quality in (30, 60, 80, 95):
        (frame,) = frames(moving(1), quality=quality)
        camera = Camera()
        camera.restore(frame)
        activity = camera.session._activity  # pyright: ignore[reportPrivateUsage]
        assert activity is not None
        assert learnt(activity) == learnt(Activity([array.shape[:2] for array in frame[::2]]))


def test_without_the_extension_every_frame_is_computed_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state, "native", None)
    clip = frames(moving(5))
    camera = Camera()
    for frame, wanted in zip(clip, whole(clip), strict=True):
        assert_same(camera.restore(frame), wanted)
        assert camera.computed == 1


def test_inputs_are_not_changed_and_planes_belong_to_the_caller() -> None:
    first, second = frames(moving(2))
    copies = [array.copy() for array in first]
    camera = Camera()
    planes = camera.restore(first)
    assert all(map(np.array_equal, first, copies))
    kept = [plane.copy() for plane in planes]
    camera.restore(second)
    assert_same(planes, kept)
    for plane in planes:
        plane[:] = 0
    assert_same(camera.restore(first, past=False), kept)


# ---- errors, order, threads ----


@pytest.mark.parametrize("number", [0, 1, 4])
def test_a_network_that_fails_leaves_the_state_that_it_was(number: int) -> None:
    clip = frames(moving(8))
    camera, other = Camera(), Camera()
    for index, frame in enumerate(clip):
        if index == number:
            camera.network.error = RuntimeUnavailable("out of memory")
            with pytest.raises(RuntimeUnavailable, match="out of memory"):
                camera.restore(frame)
        assert_near(camera.restore(frame), other.restore(frame), beside=0.005)


def test_a_network_that_fails_for_a_frame_without_evidence() -> None:
    clip = frames(moving(4))
    camera, other = Camera(), Camera()
    for frame in clip:
        camera.network.error = RuntimeUnavailable("out of memory")
        with pytest.raises(RuntimeUnavailable):
            camera.restore(frame, evidence=False)
        assert_same(camera.restore(frame), other.restore(frame))


def test_frames_are_restored_in_the_order_of_the_calls() -> None:
    clip = frames(moving(12))
    alone, shares, expected_shares = Camera(), list[float](), list[float]()
    expected: list[Planes] = []
    for frame in clip:
        expected.append(alone.restore(frame))
        expected_shares.append(alone.computed)
    with ThreadPoolExecutor(4) as pool:
        session = Camera(pool).session
        futures = [session.submit(frame, past=True, evidence=True, begun=shares.append) for frame in clip]
        for future, wanted in zip(futures, expected, strict=True):
            assert_same(future.result(60), wanted)
    assert shares == expected_shares


@needs_native_state
@pytest.mark.parametrize("sampling", ["gray", "4:2:0"])
@pytest.mark.parametrize("threads", [1, 2, 4])
@pytest.mark.parametrize("sparse", [False, True])
def test_frames_that_are_under_way_together_are_what_they_are_alone(sampling: str, threads: int, sparse: bool) -> None:
    clip = frames(moving(16, noise=1), sampling)
    alone = Camera(parts=Stepped(1, sparse=sparse))
    expected = [alone.restore(frame) for frame in clip]
    with ThreadPoolExecutor(threads) as pool:
        session = VideoSession(Stepped(sparse=sparse), pool, EVERYTHING)
        futures = [session.submit(frame, past=True, evidence=True) for frame in clip]
        for future, wanted in zip(futures, expected, strict=True):
            assert_same(future.result(60), wanted)


@needs_native_state
def test_a_frame_that_waits_to_be_finished_holds_up_no_thread() -> None:
    third = threading.Event()

    class Numbered(Stepped):
        def __init__(self) -> None:
            super().__init__(2)
            self.steps = iter([lambda: third.wait(60), lambda: True, third.set])
            self.running = lambda: next(self.steps)()

    with ThreadPoolExecutor(2) as pool:
        session = VideoSession(Numbered(), pool, EVERYTHING)
        futures = [session.submit(frame, past=True, evidence=True) for frame in frames(moving(3, 32, 32))]
        assert third.wait(30)  # while the first one is computed
        for future in futures:
            future.result(60)


@needs_native_state
def test_what_is_kept_of_a_computed_block_depends_on_the_noise_that_was_learnt() -> None:
    random, scene, changed = np.random.default_rng(4), picture(WIDTH, HEIGHT), 0
    parts = Stepped(1)
    camera = Camera(parts=parts)
    for frame in frames([scene + random.normal(0, 4, scene.shape) for _ in range(12)], quality=80):
        parts.restored.clear()
        camera.restore(frame)
        given = [[history.noise for history in histories] for _, histories in parts.restored]
        activity = camera.session._activity  # pyright: ignore[reportPrivateUsage]
        assert activity
        assert given == [activity.noise] * len(given)
        changed += bool(given) and activity.noise[0] != SENSOR
    assert changed > 2


@needs_native_state
def test_a_part_is_restored_from_the_means_of_before_the_frame() -> None:
    first, second = frames([picture(WIDTH, HEIGHT, seed) for seed in (1, 2)])
    parts = Stepped(1)
    camera = Camera(parts=parts)
    camera.restore(first)
    camera.restore(second)  # all of it has changed
    nothing, means = (before for before, _ in parts.restored)
    np.testing.assert_array_equal(nothing, 0)
    np.testing.assert_array_equal(means, (first[0] * first[1].astype(int) * 16).clip(-32768, 32767))


@needs_native_state
def test_where_all_that_is_judged_needs_the_network_parts_are_looked_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[int] = []

    def look(cells: NDArray[np.bool_], *lengths: Sequence[int]) -> list[Rectangle]:
        looked[-1] += 1
        return cover(cells, *lengths)

    monkeypatch.setattr(video, "cover", look)
    (frame,) = frames(moving(1), quality=90)
    session = VideoSession(Stepped(1), INLINE, EVERYTHING)
    # The gate believes one step, and two no more.
    events = {5: ((1, 3), 2), 7: ((9, 3), 2), 8: ((1, 15), 1), 9: ((5, 9), 2), 12: ((9, 15), 2)}
    for number in range(13):
        (row, column), away = events.get(number, ((0, 0), 0))
        shown = [array.copy() for array in frame]
        shown[0][row, column, 1:] += away
        if away == 2:
            frame = shown
        looked.append(0)
        session.submit(shown, past=True, evidence=True).result()
    assert {number: looked[number] for number in events} == {5: 2, 7: 1, 8: 2, 9: 2, 12: 1}


@needs_native_state
def test_for_what_the_gate_alone_judges_no_size_is_prepared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(part_sizes, "COMPILATION", 10)  # blocks: any size that is wanted twice
    prepared: list[Size] = []
    (frame,) = frames(moving(1), quality=90)
    changed = [array.copy() for array in frame]
    changed[0][5, 7, 1:] += 1
    session = VideoSession(Stepped(1, prepare=lambda size, _: prepared.append(size)), INLINE, EVERYTHING)
    for number in range(200):
        session.submit(changed if number % 60 == 59 else frame, past=True, evidence=True).result()
    assert prepared == [(HEIGHT // 8, WIDTH // 8)]
    changed[0][5, 7, 1:] += 1  # now the gate does not believe it
    for number in range(200):
        session.submit(changed if number % 60 == 59 else frame, past=True, evidence=True).result()
    assert len(prepared) > 1


@needs_native_state
def test_the_networks_of_several_frames_run_at_the_same_time() -> None:
    together = threading.Barrier(3, timeout=60)
    clip = frames(moving(3, 32, 32))
    with ThreadPoolExecutor(3) as pool:
        session = VideoSession(Stepped(3, together.wait), pool, EVERYTHING)
        futures = [session.submit(frame, past=True, evidence=True) for frame in clip]
        for future, wanted in zip(futures, whole(clip), strict=True):
            assert_near(future.result(60), wanted)


@needs_native_state
@pytest.mark.parametrize("threads", [1, 2])
def test_a_frame_that_comes_alone_is_divided(threads: int) -> None:
    (frame,) = frames(moving(1, 256, 160))
    (wanted,) = whole([frame])
    counts: list[int] = []
    with ThreadPoolExecutor(threads) as pool:
        parts = Stepped(2, lambda: counts.append(1))
        session = VideoSession(parts, pool, EVERYTHING)
        assert_near(session.submit(frame, past=True, evidence=True).result(60), wanted)
    assert len(counts) == 2


def thirds() -> list[Inputs]:
    """A still scene, of which a third has changed in the last frame: 640 blocks of luma."""
    clip = frames([picture(384, 320)] * 3, quality=90)
    clip[-1] = [array.copy() for array in clip[-1]]
    clip[-1][0][:, :16, 1:6] += 3
    return clip


@needs_native_state
@pytest.mark.parametrize(("least", "size"), [(300, 2), (100, 2), (60, 3), (321, 1)])
def test_cells_of_a_frame_that_comes_alone_have_a_team_if_it_pays(
    least: int, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(video, "LEAST_PART", least)
    clip, alone = thirds(), Camera(parts=Stepped(1, sparse=True))
    expected = [alone.restore(frame) for frame in clip]
    parts, computed = Stepped(3 if least < 100 else 2, sparse=True), list[float]()
    cells = parts.sparse = SteppedCells(parts)
    with ThreadPoolExecutor(1) as pool:
        session = VideoSession(parts, pool, EVERYTHING)
        for frame, wanted in zip(clip, expected, strict=True):
            assert_same(session.submit(frame, past=True, evidence=True, begun=computed.append).result(60), wanted)
    assert computed[-1] == pytest.approx(1 / 3)  # 640 blocks of luma
    assert cells.teams[-1] == size


@needs_native_state
def test_cells_of_a_frame_that_comes_while_another_is_under_way_have_no_team(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Turns, "is_alone", False)
    parts = Stepped(2, sparse=True)
    cells = parts.sparse = SteppedCells(parts)
    with ThreadPoolExecutor(1) as pool:
        session = VideoSession(parts, pool, EVERYTHING)
        for frame in thirds():
            session.submit(frame, past=True, evidence=True).result(60)
    assert {*cells.teams} == {1}


@needs_native_state
def test_a_pool_without_threads_is_no_team() -> None:
    parts = Stepped(2, sparse=True)
    cells = parts.sparse = SteppedCells(parts)
    session = VideoSession(parts, INLINE, EVERYTHING)
    for frame in thirds():
        session.submit(frame, past=True, evidence=True).result(60)
    assert {*cells.teams} == {1}


class ToldCells(SteppedCells):
    """The same, which tells when cells are taken."""

    def __init__(self, network: Stepped, told: Callable[[], object]) -> None:
        super().__init__(network)
        self._told = told

    def take(
        self,
        frame: Frame,
        before: Sequence[ComponentState],
        after: Sequence[ComponentState],
        cells: Cells,
        team: Team,
    ) -> None:
        self._told()
        super().take(frame, before, after, cells, team)


@needs_native_state
def test_a_picture_for_whose_cells_there_is_no_memory_is_computed_in_parts() -> None:
    used: list[str] = []

    class Told(Stepped):
        def __init__(self) -> None:
            super().__init__(1, sparse=True)
            self.sparse: Sparse | None = ToldCells(self, lambda: used.append("cells"))

        def part(self) -> Part:
            used.append("part")
            return super().part()

    clip = thirds()
    for memory, last in ((SteppedCells.NBYTES - 1, "part"), (SteppedCells.NBYTES, "cells")):
        session = VideoSession(Told(), INLINE, EVERYTHING, memory)
        for frame in clip:
            used.clear()
            session.submit(frame, past=True, evidence=True).result()
        assert set(used) == {last}


@needs_native_state
def test_all_of_a_picture_is_computed_as_cells_are() -> None:
    used: list[bool] = []

    parts = Stepped(1, sparse=True)
    parts.sparse = ToldCells(parts, lambda: used.append(True))
    session = VideoSession(parts, INLINE, EVERYTHING)
    frame, other = frames([picture(WIDTH, HEIGHT, seed) for seed in (1, 2)])
    for shown in (frame, other):  # all of it changes
        session.submit(shown, past=True, evidence=True).result()
    session.submit(frame, past=False, evidence=False).result()  # a picture by itself
    assert len(used) == 3


@needs_native_state
@pytest.mark.parametrize("step", ["empty", "following"])
def test_lack_of_memory_is_told_in_one_line(step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (frame,) = frames(moving(1))

    def lack(*_: object) -> ComponentState:
        raise MemoryError

    session = Camera().session
    session.submit(frame, past=True, evidence=True).result()
    monkeypatch.setattr(ComponentState, step, lack)
    with pytest.raises(RuntimeUnavailable, match=r"^a picture of [0-9x]+ cannot be restored \(out of memory\)"):
        session.submit(frame, past=step == "following", evidence=True).result()
    monkeypatch.undo()
    session.submit(frame, past=False, evidence=True).result()


@needs_native_state
def test_a_frame_that_comes_while_another_is_under_way_is_not_divided() -> None:
    counts, go = list[int](), threading.Event()

    def run() -> None:
        counts.append(1)
        if len(counts) <= 2:  # both parts of the first frame
            go.wait(60)

    first, second = frames(moving(2, 256, 160))
    with ThreadPoolExecutor(3) as pool:
        session = VideoSession(Stepped(2, run), pool, EVERYTHING)
        futures = [session.submit(first, past=True, evidence=True)]
        while len(counts) < 2:
            time.sleep(0.001)
        futures.append(session.submit(second, past=False, evidence=True))
        while len(counts) < 3:
            time.sleep(0.001)
        go.set()
        for future in futures:
            future.result(60)
    assert len(counts) == 3


@needs_native_state
def test_for_a_picture_by_itself_no_size_is_prepared() -> None:
    (frame,) = frames(moving(1))
    prepared: list[Size] = []
    session = VideoSession(Stepped(1, prepare=lambda size, _: prepared.append(size)), INLINE, EVERYTHING)
    session.submit(frame, past=False, evidence=False).result()
    assert not prepared
    session.submit(frame, past=False, evidence=True).result()
    assert prepared == [(HEIGHT // 8, WIDTH // 8)]


@needs_native_state
def test_frames_without_evidence_between_others_change_nothing() -> None:
    clip = frames(moving(12, noise=1))
    alone = Camera(parts=Stepped(1))
    expected = [alone.restore(frame, evidence=number % 3 != 1) for number, frame in enumerate(clip)]
    with ThreadPoolExecutor(3) as pool:
        session = VideoSession(Stepped(), pool, EVERYTHING)
        futures = [session.submit(one, past=True, evidence=number % 3 != 1) for number, one in enumerate(clip)]
        for future, wanted in zip(futures, expected, strict=True):
            assert_same(future.result(60), wanted)


@needs_native_state
def test_a_scene_that_begins_while_frames_of_another_are_under_way() -> None:
    first, second = frames(moving(5, noise=1)), frames(moving(5, noise=2)[::-1])
    small = frames(moving(3, 64, 48))
    clip = [*first, *second, *small, *first]
    pasts = [number not in (5, 10, 13) for number in range(len(clip))]
    alone = Camera(parts=Stepped(1))
    expected = [alone.restore(frame, past=past) for frame, past in zip(clip, pasts, strict=True)]
    with ThreadPoolExecutor(3) as pool:
        session = VideoSession(Stepped(), pool, EVERYTHING)
        futures = [session.submit(frame, past=past, evidence=True) for frame, past in zip(clip, pasts, strict=True)]
        for future, wanted in zip(futures, expected, strict=True):
            assert_same(future.result(60), wanted)


@needs_native_state
def test_a_network_that_fails_while_it_runs_fails_its_own_frame_alone() -> None:
    clip = frames(moving(9))
    failing = iter([False] * 4 + [True])

    def run() -> None:
        if next(failing, False):
            raise RuntimeUnavailable("out of memory")

    session = VideoSession(Stepped(2, run), INLINE, EVERYTHING)
    futures = [session.submit(frame, past=True, evidence=True) for frame in clip]
    failed = [number for number, future in enumerate(futures) if future.exception()]
    assert len(failed) == 1
    for number, (frame, wanted) in enumerate(zip(clip, whole(clip), strict=True)):
        if number not in failed:
            (coefficients, table), plane = frame[:2], futures[number].result()[0]
            offsets = to_coefficients(plane) / table - coefficients
            assert np.abs(offsets).max() < 0.5 + 4 / table.min()
            assert np.abs(plane.astype(int) - wanted[0]).mean() < 0.5


@needs_native_state
@pytest.mark.parametrize("step", ["take", "restore"])
def test_no_part_of_a_frame_that_failed_is_under_way_afterwards(step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (frame,) = frames(moving(1, 256, 160))
    together = threading.Barrier(2, timeout=60)
    failed, failed_first = threading.Event(), []
    done = getattr(SteppedPart, step)

    def step_of_two(part: SteppedPart, *arguments: Any) -> Any:
        if together.wait() == 0:
            raise RuntimeUnavailable("out of memory")
        failed_first.append(failed.wait(0.2))
        return done(part, *arguments)

    monkeypatch.setattr(SteppedPart, step, step_of_two)
    with ThreadPoolExecutor(2) as pool:
        future = VideoSession(Stepped(2), pool, EVERYTHING).submit(frame, past=True, evidence=True)
        future.add_done_callback(lambda _: failed.set())
        assert isinstance(future.exception(60), RuntimeUnavailable)
    assert failed_first == [False]


def test_two_cameras_share_a_pool_and_nothing_else() -> None:
    clip = frames(moving(8))
    alone = Camera()
    expected = [alone.restore(frame) for frame in clip]
    with ThreadPoolExecutor(2) as pool:
        cameras = [Camera(pool) for _ in range(3)]
        futures = [[camera.session.submit(frame, past=True, evidence=True) for camera in cameras] for frame in clip]
        for row, wanted in zip(futures, expected, strict=True):
            for future in row:
                assert_same(future.result(60), wanted)


def test_a_frame_that_was_cancelled_is_left_out() -> None:
    clip = frames(moving(4))
    alone = Camera()
    expected = [alone.restore(frame) for frame in (clip[0], clip[2], clip[3])]
    with ThreadPoolExecutor(1) as pool:
        go = threading.Event()
        pool.submit(go.wait, 60)
        camera = Camera(pool)
        futures = [camera.session.submit(frame, past=True, evidence=True) for frame in clip]
        assert futures.pop(1).cancel()
        go.set()
        for future, wanted in zip(futures, expected, strict=True):
            assert_same(future.result(60), wanted)


def test_a_pool_that_drops_its_work_drops_the_frames() -> None:
    clip = frames(moving(3))
    with ThreadPoolExecutor(1) as pool:
        go = threading.Event()
        pool.submit(go.wait, 60)
        camera = Camera(pool)
        futures = [camera.session.submit(frame, past=True, evidence=True) for frame in clip]
        pool.shutdown(wait=False, cancel_futures=True)
        go.set()
    for future in futures:
        with pytest.raises(CancelledError):
            future.result(60)
    for frame in clip:  # and later ones are refused
        with pytest.raises(RuntimeError, match="shutdown"):
            camera.session.submit(frame, past=True, evidence=True)


def test_what_runs_when_a_frame_is_ready_may_submit_the_next_one() -> None:
    clip = frames(moving(4))
    camera = Camera()
    found: list[Future[Planes]] = []

    def submit(number: int) -> None:
        future = camera.session.submit(clip[number], past=True, evidence=True)
        found.append(future)
        if number + 1 < len(clip):
            future.add_done_callback(lambda _: submit(number + 1))

    submit(0)
    alone = Camera()
    for future, frame in zip(found, clip, strict=True):
        assert_same(future.result(60), alone.restore(frame))
