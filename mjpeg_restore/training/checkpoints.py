"""The files of a run in RUNS/MODEL/STAGE: weights, progress, and the training record."""

from __future__ import annotations

import json
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from mjpeg_restore.errors import ModelCorrupt
from mjpeg_restore.training.recipe import Recipe

ORIGIN = ("started_from", "before")
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
    return checkpoint.parents[2]


@contextmanager
def of_this_network(checkpoint: Path) -> Generator[None]:
    """Turn PyTorch's errors about an unusable checkpoint into one line.

    Raises:
        ModelCorrupt: the file is no checkpoint, or its weights do not fit the network.
        OSError: the file cannot be read.
    """
    try:
        yield
    except OSError:
        raise
    except Exception as error:  # torch.load raises many kinds of errors for malformed files
        # In a message of several lines, the first is a heading.
        reason = ([*str(error).splitlines()[:2]] or [type(error).__name__])[-1].strip(" \t.")
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


def record(progress: dict[str, Any], runs: Path) -> dict[str, Any]:
    """The training record for the manifest; its hours and megapixels include those of earlier stages.

    Args:
        progress: a `Progress` as a dictionary, from a checkpoint.
        runs: folder of the run that the weights were initialised from, if it is still there.
    """
    training = {
        "steps": progress["steps"],
        "hours": round(progress["seconds"] / 3600, 2),
        "megapixels": round(progress["pixels"] / 1e6),
        "validation_gain_db": progress["validation"],
        **progress["settings"],
    }
    before = runs / str(training.get("started_from")) / "progress.json"
    if before.is_file():
        training["before"] = record(json.loads(before.read_text()), runs)
    if stage := training.get("before"):  # a run initialised from an exported graph holds the graph's own record
        training["hours"] = round(training["hours"] + stage["hours"], 2)
        training["megapixels"] += stage["megapixels"]
    return training


def same_stage(settings: dict[str, Any], others: dict[str, Any]) -> bool:
    """Whether two runs count as one stage: same device (whatever its threads and precision) and same batch size."""
    return all(settings.get(what) == others.get(what) for what in ("device", "batch"))
