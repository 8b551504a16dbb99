from __future__ import annotations

import dataclasses
import logging
import re
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from tests.lacking import needs

needs("torch")

import torch

from mjpeg_restore.errors import ModelCorrupt, ModelError, SourceNotFound
from mjpeg_restore.training.checkpoints import Progress, record
from mjpeg_restore.training.degradation import Compressed
from mjpeg_restore.training.objectives import OnPlanes, absolute_error, planes, root_mean_square
from mjpeg_restore.training.optimiser import Descent
from mjpeg_restore.training.recipe import Adversary
from tests.training.tiny import TINY, trainer


def test_twenty_steps_on_one_batch_lower_its_loss(tmp_path: Path) -> None:
    run = trainer(tmp_path)
    run.progress.steps = 200  # behind the warm-up
    losses = []
    for _ in range(20):
        run.crops.rng = np.random.default_rng(7)  # the same crops and tables each time
        losses.append(run.step(0.0).item())
    assert losses[-1] < 0.98 * losses[0]


def test_the_learning_rate_warms_up_and_falls_to_nothing(tmp_path: Path) -> None:
    run = trainer(tmp_path)
    rates = []
    for steps, share in [(0, 0.0), (99, 0.0), (500, 0.1), (500, 0.625), (500, 1.0)]:
        run.progress.steps = steps
        run.step(share)
        rates.append(run.optimisers[1].param_groups[0]["lr"] / TINY.learning_rate)
    assert rates == pytest.approx([1 / 200, 0.5, 1, 0.5, 0])


def test_a_run_is_resumed_where_its_checkpoint_left_it(
    tmp_path: Path, ticking: None, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    first = trainer(tmp_path)
    first.run(minutes=5 / 60)
    assert first.progress.steps == 5
    assert "gain in dB" in caplog.text
    second = trainer(tmp_path, seed=1)
    second.resume()
    assert second.progress == first.progress
    for ours, theirs in zip(second.model.state_dict().values(), first.model.state_dict().values(), strict=True):
        assert torch.equal(ours, theirs)
    second.run(minutes=5 / 60)  # the budget is that of the whole run: nothing is left of it
    assert second.progress.steps == 5
    second.run(minutes=8 / 60)
    assert second.progress.steps == 8


def test_a_run_that_is_not_resumed_leaves_the_earlier_one_beside_it(tmp_path: Path, ticking: None) -> None:
    first = trainer(tmp_path)
    first.run(minutes=5 / 60)
    hours = first.checkpoint.read_bytes()
    second = trainer(tmp_path, seed=1)
    second.run(minutes=1 / 60)
    assert first.checkpoint.with_name("earlier.pt").read_bytes() == hours != second.checkpoint.read_bytes()


def test_a_run_may_have_a_budget_in_batches(tmp_path: Path, ticking: None) -> None:
    run = trainer(tmp_path)
    run.run(minutes=9 / 60, batches=4)
    assert run.progress.steps == 4
    assert run.spent(9 / 60, batches=8) == 0.5
    run.run(minutes=6 / 60, batches=100)
    assert run.progress.steps == 6


def test_a_run_reports_as_it_goes(tmp_path: Path, ticking: None, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    trainer(tmp_path).run(minutes=5 / 60, report_every=1.5)
    assert [re.findall(r"step (\d+)", record.getMessage()) for record in caplog.records] == [["1"], ["3"], ["5"], ["5"]]


def test_a_run_that_diverges_ends_and_keeps_its_checkpoint(tmp_path: Path, ticking: None) -> None:
    run = trainer(tmp_path)
    run.run(minutes=3 / 60)
    kept = run.checkpoint.read_bytes()
    run.objective = lambda network, coded: root_mean_square(network, coded) * float("nan")
    with pytest.raises(ModelError, match="after 5 batches the loss is no number any more") as caught:
        run.run(minutes=5 / 60)
    assert "\n" not in str(caught.value)
    assert run.checkpoint.read_bytes() == kept


def test_a_run_that_has_diverged_keeps_its_checkpoint_when_it_is_interrupted(tmp_path: Path, ticking: None) -> None:
    run = trainer(tmp_path)
    run.run(minutes=3 / 60)
    kept = run.checkpoint.read_bytes()

    def diverge(coded: Compressed) -> torch.Tensor:
        with torch.no_grad():
            next(run.model.parameters()).fill_(float("nan"))
        raise KeyboardInterrupt

    run.take = diverge
    with pytest.raises(ModelError, match="after 3 batches a weight is no number any more"):
        run.run(minutes=9 / 60)
    assert run.checkpoint.read_bytes() == kept


def test_a_run_that_diverges_at_once_can_be_resumed_as_its_error_says(tmp_path: Path, ticking: None) -> None:
    run = trainer(tmp_path)
    run.objective = lambda network, coded: root_mean_square(network, coded) * float("nan")
    with pytest.raises(ModelError, match="resume from the checkpoint"):
        run.run(minutes=3 / 60)
    again = trainer(tmp_path, seed=1)
    again.resume()
    again.run(minutes=3 / 60)
    assert again.progress.steps == 3


def test_a_run_that_is_interrupted_in_its_last_validation_is_kept(
    tmp_path: Path, ticking: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = trainer(tmp_path)

    def interrupt() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(run, "validate", interrupt)
    with pytest.raises(KeyboardInterrupt):
        run.run(minutes=3 / 60)
    again = trainer(tmp_path, seed=1)
    again.resume()
    assert again.progress.steps == 3
    for ours, theirs in zip(again.model.state_dict().values(), run.model.state_dict().values(), strict=True):
        assert torch.equal(ours, theirs)


def test_the_crops_of_a_resumed_run_depend_on_its_seed(tmp_path: Path) -> None:
    trainer(tmp_path).save()
    drawn = []
    for seed in (3, 3, 4):
        run = trainer(tmp_path)
        run.seed = seed
        run.resume()
        drawn.append(run.crops.rng.random())
    assert drawn[0] == drawn[1] != drawn[2]


def test_a_run_of_another_recipe_is_not_continued(tmp_path: Path) -> None:
    trainer(tmp_path).save()
    run = trainer(tmp_path, dataclasses.replace(TINY, optimiser=Descent(0.0)))
    told = r"checkpoint\.pt: made by another recipe \(optimiser muon, not Descent\(.*\)\): resume it as it was begun"
    with pytest.raises(ModelCorrupt, match=told):
        run.resume()


def test_a_run_says_how_it_is_trained(tmp_path: Path) -> None:
    assert (trainer(tmp_path).settings["loss"], trainer(tmp_path).settings["optimiser"]) == ("root_mean_square", "muon")
    recipe = dataclasses.replace(TINY, objective=OnPlanes(absolute_error), optimiser=Descent(weight_decay=0.5))
    told = trainer(tmp_path, recipe).settings
    assert (told["loss"], told["optimiser"]) == ("absolute_error", "Descent(weight_decay=0.5, momentum=0.9)")


def test_a_part_begins_where_another_ended(tmp_path: Path) -> None:
    first, second = trainer(tmp_path / "first"), trainer(tmp_path / "second", seed=1)
    first.save()
    second.begin_from(first.checkpoint)
    for ours, theirs in zip(second.model.state_dict().values(), first.model.state_dict().values(), strict=True):
        assert torch.equal(ours, theirs)
    assert second.progress.steps == 0
    told = second.settings["before"]
    first.progress.steps = 7  # it goes on
    first.save()
    second.save()
    again = trainer(tmp_path / "second")
    again.resume()
    assert again.settings["before"] == told == record(asdict(Progress(settings=first.settings)), tmp_path)


def test_a_part_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceNotFound, match=r"checkpoint\.pt: no such file to begin from"):
        trainer(tmp_path).begin_from(tmp_path / "checkpoint.pt")


def test_another_networks_checkpoint_is_one_line(tmp_path: Path) -> None:
    torch.save({"model": {"body.weight": torch.zeros(3)}}, tmp_path / "checkpoint.pt")
    for take in (lambda run: run.resume(), lambda run: run.begin_from(tmp_path / "checkpoint.pt")):
        with pytest.raises(ModelCorrupt, match="not a checkpoint of this network") as caught:
            take(trainer(tmp_path))
        assert "\n" not in str(caught.value)


class Brightness(Adversary):
    """Learns one number, the originals' mean; the network is to come near it."""

    learning_rate = 0.1
    betas = (0.5, 0.9)
    description = "brightness"

    def __init__(self) -> None:
        super().__init__()
        self.level = torch.nn.Parameter(torch.tensor(0.0))

    def forward(self, network: torch.nn.Module, coded: Compressed) -> torch.Tensor:
        restored, _ = planes(network, coded)
        return (restored[0].mean() - self.level) ** 2

    def discriminate(self, coded: Compressed) -> torch.Tensor:
        return ((coded.planes[0] + 128).mean() / 255 - self.level) ** 2


def test_an_adversary_learns_in_turn_and_is_resumed(tmp_path: Path) -> None:
    recipe = dataclasses.replace(TINY, objective=None, adversary=Brightness)
    runs = [trainer(tmp_path, recipe, seed=seed) for seed in (0, 1)]
    for _ in range(3):
        runs[0].progress.steps = 300
        runs[0].step(0.0)
    first, second = (run.adversary for run in runs)
    assert isinstance(first, Brightness) and isinstance(second, Brightness)
    assert first.level.item() > 0.1
    runs[0].save()
    runs[1].resume()
    assert second.level.item() == first.level.item()


@pytest.mark.parametrize(
    ("capability", "dtype", "word"), [("AVX512", torch.bfloat16, "bf16"), ("AVX2", torch.float32, "float32")]
)
def test_bf16_is_for_cpus_that_are_quick_at_it(
    capability: str, dtype: torch.dtype, word: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    run = trainer(tmp_path)
    assert run.settings["precision"] == word
    with run.precision():
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype is dtype
    assert run.step(0.0).isfinite()
