"""What a run leaves in RUNS/MODEL/PART: its weights, how far it came, and the record of how it was trained."""

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
"""Settings that say where a run began."""


@dataclass(slots=True)
class Progress:
    """How far a run came."""

    steps: int = 0
    seconds: float = 0.0
    pixels: int = 0
    """Luma pixels of all crops."""
    validation: str = ""
    """Gain in dB over the plain decode, by component."""
    settings: dict[str, Any] = field(default_factory=dict[str, Any])
    """How it is trained, on what and with what: goes into the manifest as it is."""


def runs_of(checkpoint: Path) -> Path:
    """RUNS, of a checkpoint of RUNS/MODEL/PART."""
    return checkpoint.parents[2]


@contextmanager
def of_this_network(checkpoint: Path) -> Generator[None]:
    """Make one line of what PyTorch says where a file is no checkpoint, or its weights do not fit.

    Raises:
        ModelCorrupt: either of them.
        OSError: it cannot be read.
    """
    try:
        yield
    except OSError:
        raise
    except Exception as error:  # torch.load fails in as many ways as a file can be wrong
        # Of several lines the first is a heading.
        reason = ([*str(error).splitlines()[:2]] or [type(error).__name__])[-1].strip(" \t.")
        raise ModelCorrupt(f"{checkpoint}: not a checkpoint of this network ({reason}): train it anew") from error


def trained(recipe: Recipe, checkpoint: Path) -> tuple[nn.Module, dict[str, Any]]:
    """A recipe's network with the weights of a checkpoint, and the record of its training.

    Raises:
        ModelCorrupt: the checkpoint is another network's.
    """
    network = recipe.build()
    with of_this_network(checkpoint):
        state = torch.load(checkpoint, map_location="cpu", weights_only=True)
        network.load_state_dict(state["model"])
        return network.eval(), record(state["progress"], runs_of(checkpoint))


def record(progress: dict[str, Any], runs: Path) -> dict[str, Any]:
    """What the manifest says of a training: hours and pictures of the stages before it are in its own.

    Args:
        progress: a `Progress`, as a checkpoint has it.
        runs: where the run that it started from may lie.
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
    if stage := training.get("before"):  # a run that started from an exported graph brings the graph's own record
        training["hours"] = round(training["hours"] + stage["hours"], 2)
        training["megapixels"] += stage["megapixels"]
    return training


def same_stage(settings: dict[str, Any], others: dict[str, Any]) -> bool:
    """Whether two runs are one stage: on one device, whatever its threads and precision, and in batches of one size."""
    return all(settings.get(what) == others.get(what) for what in ("device", "batch"))
