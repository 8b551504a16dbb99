"""The training loop: crops in, a trained network out, interruptible at any step."""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mjpeg_restore.jpeg.tables import scaled_tables
from mjpeg_restore.training.data import Crops
from mjpeg_restore.training.degradation import SPAN_ODDS, SPANS, compress, draw_tables
from mjpeg_restore.training.optimiser import optimisers

log = logging.getLogger(__name__)

Loss = Callable[[list[Tensor], list[Tensor]], Tensor]
"""Restored and original coefficients of Y, Cb, Cr to a scalar."""

LIMITED = 219 / 255
"""Contrast of limited-range luma: the published grey figures are made of it."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """How one model is trained."""

    build: Callable[[], nn.Module]
    loss: Loss
    side: int = 128
    """Side of a crop in luma samples, a multiple of 32."""
    batch: int = 8
    learning_rate: float = 1.5e-3
    anneal_from: float = 0.25
    """Share of the budget after which the learning rate falls linearly to zero."""


@dataclass(slots=True)
class Progress:
    """What a checkpoint says of a run."""

    steps: int = 0
    seconds: float = 0.0
    pixels: int = 0
    """Luma pixels of all crops."""
    validation: str = ""
    """Gain over the plain decode, luma/chroma."""
    settings: dict[str, Any] = field(default_factory=dict[str, Any])
    """How it is trained, on what and with what: goes into the manifest as it is."""


class Trainer:
    """One run of one recipe; `run` may be interrupted at any time and resumed from its last checkpoint."""

    def __init__(
        self,
        model: nn.Module,
        recipe: Recipe,
        crops: Crops,
        camera_tables: NDArray[np.float32],
        validation: list[NDArray[np.uint8]],
        folder: Path,
        device: torch.device,
        **notes: str | int | None,
    ) -> None:
        self.model = model.to(device, memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
        self.recipe = recipe
        self.crops = crops
        self.camera_tables = camera_tables
        self.validation = validation
        self.folder = folder
        self.device = device
        self.optimisers = optimisers(model, recipe.learning_rate)
        self.rates = [[group["lr"] for group in o.param_groups] for o in self.optimisers]
        self.progress = Progress()
        self.rng = crops.rng
        self.settings = {
            "crop": recipe.side,
            "batch": recipe.batch,
            "loss": recipe.loss.__name__,
            "optimiser": "Muon for kernels, AdamW for the rest",
            "learning_rate": recipe.learning_rate,
            "annealed_from": recipe.anneal_from,
            "data": f"{len(crops.pictures)} pictures, {len(camera_tables)} pairs of tables from real files",
            "hardware": torch.cuda.get_device_name()
            if device.type == "cuda"
            else f"CPU, {torch.get_num_threads()} thread(s), bf16",
            **notes,
        }

    @property
    def checkpoint(self) -> Path:
        """Where the run's state is kept."""
        return self.folder / "checkpoint.pt"

    def resume(self) -> None:
        """Take up the run where its checkpoint left it."""
        state = torch.load(self.checkpoint, map_location=self.device, weights_only=True)
        self.model.load_state_dict(state["model"])
        for optimiser, saved in zip(self.optimisers, state["optimisers"], strict=True):
            optimiser.load_state_dict(saved)
        known = {entry.name for entry in fields(Progress)}
        self.progress = Progress(**{name: value for name, value in state["progress"].items() if name in known})
        self.rng = self.crops.rng = np.random.default_rng(self.progress.steps)

    def save(self) -> None:
        """Write the checkpoint, whole or not at all."""
        self.folder.mkdir(parents=True, exist_ok=True)
        partial = self.checkpoint.with_suffix(".part")
        torch.save(
            {
                "model": self.model.state_dict(),
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
        recipe = self.recipe
        warm = min(1.0, (self.progress.steps + 1) / 200)
        factor = warm * min(1.0, (1 - share) / (1 - recipe.anneal_from))
        for optimiser, rates in zip(self.optimisers, self.rates, strict=True):
            for group, rate in zip(optimiser.param_groups, rates, strict=True):
                group["lr"] = rate * factor
        loss = self.loss()
        self.model.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        for optimiser in self.optimisers:
            optimiser.step()
        self.progress.steps += 1
        self.progress.pixels += recipe.batch * recipe.side**2
        return loss.detach()

    def loss(self) -> Tensor:
        """Compress the next batch and measure how well it comes back."""
        recipe = self.recipe
        rgb = self.crops.batch(recipe.batch)
        tables = torch.from_numpy(draw_tables(recipe.batch, self.camera_tables, self.rng)).to(self.device)
        contrast = np.where(self.rng.random(recipe.batch) < 0.3, LIMITED, 1.0).astype(np.float32)
        span = SPANS[self.rng.choice(len(SPANS), p=SPAN_ODDS)]
        coded = compress(rgb, tables, span, torch.from_numpy(contrast).to(self.device))
        with torch.autocast(self.device.type, torch.bfloat16):
            restored = self.model.restore(*coded.components())  # pyright: ignore[reportCallIssue]
        return recipe.loss(restored, coded.original)

    @torch.no_grad()
    def validate(self, quality: int) -> tuple[float, float]:
        """Mean gain in dB over the plain decode at one quality, 4:2:0: luma's, and the mean of Cb's and Cr's."""
        tables = torch.from_numpy(np.stack(scaled_tables(quality)).astype(np.float32)).reshape(1, 2, 64)
        gains = []
        for picture in self.validation:
            rgb = torch.from_numpy(picture[None]).to(self.device)
            coded = compress(rgb, tables.to(self.device), (2, 2), torch.full((1,), LIMITED, device=self.device))
            restored = self.model.restore(*coded.components())  # pyright: ignore[reportCallIssue]
            decoded = [k * q[:, None, None] for k, q in zip(coded.quantised, coded.tables, strict=True)]
            errors = [
                [torch.mean((c - truth) ** 2).clamp_min(1e-6) for c, truth in zip(side, coded.original, strict=True)]
                for side in (decoded, restored)
            ]
            gains.append([10 * torch.log10(a / b).item() for a, b in zip(*errors, strict=True)])
        luma, blue, red = np.mean(gains, axis=0)
        return float(luma), float(blue + red) / 2

    def report(self, losses: list[Tensor]) -> None:
        """Log loss and validation, and save a checkpoint."""
        self.model.eval()
        gains = {quality: self.validate(quality) for quality in (10, 20, 40, 80)}
        self.model.train()
        self.progress.settings = self.settings
        self.progress.validation = ", ".join(f"Q{q} {y:+.3f}/{c:+.3f}" for q, (y, c) in gains.items())
        self.save()
        log.info(
            "%6.1f min, step %d (%.1f Mpx), loss %.4f, gain in dB luma/chroma: %s",
            self.progress.seconds / 60,
            self.progress.steps,
            self.progress.pixels / 1e6,
            torch.stack(losses).mean().item() if losses else float("nan"),
            self.progress.validation,
        )
