from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.lacking import needs, needs_gpu

needs("torch")

import torch

from mjpeg_restore.errors import SourceNotFound
from mjpeg_restore.training.clips import ClipBatch, Clips, Odds
from tests.jpeg.pictures import scene

SIDE, FRAMES = 32, 6
QUIET = Odds(**{field.name: 0.0 for field in fields(Odds)})
"""Nothing happens, but there is noise."""


def clips(
    odds: Odds | None, seed: int = 0, recordings: tuple[NDArray[np.uint8], ...] = (), device: str = "cpu"
) -> Clips:
    rng = np.random.default_rng(seed)
    return Clips([scene(100, 90), scene(80, 120)], recordings, SIDE, FRAMES, rng, torch.device(device), odds)


def recording() -> NDArray[np.uint8]:
    """A pattern that rises by one level a frame."""
    still = np.random.default_rng(0).integers(0, 200, (40, 50, 3), dtype=np.uint8)
    return np.stack([still + np.uint8(time) for time in range(12)])


def changing(batch: ClipBatch) -> list[bool]:
    """Of each clip: whether its truth changes."""
    return (batch.truth != batch.truth[:1]).flatten(2).any(dim=2).any(dim=0).tolist()


def test_shapes_types_and_ranges() -> None:
    batch = clips(None, recordings=(recording(),)).batch(20)
    shape = (FRAMES, 20, SIDE, SIDE, 3)
    assert (batch.truth.shape, batch.truth.dtype) == (shape, torch.float32)
    assert (batch.seen.shape, batch.seen.dtype) == (shape, torch.uint8)
    assert (batch.sigma.shape, batch.sigma.dtype) == ((20,), torch.float32)
    assert batch.truth.min() >= 0
    assert batch.truth.max() <= 255
    assert batch.sigma.min() >= 0
    assert batch.sigma.max() <= 5


def test_the_same_seed_gives_the_same_clips_whatever_torchs_seed() -> None:
    first, second = (clips(None, seed=3, recordings=(recording(),)) for _ in range(2))
    for _ in range(2):
        one = first.batch(6)
        torch.manual_seed(int(one.seen.sum()))
        other = second.batch(6)
        assert torch.equal(one.truth, other.truth)
        assert torch.equal(one.seen, other.seen)
        assert torch.equal(one.sigma, other.sigma)


def test_a_new_generator_draws_all_that_follows() -> None:
    used, fresh = clips(None, seed=1), clips(None, seed=2)
    used.batch(4)
    used.rng = np.random.default_rng(2)
    assert torch.equal(used.batch(4).seen, fresh.batch(4).seen)


def test_before_a_fixed_camera_nothing_changes_but_the_noise() -> None:
    batch = clips(replace(QUIET, fixed=1.0)).batch(10)
    assert not any(changing(batch))
    assert torch.equal(batch.truth, batch.truth.round())
    for clip in range(10):
        moved = [not torch.equal(batch.seen[0, clip], batch.seen[frame, clip]) for frame in range(1, FRAMES)]
        assert all(moved) or batch.sigma[clip] < 0.3


def test_without_noise_the_truth_is_seen() -> None:
    batch = clips(replace(QUIET, moving=1.0, noiseless=1.0)).batch(6)
    assert torch.equal(batch.seen.float(), batch.truth.round())
    assert not batch.sigma.any()


def test_objects_move_before_a_fixed_camera() -> None:
    batch = clips(replace(QUIET, objects=1.0)).batch(30)
    assert sum(changing(batch)) > 20
    first, last = batch.truth[0], batch.truth[-1]
    assert (first == last).float().mean() > 0.3


def test_a_moving_camera_changes_the_whole_picture() -> None:
    batch = clips(replace(QUIET, moving=1.0)).batch(10)
    assert all(changing(batch))
    assert (batch.truth[0] != batch.truth[-1]).flatten(1).float().mean(dim=1).median() > 0.8


def test_after_a_cut_there_is_another_scene() -> None:
    batch = clips(replace(QUIET, fixed=1.0, cut=1.0)).batch(10)
    differs = (batch.truth[1:] != batch.truth[:-1]).flatten(2).any(dim=2)
    assert differs.sum(dim=0).tolist() == [1] * 10


def test_a_frozen_frame_has_the_same_noise() -> None:
    batch = clips(replace(QUIET, recorded=1.0, frozen=1.0), recordings=(recording(),)).batch(20)
    same_truth = (batch.truth[1:] == batch.truth[:-1]).flatten(2).all(dim=2)
    same_seen = (batch.seen[1:] == batch.seen[:-1]).flatten(2).all(dim=2)
    assert same_truth.any(dim=0).sum() > 10
    assert torch.equal(same_seen, same_truth)


def test_light_changes_the_truth_in_proportion() -> None:
    batch = clips(replace(QUIET, fixed=1.0, exposure=1.0)).batch(10)
    dark = batch.truth.amax(dim=0) < 250
    ratios = [batch.truth[-1, clip][dark[clip]] / batch.truth[0, clip][dark[clip]].clamp_min(1) for clip in range(10)]
    assert all(ratio.quantile(0.9) - ratio.quantile(0.1) < 1e-3 for ratio in ratios)
    assert max(abs(ratio.median().item() - 1) for ratio in ratios) > 0.1


def test_recordings_are_shown_as_they_are() -> None:
    batch = clips(replace(QUIET, recorded=1.0), recordings=(recording(),)).batch(20)
    steps = (batch.truth[1:] - batch.truth[:-1]).flatten(2)
    assert torch.equal(steps.amin(dim=2), steps.amax(dim=2))
    assert {abs(step) for step in steps.flatten().tolist()} == {1}
    assert {np.sign(step) for step in steps.flatten().tolist()} == {-1, 1}


def test_missing_frames_make_time_jump() -> None:
    batch = clips(replace(QUIET, recorded=1.0, dropped=1.0), recordings=(recording(),)).batch(20)
    steps = (batch.truth[1:] - batch.truth[:-1]).abs().flatten(2).amax(dim=2)
    assert set(steps.amax(dim=0).tolist()) <= {1, 2, 3, 4, 5, 6}
    assert steps.max() > 2


def test_where_there_are_no_recordings_the_other_kinds_take_their_place() -> None:
    batch = clips(replace(QUIET, fixed=0.1, recorded=0.9)).batch(8)
    assert not any(changing(batch))


def test_a_batch_is_mixed() -> None:
    found = changing(clips(None).batch(60))
    assert 15 < sum(found) < 55


def test_a_picture_has_to_leave_room_for_motion() -> None:
    with pytest.raises(SourceNotFound, match="not one picture of 80 by 80 pixels"):
        Clips([scene(79, 100)], [], SIDE, FRAMES, np.random.default_rng(0), torch.device("cpu"))


@needs_gpu
def test_on_a_gpu_the_scenes_are_the_same() -> None:
    ours, theirs = (clips(None, seed=1, recordings=(recording(),), device=kind).batch(20) for kind in ("cpu", "cuda"))
    assert {item.device.type for item in (theirs.truth, theirs.seen, theirs.sigma)} == {"cuda"}
    difference = (ours.truth - theirs.truth.cpu()).abs()
    assert difference.mean() < 0.01
    torch.testing.assert_close(ours.sigma, theirs.sigma.cpu())
