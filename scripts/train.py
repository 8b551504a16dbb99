"""Train one of the shipped networks.

    python scripts/train.py --model stream --data DATA/train --validation DATA/eval/cid22-validation --minutes 120
    python scripts/train.py --model qgac --short ...           # all its parts in turn, as an hour allows
    python scripts/train.py --model l4 --part q10 ...          # one of them

A model's recipe (mjpeg_restore/training/recipes) has one part or several: networks for several qualities, or stages
that begin where another ended. The minutes are divided among those that are trained. Each part is trained as its paper
has it, or with --short the way that gets furthest in little time.

Checkpoints go to runs/MODEL/PART; the same command with --resume takes an interrupted run up again, and with more
--minutes takes a finished one further. `scripts/export.py` turns the checkpoints into what is shipped.
"""

from __future__ import annotations

import argparse
import dataclasses
import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from installed import needed
from numpy.typing import NDArray

from mjpeg_restore import catalogue
from mjpeg_restore.errors import MjpegRestoreError, SourceNotFound

if TYPE_CHECKING:  # PyTorch is imported when there is something to train: --help does without
    from mjpeg_restore.training.loop import Trainer
    from mjpeg_restore.training.recipe import Recipe

log = logging.getLogger(__name__)

CENTRE = 256
"""Side of what is validated of a picture."""


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, help="the network")
    parser.add_argument("--part", nargs="+", help="of the model's recipe (all)")
    parser.add_argument("--short", action="store_true", help="trained for minutes or hours, not as its paper says")
    parser.add_argument("--data", required=True, type=Path, help="folder of lossless pictures")
    parser.add_argument("--validation", required=True, type=Path, help="folder of lossless pictures kept apart")
    parser.add_argument("--tables", type=Path, help="folder of real JPEGs and MJPEG streams to take tables from")
    parser.add_argument("--minutes", type=positive, default=120.0, help="wall-clock budget of the whole run (120)")
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="where checkpoints go (runs)")
    parser.add_argument("--resume", action="store_true", help="go on from the run's checkpoint")
    parser.add_argument("--device", help="PyTorch's (cuda where there is one, else cpu)")
    parser.add_argument("--threads", type=whole, help="CPU threads (all)")
    parser.add_argument("--batch", type=whole, help="crops in a batch (the recipe's); a GPU wants 64 or more")
    parser.add_argument(
        "--learning-rate", type=positive, help="at its highest (the recipe's); less to take weights further"
    )
    parser.add_argument(
        "--start-from", type=Path, help="an exported graph, to begin with its weights; --resume goes before it"
    )
    parser.add_argument(
        "--anew", nargs="+", default=[], metavar="NAME", help="beginnings of names of weights that it does not give"
    )
    parser.add_argument(
        "--precision",
        choices=("bf16", "float32"),
        help="of the network while it trains (bf16 where that is fast); float32 for the last thousandths of a dB",
    )
    parser.add_argument("--seed", type=seed, default=0)
    options = parser.parse_args()
    with needed("Training"):
        import torch

        from mjpeg_restore.training.recipes import FAMILIES
    if options.model not in FAMILIES:
        parser.error(f"--model: no recipe for {options.model!r}; there are {', '.join(FAMILIES)}")
    options.device = options.device or ("cuda" if torch.cuda.is_available() else "cpu")
    try:
        options.device = torch.zeros(1, device=options.device).device
    except (RuntimeError, AssertionError):
        parser.error(f"--device: PyTorch has no device {options.device!r} here")
    return options


def positive(word: str) -> float:
    try:
        number = float(word)
    except ValueError:
        number = 0.0
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"{word!r} is no number above 0")
    return number


def whole(word: str) -> int:
    number = positive(word)
    if not number.is_integer():
        raise argparse.ArgumentTypeError(f"{word!r} is no whole number")
    return int(number)


def seed(word: str) -> int:
    if not word.isdecimal():
        raise argparse.ArgumentTypeError(f"{word!r} is no whole number from 0")
    return int(word)


def train(options: argparse.Namespace) -> None:
    """Train the parts that are wanted, in turn.

    Raises:
        MjpegRestoreError: a picture, a graph or a checkpoint is missing or not as it should be.
    """
    import torch

    from mjpeg_restore.training.data import camera_tables, load_rgb, picture_files, with_halves

    if options.threads:
        torch.set_num_threads(options.threads)
    parts = wanted(options)
    torch.backends.cudnn.benchmark = True  # crops have one size
    if options.device.type == "cuda":
        torch.cuda.set_device(options.device)
    shares = sum(recipe.share for recipe in parts.values())
    for recipe in parts.values():
        if recipe.adversary:
            recipe.adversary()  # what a last part lacks is to be said before hours go into the first
    torch.manual_seed(options.seed)
    pictures = with_halves(load_rgb(path) for path in picture_files(options.data))
    validation = [centre(path) for path in picture_files(options.validation)]
    cameras = camera_tables(options.tables) if options.tables else np.empty((0, 2, 64), np.float32)
    for part, recipe in parts.items():
        log.info("%s, part %s", options.model, part)
        trainer = prepared(options, part, recipe, pictures, validation, cameras)
        trainer.run(options.minutes * recipe.share / shares)


def main() -> int:
    try:
        options = arguments()
        logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
        with needed("Training"):
            train(options)
    except (MjpegRestoreError, OSError) as error:
        sys.exit(f"train: {error}")
    except KeyboardInterrupt:
        print("train: stopped; the same command with --resume goes on", file=sys.stderr)
        return 130
    return 0


def wanted(options: argparse.Namespace) -> dict[str, Recipe]:
    """The parts to be trained, in turn."""
    from mjpeg_restore.training.recipes import FAMILIES

    family = FAMILIES[options.model]
    if options.short and not family.short:
        sys.exit(f"train: {options.model} has no short recipe: leave out --short")
    parts = {**family.parts, **family.short} if options.short else dict(family.parts)
    unknown = [part for part in options.part or () if part not in parts]
    if unknown:
        sys.exit(f"train: {options.model} has no part {unknown[0]!r}; there are {', '.join(parts)}")
    return {part: parts[part] for part in options.part} if options.part else parts


def centre(path: Path) -> NDArray[np.uint8]:
    """The middle of a picture, whole MCUs of 4:2:0: enough to see how the training goes.

    Raises:
        SourceNotFound: it is no picture, or smaller than that.
    """
    from mjpeg_restore.training.data import load_rgb

    picture = load_rgb(path)
    height, width = (min(length, CENTRE) // 16 * 16 for length in picture.shape[:2])
    if not height * width:
        raise SourceNotFound(f"{path}: a picture to validate with has 16x16 pixels or more")
    top, left = (picture.shape[0] - height) // 2, (picture.shape[1] - width) // 2
    return picture[top : top + height, left : left + width]


def prepared(
    options: argparse.Namespace,
    part: str,
    recipe: Recipe,
    pictures: list[NDArray[np.uint8]],
    validation: list[NDArray[np.uint8]],
    cameras: NDArray[np.float32],
) -> Trainer:
    """The run that was asked for, its weights in place.

    Raises:
        SourceNotFound: no picture is large enough, or there is no checkpoint to go on from.
        ModelCorrupt: the weights are another network's.
    """
    import torch

    from mjpeg_restore.models.graph import load_weights
    from mjpeg_restore.training.data import Crops
    from mjpeg_restore.training.loop import Trainer

    asked = {"batch": options.batch, "learning_rate": options.learning_rate}
    recipe = dataclasses.replace(recipe, **{name: value for name, value in asked.items() if value})
    start = options.start_from.name if options.start_from else recipe.after
    notes: dict[str, Any] = {"seed": options.seed, "started_from": start}
    if options.anew:
        notes["begun_anew"] = options.anew
    if options.start_from and (record := training_record(options.start_from)):
        notes["before"] = record
    trainer = Trainer(
        recipe.build(),
        recipe,
        Crops(pictures, recipe.side, np.random.default_rng(options.seed), options.device),
        cameras,
        validation,
        options.runs / options.model / part,
        options.device,
        {"bf16": torch.bfloat16, "float32": torch.float32}.get(options.precision),
        **notes,
    )
    if options.resume and trainer.checkpoint.is_file():
        trainer.resume()
    elif options.start_from:
        load_weights(trainer.model, options.start_from, tuple(options.anew))
    elif recipe.after:
        trainer.begin_from(options.runs / recipe.after / "checkpoint.pt")
    elif options.resume:
        raise SourceNotFound(f"{trainer.checkpoint}: no such file to go on from; leave out --resume to begin anew")
    return trainer


def training_record(graph: Path) -> dict[str, Any] | None:
    """What the manifest beside an exported graph says of its training; None where it says nothing."""
    if not graph.with_name("manifest.json").is_file():
        return None
    for model in catalogue.models(graph.parent).values():
        for variant in model.variants:
            for kind, training in variant.training.items():
                if variant.graphs[kind]["file"] == graph.name:
                    return training
    return None


if __name__ == "__main__":
    sys.exit(main())
