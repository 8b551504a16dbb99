from __future__ import annotations

import dataclasses
import json
import logging
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from numpy.typing import NDArray

torch = pytest.importorskip("torch")

from mjpeg_restore.models.stream import Stream, StreamConfig  # noqa: E402
from mjpeg_restore.training import loop  # noqa: E402
from mjpeg_restore.training.data import Crops  # noqa: E402
from mjpeg_restore.training.loop import Progress, Recipe, Trainer  # noqa: E402
from mjpeg_restore.training.losses import FLOOR, root_mean_square  # noqa: E402
from mjpeg_restore.training.optimiser import Muon, optimisers, orthogonalise  # noqa: E402
from mjpeg_restore.training.recipes import RECIPES  # noqa: E402

CPU = torch.device("cpu")
TINY = Recipe(
    build=lambda: Stream(StreamConfig(width=8, blocks=1, chroma_width=8, chroma_blocks=1)),
    loss=root_mean_square,
    side=32,
    batch=4,
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


# ---- what is minimised ----


def test_the_loss_is_at_its_floor_where_nothing_is_wrong() -> None:
    truth = [torch.randn(2, 3, 3, 64) for _ in range(3)]
    assert root_mean_square(truth, truth).item() == pytest.approx(FLOOR**0.5 * 1.5)


def test_the_loss_weighs_luma_most() -> None:
    truth = [torch.zeros(1, 2, 2, 64) for _ in range(3)]
    losses = [
        root_mean_square([part + 5 * (index == wrong) for index, part in enumerate(truth)], truth).item()
        for wrong in range(3)
    ]
    assert losses[0] > 2 * losses[1]
    assert losses[1] == pytest.approx(losses[2])


# ---- the optimiser ----


@pytest.mark.parametrize("shape", [(16, 16), (8, 72), (72, 8)])
def test_orthogonalised_matrices_have_singular_values_near_one(shape: tuple[int, int]) -> None:
    torch.manual_seed(0)
    values = torch.linalg.svdvals(orthogonalise(torch.randn(shape)))
    assert values.min() > 0.5
    assert values.max() < 1.3


def test_muon_takes_the_kernels_and_adam_the_rest() -> None:
    network = TINY.build()
    muon, adam = optimisers(network, 1e-3)
    assert isinstance(muon, Muon)
    kernels = [parameter for group in muon.param_groups for parameter in group["params"]]
    others = [parameter for group in adam.param_groups for parameter in group["params"]]
    assert {parameter.ndim for parameter in kernels} == {4}
    assert network.predict.project.weight not in set(kernels)
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
    assert losses[-1] < 0.97 * losses[0]


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


def test_a_run_reports_as_it_goes(tmp_path: Path, ticking: None, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    trainer(tmp_path).run(minutes=5 / 60, report_every=1.5)
    assert [record.args[1] for record in caplog.records] == [1, 3, 5, 5]  # pyright: ignore[reportIndexIssue]


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
    luma, chroma = trainer(tmp_path).validate(20)
    assert luma == pytest.approx(0, abs=1e-3)
    assert chroma == pytest.approx(0, abs=1e-3)


def test_recipes_name_every_trained_model() -> None:
    assert set(RECIPES) == {"stream", "stream-lite"}
    for recipe in RECIPES.values():
        assert recipe.side % 32 == 0
        assert dataclasses.is_dataclass(recipe)
        assert isinstance(recipe.build(), Stream)
