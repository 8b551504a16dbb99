"""Train one of the shipped networks.

    python scripts/train.py --model stream --data DATA/train --validation DATA/eval/cid22-validation --minutes 120

Checkpoints go to runs/MODEL; the same command with --resume takes an interrupted run up again, and with more --minutes
takes a finished one further. `scripts/export.py` turns the checkpoint into what is shipped.
"""

from __future__ import annotations

import argparse
import dataclasses
import logging
import sys
from pathlib import Path

import numpy as np
import torch

from mjpeg_restore.errors import MjpegRestoreError, SourceNotFound
from mjpeg_restore.models.graph import load_weights
from mjpeg_restore.training.data import Crops, camera_tables, load_rgb, picture_files, with_halves
from mjpeg_restore.training.loop import Trainer
from mjpeg_restore.training.recipes import RECIPES


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, choices=sorted(RECIPES))
    parser.add_argument("--data", required=True, type=Path, help="folder of lossless pictures")
    parser.add_argument("--validation", required=True, type=Path, help="folder of lossless pictures kept apart")
    parser.add_argument("--tables", type=Path, help="folder of real JPEGs and MJPEG streams to take tables from")
    parser.add_argument("--minutes", type=float, default=120, help="wall-clock budget of the whole run (120)")
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="where checkpoints go (runs)")
    parser.add_argument("--resume", action="store_true", help="go on from the run's checkpoint")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--threads", type=int, help="CPU threads (all)")
    parser.add_argument("--batch", type=int, help="crops in a batch (the recipe's); a GPU wants 64 or more")
    parser.add_argument("--start-from", type=Path, help="take the weights of an exported graph to begin with")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def main() -> int:
    options = arguments()
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    if options.threads:
        torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    try:
        trainer = prepared(options)
    except (MjpegRestoreError, OSError) as error:  # OSError: what Pillow cannot read, too
        sys.exit(f"train: {error}")
    trainer.run(options.minutes)
    return 0


def prepared(options: argparse.Namespace) -> Trainer:
    """The run that was asked for, its pictures loaded and its weights in place.

    Raises:
        SourceNotFound: no pictures, none that is large enough, or no checkpoint to go on from.
        OSError: a file cannot be read.
    """
    device = torch.device(options.device)
    recipe = RECIPES[options.model]
    if options.batch:
        recipe = dataclasses.replace(recipe, batch=options.batch)
    pictures = with_halves(load_rgb(path) for path in picture_files(options.data))
    validation = [load_rgb(path) for path in picture_files(options.validation)]
    trainer = Trainer(
        recipe.build(),
        recipe,
        Crops(pictures, recipe.side, np.random.default_rng(options.seed), device),
        camera_tables(options.tables) if options.tables else np.empty((0, 2, 64), np.float32),
        [picture[: picture.shape[0] // 16 * 16, : picture.shape[1] // 16 * 16] for picture in validation],
        options.runs / options.model,
        device,
        seed=options.seed,
        started_from=options.start_from.name if options.start_from else None,
    )
    if options.start_from:
        load_weights(trainer.model, options.start_from)
    if options.resume:
        if not trainer.checkpoint.is_file():
            raise SourceNotFound(f"{trainer.checkpoint}: no such file to go on from; leave out --resume to begin anew")
        trainer.resume()
    return trainer


if __name__ == "__main__":
    sys.exit(main())
