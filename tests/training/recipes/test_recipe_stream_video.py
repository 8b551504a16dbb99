"""One stage trains the gates alone, and what the past makes worse counts in it; the last one trains the rest."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.lacking import needs

needs("torch")

import torch

from mjpeg_restore.models.stream import STREAM_LITE
from mjpeg_restore.models.stream_video import StreamVideo
from mjpeg_restore.training.degradation import CompressedClips
from mjpeg_restore.training.objectives import over_frames, over_frames_without_harm
from mjpeg_restore.training.recipes import MODELS


def clips(*, moves: bool) -> CompressedClips:
    """Six frames without noise: of one scene, or of another one each."""
    random = torch.Generator().manual_seed(4)
    shapes = [(6, 2, 6, 8, 64), (6, 2, 3, 4, 64), (6, 2, 3, 4, 64)]
    scenes = [torch.randn(shape, generator=random) * 60 / (1 + torch.arange(64)) for shape in shapes]
    originals = [scene if moves else scene[:1].expand(shape) for scene, shape in zip(scenes, shapes, strict=True)]
    tables = [torch.full((6, 2, 64), 12.0) for _ in shapes]
    return CompressedClips([(one / 12).round() for one in originals], tables, originals)


@pytest.mark.parametrize("moves", [False, True])
def test_what_the_past_makes_worse_counts_in_addition(moves: bool) -> None:
    torch.manual_seed(1)
    network = StreamVideo(STREAM_LITE).eval()  # whose gate believes everything
    for weight in (network.enter_state.weight, network.chroma_enter_state.weight):
        torch.nn.init.normal_(weight, std=0.02)
    batch = clips(moves=moves)
    with torch.no_grad():
        plain, careful = over_frames(network, batch).item(), over_frames_without_harm(network, batch).item()
    harm = careful - plain
    assert harm > 1 if moves else 0 <= harm < 0.2


def test_a_single_frame_has_no_past_that_harms() -> None:
    network, batch = StreamVideo(STREAM_LITE).eval(), clips(moves=True)
    first = replace(
        batch, **{name: [one[:1] for one in getattr(batch, name)] for name in ("quantised", "tables", "original")}
    )
    with torch.no_grad():
        assert over_frames_without_harm(network, first).item() == pytest.approx(over_frames(network, first).item())


@pytest.mark.parametrize("name", ["stream-video", "stream-video-lite"])
def test_a_stage_trains_the_gates_alone(name: str) -> None:
    recipe = MODELS[name].stages["gates"]
    network = recipe.build().train()
    trained = {name.partition(".")[0] for name, one in network.named_parameters() if one.requires_grad}
    assert trained == {"gate", "chroma_gate"}
    before = {key: value.clone() for key, value in network.state_dict().items()}
    assert recipe.objective is over_frames_without_harm
    over_frames_without_harm(network, clips(moves=True)).backward()
    for key, value in network.state_dict().items():
        if key.endswith(".step"):  # nor what int8 features are rounded to
            assert torch.equal(value, before[key]), key


@pytest.mark.parametrize("name", ["stream-video", "stream-video-lite"])
def test_the_last_stage_trains_all_but_the_gates(name: str) -> None:
    recipe = MODELS[name].stages["rest"]
    network = recipe.build().train()
    left = {name.partition(".")[0] for name, one in network.named_parameters() if not one.requires_grad}
    assert left == {"gate", "chroma_gate"}
    assert recipe.init_from == f"{name}/gates"
    assert [variant.grey for variant in MODELS[name].variants] == ["rest"]
