"""Which cells of a camera's picture need the network."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from mjpeg_restore.jpeg.tables import scaled_tables
from mjpeg_restore.runtime.cpu import activity
from mjpeg_restore.runtime.cpu.activity import MOVED, REFRESH, Activity
from mjpeg_restore.runtime.cpu.cells import cell, cells_of
from mjpeg_restore.runtime.cpu.history import BELIEVED
from mjpeg_restore.runtime.cpu.light import Change
from mjpeg_restore.runtime.cpu.noise_limits import COARSE
from mjpeg_restore.runtime.cpu.state import LONGEST, ComponentState, take_still
from tests.lacking import needs_native_state
from tests.video_models import learnt

pytestmark = needs_native_state

GRIDS = [(16, 24), (8, 12), (8, 12)]
SIDE = 2
CELLS = (8, 12)


class Camera:
    """A scene of random coefficients, seen with a sensor's noise, and a network that believes what is given.

    Attributes:
        states: of each component.
        needed: the cells of the last frame that need the network.
    """

    def __init__(
        self, noise: float = 1.0, grids: list[tuple[int, int]] = GRIDS, seed: int = 1, quality: int = 60
    ) -> None:
        self.random = np.random.default_rng(seed)
        self.noise, self.grids = noise, grids
        luma, chroma = (table.reshape(64).astype(np.uint16) for table in scaled_tables(quality))
        self.tables = [luma, chroma, chroma][: len(grids)]
        self.scene = [self.random.normal(0, 40, (*grid, 64)) for grid in grids]
        self.states = [ComponentState.empty(*grid) for grid in grids]
        self.activity = Activity(grids)
        self.coefficients: list[NDArray[np.int16]] = []
        self.needed = np.ones(cells_of(grids), np.bool_)

    def frame(self) -> list[tuple[NDArray[np.int16], NDArray[np.uint16]]]:
        """The next frame, as the camera codes it."""
        seen = [scene + self.random.normal(0, self.noise, scene.shape) for scene in self.scene]
        self.coefficients = [
            np.rint(one / table).astype(np.int16) for one, table in zip(seen, self.tables, strict=True)
        ]
        return list(zip(self.coefficients, self.tables, strict=True))

    def choose(self, *, believes: float = 1.0) -> NDArray[np.bool_]:
        """The cells of the next frame that the gate judges; it believes that share of the past there."""
        frame = self.frame()
        self.states = self.activity.lit(frame, self.states)
        cells = self.activity.choose(frame, self.states)
        believed: list[NDArray[np.float32]] = []
        for (coefficients, table), state in zip(frame, self.states, strict=True):
            known = state.evidence[..., 0] > 0
            high, wide = known.shape
            blocks = cell(self.grids)
            side = blocks[0] * high // self.grids[0][0], blocks[1] * wide // self.grids[0][1]
            computed = np.kron(cells, np.ones(side))[:high, :wide] > 0
            believed.append((computed & known) * np.float32(believes))
            if not believes:
                state.evidence[computed] = 0
            take_still(coefficients, table, state, np.ones(known.shape, np.bool_), state, 0)
        self.needed = self.activity.learn(believed)
        return cells


def test_of_a_first_frame_everything_is_computed() -> None:
    cells = Camera().choose()
    assert cells.shape == CELLS
    assert cells.all()


@pytest.mark.parametrize("noise", [0.0, 1.0, 2.0, 4.0])
def test_a_still_scene_is_computed_each_time_its_state_rests_on_four_times_as_many_frames(noise: float) -> None:
    camera = Camera(noise)
    shares = [camera.choose().mean() for _ in range(100)]
    assert shares[0] == 1
    # As it becomes better four times, and besides where noise was far out while its size was still being learnt.
    assert np.sum(shares) <= 10
    assert np.mean(shares[40:]) < 0.05
    assert np.median(shares) == 0


def test_without_noise_only_what_is_due_is_computed() -> None:
    camera = Camera(0)
    shares = [camera.choose().mean() for _ in range(2 * REFRESH + 100)]
    due = [number for number, share in enumerate(shares, 1) if share]
    assert {shares[number - 1] for number in due} == {1.0}
    assert due[:4] == [1, 4, 16, 64]
    assert all(later - earlier == REFRESH for earlier, later in pairwise(due[3:]))
    assert len(due) == 4 + 2
    assert due[3] >= LONGEST


@pytest.mark.parametrize(("believes", "computed"), [(1.0, False), (0.91, False), (BELIEVED, True), (0.0, True)])
def test_what_the_gate_does_not_doubt_needs_no_network(believes: float, computed: bool) -> None:
    camera = Camera(0)
    for _ in range(40):  # when nothing is due any more
        camera.choose()
    camera.scene[0][5, 7] = camera.random.normal(0, 120, 64)
    cells = camera.choose(believes=believes)
    assert cells[2, 3]
    assert camera.needed[2, 3] == computed
    assert not camera.needed[~cells].any()


def test_where_something_has_changed_what_was_there_may_be_in_the_means_for_a_while() -> None:
    camera = Camera(0)
    for _ in range(20):
        camera.choose()
        assert not any(blocks.any() for blocks in camera.activity.mixed())  # the first frame found nothing there
    camera.scene[0][5, 7] = camera.random.normal(0, 120, 64)
    camera.choose(believes=0.3)
    luma, *chroma = camera.activity.mixed()
    assert [blocks.shape for blocks in (luma, *chroma)] == list(GRIDS)
    assert luma[4:6, 6:8].all() and luma.sum() == 4
    assert all(blocks[2, 3] and blocks.sum() == 1 for blocks in chroma)
    frames = 0
    while any(blocks.any() for blocks in camera.activity.mixed()):
        camera.choose()
        frames += 1
    assert (1 - 1 / LONGEST) ** frames < 0.05  # of a frame


def test_what_is_due_is_computed_whatever_the_gate_believes() -> None:
    camera = Camera(0)
    for number in range(1, 40):
        cells = camera.choose(believes=1.0)
        assert camera.needed.all() == cells.all() == (number in (1, 4, 16))


def test_a_cell_that_was_judged_and_not_computed_is_due_when_it_would_have_been() -> None:
    camera = Camera(0)
    for number in range(1, 17):
        camera.scene[0][5, 7, 5] += 90 * (number == 10)  # of all of them, the mean would stray
        cells = camera.choose()
        camera.scene[0][5, 7, 5] -= 90 * (number == 10)
        assert cells[2, 3] == (number in (1, 4, 10, 16))
        assert camera.needed[2, 3] == (number in (1, 4, 16))
    assert camera.needed.all()  # in frame 16, as all others


@pytest.mark.parametrize(("apart", "computed"), [(20, True), (30, False)])
def test_where_noise_often_carries_a_cell_too_far_it_is_computed(apart: int, computed: bool) -> None:
    camera = Camera(0)
    for _ in range(70):
        camera.choose()
    for number in range(apart + 1):
        far = number % apart == 0
        camera.scene[0][5, 7] += 30 * far
        cells = camera.choose()
        camera.scene[0][5, 7] -= 30 * far
        assert cells[2, 3] == far
        assert camera.needed[2, 3] == (computed and number == apart)


@pytest.mark.parametrize("component", [0, 1, 2])
def test_a_block_that_moves_is_always_computed(component: int) -> None:
    camera = Camera(2.0)
    for _ in range(40):
        camera.choose()
    ratio = GRIDS[0][0] // GRIDS[component][0]
    for _ in range(30):
        row, column = (int(camera.random.integers(0, length)) for length in GRIDS[component])
        camera.scene[component][row, column] = camera.random.normal(0, 120, 64)
        cells = camera.choose()
        assert cells[row * ratio // SIDE, column * ratio // SIDE]


def with_steps(dc: int, across: int, down: int, grids: list[tuple[int, int]] = GRIDS) -> Camera:
    """A camera without noise, after 40 frames; of luma's steps the first and the lowest AC ones are given."""
    camera = Camera(0, grids)
    camera.tables[0] = np.full(64, 60, np.uint16)
    camera.tables[0][[0, 1, 8]] = dc, across, down
    steps = camera.tables[0].astype(float)
    camera.scene[0] = np.rint(camera.scene[0] / steps) * steps
    for _ in range(40):
        camera.choose()
    return camera


@pytest.mark.parametrize("number", [4, 64])  # coefficients that move: hardly too far for noise, and by far
@pytest.mark.parametrize(
    ("steps", "beside"),
    [((10, COARSE, COARSE + 1), True), ((10, COARSE + 1, COARSE), True), ((COARSE + 1, COARSE, COARSE), False)],
)
def test_coarse_steps_hide_motion_in_the_blocks_beside_it(
    steps: tuple[int, int, int], beside: bool, number: int
) -> None:
    camera = with_steps(*steps)
    camera.scene[0][7, 13, -number:] += camera.tables[0][-number:] * (1 if number == 4 else 9)
    cells = camera.choose()
    expected = np.zeros(CELLS, np.bool_)
    expected[3, 6] = True
    if beside:  # those of blocks 6 to 8, and 12 to 14
        expected[3:5, 6:8] = True
    np.testing.assert_array_equal(cells, expected)


@pytest.mark.parametrize(("step", "follows"), [(COARSE + 1, True), (COARSE, False)])
def test_at_coarse_steps_what_is_near_in_the_next_frame_may_be_farther_away(step: int, follows: bool) -> None:
    camera = with_steps(10, step, step)
    camera.scene[0][7, 13] += 9 * camera.tables[0]
    camera.choose()
    camera.scene[0][5, 13, 60] += camera.tables[0][60]  # a step, as noise may carry one coefficient
    assert camera.choose()[2, 6] == follows


def test_the_noise_of_each_component_is_learnt() -> None:
    camera = Camera(0, quality=90)
    still = [scene.copy() for scene in camera.scene]
    deviations = 2.0, 3.0, 4.0
    for _ in range(200):
        for scene, mean, deviation in zip(camera.scene, still, deviations, strict=True):
            scene[:] = mean + camera.random.normal(0, deviation, scene.shape)
        camera.choose()
    np.testing.assert_allclose(np.sqrt(camera.activity.noise), deviations, rtol=0.25)


@pytest.mark.parametrize("believes", [1.0, 0.7, 0.3, 0.0])
def test_a_cell_that_noise_carried_too_far_is_not_computed_anew(believes: float) -> None:
    camera = Camera(0)
    for _ in range(100):
        camera.choose()
    camera.scene[0][5, 5, 5] += 150
    assert camera.choose(believes=believes)[2, 2]
    noise = believes > MOVED
    camera.scene[0][5, 5, 5] -= 150 * noise
    times = sum(camera.choose()[2, 2] for _ in range(150))
    assert times <= 1 if noise else times > 1  # what is new becomes better, in the turns of every 32nd frame


@pytest.mark.parametrize(("blocks", "everything"), [(10, False), (12, True)])
def test_where_most_of_a_picture_changes_all_of_it_has_changed(blocks: int, everything: bool) -> None:
    camera = Camera(0)
    for _ in range(40):
        camera.choose()
    camera.scene[0][:blocks] += 200
    cells = camera.choose(believes=0)
    assert cells[: blocks // SIDE].all()
    assert bool(cells.all()) == everything


def hardly_moved(camera: Camera, *cells: tuple[int, int]) -> list[np.bool_]:
    """Which of some cells are chosen when they have been a little different for two frames; in the first none is."""
    for number, (row, column) in enumerate(cells):  # blocks that no mean of 3x3 has two of, if there are two cells
        camera.scene[0][SIDE * row + 1, SIDE * column + number % SIDE, 60] += camera.tables[0][60]
    assert not camera.choose().any()
    return [*map(camera.choose().__getitem__, cells)]


@pytest.mark.parametrize("step", [COARSE, COARSE + 1])
@pytest.mark.parametrize(
    ("cells", "by_chance"),
    [
        ([(6, 1)], True),
        ([(0, 0)], True),
        ([(0, 5), (0, 6)], True),
        ([(14, 23), (15, 23)], True),
        ([(1, 5), (1, 6), (2, 6)], False),
        ([(4, column) for column in range(3, 9)], False),
        ([(number, number + 2) for number in range(5)], False),
    ],
)
def test_one_or_two_cells_are_a_little_different_by_chance_where_steps_are_fine(
    step: int, cells: list[tuple[int, int]], by_chance: bool
) -> None:
    camera = with_steps(10, step, step, [(2 * high, 2 * wide) for high, wide in GRIDS])
    assert {*hardly_moved(camera, *cells)} == {step > COARSE or not by_chance}
    if by_chance:  # but not again
        assert all(map(camera.choose().__getitem__, cells))


def test_what_disagrees_in_many_places_does_not_do_so_by_chance() -> None:
    camera = with_steps(10, COARSE, COARSE)
    assert all(hardly_moved(camera, *((row, column) for row in (1, 5) for column in (1, 5, 9))))


def test_what_stands_still_beside_it_is_not() -> None:
    camera = Camera(1.0)
    for _ in range(60):
        camera.choose()
    shares: list[float] = []
    for _ in range(40):
        camera.scene[0][5, 5] = camera.random.normal(0, 120, 64)
        shares.append(float(camera.choose().mean()))
    assert np.mean(shares) < 0.1


def test_where_the_gate_believes_nothing_nothing_is_learnt_and_all_is_computed() -> None:
    camera = Camera(3.0)
    before = learnt(camera.activity)
    for _ in range(10):
        for scene in camera.scene:
            scene[:] = camera.random.normal(0, 80, scene.shape)
        assert camera.choose(believes=0).all()
    assert learnt(camera.activity) == before


def test_what_is_hardly_believed_teaches_nothing() -> None:
    camera = Camera(1.0)
    camera.choose()
    before = learnt(camera.activity)
    camera.activity.choose(camera.frame(), camera.states)
    camera.activity.learn([np.full(grid, BELIEVED, np.float32) for grid in GRIDS])
    assert learnt(camera.activity) == before
    few = [np.zeros(grid, np.float32) for grid in GRIDS]
    for shares in few:
        shares[:4, :7] = 1
    camera.activity.learn(few)
    assert learnt(camera.activity) == before


def test_what_is_learnt_is_bounded() -> None:
    camera = Camera(60.0)
    for _ in range(60):
        camera.activity.choose(camera.frame(), camera.states)
        camera.activity.learn([np.ones(grid, np.float32) for grid in GRIDS])
    for limits in learnt(camera.activity):
        assert all(0.05 <= limit <= 100 for some in limits.values() for limit in some)


def test_the_sensors_noise_is_estimated() -> None:
    """From fine steps; what quantisation adds is subtracted."""
    camera = Camera(3.0)
    camera.tables = [np.full(64, 2, np.uint16)] * 3
    for _ in range(40):
        camera.frame()
        camera.activity.choose(list(zip(camera.coefficients, camera.tables, strict=True)), camera.states)
        for coefficients, table, state in zip(camera.coefficients, camera.tables, camera.states, strict=True):
            take_still(coefficients, table, state, np.ones(coefficients.shape[:2], np.bool_), state, 0)
        camera.activity.learn([np.ones(grid, np.float32) for grid in GRIDS])
    assert all([7.5] < limits["noise"] < [10.5] for limits in learnt(camera.activity))


@pytest.mark.parametrize(
    "grids",
    [
        [(1, 1)],
        [(1, 1)] * 3,
        [(2, 2), (1, 1), (1, 1)],
        [(1, 4), (1, 1), (1, 1)],
        [(5, 7)],
        [(3, 8), (3, 2), (3, 2)],
        [(6, 10), (3, 10), (3, 10)],
        [(10, 6), (5, 3), (5, 3)],
    ],
)
def test_pictures_of_any_size(grids: list[tuple[int, int]]) -> None:
    camera = Camera(1.0, grids)
    cells = [camera.choose() for _ in range(20)]
    assert cells[0].all()
    assert cells[0].shape == cells_of(grids)
    camera.scene[-1][-1, -1] += 900
    assert camera.choose()[-1, -1]


@pytest.mark.parametrize(
    ("quality", "share", "forgotten"), [(60, 0.1, True), (60, 0.6, False), (10, 0.1, True), (10, 0.6, False)]
)
def test_what_has_certainly_moved_has_no_past_where_most_stands_still(
    quality: int, share: float, forgotten: bool
) -> None:
    camera = Camera(2.0, quality=quality)
    for _ in range(20):
        camera.choose()
    rows = int(share * GRIDS[0][0])
    camera.scene[0][:rows] = camera.random.normal(0, 400, (rows, GRIDS[0][1], 64))
    camera.activity.choose(camera.frame(), camera.states)
    luma, *chroma = camera.activity.doubt(camera.states)
    assert (luma.evidence[:rows] == 0).all() == forgotten
    assert (luma.evidence[rows:] > 0).mean() > 0.99  # whatever noise does
    for seen, known in zip(chroma, camera.states[1:], strict=True):  # beside what shows something else
        assert (seen.evidence == known.evidence)[-(-rows // SIDE) :].mean() > 0.99


@pytest.mark.parametrize("quality", [10, 30])
@pytest.mark.parametrize(("share", "count", "forgotten"), [(0.25, 4, True), (0.25, 3, False), (0.75, 4, False)])
def test_a_fine_texture_that_appears_on_a_plain_place_has_no_past(
    quality: int, share: float, count: int, forgotten: bool
) -> None:
    camera = Camera(quality=quality)
    for scene in camera.scene:
        scene[..., 1:] = 0
    for _ in range(20):
        camera.choose()
    rows, places = round(CELLS[0] * share), np.arange(20, 20 + count)
    luma, steps = camera.scene[0], camera.tables[0]
    luma[: rows * SIDE, :, places] = 0.9 * steps[places]
    assert camera.choose(believes=1.0)[:rows].all()
    seen, *_ = camera.activity.doubt(camera.states)
    assert (seen.evidence[: rows * SIDE] == 0).all() == forgotten
    assert (seen.evidence[rows * SIDE :] > 0).all()


def test_a_part_with_far_more_noise_than_the_rest_keeps_its_past() -> None:
    camera = Camera(1.0)
    rows = GRIDS[0][0] // 8
    still = camera.scene[0].copy()
    kept: list[float] = []
    for _ in range(30):
        camera.scene[0][:rows] = still[:rows] + camera.random.normal(0, 8, still[:rows].shape)
        camera.choose()
        (luma, *_) = camera.activity.doubt(camera.states)
        kept.append(float((luma.evidence[:rows] > 0).mean()))
    assert np.mean(kept[10:]) > 0.95


def outlined(camera: Camera) -> None:
    """Give the camera a scene of which every block has an outline, but for those of a column of cells."""
    for scene in camera.scene:
        scene[:] = camera.random.choice([-90, -60, 60, 90], scene.shape) * (np.arange(64) < 12)
    for scene, side in zip(camera.scene, (2, 1, 1), strict=True):
        scene[:, 6 * side : 7 * side, 1:] = 0


@pytest.mark.parametrize("quality", [10, 30, 60, 90])
@pytest.mark.parametrize("share", [0.25, 1.0])
def test_what_something_smooth_covers_is_forgotten(quality: int, share: float) -> None:
    camera = Camera(quality=quality)
    outlined(camera)
    for _ in range(12):
        camera.choose()
    rows = round(CELLS[0] * share)
    for scene, side in zip(camera.scene, (2, 1, 1), strict=True):
        scene[: rows * side] = 0
        scene[: rows * side, :, 0] = 300
    chosen = camera.choose(believes=1.0)
    assert chosen[:rows].all()
    luma, *chroma = (state.evidence.max(axis=2) > 0 for state in camera.activity.doubt(camera.states))
    had_outline = np.arange(GRIDS[0][1]) // SIDE != 6
    assert not luma[: SIDE * rows, had_outline].any()
    assert luma[SIDE * rows :].all()
    for known in chroma:
        assert not known[:rows, had_outline[::SIDE]].any()
        assert known[rows:].all()


@pytest.mark.parametrize(("quality", "light"), [(10, 0.9), (10, 1.2), (30, 0.6), (60, 0.6), (90, 0.6), (90, 1.2)])
def test_what_other_light_falls_on_is_still_the_same(quality: int, light: float) -> None:
    camera = Camera(quality=quality)
    outlined(camera)
    for _ in range(12):
        camera.choose()
    for scene in camera.scene:
        scene *= light
    camera.choose()
    for limits in camera.activity._limits:  # pyright: ignore[reportPrivateUsage]
        assert not limits.replaced.any()


@pytest.mark.parametrize("noise", [2.0, 8.0])
def test_noise_is_no_outline(noise: float) -> None:
    camera = Camera(noise, quality=90)
    for scene in camera.scene:
        scene[:] = 0
    for number in range(40):
        camera.choose()
        # A few frames have to tell first how strong it is.
        assert number < 12 or all((state.evidence > 0).all() for state in camera.activity.doubt(camera.states))


@pytest.mark.parametrize("quality", [10, 50, 80])
def test_where_means_have_moved_unseen_the_network_sees_them(quality: int) -> None:
    camera = Camera(0.2, quality=quality)
    for scene in camera.scene:
        scene[:] = 0
    for _ in range(40):
        camera.choose()
    luma, steps = camera.states[0], camera.tables[0].clip(12)
    luma.mean[4:6, 8:10, :8] += (16 * 0.3 * steps[:8]).astype(np.int16)  # as if light had changed: each still agrees
    moved = np.zeros(CELLS, np.bool_)
    moved[2, 4] = True
    np.testing.assert_array_equal(camera.choose() & ~moved, False)
    assert camera.needed[2, 4]
    camera.choose()
    assert not camera.needed.any()  # it has seen them now


@pytest.mark.parametrize("quality", [10, 25, 50])
def test_of_a_picture_that_goes_out_of_focus_all_is_computed_and_the_past_tells_less(quality: int) -> None:
    camera = Camera(1.0, quality=quality)
    for _ in range(40):
        camera.choose()
    evidence = [state.evidence.copy() for state in camera.activity.doubt(camera.states)]
    for scene in camera.scene:
        scene[..., 1:] *= 0.8
    assert camera.choose().all()
    for state, before in zip(camera.activity.doubt(camera.states), evidence, strict=True):
        assert state.evidence.mean() < 0.5 * before.mean()


def test_means_follow_flickering_light(monkeypatch: pytest.MonkeyPatch) -> None:
    errors: list[float] = []
    for followed in (True, False):
        camera = Camera(2.0, quality=75)
        if not followed:
            monkeypatch.setattr(activity, "change_of_light", lambda *_: Change(0.0, (0.0, 0.0)))
        plain, changes, together, found = [scene.copy() for scene in camera.scene], 0, 0, list[float]()
        for number in range(100):
            light = 1 + 0.03 * np.sin(0.2 * number)
            camera.scene = [light * scene for scene in plain]
            camera.scene[0][..., 0] += (light - 1) * 1024
            camera.choose()
            found.append(np.square(camera.states[0].mean[..., 0] / 16 - camera.scene[0][..., 0]).mean())
            luma, *chroma = camera.activity.changes_of_light
            changes += luma
            together += luma and all(chroma)
        assert (changes > 60 and 20 < together < 60) or not followed  # small ones hardly move the means of chroma
        errors.append(float(np.mean(found[40:])))
    assert errors[0] < 1 < 100 < errors[1]


@pytest.mark.parametrize("noise", [1.0, 4.0])
@pytest.mark.parametrize("quality", [10, 50, 90])
def test_noise_hardly_makes_means_stray(quality: int, noise: float) -> None:
    camera, strayed = Camera(noise, quality=quality), list[float]()
    for _ in range(60):
        camera.choose()
        before = camera.activity._due  # pyright: ignore[reportPrivateUsage]
        strayed.append(float(before.mean()))
    assert np.mean(strayed[1:]) < 0.12  # with the few times at which all of it has become better
