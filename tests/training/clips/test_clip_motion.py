from __future__ import annotations

import numpy as np
import pytest

from tests.lacking import needs

needs("torch")

import torch

from mjpeg_restore.training.clips.motion import Path, camera_paths, travelled, view
from mjpeg_restore.training.clips.objects import MOST, cut_outs, object_paths, place_objects, with_objects
from tests.jpeg.pictures import scene

TIMES = np.arange(5)[:, None]


def picture(side: int = 40) -> torch.Tensor:
    return torch.from_numpy(scene(side, side)).permute(2, 0, 1)[None].float()


def path(x: float = 0, y: float = 0, scale: float = 1, angle: float = 0) -> Path:
    return Path(np.array([[[x, y]]]), np.array([[scale]], float), np.array([[angle]], float))


@pytest.mark.parametrize(("x", "y"), [(0, 0), (3, 0), (0, -5), (-12, 12)])
def test_a_whole_pixel_away_the_picture_is_as_sharp_as_ever(x: int, y: int) -> None:
    seen = view(picture(), path(x, y), 16, "zeros")
    expected = picture()[:, :, 12 + y : 28 + y, 12 + x : 28 + x].permute(0, 2, 3, 1)
    torch.testing.assert_close(seen[0], expected, atol=0.02, rtol=0)


def test_half_a_pixel_away_lies_between_its_neighbours() -> None:
    ramp = torch.arange(40.0).expand(1, 1, 40, 40)
    seen = view(ramp, path(0.5), 16, "zeros")
    torch.testing.assert_close(seen[0, 0, 0, :, 0], torch.arange(12.5, 28))


def test_a_camera_that_turns_sees_the_picture_turned() -> None:
    seen = view(picture(), path(angle=np.pi / 2), 16, "zeros")
    straight = view(picture(), path(), 16, "zeros")
    torch.testing.assert_close(seen[0, 0], straight[0, 0].rot90(), atol=0.05, rtol=0)


def test_a_larger_scale_sees_more() -> None:
    ramp = torch.arange(40.0).expand(1, 1, 40, 40)
    row = view(ramp, path(scale=2), 16, "zeros")[0, 0, 0, :, 0]
    torch.testing.assert_close(row.diff(), torch.full((15,), 2.0))


def test_beyond_the_border_is_the_mirror_or_nothing() -> None:
    far = path(x=30)
    assert not view(picture(), far, 8, "zeros")[..., -1, :].any()
    assert view(picture(), far, 8, "reflection").amin(dim=(2, 3)).amax() > 0


def test_movers_keep_their_speed_or_rest() -> None:
    movers = 300
    speeds = np.full(movers, 4.0)
    way = travelled(np.repeat(np.arange(12)[:, None], movers, axis=1), speeds, np.random.default_rng(0))
    steps = np.linalg.norm(np.diff(way, axis=0), axis=-1)
    assert steps.max() < 4.001
    rests, moves = steps < 1e-6, steps > 3.999
    assert 0.4 < moves.all(axis=0).mean() < 0.8
    stopped, started = moves[0] & rests[-1], rests[0] & moves[-1]
    assert stopped.any()
    assert started.any()


def test_every_camera_moves() -> None:
    found = camera_paths(np.repeat(TIMES, 200, axis=1), np.random.default_rng(0))
    state = np.concatenate([found.position, found.scale[..., None], found.angle[..., None]], axis=-1)
    still = (state == state[:1]).all(axis=(0, 2))
    assert still.mean() < 0.25  # those slower than half a pixel that keep to whole ones
    assert 0.6 < found.scale.min() <= found.scale.max() < 2


def test_objects_meet_the_frame() -> None:
    found = object_paths(np.repeat(TIMES, 100, axis=1), 32, np.random.default_rng(0))
    nearest = np.abs(found.position).max(axis=-1).min(axis=0)
    assert nearest.max() <= 16


def test_cut_outs_have_soft_edges_and_fade_to_nothing() -> None:
    pictures = torch.from_numpy(np.stack([scene(96, 96)] * 40))
    layers = cut_outs(pictures, np.random.default_rng(0))
    assert layers.shape == (40, 5, 96, 96)
    mask, shadow = layers[:, 3], layers[:, 4]
    for layer in (mask, shadow):
        assert 0 <= layer.min() <= layer.max() <= 1
        assert not layer[:, :2].any()
        assert not layer[:, :, -2:].any()
    assert (mask.amax(dim=(1, 2)) == 1).float().mean() > 0.9
    assert ((mask > 0) & (mask < 1)).flatten(1).any(dim=1).all()
    assert 5 < (shadow.amax(dim=(1, 2)) > 0).sum() < 35


def test_objects_move_and_uncover_exactly_what_was_behind_them() -> None:
    rng = np.random.default_rng(0)
    background = torch.from_numpy(rng.uniform(0, 255, (20, 96, 96, 3)).astype(np.float32))
    scenes = background.expand(5, -1, -1, -1, -1).clone()
    pictures = torch.from_numpy(np.stack([scene(144, 144)] * 40))
    with_objects(scenes, np.repeat(TIMES, 20, axis=1), np.full(20, 2), pictures, rng)
    covered = (scenes != background).any(dim=-1)
    assert covered.any(dim=0).flatten(1).any(dim=1).all()
    assert covered.float().mean() < 0.4
    moved = (covered[1:] != covered[:-1]).flatten(2).any(dim=2)
    assert moved.float().mean() > 0.8


def test_what_no_object_covers_stays_as_it_is() -> None:
    rng = np.random.default_rng(0)
    scenes = torch.from_numpy(rng.uniform(0, 255, (2, 3, 8, 8, 3)).astype(np.float32))
    before = scenes.clone()
    numbers = np.array([1, 0, MOST])
    layers = torch.zeros(2, 1 + MOST, 8, 8, 5)
    layers[:, 0, 2:4, 2:4] = torch.tensor([10.0, 20, 30, 1, 0])
    layers[:, -1, 5, 5, 4] = 0.5
    place_objects(scenes, numbers, layers)
    assert (scenes[:, 0, 2:4, 2:4] == torch.tensor([10.0, 20, 30])).all()
    assert torch.equal(scenes[:, 2, 5, 5], before[:, 2, 5, 5] / 2)
    scenes[:, 0, 2:4, 2:4], scenes[:, 2, 5, 5] = before[:, 0, 2:4, 2:4], before[:, 2, 5, 5]
    assert torch.equal(scenes, before)
