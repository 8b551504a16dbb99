from __future__ import annotations

import dataclasses
import json
import logging
from collections.abc import Iterator
from dataclasses import asdict
from itertools import count
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from numpy.typing import NDArray

torch = pytest.importorskip("torch")

from mjpeg_restore.errors import ModelCorrupt, ModelError, SourceNotFound  # noqa: E402
from mjpeg_restore.models.decode import dct_matrix, plane_to_blocks  # noqa: E402
from mjpeg_restore.models.stream import Stream, StreamConfig  # noqa: E402
from mjpeg_restore.training import loop  # noqa: E402
from mjpeg_restore.training.data import Crops  # noqa: E402
from mjpeg_restore.training.degradation import Compressed, Degradation  # noqa: E402
from mjpeg_restore.training.loop import Progress, Trainer, record  # noqa: E402
from mjpeg_restore.training.objectives import planes, root_mean_square  # noqa: E402
from mjpeg_restore.training.optimiser import Descent, Muon, muon, orthogonalise  # noqa: E402
from mjpeg_restore.training.recipe import Adversary, Cosine, Linear, Recipe, Steps, shortened  # noqa: E402
from mjpeg_restore.training.recipes import FAMILIES  # noqa: E402
from mjpeg_restore.training.teacher import Teacher  # noqa: E402

CPU = torch.device("cpu")
TINY = Recipe(
    build=lambda: Stream(StreamConfig(width=8, blocks=1, hidden=12, chroma_width=8, chroma_blocks=1)),
    objective=root_mean_square,
    side=32,
    batch=4,
    warm_up=200,
    longest_gradient=1.0,
)


def picture(height: int, width: int) -> NDArray[np.uint8]:
    """Slopes and an edge, no noise: there is something to learn."""
    y, x = np.mgrid[:height, :width]
    luma = 90 + 40 * np.sin(x / 7) + 40 * np.cos(y / 9) + 40 * (x + y > width)
    return np.stack([luma, luma + 8, luma - 16], axis=-1).clip(0, 255).astype(np.uint8)


def trainer(folder: Path, seed: int = 0) -> Trainer:
    torch.manual_seed(seed)
    crops = Crops([picture(64, 64), picture(64, 96)], TINY.side, np.random.default_rng(seed), CPU)
    cameras = np.empty((0, 2, 64), np.float32)
    return Trainer(TINY.build(), TINY, crops, cameras, [picture(48, 64)], folder, CPU)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Networks as small as these are only slowed by more."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def ticking(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock on which every step takes a second."""
    clock = count()
    monkeypatch.setattr(loop, "time", SimpleNamespace(monotonic=lambda: float(next(clock))))


# ---- the optimiser ----


@pytest.mark.parametrize("shape", [(16, 16), (8, 72), (72, 8)])
def test_orthogonalised_matrices_have_singular_values_near_one(shape: tuple[int, int]) -> None:
    torch.manual_seed(0)
    values = torch.linalg.svdvals(orthogonalise(torch.randn(shape)))
    assert values.min() > 0.5
    assert values.max() < 1.3


def test_muon_takes_the_kernels_and_adam_the_rest() -> None:
    network = TINY.build()
    first, adam = muon(network, 1e-3)
    assert isinstance(first, Muon)
    kernels = [parameter for group in first.param_groups for parameter in group["params"]]
    others = [parameter for group in adam.param_groups for parameter in group["params"]]
    assert {parameter.ndim for parameter in kernels} == {4}
    assert network.predict.phases.weight not in set(kernels)
    assert len(kernels) + len(others) == len(list(network.parameters()))


def test_muon_goes_downhill() -> None:
    torch.manual_seed(0)
    weight, target = torch.nn.Parameter(torch.zeros(6, 6)), torch.randn(6, 6)
    optimiser = Muon([weight], lr=0.1)
    losses = []
    for _ in range(20):
        optimiser.zero_grad()
        loss = ((weight - target) ** 2).sum()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]


# ---- the loop ----


def test_twenty_steps_on_one_batch_lower_its_loss(tmp_path: Path) -> None:
    run = trainer(tmp_path)
    run.progress.steps = 200  # behind the warm-up
    losses = []
    for _ in range(20):
        run.rng = run.crops.rng = np.random.default_rng(7)  # the same crops and tables each time
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


def test_a_run_resumed_in_other_batches_is_a_stage_of_its_own(tmp_path: Path, ticking: None) -> None:
    first = trainer(tmp_path / "tiny" / "part")
    first.run(minutes=5 / 60)
    second = trainer(tmp_path / "tiny" / "part")
    second.recipe = dataclasses.replace(TINY, batch=2)
    second.settings["batch"] = 2
    second.resume()
    second.run(minutes=3 / 60)
    told = record(asdict(second.progress), tmp_path)
    assert (told["steps"], told["batch"]) == (3, 2)
    assert (told["before"]["steps"], told["before"]["batch"]) == (5, TINY.batch)
    third = trainer(tmp_path / "tiny" / "part")
    third.settings["batch"] = 2
    third.resume()
    assert third.progress == second.progress


def test_a_run_reports_as_it_goes(tmp_path: Path, ticking: None, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    trainer(tmp_path).run(minutes=5 / 60, report_every=1.5)
    assert [record.args[1] for record in caplog.records] == [1, 3, 5, 5]  # pyright: ignore[reportIndexIssue]


def test_a_run_that_diverges_ends_and_keeps_its_checkpoint(tmp_path: Path, ticking: None) -> None:
    run = trainer(tmp_path)
    run.run(minutes=3 / 60)
    kept = run.checkpoint.read_bytes()
    run.objective = lambda network, coded: root_mean_square(network, coded) * float("nan")
    with pytest.raises(ModelError, match="after 5 batches the loss is no number any more") as caught:
        run.run(minutes=5 / 60)
    assert "\n" not in str(caught.value)
    assert run.checkpoint.read_bytes() == kept


def test_the_checkpoint_is_whole_and_readable(tmp_path: Path) -> None:
    run = trainer(tmp_path / "runs" / "tiny")
    run.step(0.0)
    run.report([torch.tensor(1.0)])
    assert sorted(path.name for path in run.folder.iterdir()) == ["checkpoint.pt", "progress.json"]
    noted = json.loads((run.folder / "progress.json").read_text())
    assert noted["steps"] == 1
    assert noted["pixels"] == TINY.batch * TINY.side**2
    assert Progress(**noted) == run.progress
    assert noted["settings"]["data"].startswith("2 pictures, 0 pairs")


def test_validation_of_an_untrained_network_gains_nothing(tmp_path: Path) -> None:
    assert trainer(tmp_path).validate(20) == pytest.approx([0, 0, 0], abs=1e-3)


@pytest.mark.parametrize(
    ("qualities", "checked"), [((1, 60), ["Q10", "Q20", "Q40"]), ((20, 20), ["Q20"]), ((30, 30), ["Q30"])]
)
def test_a_report_names_qualities_that_the_recipe_is_for(
    tmp_path: Path, qualities: tuple[int, int], checked: list[str]
) -> None:
    run = trainer(tmp_path)
    run.recipe = dataclasses.replace(run.recipe, degradation=Degradation(qualities))
    run.report([])
    assert [gains.split()[0] for gains in run.progress.validation.split(", ")] == checked


def test_a_part_begins_where_another_ended(tmp_path: Path) -> None:
    first, second = trainer(tmp_path / "first"), trainer(tmp_path / "second", seed=1)
    first.save()
    second.begin_from(first.checkpoint)
    for ours, theirs in zip(second.model.state_dict().values(), first.model.state_dict().values(), strict=True):
        assert torch.equal(ours, theirs)
    assert second.progress.steps == 0


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
    runs = []
    for seed in (0, 1):
        crops = Crops([picture(64, 64)], recipe.side, np.random.default_rng(seed), CPU)
        cameras = np.empty((0, 2, 64), np.float32)
        runs.append(Trainer(recipe.build(), recipe, crops, cameras, [picture(32, 32)], tmp_path, CPU))
    for _ in range(3):
        runs[0].progress.steps = 300
        runs[0].step(0.0)
    assert runs[0].adversary is not None
    assert runs[0].adversary.level.item() > 0.1
    runs[0].save()
    runs[1].resume()
    assert runs[1].adversary is not None
    assert runs[1].adversary.level.item() == runs[0].adversary.level.item()


# ---- schedules and recipes ----


def test_schedules() -> None:
    assert [Linear(0.5)(share) for share in (0, 0.5, 0.75, 1)] == pytest.approx([1, 1, 0.5, 0])
    assert [Steps(0.5, 4)(share) for share in (0, 0.19, 0.2, 0.41, 0.99, 1)] == [1, 1, 0.5, 0.25, 0.0625, 0.0625]
    assert [Cosine(0.1)(share) for share in (0, 0.5, 1)] == pytest.approx([1, 0.55, 0.1])


def test_descent_is_ten_times_slower_in_the_last_layer() -> None:
    network = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.Conv2d(2, 1, 3))
    (optimiser,) = Descent(weight_decay=0.0)(network, 0.4)
    rates = {id(p): group["lr"] for group in optimiser.param_groups for p in group["params"]}
    assert [rates[id(p)] for p in network.parameters()] == pytest.approx([0.4, 0.4, 0.04, 0.04])


@pytest.mark.parametrize("name", FAMILIES)
def test_recipes_fit_together(name: str) -> None:
    family = FAMILIES[name]
    assert set(family.short) <= set(family.parts)
    for variant in family.variants:
        assert {variant.gray, variant.colour} <= set(family.parts)
    assert family.texture is None or family.texture in family.parts
    for recipe in (*family.parts.values(), *family.short.values()):
        assert recipe.side % 32 == 0
        if recipe.after:
            other, part = recipe.after.split("/")
            assert part in FAMILIES[other].parts
            theirs, ours = FAMILIES[other].parts[part].build().state_dict(), recipe.build().state_dict()
            assert theirs.keys() <= ours.keys()
            assert all(theirs[key].shape == ours[key].shape for key in theirs)


def test_a_shortened_recipe_trains_the_same_network_on_the_same_pictures() -> None:
    recipe = FAMILIES["l8"].parts["q20"]
    short = shortened(recipe)
    assert (short.build, short.objective, short.degradation) == (recipe.build, recipe.objective, recipe.degradation)


@pytest.mark.parametrize(
    ("capability", "dtype", "word"), [("AVX512", torch.bfloat16, "bf16"), ("AVX2", torch.float32, "float32")]
)
def test_bf16_is_for_cpus_that_are_quick_at_it(
    capability: str, dtype: torch.dtype, word: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    run = trainer(tmp_path)
    assert run.settings["hardware"].endswith(f", {word}")
    with run.precision():
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype is dtype
    assert run.step(0.0).isfinite()


@pytest.mark.parametrize("capability", ["AVX512", "AVX2"])
def test_a_teacher_takes_the_place_of_the_originals(
    capability: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    run = trainer(tmp_path)
    recipe = dataclasses.replace(TINY, teacher=Teacher)
    taught = Trainer(recipe.build(), recipe, run.crops, run.camera_tables, run.validation, tmp_path, CPU)
    assert taught.teacher is not None
    before = {name: buffer.clone() for name, buffer in taught.teacher.named_buffers()}
    original, lesson = (fresh(each).compressed() for each in (run, taught))
    for table, kept, same, target, plane in zip(
        original.tables, original.quantised, lesson.quantised, lesson.original, lesson.planes, strict=True
    ):
        assert torch.equal(kept, same)  # one batch
        assert ((target / table[:, None, None] - kept).abs() < 0.5).all()  # as `stream` restores: within the cell
        assert plane.dtype is torch.float32
        torch.testing.assert_close(plane_to_blocks(plane), target @ dct_matrix(), atol=1e-3, rtol=0)
    # And nearer to the originals than the decode is.
    truth, decoded = original.original[0], original.quantised[0] * original.tables[0][:, None, None]
    assert (lesson.original[0] - truth).square().mean() < (decoded - truth).square().mean()
    assert taught.settings["taught_by"] == "stream"
    assert taught.step(0.0).isfinite()
    assert all(torch.equal(buffer, before[name]) for name, buffer in taught.teacher.named_buffers())
    assert not any(parameter.requires_grad for parameter in taught.teacher.parameters())


def fresh(run: Trainer) -> Trainer:
    """The run, about to take the same crops and tables as any other."""
    run.rng = run.crops.rng = np.random.default_rng(5)
    return run
