"""The training loop, which can be interrupted after any step and resumed from its checkpoint."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mjpeg_restore.errors import Hint, ModelError, SourceNotFound
from mjpeg_restore.training import checkpoints, validation
from mjpeg_restore.training.capture import Captured, can_be_captured, prepare, set_rate
from mjpeg_restore.training.checkpoints import ORIGIN, Progress, of_this_network, record, runs_of
from mjpeg_restore.training.clips import Clips
from mjpeg_restore.training.data import Crops
from mjpeg_restore.training.degradation import Batch, Compressed
from mjpeg_restore.training.objectives import Objective, planes
from mjpeg_restore.training.optimiser import adam, descend
from mjpeg_restore.training.precision import working_dtype
from mjpeg_restore.training.recipe import Recipe
from mjpeg_restore.training.validation_clips import clip_gains
from mjpeg_restore.training.widening import widened

log = logging.getLogger(__name__)


class Trainer:
    """One run of one recipe."""

    def __init__(
        self,
        model: nn.Module,
        recipe: Recipe,
        crops: Crops | Clips,
        camera_tables: NDArray[np.float32],
        validation_pictures: list[NDArray[np.uint8]],
        folder: Path,
        device: torch.device,
        dtype: torch.dtype | None = None,
        seed: int = 0,
        **notes: Any,
    ) -> None:
        """Prepare a run.

        Args:
            model: the network.
            recipe: how it is trained.
            crops: the training pictures, or clips of them, on `device`.
            camera_tables: cameras' quantisation tables, float32 `[n, 2, 64]`; n may be 0.
            validation_pictures: RGB, whole MCUs each, uint8 `[height, width, 3]`.
            folder: for the checkpoint and the training record.
            device: to train on.
            dtype: bf16 or float32; None for the faster one.
            seed: with the number of batches, determines what a resumed run draws.
            notes: further settings for the training record.
        """
        self.dtype = dtype or working_dtype(device)
        # In float32 on a CPU, the contiguous layout is a tenth faster.
        layout = torch.channels_last if self.dtype is torch.bfloat16 else torch.contiguous_format
        self.model = model.to(device, memory_format=layout)  # pyright: ignore[reportCallIssue]
        self.recipe = recipe
        self.crops = crops
        self.camera_tables = camera_tables
        self.validation_pictures = validation_pictures
        self.folder = folder
        self.device = device
        self.seed = seed
        self.adversary = recipe.adversary().to(device) if recipe.adversary else None
        self.teacher = recipe.teacher().to(device) if recipe.teacher else None
        self.objective: Objective | None = self.adversary or recipe.objective
        self.optimisers = self.make_optimisers()
        self.rates = [[group["lr"] for group in o.param_groups] for o in self.optimisers]
        self.take: Callable[[Batch], Tensor] = self.train_on
        self.choose_steps()
        self.settings = self.description() | notes
        self.progress = Progress(settings=self.settings)

    def make_optimisers(self) -> list[torch.optim.Optimizer]:
        """The network's optimisers, then the adversary's, if any."""
        ours, adversary = self.recipe.optimiser(self.model, self.recipe.learning_rate), self.adversary
        return [*ours, *adam(adversary, adversary.learning_rate, adversary.betas)] if adversary else ours

    def description(self) -> dict[str, Any]:
        """The settings of the run, for its training record."""
        cuda = self.device.type == "cuda"
        return {
            **self.recipe.settings(),
            **({"loss": self.adversary.description} if self.adversary else {}),
            **({"taught_by": self.teacher.name, "taught_for": self.recipe.teacher_until} if self.teacher else {}),
            "data": f"{len(self.crops)} pictures, {len(self.camera_tables)} pairs of tables from real files",
            "device": torch.cuda.get_device_name(self.device) if cuda else "CPU",
            **({} if cuda else {"threads": torch.get_num_threads()}),
            "precision": "bf16" if self.dtype is torch.bfloat16 else "float32",
            "seed": self.seed,
        }

    def precision(self) -> torch.autocast:
        """The autocast context for the network and its losses."""
        return torch.autocast(self.device.type, self.dtype, enabled=self.dtype is torch.bfloat16)

    @property
    def checkpoint(self) -> Path:
        """The file that holds the run's state."""
        return self.folder / checkpoints.FILE

    def choose_steps(self) -> None:
        """Choose captured or eager steps; move optimiser state accordingly."""
        alike = self.adversary is None or self.adversary.capturable
        captured = self.device.type == "cuda" and alike and can_be_captured(self.optimisers)
        prepare(self.optimisers, self.device, captured)
        self.take = Captured(self.train_on) if captured else self.train_on

    def resume(self) -> None:
        """Continue the run from its checkpoint.

        On another device, or with another batch size, a new stage begins: its minutes and batches count from zero.

        Raises:
            ModelCorrupt: the checkpoint belongs to another network or recipe.
        """
        with of_this_network(self.checkpoint):
            state = torch.load(self.checkpoint, map_location=self.device, weights_only=True)
            self.model.load_state_dict(state["model"])
            checkpoints.same_recipe(self.checkpoint, self.settings, state["progress"]["settings"])
            if self.adversary:
                self.adversary.load_state_dict(state["adversary"])
            for optimiser, saved in zip(self.optimisers, state["optimisers"], strict=True):
                optimiser.load_state_dict(saved)
            self.choose_steps()
            known = {entry.name for entry in fields(Progress)}
            self.progress = Progress(**{name: value for name, value in state["progress"].items() if name in known})
        self.crops.rng = np.random.default_rng((self.seed, self.progress.steps))
        settings = {key: value for key, value in self.settings.items() if key not in ORIGIN}
        found = self.progress.settings
        if not checkpoints.same_stage(found, settings):
            self.settings = settings | {"before": record(asdict(self.progress), runs_of(self.checkpoint))}
            self.progress = Progress(settings=self.settings)
        else:  # the record of the run's origin is kept: the origin itself may have changed since
            self.settings = settings | {key: value for key, value in found.items() if key in ORIGIN}
            self.progress.settings = self.settings

    def begin_from(self, checkpoint: Path, anew: tuple[str, ...] = (), *, widen: bool = False) -> None:
        """Load the final weights of another run; weights that it lacks keep their initial values.

        Args:
            checkpoint: of that run.
            anew: name prefixes of weights that keep their initial values, too.
            widen: that run's network is narrower; see `widening`.

        Raises:
            SourceNotFound: there is no such checkpoint.
            ModelCorrupt: it belongs to another network.
        """
        if not checkpoint.is_file():
            raise SourceNotFound(f"{checkpoint}: no such file to begin from; train that stage first")
        with of_this_network(checkpoint):
            state = torch.load(checkpoint, map_location=self.device, weights_only=True)
            found = {name: weight for name, weight in state["model"].items() if not name.startswith(anew)}
            ours = self.model.state_dict()
            self.model.load_state_dict(widened(ours, ours | found) if widen else ours | found)
            # As it is now: that run may go on, or be begun anew.
            self.settings["before"] = record(state["progress"], runs_of(checkpoint))

    def save(self) -> None:
        """Write the checkpoint and the training record.

        Raises:
            ModelError: a weight is no longer finite; the checkpoint stays unchanged.
            SinkError: they cannot be written.
        """
        state = {
            "model": self.model.state_dict(),
            "adversary": self.adversary.state_dict() if self.adversary else None,
            "optimisers": [optimiser.state_dict() for optimiser in self.optimisers],
            "progress": asdict(self.progress),
        }
        weights = [*state["model"].values(), *(state["adversary"] or {}).values()]
        if not all(weight.isfinite().all() for weight in weights):
            raise self.diverged("a weight")
        checkpoints.save(state, self.folder)

    def diverged(self, what: str) -> ModelError:
        """The error for a loss or a weight that is no longer finite."""
        advice = Hint("{resume} from the checkpoint, with a smaller {learning_rate}", resume=None, learning_rate=None)
        return ModelError(f"{self.folder}: after {self.progress.steps} batches {what} is no number any more", advice)

    def run(self, minutes: float, report_every: float = 300.0, batches: int | None = None) -> None:
        """Train until the budget is spent, and report loss and gain.

        Args:
            minutes: budget in all, resumed minutes included.
            report_every: seconds between reports.
            batches: a budget in batches as well, for runs that are compared: the first to be spent ends the run.

        Raises:
            ModelError: the loss or a weight is no longer finite; the checkpoint stays unchanged.
            SinkError: the checkpoint cannot be written.
        """
        if not self.progress.steps:
            checkpoints.put_aside(self.folder)
            self.save()  # whatever ends the run from now on, its own checkpoint is there to be resumed
        reported, losses = time.monotonic(), []
        last = time.monotonic()
        try:
            while (spent := self.spent(minutes, batches)) < 1:
                losses.append(self.step(spent))
                now = time.monotonic()
                self.progress.seconds += now - last
                last = now
                if now - reported > report_every:
                    self.report(losses)
                    reported, losses = now, []
            self.report(losses)
        except KeyboardInterrupt:
            self.mean(losses)
            self.save()
            raise

    def spent(self, minutes: float, batches: int | None) -> float:
        """The fraction of the budget that is spent; see `run`."""
        of_batches = self.progress.steps / batches if batches else 0.0
        return max(self.progress.seconds / (60 * minutes), of_batches)

    def step(self, spent: float) -> Tensor:
        """Train on one batch; returns the loss.

        Args:
            spent: fraction of the budget, 0..1, which determines the learning rate.
        """
        warm = (self.progress.steps + 1) / self.recipe.warm_up if self.recipe.warm_up else 1.0
        factor = min(1.0, warm) * self.recipe.schedule(spent)
        for optimiser, rates in zip(self.optimisers, self.rates, strict=True):
            for group, rate in zip(optimiser.param_groups, rates, strict=True):
                set_rate(group, rate * factor)
        loss = self.take(self.compressed(spent))
        self.progress.steps += 1
        self.progress.pixels += self.recipe.batch * self.recipe.side**2
        return loss

    def train_on(self, coded: Batch) -> Tensor:
        """One step of the network on a batch, then one of its adversary; returns the network's loss."""
        assert self.objective is not None, "a recipe has an objective or an adversary"
        with self.precision():
            loss = self.objective(self.model, coded)
        clip_norm = self.recipe.clip_norm
        descend(loss, self.model, self.optimisers[:-1] if self.adversary else self.optimisers, clip_norm)
        if self.adversary:
            with self.precision():
                own_loss = self.adversary.discriminate(coded)
            if own_loss is not None:
                descend(own_loss, self.adversary, self.optimisers[-1:], clip_norm)
        return loss.detach()

    def compressed(self, spent: float) -> Batch:
        """The next batch: with the teacher's targets until `teacher_until` of the budget is spent."""
        coded = self.crops.compressed(self.recipe.batch, self.recipe.degradation, self.camera_tables)
        if self.teacher is None or spent >= self.recipe.teacher_until:
            return coded
        assert isinstance(coded, Compressed), "stills alone are taught"
        with self.precision():
            return self.teacher(coded)

    def validate(self) -> dict[str, list[float]]:
        """Mean gain at the validation qualities of the recipe: dB, by component; see `validation`."""
        self.model.eval()
        if isinstance(self.crops, Clips):
            found = clip_gains(self.model, self.validation_pictures, self.device)
        else:
            restore = self.adversary.restore if self.adversary else planes
            found = validation.gains_by_quality(
                self.model, self.validation_pictures, self.recipe.degradation, self.device, restore
            )
        self.model.train()
        return found

    def mean(self, losses: list[Tensor]) -> float:
        """The mean loss; NaN if there is none.

        Raises:
            ModelError: it is no longer finite.
        """
        loss = torch.stack(losses).mean().item() if losses else math.nan
        if losses and not math.isfinite(loss):
            raise self.diverged("the loss")
        return loss

    def report(self, losses: list[Tensor]) -> None:
        """Log loss and validation, and save a checkpoint; errors are those of `run`."""
        loss = self.mean(losses)
        gains = self.validate()
        self.progress.validation = ", ".join(
            f"{what} {'/'.join(f'{gain:+.3f}' for gain in by_component)}" for what, by_component in gains.items()
        )
        self.save()
        log.info(
            "%6.1f min, step %d (%.1f Mpx), loss %.4f, gain in dB by component: %s",
            self.progress.seconds / 60,
            self.progress.steps,
            self.progress.pixels / 1e6,
            loss,
            self.progress.validation,
        )
