"""The training loop: crops in, a trained network out, interruptible at any step."""

from __future__ import annotations

import json
import logging
import math
import os
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
from mjpeg_restore.training import validation
from mjpeg_restore.training.capture import Captured, can_be_captured, prepare, set_rate
from mjpeg_restore.training.checkpoints import ORIGIN, Progress, of_this_network, record, runs_of, same_stage
from mjpeg_restore.training.data import Crops
from mjpeg_restore.training.degradation import Compressed, compress
from mjpeg_restore.training.objectives import Objective, planes
from mjpeg_restore.training.optimiser import adam
from mjpeg_restore.training.precision import working_dtype
from mjpeg_restore.training.recipe import Recipe

log = logging.getLogger(__name__)


def named(means: object) -> str:
    """What the record calls an objective or an optimiser: a function's name; else what it says of itself."""
    return getattr(means, "__name__", None) or str(means)


class Trainer:
    """One run of one recipe; `run` may be interrupted at any time and resumed from its last checkpoint."""

    def __init__(
        self,
        model: nn.Module,
        recipe: Recipe,
        crops: Crops,
        camera_tables: NDArray[np.float32],
        apart: list[NDArray[np.uint8]],
        folder: Path,
        device: torch.device,
        dtype: torch.dtype | None = None,
        **notes: Any,
    ) -> None:
        self.dtype = dtype or working_dtype(device)
        # In float32 on a CPU the usual layout is a tenth faster.
        layout = torch.channels_last if self.dtype is torch.bfloat16 else torch.contiguous_format
        self.model = model.to(device, memory_format=layout)  # pyright: ignore[reportCallIssue]
        self.recipe = recipe
        self.crops = crops
        self.camera_tables = camera_tables
        self.apart = apart  # from what is trained on
        self.folder = folder
        self.device = device
        self.adversary = recipe.adversary().to(device) if recipe.adversary else None
        self.teacher = recipe.teacher().to(device) if recipe.teacher else None
        self.objective: Objective | None = self.adversary or recipe.objective
        self.optimisers = recipe.optimiser(model, recipe.learning_rate)
        if self.adversary:
            self.optimisers += adam(self.adversary, self.adversary.learning_rate, self.adversary.betas)
        self.rates = [[group["lr"] for group in o.param_groups] for o in self.optimisers]
        self.take: Callable[[Compressed], Tensor] = self.descend_on
        self.get_ready()
        self.settings = self.described() | notes
        self.progress = Progress(settings=self.settings)

    def described(self) -> dict[str, Any]:
        """How the run goes about it, for its record."""
        recipe, cuda = self.recipe, self.device.type == "cuda"
        return {
            "crop": recipe.side,
            "batch": recipe.batch,
            "loss": self.adversary.description if self.adversary else named(recipe.objective),
            **({"taught_by": self.teacher.name, "taught_for": recipe.taught} if self.teacher else {}),
            "optimiser": named(recipe.optimiser),
            "learning_rate": recipe.learning_rate,
            "schedule": repr(recipe.schedule),
            "qualities": recipe.degradation.qualities,
            "steps_of_the_paper": recipe.iterations,
            "data": f"{len(self.crops)} pictures, {len(self.camera_tables)} pairs of tables from real files",
            "device": torch.cuda.get_device_name(self.device) if cuda else "CPU",
            **({} if cuda else {"threads": torch.get_num_threads()}),
            "precision": "bf16" if self.dtype is torch.bfloat16 else "float32",
        }

    def precision(self) -> torch.autocast:
        """Where the network and its losses are computed."""
        return torch.autocast(self.device.type, self.dtype, enabled=self.dtype is torch.bfloat16)

    @property
    def checkpoint(self) -> Path:
        """Where the run's state is kept."""
        return self.folder / "checkpoint.pt"

    def get_ready(self) -> None:
        """Decide how steps are taken, captured where that can be, and put what optimisers know where that needs it."""
        steady = self.adversary is None or self.adversary.steady
        captured = self.device.type == "cuda" and steady and can_be_captured(self.optimisers)
        prepare(self.optimisers, self.device, captured)
        self.take = Captured(self.descend_on) if captured else self.descend_on

    def resume(self) -> None:
        """Take up the run where its checkpoint left it.

        On a GPU after a CPU, or in other batches, it is another stage: its minutes and batches count from nothing.

        Raises:
            ModelCorrupt: the checkpoint is another network's.
        """
        with of_this_network(self.checkpoint):
            state = torch.load(self.checkpoint, map_location=self.device, weights_only=True)
            self.model.load_state_dict(state["model"])
            if self.adversary:
                self.adversary.load_state_dict(state["adversary"])
            for optimiser, saved in zip(self.optimisers, state["optimisers"], strict=True):
                optimiser.load_state_dict(saved)
            self.get_ready()
            known = {entry.name for entry in fields(Progress)}
            self.progress = Progress(**{name: value for name, value in state["progress"].items() if name in known})
        self.crops.rng = np.random.default_rng(self.progress.steps)
        settings = {key: value for key, value in self.settings.items() if key not in ORIGIN}
        found = self.progress.settings
        if not same_stage(found, settings):
            self.settings = settings | {"before": record(asdict(self.progress), runs_of(self.checkpoint))}
            self.progress = Progress(settings=self.settings)
        else:  # where the run began is the run's own: what it began from may have changed since
            self.settings = settings | {key: value for key, value in found.items() if key in ORIGIN}
            self.progress.settings = self.settings

    def begin_from(self, checkpoint: Path) -> None:
        """Take the weights that another run ended with; what this network has besides stays as it is.

        Raises:
            SourceNotFound: there is no such checkpoint.
            ModelCorrupt: it is another network's.
        """
        if not checkpoint.is_file():
            raise SourceNotFound(f"{checkpoint}: no such file to begin from; train that part first")
        with of_this_network(checkpoint):
            found = torch.load(checkpoint, map_location=self.device, weights_only=True)["model"]
            self.model.load_state_dict(self.model.state_dict() | found)

    def save(self) -> None:
        """Write the checkpoint, whole or not at all."""
        self.folder.mkdir(parents=True, exist_ok=True)
        partial = self.checkpoint.with_suffix(".part")
        torch.save(
            {
                "model": self.model.state_dict(),
                "adversary": self.adversary.state_dict() if self.adversary else None,
                "optimisers": [optimiser.state_dict() for optimiser in self.optimisers],
                "progress": asdict(self.progress),
            },
            partial,
        )
        os.replace(partial, self.checkpoint)
        (self.folder / "progress.json").write_text(json.dumps(asdict(self.progress), indent=2) + "\n")

    def run(self, minutes: float, report_every: float = 300.0) -> None:
        """Train until the run has taken `minutes` in all, reporting loss and validation gain as it goes."""
        budget, reported, losses = minutes * 60, time.monotonic(), []
        last = time.monotonic()
        try:
            while (share := self.progress.seconds / budget) < 1:
                losses.append(self.step(share))
                now = time.monotonic()
                self.progress.seconds += now - last
                last = now
                if now - reported > report_every:
                    self.report(losses)
                    reported, losses = now, []
        except KeyboardInterrupt:
            self.save()
            raise
        self.report(losses)

    def step(self, share: float) -> Tensor:
        """One batch, at the learning rate of this share of the budget."""
        warmth = (self.progress.steps + 1) / self.recipe.warm_up if self.recipe.warm_up else 1.0
        factor = min(1.0, warmth) * self.recipe.schedule(share)
        for optimiser, rates in zip(self.optimisers, self.rates, strict=True):
            for group, rate in zip(optimiser.param_groups, rates, strict=True):
                set_rate(group, rate * factor)
        coded = self.compressed(share)
        loss = self.take(coded)
        self.progress.steps += 1
        self.progress.pixels += self.recipe.batch * self.recipe.side**2
        return loss

    def descend_on(self, coded: Compressed) -> Tensor:
        """One step of the network down the loss of a batch, which is given back, and then one of its adversary."""
        assert self.objective is not None, "a recipe has an objective or an adversary"
        with self.precision():
            loss = self.objective(self.model, coded)
        self.descend(loss, self.model, self.optimisers[:-1] if self.adversary else self.optimisers)
        if self.adversary:
            with self.precision():
                doubt = self.adversary.discriminate(coded)
            if doubt is not None:
                self.descend(doubt, self.adversary, self.optimisers[-1:])
        return loss.detach()

    def descend(self, loss: Tensor, module: nn.Module, optimisers: list[torch.optim.Optimizer]) -> None:
        """Take one step down a loss."""
        module.zero_grad(set_to_none=True)
        loss.backward()
        if self.recipe.longest_gradient:
            nn.utils.clip_grad_norm_(module.parameters(), self.recipe.longest_gradient)
        for optimiser in optimisers:
            optimiser.step()

    def compressed(self, share: float) -> Compressed:
        """The next batch, at this share of the budget."""
        batch, degradation, rng = self.recipe.batch, self.recipe.degradation, self.crops.rng
        rgb = self.crops.batch(batch)
        tables = torch.from_numpy(degradation.tables(batch, self.camera_tables, rng)).to(self.device)
        span = degradation.span(rng)
        contrast = torch.from_numpy(degradation.contrast(batch, span, rng)).to(self.device)
        coded = compress(rgb, tables, span, contrast)
        if self.teacher is None or share >= self.recipe.taught:
            return coded
        with self.precision():
            return self.teacher(coded)

    def validate(self) -> dict[int, list[float]]:
        """Mean gain in dB over the plain decode at some qualities that the recipe is for, by component."""
        self.model.eval()
        found = {
            quality: validation.gains(
                self.model,
                self.apart,
                quality,
                colour=self.recipe.degradation.colour,
                device=self.device,
                restore=self.adversary.restore if self.adversary else planes,
            )
            for quality in validation.checked(self.recipe.degradation.qualities)
        }
        self.model.train()
        return found

    def report(self, losses: list[Tensor]) -> None:
        """Log loss and validation, and save a checkpoint.

        Raises:
            ModelError: the losses are no numbers any more; the checkpoint stays as it was.
        """
        loss = torch.stack(losses).mean().item() if losses else math.nan
        if losses and not math.isfinite(loss):
            steps = f"after {self.progress.steps} batches the loss is no number any more"
            advice = "{resume} from the checkpoint, with a smaller {learning_rate}"
            raise ModelError(f"{self.folder}: {steps}", Hint(advice, resume=None, learning_rate=None))
        gains = self.validate()
        self.progress.validation = ", ".join(
            f"Q{quality} {'/'.join(f'{gain:+.3f}' for gain in by_component)}" for quality, by_component in gains.items()
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
