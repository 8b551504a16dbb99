"""The files of a run in RUNS/MODEL/STAGE: weights, progress, and the training record."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from mjpeg_restore.errors import Hint, ModelCorrupt, SinkError, reason_of
from mjpeg_restore.locks import file_lock
from mjpeg_restore.training.recipe import Recipe

FILE = "checkpoint.pt"
"""Name of a checkpoint in its run's folder."""

ORIGIN = ("started_from", "begun_anew", "before")
"""Settings that describe the origin of a run's initial weights."""


@dataclass(slots=True)
class Progress:
    """How long a run was trained, and its last validation."""

    steps: int = 0
    seconds: float = 0.0
    pixels: int = 0
    """Luma pixels of all crops so far."""
    validation: str = ""
    """Gain in dB, by component: over the plain decode, or of clips over frames without a past."""
    settings: dict[str, Any] = field(default_factory=dict[str, Any])
    """Settings of the training; copied to the manifest unchanged."""


def runs_of(checkpoint: Path) -> Path:
    """The folder RUNS of a checkpoint in RUNS/MODEL/STAGE."""
    return checkpoint.absolute().parent.parent.parent


@contextmanager
def locked(folder: Path) -> Generator[None]:
    """Make a run's folder, and keep other trainings out of it.

    Raises:
        SinkError: another training is at work there.
        OSError: the folder cannot be made.
    """

    def refuse() -> None:
        raise SinkError(f"{folder}: another training is at work there: wait for its end, or choose another folder")

    folder.mkdir(parents=True, exist_ok=True)
    with file_lock(folder / ".lock", refuse):
        yield


def save(state: dict[str, Any], folder: Path) -> None:
    """Write a run's checkpoint, and beside it its progress for people to read. Each file is complete or unchanged.

    Args:
        state: as `Trainer.save` makes it.
        folder: of the run.

    Raises:
        SinkError: they cannot be written.
    """
    content = io.BytesIO()  # PyTorch's own writing fails with a RuntimeError, which does not say why
    torch.save(state, content)
    folder.mkdir(parents=True, exist_ok=True)
    _replace(folder / FILE, content.getvalue())
    _replace(folder / "progress.json", (json.dumps(state["progress"], indent=2) + "\n").encode())


def put_aside(folder: Path) -> None:
    """Keep the checkpoint of an earlier run, if there is one, as `earlier.pt`: who forgets to resume hours of training
    would lose them at once.

    Raises:
        SinkError: it cannot be renamed.
    """
    path = folder / FILE
    try:
        with suppress(FileNotFoundError):
            os.replace(path, path.with_name("earlier.pt"))
    except OSError as error:
        raise SinkError(f"{path} cannot be renamed ({reason_of(error)})") from error


def _replace(path: Path, content: bytes) -> None:
    partial = path.with_suffix(".part")
    try:
        partial.write_bytes(content)
        os.replace(partial, path)
    except OSError as error:
        advice = Hint("once it can be, {resume} goes on from the last checkpoint", resume=None)
        message = f"{path} cannot be written ({reason_of(error)})"
        raise SinkError(message, advice if path.is_file() else None) from error
    finally:
        partial.unlink(missing_ok=True)  # of a write that failed: it would keep the disk full


@contextmanager
def of_this_network(checkpoint: Path) -> Generator[None]:
    """Turn PyTorch's errors about an unusable checkpoint into one line.

    Raises:
        ModelCorrupt: the file is no checkpoint, or its weights do not fit the network.
        OSError: the file cannot be read.
    """
    try:
        yield
    except Exception as error:  # torch.load raises many kinds of errors for malformed files
        # The system's errors name the file; without its name, they are PyTorch's, about a file that was cut.
        if isinstance(error, ModelCorrupt) or (isinstance(error, OSError) and error.filename):
            raise
        # In a message of several lines, the first is a heading.
        reason = ([*reason_of(error).splitlines()[:2]] or [type(error).__name__])[-1].strip(" \t.")
        raise ModelCorrupt(f"{checkpoint}: not a checkpoint of this network ({reason}): train it anew") from error


def trained(recipe: Recipe, checkpoint: Path) -> tuple[nn.Module, dict[str, Any]]:
    """The network of a recipe with the weights of a checkpoint, in evaluation mode, and its training record.

    Raises:
        ModelCorrupt: the checkpoint belongs to another network.
    """
    network = recipe.build()
    with of_this_network(checkpoint):
        state = torch.load(checkpoint, map_location="cpu", weights_only=True)
        network.load_state_dict(state["model"])
        return network.eval(), record(state["progress"], runs_of(checkpoint))


def same_recipe(checkpoint: Path, settings: dict[str, Any], found: dict[str, Any]) -> None:
    """Refuse to continue a run of another recipe.

    Args:
        checkpoint: of the run.
        settings: of the recipe.
        found: the checkpoint's settings.

    Raises:
        ModelCorrupt: the run has another optimiser, whose state is of no use here.
    """
    ours, theirs = settings["optimiser"], found.get("optimiser", settings["optimiser"])
    if theirs != ours:
        advice = Hint("{resume} it as it was begun, with or without {short}", resume=None, short=None)
        raise ModelCorrupt(f"{checkpoint}: made by another recipe (optimiser {theirs}, not {ours})", advice)


def record(progress: dict[str, Any], runs: Path) -> dict[str, Any]:
    """The training record for the manifest; its hours and megapixels include those of earlier stages.

    Args:
        progress: a `Progress` as a dictionary, from a checkpoint.
        runs: folder of the runs: one of an earlier version has only the name of the stage before, not its record.

    Raises:
        ModelCorrupt: that stage's checkpoint is damaged.
    """
    training = {
        "steps": progress["steps"],
        "hours": round(progress["seconds"] / 3600, 2),
        "megapixels": round(progress["pixels"] / 1e6),
        "validation_gain_db": progress["validation"],
        **progress["settings"],
    }
    before = runs / str(training.get("started_from")) / FILE
    if "before" not in training and before.is_file():
        with of_this_network(before):
            earlier = torch.load(before, map_location="cpu", weights_only=True)
            training["before"] = record(earlier["progress"], runs)
    if stage := training.get("before"):
        training["hours"] = round(training["hours"] + stage["hours"], 2)
        training["megapixels"] += stage["megapixels"]
    return training


def same_stage(settings: dict[str, Any], others: dict[str, Any]) -> bool:
    """Whether two runs count as one stage: same device (whatever its threads and precision) and same batch size."""
    return all(settings.get(what) == others.get(what) for what in ("device", "batch"))
