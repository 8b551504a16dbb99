"""The stages of a model's recipe, trained in turn: their data, their initial weights, and where those come from."""

from __future__ import annotations

import argparse
import dataclasses
import logging
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from mjpeg_restore import catalogue
from mjpeg_restore.errors import SourceNotFound
from mjpeg_restore.models.graph import load_weights
from mjpeg_restore.training.checkpoints import FILE, locked
from mjpeg_restore.training.clips import Clips, load_recordings
from mjpeg_restore.training.data import Crops, camera_tables, picture_files, with_halves
from mjpeg_restore.training.loop import Trainer
from mjpeg_restore.training.pictures import load_rgb
from mjpeg_restore.training.recipe import Recipe

log = logging.getLogger(__name__)

CENTRE = 256
"""Side of the centre crop of a picture that is validated on, in pixels."""


@dataclasses.dataclass(frozen=True, slots=True)
class Data:
    """All that the stages of a run are trained and validated on."""

    pictures: list[NDArray[np.uint8]]
    """RGB, uint8 `[height, width, 3]` each."""
    validation: list[NDArray[np.uint8]]
    """Likewise."""
    tables: NDArray[np.float32]
    """Cameras' quantisation tables, float32 `[n, 2, 64]`."""
    recordings: list[NDArray[np.uint8]]
    """RGB, uint8 `[frames, height, width, 3]` each, for networks that see several frames."""


def load(options: argparse.Namespace) -> Data:
    """Read all pictures and tables.

    Raises:
        SourceNotFound: a folder has no pictures, or one of them is unusable.
    """
    return Data(
        with_halves(load_rgb(path) for folder in options.data for path in picture_files(folder)),
        [centre(path) for path in picture_files(options.validation)],
        camera_tables(options.tables) if options.tables else np.empty((0, 2, 64), np.float32),
        load_recordings(options.clips) if options.clips else [],
    )


def centre(path: Path) -> NDArray[np.uint8]:
    """The centre of a picture, in whole MCUs of 4:2:0.

    Raises:
        SourceNotFound: it is no picture, or smaller than an MCU.
    """
    picture = load_rgb(path)
    height, width = (min(length, CENTRE) // 16 * 16 for length in picture.shape[:2])
    if not height * width:
        raise SourceNotFound(f"{path}: a picture to validate with has 16x16 pixels or more")
    top, left = (picture.shape[0] - height) // 2, (picture.shape[1] - width) // 2
    return picture[top : top + height, left : left + width]


def checkpoint(options: argparse.Namespace, stage: str) -> Path:
    """The checkpoint of a stage."""
    return options.runs / options.model / stage / FILE


def train_in_turn(options: argparse.Namespace, stages: dict[str, Recipe], data: Data) -> None:
    """Train stages, those that begin from an earlier one after it.

    Raises:
        MjpegRestoreError: a graph or a checkpoint is missing or unusable, or a stage is being trained already.
        KeyboardInterrupt: with what to do next.
    """
    with ExitStack() as locks:
        for stage in stages:
            locks.enter_context(locked(checkpoint(options, stage).parent))
        _train_in_turn(options, stages, data)


def _train_in_turn(options: argparse.Namespace, stages: dict[str, Recipe], data: Data) -> None:
    budget = sum(recipe.budget for recipe in stages.values())
    further: set[str] = set()  # without those that --resume finds finished
    for stage, recipe in stages.items():
        log.info("%s, stage %s", options.model, stage)
        resumed = options.resume and checkpoint(options, stage).is_file()
        if resumed and recipe.init_from in further:
            log.info("%s was trained further: what begins from it is trained anew", recipe.init_from)
            resumed = False
        within = recipe.init_from in [f"{options.model}/{other}" for other in stages]
        run = prepared(options, stage, recipe, data, None if within else options.init_from, resumed=resumed)
        trained = run.progress.steps
        try:
            run.run(options.minutes * recipe.budget / budget, batches=options.batches)
        except KeyboardInterrupt as interrupt:
            raise KeyboardInterrupt("the same command with --resume goes on") from interrupt
        if run.progress.steps > trained:
            further.add(f"{options.model}/{stage}")


def prepared(
    options: argparse.Namespace, stage: str, recipe: Recipe, data: Data, start: Path | None, *, resumed: bool
) -> Trainer:
    """A stage's run with its initial or resumed weights.

    Args:
        options: the command's.
        stage: its name.
        recipe: its recipe.
        data: to train and validate on.
        start: an exported graph or a checkpoint to begin from; None for what the recipe says.
        resumed: continue from the run's checkpoint instead.

    Raises:
        SourceNotFound: no picture is as large as a crop, or the checkpoint to begin from is missing.
        ModelCorrupt: the weights belong to another network.
    """
    overrides = {"batch": options.batch, "learning_rate": options.learning_rate}
    recipe = dataclasses.replace(recipe, **{name: value for name, value in overrides.items() if value})
    trainer = Trainer(
        recipe.build(),
        recipe,
        samples(recipe, data, options),
        data.tables,
        data.validation,
        checkpoint(options, stage).parent,
        options.device,
        {"bf16": torch.bfloat16, "float32": torch.float32}.get(options.precision),
        options.seed,
        **origin(start, options.anew, recipe),
    )
    if resumed:
        trainer.resume()
    elif start and start.suffix == ".pt":
        trainer.begin_from(start, tuple(options.anew), widen=options.widen)
    elif start:
        load_weights(trainer.model, start, tuple(options.anew))
    elif recipe.init_from:
        trainer.begin_from(options.runs / recipe.init_from / trainer.checkpoint.name)
    return trainer


def samples(recipe: Recipe, data: Data, options: argparse.Namespace) -> Crops | Clips:
    """What a recipe's batches are drawn from."""
    rng = np.random.default_rng(options.seed)
    if recipe.frames == 1:
        return Crops(data.pictures, recipe.side, rng, options.device)
    return Clips(data.pictures, data.recordings, recipe.side, recipe.frames, rng, options.device)


def origin(start: Path | None, anew: list[str], recipe: Recipe) -> dict[str, Any]:
    """The settings of the training record that say where a run's initial weights come from; a checkpoint's own record
    is added when it is read."""
    if not start:
        return {"started_from": recipe.init_from}
    before = training_record(start)
    notes = {"started_from": start.name, "begun_anew": anew, "before": before}
    return {name: note for name, note in notes.items() if note}


def training_record(graph: Path) -> dict[str, Any] | None:
    """The training record of an exported graph, from the manifest in its folder; None if there is none."""
    if not graph.with_name("manifest.json").is_file():
        return None
    for model in catalogue.read_manifest(graph.parent).values():
        for variant in model.variants:
            for kind, training in variant.training.items():
                if variant.graphs[kind].file == graph.name:
                    return training
    return None
