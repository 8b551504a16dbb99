"""stream-video: without a past it is stream, a past that says the same is kept, and the cell always holds."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from mjpeg_restore.catalogue.ports import HISTORY
from mjpeg_restore.models.kept import observation
from mjpeg_restore.models.stream import STREAM_LITE, Stream
from mjpeg_restore.models.stream_video import State, StreamVideo
from mjpeg_restore.runtime.cpu.projection import CELL
from mjpeg_restore.runtime.cpu.state import LONGEST
from mjpeg_restore.training.degradation import scaled
from mjpeg_restore.training.recipes.stream_video import ADDED


@pytest.fixture
def network() -> StreamVideo:
    torch.manual_seed(0)
    found = StreamVideo(STREAM_LITE).eval()
    for parameter in found.predict.parameters():  # zero at first
        torch.nn.init.normal_(parameter, std=0.1)
    return found


def frame(seed: int, *, quality: int = 50, grey: bool = False) -> list[Tensor]:
    """Coefficients and tables of a picture of noise, 4:2:0."""
    source = torch.Generator().manual_seed(seed)
    tables = torch.from_numpy(scaled(quality))
    components: list[Tensor] = []
    for high, wide, table in ((4, 6, 0), (2, 3, 1), (2, 3, 1))[: 1 if grey else 3]:
        components += [torch.randn(1, high, wide, 64, generator=source).mul(2).round(), tables[None, table]]
    return components


def empty(components: list[Tensor]) -> list[State]:
    return [State.empty(k) for k in components[::2]]


@pytest.mark.parametrize("grey", [False, True])
@torch.no_grad()
def test_a_first_frame_is_restored_as_stream_does_it(network: StreamVideo, *, grey: bool) -> None:
    alone = Stream(STREAM_LITE).eval()
    alone.load_state_dict({name: network.state_dict()[name] for name in alone.state_dict()})
    components = frame(1, grey=grey)
    states, shares, lefts = network.remember(empty(components), *components)
    restored = network.restore_from(states, shares, lefts, *components)
    for found, wanted in zip(restored, alone.place(*components), strict=True):
        assert torch.allclose(found, wanted, atol=1e-5)


@torch.no_grad()
def test_the_mean_of_frames_that_are_believed(network: StreamVideo) -> None:
    torch.nn.init.constant_(network.gate.decide.bias, 50.0)  # everything is believed  # pyright: ignore[reportArgumentType]
    torch.nn.init.zeros_(network.gate.decide.weight)
    torch.nn.init.zeros_(network.gate.own)
    frames = [frame(seed, grey=True) for seed in range(5)]
    states = empty(frames[0])
    for components in frames:
        states, _, _ = network.remember(states, *components)
    mean = torch.stack([k * q[:, None, None] for k, q in frames]).mean(dim=0)
    assert torch.allclose(states[0].mean, mean, atol=1e-3)
    assert torch.allclose(states[0].evidence, 5 * observation(frames[0][1])[:, None, None].expand_as(mean))


@torch.no_grad()
def test_a_frame_with_coarser_steps_counts_less(network: StreamVideo) -> None:
    torch.nn.init.constant_(network.gate.decide.bias, 50.0)  # pyright: ignore[reportArgumentType]
    torch.nn.init.zeros_(network.gate.decide.weight)
    torch.nn.init.zeros_(network.gate.own)
    fine, coarse = frame(1, quality=90, grey=True), frame(2, quality=10, grey=True)
    states, _, _ = network.remember(empty(fine), *fine)
    (state,), (share,), _ = network.remember(states, *coarse)
    assert (share > 0.9).float().mean() > 0.9
    seen, later = (k * q[:, None, None] for k, q in (fine, coarse))
    assert torch.allclose(state.mean, share * seen + (1 - share) * later, atol=1e-3)


@torch.no_grad()
def test_evidence_is_bounded_and_no_evidence_is_no_past(network: StreamVideo) -> None:
    torch.nn.init.constant_(network.gate.decide.bias, 50.0)  # pyright: ignore[reportArgumentType]
    components = frame(1)
    states = empty(components)
    for _ in range(round(2 * LONGEST)):
        states, _, _ = network.remember(states, *components)
    for state, q in zip(states, components[1::2], strict=True):
        assert (state.evidence <= LONGEST * observation(q)[:, None, None] * 1.001).all()
    torch.nn.init.constant_(network.gate.decide.bias, -50.0)  # pyright: ignore[reportArgumentType]
    torch.nn.init.constant_(network.chroma_gate.decide.bias, -50.0)  # pyright: ignore[reportArgumentType]
    other = frame(2)
    after, shares, lefts = network.remember(states, *other)
    for state, share, left, k, q in zip(after, shares, lefts, other[::2], other[1::2], strict=True):
        assert share.max() < 1e-6
        assert left.abs().max() < 1e-3
        assert torch.allclose(state.mean, k * q[:, None, None], atol=1e-3)


@torch.no_grad()
def test_whatever_the_state_says_the_frames_cell_holds(network: StreamVideo) -> None:
    components = frame(1)
    wild = [State(1000 * torch.randn_like(k), torch.full_like(k, 5.0)) for k in components[::2]]
    states, shares, lefts = network.remember(wild, *components)
    restored = network.restore_from(states, shares, lefts, *components)
    for place, k in zip(restored, components[::2], strict=True):
        assert (place - k).abs().max() <= CELL + 1e-4


def test_the_gate_learns_from_what_was_restored_later(network: StreamVideo) -> None:
    frames = [frame(seed) for seed in range(3)]
    states = empty(frames[0])
    for components in frames:
        states, shares, lefts = network.remember(states, *components)
    restored = network.restore_from(states, shares, lefts, *frames[-1])
    torch.stack([place.square().mean() for place in restored]).sum().backward()
    for gate in (network.gate, network.chroma_gate):
        assert gate.judge.weight.grad is not None
        assert gate.judge.weight.grad.abs().sum() > 0


def test_the_recipe_names_the_layers_that_stream_lacks() -> None:
    added = {name.partition(".")[0] for name in StreamVideo(STREAM_LITE).state_dict()}
    added -= {name.partition(".")[0] for name in Stream(STREAM_LITE).state_dict()}
    assert added == {*ADDED}


# ---- with the state of an exported graph ----


def restored_with(network: StreamVideo, before: list[Tensor], components: list[Tensor]) -> list[Tensor]:
    """The state after a frame, as `with_state` gives it."""
    _, *after = network.with_state(before, *components)
    assert len(after) == len(before)
    return [part for part in after if isinstance(part, Tensor)]


def believing(network: StreamVideo, logit: float) -> None:
    """Have the gates say the same of every coefficient."""
    for gate in (network.gate, network.chroma_gate):
        torch.nn.init.zeros_(gate.decide.weight)
        torch.nn.init.zeros_(gate.own)
        torch.nn.init.constant_(gate.decide.bias, logit)  # pyright: ignore[reportArgumentType]


def known(components: list[Tensor], corrections: list[Tensor]) -> list[Tensor]:
    """A state whose means are a frame's coefficients, of as much evidence as there may be."""
    parts = zip(components[::2], components[1::2], corrections, strict=True)
    return [
        part
        for k, q, correction in parts
        for part in (
            k * q[:, None, None],
            LONGEST * observation(q)[:, None, None].expand_as(k),
            correction,
            torch.zeros(1, HISTORY),
        )
    ]


@torch.no_grad()
def test_what_was_added_before_lasts_where_all_of_the_past_is_believed(network: StreamVideo) -> None:
    for predict in (network.predict, network.chroma_predict):  # nothing is added now
        for parameter in predict.parameters():
            torch.nn.init.zeros_(parameter)
    believing(network, 50)
    components = frame(1, quality=10)
    corrections = [torch.full_like(k, 3.0) for k in components[::2]]
    after = restored_with(network, known(components, corrections), components)
    share = (LONGEST - 1) / LONGEST
    for correction, table in zip(after[2::4], components[1::2], strict=True):
        wanted = 3 * share**6 / (1 + 12 / table**2)
        torch.testing.assert_close(correction, wanted[:, None, None].expand_as(correction), rtol=1e-3, atol=1e-3)


@torch.no_grad()
def test_what_was_added_before_is_nothing_where_nothing_of_the_past_is_believed(network: StreamVideo) -> None:
    believing(network, -200)
    components = frame(2)
    corrections = [[scale * torch.randn_like(k) for k in components[::2]] for scale in (0, 100)]
    pair = [restored_with(network, known(components, some), components) for some in corrections]
    for one, other in zip(*pair, strict=True):
        torch.testing.assert_close(one, other)


@torch.no_grad()
def test_what_is_kept_is_shown_within_the_frames_cell(network: StreamVideo) -> None:
    components = frame(3)
    corrections = [1000 * torch.randn_like(k) for k in components[::2]]
    samples, *after = network.with_state(known(components, corrections), *components)
    for plane, mean, correction, k, q in zip(
        samples, after[::4], after[2::4], components[::2], components[1::2], strict=True
    ):
        assert isinstance(mean, Tensor) and isinstance(correction, Tensor)
        kept = (mean + correction) / q[:, None, None]
        shown = plane @ network.inverse_dct.matrix.T / q[:, None, None] - k
        assert shown.abs().max() <= CELL + 1e-4
        far = (kept - k).abs() > 2 * CELL
        assert far.any() and not far.all()
        torch.testing.assert_close(shown[far], CELL * (kept - k)[far].sign(), rtol=1e-3, atol=1e-3)
        # Within, the cell moves what is kept further, by what the mean of that many frames leaves to it.
        rest = 1 - ((LONGEST - 1) / LONGEST) ** 8
        assert (shown - (kept - k).clamp(-CELL, CELL)).abs().max() < rest * CELL


@torch.no_grad()
def test_a_first_frame_with_a_state_is_that_of_the_network_alone(network: StreamVideo) -> None:
    components = frame(4)
    before = [part for k in components[::2] for part in (*[torch.zeros_like(k)] * 3, torch.zeros(1, HISTORY))]
    samples, *_ = network.with_state(before, *components)
    for found, wanted in zip(samples, network(*components), strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-4)
