from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from tests.lacking import needs, needs_gpu

needs("torch")

import torch

from mjpeg_restore.models.papers.one_to_many import OneToMany, OneToManyConfig
from mjpeg_restore.training.capture import EAGER, Captured, set_rate
from mjpeg_restore.training.critics import NaturalnessCritic, RelativisticCritic
from mjpeg_restore.training.degradation import Compressed, Degradation
from mjpeg_restore.training.discriminator import dcgan, doubled
from mjpeg_restore.training.loop import Trainer
from mjpeg_restore.training.optimiser import adam
from mjpeg_restore.training.recipe import Recipe
from tests.training.tiny import TINY, trainer

CONTEST = dataclasses.replace(
    TINY, objective=None, adversary=lambda: RelativisticCritic(dcgan(3, width=8), None, 1e-4), optimiser=adam
)


def on_gpu(folder: Path, recipe: Recipe = TINY) -> Trainer:
    return trainer(folder, recipe, device=torch.device("cuda"), dtype=torch.float32)


@needs_gpu
@pytest.mark.parametrize("recipe", [TINY, CONTEST], ids=["objective", "adversary"])
def test_captured_steps_are_the_same_steps(tmp_path: Path, recipe: Recipe) -> None:
    captured, plain = on_gpu(tmp_path, recipe), on_gpu(tmp_path, recipe)
    plain.take = plain.train_on
    before = [weight.clone() for weight in captured.adversary.parameters()] if captured.adversary else []
    losses = [[run.step(0.0).item() for _ in range(60)] for run in (captured, plain)]
    assert isinstance(captured.take, Captured)
    if captured.adversary and plain.adversary:
        for start, ours, theirs in zip(
            before, captured.adversary.parameters(), plain.adversary.parameters(), strict=True
        ):
            assert (ours - start).norm() > 0
            assert (ours - theirs).norm() <= 0.2 * (ours - start).norm()
    assert len(captured.take.recordings) > 1  # samplings take turns
    assert losses[0] == pytest.approx(losses[1], rel=1e-2)
    captured.save()
    again = on_gpu(tmp_path, recipe)
    again.resume()
    assert again.step(0.0).isfinite()


@needs_gpu
def test_a_captured_step_draws_anew(tmp_path: Path) -> None:
    config = OneToManyConfig(width=4, branch_units=1, aggregation_units=1)
    recipe = dataclasses.replace(
        CONTEST,
        build=lambda: OneToMany(config),
        adversary=lambda: NaturalnessCritic(doubled(1, width=4), None, 1e-4, variety=True),
        degradation=Degradation((10, 10), colour=False),
    )
    run = on_gpu(tmp_path, recipe)
    for _ in range(20):
        run.step(0.5)
    assert isinstance(run.take, Captured)
    assert isinstance(run.adversary, NaturalnessCritic)
    (recording,) = run.take.recordings.values()
    batch = run.compressed(0.5)
    for optimiser in run.optimisers:  # so that the weights stay, and another picture is another z's
        for group in optimiser.param_groups:
            set_rate(group, 0.0)
    candidates = []
    for _ in range(2):
        recording.replay(batch)
        candidates.append(run.adversary.both()[1].clone())
    assert not torch.equal(*candidates)


@needs_gpu
def test_a_step_that_cannot_be_captured_is_taken_all_the_same(caplog: pytest.LogCaptureFixture) -> None:
    taken: list[float] = []

    def step(batch: Compressed) -> torch.Tensor:
        loss = batch.quantised[0].sum()
        taken.append(loss.item())  # waits for the device: nothing for a graph
        return loss

    tensors = [torch.ones(1, 1, 1, 64, device="cuda")]
    batch = Compressed(tensors, [torch.ones(1, 64, device="cuda")], tensors, tensors, [])
    take = Captured(step)
    assert [take(batch).item() for _ in range(EAGER + 2)] == [64.0] * (EAGER + 2)
    assert "one by one" in caplog.text


def test_what_a_gpu_trained_is_trained_further_without_one(tmp_path: Path) -> None:
    first, second = trainer(tmp_path), trainer(tmp_path)
    first.step(0.0)
    for optimiser in first.optimisers:  # as `prepare` leaves them on CUDA
        for group in optimiser.param_groups:
            group["lr"] = torch.tensor(group["lr"])
            if "capturable" in group:
                group["capturable"] = True
    first.save()
    second.resume()
    assert second.step(0.0).isfinite()
    rates = [group["lr"] for optimiser in second.optimisers for group in optimiser.param_groups]
    assert all(isinstance(rate, float) for rate in rates)


def test_precision_is_as_asked_for(tmp_path: Path) -> None:
    for dtype, word in ((torch.bfloat16, "bf16"), (torch.float32, "float32")):
        asked = trainer(tmp_path, dtype=dtype)
        assert asked.settings["precision"] == word
        with asked.precision():
            assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype is dtype
